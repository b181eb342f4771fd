/** CloneSet: whose pods are whose. Numbers are those of the list for shared machinery; "8.N" the CloneSet's edge cases. */
import { beforeAll, expect, test } from "bun:test";
import { cloneSetManifest, cloneSetPath, idOf, isReady, names, openShop, Shop } from "../lib/shop.ts";
import { collectedMs, type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

const ours = (shop: Shop) =>
  shop.pods.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === shop.cloneSet.metadata.uid));

test.concurrent("16, 8.20: a pod relabelled out of the selector goes its own way; relabelled back it is not adopted", async () => {
  const claim = { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } };
  const shop = await openShop(rig, { replicas: 2, spec: { volumeClaimTemplates: [claim] } });
  const pod = shop.pods[0]!;
  const { name } = pod.metadata;
  await shop.labelPod(name, { app: "mine" });
  await shop.until(
    "it to be let go, and replaced",
    () => (shop.pod(name).metadata.ownerReferences ?? []).length === 0 && ours(shop).length === 2,
  );
  await shop.until("two available ones", () => shop.status.replicas === 2 && shop.status.availableReplicas === 2);
  expect(isReady(shop.pod(name))).toBe(true);
  // Its claim went with it.
  const path = `/api/v1/namespaces/${shop.namespace}/persistentvolumeclaims/data-web-${idOf(pod)}`;
  await waitFor("its claim to be its own", async () =>
    (await rig.admin.get(path))?.metadata.ownerReferences?.some(({ kind, uid }) => kind === "Pod" && uid === pod.metadata.uid),
  );
  await shop.labelPod(name, { app: "web" });
  await shop.round();
  expect(shop.pod(name).metadata.ownerReferences ?? []).toEqual([]);
  expect(shop.status.replicas).toBe(2);
});

test.concurrent("17: of a CloneSet that is being deleted no pod is let go", async () => {
  const shop = await openShop(rig, { metadata: { finalizers: ["test/hold"] } });
  const { name } = shop.pods[0]!.metadata;
  // Not "Orphan": then the garbage collector itself takes the ownerReferences away.
  await rig.admin.delete(shop.path, { propagationPolicy: "Background" });
  await shop.until("the CloneSet to be terminating", () => shop.cloneSet.metadata.deletionTimestamp);
  const owners = shop.pod(name).metadata.ownerReferences;
  await shop.labelPod(name, { app: "other" });
  await shop.round();
  expect(shop.pods).toHaveLength(1);
  expect(owners).toHaveLength(1);
  expect(shop.pod(name).metadata.ownerReferences).toEqual(owners!);
  await shop.patch({ metadata: { finalizers: null } });
});

test.concurrent("8.27: two CloneSets that select the same pods do not fight", async () => {
  const namespace = await rig.namespace();
  const [one, two] = await Promise.all(["one", "two"].map((name) => Shop.watch(rig, namespace, name)));
  for (const name of ["one", "two"]) {
    const manifest = cloneSetManifest(namespace, {
      name,
      replicas: 2,
      labels: { shared: "true" },
      spec: { selector: { matchLabels: { shared: "true" } } },
    });
    await rig.admin.create(cloneSetPath(namespace, "").slice(0, -1), manifest);
  }
  for (const shop of [one!, two!]) await shop.until("two pods each", () => shop.found && shop.status.availableReplicas === 2);
  await one!.update({ replicas: 1 });
  await one!.until("one pod", () => one!.status.replicas === 1 && ours(one!).length === 1);
  await two!.round();
  expect([ours(one!).length, ours(two!).length, two!.status.replicas]).toEqual([1, 2, 2]);
});

test.concurrent("8.19: a pod whose owner reference names v1alpha1 is ours", async () => {
  const shop = await openShop(rig, { replicas: 2, rolling: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "100%" } });
  const { name, ownerReferences } = shop.pods[0]!.metadata;
  await shop.patchPod(name, { metadata: { ownerReferences: [{ ...ownerReferences![0]!, apiVersion: "apps.kruise.io/v1alpha1" }] } });
  await shop.round();
  expect(shop.status.replicas).toBe(2);
  const before = names(shop.pods);
  await shop.setImage("app:v2");
  await shop.settled();
  expect(names(shop.pods)).toEqual(before);
});

test.concurrent("8.24: a pod deleted by hand is replaced at once under another name; 8.26: without the CloneSet nothing is left", async () => {
  const shop = await openShop(rig, { replicas: 2 });
  const { name } = shop.pods[0]!.metadata;
  await shop.deletePod(name);
  await shop.until("the replacement", () => shop.pods.length === 2 && !names(shop.allPods).includes(name));
  await shop.settled();
  await rig.admin.delete(shop.path, { propagationPolicy: "Background" });
  await shop.until("all pods to be gone", () => shop.allPods.length === 0, collectedMs);
  await waitFor("all revisions to be gone", async () => (await shop.revisions()).length === 0, { timeoutMs: collectedMs });
});

test.concurrent("8.17: names too long for the revision label: told, not silent", async () => {
  const shop = await openShop(rig, { name: `web-${"x".repeat(56)}`, wait: false });
  await shop.until("condition FailedScale", () => shop.condition("FailedScale")?.status === "True");
  expect(shop.condition("FailedScale")?.message).toContain("must be no more than 63 characters");
  expect((await shop.eventually("FailedCreate")).message).toContain("must be no more than 63 characters");
});
