import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventRows, reasonRows } from "./events.ts";

const src = join(import.meta.dir, "../../src");
/** Reasons of conditions and of API answers, which are no Events. */
const others = new Set(["InternalError", "Refused", "ReadinessGatesNotReady", "StartInPlaceUpdate"]);

/** What the product's own rooms say, as literals: an Event's reason is never put together. */
const said = new Set(
  [...new Bun.Glob("{admission,daemon,engine,features,manager,workload}/**/*.ts").scanSync({ cwd: src })]
    .filter((path) => !path.endsWith(".test.ts") && !path.includes("testing/"))
    .map((path) => readFileSync(join(src, path), "utf8").replace(/\/\*[\s\S]*?\*\//g, ""))
    .flatMap((text) => [...text.matchAll(/reason: "([A-Z][A-Za-z]+)"|"(?:Normal|Warning)", "([A-Z][A-Za-z]+)"/g)])
    .map((match) => match[1] ?? match[2] ?? "")
    .filter((reason) => !others.has(reason)),
);
const told = new Set(eventRows.map(({ reason }) => reason));

test("every Event is in the reference", () => {
  expect([...said].filter((reason) => !told.has(reason))).toEqual([]);
});

test("every code has words, and figures stand by name", () => {
  expect(reasonRows.length).toBeGreaterThan(30);
  for (const [, code, words] of reasonRows) {
    expect(code).toMatch(/^[A-Z][A-Za-z]+$/);
    expect(words).not.toContain("undefined");
    expect(words).not.toContain("[object");
  }
  expect(reasonRows).toContainEqual(["CloneSet", "HeldByPartition", "held by partition: *kept* pods keep their revision"]);
});
