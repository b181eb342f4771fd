import { expect, test } from "bun:test";
import fc from "fast-check";
import { compareUtf8, deepEqual, getOwn, mapShared, setOwn, sortedKeys, utf8Length, withFields } from "./json.ts";

test("key order and fields set to undefined do not matter, null does", () => {
  expect(deepEqual({ a: 1, b: undefined }, { a: 1 })).toBe(true);
  expect(deepEqual({ a: 1 }, { b: undefined, a: 1 })).toBe(true);
  expect(deepEqual({ a: null }, {})).toBe(false);
  expect(deepEqual([1], { 0: 1 })).toBe(false);
  expect(deepEqual({ 0: 1 }, [1])).toBe(false);
  expect(deepEqual({ a: undefined, b: 1 }, { a: 1, b: undefined })).toBe(false);
});

test("equal to itself after a trip over the wire", () =>
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => deepEqual(value, JSON.parse(JSON.stringify(value))))));

test("strings sort as their UTF-8 bytes do", () =>
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      expect(utf8Length(a)).toBe(Buffer.byteLength(a));
    }),
  ));

test("keys that look like numbers sort as text", () => {
  expect(sortedKeys({ 10: 0, 9: 0, a: 0, "-": 0 })).toEqual(["-", "10", "9", "a"]);
  expect(sortedKeys({ "\u{1f600}": 0, "\uffee": 0 })).toEqual(["\uffee", "\u{1f600}"]);
});

test("a field named __proto__ is a field", () => {
  const target: Record<string, unknown> = {};
  setOwn(target, "__proto__", 1);
  expect(getOwn(target, "__proto__")).toBe(1);
  expect(getOwn({}, "constructor")).toBeUndefined();
});

test("what did not change is shared", () => {
  const object = { a: 1, b: 2 };
  expect(withFields(object, { a: 1, c: undefined })).toBe(object);
  expect(withFields(object, { a: undefined, c: 3 })).toEqual({ b: 2, c: 3 } as never);
  const items = [1, 2];
  expect(mapShared(items, (item) => item)).toBe(items);
  expect(mapShared(items, (item) => item + 1)).toEqual([2, 3]);
});
