/**
 * A cluster that OpenKruise 1.8 and 1.9 have written to, taken over by Kruiser and given back: objects of both versions, revisions, labels,
 * annotations and half-done in-place updates as OpenKruise writes them. No pod may restart that OpenKruise itself would not have restarted.
 *
 * Revision data and hashes are computed here anew, from OpenKruise's published rules, so that the product does not judge itself.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { countAudited, type Manager, type ObjectLike, type Rig, startRig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";

interface Pod extends ObjectLike {
  spec: { containers: { name: string; image: string }[] };
  status: {
    conditions?: { type: string; status: string }[];
    containerStatuses?: { name: string; image: string; imageID: string; restartCount: number; ready: boolean }[];
  };
}
interface CloneSet extends ObjectLike {
  spec: Record<string, unknown>;
  status: {
    replicas: number;
    readyReplicas: number;
    updatedReplicas: number;
    currentRevision?: string;
    updateRevision?: string;
    observedGeneration?: number;
  };
}
interface Revision extends ObjectLike {
  revision: number;
}
interface Definition extends ObjectLike {
  spec: { conversion: object; versions: { name: string; storage: boolean }[] };
}

const crdDir = join(import.meta.dir, "../../crds");
const legacyKinds = ["clonesets", "sidecarsets", "podunavailablebudgets"];
const namespace = "shop";
const sets = (version: string) => `/apis/apps.kruise.io/${version}/namespaces/${namespace}/clonesets`;
const podsPath = `/api/v1/namespaces/${namespace}/pods`;
const readyGate = "InPlaceUpdateReady";

/** The data of a revision, byte for byte: keys in order, defaults as the API server and OpenKruise's webhook fill them in. */
function revisionData(app: string, image: string): string {
  const container = `{"image":"${image}","imagePullPolicy":"IfNotPresent","name":"main","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}`;
  const pod = `{"containers":[${container}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}`;
  return `{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"${app}"}},"spec":${pod}}}}`;
}

/** FNV-1, 32 bits, over the data and the collision count; the decimal digits in OpenKruise's alphabet. */
function hashOf(data: string): string {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(`${data}0`)) hash = (Math.imul(hash, 16777619) ^ byte) >>> 0;
  return String(hash).replace(/\d/g, (digit) => "456789bcdf"[Number(digit)] as string);
}

const template = (app: string, image: string) => {
  const { metadata, spec } = JSON.parse(revisionData(app, image)).spec.template;
  return { metadata: { labels: metadata.labels }, spec };
};

let rig: Rig;
let manager: Manager;
const auditPath = () => join(rig.stateDir, "audit.log");
const before = new Map<string, Pod>();

beforeAll(async () => {
  const stateDir = `/tmp/kruiser-migration-${process.pid}`;
  rig = await startRig({ kwokNodes: 2, stateDir, audit: join(stateDir, "audit.log") });
  await rig.admin.create("/api/v1/namespaces", { metadata: { name: namespace } });
  await rig.admin.create("/api/v1/namespaces", { metadata: { name: "kruise-system" } });
  await waitFor("the service account", () => rig.admin.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`));
  await writeLegacy();
  for (const pod of await rig.admin.list<Pod>(podsPath)) before.set(pod.metadata.name, pod);
  await rig.install();
  manager = await rig.startManager({ flags: ["--v=1"] });
}, startTimeoutMs);
afterAll(async () => {
  await rig?.stop();
  await Bun.$`rm -rf ${`/tmp/kruiser-migration-${process.pid}`}`.quiet();
}, 60_000);

describe("taken over", () => {
  test("CloneSets stored as v1alpha1 and v1beta1 are at rest, with their own revisions", async () => {
    await settled("sample", 2);
    await settled("web", 4);
    const read = await rig.admin.must<CloneSet>("GET", `${sets("v1beta1")}/sample`);
    expect(read.spec["updateStrategy"]).toMatchObject({ rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "50%" } });
    expect(await revisions()).toEqual({
      [`sample-${hashOf(revisionData("sample", "app:v1"))}`]: 1,
      [`web-${hashOf(revisionData("web", "app:v1"))}`]: 1,
      [`web-${hashOf(revisionData("web", "app:v2"))}`]: 2,
    });
  }, 120_000);

  test("no pod was replaced, and only those restarted whose update had not begun", async () => {
    await waitFor(
      "the pod in its grace period to get its image",
      async () => (await pod("web-grace")).spec.containers[0]?.image === "app:v2",
      { timeoutMs: 60_000 },
    );
    await waitFor(
      "all pods to be ready",
      async () => (await rig.admin.list<Pod>(podsPath)).every((one) => conditionOf(one, "Ready") === "True"),
      { timeoutMs: 60_000 },
    );
    const after = await rig.admin.list<Pod>(podsPath);
    expect(after.map(({ metadata }) => metadata.uid).sort()).toEqual([...before.values()].map(({ metadata }) => metadata.uid).sort());
    const restarted = after.filter(({ status }) => status.containerStatuses?.some(({ restartCount }) => restartCount > 0));
    expect(restarted.map(({ metadata }) => metadata.name)).toEqual(["web-grace"]);
    for (const { metadata } of after.filter(({ metadata: { name } }) => name.startsWith("sample-")))
      expect(metadata.resourceVersion).toBe(before.get(metadata.name)?.metadata.resourceVersion as string);
  }, 180_000);

  test("half-done in-place updates were finished as they were begun", async () => {
    for (const name of ["web-done", "web-waiting", "web-grace"]) {
      const one = await pod(name);
      expect(conditionOf(one, readyGate)).toBe("True");
      expect(one.metadata.labels?.["controller-revision-hash"]).toBe(`web-${hashOf(revisionData("web", "app:v2"))}`);
      expect(one.metadata.annotations?.["apps.kruise.io/inplace-update-grace"]).toBeUndefined();
    }
    const state = JSON.parse((await pod("web-grace")).metadata.annotations?.["apps.kruise.io/inplace-update-state"] ?? "{}");
    expect(state).toMatchObject({ revision: `web-${hashOf(revisionData("web", "app:v2"))}`, updateImages: true });
  });

  test("a SidecarSet and its pods are recognised by OpenKruise's hash", async () => {
    const set = await waitFor("the SidecarSet's status", async () => {
      const now = await rig.admin.get<ObjectLike & { status?: { matchedPods?: number; updatedPods?: number } }>(
        "/apis/apps.kruise.io/v1beta1/sidecarsets/logs",
      );
      return now?.status?.matchedPods === 1 ? now : undefined;
    });
    expect(set.status?.updatedPods).toBe(1);
    expect((await pod("injected")).metadata.resourceVersion).toBe(before.get("injected")?.metadata.resourceVersion as string);
  }, 60_000);

  test("nobody's pods were created or deleted by the manager", () => {
    const verbs = countAudited(auditPath()).get("system:serviceaccount:kruise-system:kruise-manager");
    expect(verbs?.get("delete") ?? 0).toBe(0);
    const created = readFileSync(auditPath(), "utf8")
      .split("\n")
      .filter((line) => line.includes('"kruise-manager"') || line.includes(":kruise-manager"))
      .filter((line) => line.includes('"verb":"create"') && line.includes('"resource":"pods"'));
    expect(created).toEqual([]);
  });
});

describe("given back", () => {
  test("after an update by Kruiser everything is what OpenKruise would have written itself", async () => {
    await rig.admin.patch(`${sets("v1beta1")}/sample`, { spec: { template: template("sample", "app:v3") } }, "merge");
    const name = `sample-${hashOf(revisionData("sample", "app:v3"))}`;
    await waitFor(
      "both pods to be updated in place",
      async () =>
        (await podsOf("sample")).every(
          (one) =>
            one.metadata.labels?.["controller-revision-hash"] === name &&
            conditionOf(one, "Ready") === "True" &&
            one.status.containerStatuses?.[0]?.image === "app:v3",
        ),
      { timeoutMs: 90_000 },
    );
    await manager.stop();
    const raw = await rig.kubectl(["get", "--raw", `/apis/apps/v1/namespaces/${namespace}/controllerrevisions/${name}`]);
    expect(raw.stdout).toContain(`"data":${revisionData("sample", "app:v3")}`);
    const revision = JSON.parse(raw.stdout) as Revision;
    expect(revision).toMatchObject({
      revision: 2,
      metadata: {
        labels: { app: "sample", "controller.kubernetes.io/hash": hashOf(revisionData("sample", "app:v3")) },
        ownerReferences: [{ kind: "CloneSet", name: "sample", controller: true, blockOwnerDeletion: true }],
      },
    });
    for (const one of await podsOf("sample")) {
      expect(one.metadata.labels).toMatchObject({
        "pod-template-hash": hashOf(revisionData("sample", "app:v3")),
        "lifecycle.apps.kruise.io/state": "Normal",
      });
      const state = JSON.parse(one.metadata.annotations?.["apps.kruise.io/inplace-update-state"] ?? "{}") as Record<string, unknown>;
      expect(Object.keys(state)).toEqual([
        "revision",
        "updateTimestamp",
        "lastContainerStatuses",
        "updateImages",
        "containerBatchesRecord",
      ]);
      expect(state["updateTimestamp"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(one.metadata.ownerReferences?.[0]?.uid).toBe(before.get(one.metadata.name)?.metadata.ownerReferences?.[0]?.uid as string);
    }
  }, 180_000);
});

const pod = (name: string) => rig.admin.must<Pod>("GET", `${podsPath}/${name}`);
const podsOf = (app: string) => rig.admin.list<Pod>(`${podsPath}?labelSelector=app%3D${app}`);
const conditionOf = (one: Pod, type: string) => one.status.conditions?.find((condition) => condition.type === type)?.status;

async function settled(name: string, replicas: number): Promise<void> {
  await waitFor(
    `CloneSet ${name} to be at rest`,
    async () => {
      const { status, metadata } = await rig.admin.must<CloneSet>("GET", `${sets("v1beta1")}/${name}`);
      return (
        status?.observedGeneration === metadata.generation &&
        status?.replicas === replicas &&
        status?.readyReplicas === replicas &&
        status?.updatedReplicas === replicas
      );
    },
    { timeoutMs: 90_000 },
  );
}

async function revisions(): Promise<Record<string, number>> {
  const all = await rig.admin.list<Revision>(`/apis/apps/v1/namespaces/${namespace}/controllerrevisions`);
  return Object.fromEntries(all.map(({ metadata, revision }) => [metadata.name, revision]).sort());
}

/** First as 1.8 had it, everything stored as v1alpha1; then with the CRDs of 1.9. */
async function writeLegacy(): Promise<void> {
  const definitions = readdirSync(crdDir)
    .filter((file) => legacyKinds.some((kind) => file.startsWith(`${kind}.`)))
    .map((file) => parse(readFileSync(join(crdDir, file), "utf8")) as Definition);
  await applyDefinitions(definitions.map(storedAsV1alpha1));
  await writeSample();
  await writeSidecarSet();
  await applyDefinitions(definitions);
  await writeWeb();
}

function storedAsV1alpha1(definition: Definition): Definition {
  const versions = definition.spec.versions.map((version) => ({ ...version, storage: version.name === "v1alpha1" }));
  return { ...definition, spec: { ...definition.spec, conversion: { strategy: "None" }, versions } };
}

async function applyDefinitions(definitions: readonly Definition[]): Promise<void> {
  await rig.apply(...definitions);
  await waitFor("the definitions to be served", async () =>
    (
      await Promise.all(["clonesets", "sidecarsets"].map((plural) => rig.admin.request("GET", `/apis/apps.kruise.io/v1alpha1/${plural}`)))
    ).every(({ status }) => status < 300 || status === 500),
  );
}

interface PodFacts {
  readonly set: CloneSet;
  readonly suffix: string;
  readonly image: string;
  /** Of the revision that its labels name. */
  readonly revisionImage?: string;
  readonly state?: string;
  readonly annotations?: Record<string, string>;
  readonly gate?: "True" | "False";
}

/** A pod of a CloneSet: labels, owner, gate and condition as OpenKruise 1.8 writes them. */
async function writePod({
  set,
  suffix,
  image,
  revisionImage = image,
  state = "Normal",
  annotations = {},
  gate = "True",
}: PodFacts): Promise<void> {
  const app = set.metadata.name;
  const hash = hashOf(revisionData(app, revisionImage));
  const name = `${app}-${suffix}`;
  const { metadata, spec } = template(app, image);
  await rig.admin.create(podsPath, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      generateName: `${app}-`,
      labels: {
        ...metadata.labels,
        "apps.kruise.io/cloneset-instance-id": suffix,
        "controller-revision-hash": `${app}-${hash}`,
        "pod-template-hash": hash,
        "lifecycle.apps.kruise.io/state": state,
      },
      annotations: { "lifecycle.apps.kruise.io/timestamp": "2024-05-01T10:00:00Z", ...annotations },
      // Of the version that wrote it: recognised by uid, never by apiVersion.
      ownerReferences: [
        {
          apiVersion: "apps.kruise.io/v1alpha1",
          kind: "CloneSet",
          name: app,
          uid: set.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { ...spec, nodeName: "kwok-0", readinessGates: [{ conditionType: readyGate }] },
  });
  await waitFor(`pod ${name} to run`, async () => (await pod(name)).status.containerStatuses?.[0]?.ready);
  await rig.admin.patch(
    `${podsPath}/${name}/status`,
    {
      status: {
        conditions: [
          {
            type: readyGate,
            status: gate,
            lastTransitionTime: "2024-05-01T10:00:00Z",
            ...(gate === "False" ? { reason: "StartInPlaceUpdate" } : {}),
          },
        ],
      },
    },
    "strategic",
  );
  await waitFor(`pod ${name} to be as ready as its gate`, async () => conditionOf(await pod(name), "Ready") === gate);
}

async function writeRevision(set: CloneSet, image: string, revision: number): Promise<void> {
  const app = set.metadata.name;
  const data = revisionData(app, image);
  const object = {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name: `${app}-${hashOf(data)}`,
      namespace,
      labels: { app, "controller.kubernetes.io/hash": hashOf(data) },
      annotations: { "kruise.io/cloneset-volumeclaimtemplate-hash": "" },
      ownerReferences: [
        {
          apiVersion: "apps.kruise.io/v1alpha1",
          kind: "CloneSet",
          name: app,
          uid: set.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    data: JSON.parse(data),
    revision,
  };
  await rig.admin.create(`/apis/apps/v1/namespaces/${namespace}/controllerrevisions`, object);
}

async function writeStatus(version: string, set: CloneSet, replicas: number, current: string, update: string): Promise<void> {
  const app = set.metadata.name;
  const of = (image: string) => `${app}-${hashOf(revisionData(app, image))}`;
  const counts = {
    replicas,
    readyReplicas: replicas,
    availableReplicas: replicas,
    updatedReplicas: replicas,
    updatedReadyReplicas: replicas,
  };
  const status = {
    observedGeneration: set.metadata.generation,
    ...counts,
    currentRevision: of(current),
    updateRevision: of(update),
    labelSelector: `app=${app}`,
  };
  await rig.admin.patch(`${sets(version)}/${app}/status`, { status });
}

/** At rest, stored as v1alpha1. */
async function writeSample(): Promise<void> {
  const set = await rig.admin.create<CloneSet>(sets("v1alpha1"), {
    apiVersion: "apps.kruise.io/v1alpha1",
    kind: "CloneSet",
    metadata: { name: "sample", namespace },
    spec: {
      replicas: 2,
      revisionHistoryLimit: 10,
      scaleStrategy: {},
      selector: { matchLabels: { app: "sample" } },
      template: template("sample", "app:v1"),
      updateStrategy: { type: "InPlaceIfPossible", maxUnavailable: "50%", partition: 0 },
    },
  });
  await writeRevision(set, "app:v1", 1);
  for (const suffix of ["aaaaa", "bbbbb"]) await writePod({ set, suffix, image: "app:v1" });
  await writeStatus("v1alpha1", set, 2, "app:v1", "app:v1");
}

/** In the middle of an in-place update from v1 to v2, stored as v1beta1. */
async function writeWeb(): Promise<void> {
  const set = await rig.admin.create<CloneSet>(sets("v1beta1"), {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { name: "web", namespace },
    spec: {
      replicas: 4,
      revisionHistoryLimit: 10,
      scaleStrategy: {},
      selector: { matchLabels: { app: "web" } },
      template: template("web", "app:v2"),
      updateStrategy: {
        type: "RollingUpdate",
        rollingUpdate: {
          podUpdatePolicy: "InPlaceIfPossible",
          maxUnavailable: 4,
          partition: 0,
          inPlaceUpdateStrategy: { gracePeriodSeconds: 1 },
        },
      },
    },
  });
  await writeRevision(set, "app:v1", 1);
  await writeRevision(set, "app:v2", 2);
  const revision = `web-${hashOf(revisionData("web", "app:v2"))}`;
  const time = "2024-05-01T10:00:00Z";
  const state = (more: object) => ({ "apps.kruise.io/inplace-update-state": JSON.stringify({ revision, updateTimestamp: time, ...more }) });
  const begun = {
    lastContainerStatuses: { main: { imageID: "docker.io/library/app@sha256:0000" } },
    updateImages: true,
    containerBatchesRecord: [{ timestamp: time, containers: ["main"] }],
  };
  await writePod({ set, suffix: "fresh", image: "app:v2" });
  await writePod({ set, suffix: "done", image: "app:v2", annotations: state(begun) });
  // The new container runs, and nobody has said yet that the pod is back.
  await writePod({ set, suffix: "waiting", image: "app:v2", state: "Updating", annotations: state(begun), gate: "False" });
  // Taken out of service, its image still to be changed.
  await writePod({
    set,
    suffix: "grace",
    image: "app:v1",
    revisionImage: "app:v2",
    state: "Updating",
    gate: "False",
    annotations: {
      ...state({ lastContainerStatuses: null, updateImages: true }),
      "apps.kruise.io/inplace-update-grace": JSON.stringify({ revision, containerImages: { main: "app:v2" }, graceSeconds: 1 }),
    },
  });
  await writeStatus("v1beta1", set, 4, "app:v1", "app:v2");
}

/** With the hashes that OpenKruise's own tests publish for this container. */
async function writeSidecarSet(): Promise<void> {
  const hash = "w26c4x8fz245642fdv499b464248f974xddx4x55z5dw55bc6x66464fxz77dc78";
  const withoutImage = "8wzddb4dvv9c6x8zdc77z4z75987424f457dfv6724ddw6zbdx467wz5x24fc759";
  await rig.admin.create("/apis/apps.kruise.io/v1alpha1/sidecarsets", {
    apiVersion: "apps.kruise.io/v1alpha1",
    kind: "SidecarSet",
    metadata: { name: "logs", annotations: { "kruise.io/sidecarset-hash": hash, "kruise.io/sidecarset-hash-without-image": withoutImage } },
    spec: {
      selector: { matchLabels: { logs: "yes" } },
      containers: [{ name: "container1", image: "test-image" }],
      updateStrategy: { type: "RollingUpdate", maxUnavailable: 1, partition: 0 },
    },
  });
  const entry = { updateTimestamp: "2024-05-01T10:00:00Z", sidecarSetName: "logs", sidecarList: ["container1"] };
  await rig.admin.create(podsPath, {
    metadata: {
      name: "injected",
      labels: { logs: "yes" },
      annotations: {
        "kruise.io/sidecarset-hash": JSON.stringify({ logs: { ...entry, hash } }),
        "kruise.io/sidecarset-hash-without-image": JSON.stringify({ logs: { ...entry, hash: withoutImage } }),
        "kruise.io/sidecarset-injected-list": "logs",
      },
    },
    spec: {
      nodeName: "kwok-1",
      containers: [
        { name: "main", image: "app:v1" },
        { name: "container1", image: "test-image", env: [{ name: "IS_INJECTED", value: "true" }] },
      ],
    },
  });
  await waitFor("the injected pod to be ready", async () => conditionOf(await pod("injected"), "Ready") === "True");
}
