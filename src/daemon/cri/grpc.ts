/**
 * gRPC calls with one request and one answer, to one socket. It connects when a call needs it, and anew when the runtime was restarted;
 * what the world does is an answer, nothing rejects.
 */
import { type ChannelOptions, Client, connectivityState, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { Cancel, Env } from "../../env/env.ts";

export const grpcCode = {
  cancelled: status.CANCELLED,
  unknown: status.UNKNOWN,
  deadlineExceeded: status.DEADLINE_EXCEEDED,
  notFound: status.NOT_FOUND,
  resourceExhausted: status.RESOURCE_EXHAUSTED,
  failedPrecondition: status.FAILED_PRECONDITION,
  unimplemented: status.UNIMPLEMENTED,
  internal: status.INTERNAL,
  unavailable: status.UNAVAILABLE,
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
} as const;

/** Until the library tries again by itself where a connection was refused; a call does not wait for it. */
const reconnectMsMax = 1000;

export class GrpcChannel {
  #client: Client | undefined;

  constructor(
    private readonly env: Env,
    readonly socketPath: string,
    private readonly userAgent = "kruise-daemon",
  ) {}

  /** @param method "/runtime.v1.RuntimeService/Version" */
  async call(method: string, request: Uint8Array, options: CallOptions = {}): Promise<Called<Uint8Array>> {
    const { deadlineMs, signal } = options;
    const signals = signal === undefined ? [this.env.stopped] : [this.env.stopped, signal];
    if (signals.some(({ aborted }) => aborted)) return failure(grpcCode.cancelled, "the call was cancelled");
    const client = this.#opened();
    let endNow: (ended: CallFailure) => void = () => {};
    const stop = () => endNow(failure(grpcCode.cancelled, "the call was cancelled"));
    let cancel: Cancel = () => {};
    const metadata = new Metadata();
    if (deadlineMs !== undefined) {
      // Not the library's own deadline: that is a time of the wall clock, which may jump.
      metadata.set("grpc-timeout", timeoutText(deadlineMs));
      cancel = this.env.after(deadlineMs, () => endNow(failure(grpcCode.deadlineExceeded, `no answer within ${deadlineMs / 1000} s`)));
    }
    for (const each of signals) each.addEventListener("abort", stop, { once: true });
    try {
      const called = await new Promise<Called<Uint8Array>>((resolve) => {
        const call = client.makeUnaryRequest(method, asBuffer, asIs, request, metadata, (error, answer) =>
          resolve(error === null ? { ok: true, value: answer ?? new Uint8Array(0) } : failureOf(error, this.socketPath)),
        );
        endNow = (ended) => {
          resolve(ended);
          call.cancel();
        };
      });
      if (!called.ok) this.#forgetUnreachable(client);
      return called;
    } finally {
      cancel();
      for (const each of signals) each.removeEventListener("abort", stop);
    }
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  #opened(): Client {
    this.#client ??= new Client(`unix://${this.socketPath}`, credentials.createInsecure(), channelOptions(this.userAgent));
    return this.#client;
  }

  /** The next call is to connect at once; the library would wait longer and longer before it tries again. */
  #forgetUnreachable(client: Client): void {
    if (client.getChannel().getConnectivityState(false) !== connectivityState.TRANSIENT_FAILURE) return;
    if (this.#client === client) this.#client = undefined;
    client.close();
  }
}

export function failure(code: number, message: string): CallFailure {
  return { ok: false, code, message };
}

function channelOptions(userAgent: string): ChannelOptions {
  return {
    "grpc.primary_user_agent": userAgent,
    "grpc.max_receive_message_length": grpcLimits.answerBytesMax,
    "grpc.max_send_message_length": -1,
    // A channel that is closed while it waits to connect again still does so once, and leaves that connection open: it must not wait.
    "grpc.initial_reconnect_backoff_ms": 1,
    "grpc.max_reconnect_backoff_ms": reconnectMsMax,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    "grpc.service_config_disable_resolution": 1,
  };
}

const unconnected = /^No connection established\. Last error: (?:Error: )?(.*)\. Resolution note: /s;

/** The runtime's own words; where there was no connection, only the reason, without the library's time stamp: the same each time. */
function failureOf({ code, details }: ServiceError, socketPath: string): CallFailure {
  const why = unconnected.exec(details)?.[1]?.replace(/ \([-0-9T:.]+Z\)$/, "");
  if (why === undefined) return failure(code, details);
  return failure(code, `cannot connect to ${socketPath}: ${/\bE[A-Z]{3,}\b/.exec(why)?.[0] ?? why}`);
}

function asBuffer(message: Uint8Array): Buffer {
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
}

function asIs(message: Buffer): Uint8Array {
  return message;
}

/** At most eight digits. */
function timeoutText(ms: number): string {
  return ms < 99_999_999 ? `${Math.ceil(ms)}m` : `${Math.ceil(ms / 1000)}S`;
}
