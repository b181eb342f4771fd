/** What flags, variables and the server's version decide for every feature. Read-only after start. */
import type { Kind } from "../kube/kind.ts";
import { type Gates, gatesWith } from "./gates.ts";

export interface Settings {
  readonly gates: Gates;
  /** Where Kruiser is installed (POD_NAMESPACE). */
  readonly installNamespace: string;
  /** Where copied pull secrets live (KRUISE_DAEMON_CONFIG_NS). */
  readonly daemonConfigNamespace: string;
  readonly expectationTimeoutMs: number;
  /** false: pod templates with privileged containers are refused. */
  readonly allowPrivileged: boolean;
  readonly cloneSetExcludePreparingDelete: boolean;
  /** Seconds; default TTL of pull tasks with imagePullPolicy Always. */
  readonly alwaysPullTtlSeconds: number;
  readonly nodeImageCreationDelayMs: number;
  /** The server resizes pods through the `pods/resize` subresource (1.32 and later). */
  readonly resizeSubresource: boolean;
  /** Whether the server serves this kind in this very version: in another one nobody can watch it. */
  serves(kind: Kind): boolean;
}

/** What the manager runs with when nothing is said, on a server that serves everything. */
export function defaultSettings(chosen: Partial<Settings> = {}): Settings {
  return {
    gates: gatesWith(),
    installNamespace: "kruise-system",
    daemonConfigNamespace: "kruise-daemon-config",
    expectationTimeoutMs: 300_000,
    allowPrivileged: true,
    cloneSetExcludePreparingDelete: false,
    alwaysPullTtlSeconds: 300,
    nodeImageCreationDelayMs: 30_000,
    resizeSubresource: true,
    serves: () => true,
    ...chosen,
  };
}
