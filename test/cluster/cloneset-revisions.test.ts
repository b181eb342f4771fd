/** CloneSet: revisions and their history. Numbers are those of the CloneSet list (28, 29) and, as "shared N", of the list for shared machinery. */
import { beforeAll, expect, test } from "bun:test";
import { annotation, label } from "../../src/api/names.ts";
import type { ControllerRevision } from "../../src/kube/types.ts";
import { imageOf, type Loose, openShop, restartsOf, revisionOf, type Shop, type ShopOptions } from "../lib/shop.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

const rolling = { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "100%" };
/** The template whose data and hash OpenKruise's own tests publish. */
const published: ShopOptions = {
  name: "sample",
  rolling,
  pod: { containers: [{ name: "nginx", image: "nginx:alpine", imagePullPolicy: "IfNotPresent" }] },
};
const publishedHash = "c6b87f574";
const nextHash = "c6b87f575";
const numbers = (revisions: readonly ControllerRevision[]) =>
  Object.fromEntries(revisions.map(({ metadata, revision }) => [metadata.name, revision]));
const revisionNames = async (shop: Shop) => (await shop.revisions()).map(({ metadata }) => metadata.name).sort();

test.concurrent("shared 1: name, hash and labels are OpenKruise's", async () => {
  const shop = await openShop(rig, { ...published, metadata: { annotations: { "kubernetes.io/change-cause": "first" } } });
  const [revision, ...more] = await shop.revisions();
  expect(more).toEqual([]);
  expect(revision).toMatchObject({
    metadata: {
      name: `sample-${publishedHash}`,
      labels: { app: "sample", [label.controllerHash]: publishedHash },
      annotations: { [annotation.cloneSetVolumeClaimTemplateHash]: "", "kubernetes.io/change-cause": "first" },
      ownerReferences: [{ apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", uid: shop.cloneSet.metadata.uid, controller: true }],
    },
    revision: 1,
  });
  expect(shop.pods[0]!.metadata.labels).toMatchObject({
    [label.controllerRevisionHash]: `sample-${publishedHash}`,
    [label.podTemplateHash]: publishedHash,
  });
});

test.concurrent("shared 3, 11: replicas, partition and claim templates make no revision; claim templates are hashed in an annotation", async () => {
  const claim = { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "20Gi" } } } };
  const shop = await openShop(rig, { rolling, spec: { volumeClaimTemplates: [claim] } });
  const before = await revisionNames(shop);
  expect((await shop.revisions())[0]!.metadata.annotations?.[annotation.cloneSetVolumeClaimTemplateHash]).toBe("1632514146");
  await shop.update({ replicas: 2 });
  await shop.updateRolling({ partition: 1 });
  await shop.update({ volumeClaimTemplates: [{ ...claim, metadata: { name: "other" } }] });
  await shop.settled();
  expect(await revisionNames(shop)).toEqual(before);
  expect(shop.pods.every((pod) => restartsOf(pod) === 0)).toBe(true);
});

test.concurrent("28, shared 4: back to the first template: its revision returns as number 3", async () => {
  const shop = await openShop(rig, { rolling });
  const first = shop.status.updateRevision!;
  await shop.setImage("app:v2");
  await shop.settled();
  const second = shop.status.updateRevision!;
  await shop.setImage("app:v1");
  await shop.settled();
  expect(shop.status.updateRevision).toBe(first);
  expect(numbers(await shop.revisions())).toEqual({ [first]: 3, [second]: 2 });
  expect([imageOf(shop.pods[0]!), revisionOf(shop.pods[0]!)]).toEqual(["app:v1", first]);
});

test.concurrent("28: back to a template with a shell's && and >", async () => {
  const containers = (image: string) => [{ name: "app", image, command: ["sh", "-c", "a && b > c < d"] }];
  const shop = await openShop(rig, { rolling, pod: { containers: containers("app:v1") } });
  const first = shop.status.updateRevision!;
  for (const image of ["app:v2", "app:v1"]) {
    await shop.update({ template: { spec: { containers: containers(image) } } });
    await shop.settled();
  }
  expect(shop.status.updateRevision).toBe(first);
  expect(Object.values(numbers(await shop.revisions())).sort()).toEqual([2, 3]);
});

test.concurrent("29, shared 6: of six changes two old revisions and the live one stay", async () => {
  const shop = await openShop(rig, { rolling, spec: { revisionHistoryLimit: 2 } });
  for (const version of [2, 3, 4, 5, 6, 7]) {
    await shop.setImage(`app:v${version}`);
    await shop.settled();
  }
  await waitFor("three revisions", async () => (await shop.revisions()).length === 3);
  expect(Object.values(numbers(await shop.revisions())).sort()).toEqual([5, 6, 7]);
});

test.concurrent("shared 5: a foreign revision in the way: another name, collisionCount 1", async () => {
  const namespace = await rig.namespace();
  await rig.admin.create(`/apis/apps/v1/namespaces/${namespace}/controllerrevisions`, {
    metadata: { name: `sample-${publishedHash}`, labels: { app: "other" } },
    data: { other: true },
    revision: 1,
  });
  const shop = await openShop(rig, { ...published, namespace });
  expect([shop.status.updateRevision, shop.status.collisionCount]).toEqual([`sample-${nextHash}`, 1]);
  expect(revisionOf(shop.pods[0]!)).toBe(`sample-${nextHash}`);
  await shop.round();
  expect(await revisionNames(shop)).toEqual([`sample-${publishedHash}`, `sample-${nextHash}`]);
});

test.concurrent("shared 7, 8: escapes and quantities are canonical, and looking again changes nothing", async () => {
  const container = (cpu: string): Loose => ({ name: "main", image: "app:v1", resources: { requests: { cpu, memory: "1024Mi" } } });
  const shop = await openShop(rig, { rolling, annotations: { note: "a<b & c>d" }, pod: { containers: [container("1000m")] } });
  const answer = await rig.kubectl(["get", "--raw", `/apis/apps/v1/namespaces/${shop.namespace}/controllerrevisions`]);
  expect(answer.stdout).toContain('"note":"a\\u003cb \\u0026 c\\u003ed"');
  expect((await shop.revisions())[0]!.data).toMatchObject({
    spec: { template: { $patch: "replace", spec: { containers: [{ resources: { requests: { cpu: "1", memory: "1Gi" } } }] } } },
  });
  await shop.setTemplate({ spec: { containers: [container("1")] } });
  await shop.settled();
  expect(await revisionNames(shop)).toHaveLength(1);
  expect(shop.pods.map((pod) => restartsOf(pod))).toEqual([0]);
});

test.concurrent("shared 10: a pod without pod-template-hash gets it, and does not restart", async () => {
  const shop = await openShop(rig, { rolling });
  const { name, uid, labels } = shop.pods[0]!.metadata;
  await shop.labelPod(name, { [label.podTemplateHash]: null });
  await shop.until(
    "the label to be back",
    () => shop.pod(name).metadata.labels?.[label.podTemplateHash] === labels![label.podTemplateHash],
  );
  expect([shop.pod(name).metadata.uid, restartsOf(shop.pod(name))]).toEqual([uid, 0]);
});

test.concurrent("8.16: a pod whose revision is gone is recreated", async () => {
  const shop = await openShop(rig, { replicas: 2, rolling: { ...rolling, partition: "100%" } });
  const first = shop.status.updateRevision!;
  const before = shop.pods.map(({ metadata }) => metadata.uid);
  await shop.setImage("app:v2");
  await shop.until("the new revision", () => shop.observed && shop.status.updateRevision !== first);
  await rig.admin.delete(`/apis/apps/v1/namespaces/${shop.namespace}/controllerrevisions/${first}`);
  await waitFor("the revision to be gone", async () => !(await revisionNames(shop)).includes(first));
  await shop.updateRolling({ partition: 0 });
  await shop.settled();
  expect(shop.pods.filter(({ metadata }) => before.includes(metadata.uid))).toEqual([]);
  expect(shop.pods.map((pod) => imageOf(pod))).toEqual(["app:v2", "app:v2"]);
});
