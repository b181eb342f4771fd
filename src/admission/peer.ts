/**
 * Outside of a cluster no Service stands for all replicas: the API server calls one of them, at the URL in the configurations. Whoever is
 * there and answers stays there; another replica takes over when it goes, or says that it is going.
 */
import type { Env } from "../env/env.ts";
import { sleep } from "../env/env.ts";
import type { Fetch } from "../env/network.ts";
import type { WebhookConfiguration } from "./configuration.ts";

export interface Peer {
  /** "https://10.0.0.5:9876" */
  readonly origin: string;
  /** PEM. */
  readonly ca: string;
}

/** On the answer of `/healthz` of a process that has been asked to stop: it still answers, and not for long. */
export const leavingHeader = "x-kruise-leaving";

const deadlineMs = 2_000;
/** Between two tries: one lost connection is no lost replica. */
const secondTryMs = 250;

export function originOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Whom the configuration leads to; undefined: nobody, or ourselves. */
export function peerIn(live: WebhookConfiguration, own: string): Peer | undefined {
  for (const { clientConfig } of live.webhooks ?? []) {
    if (!clientConfig?.url || !clientConfig.caBundle) continue;
    const origin = URL.parse(clientConfig.url)?.origin;
    const isOwn = origin === undefined || origin === new URL(own).origin;
    return isOwn ? undefined : { origin, ca: Buffer.from(clientConfig.caBundle, "base64").toString("utf8") };
  }
  return undefined;
}

/** Whether the peer answers under the CA that the API server has for it, and stays. Never rejects. */
export function peerCheck(env: Env, fetch: Fetch): (peer: Peer) => Promise<boolean> {
  const ask = async ({ origin, ca }: Peer): Promise<"stays" | "goes" | "refuses" | "silent"> => {
    const deadline = new AbortController();
    const cancel = env.after(deadlineMs, () => deadline.abort(new Error(`no answer within ${deadlineMs} ms`)));
    try {
      const response = await fetch(`${origin}/healthz`, { method: "GET", headers: {}, tls: { ca }, signal: deadline.signal });
      await response.text();
      return response.headers.get(leavingHeader) === null ? "stays" : "goes";
    } catch (error) {
      const code = String((error as { code?: unknown } | null)?.code ?? "");
      return code === "ConnectionRefused" || code === "ECONNREFUSED" ? "refuses" : "silent";
    } finally {
      cancel();
    }
  };
  return async (peer) => {
    const first = await ask(peer);
    if (first !== "silent") return first === "stays";
    await sleep(env, secondTryMs);
    return (await ask(peer)) === "stays";
  };
}
