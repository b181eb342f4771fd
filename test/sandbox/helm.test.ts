/** Helm against the sandbox: a chart of its own making comes, changes, is tested and goes. In CI Helm is made for it; elsewhere it is skipped where there is none. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { binary, cacheDir } from "../rig/binaries.ts";
import { sandboxHouse, words } from "./house.ts";

if (process.env["CI"] === "true") await binary("helm");
const cached = [
  ...new Bun.Glob("helm-*/helm").scanSync({ cwd: join(cacheDir(), "bin"), onlyFiles: true, throwErrorOnBrokenSymlink: false }),
];
const helmPath = Bun.which("helm") ?? (cached[0] === undefined ? "" : join(cacheDir(), "bin", cached[0]));
const house = sandboxHouse({ nodes: 2, speed: 10 });

async function helm(line: string): Promise<string> {
  const { code, out, err } = await house.run([helmPath, ...words(line)]);
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
