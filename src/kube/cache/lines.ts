/** Cutting bytes into JSON texts as they arrive: the lines of a watch, the items of a list. Nothing is held but the piece at hand. */
import { assert } from "../../env/env.ts";

const MiB = 1024 * 1024;
export const lineLimits = {
  /** etcd refuses requests above 1.5 MiB by default; the rest is room for JSON escapes. */
  lineBytesMax: 4 * MiB,
  /** What is around the items of a list. */
  envelopeBytesMax: 1 * MiB,
} as const;
assert(lineLimits.lineBytesMax > 2 * 1.5 * MiB, "the largest object fits a line even when every other character is escaped");

const decoder = new TextDecoder();

/** Gathers the bytes of one text over chunks, up to a bound. Past it they are dropped and the text counts as too long. */
class Piece {
  private parts: Uint8Array[] = [];
  private length = 0;
  private over = false;

  constructor(private readonly bytesMax: number) {}

  get empty(): boolean {
    return this.length === 0 && !this.over;
  }
  /** Copies: the chunk's memory belongs to its reader. */
  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.over || this.length + bytes.length > this.bytesMax) {
      this.over = true;
      this.parts = [];
      return;
    }
    this.parts.push(bytes.slice());
    this.length += bytes.length;
  }
  /** The text with `last` at its end, or undefined when it was too long; starts anew. */
  finish(last: Uint8Array): string | undefined {
    const { parts, over } = this;
    const fits = !over && this.length + last.length <= this.bytesMax;
    this.parts = [];
    this.length = 0;
    this.over = false;
    if (!fits) return undefined;
    if (parts.length === 0) return decoder.decode(last);
    parts.push(last);
    return decoder.decode(parts.length === 1 ? parts[0] : Buffer.concat(parts));
  }
}

/** A stream of JSON texts, one a line. */
export class LineSplitter {
  /** Lines longer than the bound: dropped. */
  tooLong = 0;
  private readonly piece: Piece;

  constructor(bytesMax: number = lineLimits.lineBytesMax) {
    this.piece = new Piece(bytesMax);
  }

  /** The lines that end in this chunk. */
  *push(chunk: Uint8Array): Generator<string, void> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(10, start);
      if (end < 0) break;
      const line = this.piece.finish(chunk.subarray(start, end));
      start = end + 1;
      if (line === undefined) this.tooLong += 1;
      else if (line.length > 1) yield line;
    }
    this.piece.add(chunk.subarray(start));
  }

  /** What came after the last line end. */
  rest(): string {
    return this.piece.finish(new Uint8Array(0)) ?? "";
  }
}

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const itemsKey = /"items"\s*:\s*\[$/;

/**
 * A Kubernetes list as it arrives: gives the JSON text of each item, and keeps everything else as the envelope, in which `items` is
 * empty. So a list of any length is read with the memory of one item, and in slices.
 */
export class ListScanner {
  tooLong = 0;
  private depth = 0;
  private inString = false;
  private escaped = false;
  private inItems = false;
  /** Where, in the chunk at hand, the text begins that is not put away yet. */
  private start = 0;
  private readonly item: Piece;
  private readonly envelope: Uint8Array[] = [];
  private envelopeBytes = 0;

  constructor(bytesMax: number = lineLimits.lineBytesMax) {
    this.item = new Piece(bytesMax);
  }

  /** The items that end in this chunk. @throws RangeError when this can be no Kubernetes list */
  *push(chunk: Uint8Array): Generator<string, void> {
    this.start = 0;
    for (let index = this.skipString(chunk, 0); index < chunk.length; index += 1) {
      const byte = chunk[index];
      if (byte === quote) {
        this.inString = true;
        index = this.skipString(chunk, index + 1) - 1;
      } else if (byte === openBrace || byte === openBracket) this.open(chunk, index);
      else if (byte === closeBrace || byte === closeBracket) {
        const text = this.close(chunk, index);
        if (text !== undefined) yield text;
      }
    }
    // Between two items there is only a comma, which nobody needs.
    if (!this.inItems) this.addEnvelope(chunk.subarray(this.start));
    else if (this.depth >= 3) this.item.add(chunk.subarray(this.start));
  }

  /** @returns the index behind the string's closing quote, or the end of the chunk */
  private skipString(chunk: Uint8Array, from: number): number {
    if (!this.inString) return from;
    let index = from;
    if (this.escaped && index < chunk.length) {
      this.escaped = false;
      index += 1;
    }
    for (; index < chunk.length; index += 1) {
      const byte = chunk[index];
      if (byte === backslash) {
        index += 1;
        if (index >= chunk.length) this.escaped = true;
      } else if (byte === quote) {
        this.inString = false;
        return index + 1;
      }
    }
    return chunk.length;
  }

  private open(chunk: Uint8Array, index: number): void {
    this.depth += 1;
    if (this.inItems) {
      if (this.depth === 3) this.start = index;
    } else if (this.depth === 2 && chunk[index] === openBracket) {
      this.addEnvelope(chunk.subarray(this.start, index + 1));
      this.start = index + 1;
      this.inItems = this.atItems();
    }
  }

  private close(chunk: Uint8Array, index: number): string | undefined {
    this.depth -= 1;
    if (!this.inItems || this.depth > 2) return undefined;
    if (this.depth === 1) {
      this.inItems = false;
      this.start = index;
      return undefined;
    }
    const text = this.item.finish(chunk.subarray(this.start, index + 1));
    if (text === undefined) this.tooLong += 1;
    return text;
  }

  /** Everything but the items, once all has been pushed. @throws SyntaxError when the list was cut off or is no JSON */
  end(): { readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string } } {
    return JSON.parse(decoder.decode(Buffer.concat(this.envelope)));
  }

  private addEnvelope(bytes: Uint8Array): void {
    this.envelopeBytes += bytes.length;
    if (this.envelopeBytes > lineLimits.envelopeBytesMax) throw new RangeError("the list has too much around its items");
    if (bytes.length > 0) this.envelope.push(bytes.slice());
  }

  /** Whether the envelope so far ends with the opening of its items. */
  private atItems(): boolean {
    return itemsKey.test(decoder.decode(Buffer.concat(this.envelope.slice(-64)).subarray(-64)));
  }
}
