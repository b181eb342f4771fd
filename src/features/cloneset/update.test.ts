import { describe, expect, test } from "bun:test";
import { label } from "../../api/names.ts";
import type { Change } from "../../engine/plan.ts";
import type { Condition } from "../../kube/types.ts";
import { codesOf, countOf, firstPod, idsOf, imagesOf, podsOf, rolling, settled, stateOf, type World } from "./testing/world.ts";
import { movesMax } from "./update.ts";

describe("updating", () => {
  test("18: recreated one by one; the status moves on", () => {
    const world = settled({ replicas: 5, ...rolling({ podUpdatePolicy: "ReCreate", maxUnavailable: "20%" }) });
    const before = new Set(world.pods.keys());
    world.setTemplate("app:v2");
    world.settle();
    expect(imagesOf(world)).toEqual(Array(5).fill("app:v2"));
    for (const name of world.pods.keys()) expect(before.has(name)).toBe(false);
    expect(world.cloneSet.status?.currentRevision).toBe(world.cloneSet.status?.updateRevision as string);
  });

  test("19: in place the pods stay; another change recreates them", () => {
    const world = settled({ replicas: 3, ...rolling({ podUpdatePolicy: "InPlaceIfPossible" }) });
    const before = [...world.pods.values()].map((pod) => pod.metadata.uid).sort();
    world.setTemplate("app:v2");
    world.settle();
    expect([...world.pods.values()].map((pod) => pod.metadata.uid).sort()).toEqual(before);
    expect(imagesOf(world)).toEqual(Array(3).fill("app:v2"));
    for (const pod of world.pods.values()) expect(stateOf(pod)).toBe("Normal");
    const { template } = world.cloneSet.spec;
    world.setSpec({ template: { ...template, spec: { ...template.spec, dnsPolicy: "Default" } } });
    world.settle();
    expect([...world.pods.values()].some((pod) => before.includes(pod.metadata.uid))).toBe(false);
  });

  test("one plan moves so many pods, the next one follows at once, and none is forgotten", () => {
    const world = settled({ replicas: movesMax + 10, ...rolling({ podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "100%" }) });
    world.setTemplate("app:v2");
    const planned = world.plan();
    expect(planned.actions.filter(({ id }) => id.startsWith("update:")).length).toBe(movesMax);
    expect(planned.reasons?.map(({ code }) => code)).toEqual(Array(10).fill("WaitingForTurn"));
    expect(planned.requeueAfterMs).toBe(1);
    world.settle();
    expect(countOf(world, "app:v2")).toBe(movesMax + 10);
  });

  test.each(["InPlaceIfPossible", "ReCreate"] as const)(
    "%s: a pod that is down moves first, and only as it was seen",
    (podUpdatePolicy) => {
      const world = settled({ replicas: 3, ...rolling({ podUpdatePolicy, maxUnavailable: 2 }) });
      const [down = ""] = world.pods.keys();
      world.sync(down, false);
      world.setTemplate("app:v2");
      const moves = world.plan().actions.filter(({ id }) => /^(update|mark):/.test(id)) as readonly Change[];
      expect(moves.map(({ on, ofVersion }) => [on.name === down, ofVersion])).toEqual([
        [true, world.pods.get(down)?.metadata.resourceVersion],
        [false, undefined],
      ]);
      // It has come up since: taking it as well would take one too many.
      world.sync(down);
      expect(world.act(moves.map((move) => ({ ...move, after: [] }))).map(({ result }) => result)).toEqual(["failed", "done"]);
    },
  );

  test("a pod that is held takes no place in a plan", () => {
    const lifecycle = { inPlaceUpdate: { labelsHandler: { hold: "yes" } } };
    const world = settled({ replicas: movesMax + 10, lifecycle, ...rolling({ podUpdatePolicy: "InPlaceOnly", maxUnavailable: "100%" }) });
    for (const [name, pod] of world.pods) {
      world.pods.set(name, { ...pod, metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, hold: "yes" } } });
    }
    world.setTemplate("app:v2");
    world.settle();
    expect([...world.pods.values()].map(stateOf)).toEqual(Array(movesMax + 10).fill("PreparingUpdate"));
  });

  test("four writes for each pod in place", () => {
    const world = settled({ replicas: 10, ...rolling({ podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "50%" }) });
    world.setTemplate("app:v2");
    const writes: string[] = [];
    world.afterWrite = (action) => action.id !== "revision" && writes.push(action.id);
    world.settle();
    expect(writes.length).toBe(40);
  });

  test("20, 21: the partition is kept, by replacements too", () => {
    const world = settled({ replicas: 5, ...rolling({ partition: 3 }) });
    world.setTemplate("app:v2");
    world.settle();
    expect([countOf(world, "app:v1"), countOf(world, "app:v2")]).toEqual([3, 2]);
    expect(world.cloneSet.status?.expectedUpdatedReplicas).toBe(2);
    expect(codesOf(world)).toEqual(["HeldByPartition", "HeldByPartition", "HeldByPartition"]);
    for (const image of ["app:v1", "app:v2"]) {
      world.pods.delete([...world.pods.values()].find((pod) => pod.spec.containers[0]!.image === image)!.metadata.name);
      world.settle();
      expect([countOf(world, "app:v1"), countOf(world, "app:v2")]).toEqual([3, 2]);
    }
    world.setSpec(rolling({ partition: "99%" }));
    world.settle();
    expect(countOf(world, "app:v2")).toBe(2);
  });

  test.each([
    [true, 2],
    [false, 4],
  ])("22: a raised partition moves pods back only with the gate (%p)", (gate, updated) => {
    const world = settled(
      { replicas: 5, ...rolling({ podUpdatePolicy: "InPlaceIfPossible", partition: 1 }) },
      { CloneSetPartitionRollback: gate },
    );
    world.setTemplate("app:v2");
    world.settle();
    expect(countOf(world, "app:v2")).toBe(4);
    world.setSpec(rolling({ podUpdatePolicy: "InPlaceIfPossible", partition: 3 }));
    world.settle();
    expect(countOf(world, "app:v2")).toBe(updated);
  });

  test("23: surge without unavailability", () => {
    const world = settled({ replicas: 3, ...rolling({ maxSurge: 1, maxUnavailable: 0 }) });
    world.setTemplate("app:v2");
    let most = 0;
    world.afterWrite = () => {
      most = Math.max(most, podsOf(world).length);
      expect(
        podsOf(world).filter((pod) => pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True")).length,
      ).toBeGreaterThanOrEqual(3);
    };
    world.settle();
    expect(most).toBe(4);
    expect(imagesOf(world)).toEqual(Array(3).fill("app:v2"));
  });

  test("24: paused nothing moves, but scaling goes on with the new revision", () => {
    const world = settled({ replicas: 3, ...rolling({ paused: true }) });
    world.setTemplate("app:v2");
    world.settle();
    expect(countOf(world, "app:v1")).toBe(3);
    expect(codesOf(world)).toEqual(["Paused", "Paused", "Paused"]);
    world.setSpec({ replicas: 4 });
    world.settle();
    expect(countOf(world, "app:v2")).toBe(1);
    world.setSpec(rolling({}));
    world.settle();
    expect(countOf(world, "app:v2")).toBe(4);
  });

  test("25: OnDelete only replaces what somebody deletes", () => {
    const world = settled({ replicas: 3, updateStrategy: { type: "OnDelete" } });
    world.setTemplate("app:v2");
    world.settle();
    expect(codesOf(world)).toEqual(["OnDelete", "OnDelete", "OnDelete"]);
    world.pods.delete(firstPod(world));
    world.settle();
    expect([countOf(world, "app:v1"), countOf(world, "app:v2")]).toEqual([2, 1]);
    world.setLabel(firstPod(world), label.specifiedDelete, "");
    world.settle();
    expect(world.pods.size).toBe(3);
  });

  test("26: weights decide who goes first, and pods without any key of orderPriority", () => {
    const world = settled({ replicas: 3 });
    const [a, b, c] = [...world.pods.keys()].sort();
    world.setLabel(b!, "tier", "foo");
    world.setLabel(c!, "tier", "bar");
    world.setTemplate("app:v2");
    const weight = (value: string, weight: number) => ({ weight, matchSelector: { matchLabels: { tier: value } } });
    world.setSpec(rolling({ maxUnavailable: 1, priorityStrategy: { weightPriority: [weight("foo", 50), weight("bar", 30)] } }));
    expect(idsOf(world)).toEqual(["revision", `mark:${b}`]);
    world.setSpec(rolling({ maxUnavailable: 1, priorityStrategy: { orderPriority: [{ orderedKey: "tier" }] } }));
    expect(idsOf(world)).toEqual(["revision", `mark:${a}`]);
  });

  test("28: back to the first template: its revision returns with a higher number", () => {
    const world = settled({ replicas: 2 });
    const first = world.cloneSet.status?.updateRevision as string;
    world.setTemplate("app:v2");
    world.settle();
    world.setTemplate("app:v1");
    world.settle();
    expect(world.cloneSet.status?.updateRevision).toBe(first);
    expect(world.revisions.size).toBe(2);
    expect(world.revisions.get(first)?.revision).toBe(3);
  });

  test("29: old revisions beyond the limit go", () => {
    const world = settled({ replicas: 1, revisionHistoryLimit: 2 });
    for (let version = 2; version <= 7; version++) {
      world.setTemplate(`app:v${version}`);
      world.settle();
    }
    expect(world.revisions.size).toBe(3);
  });

  test("InPlaceOnly and a change that is not possible in place: a condition, a reason, and no pod touched", () => {
    const world = settled({ replicas: 2, ...rolling({ podUpdatePolicy: "InPlaceOnly" }) });
    const { template } = world.cloneSet.spec;
    world.setSpec({ template: { ...template, spec: { ...template.spec, dnsPolicy: "Default" } } });
    world.settle();
    expect(world.cloneSet.status?.conditions).toMatchObject([
      { type: "FailedUpdate", status: "True", message: expect.stringContaining("podUpdatePolicy is InPlaceOnly") },
    ]);
    expect(codesOf(world)).toContain("InPlaceImpossible");
    world.setSpec({ template });
    world.settle();
    expect(world.cloneSet.status?.conditions).toBeUndefined();
  });

  test("grace: taken out of service first, changed when it is over", () => {
    const world = settled({
      replicas: 1,
      ...rolling({ podUpdatePolicy: "InPlaceIfPossible", inPlaceUpdateStrategy: { gracePeriodSeconds: 30 } }),
    });
    world.setTemplate("app:v2");
    expect(world.round().requeueAfterMs).toBe(30_000);
    world.syncAll();
    expect(imagesOf(world)).toEqual(["app:v1"]);
    world.nowMs += 10_000;
    const planned = world.round();
    expect(planned.requeueAfterMs).toBe(20_000);
    expect(planned.reasons?.map(({ code }) => code)).toContain("InPlaceUpdateGracePeriod");
    world.nowMs += 20_000;
    world.settle();
    expect(imagesOf(world)).toEqual(["app:v2"]);
  });

  test("what the node does not carry out is told to the workload", () => {
    const world = settled({ replicas: 1, ...rolling({ podUpdatePolicy: "InPlaceIfPossible" }) }, { InPlaceWorkloadVerticalScaling: true });
    const name = firstPod(world);
    const state = (more: object) =>
      JSON.stringify({ revision: "web-x", updateTimestamp: "2024-05-01T10:00:00Z", lastContainerStatuses: null, ...more });
    const updating = (annotation: string, conditions: Condition[] = []) =>
      world.edit(name, (pod) => ({
        ...pod,
        metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, "apps.kruise.io/inplace-update-state": annotation } },
        status: {
          ...pod.status,
          conditions: conditions.includes(ready) ? conditions : [{ type: "InPlaceUpdateReady", status: "False" }, ...conditions],
        },
      }));
    const ready: Condition = { type: "InPlaceUpdateReady", status: "True" };
    const serving: Condition[] = [ready, { type: "Ready", status: "True", lastTransitionTime: "2024-05-01T10:00:00Z" }];
    updating(state({ updateResources: true }), [{ type: "PodResizePending", status: "True", reason: "Infeasible", message: "too large" }]);
    expect(world.plan().events).toEqual([
      { type: "Warning", reason: "ResizeInfeasible", message: `pod ${name}: resize not possible on its node: too large` },
    ]);
    // In service as well: a resize need not take the pod out.
    const infeasible: Condition = { type: "PodResizePending", status: "True", reason: "Infeasible", message: "too large" };
    updating(state({ updateResources: true }), [...serving, infeasible]);
    world.setLabel(name, "lifecycle.apps.kruise.io/state", "Updating");
    expect(world.plan()).toMatchObject({ events: [{ reason: "ResizeInfeasible" }], reasons: [{ on: name, code: "ResizeInfeasible" }] });
    // Later on, a pod that counts as available is not asked about its last update.
    world.setLabel(name, "lifecycle.apps.kruise.io/state", "Normal");
    expect(world.plan()).toMatchObject({ events: [], reasons: [] });
    updating(state({ updateEnvFromMetadata: true }));
    world.nowMs = Date.parse("2024-05-01T10:04:00Z");
    expect(world.plan()).toMatchObject({ events: [], requeueAfterMs: 60_000 });
    world.nowMs = Date.parse("2024-05-01T10:05:00Z");
    expect(world.plan().events).toMatchObject([{ reason: "InPlaceUpdateStuck" }]);
  });

  test("minReadySeconds: waits, says until when, and comes back in time", () => {
    const world = settled({ replicas: 2, minReadySeconds: 60 });
    world.nowMs += 61_000;
    world.settle();
    expect(world.cloneSet.status?.availableReplicas).toBe(2);
    world.setTemplate("app:v2");
    for (let round = 0; round < 6; round++) {
      world.round();
      world.syncAll();
    }
    const planned = world.plan();
    expect(planned.reasons?.map(({ code }) => code).sort()).toEqual(["HeldByMaxUnavailable", "WaitingForAvailability"]);
    expect(planned.requeueAfterMs).toBe(60_001);
  });
});

describe("lifecycle", () => {
  const hook = (name: "preDelete" | "inPlaceUpdate" | "preNormal", more = {}) => ({
    lifecycle: { [name]: { labelsHandler: { guard: "on" }, ...more } },
  });
  const guardAll = (world: World, value: string) => {
    for (const name of world.pods.keys()) world.setLabel(name, "guard", value);
  };

  test("30: a hooked pod waits in PreparingDelete, goes when let go, and comes back when wanted", () => {
    const world = settled({ replicas: 3, ...hook("preDelete") });
    guardAll(world, "on");
    world.setSpec({ replicas: 2 });
    world.settle();
    expect(world.pods.size).toBe(3);
    const held = [...world.pods.values()].find((pod) => stateOf(pod) === "PreparingDelete")!.metadata.name;
    expect(codesOf(world)).toContain("DeletionHeldByHook");
    world.setSpec({ replicas: 3 });
    world.settle();
    expect(stateOf(world.pods.get(held))).toBe("Normal");
    expect(world.pods.size).toBe(3);
    world.setSpec({ replicas: 2 });
    world.settle();
    guardAll(world, "off");
    world.settle();
    expect(world.pods.size).toBe(2);
  });

  test("31: not counted when excluded: the replacement comes at once", () => {
    const world = settled({ replicas: 3, ...hook("preDelete") });
    guardAll(world, "on");
    const victim = firstPod(world);
    world.setSpec({ scaleStrategy: { podsToDelete: [victim], excludePreparingDelete: true, enablePVCReuse: false } });
    world.settle();
    expect(stateOf(world.pods.get(victim))).toBe("PreparingDelete");
    expect(world.pods.size).toBe(4);
  });

  test("32: an in-place update waits for its hook, and ends when the hook is back", () => {
    const world = settled({ replicas: 1, ...hook("inPlaceUpdate"), ...rolling({ podUpdatePolicy: "InPlaceIfPossible" }) });
    guardAll(world, "on");
    const name = firstPod(world);
    world.setTemplate("app:v2");
    world.settle();
    expect(stateOf(world.pods.get(name))).toBe("PreparingUpdate");
    expect(imagesOf(world)).toEqual(["app:v1"]);
    // … and nothing else is said of it: it is ready.
    expect(world.plan().reasons).toEqual([{ on: name, code: "HeldByUpdateHook", figures: { hook: "label guard=on" } }]);
    guardAll(world, "off");
    world.settle();
    expect(stateOf(world.pods.get(name))).toBe("Updated");
    expect(imagesOf(world)).toEqual(["app:v2"]);
    expect(codesOf(world)).toContain("WaitingForUpdatedHook");
    guardAll(world, "on");
    world.settle();
    expect(stateOf(world.pods.get(name))).toBe("Normal");
  });

  test.each(["rolled back", "held by a raised partition", "turned to OnDelete"])(
    "a prepared pod whose update is off is Normal again: %s",
    (how) => {
      const world = settled({
        replicas: 2,
        ...hook("inPlaceUpdate"),
        ...rolling({ podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 2 }),
      });
      guardAll(world, "on");
      world.setTemplate("app:v2");
      world.settle();
      if (how === "rolled back") world.setTemplate("app:v1");
      else if (how === "turned to OnDelete") world.setSpec({ updateStrategy: { type: "OnDelete" } });
      else world.setSpec(rolling({ podUpdatePolicy: "InPlaceIfPossible", partition: 2 }));
      world.settle();
      for (const pod of world.pods.values()) expect(stateOf(pod)).toBe("Normal");
      expect(imagesOf(world)).toEqual(["app:v1", "app:v1"]);
    },
  );

  test("with the rollback gate a prepared pod does not flap", () => {
    const spec = { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 2 } as const;
    const world = settled(
      { replicas: 2, ...hook("inPlaceUpdate"), ...rolling({ ...spec, partition: 1 }) },
      { CloneSetPartitionRollback: true },
    );
    world.setTemplate("app:v2");
    world.settle();
    expect(imagesOf(world)).toEqual(["app:v1", "app:v2"]);
    guardAll(world, "on");
    world.settle();
    world.setSpec(rolling({ ...spec, partition: 2 }));
    world.settle();
    expect([...world.pods.values()].map(stateOf).sort()).toEqual(["Normal", "PreparingUpdate"]);
    guardAll(world, "off");
    world.settle();
    expect(imagesOf(world)).toEqual(["app:v1", "app:v1"]);
  });

  test("33: with a preNormal hook a pod counts when the hook is there", () => {
    const world = settled({ replicas: 1, ...hook("preNormal") });
    expect(world.cloneSet.status).toMatchObject({ readyReplicas: 1, availableReplicas: 0 });
    expect(codesOf(world)).toEqual(["WaitingForNormalHook"]);
    guardAll(world, "on");
    world.settle();
    expect(world.cloneSet.status?.availableReplicas).toBe(1);
  });

  test("34: markPodNotReady: it does not come back by itself", () => {
    const world = settled({ replicas: 2, ...hook("preDelete", { markPodNotReady: true }) });
    guardAll(world, "on");
    world.setSpec({ replicas: 1 });
    world.settle();
    world.setSpec({ replicas: 2 });
    world.settle();
    expect([...world.pods.values()].map(stateOf).sort()).toEqual(["Normal", "PreparingDelete"]);
  });
});
