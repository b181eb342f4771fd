import { expect, test } from "bun:test";
import { addTally, failuresIn, tallyOf } from "./tally.ts";

test.each([
  ["\n 12 pass\n 0 fail\n 30 expect() calls\n", 0, { passed: 12, failed: 0, skipped: 0 }, "green"],
  ["\n 12 pass\n 3 skip\n 2 fail\n", 1, { passed: 12, failed: 2, skipped: 3 }, "skips and failures"],
  ["error: Cannot find module", 1, { passed: 0, failed: 1, skipped: 0 }, "a crash is a failure"],
  ["\n 5 pass\n 0 fail\n", 132, { passed: 5, failed: 1, skipped: 0 }, "a crash after passing tests is a failure"],
])("%j with exit code %i: %j: %s", (output, code, tally) => {
  expect(tallyOf(output, code)).toEqual(tally);
});

test("tallies add up", () => {
  expect(addTally({ passed: 1, failed: 2, skipped: 3 }, { passed: 10, failed: 20, skipped: 30 })).toEqual({
    passed: 11,
    failed: 22,
    skipped: 33,
  });
});

test("failures are told with their errors, each once", () => {
  const output = `(pass) a > one [1.00ms]
error: expected 3
      at x.test.ts:5
(fail) a > two [2.00ms]
(pass) a > three
(fail) a > four

2 tests failed:
(fail) a > two [2.00ms]
(fail) a > four
`;
  expect(failuresIn(output)).toEqual(["error: expected 3\n      at x.test.ts:5\n(fail) a > two [2.00ms]", "(fail) a > four"]);
  expect(failuresIn("(pass) all")).toEqual([]);
});
