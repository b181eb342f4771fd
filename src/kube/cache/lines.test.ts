import { expect, test } from "bun:test";
import fc from "fast-check";
import { LineSplitter, ListScanner, lineLimits } from "./lines.ts";

const encoder = new TextEncoder();

/** The bytes of `text` in chunks that end at the given places, wherever these fall. */
function chunked(text: string, cuts: readonly number[]): Uint8Array[] {
  const bytes = encoder.encode(text);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...places, bytes.length].map((end, index) => bytes.subarray(index === 0 ? 0 : places[index - 1], end));
}

const anyItem = fc.record({ metadata: fc.record({ name: fc.string({ unit: "grapheme" }) }), spec: fc.jsonValue() });
const anyCuts = fc.array(fc.nat(), { maxLength: 20 });

test("a list gives its items and its envelope, however the bytes come", () => {
  fc.assert(
    fc.property(fc.array(anyItem, { maxLength: 5 }), anyCuts, fc.boolean(), fc.boolean(), (items, cuts, metadataFirst, pretty) => {
      const metadata = { resourceVersion: "12", continue: 'odd "items":[ token' };
      const list = metadataFirst
        ? { kind: "L", metadata, items, tail: [{ items: [1] }] }
        : { apiVersion: "v1", other: [{ items: [] }], items, metadata };
      const scanner = new ListScanner();
      const found: unknown[] = [];
      for (const chunk of chunked(JSON.stringify(list, null, pretty ? 2 : undefined), cuts))
        for (const text of scanner.push(chunk)) found.push(JSON.parse(text));
      expect(found).toEqual(JSON.parse(JSON.stringify(items)));
      expect(scanner.end()).toEqual({ ...list, items: [] } as never);
    }),
  );
});

test("a list that is cut off has no end", () => {
  const text = JSON.stringify({ metadata: { resourceVersion: "1" }, items: [{ a: 1 }, { b: 2 }] });
  for (let length = 1; length < text.length; length += 1) {
    const scanner = new ListScanner();
    for (const _ of scanner.push(encoder.encode(text.slice(0, length))));
    expect(() => scanner.end()).toThrow();
  }
});

test("no items at all", () => {
  const scanner = new ListScanner();
  expect([...scanner.push(encoder.encode('{"items":null,"metadata":{"resourceVersion":"7"}}'))]).toEqual([]);
  expect(scanner.end().metadata?.resourceVersion).toBe("7");
});

test("lines come out as they went in, however the bytes come", () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 8 }), anyCuts, (values, cuts) => {
      const lines = values.map((value) => JSON.stringify({ value }));
      const splitter = new LineSplitter();
      const found: string[] = [];
      for (const chunk of chunked(lines.map((line) => `${line}\n`).join(""), cuts)) found.push(...splitter.push(chunk));
      expect(found).toEqual(lines);
      expect(splitter.rest()).toBe("");
    }),
  );
});

test("what is too long is left out and counted, and what follows is read", () => {
  const splitter = new LineSplitter(10);
  const found: string[] = [];
  for (const text of ["short\nmuch too", " long for it\nne", "xt\n", "x".repeat(50), "\nlast\n"])
    found.push(...splitter.push(encoder.encode(text)));
  expect(found).toEqual(["short", "next", "last"]);
  expect(splitter.tooLong).toBe(2);

  const scanner = new ListScanner(20);
  const items = [{ a: 1 }, { a: "x".repeat(100) }, { b: 2 }];
  expect([...scanner.push(encoder.encode(JSON.stringify({ items })))]).toEqual(['{"a":1}', '{"b":2}']);
  expect(scanner.tooLong).toBe(1);
});

test("an endless envelope is refused", () => {
  const scanner = new ListScanner();
  const chunk = encoder.encode(`{"a":"${"x".repeat(lineLimits.envelopeBytesMax)}`);
  expect(() => [...scanner.push(chunk)]).toThrow(RangeError);
});
