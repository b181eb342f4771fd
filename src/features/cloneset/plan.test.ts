import { describe, expect, test } from "bun:test";
import type { CloneSetRollingUpdate } from "../../api/cloneset.ts";
import { label } from "../../api/names.ts";
import type { Pod } from "../../kube/types.ts";
import { cloneSetWith, settingsWith, World } from "./testing/world.ts";

const rolling = (rollingUpdate: CloneSetRollingUpdate) => ({ updateStrategy: { type: "RollingUpdate", rollingUpdate } });
const podsOf = (world: World) => [...world.pods.values()].filter((pod) => pod.metadata.deletionTimestamp === undefined);
const imagesOf = (world: World) =>
  podsOf(world)
    .map((pod) => pod.spec.containers[0]!.image)
    .sort();
const countOf = (world: World, image: string) => imagesOf(world).filter((candidate) => candidate === image).length;
const stateOf = (pod: Pod | undefined) => pod?.metadata.labels?.[label.lifecycleState];
const firstPod = (world: World) => [...world.pods.keys()].sort()[0]!;
const ids = (world: World) => world.plan().actions.map(({ id }) => id);
const codes = (world: World) => (world.plan().reasons ?? []).map(({ code }) => code);

function settled(spec: Parameters<typeof cloneSetWith>[0], gates: Parameters<typeof settingsWith>[0] = {}): World {
  const world = new World(cloneSetWith(spec), settingsWith(gates));
  world.settle();
  return world;
}

describe("creating", () => {
  test("8: pods with their labels, PreparingNormal, then Normal and in service", () => {
    const world = new World(cloneSetWith({ replicas: 5 }));
    world.round();
    expect(world.pods.size).toBe(5);
    const revision = [...world.revisions.keys()][0]!;
    for (const [name, pod] of world.pods) {
      expect(name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
      expect(pod.metadata.labels).toEqual({
        app: "web",
        "controller-revision-hash": revision,
        "pod-template-hash": revision.slice(4),
        "apps.kruise.io/cloneset-instance-id": name.slice(4),
        "lifecycle.apps.kruise.io/state": "PreparingNormal",
      });
      expect(pod.metadata.annotations?.["lifecycle.apps.kruise.io/timestamp"]).toBe("2024-05-01T10:00:00Z");
      expect(pod.metadata.ownerReferences).toEqual([
        { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", name: "web", uid: "uid-web", controller: true, blockOwnerDeletion: true },
      ]);
      expect(pod.spec.readinessGates).toEqual([{ conditionType: "InPlaceUpdateReady" }]);
    }
    world.settle();
    for (const pod of world.pods.values()) expect(stateOf(pod)).toBe("Normal");
    expect(world.cloneSet.status).toMatchObject({
      replicas: 5,
      readyReplicas: 5,
      availableReplicas: 5,
      updatedReplicas: 5,
      updatedReadyReplicas: 5,
      updatedAvailableReplicas: 5,
      expectedUpdatedReplicas: 5,
      labelSelector: "app=web",
      collisionCount: 0,
      updateRevision: revision,
      currentRevision: revision,
      observedGeneration: 1,
    });
  });

  test("the short hash, when its gate asks for it", () => {
    const world = settled({ replicas: 1 }, { CloneSetShortHash: true });
    const pod = world.pods.get(firstPod(world))!;
    expect(pod.metadata.labels?.["controller-revision-hash"]).toBe(pod.metadata.labels?.["pod-template-hash"]);
  });

  test("two writes for each new pod after its creation: one condition, one label", () => {
    const world = new World(cloneSetWith({ replicas: 20 }));
    world.round();
    world.syncAll();
    const writes: string[] = [];
    world.afterWrite = (action) => writes.push(action.id);
    world.settle();
    expect(writes.length).toBe(40);
  });

  test("15: scaleStrategy.maxUnavailable holds the scale-up, and says so", () => {
    const world = new World(cloneSetWith({ replicas: 5, scaleStrategy: { maxUnavailable: 2, enablePVCReuse: false } }));
    const planned = world.round();
    expect(world.pods.size).toBe(2);
    expect(planned.events?.map(({ reason }) => reason)).toEqual(["ScaleUpLimited"]);
    expect(codes(world)).toContain("ScaleUpLimited");
    world.settle();
    expect(world.pods.size).toBe(5);
  });

  test("a refused creation: the condition stays while it is tried, and goes when it is over", () => {
    const world = new World(cloneSetWith({ replicas: 3 }));
    world.accepts = (action) => !action.id.startsWith("create:");
    world.round();
    expect(world.cloneSet.status?.conditions).toMatchObject([
      { type: "FailedScale", status: "True", message: expect.stringContaining("refused") },
    ]);
    const planned = world.plan();
    expect(planned.status?.([])?.conditions).toHaveLength(1);
    world.accepts = () => true;
    world.settle();
    expect(world.cloneSet.status?.conditions).toBeUndefined();
  });

  test("refused creations do not hold updates", () => {
    const world = settled({ replicas: 3, ...rolling({ podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 2 }) });
    world.setSpec({ replicas: 4 });
    world.setTemplate("app:v2");
    world.accepts = (action) => !action.id.startsWith("create:");
    for (let round = 0; round < 12; round++) {
      world.round();
      world.syncAll();
      world.nowMs += 1000;
    }
    expect(imagesOf(world)).toEqual(["app:v2", "app:v2", "app:v2"]);
  });
});

describe("scaling", () => {
  test("12: podsToDelete with fewer replicas takes exactly that pod, and leaves the list", () => {
    const world = settled({ replicas: 5 });
    const victim = firstPod(world);
    world.setSpec({ replicas: 4, scaleStrategy: { podsToDelete: [victim], enablePVCReuse: false } });
    world.settle();
    expect(world.pods.size).toBe(4);
    expect(world.pods.has(victim)).toBe(false);
    expect(world.cloneSet.spec.scaleStrategy?.podsToDelete).toBeUndefined();
  });

  test("13: podsToDelete with the same replicas replaces it", () => {
    const world = settled({ replicas: 5 });
    const victim = firstPod(world);
    world.setSpec({ scaleStrategy: { podsToDelete: [victim, "gone"], enablePVCReuse: false } });
    world.settle();
    expect(world.pods.size).toBe(5);
    expect(world.pods.has(victim)).toBe(false);
  });

  test("11: two marked pods of five go one after another, the second when the first is replaced", () => {
    const world = settled({ replicas: 5 });
    const [first, second] = [...world.pods.keys()].sort();
    world.setLabel(first!, label.specifiedDelete, "true");
    world.setLabel(second!, label.specifiedDelete, "true");
    expect(ids(world)).toEqual([`delete:${first}`]);
    expect(world.plan().reasons).toContainEqual({ on: second!, code: "DeletionHeldByMaxUnavailable", figures: { used: 0, max: 1 } });
    world.round();
    world.syncAll();
    world.round();
    expect(ids(world).filter((id) => id.startsWith("delete:"))).toEqual([]);
    world.settle();
    expect(world.pods.has(second!)).toBe(false);
    expect(world.pods.size).toBe(5);
  });

  test("a marked pod that is down has used the budget of its marked sibling", () => {
    const world = settled({ replicas: 5 });
    const [first, second] = [...world.pods.keys()].sort();
    world.setLabel(first!, label.specifiedDelete, "true");
    world.setLabel(second!, label.specifiedDelete, "true");
    world.sync(second!, false);
    expect(ids(world)).toEqual([`delete:${second}`]);
  });

  test("14: with surge a marked ready pod waits for the sixth; an unavailable one goes directly", () => {
    const world = settled({ replicas: 5, ...rolling({ maxUnavailable: 1, maxSurge: 1 }) });
    const [down, ready] = [...world.pods.keys()].sort();
    world.sync(down!, false);
    world.setLabel(ready!, label.specifiedDelete, "true");
    expect(ids(world).map((id) => id.split(":")[0])).toEqual(["create"]);
    world.setLabel(ready!, label.specifiedDelete, undefined);
    world.setLabel(down!, label.specifiedDelete, "true");
    expect(ids(world)).toContain(`delete:${down}`);
  });

  test("16: a pod that shares its node goes before its equals, one that costs less before those", () => {
    const world = settled({ replicas: 4 });
    const [a, b, c, d] = [...world.pods.keys()].sort();
    const nodes = ["n1", "n2", "n2", "n3"];
    for (const [index, name] of [a, b, c, d].entries()) {
      world.edit(name!, (pod) => ({ ...pod, spec: { ...pod.spec, nodeName: nodes[index] } }));
    }
    world.setSpec({ replicas: 3 });
    expect(ids(world)).toEqual([`delete:${b}`]);
    world.edit(d!, (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, "controller.kubernetes.io/pod-deletion-cost": "-1" } },
    }));
    expect(ids(world)).toEqual([`delete:${d}`]);
  });

  test("a released pod goes its own way, and is replaced", () => {
    const world = settled({ replicas: 2 });
    const stranger = firstPod(world);
    world.setLabel(stranger, "app", "debug");
    world.settle();
    expect(world.pods.size).toBe(3);
    expect(world.pods.get(stranger)?.metadata.ownerReferences).toEqual([]);
  });

  test("finished pods are replaced and left alone", () => {
    const world = settled({ replicas: 2 });
    const evicted = firstPod(world);
    world.edit(evicted, (pod) => ({ ...pod, status: { ...pod.status, phase: "Failed" } }));
    world.round();
    expect(world.pods.size).toBe(3);
    expect(world.pods.has(evicted)).toBe(true);
  });

  test("a CloneSet that is being deleted does nothing", () => {
    const world = new World(cloneSetWith({ replicas: 2 }));
    world.cloneSet = { ...world.cloneSet, metadata: { ...world.cloneSet.metadata, deletionTimestamp: "2024-05-01T10:00:00Z" } };
    expect(world.plan().actions).toEqual([]);
  });
});

describe("claims", () => {
  const claims = [{ metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"] } }];

  test("9: a claim for each pod, deleted with it when scaled in", () => {
    const world = settled({ replicas: 2, volumeClaimTemplates: claims });
    expect([...world.claims.keys()].sort()).toEqual([...world.pods.keys()].map((name) => `data-${name}`).sort());
    for (const claim of world.claims.values()) {
      expect(claim.metadata.labels).toEqual({ app: "web", "apps.kruise.io/cloneset-instance-id": claim.metadata.name.slice(9) });
    }
    const pod = world.pods.get(firstPod(world))!;
    expect(pod.spec.volumes).toEqual([
      { name: "data", persistentVolumeClaim: { claimName: `data-${pod.metadata.name}`, readOnly: false } },
    ]);
    world.setSpec({ replicas: 1 });
    world.settle();
    expect([...world.claims.keys()]).toEqual([...world.pods.keys()].map((name) => `data-${name}`));
  });

  test("10: with reuse the successor waits for the name and takes the claim over", () => {
    const world = settled({ replicas: 2, volumeClaimTemplates: claims, scaleStrategy: { enablePVCReuse: true } });
    const name = firstPod(world);
    const uid = world.pods.get(name)!.metadata.uid;
    world.edit(name, (pod) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2024-05-01T10:00:00Z" } }));
    const planned = world.plan();
    expect(planned.actions).toEqual([]);
    expect(planned.reasons).toContainEqual({ on: name, code: "ReplacementWaits", figures: { pod: name } });
    world.pods.delete(name);
    world.settle();
    expect(world.pods.get(name)!.metadata.uid).not.toBe(uid);
    expect(world.claims.size).toBe(2);
  });

  test("with reuse a finished pod keeps its claim, its successor starts afresh", () => {
    const world = settled({ replicas: 2, volumeClaimTemplates: claims, scaleStrategy: { enablePVCReuse: true } });
    const name = firstPod(world);
    world.edit(name, (pod) => ({ ...pod, status: { ...pod.status, phase: "Failed" } }));
    world.round();
    expect(world.pods.size).toBe(3);
    expect(world.claims.size).toBe(3);
  });

  test("10: without reuse the claim goes to the terminating pod; without a pod it is deleted", () => {
    const world = settled({ replicas: 2, volumeClaimTemplates: claims });
    const [first, second] = [...world.pods.keys()].sort();
    world.edit(first!, (pod) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2024-05-01T10:00:00Z" } }));
    world.pods.delete(second!);
    world.round();
    expect(world.claims.get(`data-${first}`)?.metadata.ownerReferences).toMatchObject([{ kind: "Pod", name: first, controller: true }]);
    expect(world.claims.has(`data-${second}`)).toBe(false);
    expect(world.claims.size).toBe(3);
  });

  test("a released pod takes its claims along", () => {
    const world = settled({ replicas: 1, volumeClaimTemplates: claims });
    const name = firstPod(world);
    world.setLabel(name, "app", "debug");
    world.round();
    expect(world.claims.get(`data-${name}`)?.metadata.ownerReferences).toMatchObject([{ kind: "Pod", name }]);
  });

  test("claims in doubt are left alone, and looked at again", () => {
    const world = settled({ replicas: 1, volumeClaimTemplates: claims });
    const name = firstPod(world);
    world.pods.delete(name);
    const observed = { ...world.observe(), claimsInDoubt: new Set([`data-${name}`]) };
    world.observe = () => observed;
    const planned = world.plan();
    expect(planned.actions.map(({ id }) => id)).not.toContain(`delete-claim:data-${name}`);
    expect(planned.requeueAfterMs).toBe(10_000);
  });
});

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
    expect(codes(world)).toEqual(["HeldByPartition", "HeldByPartition", "HeldByPartition"]);
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
    expect(codes(world)).toEqual(["Paused", "Paused", "Paused"]);
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
    expect(codes(world)).toEqual(["OnDelete", "OnDelete", "OnDelete"]);
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
    expect(ids(world)).toEqual(["revision", `mark:${b}`]);
    world.setSpec(rolling({ maxUnavailable: 1, priorityStrategy: { orderPriority: [{ orderedKey: "tier" }] } }));
    expect(ids(world)).toEqual(["revision", `mark:${a}`]);
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
    expect(codes(world)).toContain("InPlaceImpossible");
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
    expect(codes(world)).toContain("DeletionHeldByHook");
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
    expect(world.plan().reasons).toContainEqual({ on: name, code: "HeldByUpdateHook", figures: { hook: "label guard=on" } });
    guardAll(world, "off");
    world.settle();
    expect(stateOf(world.pods.get(name))).toBe("Updated");
    expect(imagesOf(world)).toEqual(["app:v2"]);
    expect(codes(world)).toContain("WaitingForUpdatedHook");
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
    expect(codes(world)).toEqual(["WaitingForNormalHook"]);
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
