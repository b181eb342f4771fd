import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { containerStatusResponse, execSyncResponse, pullImageRequest } from "./messages.ts";
import { boolean, Input, integer, listOf, message, nanoseconds, text, textMap, texts } from "./proto.ts";

const inner = message({ a: [1, integer] });
const all = message({
  text: [1, text],
  number: [2, integer],
  flag: [3, boolean],
  texts: [4, texts],
  map: [5, textMap],
  inner: [6, inner.type],
  inners: [7, listOf(inner)],
  at: [16, nanoseconds],
});
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("bytes as protoc writes them", () => {
  test.each([
    [{ text: "testing" }, "0a0774657374696e67"],
    [{ number: 150 }, "109601"],
    [{ flag: true }, "1801"],
    [{ inner: { a: 150 } }, "3203089601"],
    [{ texts: ["a", ""] }, "22016122 00".replace(" ", "")],
    [{ map: { k: "v" } }, "2a060a016b120176"],
    [{ text: "", number: 0, flag: false, texts: [], map: {} }, ""],
  ])("%j is %s", (value, expected) => expect(hex(all.encode(value))).toBe(expected));
});

test("what is missing has its default, what is unknown is passed over", () => {
  const bytes = Uint8Array.from([
    ...all.encode({ number: 7 }),
    0x98,
    0x06,
    0x01,
    0xa2,
    0x06,
    0x01,
    0xff,
    0xad,
    0x06,
    1,
    2,
    3,
    4,
    0xa9,
    0x06,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
  ]);
  expect(all.decode(bytes)).toEqual({ text: "", number: 7, flag: false, texts: [], map: {}, inner: undefined, inners: [], at: 0 });
});

test.each([
  ["01", 1],
  ["ac02", 300],
  ["ffffffffffffffffff01", -1],
  ["80808080808080808001", -(2 ** 63)],
  ["ffffffffffffff0f", 2 ** 53 - 1],
  ["8080808010", 2 ** 32],
])("varint %s is %d", (text, value) => expect(new Input(Uint8Array.from(Buffer.from(text, "hex"))).varint()).toBe(value));

test("an exit code below zero", () => {
  expect(execSyncResponse.decode(Uint8Array.from([0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1])).exitCode).toBe(-1);
});

test("nanoseconds keep their order as milliseconds", () => {
  const at = (ms: number) => all.decode(all.encode({ at: ms })).at;
  expect(at(1_795_277_255_784.25)).toBeCloseTo(1_795_277_255_784.25, 3);
  expect(at(1_795_277_255_784.002)).toBeGreaterThan(at(1_795_277_255_784.001));
});

test("a value comes back as it went", () =>
  fc.assert(
    fc.property(
      fc.record({
        text: fc.string(),
        number: fc.nat({ max: 2 ** 31 - 1 }),
        flag: fc.boolean(),
        texts: fc.array(fc.string()),
        map: fc.dictionary(fc.string(), fc.string()).map((map) => ({ ...map })),
        inner: fc.option(fc.record({ a: fc.nat() }), { nil: undefined }),
        inners: fc.array(fc.record({ a: fc.nat() })),
      }),
      (value) => {
        expect(all.decode(all.encode(value))).toEqual({ ...value, at: 0 });
      },
    ),
    { numRuns: 100 },
  ));

test("broken bytes throw, and never hang", () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        containerStatusResponse.decode(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
  ));

test("credentials that are not given are not written", () => {
  expect(hex(pullImageRequest.encode({ image: { image: "a" } }))).toBe("0a030a0161");
});
