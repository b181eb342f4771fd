/**
 * The order in which containers start. Numbers are those of the list for shared machinery. Simulated nodes do not wait at barriers, so
 * containers are held from being ready, and what is looked at is which barriers open.
 */
import { beforeAll, expect, test } from "bun:test";
import { annotation } from "../../src/api/names.ts";
import type { ConfigMap, EnvVar, Pod } from "../../src/kube/types.ts";
import { type Loose, openShop } from "../lib/shop.ts";
import { collectedMs, podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

const container = (name: string, priority?: string): Loose => ({
  name,
  image: `${name}:v1`,
  ...(priority === undefined ? {} : { env: [{ name: "KRUISE_CONTAINER_PRIORITY", value: priority }] }),
});
const barrierOf = (env: readonly EnvVar[] = []) => env.find(({ name }) => name === "KRUISE_CONTAINER_BARRIER")?.valueFrom?.configMapKeyRef;
const keysOf = (pod: Pod) => pod.spec.containers.map(({ env }) => barrierOf(env)?.key);
const podsPath = (namespace: string) => `/api/v1/namespaces/${namespace}/pods`;
const barrier = (namespace: string, pod: string) => rig.admin.get<ConfigMap>(`/api/v1/namespaces/${namespace}/configmaps/${pod}-barrier`);
const opened = async (namespace: string, pod: string) => Object.keys((await barrier(namespace, pod))?.data ?? {}).sort();
const create = (namespace: string, containers: readonly Loose[], annotations: Record<string, string> = {}, name = "web") =>
  rig.admin.create<Pod>(podsPath(namespace), { metadata: { name, annotations }, spec: { containers } });
const isCompleted = async (namespace: string, pod: string) =>
  (await rig.admin.get<Pod>(`${podsPath(namespace)}/${pod}`))?.metadata.annotations?.[annotation.containerLaunchPriorityCompleted] ===
  "true";
const release = (namespace: string, pod: string, held: string | null) =>
  rig.admin.patch(`${podsPath(namespace)}/${pod}`, { metadata: { annotations: { [podAnnotations.neverReady]: held } } }, "merge");

test.concurrent("24: the higher priority first, the lower when that is ready, then completed", async () => {
  const namespace = await rig.namespace();
  const pod = await create(namespace, [container("sidecar", "1"), container("main")], { [podAnnotations.neverReady]: "sidecar,main" });
  expect(keysOf(pod)).toEqual(["p_1", "p_0"]);
  expect(pod.spec.containers.map(({ env }) => barrierOf(env)?.name)).toEqual(["web-barrier", "web-barrier"]);
  await waitFor("the first key", async () => (await opened(namespace, "web")).join() === "p_1");
  expect((await barrier(namespace, "web"))?.metadata.ownerReferences).toMatchObject([{ kind: "Pod", name: "web", uid: pod.metadata.uid }]);
  expect(await isCompleted(namespace, "web")).toBe(false);
  await release(namespace, "web", "main");
  await waitFor("completion", () => isCompleted(namespace, "web"));
  expect(await opened(namespace, "web")).toEqual(["p_0", "p_1"]);
});

test.concurrent("25: Ordered: one after another", async () => {
  const namespace = await rig.namespace();
  const containers = [container("a"), container("b"), container("c")];
  const pod = await create(namespace, containers, {
    [annotation.containerLaunchPriority]: "Ordered",
    [podAnnotations.neverReady]: "a,b,c",
  });
  expect(keysOf(pod)).toEqual(["p_0", "p_-1", "p_-2"]);
  for (const [held, keys] of [
    ["a,b,c", ["p_0"]],
    ["b,c", ["p_-1", "p_0"]],
    ["c", ["p_-1", "p_-2", "p_0"]],
  ] as const) {
    await release(namespace, "web", held);
    await waitFor(`keys ${keys}`, async () => (await opened(namespace, "web")).join() === [...keys].sort().join());
  }
  await waitFor("completion", () => isCompleted(namespace, "web"));
});

test.concurrent("26: a priority that is no number is refused where there is an order to keep", async () => {
  const namespace = await rig.namespace();
  const body = { metadata: { name: "two" }, spec: { containers: [container("a", "abc"), container("b")] } };
  const answer = await rig.admin.request<{ message: string }>("POST", podsPath(namespace), body);
  expect([answer.status, answer.body.message]).toEqual([500, expect.stringContaining("KRUISE_CONTAINER_PRIORITY of container a")]);
  expect(keysOf(await create(namespace, [container("a", "abc")], {}, "one"))).toEqual([undefined]);
});

test.concurrent("27: all of one priority: no barrier", async () => {
  const namespace = await rig.namespace();
  expect(keysOf(await create(namespace, [container("a", "5"), container("b", "5")]))).toEqual([undefined, undefined]);
});

test.concurrent("28: pods whose name is made up know their barrier; a CloneSet's too", async () => {
  const namespace = await rig.namespace();
  const labels = { app: "deployed" };
  const containers = [container("sidecar", "1"), container("main")];
  const annotations = { [podAnnotations.neverReady]: "main" };
  await rig.apply({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "deployed", namespace },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels, annotations }, spec: { containers } } },
  });
  const pods = await waitFor("both pods", async () => {
    const list = await rig.admin.list<Pod>(podsPath(namespace));
    return list.length === 2 ? list : undefined;
  });
  const shop = await openShop(rig, { namespace, annotations, pod: { containers }, wait: false });
  await shop.until("its pod", () => shop.status.replicas === 1);
  for (const { metadata, spec } of [...pods, ...shop.pods.filter(({ metadata: { name } }) => name.startsWith("web-"))]) {
    for (const { env } of spec.containers) expect(barrierOf(env)?.name).toBe(`${metadata.name}-barrier`);
    await waitFor("completion", () => isCompleted(namespace, metadata.name));
  }
});

test.concurrent("29: the barrier goes with its pod", async () => {
  const namespace = await rig.namespace();
  await create(namespace, [container("sidecar", "1"), container("main")], { [podAnnotations.neverReady]: "main" });
  await waitFor("completion", () => isCompleted(namespace, "web"));
  await rig.admin.delete(`${podsPath(namespace)}/web`);
  await waitFor("the barrier to be gone", async () => (await barrier(namespace, "web")) === undefined, { timeoutMs: collectedMs });
});
