/** Where a process keeps its record. */
import { homedir } from "node:os";
import { join } from "node:path";

/** @returns the file, or undefined for memory only: `memory` says so, `auto` means a volume in a cluster and the user's state directory outside */
export function recordPath(flag: string, environment: Readonly<Record<string, string | undefined>>): string | undefined {
  if (flag === "memory" || flag === "") return undefined;
  if (flag !== "auto") return flag;
  if (environment.KUBERNETES_SERVICE_HOST) return "/var/lib/kruise/record.db";
  return join(environment.XDG_STATE_HOME || join(homedir(), ".local", "state"), "kruise", "record.db");
}
