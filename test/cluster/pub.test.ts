/** PodUnavailableBudget behind two webhook replicas, on a real control plane. Numbers are those of its acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { annotation } from "../../src/api/names.ts";
import type { Pod } from "../../src/kube/types.ts";
import { Mirror } from "../lib/mirror.ts";
import { podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";
import { type Guarded, guarded, isReady, Yard } from "./guards.ts";

let all: Guarded;
let rig: Rig;
beforeAll(async () => {
  all = await guarded();
  ({ rig } = all);
}, startTimeoutMs);
const open = () => Yard.open(rig);
const times = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("fifty at once for a budget of three", () => {
  test("exactly three evictions pass, and both replicas had a say", async () => {
    const yard = await open();
    const names = await yard.bare(50);
    await yard.budget({ minAvailable: 47 });
    await yard.untilCounts(0, 47, 50, 3);
    const before = await all.metrics("controller_runtime_webhook_requests_total", "/validate-pod");
    const answers = await Promise.all(names.map((name) => yard.evict(name)));
    expect(answers.filter(({ status }) => status < 300)).toHaveLength(3);
    for (const { status, body } of answers.filter((answer) => answer.status >= 300)) {
      expect([status, body.message]).toEqual([403, expect.stringContaining('podunavailablebudget.policy.kruise.io "web" is forbidden')]);
    }
    const after = await all.metrics("controller_runtime_webhook_requests_total", "/validate-pod");
    for (const index of [0, 1]) expect((after[index] ?? 0) - (before[index] ?? 0)).toBeGreaterThan(0);
    await yard.untilCounts(0, 47, 47, 0);
    expect((await yard.allPods()).filter((pod) => pod.metadata.deletionTimestamp === undefined)).toHaveLength(47);
  }, 90_000);

  test("exactly three deletions, five rounds in a row", async () => {
    const yard = await open();
    const names = await yard.bare(50);
    await yard.budget({ minAvailable: 47 });
    for (const round of times(5)) {
      const left = 50 - round * 3;
      await yard.untilCounts(0, left - 3, left, 3);
      const answers = await Promise.all(names.map((name) => yard.delete(name)));
      const gone = names.filter((_, index) => (answers[index]?.status ?? 500) < 300);
      expect(gone).toHaveLength(3);
      for (const name of gone) names.splice(names.indexOf(name), 1);
      await yard.admin.patch(yard.budgets("web"), { spec: { minAvailable: left - 6 } });
    }
  }, 90_000);
});

describe("deletions and evictions", () => {
  test("1, 9: counted, marked, the last unit taken, the next refused, told, counted and logged", async () => {
    const yard = await open();
    await yard.deployment(10);
    await yard.budget({ maxUnavailable: "30%" });
    await yard.untilCounts(10, 7, 10, 3);
    for (const pod of await yard.allPods()) {
      expect(pod.metadata.annotations).toMatchObject({ [annotation.relatedPub]: "web", [annotation.relatedPubLegacy]: "web" });
    }
    await yard.admin.patch(yard.budgets("web"), { spec: { maxUnavailable: 0 } });
    await yard.untilCounts(10, 10, 10, 0);
    const [pod] = await yard.allPods();
    const owner = pod?.metadata.ownerReferences?.[0];
    const name = pod?.metadata.name ?? "";
    expect(await yard.delete(name)).toMatchObject({ status: 403, body: { reason: "Forbidden" } });
    const workload = `ReplicaSet_${yard.namespace}_${owner?.name}`;
    // Where its own cache is behind, the API server asks once more, with what is stored.
    expect([1, 2]).toContain(await all.metric("pod_unavailable_budget", workload));
    await waitFor("the refusal in protection.log", () =>
      all
        .protectionLog()
        .some((line) => line["Event"] === "PodUnavailableBudget" && line["Namespace"] === yard.namespace && line["Name"] === owner?.name),
    );
    await waitFor("the event", async () =>
      (await yard.events("PubPreventPodDeletion")).some(({ involvedObject }) => involvedObject.name === name),
    );
  }, 90_000);

  test("10: dry runs, of kubectl too, are judged and take nothing", async () => {
    const yard = await open();
    const [first = "", second = ""] = await yard.bare(2);
    await yard.budget({ minAvailable: 1 });
    const before = await yard.untilCounts(0, 1, 2, 1);
    expect((await yard.evict(first, { deleteOptions: { dryRun: ["All"] } })).status).toBe(201);
    expect((await yard.delete(first, "?dryRun=All")).status).toBe(200);
    const drained = await yard.kubectl("delete", "pod", first, "--dry-run=server");
    expect(drained.code).toBe(0);
    expect(await yard.status()).toEqual(before);
    expect((await yard.delete(first)).status).toBe(200);
    expect((await yard.delete(second, "?dryRun=All")).status).toBe(403);
  }, 90_000);

  test("11, 13: pods that are not ready, or not protected, go at no charge", async () => {
    const yard = await open();
    await yard.bare(1);
    const plain = { spec: { containers: [{ name: "main", image: "nginx:v1" }] } };
    const labels = { app: "web" };
    await yard.admin.create(yard.pods(), {
      metadata: { name: "down", labels, annotations: { [podAnnotations.neverReady]: "true" } },
      ...plain,
    });
    await yard.admin.create(yard.pods(), {
      metadata: { name: "free", labels, annotations: { [annotation.pubNoProtect]: "true" } },
      ...plain,
    });
    await yard.admin.create(yard.pods(), { metadata: { name: "passed", labels: { ...labels, passed: "over" } }, ...plain });
    await yard.untilReady(3);
    await yard.budget({ minAvailable: 3, ignoredPodSelector: { matchLabels: { passed: "over" } } });
    const before = await yard.untilCounts(0, 3, 3, 0);
    expect((await yard.delete("p-0")).status).toBe(403);
    const answers = await Promise.all(["down", "free", "passed"].map((name) => yard.delete(name)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(before.disruptedPods).toBeUndefined();
  }, 90_000);

  test("29: without its budget a marked pod goes", async () => {
    const yard = await open();
    const [name = ""] = await yard.bare(1);
    await yard.budget({ minAvailable: 1 });
    await yard.untilCounts(0, 1, 1, 0);
    expect((await yard.delete(name)).status).toBe(403);
    await yard.admin.delete(yard.budgets("web"));
    // Each replica learns of it in its own time.
    await waitFor("the pod to go", async () => (await yard.delete(name)).status === 200);
  }, 90_000);

  test("17, 18: the ledger forgets what has shown, and what never came", async () => {
    const yard = await open();
    const names = await yard.bare(4, { metadata: { finalizers: ["test.example/hold"] } });
    await yard.budget({ minAvailable: 2 });
    await yard.untilCounts(0, 2, 4, 2);
    await yard.delete(names[0] ?? "");
    const recorded = await yard.status();
    expect(Object.keys(recorded?.disruptedPods ?? {})).toEqual(["p-0"]);
    await yard.admin.patch(`${yard.budgets("web")}/status`, {
      status: { disruptedPods: { "p-1": new Date().toISOString().replace(/\.\d+/, "") } },
    });
    await waitFor("p-0 to be forgotten", async () => !Object.hasOwn((await yard.status())?.disruptedPods ?? {}, "p-0"), {
      timeoutMs: 15_000,
    });
    await yard.untilCounts(0, 2, 2, 0);
    await waitFor("p-1 to count again", async () => (await yard.status())?.unavailableAllowed === 1, { timeoutMs: 40_000 });
    expect((await yard.events("NotDeleted")).map(({ involvedObject }) => involvedObject.name)).toEqual(["p-1"]);
    for (const name of names) await yard.admin.patch(yard.pods(name), { metadata: { finalizers: null } });
  }, 90_000);

  test("a workload that is deleted takes its pods along, whatever the floor", async () => {
    const yard = await open();
    await yard.deployment(5);
    await yard.budget({ minAvailable: 5 });
    await yard.untilCounts(5, 5, 5, 0);
    await yard.admin.delete(yard.apps("deployments", "web"));
    await waitFor("all pods to be gone", async () => (await yard.allPods()).length === 0, { timeoutMs: 60_000 });
  }, 90_000);

  test("scaled to nothing, likewise", async () => {
    const yard = await open();
    await yard.deployment(5);
    await yard.budget({ minAvailable: 5, targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" } });
    await yard.untilCounts(5, 5, 5, 0);
    await yard.admin.patch(yard.apps("deployments", "web"), { spec: { replicas: 0 } });
    await waitFor("all pods to be gone", async () => (await yard.allPods()).length === 0, { timeoutMs: 60_000 });
  }, 90_000);
});

describe("kubectl drain", () => {
  // Whatever else is on the node is not these tests' to evict.
  const drain = (node: string, app: string, seconds: number) =>
    rig.kubectl(["drain", node, "--force", `--pod-selector=app=${app}`, `--timeout=${seconds}s`], undefined, { timeoutMs: 120_000 });

  test("with 429 it comes back until all are gone, and the floor holds all the while", async () => {
    const yard = await open();
    const app = yard.namespace;
    const selector = { matchLabels: { app } };
    await yard.budget({ selector, maxUnavailable: 1 }, "web", { [annotation.pubEvictionResponse]: "TooManyRequests" });
    await yard.deployment(6, app);
    await yard.untilCounts(6, 5, 6, 1);
    const mirror = await Mirror.start<Pod>(rig.admin, yard.pods());
    let lowest = 6;
    mirror.listen(() => {
      lowest = Math.min(lowest, mirror.objects.filter((pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined).length);
    });
    const node = (await yard.allPods()).map((pod) => pod.spec.nodeName)[0] ?? "";
    try {
      expect(await drain(node, app, 90)).toMatchObject({ code: 0 });
      await yard.untilReady(6);
      expect((await yard.allPods()).some((pod) => pod.spec.nodeName === node && pod.metadata.deletionTimestamp === undefined)).toBe(false);
      expect(lowest).toBeGreaterThanOrEqual(5);
    } finally {
      await rig.kubectl(["uncordon", node]);
      mirror.close();
    }
  }, 180_000);

  test("with 403, the default, it says what refused it", async () => {
    const yard = await open();
    const app = yard.namespace;
    const [name = ""] = await yard.bare(1, { metadata: { labels: { app } } });
    await yard.budget({ selector: { matchLabels: { app } }, minAvailable: 1 });
    await yard.untilCounts(0, 1, 1, 0);
    const node = (await yard.admin.get<Pod>(yard.pods(name)))?.spec.nodeName ?? "";
    try {
      const ran = await drain(node, app, 10);
      expect(ran.code).not.toBe(0);
      expect(ran.stderr).toContain("no unavailable quota left");
    } finally {
      await rig.kubectl(["uncordon", node]);
    }
  }, 90_000);
});

describe("updates and resizes", () => {
  const image = (to: string) => ({ spec: { containers: [{ name: "main", image: to }] } });

  test("14, 15: an update takes a unit once; what changes nothing for its users is free", async () => {
    const yard = await open();
    await yard.bare(2);
    await yard.budget({ minAvailable: 1 });
    await yard.untilCounts(0, 1, 2, 1);
    expect((await yard.patchPod("p-0", image("nginx:v2"))).status).toBe(200);
    expect(await yard.status()).toMatchObject({ unavailableAllowed: 0, unavailablePods: { "p-0": expect.any(String) } });
    expect((await yard.patchPod("p-0", image("nginx:v3"))).status).toBe(200);
    expect(await yard.patchPod("p-1", image("nginx:v2"))).toMatchObject({ status: 403 });
    expect((await yard.patchPod("p-1", { metadata: { labels: { a: "b" }, annotations: { c: "d" } } })).status).toBe(200);
    expect((await yard.patchPod("p-1", { metadata: { labels: { "unavailable-pod.kruise.io/x": "" } } })).status).toBe(403);
    expect(
      (
        await yard.patchPod("p-1", {
          metadata: { annotations: { [annotation.relatedPub]: null, [annotation.relatedPubLegacy]: null } },
          ...image("nginx:v2"),
        })
      ).status,
    ).toBe(403);
    await yard.untilCounts(0, 1, 2, 1);
  }, 90_000);

  test("21: a resize through its subresource is guarded as an update", async () => {
    const yard = await open();
    await yard.bare(1, { container: { resources: { requests: { cpu: "1" } } } });
    await yard.budget({ minAvailable: 1 });
    await yard.untilCounts(0, 1, 1, 0);
    const resized = { spec: { containers: [{ name: "main", resources: { requests: { cpu: "2" } } }] } };
    expect(await yard.patchPod("p-0", resized, "/resize")).toMatchObject({ status: 403 });
    await yard.admin.patch(yard.budgets("web"), { spec: { protectOperations: ["DELETE"] } });
    await waitFor("the resize to pass", async () => (await yard.patchPod("p-0", resized, "/resize")).status === 200);
  }, 90_000);

  test("32: a CloneSet updates in place no more pods at once than the budget allows", async () => {
    const yard = await open();
    const path = `/apis/apps.kruise.io/v1beta1/namespaces/${yard.namespace}/clonesets`;
    const spec = (to: string) => ({
      replicas: 5,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" }, annotations: { [podAnnotations.readyDelaySeconds]: "1" } },
        spec: { containers: [{ name: "main", image: to }] },
      },
      updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "100%" } },
    });
    await yard.budget({ maxUnavailable: 2, targetRef: { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", name: "web" } });
    await yard.admin.create(path, {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "CloneSet",
      metadata: { name: "web" },
      spec: spec("nginx:v1"),
    });
    await yard.untilReady(5);
    await yard.untilCounts(5, 3, 5, 2);
    const mirror = await Mirror.start<Pod>(rig.admin, yard.pods());
    let lowest = 5;
    mirror.listen(() => {
      lowest = Math.min(lowest, mirror.objects.filter(isReady).length);
    });
    const before = mirror.objects.map(({ metadata }) => metadata.uid).sort();
    await yard.admin.patch(`${path}/web`, { spec: { template: { spec: { containers: [{ name: "main", image: "nginx:v2" }] } } } });
    await waitFor(
      "all five to run v2 and be ready",
      () => mirror.objects.every((pod) => isReady(pod) && pod.status?.containerStatuses?.[0]?.image === "nginx:v2"),
      { timeoutMs: 80_000 },
    );
    expect(mirror.objects.map(({ metadata }) => metadata.uid).sort()).toEqual(before);
    expect(lowest).toBeGreaterThanOrEqual(3);
    expect(lowest).toBeLessThan(5);
    mirror.close();
  }, 120_000);
});
