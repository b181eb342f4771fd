import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeHeaders, type Header, HeaderDecoder } from "./hpack.ts";
import { huffmanDecode } from "./huffman.ts";

const bytes = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

describe("RFC 7541, appendix C.4: three requests on one connection, Huffman coded, each leaning on the ones before", () => {
  const decoder = new HeaderDecoder();
  const common: Header[] = [[":method", "GET"]];
  test.each([
    ["828684418cf1e3c2e5f23a6ba0ab90f4ff", [...common, [":scheme", "http"], [":path", "/"], [":authority", "www.example.com"]]],
    [
      "828684be5886a8eb10649cbf",
      [...common, [":scheme", "http"], [":path", "/"], [":authority", "www.example.com"], ["cache-control", "no-cache"]],
    ],
    [
      "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
      [...common, [":scheme", "https"], [":path", "/index.html"], [":authority", "www.example.com"], ["custom-key", "custom-value"]],
    ],
  ])("%s", (hex, headers) => expect(decoder.decode(bytes(hex))).toEqual(headers as Header[]));
});

describe("Huffman code", () => {
  test.each([
    ["f1e3c2e5f23a6ba0ab90f4ff", "www.example.com", "RFC 7541 C.4.1"],
    ["", "", "nothing"],
    ["00", undefined, "padding must be ones"],
    ["ffffffff", undefined, "the end symbol never occurs"],
    ["07ff", undefined, "more than seven bits of padding"],
  ])("%s is %p: %s", (hex, text) => expect(huffmanDecode(bytes(hex))).toBe(text as string));
});

test("what we write we can read", () =>
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.stringMatching(/^[a-z-]{1,20}$/), fc.stringMatching(/^[ -~]{0,300}$/))), (headers) => {
      expect(new HeaderDecoder().decode(encodeHeaders(headers))).toEqual(headers);
    }),
    { numRuns: 50 },
  ));

test.each([
  ["c0", "an index beyond both tables"],
  ["00", "ends before its name"],
  ["0005", "ends before its text"],
  ["3fffffffff7f", "a table larger than offered"],
])("%s is refused: %s", (hex) => expect(() => new HeaderDecoder().decode(bytes(hex))).toThrow());
