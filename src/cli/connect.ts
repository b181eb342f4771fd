/** A command's way to the cluster: the user's own credentials, and a cache of just what the command reads. */
import { parseGates } from "../api/gates.ts";
import { defaultSettings } from "../api/settings.ts";
import type { Context } from "../engine/controller.ts";
import { silentLogger } from "../env/log.ts";
import { systemEnv } from "../env/system.ts";
import { loadCredentials } from "../kube/credentials.ts";
import { type Discovery, discover, serverInfo } from "../kube/discovery.ts";
import type { Kind } from "../kube/kind.ts";
import { createKube } from "../kube/kube.ts";
import { failureText } from "../kube/outcome.ts";
import { atLeast } from "../kube/version.ts";
import { versionInfo } from "../process/version.ts";
import type { CliValues } from "./args.ts";
import type { askFlags } from "./flags.ts";
import { unreadable } from "./rights.ts";
import { sourcesOf } from "./session.ts";

export interface Connected {
  readonly context: Context;
  readonly discovery: Discovery;
  readonly namespace: string;
  /** Of these kinds, those that the user may not list and watch. */
  unreadable(kinds: readonly Kind[]): Promise<readonly Kind[]>;
  /**
   * Fills the cache with these kinds, in the namespace where they have one.
   * @param without may be read from as well, and stay empty
   * @returns what cannot be read, or undefined
   */
  load(kinds: readonly Kind[], without?: readonly Kind[]): Promise<string | undefined>;
  close(): void;
}

export type ConnectResult = { readonly ok: true; readonly connected: Connected } | { readonly ok: false; readonly message: string };

export async function connect(flags: CliValues<typeof askFlags>): Promise<ConnectResult> {
  const gates = parseGates(flags["feature-gates"]);
  if (!gates.ok) return { ok: false, message: `--feature-gates: ${gates.problems.join("; ")}` };
  const ending = new AbortController();
  const env = systemEnv(silentLogger, ending.signal);
  const found = await loadCredentials(env, sourcesOf(flags));
  if (!found.ok) return { ok: false, message: found.message };
  const namespace = flags.namespace || found.credentials.namespace;
  const kube = createKube(env, found.credentials, { userAgent: `kubectl-kruise/${versionInfo.version}`, namespace });
  const [discovery, server] = await Promise.all([discover(kube.client), serverInfo(kube.client)]);
  if (!discovery.ok) return { ok: false, message: `cannot reach ${kube.transport.server}: ${failureText(discovery)}` };
  // Flags of the manager that matter for an answer are not visible from outside.
  const settings = defaultSettings({
    gates: gates.gates,
    resizeSubresource: server.ok && atLeast(server.object.version, 1, 32),
    serves: (kind) => discovery.object.servesVersion(kind),
  });
  return {
    ok: true,
    connected: {
      context: { read: kube.read, settings, random: () => env.random(), nowMs: () => env.nowMs() },
      discovery: discovery.object,
      namespace,
      unreadable: (kinds) => unreadable(kube.client, kinds, namespace),
      async load(kinds, without = []) {
        for (const kind of [...kinds, ...without]) kube.cache.ensure(kind);
        const report = await kube.cache.whenSettled(kinds, flags["request-timeout"]);
        const absent = report.absent.map((kind) => `${kind.plural} are not served by this cluster`);
        const pending = report.pending.map(({ kind, why }) => `${kind.plural}: ${why}`);
        return absent.length + pending.length === 0 ? undefined : [...absent, ...pending].join("; ");
      },
      close: () => ending.abort(),
    },
  };
}
