import { expect, test } from "bun:test";
import { freshIds } from "./instance-id.ts";

test("ids are five safe characters, none twice, none that is taken", () => {
  const ids = freshIds(0.25, 2000, (id) => id.startsWith("b"));
  expect(new Set(ids).size).toBe(2000);
  for (const id of ids) expect(id).toMatch(/^[cdfghjklmnpqrstvwxz2456789][bcdfghjklmnpqrstvwxz2456789]{4}$/);
});

test("the same seed gives the same ids, another seed gives others", () => {
  expect(freshIds(0.1, 3, () => false)).toEqual(freshIds(0.1, 3, () => false));
  expect(freshIds(0.1, 3, () => false)).not.toEqual(freshIds(0.2, 3, () => false));
});

test("gives up when everything is taken", () => {
  expect(freshIds(0.1, 3, () => true)).toEqual([]);
});
