/** Processes whose wall clock is an hour off: the agent's, the manager's. Restarts and pulls happen, as soon as they should, and end in time. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { ImagePullJob } from "../../src/api/imagepulljob.ts";
import type { NodeImage } from "../../src/api/nodeimage.ts";
import { fakeTime } from "../rig/debian.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { buildImage } from "../rig/oci.ts";
import { containerOf, type House, house, Room, secondsOf, startTimeoutMs, stateOf, withDaemon, withManager } from "./house.ts";

let home: House;
let rig: Rig;
beforeAll(async () => {
  home = await house();
  rig = home.rig;
  await fakeTime("+1h");
  await waitFor("the node's NodeImage", () => rig.admin.get(`/apis/apps.kruise.io/v1beta1/nodeimages/${home.node.name}`));
}, startTimeoutMs);

const timeoutMs = 180_000;
const nowSeconds = () => Date.now() / 1000;

async function recreate(): Promise<void> {
  const room = await Room.open(rig);
  await room.pod("p", [room.app("app")]);
  const startSeconds = nowSeconds();
  const strategy = { unreadyGracePeriodSeconds: 2, minStartedSeconds: 2 };
  await room.request("r", "p", ["app"], { strategy, activeDeadlineSeconds: 60, ttlSecondsAfterFinished: 3 });
  const request = await room.completed("r");
  expect(request.status?.message).toBe("");
  expect(stateOf(request, "app")).toMatchObject({ phase: "Succeeded", isKilled: true });
  expect(containerOf(await room.now("p"), "app").restartCount).toBe(1);
  const tookSeconds = nowSeconds() - startSeconds;
  expect(tookSeconds).toBeGreaterThan(3);
  expect(tookSeconds).toBeLessThan(30);
  expect(Math.abs(secondsOf(request.status?.completionTime) - nowSeconds())).toBeLessThan(5);
  await waitFor("the request to expire", async () => (await room.requestNow("r")) === undefined, { timeoutMs: 15_000 });
  expect(nowSeconds() - startSeconds - tookSeconds).toBeGreaterThan(1);
}

async function pull(): Promise<void> {
  const namespace = await rig.namespace("clock");
  const repository = namespace;
  rig.registry.push(repository, "v1", buildImage({ layers: [[{ path: "d", content: crypto.randomUUID() }]], entrypoint: ["/none"] }));
  const path = `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/imagepulljobs`;
  await rig.admin.create(path, {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "ImagePullJob",
    metadata: { name: "job" },
    spec: {
      image: rig.registry.image(repository, "v1"),
      selector: { names: [home.node.name] },
      pullPolicy: { timeoutSeconds: 30 },
      completionPolicy: { type: "Always", activeDeadlineSeconds: 60, ttlSecondsAfterFinished: 5 },
    },
  });
  const job = await waitFor(
    "the job to complete",
    async () => {
      const now = await rig.admin.get<ImagePullJob>(`${path}/job`);
      return now?.status?.completionTime ? now : undefined;
    },
    { timeoutMs: 60_000 },
  );
  expect(job.status).toMatchObject({ desired: 1, succeeded: 1, failed: 0, message: "job has completed" });
  const { spec, status } = await rig.admin.must<NodeImage>("GET", `/apis/apps.kruise.io/v1beta1/nodeimages/${home.node.name}`);
  const tag = status?.imageStatuses?.[`registry.test/${repository}`]?.tags[0];
  expect(tag).toMatchObject({ phase: "Succeeded" });
  const { createdAt } = spec.images?.[`registry.test/${repository}`]?.tags[0] ?? {};
  for (const time of [createdAt, tag?.startTime, tag?.completionTime, job.status?.startTime, job.status?.completionTime])
    expect(Math.abs(secondsOf(time) - nowSeconds())).toBeLessThan(10);
  await waitFor("the job to expire", async () => (await rig.admin.get(`${path}/job`)) === undefined, { timeoutMs: 20_000 });
}

/** What an operator reads of it, in a log that several processes write one after the other. */
const tells = (logPath: string, aheadSeconds: number) =>
  waitFor("the process to say that its clock is off", async () => {
    const line = (await Bun.file(logPath).text()).split("\n").findLast((each) => each.includes("this machine's clock differs"));
    const said = Number(/aheadSeconds\D*?(-?\d+)/.exec(line ?? "")?.[1] ?? Number.NaN);
    return Math.abs(said - aheadSeconds) < 20;
  });

describe.each([
  ["+1h", 3600],
  ["-1h", -3600],
])("a clock that is off by %s", (by, aheadSeconds) => {
  test(
    "the agent's",
    async () => {
      await withDaemon(home, { env: await fakeTime(by) }, async (agent) => {
        await Promise.all([recreate(), pull()]);
        await tells(agent.logPath, aheadSeconds);
      });
    },
    timeoutMs,
  );

  test(
    "the manager's",
    async () => {
      await withManager(home, { env: await fakeTime(by) }, async (manager) => {
        await Promise.all([recreate(), pull()]);
        await tells(manager.logPath, aheadSeconds);
      });
    },
    timeoutMs,
  );
});
