/** A sandbox behind its port for the tests of one file, and programs that are pointed at it. */
import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../src/env/log.ts";
import { systemEnv } from "../../src/env/system.ts";
import { type RunningSandbox, runSandbox } from "../../src/sandbox/run.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface SandboxHouse {
  /** The file's own; it goes with the house. */
  readonly dir: string;
  /** From `beforeAll` on. */
  readonly running: RunningSandbox;
  /** With `dir` as home, and the sandbox's kubeconfig. */
  run(command: readonly string[], more?: { stdin?: string; cwd?: string; env?: Readonly<Record<string, string>> }): Promise<Ran>;
}

/** Opens before the file's tests and closes after them. */
export function sandboxHouse({ nodes, speed }: { readonly nodes: number; readonly speed: number }): SandboxHouse {
  const dir = mkdtempSync(join(tmpdir(), "kruise-sandbox-"));
  const stop = new AbortController();
  let running: RunningSandbox | undefined;
  const opened = () => {
    if (running === undefined) throw new Error("the sandbox does not run yet");
    return running;
  };
  const fatal = (message: string) => {
    throw new Error(message);
  };
  beforeAll(async () => {
    const env = systemEnv(silentLogger, stop.signal);
    running = await runSandbox(env, { hostname: "127.0.0.1", port: 0, dataDir: undefined, nodes, speed, fatal });
  }, 30_000);
  afterAll(async () => {
    stop.abort();
    await running?.stop();
    rmSync(dir, { recursive: true, force: true });
  }, 30_000);
  return {
    dir,
    get running() {
      return opened();
    },
    async run(command, { stdin = "", cwd = dir, env = {} } = {}) {
      const child = Bun.spawn([...command], {
        cwd,
        env: { ...process.env, KUBECONFIG: opened().kubeconfigPath, HOME: dir, ...env },
        stdin: new TextEncoder().encode(stdin),
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, err, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
      return { code, out, err };
    },
  };
}

/** Split at spaces; '…' keeps them. */
export function words(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) => word.replaceAll("'", ""));
}
