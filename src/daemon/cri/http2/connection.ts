/**
 * One HTTP/2 connection as a client: several requests at once, each with a body of known length, answers gathered whole. What gRPC over
 * a local socket needs, and no more: no push, no priorities, no upgrade.
 */
import type { ConnectUnix, Socket } from "../../../env/socket.ts";
import {
  contentOf,
  encodeFrame,
  encodeSettings,
  encodeUint32,
  errorCode,
  type Frame,
  FrameReader,
  flag,
  frameBytesMax,
  frameType,
  joined,
  preface,
  readSettings,
  readUint32,
  settingId,
} from "./frames.ts";
import { encodeHeaders, type Header, HeaderDecoder } from "./hpack.ts";

export interface Answer {
  readonly headers: readonly Header[];
  /** Empty when the headers were all. */
  readonly trailers: readonly Header[];
  readonly body: Uint8Array;
}

/** How a request ended without an answer. */
export interface Broken {
  /** Whether the server may have worked on it. */
  readonly mayHaveHappened: boolean;
  readonly message: string;
  readonly tooLarge?: true;
}

export type Ended = { readonly ok: true; readonly answer: Answer } | { readonly ok: false; readonly broken: Broken };

const windowBytesDefault = 65_535;
/** What the server may send of one answer before it is asked to go on. */
const streamWindowBytes = 4 * 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;

interface Stream {
  readonly id: number;
  readonly settle: (ended: Ended) => void;
  readonly answerBytesMax: number;
  headers: readonly Header[] | undefined;
  readonly parts: Uint8Array[];
  partBytes: number;
  /** What of the request waits for the server's window. */
  unsent: Uint8Array;
  /** Bytes that the server takes of this stream. */
  windowBytes: number;
  /** Bytes received and not yet given back to the server. */
  owedBytes: number;
}

export class Http2Connection {
  readonly #socket: Socket;
  readonly #streams = new Map<number, Stream>();
  readonly #reader = new FrameReader();
  readonly #decoder = new HeaderDecoder();
  #nextStream = 1;
  #windowBytes = windowBytesDefault;
  #peerStreamWindowBytes = windowBytesDefault;
  #peerFrameBytesMax = frameBytesMax;
  #owedBytes = 0;
  /** A header block that goes on in the next frame. */
  #block: { readonly frame: Frame; readonly parts: Uint8Array[] } | undefined;
  /** Why nothing more can be sent. */
  #over: string | undefined;

  /** @throws Error whose `code` says why nobody answers at this path */
  static async open(connect: ConnectUnix, path: string): Promise<Http2Connection> {
    let connection: Http2Connection | undefined;
    // Nothing can arrive before the preface is sent, which needs the connection.
    const socket = await connect(path, {
      data: (bytes) => connection?.receive(bytes),
      closed: () => connection?.end("the connection was closed"),
    });
    connection = new Http2Connection(socket);
    return connection;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    const settings = encodeSettings([
      [settingId.enablePush, 0],
      [settingId.initialWindowSize, streamWindowBytes],
    ]);
    socket.write(preface);
    socket.write(encodeFrame(frameType.settings, 0, 0, settings));
    socket.write(encodeFrame(frameType.windowUpdate, 0, 0, encodeUint32(connectionWindowBytes - windowBytesDefault)));
  }

  /** Takes no further requests: ask for a new connection. */
  get over(): boolean {
    return this.#over !== undefined;
  }

  /** @param signal aborted: the server is told to stop, and the request has ended */
  request(headers: readonly Header[], body: Uint8Array, answerBytesMax: number, signal: AbortSignal): Promise<Ended> {
    if (this.#over !== undefined) return Promise.resolve(notSent(this.#over));
    if (signal.aborted) return Promise.resolve(notSent("cancelled"));
    return new Promise((resolve) => {
      const id = this.#nextStream;
      this.#nextStream += 2;
      const cancel = () => this.#reset(stream, { mayHaveHappened: true, message: "cancelled" });
      const stream: Stream = {
        id,
        settle: (ended) => {
          this.#streams.delete(id);
          signal.removeEventListener("abort", cancel);
          resolve(ended);
        },
        answerBytesMax,
        headers: undefined,
        parts: [],
        partBytes: 0,
        unsent: body,
        windowBytes: this.#peerStreamWindowBytes,
        owedBytes: 0,
      };
      this.#streams.set(id, stream);
      signal.addEventListener("abort", cancel, { once: true });
      this.#socket.write(encodeFrame(frameType.headers, flag.endHeaders, id, encodeHeaders(headers)));
      this.#send(stream);
      // Identifiers are never used twice; before they run out a new connection takes over.
      if (this.#nextStream > 0x3fff_ffff) this.#over = "the connection has served its time";
    });
  }

  close(): void {
    this.end("the connection was closed");
  }

  private receive(bytes: Uint8Array): void {
    try {
      for (const frame of this.#reader.push(bytes)) this.#frame(frame);
    } catch (error) {
      this.end(`the runtime's answer cannot be read: ${(error as Error).message}`);
    }
  }

  private end(why: string): void {
    this.#over ??= why;
    for (const stream of [...this.#streams.values()]) stream.settle({ ok: false, broken: { mayHaveHappened: true, message: why } });
    this.#socket.close();
  }

  #frame(frame: Frame): void {
    if (this.#block !== undefined && frame.type !== frameType.continuation) throw new Error("a header block was not finished");
    switch (frame.type) {
      case frameType.data:
        this.#data(frame);
        break;
      case frameType.headers:
        this.#headers(frame, [contentOf(frame)]);
        break;
      case frameType.continuation:
        this.#continuation(frame);
        break;
      case frameType.resetStream:
        this.#wasReset(frame);
        break;
      case frameType.settings:
        this.#settings(frame);
        break;
      case frameType.ping:
        if (!(frame.flags & flag.ack)) this.#socket.write(encodeFrame(frameType.ping, flag.ack, 0, frame.body));
        break;
      case frameType.goAway:
        this.#goAway(frame);
        break;
      case frameType.windowUpdate:
        this.#windowUpdate(frame);
        break;
      default:
      // Frames of unknown types are to be passed over.
    }
  }

  #continuation(frame: Frame): void {
    const block = this.#block;
    if (block === undefined) throw new Error("a header block goes on that never began");
    this.#headers({ ...block.frame, flags: block.frame.flags | frame.flags }, [...block.parts, frame.body]);
  }

  #headers(frame: Frame, parts: Uint8Array[]): void {
    if (!(frame.flags & flag.endHeaders)) {
      this.#block = { frame, parts };
      return;
    }
    this.#block = undefined;
    // Also for a stream that nobody waits for: later blocks lean on this one.
    const headers = this.#decoder.decode(joined(parts));
    const stream = this.#streams.get(frame.stream);
    if (stream === undefined) return;
    const isEnd = (frame.flags & flag.endStream) !== 0;
    if (isEnd) {
      const answer: Answer = { headers: stream.headers ?? headers, trailers: stream.headers ? headers : [], body: joined(stream.parts) };
      // The server may answer before it has read the whole request; the rest is of no use then.
      if (stream.unsent.length > 0) this.#socket.write(encodeFrame(frameType.resetStream, 0, stream.id, encodeUint32(errorCode.none)));
      stream.settle({ ok: true, answer });
    } else stream.headers ??= headers;
  }

  #data(frame: Frame): void {
    const content = contentOf(frame);
    this.#owe(frame.body.length, this.#streams.get(frame.stream));
    const stream = this.#streams.get(frame.stream);
    if (stream === undefined) return;
    stream.partBytes += content.length;
    if (stream.partBytes > stream.answerBytesMax) {
      const message = `the answer is larger than ${stream.answerBytesMax} bytes`;
      this.#reset(stream, { mayHaveHappened: true, message, tooLarge: true });
      return;
    }
    if (content.length > 0) stream.parts.push(content);
    if (frame.flags & flag.endStream)
      stream.settle({ ok: true, answer: { headers: stream.headers ?? [], trailers: [], body: joined(stream.parts) } });
  }

  /** Gives room back once half of it is used. */
  #owe(bytes: number, stream: Stream | undefined): void {
    this.#owedBytes += bytes;
    if (this.#owedBytes >= connectionWindowBytes / 2) {
      this.#socket.write(encodeFrame(frameType.windowUpdate, 0, 0, encodeUint32(this.#owedBytes)));
      this.#owedBytes = 0;
    }
    if (stream === undefined) return;
    stream.owedBytes += bytes;
    if (stream.owedBytes >= streamWindowBytes / 2) {
      this.#socket.write(encodeFrame(frameType.windowUpdate, 0, stream.id, encodeUint32(stream.owedBytes)));
      stream.owedBytes = 0;
    }
  }

  #wasReset(frame: Frame): void {
    const code = readUint32(frame.body);
    const message = `the runtime reset the request (${code})`;
    this.#streams.get(frame.stream)?.settle({ ok: false, broken: { mayHaveHappened: code !== errorCode.refusedStream, message } });
  }

  #settings(frame: Frame): void {
    if (frame.flags & flag.ack) return;
    for (const [id, value] of readSettings(frame.body)) {
      if (id === settingId.maxFrameSize) this.#peerFrameBytesMax = value;
      if (id !== settingId.initialWindowSize) continue;
      for (const stream of this.#streams.values()) stream.windowBytes += value - this.#peerStreamWindowBytes;
      this.#peerStreamWindowBytes = value;
    }
    this.#socket.write(encodeFrame(frameType.settings, flag.ack, 0));
    this.#sendAll();
  }

  #goAway(frame: Frame): void {
    const last = readUint32(frame.body) & 0x7fff_ffff;
    this.#over ??= "the runtime is closing the connection";
    for (const stream of [...this.#streams.values()])
      if (stream.id > last) stream.settle({ ok: false, broken: { mayHaveHappened: false, message: this.#over } });
  }

  #windowUpdate(frame: Frame): void {
    const bytes = readUint32(frame.body) & 0x7fff_ffff;
    if (frame.stream === 0) this.#windowBytes += bytes;
    else {
      const stream = this.#streams.get(frame.stream);
      if (stream !== undefined) stream.windowBytes += bytes;
    }
    this.#sendAll();
  }

  #sendAll(): void {
    for (const stream of this.#streams.values()) if (stream.unsent.length > 0) this.#send(stream);
  }

  #send(stream: Stream): void {
    for (;;) {
      const bytes = Math.min(stream.unsent.length, this.#windowBytes, stream.windowBytes, this.#peerFrameBytesMax);
      if (bytes <= 0) return;
      const isLast = bytes === stream.unsent.length;
      this.#socket.write(encodeFrame(frameType.data, isLast ? flag.endStream : 0, stream.id, stream.unsent.subarray(0, bytes)));
      stream.unsent = stream.unsent.subarray(bytes);
      this.#windowBytes -= bytes;
      stream.windowBytes -= bytes;
    }
  }

  #reset(stream: Stream, broken: Broken): void {
    if (!this.#streams.has(stream.id)) return;
    this.#socket.write(encodeFrame(frameType.resetStream, 0, stream.id, encodeUint32(errorCode.cancel)));
    stream.settle({ ok: false, broken });
  }
}

function notSent(message: string): Ended {
  return { ok: false, broken: { mayHaveHappened: false, message } };
}
