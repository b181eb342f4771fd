/** SidecarTerminator on a real node: containers that end by themselves, and those that are ended. Numbers are those of its acceptance list. */
import { beforeAll, expect, test } from "bun:test";
import type { Pod } from "../../src/kube/types.ts";
import { collectedMs, type Rig, waitFor } from "../rig/index.ts";
import { conditionOf, containerOf, house, Room, startTimeoutMs } from "./house.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await house());
}, startTimeoutMs);

const ends = { name: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", value: "true" };
const ignored = { name: "KRUISE_TERMINATE_SIDECAR_IGNORE_EXIT_CODE", value: "true" };
const endMs = 60_000;
const endOf = (pod: Pod, name: string) => containerOf(pod, name).state?.terminated;

type Loose = Record<string, unknown>;

/** A pod of containers that are given as `room => container`. */
class Job {
  private constructor(
    readonly room: Room,
    readonly uid: string,
  ) {}

  static async start(restartPolicy: string, containers: (room: Room) => readonly Loose[]): Promise<Job> {
    const room = await Room.open(rig);
    const { metadata } = await room.pod("job", containers(room), { restartPolicy });
    return new Job(room, metadata.uid);
  }
  request() {
    return this.room.requestNow(`sidecar-termination-${this.uid}`);
  }
  asked(): Promise<readonly string[]> {
    return waitFor(`a request in ${this.room.namespace}`, async () => (await this.request())?.spec.containers.map(({ name }) => name), {
      timeoutMs: endMs,
    });
  }
  until(what: string, holds: (pod: Pod) => unknown): Promise<Pod> {
    return this.room.seePod("job", what, holds, endMs);
  }
  ended(): Promise<Pod> {
    return this.until("to have ended", ({ status }) => status?.phase === "Succeeded" || status?.phase === "Failed");
  }
}

const main = (seconds = 3, exitCode = 0, name = "main"): Loose => ({
  name,
  image: rig.registry.image("job", "v1"),
  env: [
    { name: "SECONDS_TO_RUN", value: String(seconds) },
    { name: "EXIT_CODE", value: String(exitCode) },
  ],
});

test.concurrent("1, 18: the sidecar is stopped and not started again, and the pod has succeeded; the request goes with it", async () => {
  const job = await Job.start("Never", (room) => [main(), room.app("side", { env: [ends] })]);
  const pod = await job.ended();
  expect([pod.status?.phase, endOf(pod, "main")?.exitCode, containerOf(pod, "side").restartCount]).toEqual(["Succeeded", 0, 0]);
  expect(await job.asked()).toEqual(["side"]);
  await job.room.seeEvents("job", "SidecarTerminator", "sidecarterminator-controller");
  await rig.admin.delete(job.room.podPath("job"), { gracePeriodSeconds: 0 });
  await waitFor("the request to be collected", async () => (await job.request()) === undefined, { timeoutMs: collectedMs });
}, 240_000);

test.concurrent("2: main has failed: the sidecar is stopped all the same, and the kubelet calls the pod failed", async () => {
  const job = await Job.start("Never", (room) => [main(3, 137), room.app("side", { env: [ends] })]);
  const pod = await job.ended();
  expect([pod.status?.phase, endOf(pod, "main")?.exitCode]).toEqual(["Failed", 137]);
  expect(conditionOf(pod, "SidecarTerminated")).toBeUndefined();
  expect(await job.asked()).toEqual(["side"]);
});

test.concurrent("3: main has failed and is started again: the sidecar stays", async () => {
  const job = await Job.start("OnFailure", (room) => [main(3, 137), room.app("side", { env: [ends] })]);
  const pod = await job.until("main to be started again", (seen) => containerOf(seen, "main").restartCount >= 1);
  expect(containerOf(pod, "side").state?.running).toBeDefined();
  expect(await job.request()).toBeUndefined();
});

test.concurrent("4: main is done and not started again, and neither is the sidecar", async () => {
  const job = await Job.start("OnFailure", (room) => [main(), room.app("side", { env: [ends] })]);
  const pod = await job.ended();
  expect([pod.status?.phase, containerOf(pod, "side").restartCount]).toEqual(["Succeeded", 0]);
  expect(await job.asked()).toEqual(["side"]);
});

test.concurrent("5: main is always started again: the sidecar stays", async () => {
  const job = await Job.start("Always", (room) => [main(), room.app("side", { env: [ends] })]);
  const pod = await job.until("main to be started again", (seen) => containerOf(seen, "main").restartCount >= 1);
  expect(containerOf(pod, "side").state?.running).toBeDefined();
  expect(await job.request()).toBeUndefined();
});

test.concurrent("6, 7, 8: when the last main is done, only the sidecar that still runs; TRUE marks one", async () => {
  const job = await Job.start("Never", (room) => [
    main(3, 0, "main-1"),
    main(10, 0, "main-2"),
    { ...main(3, 0, "side-1"), env: [{ name: "SECONDS_TO_RUN", value: "3" }, ends] },
    room.app("side-2", { env: [{ ...ends, value: "TRUE" }] }),
  ]);
  await job.until("the first two to have ended", (pod) => endOf(pod, "main-1") && endOf(pod, "side-1"));
  expect(await job.request()).toBeUndefined();
  const pod = await job.ended();
  expect(pod.status?.phase).toBe("Succeeded");
  expect(await job.asked()).toEqual(["side-2"]);
  expect(Date.parse(endOf(pod, "side-2")?.finishedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(endOf(pod, "main-2")?.finishedAt ?? ""));
});

/** A sidecar that ends as failed when it is asked to; not in the same moment, in which a busy kubelet may not have heard of the pod's phase yet. */
const sulking = (room: Room, name: string, env: readonly Loose[]): Loose =>
  room.app(name, { command: ["sh", "-c", "trap 'sleep 2; exit 3' TERM; while :; do sleep 3600 & wait $!; done"], env });

test.concurrent.each([
  ["9", 0, "Succeeded"],
  ["10", 1, "Failed"],
] as const)("%s: the sidecar's exit code does not tell, main's %i does: %s", async (_, exitCode, phase) => {
  const job = await Job.start("Never", (room) => [main(3, exitCode), sulking(room, "side", [ends, ignored])]);
  const pod = await job.until("to have stopped", (seen) => endOf(seen, "side") !== undefined);
  expect([pod.status?.phase, endOf(pod, "side")?.exitCode]).toEqual([phase, 3]);
  expect(conditionOf(pod, "SidecarTerminated")).toMatchObject({ status: "True", message: "Terminated by Sidecar Terminator" });
  expect(await job.asked()).toEqual(["side"]);
});

test.concurrent("11: first the one whose exit code tells, then the phase, and the kubelet stops the other", async () => {
  const job = await Job.start("Never", (room) => [main(), room.app("a", { env: [ends] }), sulking(room, "b", [ends, ignored])]);
  const ended = await job.ended();
  expect([endOf(ended, "a")?.exitCode, endOf(ended, "b")]).toEqual([0, undefined]);
  expect(await job.asked()).toEqual(["a"]);
  // A kubelet comes to a pod that has ended with its next round, within minutes; at once if something else changes about it.
  await rig.admin.patch(job.room.podPath("job"), { metadata: { labels: { look: "now" } } });
  const pod = await job.until("to have stopped", (seen) => endOf(seen, "b") !== undefined);
  expect([pod.status?.phase, endOf(pod, "b")?.exitCode]).toEqual(["Succeeded", 3]);
});

// After the others: the whole node is taken for a virtual one.
test("12, 13, 14: on a virtual node the image ends the sidecar that still runs; who has none stays", async () => {
  const path = "/api/v1/nodes/node-0";
  await rig.admin.patch(path, { metadata: { labels: { type: "virtual-kubelet" } } });
  try {
    const [app, job] = [rig.registry.image("app", "v1"), rig.registry.image("job", "v1")];
    const env = [
      { name: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE", value: job },
      { name: "SECONDS_TO_RUN", value: "0" },
    ];
    const room = await Room.open(rig);
    const spec = { restartPolicy: "Never", nodeSelector: { type: "virtual-kubelet" } };
    await Promise.all([
      room.pod("job", [main(5), room.app("side-1", { env, command: ["sh", "-c", "sleep 3"] }), room.app("side-2", { env })], spec),
      room.pod("other", [main(5), room.app("side", { env: [ends] })], spec),
    ]);
    const pod = await room.seePod("job", "to have ended", ({ status }) => status?.phase === "Succeeded", endMs);
    expect(pod.spec.containers.map(({ image }) => image)).toEqual([job, app, job]);
    expect([containerOf(pod, "side-1").restartCount, containerOf(pod, "side-2").restartCount]).toEqual([0, 1]);
    const other = await room.seePod("other", "main to have ended", (seen) => endOf(seen, "main"), endMs);
    expect(containerOf(other, "side").state?.running).toBeDefined();
    expect(await rig.admin.list(room.requestsPath())).toEqual([]);
  } finally {
    await rig.admin.patch(path, { metadata: { labels: { type: "real" } } });
  }
});
