/** HPACK (RFC 7541): headers as HTTP/2 packs them. What we send is plain; what servers send may use everything. */
import { huffmanDecode } from "./huffman.ts";

export type Header = readonly [name: string, value: string];

/** Appendix A, from index 1 on. */
const staticTable: readonly Header[] = (
  ":authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204" +
  "|:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate" +
  "|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control" +
  "|content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|cookie" +
  "|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified" +
  "|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie" +
  "|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate"
)
  .split("|")
  .map((entry) => {
    const equals = entry.indexOf("=");
    return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
  });

export const hpackLimits = {
  /** The size of the dynamic table that a peer may use before it is told otherwise. Ours stays at that. */
  tableBytes: 4096,
  /** What an entry counts besides its text. */
  entryBytes: 32,
} as const;

const encoder = new TextEncoder();

/** Literal fields without indexing: a handful of headers on a local socket need no compression. */
export function encodeHeaders(headers: readonly Header[]): Uint8Array {
  const out: number[] = [];
  for (const [name, value] of headers) {
    out.push(0);
    pushText(out, name);
    pushText(out, value);
  }
  return Uint8Array.from(out);
}

function pushText(out: number[], text: string): void {
  const bytes = encoder.encode(text);
  pushInteger(out, bytes.length, 7);
  for (const byte of bytes) out.push(byte);
}

/** RFC 7541 §5.1; the bits before the prefix are 0. */
function pushInteger(out: number[], value: number, prefixBits: number): void {
  const max = 2 ** prefixBits - 1;
  if (value < max) {
    out.push(value);
    return;
  }
  out.push(max);
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  out.push(rest);
}

/** One a connection: what a block says may lean on the blocks before it. */
export class HeaderDecoder {
  /** Newest first. */
  readonly #table: Header[] = [];
  #tableBytes = 0;
  #tableBytesMax: number = hpackLimits.tableBytes;

  /** @throws Error when the block is broken: nothing that follows on the connection can be read then */
  decode(block: Uint8Array): Header[] {
    const headers: Header[] = [];
    const input = new Input(block);
    while (!input.ended) {
      const first = input.peek();
      if (first & 0x80) headers.push(this.#at(input.integer(7)));
      else if (first & 0x40) {
        const header = this.#literal(input, 6);
        this.#add(header);
        headers.push(header);
      } else if (first & 0x20) this.#resize(input.integer(5));
      else headers.push(this.#literal(input, 4));
    }
    return headers;
  }

  #literal(input: Input, prefixBits: number): Header {
    const index = input.integer(prefixBits);
    const name = index === 0 ? input.text() : this.#at(index)[0];
    return [name, input.text()];
  }

  #at(index: number): Header {
    const header = index <= staticTable.length ? staticTable[index - 1] : this.#table[index - staticTable.length - 1];
    if (header === undefined) throw new Error(`no header has index ${index}`);
    return header;
  }

  #add(header: Header): void {
    this.#table.unshift(header);
    this.#tableBytes += sizeOf(header);
    this.#evict();
  }

  #resize(bytes: number): void {
    if (bytes > hpackLimits.tableBytes) throw new Error(`a header table of ${bytes} bytes was never offered`);
    this.#tableBytesMax = bytes;
    this.#evict();
  }

  #evict(): void {
    while (this.#tableBytes > this.#tableBytesMax) {
      const oldest = this.#table.pop();
      if (oldest === undefined) return;
      this.#tableBytes -= sizeOf(oldest);
    }
  }
}

function sizeOf([name, value]: Header): number {
  return name.length + value.length + hpackLimits.entryBytes;
}

class Input {
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get ended(): boolean {
    return this.#at >= this.bytes.length;
  }
  peek(): number {
    return this.bytes[this.#at] ?? 0;
  }

  integer(prefixBits: number): number {
    const max = 2 ** prefixBits - 1;
    let value = this.#byte() & max;
    if (value < max) return value;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (value > 2 ** 31) throw new Error("a number in a header block is too large");
      if (byte < 0x80) return value;
    }
  }

  text(): string {
    const isHuffman = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const bytes = this.bytes.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw new Error("a header block ends in the middle of a text");
    this.#at += length;
    const text = isHuffman ? huffmanDecode(bytes) : String.fromCharCode(...bytes);
    if (text === undefined) throw new Error("a header text is not valid Huffman code");
    return text;
  }

  #byte(): number {
    const byte = this.bytes[this.#at];
    if (byte === undefined) throw new Error("a header block ends in the middle of a number");
    this.#at += 1;
    return byte;
  }
}
