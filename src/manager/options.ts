/** What the manager was asked to be: flags and environment, checked once, before anything starts. */
import { type WebhookSettings, webhookSettings } from "../admission/webhook-settings.ts";
import { type Gates, parseGates } from "../api/gates.ts";
import { parseDuration } from "../kube/time.ts";
import { type FlagValues, parseFlags } from "../process/flags.ts";
import { managerFlags } from "./flags.ts";

/** 31 days, as the API allows. */
const alwaysPullTtlSecondsMax = 2_678_400;
const resyncDefaultMs = 10 * 60 * 60 * 1000;

export interface ManagerOptions {
  readonly flags: FlagValues<typeof managerFlags>;
  /** Only when the user gave a limit; else the server's flow control leads. */
  readonly rateLimit: { readonly perSecond: number; readonly burst: number } | undefined;
  readonly gates: Gates;
  /** Undefined: never. */
  readonly resyncMs: number | undefined;
  readonly installNamespace: string;
  readonly daemonConfigNamespace: string;
  readonly webhook: WebhookSettings;
  /** Things to tell the user once logging runs. */
  readonly warnings: readonly string[];
}

export type OptionsResult =
  | { readonly ok: true; readonly options: ManagerOptions }
  | { readonly ok: false; readonly code: 1 | 2; readonly message: string };

/** Usage errors end with code 2, values that cannot be with code 1. */
export function managerOptions(args: readonly string[], environment: Environment): OptionsResult {
  const parsed = parseFlags(managerFlags, args);
  if (!parsed.ok) return { ok: false, code: 2, message: parsed.message };
  if (parsed.rest.length > 0) return { ok: false, code: 2, message: `unexpected argument "${parsed.rest[0]}"; see --help` };
  const flags = parsed.values;
  const gates = parseGates(flags["feature-gates"], environment.CUSTOM_RESOURCE_ENABLE ?? "");
  if (!gates.ok) return { ok: false, code: 1, message: `--feature-gates: ${gates.problems.join("; ")}` };
  const webhook = webhookSettings(environment, gates.gates.enabled("EnableExternalCerts"));
  if (!webhook.ok) return { ok: false, code: 1, message: webhook.message };
  const wrong = wrongFlag(flags);
  if (wrong !== undefined) return { ok: false, code: 1, message: wrong };

  const warnings = [...gates.notes];
  const resyncMs = resyncPeriodMs(flags["sync-period"]);
  if (Number.isNaN(resyncMs)) warnings.push(`--sync-period=${flags["sync-period"]} is not a duration such as 10h and is ignored`);
  const limited = parsed.given.has("rest-config-qps") || parsed.given.has("rest-config-burst");
  return {
    ok: true,
    options: {
      flags,
      gates: gates.gates,
      rateLimit: limited
        ? { perSecond: positive(flags["rest-config-qps"], 20), burst: positive(flags["rest-config-burst"], 30) }
        : undefined,
      resyncMs: Number.isNaN(resyncMs) ? resyncDefaultMs : resyncMs === 0 ? undefined : resyncMs,
      installNamespace: environment.POD_NAMESPACE || "kruise-system",
      daemonConfigNamespace: environment.KRUISE_DAEMON_CONFIG_NS || "kruise-daemon-config",
      webhook: webhook.settings,
      warnings,
    },
  };
}

type Environment = Readonly<Record<string, string | undefined>>;

const positive = (value: number, otherwise: number) => (value > 0 ? value : otherwise);

function wrongFlag(flags: ManagerOptions["flags"]): string | undefined {
  const format = flags["logging-format"];
  if (format !== "text" && format !== "json") return `--logging-format=${format}: expected text or json`;
  const ttl = flags["default-ttlseconds-for-always-nodeimage"];
  if (ttl < 0 || ttl > alwaysPullTtlSecondsMax)
    return `--default-ttlseconds-for-always-nodeimage=${ttl}: expected 0 to ${alwaysPullTtlSecondsMax} (31 days)`;
  if (flags["leader-election-renew-deadline"] >= flags["leader-election-lease-duration"])
    return "--leader-election-renew-deadline must be shorter than --leader-election-lease-duration";
  const lock = flags["leader-election-resource-lock"];
  if (lock !== "leases") return `--leader-election-resource-lock=${lock}: only leases are supported`;
  return undefined;
}

/** @returns 0 for never, NaN when it cannot be read */
function resyncPeriodMs(text: string): number {
  if (text === "") return resyncDefaultMs;
  return text === "0" ? 0 : (parseDuration(text) ?? Number.NaN);
}
