/** The sandbox behind a port: HTTPS on loopback, for stock kubectl and every other client. */
import { serve } from "../env/network.ts";
import type { ApiAnswer } from "./api/handle.ts";
import { Refusal } from "./api/refusal.ts";
import type { Sandbox } from "./sandbox.ts";
import { isProtobuf } from "./schema/protobuf.ts";

export interface ServerOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  /** PEM. */
  readonly tls: { readonly cert: string; readonly key: string };
  /** What a client has to show. */
  readonly token: string;
}

export interface SandboxServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** etcd takes 1.5 MiB; the rest is room for lists and escapes. */
const bodyBytesMax = 16 * 1024 * 1024;

/** @throws Error when the port is taken */
export function serveSandbox(sandbox: Sandbox, { hostname, port, tls, token }: ServerOptions): SandboxServer {
  const server = serve({
    hostname,
    port,
    tls,
    development: false,
    // Watches are silent for a minute at a time.
    idleTimeout: 0,
    maxRequestBodySize: bodyBytesMax,
    fetch: async (request) => {
      const url = new URL(request.url);
      const open = url.pathname === "/version" || url.pathname === "/readyz" || url.pathname === "/livez" || url.pathname === "/healthz";
      if (!open && request.headers.get("authorization") !== `Bearer ${token}`) return answerOf(unauthorized);
      const headers = Object.fromEntries(request.headers);
      const body = await bodyOf(request);
      const answer = await sandbox.handle({
        method: request.method,
        path: url.pathname + url.search,
        headers,
        ...(body.length === 0 ? {} : { body }),
        signal: request.signal,
      });
      return answerOf(answer);
    },
  });
  return { port: server.port ?? port, stop: () => server.stop(true) };
}

async function bodyOf(request: Request): Promise<string | Uint8Array> {
  if (request.method === "GET" || request.method === "HEAD") return "";
  return isProtobuf(request.headers.get("content-type") ?? "") ? new Uint8Array(await request.arrayBuffer()) : request.text();
}

const refusal = new Refusal(401, "Unauthorized", "Unauthorized: use the kubeconfig that the sandbox wrote");
const unauthorized: ApiAnswer = { status: 401, headers: { "content-type": "application/json" }, body: JSON.stringify(refusal.status) };

function answerOf({ status, headers, body }: ApiAnswer): Response {
  return new Response(typeof body === "string" ? body : streamOf(body), { status, headers: { ...headers } });
}

/** Bun sends the header with the first bytes only, and clients wait for it before they believe in their watch: a space means nothing in JSON. */
const headerNow = new TextEncoder().encode(" ");

function streamOf(body: AsyncIterable<Uint8Array>): ReadableStream {
  const chunks = body[Symbol.asyncIterator]();
  return new ReadableStream({
    start(controller) {
      controller.enqueue(headerNow);
    },
    async pull(controller) {
      const next = await chunks.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await chunks.return?.();
    },
  });
}
