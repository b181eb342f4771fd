import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { intOrPercentProblem, parseIntOrPercent, partitionCount, scaledCount, scaledCountOr } from "./int-or-percent.ts";
import type { IntOrString } from "./types.ts";

test.each<[unknown, number, number | undefined, number | undefined, string]>([
  [3, 10, 3, 3, "a count is itself"],
  [-1, 10, -1, -1, "also below zero"],
  ["25%", 10, 3, 2, "a share is rounded"],
  ["0%", 10, 0, 0, "nothing"],
  ["100%", 7, 7, 7, "all"],
  ["150%", 4, 6, 6, "more than all"],
  ["33.3%", 1000, 333, 333, "exact, where binary fractions would not be"],
  ["12.5%", 8, 1, 1, "decimals"],
  ["0.1%", 1, 1, 0, "little"],
  ["-25%", 10, -2, -3, "below zero"],
  ["5", 10, undefined, undefined, "a string needs its %"],
  ["%", 10, undefined, undefined, "no number"],
  ["1e2%", 10, undefined, undefined, "no exponent"],
  [" 5%", 10, undefined, undefined, "no blanks"],
  [1.5, 10, undefined, undefined, "no half pods"],
  [undefined, 10, undefined, undefined, "absent"],
  [null, 10, undefined, undefined, "absent"],
  [{}, 10, undefined, undefined, "no object"],
])("%p of %i is %p rounded up, %p rounded down: %s", (value, total, up, down) => {
  expect(scaledCount(value, total, "up")).toBe(up as number);
  expect(scaledCount(value, total, "down")).toBe(down as number);
});

test("an absent value has a meaning of its own", () => {
  expect(scaledCountOr(undefined, 10, "up", "20%")).toBe(2);
  expect(scaledCountOr("nonsense", 9, "down", "20%")).toBe(1);
  expect(scaledCountOr(0, 10, "up", "20%")).toBe(0);
});

describe("partition", () => {
  test.each<[IntOrString | null | undefined, number | undefined, number, string]>([
    ["25%", 10, 3, "rounded up"],
    ["99%", 4, 3, "only 100% holds all"],
    ["100%", 4, 4, "100% does"],
    ["100.0%", 4, 3, "spelled exactly so"],
    ["99%", 1, 1, "unless there is one pod"],
    [4, 4, 4, "a count may hold all"],
    [7, 4, 4, "never more than there are"],
    [-1, 4, 0, "never fewer than none"],
    ["150%", 4, 4, "never more than there are"],
    [undefined, 4, 0, "absent moves all"],
    [null, 4, 0, "absent moves all"],
    ["nonsense", 4, 0, "admission has refused it"],
    ["50%", undefined, 1, "replicas absent means one"],
    ["50%", 0, 0, "none of none"],
  ])("%p of %p keeps %i: %s", (partition, replicas, kept) => expect(partitionCount(partition, replicas)).toBe(kept));

  test("stays within the replicas", () =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.integer(),
          fc.integer({ min: -300, max: 300 }).map((n) => `${n}%`),
          fc.string(),
        ),
        fc.nat(5000),
        (partition, replicas) => {
          const kept = partitionCount(partition, replicas);
          expect(kept >= 0 && kept <= replicas).toBe(true);
        },
      ),
    ));
});

test.each<[unknown, boolean, boolean]>([
  [0, false, true],
  [-1, false, false],
  [1.5, true, false],
  [2_147_483_647, false, true],
  [2_147_483_648, false, false],
  ["5%", false, true],
  ["12.5%", false, false],
  ["12.5%", true, true],
  ["-5%", true, false],
  ["5", true, false],
  [true, true, false],
  [undefined, true, false],
])("%p with decimals %p is accepted: %p", (value, decimals, accepted) => {
  expect(intOrPercentProblem(value, { decimals }) === undefined).toBe(accepted);
});

test("what is accepted can be read", () =>
  fc.assert(
    fc.property(
      fc.anything(),
      (value) => intOrPercentProblem(value, { decimals: true }) !== undefined || parseIntOrPercent(value) !== undefined,
    ),
  ));
