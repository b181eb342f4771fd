/** CloneSet: rolling out, recreating and in place. Numbers are those of the CloneSet acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { imageOf, isAvailable, isReady, names, openShop, type Pod, restartsOf, revisionOf, type Shop, watchBudget } from "../lib/shop.ts";
import { podAnnotations, type Rig } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

const inPlace = { podUpdatePolicy: "InPlaceIfPossible" };
const slow = { annotations: { [podAnnotations.readyDelaySeconds]: "1" } };
const updated = (shop: Shop): Pod[] => shop.pods.filter((pod) => revisionOf(pod) === shop.status.updateRevision);
const old = (shop: Shop): Pod[] => shop.pods.filter((pod) => revisionOf(pod) !== shop.status.updateRevision);
const uids = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.uid).sort();
/** Names in the order in which their image changed to this one. */
function orderOf(shop: Shop, image: string): string[] {
  const moved = shop.podMirror.changes.filter(({ object, before }) => before && imageOf(before) !== image && imageOf(object) === image);
  return moved.map(({ object }) => object.metadata.name);
}
const nothingHappened = (shop: Shop, since: number): void =>
  expect(shop.podMirror.changes.slice(since).map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual([]);

describe("recreating", () => {
  test.concurrent("18: one at a time, under new names; the status moves on", async () => {
    const shop = await openShop(rig, { replicas: 5, rolling: { maxUnavailable: "20%" } });
    const before = names(shop.pods);
    const first = shop.status.currentRevision;
    const { broken } = watchBudget(shop, { replicas: 5, unavailableMax: 1, surgeMax: 0 });
    await shop.setImage("app:v2");
    await shop.until("the new revision", () => shop.status.updateRevision !== first && shop.status.currentRevision === first);
    await shop.settled();
    expect(broken).toEqual([]);
    expect(names(shop.pods).filter((name) => before.includes(name))).toEqual([]);
    expect(shop.pods.map((pod) => imageOf(pod))).toEqual(Array(5).fill("app:v2"));
    await shop.until("currentRevision to follow", () => shop.status.currentRevision === shop.status.updateRevision);
    expect((await shop.eventually("SuccessfulUpdatePodReCreate")).type).toBe("Normal");
  });

  test.concurrent("19: an env change under InPlaceIfPossible recreates", async () => {
    const shop = await openShop(rig, { replicas: 3, rolling: inPlace });
    const before = uids(shop.pods);
    await shop.setTemplate({ spec: { containers: [{ name: "main", image: "app:v1", env: [{ name: "A", value: "1" }] }] } });
    await shop.settled();
    expect(uids(shop.pods).filter((uid) => before.includes(uid))).toEqual([]);
  });

  test.concurrent("23: v1alpha1, maxSurge 1 and maxUnavailable 0: a fourth pod first, three always ready", async () => {
    const shop = await openShop(rig, { version: "v1alpha1", replicas: 3, rolling: { maxSurge: 1, maxUnavailable: 0 }, ...slow });
    const { broken } = watchBudget(shop, { replicas: 3, unavailableMax: 0, surgeMax: 1 });
    await shop.setImage("app:v2");
    await shop.settled();
    expect(broken).toEqual([]);
    expect(updated(shop)).toHaveLength(3);
  });

  test.concurrent("25: OnDelete moves nobody; who is deleted comes back new; all stay ready", async () => {
    const shop = await openShop(rig, { replicas: 3, spec: { updateStrategy: { type: "OnDelete" } } });
    const since = shop.podMirror.changes.length;
    await shop.setImage("app:v2");
    await shop.round();
    nothingHappened(shop, since);
    expect(shop.status).toMatchObject({ updatedReplicas: 0, readyReplicas: 3 });
    const gone = shop.pods[0]!;
    await shop.deletePod(gone.metadata.name);
    await shop.until("its successor", () => shop.pods.length === 3 && !names(shop.pods).includes(gone.metadata.name));
    await shop.until("three available", () => shop.status.availableReplicas === 3 && shop.pods.every(isAvailable));
    expect(updated(shop)).toHaveLength(1);
    expect(old(shop).every(isReady)).toBe(true);
  });
});

describe("in place", () => {
  test.concurrent("19: an image change keeps names, UIDs, IPs and claims", async () => {
    const claim = { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } };
    const shop = await openShop(rig, { replicas: 3, rolling: inPlace, spec: { volumeClaimTemplates: [claim] } });
    const facts = (pod: Pod) => [pod.metadata.name, pod.metadata.uid, pod.status?.podIP];
    const before = { pods: shop.pods.map(facts), claims: (await shop.claims()).map(({ metadata }) => metadata.uid).sort() };
    const hash = shop.pods[0]!.metadata.labels!["pod-template-hash"];
    await shop.setImage("app:v2");
    await shop.settled();
    expect(shop.pods.map(facts)).toEqual(before.pods);
    expect((await shop.claims()).map(({ metadata }) => metadata.uid).sort()).toEqual(before.claims);
    expect(shop.pods.map((pod) => [imageOf(pod), restartsOf(pod)])).toEqual(Array(3).fill(["app:v2", 1]));
    for (const { metadata } of shop.pods) {
      expect(metadata.labels!["pod-template-hash"]).not.toBe(hash);
      expect(metadata.labels!["controller-revision-hash"]).toBe(`web-${metadata.labels!["pod-template-hash"]}`);
    }
    expect((await shop.eventually("SuccessfulUpdatePodInPlace")).type).toBe("Normal");
  });

  test.concurrent("20: partition 3 of 5 moves two; replacements keep to it", async () => {
    const shop = await openShop(rig, { replicas: 5, rolling: { ...inPlace, partition: 3 } });
    const { broken } = watchBudget(shop, {
      replicas: 5,
      surgeMax: 0,
      updatedMax: {
        revision: () => (shop.status.currentRevision === shop.status.updateRevision ? "" : shop.status.updateRevision!),
        count: 2,
      },
    });
    await shop.setImage("app:v2");
    await shop.until("the new revision", () => shop.status.currentRevision !== shop.status.updateRevision);
    await shop.settled();
    expect(shop.status).toMatchObject({ updatedReplicas: 2, expectedUpdatedReplicas: 2 });
    expect([updated(shop).length, old(shop).length]).toEqual([2, 3]);
    for (const [which, image] of [
      [old, "app:v1"],
      [updated, "app:v2"],
    ] as const) {
      const present = names(shop.pods);
      const gone = which(shop)[0]!.metadata.name;
      await shop.deletePod(gone);
      await shop.until("it to be gone", () => !names(shop.pods).includes(gone));
      await shop.settled();
      const successor = shop.pods.find(({ metadata }) => !present.includes(metadata.name))!;
      expect(imageOf(successor)).toBe(image);
    }
    expect(broken).toEqual([]);
  });

  test.concurrent.each([
    ["99%", 1],
    ["100%", 0],
    ["60%", 2],
  ])("21: partition %p of 5 moves %d", async (partition, count) => {
    const shop = await openShop(rig, { replicas: 5, rolling: { ...inPlace, partition } });
    await shop.setImage("app:v2");
    await shop.until("the new revision", () => shop.status.currentRevision !== shop.status.updateRevision);
    await shop.settled();
    await shop.round();
    expect([updated(shop).length, shop.status.expectedUpdatedReplicas]).toEqual([count, count]);
  });

  test.concurrent("22: a raised partition moves nothing back without the gate", async () => {
    const shop = await openShop(rig, { replicas: 5, rolling: { ...inPlace, partition: 3 } });
    await shop.setImage("app:v2");
    await shop.until("two updated", () => shop.status.updatedAvailableReplicas === 2 && updated(shop).length === 2);
    await shop.settled();
    const since = shop.podMirror.changes.length;
    await shop.updateRolling({ partition: 5 });
    await shop.round();
    nothingHappened(shop, since);
    expect(updated(shop)).toHaveLength(2);
  });

  test.concurrent("24: paused, nothing moves; a pod more is new; then it goes on", async () => {
    const shop = await openShop(rig, { replicas: 3, rolling: { ...inPlace, paused: true } });
    const first = shop.status.updateRevision;
    const since = shop.podMirror.changes.length;
    await shop.setImage("app:v2");
    await shop.until("the new revision", () => shop.observed && shop.status.updateRevision !== first);
    await shop.round();
    nothingHappened(shop, since);
    expect(shop.status.updatedReplicas).toBe(0);
    await shop.update({ replicas: 4 });
    await shop.until("four available pods", () => shop.status.availableReplicas === 4 && shop.pods.every(isAvailable));
    expect([updated(shop).length, old(shop).length]).toEqual([1, 3]);
    await shop.updateRolling({ paused: false });
    await shop.settled();
    expect(updated(shop)).toHaveLength(4);
  });

  test.concurrent("19, 8.1: in place with surge: a new pod first, then the others, then the surplus goes", async () => {
    const shop = await openShop(rig, { replicas: 3, rolling: { ...inPlace, maxSurge: 1, maxUnavailable: 0, partition: 1 }, ...slow });
    const { broken } = watchBudget(shop, { replicas: 3, unavailableMax: 0, surgeMax: 1 });
    await shop.setImage("app:v2");
    await shop.until("the new revision", () => shop.status.currentRevision !== shop.status.updateRevision);
    await shop.settled();
    expect(broken).toEqual([]);
    expect([updated(shop).length, old(shop).length]).toEqual([2, 1]);
  });

  test.concurrent("maxUnavailable is kept while pods take their time", async () => {
    const shop = await openShop(rig, { replicas: 6, rolling: { ...inPlace, maxUnavailable: 2 }, ...slow });
    const { broken } = watchBudget(shop, { replicas: 6, unavailableMax: 2, surgeMax: 0 });
    const before = uids(shop.pods);
    await shop.setImage("app:v2");
    await shop.settled();
    expect(broken).toEqual([]);
    expect(uids(shop.pods)).toEqual(before);
  });

  test.concurrent("8.10: a refused creation does not hold the update", async () => {
    const namespace = await rig.namespace();
    await rig.apply({ apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "pods", namespace }, spec: { hard: { pods: "2" } } });
    const shop = await openShop(rig, { namespace, replicas: 2, rolling: { ...inPlace, maxUnavailable: 2 } });
    await shop.update({ replicas: 3 });
    await shop.until("condition FailedScale", () => shop.condition("FailedScale")?.status === "True");
    await shop.setImage("app:v2");
    await shop.until(
      "both pods to run the new image",
      () => shop.pods.length === 2 && shop.pods.every((pod) => imageOf(pod) === "app:v2" && isReady(pod)),
    );
  });
});

describe("order", () => {
  test.concurrent("26: weights: foo, then bar, then the others", async () => {
    const weight = (key: string, value: number) => ({ weight: value, matchSelector: { matchLabels: { [key]: "true" } } });
    const shop = await openShop(rig, {
      replicas: 5,
      rolling: {
        ...inPlace,
        maxUnavailable: 1,
        partition: 5,
        priorityStrategy: { weightPriority: [weight("foo", 50), weight("bar", 30)] },
      },
    });
    const all = names(shop.pods);
    const [, bar, , foo] = all;
    await shop.labelPod(foo!, { foo: "true" });
    await shop.labelPod(bar!, { bar: "true" });
    await shop.setImage("app:v2");
    await shop.updateRolling({ partition: 0 });
    await shop.settled();
    const order = orderOf(shop, "app:v2");
    expect(order.slice(0, 2)).toEqual([foo!, bar!]);
    expect(order.toSorted()).toEqual(all);
  });

  test.concurrent("26: orderPriority: pods without the key, then the higher number", async () => {
    const shop = await openShop(rig, {
      replicas: 4,
      rolling: { ...inPlace, maxUnavailable: 1, partition: 4, priorityStrategy: { orderPriority: [{ orderedKey: "k" }] } },
    });
    const [three, none, ten, also] = names(shop.pods);
    await shop.labelPod(three!, { k: "a-3" });
    await shop.labelPod(ten!, { k: "a-10" });
    await shop.setImage("app:v2");
    await shop.updateRolling({ partition: 0 });
    await shop.settled();
    const order = orderOf(shop, "app:v2");
    expect(order.slice(0, 2).toSorted()).toEqual([none!, also!].toSorted());
    expect(order.slice(2)).toEqual([ten!, three!]);
  });

  test.concurrent("27: scatter: the three labelled ones of ten are the 1st, 6th and 10th", async () => {
    const shop = await openShop(rig, {
      replicas: 10,
      rolling: { ...inPlace, maxUnavailable: 1, partition: 10, scatterStrategy: [{ key: "foo", value: "bar" }] },
    });
    const labelled = names(shop.pods).slice(2, 5);
    for (const name of labelled) await shop.labelPod(name, { foo: "bar" });
    await shop.setImage("app:v2");
    await shop.updateRolling({ partition: 0 });
    await shop.settled(60_000);
    const order = orderOf(shop, "app:v2");
    expect(order.flatMap((name, index) => (labelled.includes(name) ? [index + 1] : []))).toEqual([1, 6, 10]);
  });
});
