/** A command's way to the cluster: the user's own credentials, and what the server serves. */

import type { Env } from "../env/env.ts";
import { silentLogger } from "../env/log.ts";
import { systemEnv } from "../env/system.ts";
import type { KubeClient } from "../kube/client.ts";
import { type CredentialSources, loadCredentials } from "../kube/credentials.ts";
import { type Discovery, discover } from "../kube/discovery.ts";
import { createKube } from "../kube/kube.ts";
import type { Written } from "../kube/outcome.ts";
import { versionInfo } from "../process/version.ts";
import type { CliValues } from "./args.ts";
import type { globalFlags } from "./globals.ts";
import { Heard } from "./heard.ts";
import { Refused, refusal } from "./refused.ts";

export type GlobalValues = CliValues<typeof globalFlags>;

export interface Session {
  readonly env: Env;
  readonly client: KubeClient;
  readonly discovery: Discovery;
  readonly namespace: string;
  readonly server: string;
  /** Warnings that the server has given so far. */
  readonly warnings: () => number;
  close(): void;
}

export async function openSession(flags: GlobalValues): Promise<Session> {
  const ending = new AbortController();
  const env = systemEnv(silentLogger, ending.signal);
  const found = await loadCredentials(env, sourcesOf(flags));
  if (!found.ok) throw new Refused(`error: ${found.message}`);
  const { credentials } = found;
  const heard = new Heard(flags.v);
  const userAgent = `kubectl-kruise/${versionInfo.version} (${versionInfo.platform})`;
  const kube = createKube(env, credentials, { userAgent, fetch: heard.fetch });
  const deadlineMs = flags["request-timeout"];
  const client = deadlineMs > 0 ? kube.client.with({ deadlineMs }) : kube.client;
  const discovery = must(await discover(client));
  const namespace = flags.namespace || credentials.namespace;
  return { env, client, discovery, namespace, server: kube.transport.server, warnings: () => heard.warnings, close: () => ending.abort() };
}

/** Where the command line says that credentials are. */
export function sourcesOf(flags: GlobalValues): CredentialSources {
  const asGroups = flags["as-group"];
  const texts = {
    kubeconfig: flags.kubeconfig,
    context: flags.context,
    cluster: flags.cluster,
    user: flags.user,
    server: flags.server,
    token: flags.token,
    as: flags.as,
    asUid: flags["as-uid"],
    certificateAuthority: flags["certificate-authority"],
    clientCertificate: flags["client-certificate"],
    clientKey: flags["client-key"],
    tlsServerName: flags["tls-server-name"],
  };
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== "")),
    ...(asGroups.length > 0 ? { asGroups } : {}),
    ...(flags["insecure-skip-tls-verify"] ? { insecureSkipTlsVerify: true } : {}),
  };
}

/** What was asked for, or the way out. */
export function must<T>(written: Written<T>): T {
  if (!written.ok) throw refusal(written);
  return written.object;
}
