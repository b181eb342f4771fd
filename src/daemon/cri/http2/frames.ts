/** HTTP/2 frames (RFC 9113 §4, §6): cutting a stream of bytes into frames, and writing them. */

export const frameType = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const settingId = { enablePush: 2, initialWindowSize: 4, maxFrameSize: 5 } as const;

export const errorCode = { none: 0, protocol: 1, refusedStream: 7, cancel: 8 } as const;

export const preface = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Bytes of a frame's content that every peer takes, and the most that we take. */
export const frameBytesMax = 16_384;
const headBytes = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly body: Uint8Array;
}

const empty = new Uint8Array(0);

export function encodeFrame(type: number, flags: number, stream: number, body: Uint8Array = empty): Uint8Array {
  const bytes = new Uint8Array(headBytes + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, (body.length << 8) | type);
  bytes[4] = flags;
  view.setUint32(5, stream);
  bytes.set(body, headBytes);
  return bytes;
}

export function encodeUint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function readUint32(bytes: Uint8Array, at = 0): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);
}

export function encodeSettings(settings: readonly (readonly [id: number, value: number])[]): Uint8Array {
  const bytes = new Uint8Array(settings.length * 6);
  const view = new DataView(bytes.buffer);
  for (const [index, [id, value]] of settings.entries()) {
    view.setUint16(index * 6, id);
    view.setUint32(index * 6 + 2, value);
  }
  return bytes;
}

export function readSettings(body: Uint8Array): (readonly [id: number, value: number])[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const settings: (readonly [number, number])[] = [];
  for (let at = 0; at + 6 <= body.length; at += 6) settings.push([view.getUint16(at), view.getUint32(at + 2)]);
  return settings;
}

/** A frame's body without its padding and, for headers, its priority. @throws Error when the padding is longer than the frame */
export function contentOf(frame: Frame): Uint8Array {
  let { body } = frame;
  if (frame.flags & flag.padded) {
    const padding = body[0] ?? 0;
    if (padding >= body.length) throw new Error("a frame is all padding");
    body = body.subarray(1, body.length - padding);
  }
  return frame.type === frameType.headers && frame.flags & flag.priority ? body.subarray(5) : body;
}

/** Bytes as they come in, frames out. */
export class FrameReader {
  #held: Uint8Array = empty;

  /** @throws Error when a frame is longer than we said we take */
  *push(bytes: Uint8Array): Generator<Frame, void> {
    this.#held = this.#held.length === 0 ? bytes : joined([this.#held, bytes]);
    while (this.#held.length >= headBytes) {
      const lengthAndType = readUint32(this.#held);
      const length = lengthAndType >>> 8;
      if (length > frameBytesMax) throw new Error(`a frame of ${length} bytes is longer than ${frameBytesMax}`);
      if (this.#held.length < headBytes + length) return;
      const frame: Frame = {
        type: lengthAndType & 0xff,
        flags: this.#held[4] ?? 0,
        stream: readUint32(this.#held, 5) & 0x7fff_ffff,
        body: this.#held.subarray(headBytes, headBytes + length),
      };
      this.#held = this.#held.subarray(headBytes + length);
      yield frame;
    }
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
