/** CloneSet: lifecycle hooks. Numbers are those of the CloneSet acceptance list; "in-place" ones those of the in-place list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { conditionOf, imageOf, isReady, lifecycleOf, names, openShop, type Pod, restartsOf, type Shop } from "../lib/shop.ts";
import type { Rig } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

const finalizer = "test/hook";
const block = { labelsHandler: { block: "true" } };
const rolling = { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "100%" };
/** The states that a pod went through, each once. */
const statesOf = (shop: Shop, name: string): string[] =>
  shop
    .historyOf(name)
    .map(lifecycleOf)
    .filter((state, index, all) => state !== all[index - 1]);
const keysOf = (pod: Pod): string | undefined => conditionOf(pod, "KruisePodReady")?.message;
const finalized = { podMetadata: { finalizers: [finalizer] }, spec: { lifecycle: { preDelete: { finalizersHandler: [finalizer] } } } };
const state = (shop: Shop, name: string, wanted: string) =>
  shop.until(`pod ${name} to be ${wanted}`, () => lifecycleOf(shop.pod(name)) === wanted);
const free = async (shop: Shop): Promise<void> => {
  for (const { metadata } of shop.allPods) if (metadata.finalizers) await shop.patchPod(metadata.name, { metadata: { finalizers: null } });
};

describe("preDelete", () => {
  test.concurrent("30, in-place 27: the pod waits in PreparingDelete until its finalizer is gone", async () => {
    const shop = await openShop(rig, { replicas: 3, ...finalized });
    await shop.update({ replicas: 2 });
    const held = await shop.until("PreparingDelete", () => shop.pods.find((pod) => lifecycleOf(pod) === "PreparingDelete"));
    await shop.round();
    expect(shop.pod(held.metadata.name).metadata.deletionTimestamp).toBeUndefined();
    await shop.until("two available ones of three", () => shop.status.replicas === 3 && shop.status.availableReplicas === 2);
    await shop.patchPod(held.metadata.name, { metadata: { finalizers: null } });
    await shop.until("it to be gone", () => shop.allPods.length === 2);
    await shop.settled();
    await free(shop);
  });

  test.concurrent("30: scaled back before that, the same pod comes back through PreparingNormal", async () => {
    const shop = await openShop(rig, { replicas: 3, ...finalized });
    const before = names(shop.pods);
    await shop.update({ replicas: 2 });
    const { name } = (await shop.until("PreparingDelete", () => shop.pods.find((pod) => lifecycleOf(pod) === "PreparingDelete"))).metadata;
    await shop.update({ replicas: 3 });
    await shop.settled();
    expect(names(shop.pods)).toEqual(before);
    expect(statesOf(shop, name)).toEqual(["PreparingNormal", "Normal", "PreparingDelete", "PreparingNormal", "Normal"]);
    await free(shop);
  });

  test.concurrent("31: excluded from the count and asked for by name, it is replaced at once", async () => {
    const shop = await openShop(rig, {
      replicas: 3,
      podMetadata: { finalizers: [finalizer] },
      spec: { lifecycle: { preDelete: { finalizersHandler: [finalizer] } }, scaleStrategy: { excludePreparingDelete: true } },
    });
    const chosen = names(shop.pods)[1]!;
    await shop.update({ replicas: 2, scaleStrategy: { podsToDelete: [chosen] } });
    await state(shop, chosen, "PreparingDelete");
    await shop.until("the other two to count", () => shop.observed && shop.status.availableReplicas === 2);
    await shop.update({ replicas: 3 });
    await shop.until("a fourth pod", () => shop.pods.length === 4 && shop.status.availableReplicas === 3);
    expect(lifecycleOf(shop.pod(chosen))).toBe("PreparingDelete");
    await shop.patchPod(chosen, { metadata: { finalizers: null } });
    await shop.until("it to be gone", () => !names(shop.allPods).includes(chosen));
    await shop.settled();
    await free(shop);
  });

  test.concurrent("34: markPodNotReady takes it out of service; it does not come back by itself", async () => {
    const shop = await openShop(rig, {
      replicas: 2,
      podMetadata: { finalizers: [finalizer] },
      spec: { lifecycle: { preDelete: { finalizersHandler: [finalizer], markPodNotReady: true } } },
    });
    await shop.update({ replicas: 1 });
    const { name } = (await shop.until("PreparingDelete", () => shop.pods.find((pod) => lifecycleOf(pod) === "PreparingDelete"))).metadata;
    await shop.until("the pod to be not ready", () => !isReady(shop.pod(name)));
    expect(keysOf(shop.pod(name))).toBe('[{"userAgent":"Lifecycle","key":"preDeleteHook"}]');
    expect(shop.pod(name).status?.containerStatuses?.[0]?.state?.running).toBeDefined();
    await shop.update({ replicas: 2 });
    await shop.round();
    expect([lifecycleOf(shop.pod(name)), isReady(shop.pod(name))]).toEqual(["PreparingDelete", false]);
    await free(shop);
    await shop.until("it to be replaced", () => !names(shop.allPods).includes(name) && shop.status.availableReplicas === 2);
    await free(shop);
  });

  test.concurrent("8.26: kubectl delete does not ask the hook", async () => {
    const shop = await openShop(rig, { replicas: 1, spec: { lifecycle: { preDelete: block } }, labels: { block: "true" } });
    const { name } = shop.pods[0]!.metadata;
    await shop.deletePod(name);
    await shop.until("it to be gone", () => !names(shop.allPods).includes(name));
    expect(statesOf(shop, name)).not.toContain("PreparingDelete");
  });
});

describe("inPlaceUpdate", () => {
  test.concurrent("32, in-place 22: prepared, released, updated, restored", async () => {
    const shop = await openShop(rig, { rolling, labels: { block: "true" }, spec: { lifecycle: { inPlaceUpdate: block } } });
    const { name, uid } = shop.pods[0]!.metadata;
    await shop.setImage("app:v2");
    await state(shop, name, "PreparingUpdate");
    await shop.round();
    expect([lifecycleOf(shop.pod(name)), imageOf(shop.pod(name))]).toEqual(["PreparingUpdate", "app:v1"]);
    await shop.labelPod(name, { block: "false" });
    await state(shop, name, "Updated");
    expect([imageOf(shop.pod(name)), restartsOf(shop.pod(name))]).toEqual(["app:v2", 1]);
    await shop.round();
    expect(shop.status.updatedReplicas).toBe(1);
    expect(lifecycleOf(shop.pod(name))).toBe("Updated");
    await shop.labelPod(name, { block: "true" });
    await shop.settled();
    expect(statesOf(shop, name)).toEqual(["PreparingNormal", "Normal", "PreparingUpdate", "Updating", "Updated", "Normal"]);
    expect(shop.pod(name).metadata.uid).toBe(uid);
    expect((await rig.kubectl(["get", "clone", "web", "-n", shop.namespace, "--no-headers"])).stdout).toMatch(
      /^web\s+1\s+1\s+1\s+1\s+1\s+1\s/,
    );
  });

  test.concurrent("32, in-place 25: rolled back while it waits, it returns without a change, and in service", async () => {
    const shop = await openShop(rig, {
      rolling,
      labels: { block: "true" },
      spec: { lifecycle: { inPlaceUpdate: { ...block, markPodNotReady: true } } },
    });
    const { name } = shop.pods[0]!.metadata;
    await shop.setImage("app:v2");
    await state(shop, name, "PreparingUpdate");
    await shop.setImage("app:v1");
    await shop.settled();
    expect(keysOf(shop.pod(name))).toBe("[]");
    expect(shop.historyOf(name).some((pod) => imageOf(pod) !== "app:v1")).toBe(false);
    expect(statesOf(shop, name)).toEqual(["PreparingNormal", "Normal", "PreparingUpdate", "Normal"]);
  });

  test.concurrent("in-place 23: any of two labels holds, both have to be restored", async () => {
    const hook = { labelsHandler: { one: "true", two: "true" } };
    const shop = await openShop(rig, { rolling, labels: { one: "true", two: "true" }, spec: { lifecycle: { inPlaceUpdate: hook } } });
    const { name } = shop.pods[0]!.metadata;
    await shop.setImage("app:v2");
    await state(shop, name, "PreparingUpdate");
    await shop.labelPod(name, { one: "false" });
    await shop.round();
    expect(lifecycleOf(shop.pod(name))).toBe("PreparingUpdate");
    await shop.labelPod(name, { two: "false" });
    await state(shop, name, "Updated");
    await shop.labelPod(name, { one: "true" });
    await shop.round();
    expect(lifecycleOf(shop.pod(name))).toBe("Updated");
    await shop.labelPod(name, { two: "true" });
    await state(shop, name, "Normal");
  });

  test.concurrent("in-place 24: markPodNotReady holds KruisePodReady False until Updated", async () => {
    const shop = await openShop(rig, {
      rolling,
      labels: { block: "true" },
      spec: { lifecycle: { inPlaceUpdate: { ...block, markPodNotReady: true } } },
    });
    const { name } = shop.pods[0]!.metadata;
    await shop.setImage("app:v2");
    await state(shop, name, "PreparingUpdate");
    expect([conditionOf(shop.pod(name), "KruisePodReady")?.status, keysOf(shop.pod(name))]).toEqual([
      "False",
      '[{"userAgent":"Lifecycle","key":"preUpdateHook"}]',
    ]);
    expect(isReady(shop.pod(name))).toBe(false);
    await shop.labelPod(name, { block: "false" });
    await state(shop, name, "Updated");
    expect([conditionOf(shop.pod(name), "KruisePodReady")?.status, keysOf(shop.pod(name))]).toEqual(["True", "[]"]);
    await shop.labelPod(name, { block: "true" });
    await shop.settled();
  });

  test.concurrent("in-place 26: with another hook only, it passes through Updated by itself", async () => {
    const shop = await openShop(rig, { rolling, spec: { lifecycle: { preDelete: block } } });
    const { name } = shop.pods[0]!.metadata;
    await shop.setImage("app:v2");
    await shop.settled();
    expect(statesOf(shop, name)).toEqual(["PreparingNormal", "Normal", "Updating", "Updated", "Normal"]);
  });

  test.concurrent("an updated pod that is to move again is prepared again, its hook put back", async () => {
    const shop = await openShop(rig, { rolling, labels: { block: "true" }, spec: { lifecycle: { inPlaceUpdate: block } } });
    const { name } = shop.pods[0]!.metadata;
    await shop.setImage("app:v2");
    await state(shop, name, "PreparingUpdate");
    await shop.labelPod(name, { block: "false" });
    await state(shop, name, "Updated");
    await shop.setImage("app:v3");
    await state(shop, name, "PreparingUpdate");
    expect(shop.pod(name).metadata.labels?.["block"]).toBe("true");
    await shop.labelPod(name, { block: "false" });
    await shop.until("the new image", () => imageOf(shop.pod(name)) === "app:v3" && lifecycleOf(shop.pod(name)) === "Updated");
    await shop.labelPod(name, { block: "true" });
    await shop.settled();
  });
});

describe("preNormal", () => {
  test.concurrent("33: ready, not hooked: not available, and a rollout with maxUnavailable 1 waits", async () => {
    const shop = await openShop(rig, {
      replicas: 2,
      rolling: { podUpdatePolicy: "ReCreate", maxUnavailable: 1 },
      spec: { lifecycle: { preNormal: { labelsHandler: { registered: "true" } } } },
      wait: false,
    });
    await shop.until("two ready pods", () => shop.status.readyReplicas === 2);
    await shop.round();
    expect([shop.status.availableReplicas, ...shop.pods.map(lifecycleOf)]).toEqual([0, "PreparingNormal", "PreparingNormal"]);
    for (const name of names(shop.pods)) await shop.labelPod(name, { registered: "true" });
    await shop.settled();
    await shop.setImage("app:v2");
    const fresh = await shop.until("the first new pod to be ready", () =>
      shop.pods.find((pod) => imageOf(pod) === "app:v2" && isReady(pod)),
    );
    await shop.round();
    expect(shop.pods.filter((pod) => imageOf(pod) === "app:v2")).toHaveLength(1);
    await shop.labelPod(fresh.metadata.name, { registered: "true" });
    const second = await shop.until("the second", () =>
      shop.pods.find((pod) => imageOf(pod) === "app:v2" && pod.metadata.name !== fresh.metadata.name),
    );
    await shop.labelPod(second.metadata.name, { registered: "true" });
    await shop.settled();
  });

  test.concurrent("in-place 28: a finalizer as hook", async () => {
    const shop = await openShop(rig, { spec: { lifecycle: { preNormal: { finalizersHandler: [finalizer] } } }, wait: false });
    await shop.until("a ready pod", () => shop.status.readyReplicas === 1);
    const { name } = shop.pods[0]!.metadata;
    await shop.round();
    expect([shop.status.availableReplicas, lifecycleOf(shop.pod(name))]).toEqual([0, "PreparingNormal"]);
    await shop.patchPod(name, { metadata: { finalizers: [finalizer] } });
    await shop.settled();
    await free(shop);
  });

  test.concurrent("8.21: a template that satisfies the hook makes the pod Normal without a node", async () => {
    const shop = await openShop(rig, {
      labels: { registered: "true" },
      pod: { nodeSelector: { nowhere: "true" } },
      spec: { lifecycle: { preNormal: { labelsHandler: { registered: "true" } } } },
      wait: false,
    });
    await shop.until("Normal", () => shop.pods[0] !== undefined && lifecycleOf(shop.pods[0]) === "Normal");
    expect(shop.pods[0]!.spec.nodeName).toBeUndefined();
  });
});
