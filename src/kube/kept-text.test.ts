import { expect, test } from "bun:test";
import fc from "fast-check";
import { jsonOf, keepText } from "./kept-text.ts";

test("a kept text is the one that would be written anew", () =>
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      expect(jsonOf(value)).toBe(text);
      if (typeof value !== "object" || value === null) return;
      expect(keepText(value)).toBe(value);
      expect(keepText(value)).toBe(value);
      expect(jsonOf(value)).toBe(text);
      expect(jsonOf(structuredClone(value))).toBe(text);
    }),
  ));
