import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Calculation, calculate, type Limits, movableCount, moveCount, type Tally } from "./calculate.ts";

/**
 * Pods as text: "Nd N×4 Ou". O old, N new; suffix u unavailable, d marked for deletion, p PreparingDelete, q PreparingUpdate, w Updating.
 * `asUpdated`: pods in PreparingUpdate count as updated (gate PreparingUpdateAsUpdate, while scaling).
 */
function tallies(text: string, asUpdated = false): { old: Tally; updated: Tally } {
  const old = { total: 0, preparingDelete: 0, specifiedDelete: 0, unavailable: 0 };
  const updated = { ...old };
  for (const word of text.split(" ").filter(Boolean)) {
    const [, side, marks = "", times = "1"] = /^([ON])([udpqw]*)(?:×(\d+))?$/.exec(word) ?? [];
    if (side === undefined) throw new Error(`not a pod: ${word}`);
    const tally = side === "N" || (asUpdated && marks.includes("q")) ? updated : old;
    for (let count = 0; count < Number(times); count++) {
      tally.total += 1;
      if (marks.includes("p")) tally.preparingDelete += 1;
      else if (marks.includes("d")) tally.specifiedDelete += 1;
      else if (/[uqw]/.test(marks)) tally.unavailable += 1;
    }
  }
  return { old, updated };
}

const limits = (given: Partial<Limits>): Limits => ({
  replicas: 5,
  partition: 0,
  surgeMax: 0,
  unavailableMax: 1,
  scaleUnavailableMax: Number.POSITIVE_INFINITY,
  excludePreparingDelete: false,
  mayMoveBack: true,
  mayMove: true,
  ...given,
});

const nothing: Calculation = {
  scaleUp: 0,
  scaleUpOld: 0,
  scaleUpLimit: 0,
  scaleDown: 0,
  scaleDownOld: 0,
  deleteReadyLimit: 0,
  surge: 0,
  surgeOld: 0,
  move: 0,
  moveUnavailableMax: 0,
};

/** replicas, partition, maxUnavailable, maxSurge */
type Settings = readonly [number, number, number, number];
type Row = readonly [settings: Settings, pods: string, expected: Partial<Calculation>, more?: Partial<Limits> & { asUpdated?: boolean }];

const same = { mayMoveBack: false };
const rows: Row[] = [
  [[5, 0, 1, 0], "", { scaleUp: 5, scaleUpLimit: 5 }],
  [[5, 0, 1, 0], "Nd N×4", { deleteReadyLimit: 1 }],
  [[5, 0, 1, 0], "Nd Nd N×3", { deleteReadyLimit: 1 }],
  [[5, 0, 1, 0], "Nd N×3", { scaleUp: 1, scaleUpLimit: 1 }],
  [[5, 0, 1, 0], "Nd N×3 Nu", {}],
  [[4, 0, 1, 0], "Nud Nud N×3", { deleteReadyLimit: 2 }],
  [[5, 3, 1, 0], "O×5", { move: 2, moveUnavailableMax: 1 }],
  [[5, 3, 1, 0], "N O×4", { move: 1, moveUnavailableMax: 1 }],
  [[5, 3, 1, 0], "N N O×3", {}],
  [[5, 4, 2, 0], "N×4 O", { move: -3, moveUnavailableMax: 2 }],
  [[5, 4, 1, 0], "N×4 O", {}, { mayMoveBack: false }],
  [[5, 0, 0, 1], "Nd N×4", { scaleUp: 1, scaleUpLimit: 1, surge: 1 }],
  [[5, 0, 0, 1], "Nd N×4 Nu", { surge: 1 }],
  [[5, 0, 0, 1], "Nd N×5", { surge: 1, deleteReadyLimit: 1 }],
  [[5, 3, 1, 1], "O×5", { scaleUp: 1, scaleUpLimit: 1, surge: 1, move: 2, moveUnavailableMax: 1 }],
  [[5, 3, 1, 1], "O×5 Nu", { surge: 1, move: 1, moveUnavailableMax: 2 }],
  [[5, 3, 1, 1], "O×4 Nw Nu", { scaleDown: 1, scaleDownOld: 1 }],
  [[5, 3, 1, 1], "O×4 N Nu", { scaleDown: 1, scaleDownOld: 1, deleteReadyLimit: 1 }],
  [[5, 3, 1, 1], "O×4 Od Nu", { surge: 1, surgeOld: 1, deleteReadyLimit: 1, move: 1, moveUnavailableMax: 2 }],
  [[5, 4, 3, 2], "O×5", { scaleUp: 1, scaleUpLimit: 1, surge: 1, move: 1, moveUnavailableMax: 3 }],
  [[5, 4, 2, 2], "O×5", { scaleUp: 1, scaleUpLimit: 1, surge: 1, move: 1, moveUnavailableMax: 2 }],
  [[5, 4, 1, 2], "O×5", { scaleUp: 1, scaleUpLimit: 1, surge: 1, move: 1, moveUnavailableMax: 1 }],
  [[5, 3, 1, 0], "O×2 N×3", {}, same],
  [[5, 1, 1, 0], "O×3 N×2", { move: 2, moveUnavailableMax: 1 }, same],
  [[5, 1, 2, 0], "O×2 N×2", { scaleUp: 1, scaleUpLimit: 1, move: 1, moveUnavailableMax: 1 }, same],
  [[5, 1, 1, 0], "O×3 N×3", { scaleDown: 1, scaleDownOld: 2, deleteReadyLimit: 2, move: 1, moveUnavailableMax: 2 }, same],
  [[5, 0, 1, 0], "", { scaleUp: 5, scaleUpLimit: 2 }, { scaleUnavailableMax: 2 }],
  [[6, 0, 1, 0], "N N Nu", { scaleUp: 3, scaleUpLimit: 1 }, { scaleUnavailableMax: 2 }],
  [[6, 0, 1, 0], "N Nu Nu", { scaleUp: 3 }, { scaleUnavailableMax: 2 }],
  [[3, 0, 1, 0], "N N Npd", {}],
  [[3, 0, 1, 0], "N N Npd", { scaleUp: 1, scaleUpLimit: 1 }, { excludePreparingDelete: true }],
  [[3, 0, 1, 0], "N N Npd Nu", {}, { excludePreparingDelete: true }],
  [[3, 0, 1, 0], "N N N Nu", { scaleDown: 1, deleteReadyLimit: 1 }, { excludePreparingDelete: true }],
  [[4, 3, 1, 0], "Oq O O", { scaleUp: 1, scaleUpLimit: 1, scaleUpOld: 1 }, { excludePreparingDelete: true, asUpdated: true }],
  [[4, 2, 1, 0], "Oq O O", { scaleUp: 1, scaleUpLimit: 1 }, { excludePreparingDelete: true, asUpdated: true }],
  [[5, 0, 0, 0], "O×3", { scaleUp: 2, scaleUpLimit: 2, move: 3, moveUnavailableMax: -2 }],
  [[3, 0, 0, 0], "O×5", { scaleDown: 2, scaleDownOld: 5, deleteReadyLimit: 2, move: 3, moveUnavailableMax: 2 }],
  [[5, 0, 1, 2], "O×5", { move: 5, moveUnavailableMax: 1 }, { mayMove: false }],
  [[5, 1, 1, 0], "O×3 N×5", { scaleDown: 3, scaleDownOld: 2, deleteReadyLimit: 4 }],
];

describe("calculate", () => {
  test.each(rows)("%j with %s", (settings, pods, expected, more = {}) => {
    const [replicas, partition, unavailableMax, surgeMax] = settings;
    const { asUpdated, ...given } = more;
    const { old, updated } = tallies(pods, asUpdated);
    expect(calculate(old, updated, limits({ replicas, partition, unavailableMax, surgeMax, ...given }))).toEqual({
      ...nothing,
      ...expected,
    });
  });

  const anyTally = fc
    .record({ preparingDelete: fc.nat(3), specifiedDelete: fc.nat(4), unavailable: fc.nat(4), available: fc.nat(8) })
    .map(({ available, ...parts }) => ({ ...parts, total: available + parts.preparingDelete + parts.specifiedDelete + parts.unavailable }));
  const anyLimits = fc
    .record({
      replicas: fc.nat(12),
      share: fc.nat(100),
      surgeMax: fc.nat(4),
      unavailableMax: fc.nat(6),
      scaleUnavailableMax: fc.oneof(fc.nat(6), fc.constant(Number.POSITIVE_INFINITY)),
      excludePreparingDelete: fc.boolean(),
      mayMoveBack: fc.boolean(),
      mayMove: fc.boolean(),
    })
    .map(({ share, ...rest }) => ({ ...rest, partition: Math.round((rest.replicas * share) / 100) }));

  test("never creates and deletes at once, never surges above its limit, never takes a side below its share", () => {
    fc.assert(
      fc.property(anyTally, anyTally, anyLimits, (old, updated, given) => {
        const figures = calculate(old, updated, given);
        for (const figure of Object.values(figures)) expect(Number.isInteger(figure)).toBe(true);
        expect(Math.min(figures.scaleUp, figures.scaleDown)).toBe(0);
        expect(figures.surge).toBeLessThanOrEqual(given.surgeMax);
        expect(figures.scaleUpLimit).toBeLessThanOrEqual(figures.scaleUp);
        const oldAfter = old.total - old.preparingDelete - figures.move;
        const updatedAfter = updated.total - updated.preparingDelete + figures.move;
        if (figures.move > 0) {
          expect(oldAfter).toBeGreaterThanOrEqual(given.partition);
          expect(updatedAfter).toBeLessThanOrEqual(given.replicas - given.partition);
        }
        if (figures.move < 0) {
          expect(given.mayMoveBack).toBe(true);
          expect(oldAfter).toBeLessThanOrEqual(given.partition);
        }
      }),
    );
  });
});

describe("moveCount", () => {
  test.each([
    [[5, 5], [0, 0], 5, 3, 2, "all known"],
    [[4, 5], [0, 0], 5, 3, 1, "an old pod may be gone a moment later"],
    [[5, 5], [0, 1], 5, 3, 1, "a pod of the update revision may be there a moment later"],
    [[3, 3], [3, 3], 5, 1, 1, "one too many in all, one too few updated"],
    [[3, 3], [5, 5], 5, 1, 0, "both sides in surplus: scaling settles it"],
    [[1, 1], [1, 1], 5, 2, 0, "both sides short: scaling settles it"],
    [[1, 1], [4, 4], 5, 4, -3, "back to the current revision"],
    [[1, 3], [4, 4], 5, 4, -1, "two old pods may be there a moment later"],
  ] as const)("old %j updated %j replicas %i partition %i moves %i: %s", (old, updated, replicas, partition, expected) => {
    const range = ([min, max]: readonly [number, number]) => ({ min, max });
    expect(moveCount(range(old), range(updated), { replicas, partition, mayMoveBack: true })).toBe(expected);
  });
});

describe("movableCount", () => {
  /** Candidates as letters: A available, - not. */
  const candidates = (text: string) => [...text].map((letter) => ({ available: letter === "A" }));
  test.each([
    ["AAA", 0, 0, 1, 1, "one at a time"],
    ["A-A", 1, 0, 1, 0, "the first in line is healthy and the budget is spent"],
    ["-AA", 1, 0, 1, 1, "a pod that is down may move past a spent budget"],
    ["-----", 5, 0, 2, 2, "five down: two may land"],
    ["---", 5, 2, 2, 0, "two are landing already"],
    ["---", 4, 1, 2, 1, "one is landing, there is room for one"],
    ["AAA", 0, 0, -1, 0, "pods are missing: nobody moves"],
    ["", 0, 0, 3, 0, "nobody to move"],
  ] as const)("%s unavailable %i landing %i of %i → %i: %s", (text, unavailable, landing, unavailableMax, expected) => {
    expect(movableCount(candidates(text), { unavailable, landing, unavailableMax })).toBe(expected);
  });
});
