/**
 * CloneSet under faults of the real kind: the manager is killed, frozen and replaced, the API server restarts, webhooks are down. A watch of the
 * test's own looks on: no budget may be broken at any version of any pod, no pod made twice, and in the end all is as it was asked for.
 *
 * What is random follows a seed, which is printed; FAULT_SEED=n plays it again (as far as the machine keeps the same time).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cloneSetManifest, imageOf, isActive, isAvailable, openShop, type Shop, watchBudget } from "../lib/shop.ts";
import { type Manager, podAnnotations, type Rig, startRig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";

let rig: Rig;
let manager: Manager;
const seed = Number(process.env.FAULT_SEED ?? Math.floor(Math.random() * 2 ** 31));

beforeAll(async () => {
  console.log(`FAULT_SEED=${seed}`);
  rig = await startRig({ kwokNodes: 6 });
  await rig.install();
  manager = await rig.startManager();
}, startTimeoutMs);
afterAll(async () => {
  await rig?.stop();
}, 60_000);

/** mulberry32: small, and the same everywhere. */
function randomOf(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Simulated nodes do not try again what was refused once, as kubelets do: whoever is stuck is touched, so that they look again. */
async function comesToRest(shop: Shop): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const outcome = await shop.settled(15_000).catch((error: unknown) => error);
    if (outcome === true) return;
    const stuck = shop.allPods.filter((pod) => !isAvailable(pod));
    if (tries === 8 || stuck.length === 0) throw outcome;
    for (const { metadata } of stuck) await shop.annotatePod(metadata.name, { "test/touched": String(tries) });
  }
}

const configurations = ["mutating", "validating"].map(
  (kind) => `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/kruise-${kind}-webhook-configuration`,
);
/** Outside of a cluster no Service leads to whoever is there: webhooks are called by the URL of one replica, until that one does not answer. */
async function answeredBy(replica: Manager): Promise<void> {
  for (const path of configurations) {
    await waitFor("webhooks to lead there", async () => {
      const { webhooks } = await rig.admin.must<{ webhooks: { clientConfig: { url: string; caBundle?: string } }[] }>("GET", path);
      return webhooks.every(({ clientConfig }) => clientConfig.caBundle && clientConfig.url.includes(`:${replica.webhookPort}/`));
    });
  }
}

const slow = { annotations: { [podAnnotations.readyDelaySeconds]: "1" } };
const inPlace = { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 5, partition: 10 };
const isPartOf = (shop: Shop, image: string) => shop.pods.filter((pod) => imageOf(pod) === image).length;

/** Everything that a rollout in place must not do, looked at from outside at every change. */
function guard(shop: Shop, replicas: number, image: () => string) {
  const before = new Set(shop.allPods.map(({ metadata }) => metadata.uid));
  const budget = watchBudget(shop, { replicas, unavailableMax: 5, surgeMax: 0 });
  const stop = shop.podMirror.listen((change) => {
    if (change !== undefined && !before.has(change.object.metadata.uid))
      budget.broken.push(`pod ${change.object.metadata.name} was made anew`);
    const moved = isPartOf(shop, image());
    if (moved > replicas - 10) budget.broken.push(`${moved} pods run ${image()}, the partition keeps 10`);
  });
  return {
    end: () => {
      stop();
      budget.stop();
      expect(budget.broken).toEqual([]);
      expect(shop.pods.map(({ metadata }) => metadata.uid).filter((uid) => !before.has(uid))).toEqual([]);
      expect(isPartOf(shop, image())).toBe(replicas - 10);
    },
  };
}

test("the manager killed at ten random moments of a rollout of 50 pods in place", async () => {
  const random = randomOf(seed);
  const shop = await openShop(rig, { replicas: 50, rolling: inPlace, ...slow, wait: false });
  await comesToRest(shop);
  let version = 2;
  const image = () => `app:v${version}`;
  const watching = guard(shop, 50, image);
  await shop.setImage(image());
  for (let kills = 0; kills < 10; kills += 1) {
    // Somewhere between "just started" and "well on its way".
    const leftMs = Math.round(random() * 2_500);
    const from = shop.podMirror.changes.length;
    const movesMax = Math.round(random() * 30);
    await Promise.race([
      Bun.sleep(leftMs),
      shop.until("some moves", () => shop.podMirror.changes.length >= from + movesMax, leftMs + 60_000),
    ]);
    await manager.kill();
    await manager.restart();
    // A rollout that has come through meanwhile is followed by the next.
    if (isPartOf(shop, image()) === 40 && kills < 9) {
      version += 1;
      await shop.setImage(image());
    }
  }
  await comesToRest(shop);
  watching.end();
  console.log(`ten kills, ${version - 1} rollouts, ${shop.podMirror.changes.length} versions of pods looked at`);
}, 300_000);

test("killed while scaling out and recreating: no pod is made twice for one that is missing", async () => {
  const random = randomOf(seed + 1);
  const shop = await openShop(rig, { replicas: 5, rolling: { maxUnavailable: 3 } });
  const { broken } = watchBudget(shop, { replicas: 40, surgeMax: 0 });
  await shop.update({ replicas: 40 });
  for (let kills = 0; kills < 2; kills += 1) {
    await shop.until("some pods more", () => shop.pods.length >= 8 + Math.round(random() * 20));
    await manager.kill();
    await manager.restart();
  }
  await comesToRest(shop);
  expect(shop.pods).toHaveLength(40);
  const budget = watchBudget(shop, { replicas: 40, unavailableMax: 3, surgeMax: 0 });
  await shop.setImage("app:v2");
  for (let kills = 0; kills < 3; kills += 1) {
    const already = isPartOf(shop, "app:v2");
    await shop.until("some new pods", () => isPartOf(shop, "app:v2") >= Math.min(already + 3 + Math.round(random() * 4), 40));
    await manager.kill();
    await manager.restart();
  }
  await comesToRest(shop);
  expect([broken, budget.broken]).toEqual([[], []]);
  expect(isPartOf(shop, "app:v2")).toBe(40);
  // Every pod that ever was stood for one that was missing then.
  const made = shop.podMirror.changes.filter(({ type }) => type === "ADDED").length;
  const gone = shop.podMirror.changes.filter(({ type }) => type === "DELETED").length;
  expect(made - gone).toBe(40);
}, 300_000);

test("the API server restarted in the middle of a rollout", async () => {
  const shop = await openShop(rig, { replicas: 25, rolling: inPlace, ...slow, wait: false });
  await comesToRest(shop);
  const watching = guard(shop, 25, () => "app:v2");
  await shop.setImage("app:v2");
  await shop.until("some moves", () => isPartOf(shop, "app:v2") >= 6, 60_000);
  await rig.plane.restartApiserver();
  expect(manager.process.running()).toBe(true);
  await comesToRest(shop);
  watching.end();
}, 300_000);

test("of two replicas the leader freezes, the other goes on; awake again, the first one ends; and back when the other is killed", async () => {
  await manager.stop();
  const flags = ["--leader-election-lease-duration=6s", "--leader-election-renew-deadline=4s", "--leader-election-retry-period=1s"];
  const first = await rig.startManager({ name: "replica-a", leaderElection: true, flags });
  const leads = async (of: Manager) => /^kruise_manager_is_leader 1$/m.test(await (await fetch(of.metricsUrl)).text());
  await waitFor("the first to lead", () => leads(first));
  const second = await rig.startManager({ name: "replica-b", leaderElection: true, flags });
  const shop = await openShop(rig, { replicas: 25, rolling: inPlace, ...slow, wait: false });
  await comesToRest(shop);
  const watching = guard(shop, 25, () => "app:v2");
  await shop.setImage("app:v2");
  await shop.until("some moves", () => isPartOf(shop, "app:v2") >= 3, 60_000);
  process.kill(first.process.pid, "SIGSTOP");
  await answeredBy(second);
  await waitFor("the other to lead", () => leads(second), { timeoutMs: 60_000 });
  await shop.until("it to go on", () => isPartOf(shop, "app:v2") >= 8, 60_000);
  process.kill(first.process.pid, "SIGCONT");
  expect(await first.process.exited).not.toBe(0);
  // And the other way round: the leader is killed, the first one, started again, takes over.
  await first.restart();
  await shop.until("some more moves", () => isPartOf(shop, "app:v2") >= 10, 60_000);
  await second.kill();
  await answeredBy(first);
  await waitFor("the first to lead again", () => leads(first), { timeoutMs: 60_000 });
  await comesToRest(shop);
  watching.end();
  // Platform 18: a leader that cannot renew ends, before another may think that it leads.
  await rig.plane.restartApiserver(async () => expect(await first.process.exited).toBe(1));
  await manager.restart();
}, 300_000);

test("a webhook for pods is down during a rollout that recreates: held, told, and finished when it is back", async () => {
  const shop = await openShop(rig, { replicas: 10, rolling: { maxUnavailable: 2 } });
  const { broken } = watchBudget(shop, { replicas: 10, unavailableMax: 2, surgeMax: 0 });
  const path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
  const name = `down-${shop.namespace}`;
  await rig.admin.create(path, {
    metadata: { name },
    webhooks: [
      {
        name: "down.test.example",
        clientConfig: { url: "https://127.0.0.1:1/down" },
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": shop.namespace } },
        rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
        failurePolicy: "Fail",
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
        timeoutSeconds: 1,
      },
    ],
  });
  await shop.setImage("app:v2");
  await shop.until("condition FailedScale", () => shop.condition("FailedScale")?.message?.includes("failed calling webhook"), 60_000);
  expect((await shop.eventually("FailedCreate")).message).toContain("failed calling webhook");
  await shop.round();
  expect(shop.pods.filter(isAvailable)).toHaveLength(8);
  await rig.admin.delete(`${path}/${name}`);
  await comesToRest(shop);
  await shop.until("the condition to go", () => shop.condition("FailedScale") === undefined);
  expect([broken, isPartOf(shop, "app:v2")]).toEqual([[], 10]);
}, 300_000);

test("without the manager nothing is changed and nothing is lost: requests are refused with the reason, and work goes on when it is back", async () => {
  const shop = await openShop(rig, { replicas: 5, rolling: { ...inPlace, partition: 0, maxUnavailable: 1 } });
  await manager.kill();
  const versions = shop.pods.map(({ metadata }) => metadata.resourceVersion);
  const answer = await rig.admin.request<{ message: string }>("PATCH", shop.path, { spec: { replicas: 6 } }, "merge");
  expect([answer.status, answer.body.message]).toEqual([500, expect.stringContaining('failed calling webhook "mcloneset.kb.io"')]);
  const other = cloneSetManifest(shop.namespace, { name: "other" });
  expect((await rig.admin.request("POST", shop.path.replace(/\/web$/, ""), other)).status).toBe(500);
  // The scale subresource asks nobody, and a pod may die meanwhile.
  await rig.admin.patch(`${shop.path}/scale`, { spec: { replicas: 7 } }, "merge");
  // Nor does a kubelet that evicts. Deleting a pod is guarded, so that is refused.
  const [dead, alive] = shop.pods.map(({ metadata }) => metadata.name);
  expect((await rig.admin.request("DELETE", shop.podPath(alive!))).status).toBe(500);
  await shop.failPod(dead!);
  expect(shop.allPods.filter(isActive).every(({ metadata }) => versions.includes(metadata.resourceVersion))).toBe(true);
  // Platform 21: pods of the cluster itself do not depend on us.
  const ownPod = { metadata: { generateName: "own-" }, spec: { containers: [{ name: "main", image: "app:v1" }] } };
  expect((await rig.admin.request("POST", "/api/v1/namespaces/kube-system/pods", ownPod)).status).toBe(201);
  expect((await rig.admin.request("POST", `/api/v1/namespaces/${shop.namespace}/pods`, ownPod)).status).toBe(500);
  await rig.admin.patch(`/api/v1/namespaces/${shop.namespace}`, { metadata: { labels: { "control-plane": "ours" } } }, "merge");
  await waitFor(
    "its pods to be let in",
    async () => (await rig.admin.request("POST", `/api/v1/namespaces/${shop.namespace}/pods`, ownPod)).status === 201,
  );
  await rig.admin.patch(`/api/v1/namespaces/${shop.namespace}`, { metadata: { labels: { "control-plane": null } } }, "merge");
  await manager.restart();
  await shop.until("seven available pods", () => shop.status.availableReplicas === 7, 60_000);
}, 300_000);
