/**
 * Budgets, images to be pulled and containers to be restarted, as OpenKruise 1.8 has stored them in the middle of its work: Kruiser takes
 * each of them up where it was, and leaves what OpenKruise could go on with. The test plays the node agents.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { type Manager, type ObjectLike, type Rig, startRig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";

interface Definition extends ObjectLike {
  spec: { conversion: object; versions: { name: string; storage: boolean }[] };
}
interface Pod extends ObjectLike {
  status: {
    conditions?: { type: string; status: string; message?: string }[];
    containerStatuses?: { containerID?: string; restartCount: number; ready: boolean }[];
  };
}
interface Tag {
  tag: string;
  createdAt?: string;
  imagePullPolicy?: string;
  pullPolicy?: Record<string, number>;
  ownerReferences?: { uid: string; kind: string; name: string }[];
}
interface NodeImage extends ObjectLike {
  spec: { images?: Record<string, { pullSecrets?: { namespace: string; name: string }[]; tags: Tag[] }> };
  status?: { imageStatuses?: Record<string, { tags: { tag: string; phase: string }[] }> };
}
interface Job extends ObjectLike {
  status?: Record<string, unknown>;
}
interface Budget extends ObjectLike {
  spec: Record<string, unknown>;
  status?: Record<string, unknown> & { disruptedPods?: object; unavailablePods?: object };
}
interface Request extends ObjectLike {
  status?: {
    phase?: string;
    message?: string;
    containerStatusSnapshot?: { name: string; restartCount: number }[];
    conditions?: { type: string; status: string; lastTransitionTime: string }[];
  };
}

const crdDir = join(import.meta.dir, "../../crds");
const namespace = "shop";
const config = "kruise-daemon-config";
const apps = (version: string, plural: string, name = "") =>
  `/apis/apps.kruise.io/${version}/namespaces/${namespace}/${plural}${name === "" ? "" : `/${name}`}`;
const nodeImages = (version: string, name = "") => `/apis/apps.kruise.io/${version}/nodeimages${name === "" ? "" : `/${name}`}`;
const budgets = (version: string, name = "") =>
  `/apis/policy.kruise.io/${version}/namespaces/${namespace}/podunavailablebudgets${name === "" ? "" : `/${name}`}`;
const podsPath = `/api/v1/namespaces/${namespace}/pods`;
const nodes = ["kwok-0", "kwok-1", "kwok-2"];
const agoText = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");

let rig: Rig;
let manager: Manager;
const before = new Map<string, Pod>();
const imagesBefore = new Map<string, NodeImage>();
const readinessSince = agoText(5);
const finalizer = "crr.apps.kruise.io/unready-acquired";

beforeAll(async () => {
  rig = await startRig({ kwokNodes: nodes.length });
  for (const name of [namespace, "kruise-system", config]) await rig.admin.create("/api/v1/namespaces", { metadata: { name } });
  await waitFor("the service account", () => rig.admin.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`));
  const definitions = readdirSync(crdDir)
    .filter((file) => file.endsWith(".yaml") && file !== "kustomization.yaml")
    .map((file) => parse(readFileSync(join(crdDir, file), "utf8")) as Definition)
    .filter(({ kind }) => kind === "CustomResourceDefinition");
  await rig.apply(...definitions.map(storedAsV1alpha1));
  await waitFor("the definitions to be served", async () => (await rig.admin.request("GET", budgets("v1alpha1"))).status === 200);
  await waitFor("all of them", async () => (await rig.admin.request("GET", apps("v1alpha1", "containerrecreaterequests"))).status === 200);
  await writeBudget();
  await writeImages();
  await writeRequests();
  for (const pod of await rig.admin.list<Pod>(podsPath)) before.set(pod.metadata.name, pod);
  for (const name of nodes) imagesBefore.set(name, await rig.admin.must<NodeImage>("GET", nodeImages("v1alpha1", name)));
  await rig.install();
  manager = await rig.startManager({ flags: ["--v=1", "--feature-gates=ImagePullJobGate=true", "--nodeimage-creation-delay=1s"] });
}, startTimeoutMs);
afterAll(async () => {
  await rig?.stop();
}, 60_000);

function storedAsV1alpha1(definition: Definition): Definition {
  const versions = definition.spec.versions.map((version) => ({ ...version, storage: version.name === "v1alpha1" }));
  return { ...definition, spec: { ...definition.spec, conversion: { strategy: "None" }, versions } };
}

describe("taken over", () => {
  test("a budget: figures, the deprecated annotation, and what was admitted and never happened", async () => {
    const budget = await waitFor("the budget to be reckoned anew", async () => {
      const now = await rig.admin.get<Budget>(budgets("v1beta1", "web"));
      return now?.status?.["totalReplicas"] === 4 && Object.keys(now.status.unavailablePods ?? {}).length === 0 ? now : undefined;
    });
    expect(budget.spec).toMatchObject({ maxUnavailable: "50%", selector: { matchLabels: { app: "web" } }, protectTotalReplicas: 4 });
    expect(budget.status).toMatchObject({ currentAvailable: 4, desiredAvailable: 2, unavailableAllowed: 2 });
    expect(budget.status?.disruptedPods ?? {}).toEqual({});
    const evict = async (name: string) =>
      (
        await rig.admin.request("POST", `${podsPath}/${name}/eviction`, {
          apiVersion: "policy/v1",
          kind: "Eviction",
          metadata: { name, namespace },
        })
      ).status;
    expect([await evict("web-0"), await evict("web-1"), await evict("web-2")]).toEqual([201, 201, 403]);
  }, 90_000);

  test("images: what was pulled stays, what is being pulled goes on, and the next node follows", async () => {
    await waitFor("the job to be looked at", async () => ((await job("pull")).status?.["active"] as number) === 1);
    const pulling = await nodeImage("kwok-1");
    expect(pulling.spec.images).toEqual(imagesBefore.get("kwok-1")?.spec.images as NonNullable<NodeImage["spec"]["images"]>);
    expect((await nodeImage("kwok-2")).spec.images ?? {}).toEqual({});
    expect((await job("pull")).status).toMatchObject({ desired: 3, active: 1, succeeded: 1, failed: 0 });
    await tell("kwok-1", "Succeeded");
    const next = await waitFor("the last node to be asked", async () => {
      const now = await nodeImage("kwok-2");
      return now.spec.images?.["nginx"] === undefined ? undefined : now;
    });
    expect(next.spec.images?.["nginx"]?.tags[0]).toMatchObject({
      tag: "1.20",
      ownerReferences: [{ kind: "ImagePullJob", name: "pull" }],
      pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 },
    });
    // The copy that was there is used, also for the node that comes last.
    expect(next.spec.images?.["nginx"]?.pullSecrets).toMatchObject([{ namespace: config, name: "mine-1a2b3c" }]);
    expect(await copies()).toEqual(["mine-1a2b3c"]);
    expect((await nodeImage("kwok-0")).spec.images).toEqual(
      imagesBefore.get("kwok-0")?.spec.images as NonNullable<NodeImage["spec"]["images"]>,
    );
    await tell("kwok-2", "Succeeded");
    await waitFor("the job to complete", async () => (await job("pull")).status?.["completionTime"]);
    await waitFor("the copy to go", async () => (await copies()).length === 0);
    await waitFor("the finalizer to go", async () => ((await job("pull")).metadata.finalizers ?? []).length === 0);
  }, 120_000);

  test("a job that had come to its end stays as it is; one whose time is over goes", async () => {
    await waitFor("the old job to go", async () => (await rig.admin.get(apps("v1beta1", "imagepulljobs", "over"))) === undefined);
    expect((await job("done")).status).toMatchObject({ desired: 1, succeeded: 1, completionTime: doneAt, message: "job has completed" });
  }, 60_000);

  test("a restart under way is followed, and its pod is let back into service at the end", async () => {
    const request = await waitFor("the pod's containers to be told of", async () => {
      const now = await rig.admin.must<Request>("GET", apps("v1beta1", "containerrecreaterequests", "restart"));
      return now.status?.conditions?.length === 1 ? now : undefined;
    });
    expect(request.status).toMatchObject({
      phase: "Recreating",
      containerRecreateStates: [{ name: "main", phase: "Recreating", isKilled: true }],
    });
    // The agent counts from there: it must not move.
    expect(request.status?.conditions).toMatchObject([{ type: "PreRecreateGrace", status: "True", lastTransitionTime: readinessSince }]);
    const { value } = conditionOf(await pod("gated"), "KruisePodReady");
    expect(value).toBe("False");
    await rig.admin.patch(
      `${apps("v1beta1", "containerrecreaterequests", "restart")}/status`,
      {
        status: {
          phase: "Completed",
          completionTime: agoText(0),
          containerRecreateStates: [{ name: "main", phase: "Succeeded", isKilled: true }],
        },
      },
      "merge",
    );
    await waitFor("the pod to be back in service", async () => conditionOf(await pod("gated"), "Ready").value === "True");
    const over = await waitFor("the request to be let go", async () => {
      const now = await rig.admin.must<Request>("GET", apps("v1beta1", "containerrecreaterequests", "restart"));
      const { finalizers = [], labels = {} } = now.metadata;
      return finalizers.length === 0 && labels["crr.apps.kruise.io/active"] === undefined ? now : undefined;
    });
    expect(over.metadata.labels).toMatchObject({ "crr.apps.kruise.io/node-name": "kwok-0" });
  }, 90_000);

  test("a finished request goes when its time is over", async () => {
    await waitFor("the finished one to go", async () => {
      return (await rig.admin.get(apps("v1beta1", "containerrecreaterequests", "finished"))) === undefined;
    });
  }, 60_000);

  test("no pod was restarted or replaced but those that somebody evicted", async () => {
    for (const { metadata, status } of await rig.admin.list<Pod>(podsPath)) {
      expect(metadata.uid).toBe(before.get(metadata.name)?.metadata.uid as string);
      expect(status.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0]);
    }
  });
});

describe("given back", () => {
  test("what is stored has the fields that OpenKruise reads, and none besides", async () => {
    await manager.stop();
    // The first version, 0, is not written: as Go's omitempty has it.
    const [tag] = (await nodeImage("kwok-2")).spec.images?.["nginx"]?.tags ?? [];
    expect(Object.keys(tag ?? {}).sort()).toEqual(["createdAt", "imagePullPolicy", "ownerReferences", "pullPolicy", "tag"]);
    expect(tag?.pullPolicy?.["ttlSecondsAfterFinished"]).toBeGreaterThanOrEqual(600 * 3 + 300);
    const { status } = await job("pull");
    const ofJob = ["active", "completionTime", "desired", "failed", "failedNodes", "message", "startTime", "succeeded"];
    expect(Object.keys(status ?? {}).filter((key) => !ofJob.includes(key))).toEqual([]);
    expect(status).toMatchObject({ desired: 3, succeeded: 3, message: "job has completed", startTime: jobStarted });
    const budget = await rig.admin.must<Budget>("GET", budgets("v1beta1", "web"));
    const known = [
      "currentAvailable",
      "desiredAvailable",
      "disruptedPods",
      "observedGeneration",
      "totalReplicas",
      "unavailableAllowed",
      "unavailablePods",
    ];
    expect(Object.keys(budget.status ?? {}).filter((key) => !known.includes(key))).toEqual([]);
    // The name under which 1.8 marks them is enough: they were not written at all.
    const marked = await waitFor("the evicted pods to be gone", async () => {
      const left = await rig.admin.list<Pod>(`${podsPath}?labelSelector=app%3Dweb`);
      return left.length === 2 ? left : undefined;
    });
    expect(marked.map(({ metadata }) => metadata.name)).toEqual(["web-2", "web-3"]);
    for (const { metadata } of marked) expect(metadata.resourceVersion).toBe(before.get(metadata.name)?.metadata.resourceVersion as string);
  }, 60_000);
});

const pod = (name: string) => rig.admin.must<Pod>("GET", `${podsPath}/${name}`);
const job = (name: string) => rig.admin.must<Job>("GET", apps("v1beta1", "imagepulljobs", name));
const nodeImage = (name: string) => rig.admin.must<NodeImage>("GET", nodeImages("v1beta1", name));
const conditionOf = ({ status }: Pod, type: string) => {
  const found = status.conditions?.find((condition) => condition.type === type);
  return { value: found?.status, message: found?.message };
};
const copies = async () => (await rig.admin.list(`/api/v1/namespaces/${config}/secrets`)).map(({ metadata }) => metadata.name);

/** As the node agent writes it. */
async function tell(node: string, phase: "Pulling" | "Succeeded", api = "v1beta1"): Promise<void> {
  const counts = { desired: 1, succeeded: 0, failed: 0, pulling: 0, waiting: 0, [phase.toLowerCase()]: 1 };
  const times = { startTime: agoText(30), ...(phase === "Succeeded" ? { completionTime: agoText(0), progress: 100 } : { progress: 0 }) };
  await rig.admin.patch(
    `${nodeImages(api, node)}/status`,
    { status: { ...counts, imageStatuses: { nginx: { tags: [{ tag: "1.20", phase, ...times }] } } } },
    "merge",
  );
}

async function writePod(name: string, labels: Record<string, string>, metadata: object = {}, spec: object = {}): Promise<Pod> {
  await rig.admin.create(podsPath, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels, ...metadata },
    spec: { nodeName: "kwok-0", containers: [{ name: "main", image: "app:v1" }], ...spec },
  });
  return waitFor(`pod ${name} to run`, async () => {
    const now = await pod(name);
    return now.status.containerStatuses?.[0]?.ready && now.status.containerStatuses[0].containerID ? now : undefined;
  });
}

/** With what 1.8 knew only as an annotation, and an update that it admitted long ago and never saw happen. */
async function writeBudget(): Promise<void> {
  for (let index = 0; index < 4; index += 1)
    await writePod(`web-${index}`, { app: "web" }, { annotations: { "kruise.io/related-pub": "web" } });
  await rig.admin.create(budgets("v1alpha1"), {
    apiVersion: "policy.kruise.io/v1alpha1",
    kind: "PodUnavailableBudget",
    metadata: { name: "web", annotations: { "pub.kruise.io/protect-total-replicas": "4" } },
    spec: { selector: { matchLabels: { app: "web" } }, maxUnavailable: "50%" },
  });
  await rig.admin.patch(`${budgets("v1alpha1", "web")}/status`, {
    status: {
      observedGeneration: 1,
      currentAvailable: 3,
      desiredAvailable: 2,
      totalReplicas: 4,
      unavailableAllowed: 1,
      unavailablePods: { "web-3": agoText(3_600) },
    },
  });
}

const jobStarted = agoText(60);
const doneAt = agoText(7_200);

/** One node done, one at it, one to come; a private image, and the copy of its secret. */
async function writeImages(): Promise<void> {
  const dockerConfig = { type: "kubernetes.io/dockerconfigjson", data: { ".dockerconfigjson": btoa('{"auths":{}}') } };
  await rig.admin.create(`/api/v1/namespaces/${namespace}/secrets`, { metadata: { name: "mine" }, ...dockerConfig });
  await rig.admin.create(`/api/v1/namespaces/${config}/secrets`, {
    metadata: {
      name: "mine-1a2b3c",
      annotations: {
        "imagepulljobs.kruise.io/source-key": `${namespace}/mine`,
        "imagepulljobs.kruise.io/references": `${namespace}/pull`,
        "imagepulljobs.kruise.io/mode": "batch",
      },
    },
    ...dockerConfig,
  });
  const pull = await writeJob("pull", {
    spec: { image: "nginx:1.20", parallelism: 1, pullSecrets: ["mine"], completionPolicy: { type: "Always" } },
    finalizers: ["apps.kruise.io/deletion-protection"],
    status: { startTime: jobStarted, desired: 3, active: 1, succeeded: 1, failed: 0, message: "job is running, progress 33.3%" },
  });
  const over = {
    startTime: agoText(7_300),
    completionTime: doneAt,
    desired: 1,
    active: 0,
    succeeded: 1,
    failed: 0,
    message: "job has completed",
  };
  await writeJob("done", { spec: { image: "redis:7", completionPolicy: { type: "Always" } }, status: over });
  await writeJob("over", { spec: { image: "redis:7", completionPolicy: { type: "Always", ttlSecondsAfterFinished: 60 } }, status: over });
  const owner = { apiVersion: "apps.kruise.io/v1alpha1", kind: "ImagePullJob", namespace, name: "pull", uid: pull.metadata.uid };
  const tag = {
    tag: "1.20",
    createdAt: agoText(30),
    imagePullPolicy: "IfNotPresent",
    pullPolicy: { timeoutSeconds: 600, backoffLimit: 3, ttlSecondsAfterFinished: 2_234 },
    ownerReferences: [owner],
  };
  const pullSecrets = [{ namespace: config, name: "mine-1a2b3c", mode: "batch" }];
  for (const name of nodes) {
    const { metadata } = await rig.admin.must<ObjectLike>("GET", `/api/v1/nodes/${name}`);
    const images = name === "kwok-2" ? {} : { images: { nginx: { pullSecrets, tags: [tag] } } };
    await rig.admin.create(nodeImages("v1alpha1"), {
      apiVersion: "apps.kruise.io/v1alpha1",
      kind: "NodeImage",
      metadata: { name, labels: metadata.labels },
      spec: images,
    });
  }
  await tell("kwok-0", "Succeeded", "v1alpha1");
  await tell("kwok-1", "Pulling", "v1alpha1");
}

interface JobFacts {
  readonly spec: object;
  readonly status: object;
  readonly finalizers?: readonly string[];
}
async function writeJob(name: string, { spec, status, finalizers = [] }: JobFacts): Promise<Job> {
  const made = await rig.admin.create<Job>(apps("v1alpha1", "imagepulljobs"), {
    apiVersion: "apps.kruise.io/v1alpha1",
    kind: "ImagePullJob",
    metadata: { name, finalizers },
    spec: { imagePullPolicy: "IfNotPresent", pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 }, ...spec },
  });
  await rig.admin.patch(`${apps("v1alpha1", "imagepulljobs", name)}/status`, { status });
  return made;
}

/** One whose pod is held out of service and whose container was stopped, and one that is over. */
async function writeRequests(): Promise<void> {
  const gates = { readinessGates: [{ conditionType: "KruisePodReady" }] };
  await rig.admin.create(podsPath, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "gated", labels: { app: "gated" } },
    spec: { nodeName: "kwok-0", containers: [{ name: "main", image: "app:v1" }], ...gates },
  });
  const gated = await waitFor("the gated pod to run", async () => {
    const now = await pod("gated");
    return now.status.containerStatuses?.[0]?.containerID ? now : undefined;
  });
  const message = JSON.stringify([{ userAgent: "ContainerRecreateRequest", key: `${namespace}/restart` }]);
  await rig.admin.patch(
    `${podsPath}/gated/status`,
    { status: { conditions: [{ type: "KruisePodReady", status: "False", lastTransitionTime: readinessSince, message }] } },
    "strategic",
  );
  const state = { name: "main", phase: "Recreating", isKilled: true };
  await writeRequest("restart", gated, {
    annotations: { "crr.apps.kruise.io/unready-acquired": readinessSince },
    finalizers: [finalizer],
    strategy: { failurePolicy: "Fail", terminationGracePeriodSeconds: 30, unreadyGracePeriodSeconds: 3 },
    status: { phase: "Recreating", containerRecreateStates: [state] },
  });
  const plain = await writePod("plain", { app: "plain" });
  const finished = { phase: "Completed", completionTime: agoText(3_600), containerRecreateStates: [{ ...state, phase: "Succeeded" }] };
  await writeRequest("finished", plain, { labels: {}, ttlSecondsAfterFinished: 60, status: finished });
}

interface RequestFacts {
  readonly annotations?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly finalizers?: readonly string[];
  readonly strategy?: object;
  readonly ttlSecondsAfterFinished?: number;
  readonly status?: object;
}
async function writeRequest(name: string, of: Pod, facts: RequestFacts): Promise<void> {
  const { annotations = {}, labels = { "crr.apps.kruise.io/active": "true" }, finalizers = [], ttlSecondsAfterFinished, status } = facts;
  const { containerID, restartCount } = of.status.containerStatuses?.[0] ?? {};
  await rig.admin.create(apps("v1alpha1", "containerrecreaterequests"), {
    apiVersion: "apps.kruise.io/v1alpha1",
    kind: "ContainerRecreateRequest",
    metadata: {
      name,
      annotations,
      finalizers,
      labels: { "crr.apps.kruise.io/pod-uid": of.metadata.uid, "crr.apps.kruise.io/node-name": "kwok-0", ...labels },
    },
    spec: {
      podName: of.metadata.name,
      containers: [{ name: "main", statusContext: { containerID, restartCount } }],
      strategy: facts.strategy ?? { failurePolicy: "Fail", terminationGracePeriodSeconds: 30 },
      ...(ttlSecondsAfterFinished === undefined ? {} : { ttlSecondsAfterFinished }),
    },
  });
  if (status) await rig.admin.patch(`${apps("v1alpha1", "containerrecreaterequests", name)}/status`, { status });
}
