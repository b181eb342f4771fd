import { describe, expect, test } from "bun:test";
import { label } from "../../api/names.ts";
import { cloneSetWith, codesOf, firstPod, idsOf, imagesOf, rolling, settled, stateOf, World } from "./testing/world.ts";

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

  test("one change of each new pod after its creation: conditions and label", () => {
    const world = new World(cloneSetWith({ replicas: 20 }));
    world.round();
    world.syncAll();
    const writes: string[] = [];
    world.afterWrite = (action) => writes.push(action.id);
    world.settle();
    expect(writes.length).toBe(40);
  });

  test("the largest number of replicas that there is does not stop the process: so many a round", () => {
    const world = new World(cloneSetWith({ replicas: 2_147_483_647, volumeClaimTemplates: [{ metadata: { name: "data" }, spec: {} }] }));
    const actions = world.plan().actions.filter(({ id }) => id.startsWith("create:"));
    expect(actions).toHaveLength(500);
  });

  test("15: scaleStrategy.maxUnavailable holds the scale-up, and says so", () => {
    const world = new World(cloneSetWith({ replicas: 5, scaleStrategy: { maxUnavailable: 2, enablePVCReuse: false } }));
    const planned = world.round();
    expect(world.pods.size).toBe(2);
    expect(planned.events?.map(({ reason }) => reason)).toEqual(["ScaleUpLimited"]);
    expect(codesOf(world)).toContain("ScaleUpLimited");
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
    expect(idsOf(world)).toEqual([`delete:${first}`]);
    expect(world.plan().reasons).toContainEqual({ on: second!, code: "DeletionHeldByMaxUnavailable", figures: { used: 0, max: 1 } });
    world.round();
    world.syncAll();
    world.round();
    expect(idsOf(world).filter((id) => id.startsWith("delete:"))).toEqual([]);
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
    expect(idsOf(world)).toEqual([`delete:${second}`]);
  });

  test("14: with surge a marked ready pod waits for the sixth; an unavailable one goes directly", () => {
    const world = settled({ replicas: 5, ...rolling({ maxUnavailable: 1, maxSurge: 1 }) });
    const [down, ready] = [...world.pods.keys()].sort();
    world.sync(down!, false);
    world.setLabel(ready!, label.specifiedDelete, "true");
    expect(idsOf(world).map((id) => id.split(":")[0])).toEqual(["create"]);
    world.setLabel(ready!, label.specifiedDelete, undefined);
    world.setLabel(down!, label.specifiedDelete, "true");
    expect(idsOf(world)).toContain(`delete:${down}`);
  });

  test("16: a pod that shares its node goes before its equals, one that costs less before those", () => {
    const world = settled({ replicas: 4 });
    const [a, b, c, d] = [...world.pods.keys()].sort();
    const nodes = ["n1", "n2", "n2", "n3"];
    for (const [index, name] of [a, b, c, d].entries()) {
      world.edit(name!, (pod) => ({ ...pod, spec: { ...pod.spec, nodeName: nodes[index] } }));
    }
    world.setSpec({ replicas: 3 });
    expect(idsOf(world)).toEqual([`delete:${b}`]);
    world.edit(d!, (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, "controller.kubernetes.io/pod-deletion-cost": "-1" } },
    }));
    expect(idsOf(world)).toEqual([`delete:${d}`]);
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

  test("claims of an id that two pods carry stay until nobody does", () => {
    const world = settled({ replicas: 2, volumeClaimTemplates: claims });
    const [first, second] = [...world.pods.keys()].sort();
    world.setLabel(second!, label.cloneSetInstanceId, first!.slice(4));
    for (const name of [first, second]) world.setLabel(name!, label.specifiedDelete, "true");
    world.setSpec({ replicas: 0 });
    world.settle();
    expect(world.pods.size).toBe(0);
    expect(world.claims.size).toBe(0);
  });

  test("a released pod takes its claims along", () => {
    const world = settled({ replicas: 1, volumeClaimTemplates: claims });
    const name = firstPod(world);
    world.setLabel(name, "app", "debug");
    world.round();
    expect(world.claims.get(`data-${name}`)?.metadata.ownerReferences).toMatchObject([{ kind: "Pod", name }]);
  });

  test("a pod is not released before it has its claims: afterwards nobody would know whose they are", () => {
    const world = settled({ replicas: 1, volumeClaimTemplates: claims });
    const name = firstPod(world);
    const ownersOf = () =>
      [world.pods.get(name), world.claims.get(`data-${name}`)].map((object) => object?.metadata.ownerReferences?.[0]?.kind);
    world.accepts = ({ id }) => !id.startsWith("give-claim:");
    world.setLabel(name, "app", "debug");
    world.round();
    expect(ownersOf()).toEqual(["CloneSet", "CloneSet"]);
    world.accepts = () => true;
    world.round();
    expect(ownersOf()).toEqual([undefined, "Pod"]);
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
