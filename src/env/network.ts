/** The doors to the network. Everything above takes a `Fetch`, so that tests and the simulator can put a server in its place. */

export interface ClientTls {
  /** PEM; absent: the system's authorities. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
  /** The name the server's certificate must carry, where it differs from the host in the URL. */
  readonly serverName?: string;
}

export interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly tls?: ClientTls;
  readonly proxy?: string;
  readonly signal?: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  /** Null when the answer has no body. Read either this or `text`. */
  readonly body: AsyncIterable<Uint8Array> | null;
  text(): Promise<string>;
}

/** Rejects when there is no answer: an Error whose `code` says why, or the reason of the signal. */
export type Fetch = (url: string, request: HttpRequest) => Promise<HttpResponse>;

/** Keeps connections alive; one connection for every request in flight, so the caller bounds those. Deadlines are the caller's too. */
export const httpFetch: Fetch = (url, request) =>
  fetch(url, { redirect: "manual", timeout: false, ...request } as BunFetchRequestInit) as unknown as Promise<HttpResponse>;

/** Listens, with TLS when asked. */
export const serve: typeof Bun.serve = Bun.serve;
