/** What a cluster does by itself, in virtual time. */
import { expect, test } from "bun:test";
import { fieldsOf, itemsOf } from "../../kube/json.ts";
import { downAnnotation } from "../kubelet/kubelet.ts";
import { nameOf, statusOf, template, World } from "../testing/world.ts";

const apps = "/apis/apps/v1/namespaces/default";
const core = "/api/v1/namespaces/default";
const selector = { matchLabels: { app: "web" } };
const imageOf = (pod: Readonly<Record<string, unknown>>) => fieldsOf(itemsOf(fieldsOf(pod["spec"])["containers"])[0])["image"];
const waitingOf = (pod: Readonly<Record<string, unknown>>) =>
  fieldsOf(fieldsOf(fieldsOf(itemsOf(statusOf(pod)["containerStatuses"])[0])["state"])["waiting"])["reason"];

test("a Deployment rolls within its budget, and back", async () => {
  const world = await World.start();
  await world.create(`${apps}/deployments`, { metadata: { name: "web" }, spec: { replicas: 4, selector, template: template("app:1") } });
  await world.pass(5000);
  expect(statusOf(await world.get(`${apps}/deployments/web`))).toMatchObject({ replicas: 4, readyReplicas: 4, updatedReplicas: 4 });
  let most = 0;
  let fewest = 9;
  await world.patch(`${apps}/deployments/web`, { spec: { template: template("app:2") } });
  for (let step = 0; step < 100; step += 1) {
    await world.pass(100);
    const pods = await world.pods();
    most = Math.max(most, pods.filter((pod) => fieldsOf(pod["metadata"])["deletionTimestamp"] === undefined).length);
    fewest = Math.min(fewest, Number(statusOf(await world.get(`${apps}/deployments/web`))["availableReplicas"]));
  }
  expect((await world.pods()).map(imageOf)).toEqual(["app:2", "app:2", "app:2", "app:2"]);
  expect([most, fewest]).toEqual([5, 3]);
  const conditions = itemsOf(statusOf(await world.get(`${apps}/deployments/web`))["conditions"]).map(fieldsOf);
  expect(conditions.map(({ type, reason }) => [type, reason])).toEqual([
    ["Available", "MinimumReplicasAvailable"],
    ["Progressing", "NewReplicaSetAvailable"],
  ]);
  await world.patch(`${apps}/deployments/web`, { spec: { template: template("app:1") } });
  await world.pass(10_000);
  expect((await world.pods()).map(imageOf)).toEqual(["app:1", "app:1", "app:1", "app:1"]);
  // Taken up again, not made anew.
  expect(await world.list(`${apps}/replicasets`)).toHaveLength(2);
});

test("deleting a Deployment takes everything along; orphaning leaves it", async () => {
  const world = await World.start();
  for (const name of ["a", "b"])
    await world.create(`${apps}/deployments`, {
      metadata: { name },
      spec: { selector: { matchLabels: { app: name } }, template: template("app:1", { app: name }) },
    });
  await world.pass(5000);
  await world.must("DELETE", `${apps}/deployments/a`, { propagationPolicy: "Foreground" });
  await world.must("DELETE", `${apps}/deployments/b`, { propagationPolicy: "Orphan" });
  await world.pass(5000);
  expect(await world.list(`${apps}/deployments`)).toEqual([]);
  const sets = await world.list(`${apps}/replicasets`);
  expect(sets.map((set) => fieldsOf(set["metadata"])["ownerReferences"])).toEqual([undefined]);
  expect(await world.pods()).toHaveLength(1);
});

test("a StatefulSet comes in order, updates from the end, and keeps its claims", async () => {
  const world = await World.start();
  const claim = { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } };
  const spec = { replicas: 3, serviceName: "db", selector, template: template("db:1"), volumeClaimTemplates: [claim] };
  await world.create(`${apps}/statefulsets`, { metadata: { name: "db" }, spec });
  await world.pass(600);
  expect((await world.pods()).map(nameOf)).toEqual(["db-0"]);
  await world.pass(6000);
  expect((await world.pods()).map(nameOf)).toEqual(["db-0", "db-1", "db-2"]);
  expect((await world.list(`${core}/persistentvolumeclaims`)).map((object) => [nameOf(object), statusOf(object)["phase"]])).toEqual([
    ["data-db-0", "Bound"],
    ["data-db-1", "Bound"],
    ["data-db-2", "Bound"],
  ]);
  await world.patch(`${apps}/statefulsets/db`, {
    spec: { template: template("db:2"), updateStrategy: { rollingUpdate: { partition: 1 } } },
  });
  await world.pass(10_000);
  expect((await world.pods()).map(imageOf)).toEqual(["db:1", "db:2", "db:2"]);
  await world.patch(`${apps}/statefulsets/db`, { spec: { replicas: 1 } });
  await world.pass(10_000);
  expect((await world.pods()).map(nameOf)).toEqual(["db-0"]);
  expect(await world.list(`${core}/persistentvolumeclaims`)).toHaveLength(3);
});

test("a DaemonSet is on every node, and follows its template", async () => {
  const world = await World.start({ nodes: 3 });
  await world.create(`${apps}/daemonsets`, { metadata: { name: "agent" }, spec: { selector, template: template("agent:1") } });
  await world.pass(5000);
  expect(statusOf(await world.get(`${apps}/daemonsets/agent`))).toMatchObject({ desiredNumberScheduled: 3, numberReady: 3 });
  expect(new Set((await world.pods()).map((pod) => fieldsOf(pod["spec"])["nodeName"])).size).toBe(3);
  await world.patch(`${apps}/daemonsets/agent`, { spec: { template: template("agent:2") } });
  await world.pass(15_000);
  expect((await world.pods()).map(imageOf)).toEqual(["agent:2", "agent:2", "agent:2"]);
});

test("a Job ends when enough of its pods did, and fails when too many did not", async () => {
  const world = await World.start();
  const job = (name: string, spec: object, annotations = {}) => ({
    metadata: { name },
    spec: {
      ...spec,
      template: { metadata: { annotations }, spec: { restartPolicy: "Never", containers: [{ name: "main", image: "job:1" }] } },
    },
  });
  const jobs = "/apis/batch/v1/namespaces/default/jobs";
  await world.create(jobs, job("works", { completions: 4, parallelism: 2 }));
  await world.create(jobs, job("fails", { backoffLimit: 1 }, { "sandbox.kruise.io/exit-code": "3" }));
  await world.pass(20_000);
  const verdict = async (name: string) =>
    itemsOf(statusOf(await world.get(`${jobs}/${name}`))["conditions"]).map((entry) => fieldsOf(entry)["reason"]);
  expect(await verdict("works")).toEqual(["CompletionsReached", "CompletionsReached"]);
  expect(await verdict("fails")).toEqual(["BackoffLimitExceeded", "BackoffLimitExceeded"]);
  expect(statusOf(await world.get(`${jobs}/works`))).toMatchObject({ succeeded: 4 });
});

test("images say how their containers fare", async () => {
  const world = await World.start();
  for (const tag of ["bad", "broken", "slow"])
    await world.create(`${core}/pods`, { metadata: { name: tag }, spec: { containers: [{ name: "main", image: `app:${tag}` }] } });
  await world.pass(5000);
  const pod = async (name: string) => world.get(`${core}/pods/${name}`);
  expect([waitingOf(await pod("bad")), waitingOf(await pod("broken")), waitingOf(await pod("slow"))]).toEqual([
    "ImagePullBackOff",
    "CrashLoopBackOff",
    "ContainerCreating",
  ]);
  await world.pass(15_000);
  expect(statusOf(await pod("slow"))["phase"]).toBe("Running");
  await world.patch(`${core}/pods/bad`, { spec: { containers: [{ name: "main", image: "app:good" }] } }, "strategic");
  await world.pass(2000);
  expect(statusOf(await pod("bad"))["phase"]).toBe("Running");
});

test("a node that falls silent loses its pods after a while; they come back elsewhere", async () => {
  const world = await World.start({ nodes: 2 });
  await world.create(`${apps}/deployments`, { metadata: { name: "web" }, spec: { replicas: 2, selector, template: template("app:1") } });
  await world.pass(5000);
  await world.patch("/api/v1/nodes/node-0", { metadata: { annotations: { [downAnnotation]: "true" } } });
  await world.pass(60_000);
  expect(statusOf(await world.get(`${apps}/deployments/web`))["readyReplicas"]).toBe(1);
  await world.pass(320_000);
  const alive = (await world.pods()).filter((pod) => fieldsOf(pod["metadata"])["deletionTimestamp"] === undefined);
  expect(alive.map((pod) => fieldsOf(pod["spec"])["nodeName"])).toEqual(["node-1", "node-1"]);
  await world.patch("/api/v1/nodes/node-0", { metadata: { annotations: { [downAnnotation]: null } } });
  await world.pass(60_000);
  expect(await world.pods()).toHaveLength(2);
});

test("the scheduler heeds selectors, taints, amounts and spread, and says why it cannot", async () => {
  const world = await World.start({ nodes: 3 });
  await world.patch("/api/v1/nodes/node-0", { spec: { taints: [{ key: "gpu", effect: "NoSchedule" }] } });
  await world.patch("/api/v1/nodes/node-1", { metadata: { labels: { disk: "ssd" } } });
  const pod = (name: string, spec: object) => ({
    metadata: { name, labels: { app: "web" } },
    spec: { containers: [{ name: "main", image: "app:1" }], ...spec },
  });
  await world.create(`${core}/pods`, pod("ssd", { nodeSelector: { disk: "ssd" } }));
  await world.create(`${core}/pods`, pod("nowhere", { nodeSelector: { disk: "tape" } }));
  await world.create(
    `${core}/pods`,
    pod("huge", { containers: [{ name: "main", image: "app:1", resources: { requests: { cpu: "99" } } }] }),
  );
  await world.pass(2000);
  const placed = async (name: string) => fieldsOf((await world.get(`${core}/pods/${name}`))["spec"])["nodeName"];
  const why = async (name: string) =>
    itemsOf(statusOf(await world.get(`${core}/pods/${name}`))["conditions"]).map((entry) => fieldsOf(entry)["message"]);
  expect(await placed("ssd")).toBe("node-1");
  expect(await why("nowhere")).toEqual([
    "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: }, 2 node(s) didn't match Pod's node affinity/selector.",
  ]);
  expect(await why("huge")).toEqual(["0/3 nodes are available: 1 node(s) had untolerated taint {gpu: }, 2 Insufficient cpu."]);
  await world.patch("/api/v1/nodes/node-2", { metadata: { labels: { disk: "tape" } } });
  await world.pass(2000);
  expect(await placed("nowhere")).toBe("node-2");
});

test("a budget lets only as many pods go as it can spare", async () => {
  const world = await World.start();
  await world.create(`${apps}/deployments`, { metadata: { name: "web" }, spec: { replicas: 3, selector, template: template("app:1") } });
  await world.create("/apis/policy/v1/namespaces/default/poddisruptionbudgets", {
    metadata: { name: "web" },
    spec: { minAvailable: 2, selector },
  });
  await world.pass(5000);
  const [first, second] = (await world.pods()).map(nameOf);
  const evict = (name: string | undefined) =>
    world.request("POST", `${core}/pods/${name}/eviction`, {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name, namespace: "default" },
    });
  expect((await evict(first)).status).toBe(201);
  const refused = await evict(second);
  expect([refused.status, refused.body["message"]]).toEqual([429, "Cannot evict pod as it would violate the pod's disruption budget."]);
  await world.pass(10_000);
  expect((await evict(second)).status).toBe(201);
});

test("a namespace that is deleted empties itself first", async () => {
  const world = await World.start();
  await world.create("/api/v1/namespaces", { metadata: { name: "gone" } });
  await world.pass(100);
  await world.create("/api/v1/namespaces/gone/configmaps", { metadata: { name: "kept", finalizers: ["example.com/wait"] } });
  await world.create("/api/v1/namespaces/gone/pods", { metadata: { name: "p" }, spec: { containers: [{ name: "main", image: "app:1" }] } });
  await world.pass(2000);
  expect(statusOf(await world.must("DELETE", "/api/v1/namespaces/gone"))["phase"]).toBe("Terminating");
  await world.pass(5000);
  expect((await world.request("POST", "/api/v1/namespaces/gone/configmaps", { metadata: { name: "late" } })).status).toBe(403);
  expect((await world.request("GET", "/api/v1/namespaces/gone/pods/p")).status).toBe(404);
  await world.patch("/api/v1/namespaces/gone/configmaps/kept", { metadata: { finalizers: null } });
  await world.pass(1000);
  expect((await world.request("GET", "/api/v1/namespaces/gone")).status).toBe(404);
});
