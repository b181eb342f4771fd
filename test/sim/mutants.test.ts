/** The simulator bites: each deliberate defect is found within so many seeds. */
import { describe, expect, test } from "bun:test";
import { mutants } from "./mutants.ts";
import { sceneKinds } from "./scenes/index.ts";
import { simulate } from "./simulate.ts";

const seedsMax = 200;

describe("found", () => {
  for (const mutant of mutants)
    test(`${mutant.feature}: ${mutant.name}`, async () => {
      const kind = sceneKinds.find(({ name }) => name === mutant.feature);
      if (kind === undefined) throw new Error(`no world is called ${mutant.feature}`);
      let seed = 1;
      while (seed <= seedsMax && (await simulate({ kind, seed, mutant })).violation === undefined) seed += 1;
      expect(seed, "the seed that found it").toBeLessThanOrEqual(seedsMax);
    });
});
