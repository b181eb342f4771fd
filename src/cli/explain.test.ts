import { describe, expect, test } from "bun:test";
import type { Kind } from "../kube/kind.ts";
import { configMaps, deployments, nodes, pods } from "../kube/kinds.ts";
import { ageText, answerText, merged, targetOf, textOf, whatIsLeft } from "./explain.ts";

test.each([
  [["cloneset/web"], { kind: "cloneset", name: "web" }],
  [["clone", "web"], { kind: "clone", name: "web" }],
  [["clonesets.apps.kruise.io/web"], { kind: "clonesets.apps.kruise.io", name: "web" }],
])("%j asks about %j", (words, target) => expect(targetOf(words)).toEqual(target));

test.each([[[]], [["web"]], [["/web"]], [["cloneset/"]], [["a/b/c"]], [["cloneset/web", "other"]], [["a", "b", "c"]]])(
  "%j is refused",
  (words) => expect(targetOf(words)).toBeString(),
);

test("the text says what comes next, what is held, and for how long", () => {
  const text = textOf(
    {
      state: "held",
      summary: "web: 3 of 5 pods on revision web-6d5f",
      next: ["update pod web-1 in place"],
      held: [
        { on: "web-2", code: "HeldByPartition", text: "held by partition, which keeps 2 pods", sinceMs: 0 },
        { on: "", code: "Paused", text: "updates are paused" },
      ],
    },
    150_000,
  );
  expect(text).toBe(
    "web: 3 of 5 pods on revision web-6d5f\n\nNext:\n  update pod web-1 in place\n\nHeld:\n  web-2: held by partition, which keeps 2 pods (for 2m)\n  updates are paused\n",
  );
});

test.each([
  [0, "0s"],
  [119_000, "119s"],
  [120_000, "2m"],
  [7_200_000, "2h"],
  [172_800_000, "2d"],
])("%i ms is %s", (ms, text) => expect(ageText(ms)).toBe(text));

describe("an object that several features look at", () => {
  const paused = { on: "shop/web-1", code: "Paused", text: "the update is paused", sinceMs: 0 };
  const sidecars = {
    feature: "sidecarset",
    state: "moving",
    summary: "web-1: injected by SidecarSet mesh",
    next: ["update it"],
    held: [],
  } as const;
  const budget = { feature: "podunavailablebudget", state: "rest", summary: "web-1: covered by web-pub", next: [], held: [] } as const;

  test("has a section for each of them, and the worst of their states", () => {
    const answer = merged([sidecars, { ...budget, state: "held", held: [paused] }]);
    expect(answer).toMatchObject({ state: "held", next: ["update it"], held: [paused] });
    expect(answerText(answer!, 150_000)).toBe(
      [
        "sidecarset:",
        "  web-1: injected by SidecarSet mesh",
        "",
        "  Next:",
        "    update it",
        "",
        "podunavailablebudget:",
        "  web-1: covered by web-pub",
        "",
        "  Held:",
        "    shop/web-1: the update is paused (for 2m)",
        "",
      ].join("\n"),
    );
  });

  test.each([
    [["rest", "rest"], "rest"],
    [["moving", "rest"], "moving"],
    [["moving", "held"], "held"],
  ] as const)("%j is %s", (states, worst) => {
    expect(merged(states.map((state) => ({ ...budget, state })))?.state).toBe(worst);
  });

  test("one view is the whole answer, none is none", () => {
    expect(merged([budget])).toEqual({ state: "rest", summary: "web-1: covered by web-pub", next: [], held: [] });
    expect(answerText(merged([budget])!, 0)).toBe("web-1: covered by web-pub\n");
    expect(merged([])).toBeUndefined();
  });
});

describe("a user who may not look at everything", () => {
  const own = { feature: "cloneset", reads: [pods, nodes] };
  const other = { feature: "budget", reads: [pods, configMaps] };
  const left = (hidden: Kind[]) => {
    const { able, notes, refusal } = whatIsLeft([own, other], deployments, hidden, "shop");
    return { able: able.map(({ feature }) => feature), notes, refusal };
  };
  test("goes without what belongs to the whole cluster", () => {
    expect(left([nodes])).toEqual({
      able: ["cloneset", "budget"],
      notes: ["you may not list and watch nodes: answered as if there were none"],
      refusal: undefined,
    });
  });
  test("gets what the other features have to say", () => {
    expect(left([configMaps])).toEqual({
      able: ["cloneset"],
      notes: ["nothing about budget: that needs the right to list and watch configmaps"],
      refusal: undefined,
    });
  });
  test.each([
    [[pods], "pods"],
    [[deployments, pods], "deployments, pods"],
    [[deployments], "deployments"],
  ])("%#: is told which rights are missing", (hidden, kinds) => {
    expect(left(hidden as Kind[]).refusal).toBe(`the answer needs the right to list and watch ${kinds} in namespace "shop"`);
  });
});
