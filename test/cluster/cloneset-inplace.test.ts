/** In-place update on a real control plane, with a node that obeys. Numbers are those of the in-place acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { annotation, label } from "../../src/api/names.ts";
import {
  conditionOf,
  imageOf,
  isReady,
  type Loose,
  lifecycleOf,
  names,
  openShop,
  type Pod,
  restartsOf,
  revisionOf,
  type Shop,
} from "../lib/shop.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

const rolling = { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "100%" };
const withGrace = (seconds: number) => ({ ...rolling, inPlaceUpdateStrategy: { gracePeriodSeconds: seconds } });
const stateOf = (pod: Pod) => JSON.parse(pod.metadata.annotations?.[annotation.inPlaceUpdateState] ?? "null") as Loose | null;
const graceOf = (pod: Pod) => pod.metadata.annotations?.[annotation.inPlaceUpdateGrace];
const serving = (pod: Pod) => conditionOf(pod, "InPlaceUpdateReady");
const uidsOf = (shop: Shop) => shop.pods.map(({ metadata }) => metadata.uid).sort();
const container = (name: string, image: string, more: Loose = {}) => ({ name, image, ...more });

test.concurrent("1, 2, 3: out of service, then the image, then back; the same pod remembers what it ran", async () => {
  const shop = await openShop(rig, { rolling });
  const before = shop.pods[0]!;
  const { name } = before.metadata;
  await shop.setImage("app:v2");
  await shop.settled();
  const after = shop.pods[0]!;
  expect(after.metadata.uid).toBe(before.metadata.uid);
  expect([imageOf(after), restartsOf(after), revisionOf(after)]).toEqual(["app:v2", 1, shop.status.updateRevision!]);
  expect(stateOf(after)).toMatchObject({
    revision: shop.status.updateRevision,
    updateImages: true,
    lastContainerStatuses: { main: { imageID: before.status!.containerStatuses![0]!.imageID } },
    containerBatchesRecord: [{ containers: ["main"] }],
  });
  // 2: every version between "still v1 in the spec" and "v2 in the spec"
  const history = shop.historyOf(name);
  const changed = history.findIndex((pod) => imageOf(pod) === "app:v2");
  const out = history[changed - 1]!;
  expect(serving(out)).toMatchObject({ status: "False", reason: "StartInPlaceUpdate" });
  expect(conditionOf(out, "Ready")).toMatchObject({ status: "False", reason: "ReadinessGatesNotReady" });
  // 3
  expect(serving(after)).toMatchObject({ status: "True" });
  expect([serving(after)?.reason ?? "", serving(after)?.message ?? ""]).toEqual(["", ""]);
  expect(lifecycleOf(after)).toBe("Normal");
  const backAgain = history.findIndex((pod, index) => index > changed && serving(pod)?.status === "True");
  expect(history[backAgain]!.status!.containerStatuses![0]!.imageID).not.toBe(before.status!.containerStatuses![0]!.imageID);
});

test.concurrent("4: while the node reports the old image the pod stays out of service, Updating; a good image heals it", async () => {
  const shop = await openShop(rig, { rolling });
  await shop.setImage("app:bad-1");
  const waiting = () => shop.pods[0]?.status?.containerStatuses?.[0]?.state?.waiting?.reason === "ImagePullBackOff";
  await shop.until("the pull to fail", waiting);
  await shop.round();
  const pod = shop.pods[0]!;
  expect([imageOf(pod), pod.status!.containerStatuses![0]!.image, lifecycleOf(pod), serving(pod)?.status]).toEqual([
    "app:bad-1",
    "app:v1",
    "Updating",
    "False",
  ]);
  await shop.setImage("app:v2");
  await shop.settled();
  expect(uidsOf(shop)).toEqual([pod.metadata.uid]);
});

describe("5: a change that is not possible in place", () => {
  const env = (value: string) => ({ spec: { containers: [container("main", "app:v1", { env: [{ name: "A", value }] })] } });

  test.concurrent("InPlaceIfPossible recreates the pod", async () => {
    const shop = await openShop(rig, { rolling });
    const before = uidsOf(shop);
    await shop.setTemplate(env("1"));
    await shop.settled();
    expect(uidsOf(shop)).not.toEqual(before);
  });

  test.concurrent("InPlaceOnly is refused at admission; where it slips past, the pod stays and the workload says so", async () => {
    const shop = await openShop(rig, { rolling: { ...rolling, podUpdatePolicy: "InPlaceOnly" } });
    for (const version of ["v1alpha1", "v1beta1"]) {
      const path = shop.path.replace("v1beta1", version);
      const answer = await rig.admin.request<{ message: string }>("PATCH", path, { spec: { template: env("1") } }, "merge");
      expect([answer.status, answer.body.message]).toEqual([422, expect.stringContaining("InPlaceOnly")]);
    }
    const before = shop.pods.map(({ metadata }) => metadata.uid);
    await shop.updateRolling({ podUpdatePolicy: "ReCreate", partition: "100%" });
    await shop.setTemplate(env("1"));
    await shop.until("the new revision", () => shop.observed && shop.status.updateRevision !== shop.status.currentRevision);
    await shop.updateRolling({ podUpdatePolicy: "InPlaceOnly", partition: 0 });
    await shop.until("condition FailedUpdate", () => shop.condition("FailedUpdate")?.status === "True");
    expect(shop.condition("FailedUpdate")?.message).toContain("InPlaceOnly");
    expect(uidsOf(shop)).toEqual(before);
    expect(shop.pods[0]!.metadata.labels?.[label.specifiedDelete]).toBeUndefined();
    await shop.updateRolling({ podUpdatePolicy: "ReCreate" });
    await shop.settled();
    expect(shop.condition("FailedUpdate")).toBeUndefined();
  });
});

test.concurrent("6: a new template label reaches the pods, and nothing restarts", async () => {
  const shop = await openShop(rig, { replicas: 2, rolling });
  const before = uidsOf(shop);
  await shop.setTemplate({ metadata: { labels: { k1: "v1" } } });
  await shop.settled();
  expect(uidsOf(shop)).toEqual(before);
  expect(shop.pods.map((pod) => [pod.metadata.labels?.["k1"], restartsOf(pod)])).toEqual([
    ["v1", 0],
    ["v1", 0],
  ]);
  for (const pod of shop.pods) expect(stateOf(pod)?.["containerBatchesRecord"]).toMatchObject([{ containers: [] }]);
});

test.concurrent("7: labels and finalizers leave and join the pods with the template, others stay", async () => {
  const shop = await openShop(rig, { rolling, labels: { gone: "1" }, podMetadata: { finalizers: ["test/old", "test/both"] } });
  const { name, uid } = shop.pods[0]!.metadata;
  await shop.patchPod(name, { metadata: { labels: { mine: "1" }, finalizers: ["test/old", "test/both", "test/mine"] } });
  await shop.setTemplate({ metadata: { labels: { gone: null }, finalizers: ["test/both", "test/new"] } });
  await shop.settled();
  const { metadata } = shop.pods[0]!;
  expect(metadata.uid).toBe(uid);
  expect([metadata.labels?.["gone"], metadata.labels?.["mine"]]).toEqual([undefined, "1"]);
  expect([...(metadata.finalizers ?? [])].sort()).toEqual(["test/both", "test/mine", "test/new"]);
  await shop.patchPod(name, { metadata: { finalizers: null } });
});

describe("grace period", () => {
  test.concurrent("10: out of service and at the new revision at once, the image when it is over", async () => {
    const shop = await openShop(rig, { rolling: withGrace(3) });
    const { name } = shop.pods[0]!.metadata;
    await shop.setImage("app:v2");
    const waiting = await shop.until("the grace period", () => shop.pods.find((pod) => graceOf(pod)));
    expect(JSON.parse(graceOf(waiting)!)).toMatchObject({ graceSeconds: 3, containerImages: { main: "app:v2" } });
    expect([imageOf(waiting), serving(waiting)?.status, lifecycleOf(waiting)]).toEqual(["app:v1", "False", "Updating"]);
    expect(revisionOf(waiting)).toBe(JSON.parse(graceOf(waiting)!).revision);
    const sinceMs = Date.parse(String(stateOf(waiting)?.["updateTimestamp"]));
    await shop.settled();
    const pod = shop.pods[0]!;
    expect([imageOf(pod), graceOf(pod)]).toEqual(["app:v2", undefined]);
    const changed = shop.historyOf(name).find((version) => imageOf(version) === "app:v2")!;
    expect(graceOf(changed)).toBeUndefined();
    const startedMs = Date.parse(pod.status!.containerStatuses![0]!.state!.running!.startedAt!);
    expect(startedMs - sinceMs).toBeGreaterThanOrEqual(3_000);
  });

  test.concurrent("11: a second change during the grace period arrives in the end", async () => {
    const shop = await openShop(rig, { rolling: withGrace(2) });
    const uid = shop.pods[0]!.metadata.uid;
    await shop.setImage("app:v2");
    await shop.until("the grace period", () => shop.pods.some(graceOf));
    await shop.setImage("app:v3");
    await shop.settled();
    const pod = shop.pods[0]!;
    expect([pod.metadata.uid, imageOf(pod), graceOf(pod)]).toEqual([uid, "app:v3", undefined]);
  });

  test.concurrent("12: a revision label edited by hand drops what waited", async () => {
    const shop = await openShop(rig, { rolling: withGrace(300) });
    const { name } = shop.pods[0]!.metadata;
    const first = revisionOf(shop.pods[0]!);
    await shop.setImage("app:v2");
    await shop.until("the grace period", () => shop.pods.some(graceOf));
    // Back on the first revision by hand, and held there: what waited must not come.
    await shop.updateRolling({ paused: true });
    await shop.labelPod(name, { [label.controllerRevisionHash]: first });
    await shop.until("the grace annotation to go", () => graceOf(shop.pod(name)) === undefined);
    await shop.round();
    expect(imageOf(shop.pod(name))).toBe("app:v1");
  });
});

describe("batches", () => {
  const priority = (value: number) => ({ env: [{ name: "KRUISE_CONTAINER_PRIORITY", value: String(value) }] });

  test.concurrent("13: the container of higher priority first, the other when that is ready", async () => {
    const containers = (tag: string) => [container("c1", `a:${tag}`, priority(10)), container("c2", `b:${tag}`, priority(0))];
    const shop = await openShop(rig, { rolling, pod: { containers: containers("v1") } });
    const { name } = shop.pods[0]!.metadata;
    const firstId = shop.pods[0]!.status!.containerStatuses!.find((status) => status.name === "c1")!.imageID;
    await shop.setTemplate({ spec: { containers: containers("v2") } });
    await shop.settled();
    const history = shop.historyOf(name);
    const first = history.find((pod) => imageOf(pod, 0) === "a:v2")!;
    expect(imageOf(first, 1)).toBe("b:v1");
    expect(stateOf(first)).toMatchObject({
      nextContainerImages: { c2: "b:v2" },
      preCheckBeforeNext: { containersRequiredReady: ["c1"] },
      containerBatchesRecord: [{ containers: ["c1"] }],
    });
    const second = history.findIndex((pod) => imageOf(pod, 1) === "b:v2");
    const c1 = history[second - 1]!.status!.containerStatuses!.find((status) => status.name === "c1")!;
    expect([c1.imageID === firstId, c1.ready]).toEqual([false, true]);
    const state = stateOf(shop.pods[0]!)!;
    expect(state["containerBatchesRecord"]).toMatchObject([{ containers: ["c1"] }, { containers: ["c2"] }]);
    expect(state["nextContainerImages"]).toBeUndefined();
  });

  test.concurrent("15: a container without a barrier and one with a priority change together", async () => {
    const barrier = { env: [{ name: "KRUISE_CONTAINER_BARRIER", valueFrom: { configMapKeyRef: { name: "any", key: "p_5" } } }] };
    const containers = (tag: string) => [container("c1", `a:${tag}`, barrier), container("c2", `b:${tag}`)];
    const shop = await openShop(rig, { rolling, pod: { containers: containers("v1") } });
    await shop.setTemplate({ spec: { containers: containers("v2") } });
    await shop.settled();
    expect(stateOf(shop.pods[0]!)?.["containerBatchesRecord"]).toMatchObject([{ containers: ["c1", "c2"] }]);
  });
});

test.concurrent.each<[string, Loose, Loose]>([
  [
    "an init container's image",
    { initContainers: [container("i", "i:v1")], containers: [container("main", "a:v1")] },
    { initContainers: [container("i", "i:v2")], containers: [container("main", "a:v1")] },
  ],
  [
    "the order of containers",
    { containers: [container("c1", "a:v1"), container("c2", "b:v1")] },
    { containers: [container("c2", "b:v1"), container("c1", "a:v1")] },
  ],
  [
    "20: resources without the gate",
    { containers: [container("main", "a:v1", { resources: { requests: { cpu: "100m" } } })] },
    { containers: [container("main", "a:v1", { resources: { requests: { cpu: "200m" } } })] },
  ],
])("16: %s changes: recreated", async (_, pod, spec) => {
  const shop = await openShop(rig, { rolling, pod });
  const before = uidsOf(shop);
  await shop.setTemplate({ spec });
  await shop.settled();
  expect(uidsOf(shop)).not.toEqual(before);
});

describe("KruisePodReady", () => {
  test.concurrent("29: our pods carry the gate and soon the condition; a bare pod does not", async () => {
    const shop = await openShop(rig);
    const pod = shop.pods[0]!;
    expect(pod.spec.readinessGates).toContainEqual({ conditionType: "KruisePodReady" });
    expect(conditionOf(pod, "KruisePodReady")?.status).toBe("True");
    const bare = await rig.admin.create<Pod>(`/api/v1/namespaces/${shop.namespace}/pods`, {
      metadata: { name: "bare", labels: { app: "other" } },
      spec: { containers: [container("main", "app:v1")] },
    });
    expect(bare.spec.readinessGates).toBeUndefined();
    await shop.until("the bare pod to be ready", () =>
      shop.pods.some((candidate) => candidate.metadata.name === "bare" && isReady(candidate)),
    );
    expect(conditionOf(shop.pod("bare"), "KruisePodReady")).toBeUndefined();
  });
});

test.concurrent("32: what the node agent reports completes an update whose image ID stays", async () => {
  const { nameAndImageHash } = await import("../../src/kube/canonical/hash.ts");
  const shop = await openShop(rig, { rolling });
  // The node stays with the old image, as with another tag of the same digest that it does not restart for.
  await shop.setImage("app:bad-2");
  await shop.until("Updating", () => shop.pods[0] && lifecycleOf(shop.pods[0]) === "Updating" && imageOf(shop.pods[0]) === "app:bad-2");
  await shop.round();
  const pod = shop.pods[0]!;
  const { containerID } = pod.status!.containerStatuses![0]!;
  const hashes = { plainHash: nameAndImageHash(pod.spec.containers[0]!), extractedEnvFromMetadataHash: 86995377 };
  const meta = JSON.stringify({ containers: [{ name: "main", containerID, restartCount: 0, hashes }] });
  await shop.annotatePod(pod.metadata.name, { [annotation.runtimeContainersMeta]: meta });
  await shop.until("completion", () => lifecycleOf(shop.pods[0]!) === "Normal" && serving(shop.pods[0]!)?.status === "True");
});

test.concurrent("33: an update begun by an old release, with the old annotation, is completed", async () => {
  const shop = await openShop(rig, { rolling });
  const { name } = shop.pods[0]!.metadata;
  const state = {
    revision: shop.status.updateRevision,
    updateTimestamp: "2024-05-01T10:00:00Z",
    lastContainerStatuses: { main: { imageID: "img01" } },
  };
  await shop.patchPod(name, {
    metadata: {
      labels: { [label.lifecycleState]: "Updating" },
      annotations: { [annotation.inPlaceUpdateStateLegacy]: JSON.stringify(state) },
    },
  });
  await shop.until("Normal", () => lifecycleOf(shop.pod(name)) === "Normal");
  // The next update takes the old annotation away.
  await shop.setImage("app:v2");
  await shop.settled();
  expect(shop.pod(name).metadata.annotations?.[annotation.inPlaceUpdateStateLegacy]).toBeUndefined();
});

test.concurrent("a minimum of writes: four for a pod in place, and the node's own", async () => {
  const shop = await openShop(rig, { rolling });
  const { name } = shop.pods[0]!.metadata;
  const since = shop.historyOf(name).length;
  await shop.setImage("app:v2");
  await shop.settled();
  await waitFor("the Event", async () => (await shop.events("SuccessfulUpdatePodInPlace")).length > 0);
  // Ours: out of service, image, in service, lifecycle. The node's: restarted, ready.
  expect(shop.historyOf(name).length - since).toBeLessThanOrEqual(6);
  expect(names(shop.allPods)).toEqual([name]);
});
