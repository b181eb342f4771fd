/**
 * HPACK's Huffman code (RFC 7541, appendix B). It is canonical: shorter codes come first, and codes of one length are consecutive in the
 * order of their symbols, so their lengths say everything.
 */

/** Bits of each symbol's code, one letter each: "a" is 1. The last one, 256, marks the end and never occurs. */
const lengths =
  "mw|||||||x~||~||||||||~|||||||||fjjlmfhkjjhkhfffeeefffffffghoflj" +
  "mfgggggggggggggggggggggghghmsmnfoefefefffeggfffefgfeefgggggoknm|" +
  "tvttvvvwvwwwwwxwxxvwxwwwwuvwvwwxvutvvwwuwvvxuvwwuuvuwvwwtvvvwvvw" +
  "zztsvwvyzzz{{zxysuz{{z{xuuzz|{{{txtuvuuwvvyyxxzwz{zz{{{{{|{{{{{z" +
  "~";
const bitsMax = 30;
const endSymbol = 256;

/** By length: the first code, how many there are, and where their symbols begin. */
const firstCode: number[] = new Array(bitsMax + 1).fill(0);
const count: number[] = new Array(bitsMax + 1).fill(0);
const firstIndex: number[] = new Array(bitsMax + 1).fill(0);
const symbols: number[] = [];

for (let bits = 1, code = 0; bits <= bitsMax; bits += 1, code *= 2) {
  firstCode[bits] = code;
  firstIndex[bits] = symbols.length;
  for (let symbol = 0; symbol <= endSymbol; symbol += 1) if (lengths.charCodeAt(symbol) - 96 === bits) symbols.push(symbol);
  count[bits] = symbols.length - (firstIndex[bits] as number);
  code += count[bits] as number;
}

/** @returns the text, a character for each byte; undefined when it is not a valid encoding */
export function huffmanDecode(bytes: Uint8Array): string | undefined {
  let text = "";
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let shift = 7; shift >= 0; shift -= 1) {
      code = code * 2 + ((byte >> shift) & 1);
      bits += 1;
      if (bits > bitsMax) return undefined;
      const offset = code - (firstCode[bits] as number);
      if (offset >= (count[bits] as number)) continue;
      const symbol = symbols[(firstIndex[bits] as number) + offset] as number;
      if (symbol === endSymbol) return undefined;
      text += String.fromCharCode(symbol);
      code = 0;
      bits = 0;
    }
  }
  // The rest is padding: at most seven bits, all ones.
  return bits < 8 && code === 2 ** bits - 1 ? text : undefined;
}
