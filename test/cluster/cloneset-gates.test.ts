/**
 * CloneSet with other feature gates than the defaults: everything on, as OpenKruise's own deployment runs, and single ones. A cluster of its
 * own, which also shows the takeover of what OpenKruise left behind. Numbers are those of the CloneSet acceptance list.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { annotation, label } from "../../src/api/names.ts";
import type { ControllerRevision } from "../../src/kube/types.ts";
import { Mirror } from "../lib/mirror.ts";
import {
  cloneSetManifest,
  cloneSetPath,
  conditionOf,
  imageOf,
  isAvailable,
  isReady,
  type Loose,
  lifecycleOf,
  names,
  openShop,
  type Pod,
  restartsOf,
  revisionOf,
  Shop,
  watchBudget,
} from "../lib/shop.ts";
import { type Manager, type Rig, startRig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";

const everything = "AllAlpha=true,AllBeta=true,EnableExternalCerts=false,TemplateNoDefaults=false";
const webhooks = ["mutatingwebhookconfigurations/kruise-mutating", "validatingwebhookconfigurations/kruise-validating"].map(
  (name) => `/apis/admissionregistration.k8s.io/v1/${name}-webhook-configuration`,
);

let rig: Rig;
let manager: Manager;
const left: { full: Shop; short: Shop } = {} as never;

beforeAll(async () => {
  rig = await startRig({ kwokNodes: 4 });
  await rig.install();
  // Nobody answers webhooks yet.
  for (const path of webhooks) await rig.admin.delete(path);
  [left.full, left.short] = [await leaveBehind("full", (hash) => `full-${hash}`), await leaveBehind("short", (hash) => hash)];
  await rig.install();
  manager = await rig.startManager({ flags: [`--feature-gates=${everything}`] });
}, startTimeoutMs);
afterAll(async () => {
  await rig?.stop();
}, 60_000);

const rolling = { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "100%" };
const hashOf = (name: string): string => name.slice(name.lastIndexOf("-") + 1);
const shortRevision = (shop: Shop): string => hashOf(shop.status.updateRevision!);
const behind = (shop: Shop): Pod[] => shop.pods.filter((pod) => hashOf(revisionOf(pod)) !== shortRevision(shop));
const facts = (pods: readonly Pod[]) => pods.map(({ metadata }) => `${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`);

/** A CloneSet at rest as OpenKruise left it: its revision and pods were written by somebody else. */
async function leaveBehind(name: string, labelOf: (hash: string) => string): Promise<Shop> {
  const namespace = await rig.namespace();
  const shop = await Shop.watch(rig, namespace, name);
  const template = {
    metadata: { labels: { app: name } },
    spec: {
      containers: [
        {
          name: "nginx",
          image: "nginx:alpine",
          imagePullPolicy: "IfNotPresent",
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
      dnsPolicy: "ClusterFirst",
      restartPolicy: "Always",
      schedulerName: "default-scheduler",
      securityContext: {},
      terminationGracePeriodSeconds: 30,
    },
  };
  const spec = {
    replicas: 2,
    revisionHistoryLimit: 10,
    template,
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { ...rolling, partition: 0, maxSurge: 0 } },
  };
  const manifest = cloneSetManifest(namespace, { name, spec });
  const { metadata } = await rig.admin.create<{ metadata: { uid: string } }>(cloneSetPath(namespace, "").slice(0, -1), manifest);
  const owner = {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  // A hash of OpenKruise's own making: revisions are recognised by what they hold, not by their names.
  const hash = "5d8f6c9b47";
  const recorded = {
    ...template,
    $patch: "replace",
    metadata: { ...template.metadata, creationTimestamp: null },
    spec: { ...template.spec, containers: template.spec.containers.map((container) => ({ ...container, resources: {} })) },
  };
  await rig.admin.create(`/apis/apps/v1/namespaces/${namespace}/controllerrevisions`, {
    metadata: {
      name: `${name}-${hash}`,
      labels: { app: name, [label.controllerHash]: hash },
      annotations: { [annotation.cloneSetVolumeClaimTemplateHash]: "" },
      ownerReferences: [owner],
    },
    data: { spec: { template: recorded } },
    revision: 1,
  });
  for (const id of ["abcd2", "wxyz7"]) {
    const pod = `${name}-${id}`;
    await rig.admin.create(`/api/v1/namespaces/${namespace}/pods`, {
      metadata: {
        name: pod,
        generateName: `${name}-`,
        labels: {
          app: name,
          [label.cloneSetInstanceId]: id,
          [label.controllerRevisionHash]: labelOf(hash),
          [label.podTemplateHash]: hash,
          [label.lifecycleState]: "Normal",
        },
        annotations: { [annotation.lifecycleTimestamp]: "2024-05-01T10:00:00Z" },
        // Releases up to 1.9 wrote v1alpha1.
        ownerReferences: [{ ...owner, apiVersion: id === "abcd2" ? "apps.kruise.io/v1alpha1" : owner.apiVersion }],
      },
      spec: { ...template.spec, readinessGates: ["InPlaceUpdateReady", "KruisePodReady"].map((conditionType) => ({ conditionType })) },
    });
    const conditions = ["InPlaceUpdateReady", "KruisePodReady"].map((type) => ({
      type,
      status: "True",
      lastTransitionTime: "2024-05-01T10:00:00Z",
    }));
    await rig.admin.patch(`/api/v1/namespaces/${namespace}/pods/${pod}/status`, { status: { conditions } }, "strategic");
  }
  await shop.until("the pods to run", () => shop.pods.length === 2 && shop.pods.every(isReady));
  const revision = `${name}-${hash}`;
  const counts = { replicas: 2, readyReplicas: 2, availableReplicas: 2, updatedReplicas: 2, updatedReadyReplicas: 2 };
  const status = { ...counts, observedGeneration: 1, currentRevision: revision, updateRevision: revision };
  await rig.admin.patch(`${shop.path}/status`, { status }, "merge");
  return shop;
}

describe("takeover", () => {
  test.each(["full", "short"] as const)("shared 2, 8.18, 8.19: pods and revision with %s labels stay untouched", async (which) => {
    const shop = left[which];
    // Its status lacked the selector: it is filled in once the CloneSet has been looked at.
    await shop.until("the status to be completed", () => shop.status.labelSelector === `app=${which}`);
    await shop.round();
    expect(shop.status).toMatchObject({ replicas: 2, updatedAvailableReplicas: 2, updateRevision: `${which}-5d8f6c9b47` });
    expect((await shop.revisions()).length).toBe(1);
    // Nothing of ours: the last to write them was the simulated node, or the test.
    for (const { metadata } of shop.pods) {
      const managers = (metadata as unknown as { managedFields: { manager: string }[] }).managedFields;
      expect(managers.map(({ manager: name }) => name)).not.toContain("kruise-manager");
    }
  });

  test("and then they are updated in place", async () => {
    const shop = left.full;
    const before = shop.pods.map(({ metadata }) => metadata.uid);
    await shop.update({
      template: { spec: { containers: [{ name: "nginx", image: "nginx:mainline", imagePullPolicy: "IfNotPresent" }] } },
    });
    await shop.settled();
    expect(shop.pods.map(({ metadata }) => metadata.uid)).toEqual(before);
    expect(shop.pods.map(revisionOf)).toEqual([shortRevision(shop), shortRevision(shop)]);
  });
});

describe("everything on", () => {
  test.concurrent("8, 18, 12: created, recreated, scaled in, with short hashes", async () => {
    const shop = await openShop(rig, { replicas: 4, rolling: { maxUnavailable: 1 } });
    expect(shop.pods.map(revisionOf)).toEqual(Array(4).fill(shortRevision(shop)));
    const before = names(shop.pods);
    const { broken } = watchBudget(shop, { replicas: 4, unavailableMax: 1, surgeMax: 0 });
    await shop.setImage("app:v2");
    await shop.settled();
    expect(names(shop.pods).filter((name) => before.includes(name))).toEqual([]);
    expect(shop.pods.map((pod) => imageOf(pod))).toEqual(Array(4).fill("app:v2"));
    expect(broken).toEqual([]);
    const chosen = names(shop.pods)[2]!;
    await shop.update({ replicas: 3, scaleStrategy: { podsToDelete: [chosen] } });
    await shop.settled();
    expect(names(shop.pods)).not.toContain(chosen);
  });

  test.concurrent("8.17: names too long for a full revision label", async () => {
    const shop = await openShop(rig, { name: `web-${"x".repeat(56)}` });
    expect(revisionOf(shop.pods[0]!)).toMatch(/^[4-9b-df]+$/);
  });

  test.concurrent("22: a raised partition moves pods back to the current revision, in place", async () => {
    const shop = await openShop(rig, { replicas: 5, rolling: { ...rolling, partition: 3 } });
    const before = names(shop.pods);
    await shop.setImage("app:v2");
    await shop.until("two updated pods", () => shop.status.updatedAvailableReplicas === 2 && behind(shop).length === 3);
    await shop.updateRolling({ partition: 5 });
    await shop.until("all of them to be back", () => behind(shop).length === 5 && shop.pods.every(isAvailable));
    expect(shop.pods.map((pod) => imageOf(pod))).toEqual(Array(5).fill("app:v1"));
    expect(names(shop.pods)).toEqual(before);
    await shop.updateRolling({ partition: 0 });
    await shop.settled();
  });

  test.concurrent("32, 30: hooks, in an engine that leaves events out", async () => {
    const finalizer = "test/hook";
    const shop = await openShop(rig, {
      replicas: 2,
      rolling,
      labels: { block: "true" },
      podMetadata: { finalizers: [finalizer] },
      spec: { lifecycle: { inPlaceUpdate: { labelsHandler: { block: "true" } }, preDelete: { finalizersHandler: [finalizer] } } },
    });
    await shop.setImage("app:v2");
    await shop.until("both to be prepared", () => shop.pods.every((pod) => lifecycleOf(pod) === "PreparingUpdate"));
    for (const name of names(shop.pods)) await shop.labelPod(name, { block: "no" });
    await shop.until("both to be updated", () => shop.pods.every((pod) => lifecycleOf(pod) === "Updated" && imageOf(pod) === "app:v2"));
    for (const name of names(shop.pods)) await shop.labelPod(name, { block: "true" });
    await shop.settled();
    await shop.update({ replicas: 1 });
    const held = await shop.until("PreparingDelete", () => shop.pods.find((pod) => lifecycleOf(pod) === "PreparingDelete"));
    await shop.patchPod(held.metadata.name, { metadata: { finalizers: null } });
    await shop.settled();
    await shop.patchPod(shop.pods[0]!.metadata.name, { metadata: { finalizers: null } });
  });

  test.concurrent("37: deletion protection", async () => {
    const shop = await openShop(rig, { replicas: 2, metadata: { labels: { "policy.kruise.io/delete-protection": "Cascading" } } });
    const remove = async () => (await rig.admin.request<{ message: string }>("DELETE", shop.path)).status;
    expect(await remove()).toBe(403);
    await shop.update({ replicas: 0 });
    await shop.patch({ metadata: { labels: { "policy.kruise.io/delete-protection": "Always" } } });
    expect(await remove()).toBe(403);
    await shop.patch({ metadata: { labels: { "policy.kruise.io/delete-protection": "Cascading" } } });
    expect(await remove()).toBe(200);
  });

  test.concurrent("8.25, in-place 35: other claim templates recreate with the next change, but for InPlaceOnly", async () => {
    const claim = (storage: string) => ({
      metadata: { name: "data" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } } },
    });
    const shop = await openShop(rig, { rolling, spec: { volumeClaimTemplates: [claim("1Gi")] } });
    const uid = () => shop.pods[0]!.metadata.uid;
    const first = uid();
    await shop.setImage("app:v2");
    await shop.settled();
    expect(uid()).toBe(first);
    await shop.update({ volumeClaimTemplates: [claim("2Gi")] });
    await shop.round();
    expect([uid(), (await shop.revisions()).length]).toEqual([first, 2]);
    await shop.setImage("app:v3");
    await shop.settled();
    expect(uid()).not.toBe(first);
    expect(
      (await shop.claims()).map(
        ({ spec }) => (spec as Loose & { resources: { requests: { storage: string } } }).resources.requests.storage,
      ),
    ).toContain("2Gi");
    const second = uid();
    await shop.updateRolling({ podUpdatePolicy: "InPlaceOnly" });
    await shop.update({ volumeClaimTemplates: [claim("3Gi")] });
    await shop.setImage("app:v4");
    await shop.settled();
    expect(uid()).toBe(second);
    // A revision of an older release, without the hash.
    const current = shop.status.updateRevision;
    await rig.admin.patch<ControllerRevision>(
      `/apis/apps/v1/namespaces/${shop.namespace}/controllerrevisions/${current}`,
      { metadata: { annotations: { [annotation.cloneSetVolumeClaimTemplateHash]: null } } },
      "merge",
    );
    await shop.updateRolling({ podUpdatePolicy: "InPlaceIfPossible" });
    await shop.setImage("app:v5");
    await shop.settled();
    expect(uid()).toBe(second);
  });

  test.concurrent("in-place 29: with KruisePodReadinessGate a bare pod has the gate and gets its condition", async () => {
    const namespace = await rig.namespace();
    const mirror = await Mirror.start<Pod>(rig.admin, `/api/v1/namespaces/${namespace}/pods`);
    const bare = { metadata: { name: "bare" }, spec: { containers: [{ name: "main", image: "app:v1" }] } };
    const created = await rig.admin.create<Pod>(`/api/v1/namespaces/${namespace}/pods`, bare);
    expect(created.spec.readinessGates).toEqual([{ conditionType: "KruisePodReady" }]);
    await waitFor("it to be ready", async () => mirror.objects.some(isReady));
    mirror.close();
  });
});

describe("resize in place", () => {
  const container = (resources: Loose, more: Loose = {}): Loose => ({ name: "main", image: "app:v1", resources, ...more });
  const cpu = (amount: string, memory = "64Mi"): Loose => ({ limits: { cpu: "4", memory: "1Gi" }, requests: { cpu: amount, memory } });
  const open = (first: Loose, more: Loose = {}) => openShop(rig, { rolling, pod: { containers: [container(first, more)] } });
  const change = async (shop: Shop, resources: Loose, more: Loose = {}): Promise<Pod> => {
    await shop.setTemplate({ spec: { containers: [container(resources, more)] } });
    await shop.settled();
    return shop.pods[0]!;
  };
  const wasOut = (shop: Shop): boolean =>
    shop.podMirror.changes.some(({ object, before }) => before && conditionOf(object, "InPlaceUpdateReady")?.status === "False");
  const restartOn = (resourceName: string): Loose => ({ resizePolicy: [{ resourceName, restartPolicy: "RestartContainer" }] });

  test.concurrent("in-place 17: through the resize subresource, in service, without a restart", async () => {
    const shop = await open(cpu("1"));
    const { uid } = shop.pods[0]!.metadata;
    const after = await change(shop, cpu("2"));
    expect([after.metadata.uid, restartsOf(after), wasOut(shop)]).toEqual([uid, 0, false]);
    expect(after.spec.containers[0]!.resources).toEqual({ limits: { cpu: "4", memory: "1Gi" }, requests: { cpu: "2", memory: "64Mi" } });
    const { managedFields } = after.metadata as unknown as { managedFields: { manager: string; subresource?: string; fieldsV1: Loose }[] };
    const resize = managedFields.find(({ manager: name, subresource }) => name === "kruise-manager" && subresource === "resize");
    expect(JSON.stringify(resize?.fieldsV1)).toContain("f:requests");
    expect(JSON.stringify(resize?.fieldsV1)).not.toMatch(/f:limits|f:memory/);
    expect(JSON.parse(after.metadata.annotations![annotation.inPlaceUpdateState]!)).toMatchObject({ updateResources: true });
  });

  test.concurrent("in-place 18: a policy that restarts for what changes takes the pod out first; another does not", async () => {
    const restarting = await open(cpu("1"), restartOn("cpu"));
    await change(restarting, cpu("2"), restartOn("cpu"));
    expect(wasOut(restarting)).toBe(true);
    const other = await open(cpu("1"), restartOn("memory"));
    await change(other, cpu("2"), restartOn("memory"));
    expect(wasOut(other)).toBe(false);
  });

  test.concurrent.each<[string, Loose, Loose]>([
    [
      "another QoS class",
      { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m", memory: "1Gi" } },
      { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1", memory: "1Gi" } },
    ],
    ["an extended resource", { limits: { "example.com/gpu": "0" } }, { limits: { "example.com/gpu": "0", cpu: "1" } }],
    ["a limit that is new", { requests: { memory: "64Mi" } }, { requests: { memory: "64Mi" }, limits: { memory: "1Gi" } }],
  ])("in-place 19: %s: recreated", async (_, first, second) => {
    const shop = await open(first);
    const { uid } = shop.pods[0]!.metadata;
    expect((await change(shop, second)).metadata.uid).not.toBe(uid);
  });

  test.concurrent("8.16: an image and resources together", async () => {
    const shop = await open(cpu("1"));
    const { uid } = shop.pods[0]!.metadata;
    const after = await change(shop, cpu("2"), { image: "app:v2" });
    expect([after.metadata.uid, imageOf(after), after.spec.containers[0]!.resources?.requests?.["cpu"]]).toEqual([uid, "app:v2", "2"]);
    expect(wasOut(shop)).toBe(true);
  });
});

describe("single gates", () => {
  async function restartWith(gates: string): Promise<void> {
    await manager.stop();
    manager = await rig.startManager({ flags: [`--feature-gates=${gates}`] });
  }

  test("8.18, shared 9: turning short hashes off and on again moves no pod; new pods carry what the gate says", async () => {
    const shop = await openShop(rig, { replicas: 2, rolling });
    const before = facts(shop.pods);
    await restartWith("");
    await shop.update({ replicas: 3 });
    await shop.settled();
    const added = shop.pods.find(({ metadata }) => !before.some((line) => line.startsWith(`${metadata.name} `)))!;
    expect(revisionOf(added)).toBe(shop.status.updateRevision!);
    expect(facts(shop.pods).filter((line) => before.includes(line))).toEqual(before);
    const three = facts(shop.pods);
    await restartWith("CloneSetShortHash=true");
    await shop.update({ replicas: 4 });
    await shop.settled();
    expect(shop.status.updatedReplicas).toBe(4);
    expect(facts(shop.pods).filter((line) => three.includes(line))).toEqual(three);
    expect(new Set(shop.pods.map(revisionOf))).toEqual(new Set([shop.status.updateRevision!, shortRevision(shop)]));
  });

  test("in-place 9: without InPlaceUpdateEnvFromMetadata an annotation that containers read is only an annotation", async () => {
    await restartWith("InPlaceUpdateEnvFromMetadata=false");
    const env = [{ name: "CONFIG", valueFrom: { fieldRef: { fieldPath: "metadata.annotations['app-config']" } } }];
    const shop = await openShop(rig, {
      rolling,
      annotations: { "app-config": "v1" },
      pod: { containers: [{ name: "main", image: "app:v1", env }] },
    });
    const { uid } = shop.pods[0]!.metadata;
    await shop.setTemplate({ metadata: { annotations: { "app-config": "v2" } } });
    await shop.settled();
    const after = shop.pods[0]!;
    expect([after.metadata.uid, after.metadata.annotations?.["app-config"], restartsOf(after)]).toEqual([uid, "v2", 0]);
  });

  test("platform 5, 17, in-place 31: without PodWebhook no entry for pods is left, and pods come without a gate; without its gate no ImagePullJob", async () => {
    await restartWith("PodWebhook=false");
    const paths = async () => {
      const configurations = await Promise.all(
        webhooks.map((path) => rig.admin.must<{ webhooks: { clientConfig: { url: string } }[] }>("GET", path)),
      );
      return configurations.flatMap((configuration) =>
        configuration.webhooks.map(({ clientConfig }) => new URL(clientConfig.url).pathname),
      );
    };
    await waitFor("the entries to go", async () => !(await paths()).some((path) => path === "/mutate-pod" || path === "/validate-pod"));
    expect(await paths()).toContain("/mutate-apps-kruise-io-cloneset");
    const inPlaceUpdate = { labelsHandler: { block: "true" }, markPodNotReady: true };
    const shop = await openShop(rig, { rolling, labels: { block: "true" }, spec: { lifecycle: { inPlaceUpdate } } });
    const { name } = shop.pods[0]!.metadata;
    expect(shop.pod(name).spec.readinessGates).toEqual([{ conditionType: "InPlaceUpdateReady" }]);
    // Nobody would look at the condition: the states change without it.
    await shop.setImage("app:v2");
    await shop.until("PreparingUpdate", () => lifecycleOf(shop.pod(name)) === "PreparingUpdate");
    await shop.labelPod(name, { block: "no" });
    await shop.until("Updated", () => lifecycleOf(shop.pod(name)) === "Updated");
    await shop.labelPod(name, { block: "true" });
    await shop.settled();
    expect(shop.historyOf(name).some((pod) => conditionOf(pod, "KruisePodReady") !== undefined)).toBe(false);
    expect(shop.condition("FailedUpdate")).toBeUndefined();
    const job = {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "ImagePullJob",
      metadata: { name: "pull" },
      spec: { image: "app:v1", completionPolicy: { type: "Always" } },
    };
    const path = `/apis/apps.kruise.io/v1beta1/namespaces/${shop.namespace}/imagepulljobs`;
    const answer = await rig.admin.request<{ message: string }>("POST", path, job);
    expect([answer.status, answer.body.message]).toEqual([403, expect.stringContaining("ImagePullJobGate")]);
  });
});
