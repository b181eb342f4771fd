import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Pod } from "../../kube/types.ts";
import { type PodParts, pod } from "../testing/pods.ts";
import { byDefault, byPriority, deletionCost, rankForDeletion, rankForUpdate, type ScaleInFacts, scatter } from "./index.ts";

const all = (pods: readonly unknown[]): number[] => pods.map((_, index) => index);
const ready = (since?: string) => [{ type: "Ready", status: "True" as const, ...(since ? { lastTransitionTime: since } : {}) }];
const labelled = (...values: readonly (string | undefined)[]): Pod[] =>
  values.map((value, index) => pod({ name: `p${index}`, labels: value === undefined ? {} : { key: value } }));

describe("default order", () => {
  const base: PodParts = { conditions: ready("2024-05-01T09:30:00Z") };
  test.each<[string, PodParts, PodParts]>([
    ["without a node", { spec: { nodeName: "" } }, base],
    ["pending before running", { ...base, status: { phase: "Pending" } }, base],
    ["unknown before running", { ...base, status: { phase: "Unknown" } }, base],
    ["pending before unknown", { ...base, status: { phase: "Pending" } }, { ...base, status: { phase: "Unknown" } }],
    ["not ready before ready", { conditions: [] }, base],
    ["ready since an unknown time", { conditions: ready() }, base],
    ["ready for a shorter time", { conditions: ready("2024-05-01T09:31:00Z") }, base],
    ["restarted more often", { ...base, statuses: [{ restartCount: 2 }] }, { ...base, statuses: [{ restartCount: 1 }] }],
    ["newer", { ...base, metadata: { creationTimestamp: "2024-05-01T09:10:00Z" } }, base],
    ["by name", { ...base, name: "a" }, { ...base, name: "b" }],
  ])("%s", (_, first, second) => {
    const pods = [pod({ name: "m2", ...second }), pod({ name: "m1", ...first })];
    expect(byDefault(pods, [0, 1])).toEqual([1, 0]);
  });
});

describe("priority", () => {
  test("12: by weight, ties as they were", () => {
    const pods = labelled("bar", undefined, "foo", undefined);
    const matchSelector = (value: string) => ({ matchLabels: { key: value } });
    const weightPriority = [
      { weight: 20, matchSelector: matchSelector("foo") },
      { weight: 10, matchSelector: matchSelector("bar") },
    ];
    expect(byPriority(pods, all(pods), { weightPriority })).toEqual([2, 0, 1, 3]);
  });
  test("13: by number, larger first, pods without the key before all others", () => {
    const pods = labelled("o-5", "o-10", undefined);
    expect(byPriority(pods, all(pods), { orderPriority: [{ orderedKey: "key" }] })).toEqual([2, 1, 0]);
  });
  test("numbers that are none, or too large, count as 0", () => {
    const pods = labelled("abc", "9223372036854775808", "sts-1");
    expect(byPriority(pods, all(pods), { orderPriority: [{ orderedKey: "key" }] })).toEqual([2, 0, 1]);
  });
  test("earlier keys first", () => {
    const pods = [
      pod({ name: "a", labels: { k2: "9" } }),
      pod({ name: "b", labels: { k1: "1" } }),
      pod({ name: "c", labels: { k1: "1", k2: "9" } }),
    ];
    expect(byPriority(pods, all(pods), { orderPriority: [{ orderedKey: "k1" }, { orderedKey: "k2" }] })).toEqual([1, 2, 0]);
  });
  test("nothing said, nothing moved; a selector that cannot be read weighs nothing", () => {
    const pods = labelled("a", "b");
    expect(byPriority(pods, [1, 0], undefined)).toEqual([1, 0]);
    const matchSelector = { matchExpressions: [{ key: "key", operator: "Odd" }] };
    expect(byPriority(pods, [1, 0], { weightPriority: [{ weight: 5, matchSelector }] })).toEqual([1, 0]);
  });
});

describe("scatter", () => {
  const A = { key: "key", value: "A" };
  const B = { key: "key", value: "B" };
  const C = { key: "key", value: "C" };
  test.each<[string, string, { key: string; value: string }[], number | undefined, string]>([
    ["two at the end", "- - - - A A", [A], undefined, "4 0 1 2 3 5"],
    ["half and half", "- - - A A A", [A], undefined, "3 0 1 4 2 5"],
    ["apart", "- - - A - - A", [A], undefined, "3 0 1 2 4 5 6"],
    ["a third", "- - - - - - A A A", [A], undefined, "6 0 1 2 7 3 4 5 8"],
    ["seven and three", "- - - - - - - A A A", [A], undefined, "7 0 1 2 3 8 4 5 6 9"],
    ["more with than without", "- - A A A A", [A], undefined, "2 3 0 4 1 5"],
    ["mixed", "- A - A - - A A A", [A], undefined, "1 0 3 2 6 4 7 5 8"],
    ["one is updated already", "- - - - A A A", [A], 6, "0 1 4 2 3 5"],
    ["others are updated already", "A A - - - - - - - A", [A], 7, "2 0 3 4 5 6 1"],
    ["two terms", "B B - - A A", [A, B], undefined, "0 4 2 3 5 1"],
    ["three terms", "- A A B B C C C C C", [A, B, C], undefined, "3 1 5 0 6 7 8 9 2 4"],
    ["11: one alone", "- - - A", [A], undefined, "0 1 2 3"],
    ["11: one other", "- A A A", [A], undefined, "0 1 2 3"],
    ["no terms", "- A A -", [], undefined, "0 1 2 3"],
    ["a missing label is an empty one", "- - A A", [{ key: "key", value: "" }], undefined, "0 2 3 1"],
  ])("%s: %s", (_, text, terms, first, expected) => {
    const pods = labelled(...text.split(" ").map((letter) => (letter === "-" ? undefined : letter)));
    expect(scatter(pods, all(pods).slice(0, first), terms).join(" ")).toBe(expected);
  });
  test("holes are passed over", () => {
    const pods = [...labelled("A", "A", undefined, undefined), undefined];
    expect([...scatter(pods, [0, 1, 2, 3], [A])].sort()).toEqual([0, 1, 2, 3]);
  });
});

test("27: one pod after another, a scattered rollout keeps the order that it began with", () => {
  const pods = labelled(undefined, undefined, "A", "A", "A", undefined, undefined, undefined, undefined, undefined);
  const order: number[] = [];
  for (let waiting = pods; waiting.length > 0; ) {
    const [first] = rankForUpdate(waiting, pods, { scatter: [{ key: "key", value: "A" }] });
    order.push(pods.indexOf(first as Pod));
    waiting = waiting.filter((candidate) => candidate !== first);
  }
  expect(order.flatMap((index, turn) => (index >= 2 && index <= 4 ? [turn + 1] : []))).toEqual([1, 6, 10]);
});

describe("scale-in", () => {
  const facts: ScaleInFacts = { isAvailable: () => true, topologyKeys: [], nodeLabel: () => undefined };
  const names = (pods: readonly Pod[], more: Partial<ScaleInFacts> = {}) =>
    rankForDeletion(pods, { ...facts, ...more })
      .map(({ metadata }) => metadata.name)
      .join(" ");
  const on = (name: string, nodeName: string, parts: PodParts = {}) =>
    pod({ name, conditions: ready("2024-05-01T09:30:00Z"), spec: { nodeName }, ...parts });

  test("not available before available", () => {
    expect(names([on("a", "n1"), on("b", "n2")], { isAvailable: ({ metadata }) => metadata.name === "a" })).toBe("b a");
  });
  test.each<[string, number]>([
    ["-5", -5],
    ["0", 0],
    ["12", 12],
    ["+10", 0],
    ["008", 0],
    ["2147483648", 0],
    ["-2147483648", -2147483648],
    ["many", 0],
  ])("a deletion cost of %s is %i", (text, cost) => {
    expect(deletionCost(pod({ annotations: { "controller.kubernetes.io/pod-deletion-cost": text } }))).toBe(cost);
  });
  test("cost decides before spread, spread before age", () => {
    const cheap = on("cheap", "n3", { annotations: { "controller.kubernetes.io/pod-deletion-cost": "-1" } });
    const young = on("young", "n2", { metadata: { creationTimestamp: "2024-05-01T09:59:00Z" } });
    expect(names([young, on("x1", "n1"), on("x2", "n1"), cheap])).toBe("cheap x1 young x2");
  });
  test("the fullest node loses first", () => {
    expect(names([on("a1", "a"), on("b1", "b"), on("b2", "b"), on("b3", "b"), on("c1", "c"), on("c2", "c")])).toBe("b1 b2 c1 a1 b3 c2");
  });
  test("the fullest zone loses first, and in it the fullest node", () => {
    const zones: Record<string, string> = { n1: "z1", n2: "z1", n3: "z2" };
    const nodeLabel = (node: string) => zones[node];
    const pods = [on("a", "n1"), on("b", "n2"), on("c", "n2"), on("d", "n3"), on("e", "n4")];
    expect(names(pods, { topologyKeys: ["topology.kubernetes.io/zone"], nodeLabel })).toBe("b a c d e");
  });
});

const anyPod = fc.record({
  node: fc.constantFrom("", "n1", "n2"),
  phase: fc.constantFrom("Pending", "Running", "Unknown", "Odd"),
  ready: fc.constantFrom(undefined, "", "2024-05-01T09:30:00Z", "2024-05-01T09:40:00Z"),
  key: fc.constantFrom(undefined, "A", "B-7"),
  cost: fc.constantFrom("", "-1", "5"),
  state: fc.constantFrom(undefined, "PreparingUpdate"),
});
const anyPods = fc.array(anyPod, { maxLength: 12 }).map((parts) =>
  parts.map(({ node, phase, ready: since, key, cost, state }, index) =>
    pod({
      name: `p${String(index).padStart(2, "0")}`,
      labels: { ...(key ? { key } : {}), ...(state ? { "lifecycle.apps.kruise.io/state": state } : {}) },
      annotations: { "controller.kubernetes.io/pod-deletion-cost": cost },
      conditions: since === undefined ? [] : ready(since),
      spec: { nodeName: node },
      status: { phase },
    }),
  ),
);
const order = {
  priority: { orderPriority: [{ orderedKey: "key" }] },
  scatter: [
    { key: "key", value: "A" },
    { key: "key", value: "B-7" },
  ],
};
const sortedNames = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.name).sort();

test("every order keeps every pod, and does not depend on the order in which the pods come", () =>
  fc.assert(
    fc.property(anyPods, fc.nat(), (pods, seed) => {
      const shuffled = [...pods].sort(
        (a, b) => ((a.metadata.name.charCodeAt(2) * seed) % 7) - ((b.metadata.name.charCodeAt(2) * seed) % 7),
      );
      const facts: ScaleInFacts = { isAvailable: () => false, topologyKeys: [], nodeLabel: () => undefined };
      const waiting = pods.filter((_, index) => index % 3 !== 0);
      const update = rankForUpdate(waiting, pods, order);
      expect(sortedNames(update)).toEqual(sortedNames(waiting));
      expect(rankForUpdate([...waiting].reverse(), shuffled, order)).toEqual([...update]);
      const victims = rankForDeletion(pods, facts);
      expect(sortedNames(victims)).toEqual(sortedNames(pods));
      expect(rankForDeletion(shuffled, facts)).toEqual([...victims]);
    }),
  ));
