/** Autoscalers whose metrics are told by an annotation, in virtual time. */
import { expect, test } from "bun:test";
import { fieldsOf, itemsOf } from "../../kube/json.ts";
import { statusOf, template, World } from "../testing/world.ts";
import { metricsAnnotation } from "./autoscaler.ts";

const apps = "/apis/apps/v1/namespaces/default";
const scalers = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const cpu = { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } } };

async function scaled(script: string | undefined, spec: object = {}, replicas = 2): Promise<World> {
  const world = await World.start();
  await world.create(`${apps}/deployments`, {
    metadata: { name: "web" },
    spec: { replicas, selector: { matchLabels: { app: "web" } }, template: template("app:1") },
  });
  await world.create(scalers, {
    metadata: { name: "web", ...(script === undefined ? {} : { annotations: { [metricsAnnotation]: script } }) },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
      minReplicas: 1,
      maxReplicas: 10,
      metrics: [cpu],
      ...spec,
    },
  });
  return world;
}
const replicasOf = async (world: World) => fieldsOf((await world.get(`${apps}/deployments/web`))["spec"])["replicas"];
const conditionsOf = async (world: World) =>
  itemsOf(statusOf(await world.get(`${scalers}/web`))["conditions"]).map((entry) => {
    const { type, status, reason } = fieldsOf(entry);
    return `${type} ${status} ${reason}`;
  });

test("up as the metric says, and down when it was low for long enough", async () => {
  const world = await scaled("cpu=100,cpu=10@60");
  await world.pass(1000);
  expect(await replicasOf(world)).toBe(4);
  await world.pass(15_000);
  expect(await replicasOf(world)).toBe(8);
  await world.pass(15_000);
  // 8 pods at twice their target want 16; there may be 10.
  expect(await replicasOf(world)).toBe(10);
  expect(await conditionsOf(world)).toContain("ScalingLimited True TooManyReplicas");
  await world.pass(60_000);
  expect(await replicasOf(world)).toBe(10);
  expect(await conditionsOf(world)).toContain("AbleToScale True ScaleDownStabilized");
  await world.pass(300_000);
  expect(await replicasOf(world)).toBe(2);
  await world.pass(400_000);
  expect(await replicasOf(world)).toBe(1);
});

test("near the target nothing happens; without a script there are no metrics", async () => {
  const calm = await scaled("cpu=53");
  await calm.pass(60_000);
  expect(await replicasOf(calm)).toBe(2);
  expect(await conditionsOf(calm)).toEqual([
    "AbleToScale True ReadyForNewScale",
    "ScalingActive True ValidMetricFound",
    "ScalingLimited False DesiredWithinRange",
  ]);
  const blind = await scaled(undefined);
  await blind.pass(60_000);
  expect(await replicasOf(blind)).toBe(2);
  expect(await conditionsOf(blind)).toEqual(["AbleToScale True SucceededGetScale", "ScalingActive False FailedGetResourceMetric"]);
});

test("bounds count without metrics; zero switches it off", async () => {
  const few = await scaled(undefined, { minReplicas: 3 });
  await few.pass(1000);
  expect(await replicasOf(few)).toBe(3);
  const none = await scaled("cpu=100", {}, 0);
  await none.pass(60_000);
  expect(await replicasOf(none)).toBe(0);
  expect(await conditionsOf(none)).toContain("ScalingActive False ScalingDisabled");
});

test("policies of the user's own", async () => {
  const slow = await scaled("cpu=500", { behavior: { scaleUp: { policies: [{ type: "Pods", value: 1, periodSeconds: 60 }] } } });
  await slow.pass(50_000);
  expect(await replicasOf(slow)).toBe(3);
  await slow.pass(30_000);
  expect(await replicasOf(slow)).toBe(4);
  const up = await scaled("cpu=10", { behavior: { scaleDown: { selectPolicy: "Disabled", stabilizationWindowSeconds: 0 } } });
  await up.pass(600_000);
  expect(await replicasOf(up)).toBe(2);
});

test("amounts that all pods share", async () => {
  const queue = { type: "External", external: { metric: { name: "queue" }, target: { type: "AverageValue", averageValue: "10" } } };
  const world = await scaled("queue=35", { metrics: [queue] });
  await world.pass(40_000);
  expect(await replicasOf(world)).toBe(4);
});
