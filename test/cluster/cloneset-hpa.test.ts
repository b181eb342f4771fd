/** CloneSet under a HorizontalPodAutoscaler that measures. Numbers are those of the CloneSet acceptance list. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type MetricsServer, startMetricsServer } from "../lib/metrics-server.ts";
import { imageOf, openShop, type Shop, type ShopOptions, watchBudget } from "../lib/shop.ts";
import { podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
let metrics: MetricsServer;
beforeAll(async () => {
  ({ rig } = await cluster());
  metrics = await startMetricsServer(rig);
}, startTimeoutMs);
afterAll(() => metrics?.stop());

interface Autoscaler {
  status?: {
    currentReplicas?: number;
    desiredReplicas: number;
    conditions?: { type: string; status: string; reason: string }[];
  };
}

/** Every pod asks for this much, and should use half of it. */
const requestMilliCpu = 100;
const targetPercent = 50;
/** The work that so many pods do at the target. */
const workFor = (pods: number): number => (pods * requestMilliCpu * targetPercent) / 100;

const container = (image: string) => ({ name: "main", image, resources: { requests: { cpu: `${requestMilliCpu}m` } } });

/** A CloneSet at its autoscaler's minimum, with the work that this takes. */
async function openScaled(bounds: { min: number; max: number; version?: string }, options: ShopOptions = {}): Promise<Shop> {
  const shop = await openShop(rig, { ...options, replicas: bounds.min, pod: { containers: [container("app:v1")] } });
  metrics.load(shop.namespace, workFor(bounds.min));
  // As fast as the load: no waiting for it to last.
  const policies = [{ type: "Percent", value: 1_000, periodSeconds: 1 }];
  const fast = { stabilizationWindowSeconds: 0, policies };
  await rig.admin.create(`/apis/autoscaling/v2/namespaces/${shop.namespace}/horizontalpodautoscalers`, {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name: "web" },
    spec: {
      scaleTargetRef: { apiVersion: `apps.kruise.io/${bounds.version ?? "v1beta1"}`, kind: "CloneSet", name: "web" },
      minReplicas: bounds.min,
      maxReplicas: bounds.max,
      metrics: [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: targetPercent } } }],
      behavior: { scaleUp: fast, scaleDown: fast },
    },
  });
  return shop;
}

const autoscaler = (shop: Shop) =>
  rig.admin.must<Autoscaler>("GET", `/apis/autoscaling/v2/namespaces/${shop.namespace}/horizontalpodautoscalers/web`);

async function told(shop: Shop, type: string, status: string, reason: string): Promise<void> {
  await waitFor(`${type} ${status} ${reason}`, async () =>
    (await autoscaler(shop)).status?.conditions?.some(
      (condition) => condition.type === type && condition.status === status && condition.reason === reason,
    ),
  );
}

async function scaledTo(shop: Shop, replicas: number): Promise<void> {
  await shop.until(
    `${replicas} available replicas`,
    () =>
      shop.spec.replicas === replicas && shop.observed && shop.status.replicas === replicas && shop.status.availableReplicas === replicas,
  );
}

/** Its columns in `kubectl get hpa`, after the name. */
async function columns(shop: Shop): Promise<string[]> {
  const ran = await rig.kubectl(["-n", shop.namespace, "get", "hpa", "web", "--no-headers"]);
  return ran.stdout
    .trim()
    .split(/\s{2,}/)
    .slice(1);
}

test.concurrent("7: as many as the work takes, up to the maximum and down to the minimum", async () => {
  const shop = await openScaled({ min: 2, max: 6 });
  // Somebody else's pod, of the same namespace and idle: with it the average would be another.
  await rig.admin.create(`/api/v1/namespaces/${shop.namespace}/pods`, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "other", labels: { app: "other" } },
    spec: { containers: [{ name: "main", image: "app:v1", resources: { requests: { cpu: "4" } } }] },
  });
  await told(shop, "ScalingActive", "True", "ValidMetricFound");
  metrics.load(shop.namespace, workFor(4));
  await scaledTo(shop, 4);
  await waitFor("the target in kubectl's columns", async () => {
    const [reference, targets, ...rest] = await columns(shop);
    return reference === "CloneSet/web" && targets === "cpu: 50%/50%" && rest.slice(0, 3).join(" ") === "2 6 4";
  });
  metrics.load(shop.namespace, workFor(60));
  await scaledTo(shop, 6);
  await told(shop, "ScalingLimited", "True", "TooManyReplicas");
  metrics.load(shop.namespace, workFor(1) / 10);
  await scaledTo(shop, 2);
  await told(shop, "ScalingLimited", "True", "TooFewReplicas");
  expect([...metrics.selectorsOf(shop.namespace)]).toEqual(["app=web"]);
});

test.concurrent("7: an autoscaler that names v1alpha1, and a selector with expressions", async () => {
  const selector = { matchLabels: { app: "web" }, matchExpressions: [{ key: "tier", operator: "In", values: ["front", "back"] }] };
  const shop = await openScaled(
    { min: 1, max: 3, version: "v1alpha1" },
    { version: "v1alpha1", labels: { tier: "front" }, spec: { selector } },
  );
  metrics.load(shop.namespace, workFor(30));
  await scaledTo(shop, 3);
  metrics.load(shop.namespace, 0);
  await scaledTo(shop, 1);
  expect([...metrics.selectorsOf(shop.namespace)]).toEqual(["app=web,tier in (back,front)"]);
});

test.concurrent("7: in the middle of a rollout, partition and maxUnavailable hold through scaling up and down", async () => {
  const shop = await openScaled(
    { min: 4, max: 8 },
    { rolling: { maxUnavailable: 1, partition: "50%" }, annotations: { [podAnnotations.readyDelaySeconds]: "1" } },
  );
  // The least of all times: four pods, of which one may be away.
  const owed = watchBudget(shop, { replicas: 4, unavailableMax: 1 });
  const half = watchBudget(shop, { replicas: 8, updatedMax: { revision: () => shop.status.updateRevision ?? "", count: 4 } });
  const updated = () => shop.pods.filter((pod) => imageOf(pod) === "app:v2").length;
  await shop.update({ template: { spec: { containers: [container("app:v2")] } } });
  await shop.until("the first updated pod", () => updated() > 0);
  metrics.load(shop.namespace, workFor(80));
  await scaledTo(shop, 8);
  await shop.settled();
  expect(updated()).toBe(4);
  half.stop();
  await shop.updateRolling({ partition: 0 });
  await shop.until("the rollout to go on", () => updated() > 4);
  metrics.load(shop.namespace, 0);
  await scaledTo(shop, 4);
  await shop.settled();
  expect(updated()).toBe(4);
  owed.stop();
  expect([...half.broken, ...owed.broken]).toEqual([]);
});
