/**
 * gRPC calls with one request and one answer, to one socket. It connects when a call needs it, and anew when the runtime was restarted;
 * what the world does is an answer, nothing rejects.
 */
import type { Cancel, Env } from "../../env/env.ts";
import type { ConnectUnix } from "../../env/socket.ts";
import { Http2Connection } from "./http2/connection.ts";
import type { Header } from "./http2/hpack.ts";

export const grpcCode = {
  cancelled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export interface CallFailure {
  readonly ok: false;
  /** As in gRPC; see `grpcCode`. */
  readonly code: number;
  readonly message: string;
}
export type Called<T> = { readonly ok: true; readonly value: T } | CallFailure;

export interface CallOptions {
  /** From the call to the whole answer; absent: as long as it takes. */
  readonly deadlineMs?: number;
  /** Aborted: the runtime is told to stop. Besides this, every call ends when the process is asked to stop. */
  readonly signal?: AbortSignal;
}

export const grpcLimits = {
  /** An answer larger than this is an error. */
  answerBytesMax: 16 * 1024 * 1024,
  /** A call that cannot have reached the runtime is sent again, over a new connection. */
  retriesMax: 1,
} as const;

const prefixBytes = 5;

export class GrpcChannel {
  #connection: Http2Connection | undefined;
  #opening: Promise<Http2Connection> | undefined;

  constructor(
    private readonly env: Env,
    readonly socketPath: string,
    private readonly connect: ConnectUnix,
    private readonly userAgent = "kruise-daemon",
  ) {}

  /** @param method "/runtime.v1.RuntimeService/Version" */
  async call(method: string, request: Uint8Array, options: CallOptions = {}): Promise<Called<Uint8Array>> {
    const over = new AbortController();
    const startMs = this.env.monotonicMs();
    const stop = () => over.abort();
    for (const signal of [this.env.stopped, options.signal]) {
      if (signal?.aborted) over.abort();
      signal?.addEventListener("abort", stop, { once: true });
    }
    let isLate = false;
    let cancel: Cancel = () => {};
    if (options.deadlineMs !== undefined)
      cancel = this.env.after(options.deadlineMs, () => {
        isLate = true;
        over.abort();
      });
    try {
      const called = await this.#tries(method, request, options.deadlineMs, startMs, over.signal);
      if (called.ok || !over.signal.aborted) return called;
      if (isLate) return failure(grpcCode.deadlineExceeded, `no answer within ${(options.deadlineMs ?? 0) / 1000} s`);
      return failure(grpcCode.cancelled, "the call was cancelled");
    } finally {
      cancel();
      for (const signal of [this.env.stopped, options.signal]) signal?.removeEventListener("abort", stop);
    }
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #tries(
    method: string,
    request: Uint8Array,
    deadlineMs: number | undefined,
    startMs: number,
    signal: AbortSignal,
  ): Promise<Called<Uint8Array>> {
    for (let tries = 0; ; tries += 1) {
      const connection = await this.#connected(signal);
      if (typeof connection === "string") return failure(grpcCode.unavailable, connection);
      const leftMs = deadlineMs === undefined ? undefined : Math.max(1, deadlineMs - (this.env.monotonicMs() - startMs));
      const ended = await connection.request(
        this.#headers(method, leftMs),
        framed(request),
        prefixBytes + grpcLimits.answerBytesMax,
        signal,
      );
      if (ended.ok) return answerOf(ended.answer.headers, ended.answer.trailers, ended.answer.body);
      const { broken } = ended;
      if (broken.tooLarge) return failure(grpcCode.resourceExhausted, broken.message);
      if (broken.mayHaveHappened || tries >= grpcLimits.retriesMax || signal.aborted) return failure(grpcCode.unavailable, broken.message);
    }
  }

  /** @returns a text when nobody answers */
  async #connected(signal: AbortSignal): Promise<Http2Connection | string> {
    if (this.#connection !== undefined && !this.#connection.over) return this.#connection;
    this.#opening ??= Http2Connection.open(this.connect, this.socketPath)
      .then((connection) => {
        this.#connection = connection;
        return connection;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    try {
      return await untilAborted(this.#opening, signal);
    } catch (error) {
      const { code, message } = error as { code?: string; message?: string };
      return `cannot connect to ${this.socketPath}: ${code ?? message ?? String(error)}`;
    }
  }

  #headers(method: string, leftMs: number | undefined): Header[] {
    const headers: Header[] = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", method],
      [":authority", "localhost"],
      ["te", "trailers"],
      ["content-type", "application/grpc"],
      ["user-agent", this.userAgent],
    ];
    // At most eight digits.
    if (leftMs !== undefined)
      headers.push(["grpc-timeout", leftMs < 99_999_999 ? `${Math.ceil(leftMs)}m` : `${Math.ceil(leftMs / 1000)}S`]);
    return headers;
  }
}

export function failure(code: number, message: string): CallFailure {
  return { ok: false, code, message };
}

/** One message: not compressed, its length, its bytes. */
function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(prefixBytes + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, prefixBytes);
  return bytes;
}

function answerOf(headers: readonly Header[], trailers: readonly Header[], body: Uint8Array): Called<Uint8Array> {
  const status = headerOf(trailers, "grpc-status") ?? headerOf(headers, "grpc-status");
  const message = decodedMessage(headerOf(trailers, "grpc-message") ?? headerOf(headers, "grpc-message") ?? "");
  if (status === undefined) {
    const http = headerOf(headers, ":status") ?? "no";
    return failure(http === "404" ? grpcCode.unimplemented : grpcCode.unknown, `the answer carries no gRPC status (HTTP status ${http})`);
  }
  if (status !== "0") return failure(Number(status) || grpcCode.unknown, message);
  if (body.length < prefixBytes) return failure(grpcCode.internal, "the answer carries no message");
  const length = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(1);
  if (body[0] !== 0 || body.length !== prefixBytes + length) return failure(grpcCode.internal, "the answer is not one plain message");
  return { ok: true, value: body.subarray(prefixBytes) };
}

function headerOf(headers: readonly Header[], name: string): string | undefined {
  return headers.find(([candidate]) => candidate === name)?.[1];
}

/** Percent-encoded UTF-8; a broken encoding is shown as it is. */
function decodedMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Error("cancelled"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
