/**
 * One request to the API server: credentials, deadline, concurrency, the server's wish to be left alone for a while. It knows HTTP
 * and nothing of kinds. Whatever the world does is an answer; nothing rejects.
 */
import type { Env } from "../env/env.ts";
import { sleep } from "../env/env.ts";
import type { Fetch, HttpResponse } from "../env/network.ts";
import type { Auth, Credentials } from "./credentials.ts";
import { type RateLimit, Slots, TokenBucket } from "./flow.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface ApiRequest {
  readonly method: Method;
  /** Below the server's address, with its query: "/api/v1/pods?limit=500". */
  readonly path: string;
  readonly body?: string;
  /** Of the body; default JSON. */
  readonly contentType?: string;
  readonly accept?: string;
  /** From sending to the whole answer, for each try; default 30 s. Waiting for a slot does not count. */
  readonly deadlineMs?: number;
  /** Goes at once, past the queue and the rate limit: a lease that is not renewed in time stops everything else. */
  readonly urgent?: boolean;
  /** How often a refusal is tried again; default 4. */
  readonly retriesMax?: number;
}

/** `status` 0: no answer. `sent` says whether the server may have seen the request. */
export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
  readonly sent: boolean;
  /** As the server asked, in its header. */
  readonly retryAfterMs?: number;
}

export interface StreamRequest {
  readonly path: string;
  readonly accept?: string;
  /** Takes one of the slots until closed. Watches do not. */
  readonly counted: boolean;
  /** Without a byte for this long, the connection counts as dead. Asked anew whenever it might have passed. */
  readonly idleMs: () => number;
}

export type StreamAnswer = { readonly ok: true; readonly stream: ByteStream } | { readonly ok: false; readonly answer: ApiAnswer };

/** The body of an answer as it comes. */
export interface ByteStream {
  /** Undefined: it has ended, `ended` says why. */
  read(): Promise<Uint8Array | undefined>;
  readonly ended: StreamEnd | undefined;
  close(): void;
}
export type StreamEnd = { readonly why: "done" | "idle" | "closed" } | { readonly why: "broken"; readonly message: string };

/** Told of every request: `code` is the HTTP status, or "<error>". */
export type RequestMeter = (code: string, method: string, ms: number) => void;

export interface TransportOptions {
  readonly fetch: Fetch;
  readonly credentials: Credentials;
  readonly userAgent: string;
  readonly inFlightMax?: number;
  /** For each user agent. Default: none, the server's own flow control leads. */
  readonly rateLimit?: RateLimit;
  readonly meter?: RequestMeter;
}

export const transportLimits = {
  deadlineMs: 30_000,
  retriesMax: 4,
  /** A server that asks for more patience is asked again after this. */
  retryAfterMsMax: 60_000,
  retryAfterMsDefault: 1000,
  backoffMsMin: 100,
} as const;

interface Shared {
  readonly env: Env;
  readonly options: TransportOptions;
  readonly slots: Slots;
}

/** Codes of errors that come before anything is sent. Certificate errors carry many codes, all of them telling. */
const notSentCode =
  /^(ECONNREFUSED|ENOTFOUND|EAI_|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|FailedToOpenSocket|ConnectionRefused)|CERT|ERR_TLS|UNABLE_TO|SELF_SIGNED|HOSTNAME_MISMATCH/;

export class Transport {
  private readonly bucket: TokenBucket | undefined;
  private readonly headers = new Map<string, Readonly<Record<string, string>>>();
  private headersAuth: Auth | undefined;

  static create(env: Env, options: TransportOptions): Transport {
    return new Transport({ env, options, slots: new Slots(env, options.inFlightMax) }, options.userAgent);
  }

  private constructor(
    private readonly shared: Shared,
    readonly userAgent: string,
  ) {
    const rate = shared.options.rateLimit;
    this.bucket = rate && new TokenBucket(shared.env, rate);
  }

  get env(): Env {
    return this.shared.env;
  }
  get inFlight(): number {
    return this.shared.slots.inFlight;
  }
  get server(): string {
    return this.shared.options.credentials.server;
  }

  /** The same connections and slots under another name, with a rate limit of its own. */
  as(userAgent: string): Transport {
    return new Transport(this.shared, userAgent);
  }

  async request(request: ApiRequest): Promise<ApiAnswer> {
    const retriesMax = request.retriesMax ?? transportLimits.retriesMax;
    let renewed = false;
    for (let tries = 0; ; tries += 1) {
      const answer = await this.once(request);
      if (answer.status === 401 && !renewed) {
        // The token may have been rotated since it was read. Nothing has happened on the server.
        renewed = true;
        this.shared.options.credentials.renew();
        continue;
      }
      const waitMs = this.retryWaitMs(request, answer, tries);
      if (waitMs === undefined || tries >= retriesMax || this.env.stopped.aborted) return answer;
      await sleep(this.env, waitMs);
    }
  }

  async stream(request: StreamRequest): Promise<StreamAnswer> {
    if (request.counted) {
      const full = await this.enter();
      if (full) return { ok: false, answer: full };
    }
    const release = request.counted ? () => this.shared.slots.giveBack() : undefined;
    const abort = new AbortController();
    const startMs = this.env.monotonicMs();
    let cancel = this.env.after(transportLimits.deadlineMs, () => abort.abort());
    let sent = false;
    try {
      const auth = await this.auth();
      sent = true;
      const response = await this.send(
        auth,
        "GET",
        request.path,
        this.headersFor(auth, request.accept ?? jsonType, undefined),
        undefined,
        abort.signal,
      );
      this.measure(String(response.status), "GET", startMs);
      if (response.status !== 200) {
        if (response.status === 401) this.shared.options.credentials.renew();
        const answer = { status: response.status, text: await response.text(), sent: true, retryAfterMs: retryAfterMs(response, this.env) };
        cancel();
        release?.();
        return { ok: false, answer };
      }
      cancel();
      cancel = () => {};
      return { ok: true, stream: new BodyStream(this.env, response, abort, request.idleMs, release) };
    } catch (error) {
      cancel();
      release?.();
      this.measure("<error>", "GET", startMs);
      return { ok: false, answer: noAnswer(error, sent, abort.signal.aborted) };
    }
  }

  private async once(request: ApiRequest): Promise<ApiAnswer> {
    const urgent = request.urgent ?? false;
    if (!urgent) {
      const waitMs = this.bucket?.reserveMs() ?? 0;
      if (waitMs > 0) await sleep(this.env, waitMs);
      const full = await this.enter();
      if (full) return full;
    }
    const abort = new AbortController();
    const startMs = this.env.monotonicMs();
    const deadlineMs = request.deadlineMs ?? transportLimits.deadlineMs;
    const cancel = this.env.after(deadlineMs, () => abort.abort());
    let sent = false;
    try {
      const auth = await this.auth();
      const contentType = request.body === undefined ? undefined : (request.contentType ?? jsonType);
      sent = true;
      const headers = this.headersFor(auth, request.accept ?? jsonType, contentType);
      const response = await this.send(auth, request.method, request.path, headers, request.body, abort.signal);
      const text = await response.text();
      this.measure(String(response.status), request.method, startMs);
      if (response.status < 400) this.shared.slots.succeeded();
      return { status: response.status, text, sent: true, retryAfterMs: retryAfterMs(response, this.env) };
    } catch (error) {
      this.measure("<error>", request.method, startMs);
      return noAnswer(error, sent, abort.signal.aborted, deadlineMs);
    } finally {
      cancel();
      if (!urgent) this.shared.slots.giveBack();
    }
  }

  /** @returns an answer only when there is no room even to wait */
  private async enter(): Promise<ApiAnswer | undefined> {
    const wait = this.shared.slots.take();
    if (wait === undefined) return undefined;
    if (wait === "full")
      return {
        status: 429,
        text: "too many requests wait for the API server",
        sent: false,
        retryAfterMs: transportLimits.retryAfterMsDefault,
      };
    await wait;
    return undefined;
  }

  /** How long to wait before the same request again; undefined when the answer stands. */
  private retryWaitMs(request: ApiRequest, answer: ApiAnswer, tries: number): number | undefined {
    const { random } = this.env;
    if (answer.status === 429) {
      if (request.retriesMax === 0) return undefined;
      this.shared.slots.throttled();
      // Jitter upwards only: the server said not before.
      return (answer.retryAfterMs ?? transportLimits.retryAfterMsDefault) * (1 + 0.25 * random());
    }
    if (request.method !== "GET") return undefined;
    if (answer.status >= 500 && answer.retryAfterMs !== undefined) return answer.retryAfterMs * (1 + 0.25 * random());
    // A kept-alive connection that the server closed in the same moment. Repeated at once a few times, then the caller decides.
    if (answer.status === 0 && answer.sent && tries < 2) return transportLimits.backoffMsMin * 2 ** tries * (0.5 + random());
    return undefined;
  }

  private auth(): Auth | Promise<Auth> {
    return this.shared.options.credentials.auth();
  }

  private async send(
    auth: Auth,
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: string | undefined,
    signal: AbortSignal,
  ) {
    const { fetch, credentials } = this.shared.options;
    const { env } = this;
    const startMs = env.monotonicMs();
    const response = await fetch(credentials.server + path, { method, headers, body, tls: auth.tls, proxy: auth.proxy, signal });
    const date = env.serverSaid === undefined ? null : response.headers.get("date");
    if (date !== null) {
      const serverMs = Date.parse(date);
      if (!Number.isNaN(serverMs)) env.serverSaid?.(serverMs, env.monotonicMs() - startMs);
    }
    return response;
  }

  /** Equal requests share one object: headers are the same for thousands of requests. */
  private headersFor(auth: Auth, accept: string, contentType: string | undefined): Readonly<Record<string, string>> {
    if (auth !== this.headersAuth) {
      this.headers.clear();
      this.headersAuth = auth;
    }
    const key = contentType === undefined ? accept : `${accept}\n${contentType}`;
    let headers = this.headers.get(key);
    if (!headers) {
      // Compressing costs both sides more than the bytes cost a cluster's network.
      headers = {
        accept,
        "accept-encoding": "identity",
        "user-agent": this.userAgent,
        ...auth.headers,
        ...(contentType && { "content-type": contentType }),
      };
      this.headers.set(key, headers);
    }
    return headers;
  }

  private measure(code: string, method: string, startMs: number): void {
    this.shared.options.meter?.(code, method, this.env.monotonicMs() - startMs);
  }
}

const jsonType = "application/json";

function noAnswer(error: unknown, sent: boolean, aborted: boolean, deadlineMs: number = transportLimits.deadlineMs): ApiAnswer {
  if (aborted) return { status: 0, sent, text: `no answer within ${deadlineMs / 1000} s` };
  const { code, message } = error as { code?: string; message?: string };
  return { status: 0, sent: sent && !(code !== undefined && notSentCode.test(code)), text: message ?? String(error) };
}

/** Seconds or an HTTP date. */
function retryAfterMs(response: HttpResponse, env: Env): number | undefined {
  if (response.status !== 429 && response.status < 500) return undefined;
  const value = response.headers.get("retry-after");
  if (value === null) return undefined;
  const seconds = Number(value);
  const ms = Number.isNaN(seconds) ? Date.parse(value) - env.nowMs() : seconds * 1000;
  return Number.isNaN(ms) ? undefined : Math.min(transportLimits.retryAfterMsMax, Math.max(0, ms));
}

class BodyStream implements ByteStream {
  ended: StreamEnd | undefined;
  private readonly chunks: AsyncIterator<Uint8Array> | undefined;
  private lastByteMs: number;
  private cancelTimer: () => void = () => {};
  private unblock: () => void = () => {};

  constructor(
    private readonly env: Env,
    response: HttpResponse,
    private readonly abort: AbortController,
    private readonly idleMs: () => number,
    private readonly release: (() => void) | undefined,
  ) {
    this.chunks = response.body?.[Symbol.asyncIterator]();
    this.lastByteMs = env.monotonicMs();
    this.watchIdle();
  }

  read(): Promise<Uint8Array | undefined> {
    const chunks = this.chunks;
    if (this.ended || !chunks) return Promise.resolve(this.end({ why: "done" }));
    // Not simply awaited: a body that does not heed the signal must not hold the reader after the end.
    return new Promise((resolve) => {
      this.unblock = () => resolve(undefined);
      chunks.next().then(
        (next) => {
          if (this.ended) return;
          if (next.done) return this.end({ why: "done" });
          this.lastByteMs = this.env.monotonicMs();
          resolve(next.value);
        },
        (error) => this.end({ why: "broken", message: (error as Error)?.message ?? String(error) }),
      );
    });
  }

  close(): void {
    this.end({ why: "closed" });
  }

  private end(end: StreamEnd): undefined {
    if (this.ended) return;
    this.ended = end;
    this.cancelTimer();
    this.release?.();
    this.unblock();
    if (end.why === "done") return;
    this.abort.abort();
    this.chunks?.return?.().catch(() => {});
  }

  /** One timer that looks again, rather than one for each chunk. */
  private watchIdle(): void {
    const leftMs = this.idleMs() - (this.env.monotonicMs() - this.lastByteMs);
    if (leftMs <= 0) this.end({ why: "idle" });
    else this.cancelTimer = this.env.after(leftMs, () => this.watchIdle());
  }
}
