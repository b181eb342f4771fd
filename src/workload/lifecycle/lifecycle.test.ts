import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { label } from "../../api/names.ts";
import { hasReadinessGate } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { holdsKey, preDeleteKey, preUpdateKey } from "../readiness/index.ts";
import { nowMs, type PodParts, pod, run } from "../testing/pods.ts";
import {
  advance,
  beforeUpdate,
  cancelDeletionSteps,
  holdDeletionSteps,
  isAllHooked,
  isDeletionHeld,
  isHooked,
  type Lifecycle,
  type LifecycleHook,
  lifecycleLabel,
  mayCancelDeletion,
  nextState,
  prepareSteps,
  type RefreshFacts,
  setState,
  stateAtCreation,
} from "./index.ts";

const block: LifecycleHook = { labelsHandler: { block: "true" } };
const at = (state: string, parts: PodParts = {}): Pod =>
  pod({ ...parts, labels: { ...(state === "" ? {} : { [label.lifecycleState]: state }), ...parts.labels } });

describe("hooks", () => {
  const both: LifecycleHook = { labelsHandler: { a: "1", b: "1" }, finalizersHandler: ["f/1"] };
  test.each<[string, LifecycleHook | undefined, PodParts, boolean, boolean]>([
    ["no hook", undefined, {}, false, false],
    ["an empty hook", {}, {}, false, true],
    ["one label of two", both, { labels: { a: "1" } }, true, false],
    ["another value", both, { labels: { a: "2" } }, false, false],
    ["the finalizer alone", both, { finalizers: ["f/1"] }, true, false],
    ["all", both, { labels: { a: "1", b: "1" }, finalizers: ["f/1"] }, true, true],
    ["a missing label is an empty one", { labelsHandler: { a: "" } }, {}, true, true],
  ])("%s", (_, hook, parts, hooked, allHooked) => {
    expect([isHooked(hook, pod(parts)), isAllHooked(hook, pod(parts))]).toEqual([hooked, allHooked]);
  });
});

describe("nextState", () => {
  const facts: RefreshFacts = { atTarget: false, updateCompleted: false, normalNeedsNode: true };
  const hooked = { labels: { block: "true" } };
  test.each<[string, Pod, Partial<RefreshFacts>, string | undefined]>([
    ["a CloneSet's new pod with a node", at("PreparingNormal"), {}, "Normal"],
    ["without a node", at("PreparingNormal", { spec: { nodeName: "" } }), {}, undefined],
    ["a StatefulSet's, without a node", at("PreparingNormal", { spec: { nodeName: "" } }), { normalNeedsNode: false }, "Normal"],
    ["28: the preNormal hook is missing", at("PreparingNormal"), { lifecycle: { preNormal: { finalizersHandler: ["f"] } } }, undefined],
    [
      "28: the preNormal hook is there",
      at("PreparingNormal", { finalizers: ["f"] }),
      { lifecycle: { preNormal: { finalizersHandler: ["f"] } } },
      "Normal",
    ],
    ["22: prepared, not moved", at("PreparingUpdate", hooked), { lifecycle: { inPlaceUpdate: block } }, undefined],
    [
      "25: rolled back while the hook holds",
      at("PreparingUpdate", hooked),
      { lifecycle: { inPlaceUpdate: block }, atTarget: true },
      "Normal",
    ],
    ["rolled back after the hook was released", at("PreparingUpdate"), { lifecycle: { inPlaceUpdate: block }, atTarget: true }, "Updated"],
    ["4: updating, not completed", at("Updating"), {}, undefined],
    ["3: completed, no lifecycle", at("Updating"), { updateCompleted: true }, "Normal"],
    ["22: completed, the hook released", at("Updating"), { updateCompleted: true, lifecycle: { inPlaceUpdate: block } }, "Updated"],
    ["26: completed, another hook only", at("Updating"), { updateCompleted: true, lifecycle: { preDelete: block } }, "Updated"],
    ["26: and on", at("Updated"), { lifecycle: { preDelete: block } }, "Normal"],
    ["22: updated, the hook is back", at("Updated", hooked), { lifecycle: { inPlaceUpdate: block } }, "Normal"],
    [
      "23: updated, half of the hook is back",
      at("Updated", hooked),
      { lifecycle: { inPlaceUpdate: { labelsHandler: { block: "true", more: "true" } } } },
      undefined,
    ],
    ["on its way out", at("PreparingDelete"), { atTarget: true, updateCompleted: true }, undefined],
    ["a word that nobody defined", at("Strange"), { atTarget: true, updateCompleted: true }, undefined],
  ])("%s", (_, target, more, expected) => {
    expect(nextState(target, { ...facts, ...more })).toBe(expected as never);
  });
  test("an Advanced StatefulSet's pod starts Normal unless preNormal is missing something", () => {
    expect(stateAtCreation(pod())).toBe("Normal");
    expect(stateAtCreation(pod(), { preNormal: block })).toBe("PreparingNormal");
    expect(stateAtCreation(pod(hooked), { preNormal: block })).toBe("Normal");
  });
});

describe("beforeUpdate", () => {
  const lifecycle = { inPlaceUpdate: block };
  const hooked = { labels: { block: "true" } };
  test.each<[string, Pod, Lifecycle | undefined, string]>([
    ["22: hooked", at("Normal", hooked), lifecycle, "prepare"],
    ["no state, hooked", at("", hooked), lifecycle, "prepare"],
    ["not hooked", at("Normal"), lifecycle, "start"],
    ["no lifecycle", at("PreparingNormal", hooked), undefined, "start"],
    [
      "23: one of two labels still holds",
      at("PreparingUpdate", hooked),
      { inPlaceUpdate: { labelsHandler: { block: "true", more: "true" } } },
      "wait",
    ],
    ["22: released", at("PreparingUpdate"), lifecycle, "start"],
    ["a further revision", at("Updating", hooked), lifecycle, "start"],
    ["updated, and again", at("Updated"), lifecycle, "prepareAgain"],
    ["on its way out", at("PreparingDelete"), lifecycle, "refuse"],
    ["a word that nobody defined", at("Strange"), lifecycle, "refuse"],
  ])("%s", (_, target, lc, expected) => {
    expect(beforeUpdate(target, lc).do).toBe(expected as never);
  });
});

const serving: PodParts = {
  gates: ["KruisePodReady"],
  conditions: [
    { type: "Ready", status: "True" },
    { type: "ContainersReady", status: "True" },
    { type: "KruisePodReady", status: "True" },
  ],
};
const marking: LifecycleHook = { ...block, markPodNotReady: true };
const conditions = (target: Pod) => Object.fromEntries((target.status?.conditions ?? []).map(({ type, status }) => [type, status]));
const message = (target: Pod) => target.status?.conditions?.find(({ type }) => type === "KruisePodReady")?.message;

describe("writing", () => {
  test("24: PreparingUpdate takes the pod out of service, Updated lets it back", () => {
    const lifecycle = { inPlaceUpdate: marking };
    const start = at("Normal", { ...serving, labels: { block: "true" } });
    const prepared = run(start, prepareSteps(start, lifecycle, false, nowMs));
    expect(prepared.writes).toEqual(["not-ready", "lifecycle"]);
    expect(message(prepared.pod)).toBe('[{"userAgent":"Lifecycle","key":"preUpdateHook"}]');
    expect(conditions(prepared.pod)).toEqual({ Ready: "False", ContainersReady: "True", KruisePodReady: "False" });
    expect(prepareSteps(prepared.pod, lifecycle, false, nowMs)).toEqual([]);
    const updated = run(prepared.pod, setState(prepared.pod, "Updated", marking, nowMs));
    expect(message(updated.pod)).toBe("[]");
    expect(conditions(updated.pod)["KruisePodReady"]).toBe("True");
  });

  test("25: rolled back, the key goes too, even when the hook has gone meanwhile", () => {
    const start = at("Normal", { ...serving, labels: { block: "true" } });
    const prepared = run(start, prepareSteps(start, { inPlaceUpdate: marking }, false, nowMs)).pod;
    for (const lifecycle of [{ inPlaceUpdate: marking }, {}, undefined]) {
      const facts = { lifecycle, atTarget: true, updateCompleted: false, normalNeedsNode: true };
      let target = prepared;
      for (let move = advance(target, facts, nowMs); move; move = advance(target, facts, nowMs)) target = run(target, move.steps).pod;
      expect([lifecycleLabel(target), message(target)]).toEqual(["Normal", "[]"]);
    }
  });

  test("27: deletion is held, and the key is added even when the state is there already", () => {
    const lifecycle = { preDelete: { finalizersHandler: ["f"], markPodNotReady: true } };
    const start = at("PreparingDelete", { ...serving, finalizers: ["f"] });
    expect(isDeletionHeld(start, lifecycle)).toBe(true);
    expect(run(start, holdDeletionSteps(start, lifecycle, nowMs)).writes).toEqual(["not-ready"]);
    expect(isDeletionHeld(at("PreparingDelete"), lifecycle)).toBe(false);
  });

  test("31: without the readiness gate only the state is written", () => {
    const start = at("Normal", { ...serving, gates: [], labels: { block: "true" } });
    expect(run(start, prepareSteps(start, { inPlaceUpdate: marking }, false, nowMs)).writes).toEqual(["lifecycle"]);
  });

  test("a deletion taken back leaves no key behind", () => {
    const lifecycle = { preDelete: { ...block, markPodNotReady: true } };
    const start = at("Normal", { ...serving, labels: { block: "true" } });
    const held = run(start, holdDeletionSteps(start, lifecycle, nowMs)).pod;
    const back = run(held, cancelDeletionSteps(held, nowMs)).pod;
    expect([lifecycleLabel(back), message(back)]).toEqual(["PreparingNormal", "[]"]);
    expect([mayCancelDeletion(lifecycle), mayCancelDeletion({ preDelete: block }), mayCancelDeletion(undefined)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  test("prepared again: label values of any kind, finalizers added to those that are there", () => {
    const hook = { labelsHandler: { "x/y": 'a"b' }, finalizersHandler: ["f/1", "f/2"] };
    const start = at("Updated", { finalizers: ["f/1", "mine/1"] });
    const { pod: after, writes } = run(start, prepareSteps(start, { inPlaceUpdate: hook }, true, nowMs));
    expect(writes).toEqual(["lifecycle"]);
    expect(after.metadata.labels).toMatchObject({ "x/y": 'a"b', [label.lifecycleState]: "PreparingUpdate" });
    expect([...(after.metadata.finalizers ?? [])].sort()).toEqual(["f/1", "f/2", "mine/1"]);
  });
});

// ---- the model: a workload that follows these rules, a user who answers hooks, a node that finishes updates

const anyHook = fc.option(
  fc.record({
    labelsHandler: fc.dictionary(fc.constantFrom("a", "b"), fc.constantFrom("1", ""), { maxKeys: 2 }),
    finalizersHandler: fc.subarray(["f/1", "f/2"]),
    markPodNotReady: fc.boolean(),
  }),
  { nil: undefined },
);
const anyLifecycle = fc.option(fc.record({ preDelete: anyHook, inPlaceUpdate: anyHook, preNormal: anyHook }), { nil: undefined });
const anyState = fc.constantFrom("", "PreparingNormal", "Normal", "PreparingUpdate", "Updating", "Updated", "PreparingDelete");
const anyPod = fc.record({
  state: anyState,
  labels: fc.dictionary(fc.constantFrom("a", "b"), fc.constantFrom("1", "2"), { maxKeys: 2 }),
  finalizers: fc.subarray(["f/1", "f/2"]),
  held: fc.boolean(),
});

const without = (hook: LifecycleHook | undefined, target: Pod): Pod => ({
  ...target,
  metadata: {
    ...target.metadata,
    labels: Object.fromEntries(
      Object.entries(target.metadata.labels ?? {}).map(([k, v]) => [k, hook?.labelsHandler?.[k] === undefined ? v : "released"]),
    ),
    finalizers: (target.metadata.finalizers ?? []).filter((name) => !hook?.finalizersHandler?.includes(name)),
  },
});
/** A label that the hook wants to be "" is released by any other value. */
const released = (hook: LifecycleHook | undefined, target: Pod): Pod => {
  const one = without(hook, target);
  const missing = Object.keys(hook?.labelsHandler ?? {}).filter((key) => one.metadata.labels?.[key] === undefined);
  return {
    ...one,
    metadata: { ...one.metadata, labels: { ...one.metadata.labels, ...Object.fromEntries(missing.map((key) => [key, "released"])) } },
  };
};
const restored = (hook: LifecycleHook | undefined, target: Pod): Pod => ({
  ...target,
  metadata: {
    ...target.metadata,
    labels: { ...target.metadata.labels, ...hook?.labelsHandler },
    finalizers: [...new Set([...(target.metadata.finalizers ?? []), ...(hook?.finalizersHandler ?? [])])],
  },
});

interface World {
  pod: Pod | undefined;
  atTarget: boolean;
}

/** One round of a workload; undefined when it has nothing to do. */
function round(world: World, lifecycle: Lifecycle | undefined, wish: "update" | "rollback" | "delete" | "keep"): World | undefined {
  const target = world.pod as Pod;
  const facts = { lifecycle, atTarget: world.atTarget || wish !== "update", updateCompleted: true, normalNeedsNode: true };
  if (wish === "delete" || lifecycleLabel(target) === "PreparingDelete") {
    if (!isDeletionHeld(target, lifecycle)) return { ...world, pod: undefined };
    const steps = holdDeletionSteps(target, lifecycle, nowMs);
    return steps.length > 0 ? { ...world, pod: run(target, steps).pod } : undefined;
  }
  const move = advance(target, facts, nowMs);
  if (move !== undefined) return { ...world, pod: run(target, move.steps).pod };
  if (wish !== "update" || world.atTarget) return undefined;
  const first = beforeUpdate(target, lifecycle);
  if (first.do === "start") return { pod: run(target, setState(target, "Updating", undefined, nowMs)).pod, atTarget: true };
  if (first.do === "wait" || first.do === "refuse") return undefined;
  const steps = prepareSteps(target, lifecycle, first.do === "prepareAgain", nowMs);
  return steps.length > 0 ? { ...world, pod: run(target, steps).pod } : undefined;
}

/** What a user does about a pod that stands still. */
function answer(target: Pod, lifecycle: Lifecycle | undefined): Pod {
  switch (lifecycleLabel(target)) {
    case "PreparingNormal":
      return restored(lifecycle?.preNormal, target);
    case "PreparingUpdate":
      return released(lifecycle?.inPlaceUpdate, target);
    case "Updated":
      return restored(lifecycle?.inPlaceUpdate, target);
    case "PreparingDelete":
      return released(lifecycle?.preDelete, target);
    default:
      return target;
  }
}

const roundsMax = 30;

test("from any state, with any hooks that change once on the way, it ends: gone, or Normal, in service, at the wanted revision", () =>
  fc.assert(
    fc.property(
      anyPod,
      anyLifecycle,
      anyLifecycle,
      fc.constantFrom("update" as const, "rollback" as const, "delete" as const, "keep" as const),
      fc.nat(6),
      ({ state, labels, finalizers, held }, before, after, wish, changeAt) => {
        const start = at(state, { ...serving, labels, finalizers });
        const marked = held ? run(start, setState(start, "PreparingUpdate", { markPodNotReady: true }, nowMs)).pod : start;
        let world: World = { pod: marked, atTarget: false };
        let at_ = 0;
        for (; at_ < roundsMax && world.pod !== undefined; at_ += 1) {
          const lifecycle = at_ < changeAt ? before : after;
          const next = round(world, lifecycle, wish);
          if (next !== undefined) world = next;
          else {
            const answered = answer(world.pod, lifecycle);
            if (JSON.stringify(answered) === JSON.stringify(world.pod) && at_ >= changeAt) break;
            world = { ...world, pod: answered };
          }
        }
        expect(at_).toBeLessThan(roundsMax);
        if (world.pod === undefined) return;
        expect(["", "Normal"]).toContain(lifecycleLabel(world.pod));
        expect(hasReadinessGate(world.pod, "KruisePodReady")).toBe(true);
        expect([holdsKey(world.pod, preUpdateKey), holdsKey(world.pod, preDeleteKey)]).toEqual([false, false]);
        if (wish === "update") expect(world.atTarget).toBe(true);
      },
    ),
    { numRuns: 1000 },
  ));
