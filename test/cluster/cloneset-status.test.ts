/** CloneSet: what its status and Events tell. Numbers are those of the CloneSet acceptance list. */
import { beforeAll, expect, test } from "bun:test";
import { imageOf, openShop, type Shop } from "../lib/shop.ts";
import { type Manager, podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
let manager: Manager;
beforeAll(async () => {
  ({ rig, manager } = await cluster());
}, startTimeoutMs);

const rolling = { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 1 };
const progressing = (shop: Shop, status: string, reason: string, timeoutMs?: number) =>
  shop.until(
    `Progressing ${status} ${reason}`,
    () => shop.observed && shop.condition("Progressing")?.status === status && shop.condition("Progressing")?.reason === reason,
    timeoutMs,
  );

test.concurrent("the first status names the selector, for autoscalers", async () => {
  const selector = { matchLabels: { b: "2", app: "web" }, matchExpressions: [{ key: "app", operator: "In", values: ["web", "api"] }] };
  const shop = await openShop(rig, { labels: { b: "2" }, spec: { selector } });
  const first = shop.versions.find(({ status }) => status !== undefined)!;
  expect(first.status?.labelSelector).toBe("app=web,app in (api,web),b=2");
});

test.concurrent("35: a deadline that passes is told, and the rollout goes on; a good image heals it", async () => {
  const shop = await openShop(rig, { replicas: 3, rolling, spec: { progressDeadlineSeconds: 4 } });
  await progressing(shop, "True", "CloneSetAvailable");
  await shop.setImage("app:bad-1");
  await progressing(shop, "True", "CloneSetUpdated");
  await progressing(shop, "False", "ProgressDeadlineExceeded");
  expect(shop.condition("Progressing")?.message).toContain(shop.status.updateRevision!);
  expect(shop.status.availableReplicas).toBe(2);
  await shop.setImage("app:v2");
  await progressing(shop, "True", "CloneSetAvailable");
  expect(shop.pods.map((pod) => imageOf(pod))).toEqual(["app:v2", "app:v2", "app:v2"]);
});

test.concurrent("35: held by a partition, paused, and without a deadline", async () => {
  const shop = await openShop(rig, { replicas: 4, rolling: { ...rolling, partition: "50%" }, spec: { progressDeadlineSeconds: 60 } });
  await progressing(shop, "True", "CloneSetAvailable");
  await shop.setImage("app:v2");
  await progressing(shop, "True", "ProgressPartitionAvailable");
  expect(shop.status).toMatchObject({ updatedAvailableReplicas: 2, expectedUpdatedReplicas: 2 });
  await shop.updateRolling({ paused: true });
  await progressing(shop, "True", "CloneSetPaused");
  await shop.update({ progressDeadlineSeconds: null });
  await shop.until("the condition to go", () => shop.observed && shop.condition("Progressing") === undefined);
});

test.concurrent("35: progress moves the deadline", async () => {
  const shop = await openShop(rig, {
    replicas: 4,
    rolling,
    spec: { progressDeadlineSeconds: 10 },
    annotations: { [podAnnotations.readyDelaySeconds]: "3" },
  });
  await progressing(shop, "True", "CloneSetAvailable");
  await shop.setImage("app:v2");
  // Four pods one by one take longer than the deadline, and none of them exceeds it.
  await shop.settled();
  await progressing(shop, "True", "CloneSetAvailable");
  const reasons = shop.versions.map(({ status }) => status?.conditions?.find(({ type }) => type === "Progressing")?.reason);
  expect(reasons).not.toContain("ProgressDeadlineExceeded");
});

test.concurrent("minReadySeconds: ready at once, available later, and nobody has to poke", async () => {
  const shop = await openShop(rig, { replicas: 2, spec: { minReadySeconds: 5 }, wait: false });
  await shop.until("two available pods", () => shop.status.availableReplicas === 2);
  expect(shop.versions.some(({ status }) => status?.readyReplicas === 2 && status.availableReplicas === 0)).toBe(true);
  expect(shop.status).toMatchObject({ updatedReadyReplicas: 2, updatedAvailableReplicas: 2 });
});

test.concurrent("figures never tell of a generation that was not seen, nor more than there is", async () => {
  const shop = await openShop(rig, { replicas: 3, rolling });
  await shop.setImage("app:v2");
  await shop.settled();
  await shop.update({ replicas: 1 });
  await shop.settled();
  for (const { metadata, status } of shop.versions) {
    if (status === undefined) continue;
    expect(status.observedGeneration!).toBeLessThanOrEqual(metadata.generation!);
    expect(status.availableReplicas!).toBeLessThanOrEqual(status.readyReplicas);
    expect(status.updatedAvailableReplicas!).toBeLessThanOrEqual(status.updatedReadyReplicas);
    expect(Math.max(status.readyReplicas, status.updatedReplicas)).toBeLessThanOrEqual(status.replicas);
  }
});

test("how rollouts and updates in place ended, and how long they took, is counted", async () => {
  const shop = await openShop(rig, { replicas: 2, rolling: { ...rolling, maxUnavailable: 2 } });
  await shop.settled();
  const read = async () => {
    const text = await (await fetch(manager.metricsUrl)).text();
    const value = (series: string) =>
      Number(
        text
          .split("\n")
          .find((line) => line.startsWith(`${series} `))
          ?.split(" ")[1] ?? 0,
      );
    return {
      completed: value('kruiser_rollout_outcome_total{result="completed"}'),
      timed: value('kruiser_rollout_duration_seconds_count{phase="progressing",result="completed"}'),
      inPlace: value("kruiser_inplace_update_seconds_count"),
    };
  };
  const before = await read();
  await shop.setImage("app:v2");
  await shop.settled();
  await waitFor("all of it to be counted", async () => {
    const now = await read();
    return now.completed > before.completed && now.timed > before.timed && now.inPlace >= before.inPlace + 2;
  });
});
