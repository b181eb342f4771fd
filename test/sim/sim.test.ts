/** Every world under faults, for the seeds that each change is tested with. More: `bun run sim --seeds=10000`. */
import { describe, expect, test } from "bun:test";
import { sceneKinds } from "./scenes/index.ts";
import { report, shrink } from "./shrink.ts";
import { simulate } from "./simulate.ts";

const seeds = 300;
/** Seeds of one test: a failure is told soon. */
const batch = 50;

for (const kind of sceneKinds)
  describe(kind.name, () => {
    for (let from = 1; from <= seeds; from += batch)
      test(`seeds ${from} to ${from + batch - 1} hold`, async () => {
        for (let seed = from; seed < from + batch; seed += 1) {
          const result = await simulate({ kind, seed });
          if (result.violation !== undefined) throw new Error(report(kind.name, result, await shrink({ kind, seed }, result)));
        }
      });

    test("the same seed gives the same run", async () => {
      for (const seed of [3, 14]) {
        const [first, second] = [await simulate({ kind, seed, traced: true }), await simulate({ kind, seed, traced: true })];
        expect(second.trace.join("\n")).toBe(first.trace.join("\n"));
        expect(first.trace.length).toBeGreaterThan(10);
      }
    });
  });
