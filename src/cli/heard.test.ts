/** Warnings of the server. */
import { expect, test } from "bun:test";
import { warningsIn } from "./heard.ts";

test.each<[string | null, readonly string[]]>([
  [null, []],
  ['299 - "spec.x is deprecated"', ["spec.x is deprecated"]],
  ['299 - "say \\"no\\"", 299 kube "another, with a comma"', ['say "no"', "another, with a comma"]],
  ['199 - "other kinds"', []],
])("%p", (header, texts) => {
  expect(warningsIn(header)).toEqual(texts);
});
