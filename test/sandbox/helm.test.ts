/** Helm against the sandbox: a chart of its own making comes, changes, is tested and goes. Skipped where there is no Helm. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../src/env/log.ts";
import { systemEnv } from "../../src/env/system.ts";
import { type RunningSandbox, runSandbox } from "../../src/sandbox/run.ts";
import { cacheDir } from "../rig/binaries.ts";

const cached = [
  ...new Bun.Glob("helm-*/helm").scanSync({ cwd: join(cacheDir(), "bin"), onlyFiles: true, throwErrorOnBrokenSymlink: false }),
];
const helmPath = Bun.which("helm") ?? (cached[0] === undefined ? "" : join(cacheDir(), "bin", cached[0]));
const dir = mkdtempSync(join(tmpdir(), "helm-"));
const stop = new AbortController();
let running: RunningSandbox;

beforeAll(async () => {
  const fatal = (message: string) => {
    throw new Error(message);
  };
  const env = systemEnv(silentLogger, stop.signal);
  running = await runSandbox(env, { hostname: "127.0.0.1", port: 0, dataDir: undefined, nodes: 2, speed: 10, fatal });
}, 30_000);
afterAll(async () => {
  stop.abort();
  await running.stop();
  rmSync(dir, { recursive: true, force: true });
}, 30_000);

async function helm(line: string): Promise<string> {
  const child = Bun.spawn([helmPath, ...line.split(" ")], {
    cwd: dir,
    env: { ...process.env, KUBECONFIG: running.kubeconfigPath, HOME: dir },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new Error(`helm ${line}: ${code}\n${err}${out}`);
  return out;
}

test.skipIf(!existsSync(helmPath))(
  "a chart is installed, upgraded, tested and uninstalled",
  async () => {
    await helm("create web");
    expect(await helm("install web ./web --wait --timeout 60s")).toContain("STATUS: deployed");
    expect(await helm("upgrade web ./web --set replicaCount=2 --wait --timeout 60s")).toContain("REVISION: 2");
    expect(await helm("test web --timeout 60s")).toContain("Phase:          Succeeded");
    expect(await helm("list")).toContain("web-0.1.0");
    expect(await helm("uninstall web --wait --timeout 60s")).toContain("uninstalled");
  },
  120_000,
);
