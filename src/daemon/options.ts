/** What the daemon was asked to be: flags and environment, checked once, before anything starts. */
import { type Gates, parseGates } from "../api/gates.ts";
import { install } from "../api/names.ts";
import { type Address, parseAddress } from "../process/address.ts";
import { type FlagValues, parseFlags } from "../process/flags.ts";
import { daemonFlags } from "./flags.ts";

export interface DaemonOptions {
  readonly flags: FlagValues<typeof daemonFlags>;
  readonly nodeName: string;
  readonly gates: Gates;
  /** Undefined: switched off. */
  readonly address: Address | undefined;
  /** Only when the user gave a limit; else the server's flow control leads. */
  readonly rateLimit: { readonly perSecond: number; readonly burst: number } | undefined;
  readonly installNamespace: string;
  /** Where the copies of pull secrets are: the only secrets that this process may read. */
  readonly daemonConfigNamespace: string;
  /** Things to tell the user once logging runs. */
  readonly warnings: readonly string[];
}

export type OptionsResult =
  | { readonly ok: true; readonly options: DaemonOptions }
  | { readonly ok: false; readonly code: 1 | 2; readonly message: string };

type Environment = Readonly<Record<string, string | undefined>>;

/** Usage errors end with code 2, values that cannot be with code 1. */
export function daemonOptions(args: readonly string[], environment: Environment): OptionsResult {
  const parsed = parseFlags(daemonFlags, args);
  if (!parsed.ok) return { ok: false, code: 2, message: parsed.message };
  if (parsed.rest.length > 0) return { ok: false, code: 2, message: `unexpected argument "${parsed.rest[0]}"; see --help` };
  const flags = parsed.values;
  const gates = parseGates(flags["feature-gates"], environment.CUSTOM_RESOURCE_ENABLE ?? "");
  if (!gates.ok) return { ok: false, code: 1, message: `--feature-gates: ${gates.problems.join("; ")}` };
  const format = flags["logging-format"];
  if (format !== "text" && format !== "json") return { ok: false, code: 1, message: `--logging-format=${format}: expected text or json` };
  const nodeName = environment.NODE_NAME ?? "";
  if (nodeName === "")
    return {
      ok: false,
      code: 1,
      message: "NODE_NAME is not set: give the name of this node in it (fieldRef spec.nodeName in the manifest)",
    };
  const address = parseAddress(flags.addr);
  if (typeof address === "string") return { ok: false, code: 1, message: `--addr: ${address}` };
  const qps = flags["rest-config-qps"];
  const burst = flags["rest-config-burst"];
  return {
    ok: true,
    options: {
      flags,
      nodeName,
      gates: gates.gates,
      address,
      rateLimit: qps > 0 || burst > 0 ? { perSecond: qps > 0 ? qps : 20, burst: burst > 0 ? burst : 30 } : undefined,
      installNamespace: environment.POD_NAMESPACE || install.namespace,
      daemonConfigNamespace: environment.KRUISE_DAEMON_CONFIG_NS || install.daemonConfigNamespace,
      warnings: gates.notes,
    },
  };
}
