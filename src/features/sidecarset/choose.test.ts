import { expect, test } from "bun:test";
import fc from "fast-check";
import type { SidecarSetSpec } from "../../api/sidecarset.ts";
import { testSettings } from "../../engine/testing/settings.ts";
import { choose, withinBudget } from "./choose.ts";
import { hashesOf } from "./hash.ts";
import { strategyOf } from "./strategy.ts";
import { sidecarSet } from "./testing/objects.ts";
import type { Member, World } from "./world.ts";

/** One letter a pod: O/o old, ready or not; U/u updated, available or not; N more than images differ. */
function members(letters: string, labelsOf: (index: number) => Record<string, string> = () => ({})): Member[] {
  return [...letters].map((letter, index) => {
    const name = `web-${String(index).padStart(4, "0")}`;
    const ready = letter === letter.toUpperCase();
    const pod = {
      metadata: {
        name,
        namespace: "shop",
        uid: name,
        resourceVersion: "1",
        creationTimestamp: "2025-01-01T00:00:00Z",
        labels: labelsOf(index),
      },
      spec: { containers: [], nodeName: "n" },
      status: {
        phase: "Running",
        conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: "2025-01-01T00:00:00Z" }],
      },
    } as Member["pod"];
    return { pod, name: `shop/${name}`, updated: /u/i.test(letter), upgradable: letter !== "N", pending: undefined, ready };
  });
}

function world(
  letters: string,
  updateStrategy: SidecarSetSpec["updateStrategy"],
  labelsOf?: (index: number) => Record<string, string>,
): World {
  const set = sidecarSet("mesh", { containers: [{ name: "mesh", image: "m" }], updateStrategy });
  const strategy = strategyOf(set.spec);
  const observed = {
    set,
    settings: testSettings(),
    pods: [],
    namespaceLabels: () => ({}),
    revisions: [],
    occupant: () => undefined,
    missed: { pods: [], leaving: 0 },
  };
  return { observed, nowMs: 0, strategy, hashes: hashesOf(set.spec), members: members(letters, labelsOf) };
}

test.each<[string, SidecarSetSpec["updateStrategy"], number, string]>([
  ["O".repeat(70) + "U".repeat(26) + "u".repeat(4), { maxUnavailable: 10 }, 6, "the budget less those that are landing"],
  ["O".repeat(200) + "U".repeat(760) + "u".repeat(40), { partition: 180, maxUnavailable: 100 }, 20, "the partition keeps 180"],
  ["OOOOO", { maxUnavailable: 5, partition: "99%" }, 1, "only 100% keeps all"],
  ["OOOOO", { maxUnavailable: 5, partition: "1%" }, 4, "a share is rounded up"],
  ["OOOOO", { maxUnavailable: 5, partition: "100%" }, 0, "all are kept"],
  ["OOOOO", { maxUnavailable: "5%" }, 1, "a share of the budget is rounded up"],
  ["OOO", { maxUnavailable: 0 }, 0, "no budget, no ready pod"],
  ["oOO", { maxUnavailable: 0 }, 1, "a pod that does not serve costs nothing"],
  ["ooOOu", { maxUnavailable: 1 }, 2, "so they go past a spent budget"],
  ["OO", {}, 1, "one, unless said otherwise"],
  ["NNO", { maxUnavailable: 3 }, 1, "what cannot be updated is not counted"],
  ["OOO", { maxUnavailable: 3, selector: { matchLabels: { x: "y" } } }, 0, "nobody is selected"],
])("%s with %j updates %i: %s", (letters, updateStrategy, count) => {
  expect(choose(world(letters, updateStrategy)).chosen).toHaveLength(count);
});

test("order: priority, then scatter with every value", () => {
  const order = { maxUnavailable: 9, priorityStrategy: { orderPriority: [{ orderedKey: "n" }] } };
  const indexes = (given: World) => choose(given).chosen.map(({ pod }) => Number(pod.metadata.name.slice(4)));
  expect(indexes(world("OOO", order, (index) => ({ n: `x-${index}` })))).toEqual([2, 1, 0]);
  const weights = { maxUnavailable: 9, priorityStrategy: { weightPriority: [{ weight: 5, matchSelector: { matchLabels: { n: "1" } } }] } };
  expect(indexes(world("OOO", weights, (index) => ({ n: String(index) })))).toEqual([1, 0, 2]);
  const scattered = { maxUnavailable: 9, scatterStrategy: [{ key: "zone", value: "*" }] };
  const one = { maxUnavailable: 9, scatterStrategy: [{ key: "zone", value: "a" }] };
  const zones = (index: number): Record<string, string> => (index < 4 ? {} : { zone: "a" });
  expect(indexes(world("OOOOOO", one, zones))).toEqual([4, 0, 1, 2, 3, 5]);
  expect(indexes(world("OOOOOO", scattered, zones))).toEqual([4, 0, 1, 2, 3, 5]);
});

test("the ready pods that go never take more than the budget has left; every pod is somewhere", () =>
  fc.assert(
    fc.property(fc.stringMatching(/^[OoUuN]{0,20}$/), fc.nat(8), fc.nat(12), (letters, maxUnavailable, partition) => {
      const given = world(letters, { maxUnavailable, partition });
      const choice = choose(given);
      const landing = given.members.filter(({ updated, ready }) => updated && !ready).length;
      expect(choice.chosen.filter(({ ready }) => ready).length).toBeLessThanOrEqual(Math.max(0, maxUnavailable - landing));
      const places = [
        choice.chosen,
        choice.heldByMaxUnavailable,
        choice.heldByPartition,
        choice.notUpgradable,
        choice.updating,
        choice.unselected,
      ].flat();
      expect(places.length).toBe(given.members.filter(({ updated }) => !updated).length);
      expect(new Set(places).size).toBe(places.length);
      expect(choice.heldByPartition.length).toBe(
        Math.min(partition, given.members.length, [...letters].filter((letter) => /o/i.test(letter)).length),
      );
    }),
  ));

test("nobody goes past the first that waits", () => {
  const given = members("OoO");
  expect(withinBudget(given, given, 0)).toEqual({ chosen: [], heldByMaxUnavailable: given, unavailable: 0 });
});
