/** Whether this replica's own webhook port answers, seen the way the API server sees it: over TLS, against the CA in the cert dir. */
import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { type Env, sleep } from "../env/env.ts";
import type { Fetch } from "../env/network.ts";

export interface ReadinessOptions {
  readonly env: Env;
  readonly fetch: Fetch;
  readonly port: number;
  readonly certDir: string;
  /** What the certificate is for. */
  readonly host: string;
}

export type Readiness = { readonly ok: true } | { readonly ok: false; readonly message: string };

const deadlineMs = 3_000;
/** In a rotation the files change a moment before the port does. */
const secondTryMs = 250;

/** Any HTTP answer counts. Never rejects. */
export function readinessCheck(options: ReadinessOptions): () => Promise<Readiness> {
  const { env, fetch, port, host } = options;
  const path = join(options.certDir, "ca-cert.pem");
  const url = `https://localhost:${port}/healthz`;
  const ca = { stamp: "", pem: "" };

  const ask = async (): Promise<Readiness> => {
    const deadline = new AbortController();
    const cancel = env.after(deadlineMs, () => deadline.abort(new Error(`no answer within ${deadlineMs} ms`)));
    try {
      const { mtimeMs, ino, size } = await stat(path);
      const stamp = `${mtimeMs} ${ino} ${size}`;
      if (ca.stamp !== stamp) Object.assign(ca, { stamp, pem: await readFile(path, "utf8") });
      // The name in the certificate, which may be no name of this machine; an address stands in no SNI, and goes with localhost.
      const tls = isIP(host) ? { ca: ca.pem } : { ca: ca.pem, serverName: host };
      const response = await fetch(url, { method: "GET", headers: {}, tls, signal: deadline.signal });
      await response.text();
      return { ok: true };
    } catch (error) {
      return { ok: false, message: `${url}: ${error instanceof Error ? error.message : String(error)}` };
    } finally {
      cancel();
    }
  };
  return async () => {
    const first = await ask();
    if (first.ok) return first;
    await sleep(env, secondTryMs);
    return ask();
  };
}
