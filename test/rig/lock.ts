/** A lock between processes: a file that holds the owner's pid. A lock whose owner is gone is taken over. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { waitFor } from "./wait.ts";

/** Runs `work` while nobody else holds `path`. `say` hears once when there is somebody to wait for. */
export async function withLock<T>(path: string, timeoutMs: number, say: (text: string) => void, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  await waitFor(
    `the lock ${path}`,
    () => {
      if (take(path)) return true;
      const owner = ownerOf(path);
      if (owner !== undefined && !exists(owner)) rmSync(path, { force: true });
      if (!told && owner !== undefined) say(`waiting for process ${owner}, which holds ${path}`);
      told = true;
      return false;
    },
    { timeoutMs, intervalMs: 500 },
  );
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function take(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    return false;
  }
}

function ownerOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a process with this id runs, whoever owns it. One that ended and waits to be collected by its parent does not. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code !== "EPERM") return false;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may itself contain anything; the state follows the last one.
    return !/^\) [ZX]/.test(stat.slice(stat.lastIndexOf(")")));
  } catch {
    return !existsSync("/proc/self");
  }
}
