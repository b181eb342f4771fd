/**
 * The agent's process killed right before and right after each call to the container runtime that decides or changes something, in one
 * recreation and one pull. Every step of both, with writes to the API server and deaths of the manager: `sim/kill.test.ts`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { NodeImage } from "../../src/api/nodeimage.ts";
import { type Daemon, type Rig, waitFor } from "../rig/index.ts";
import { buildImage } from "../rig/oci.ts";
import { type CriBlow, CriProxy } from "./cri-proxy.ts";
import { containerOf, type House, house, Room, startTimeoutMs, stateOf } from "./house.ts";
import { pullJob } from "./pull-job.ts";

let home: House;
let rig: Rig;
let proxy: CriProxy;
let agent: Daemon;
let room: Room;
beforeAll(async () => {
  home = await house();
  rig = home.rig;
  room = await Room.open(rig);
  await waitFor("the node's NodeImage", () => rig.admin.get(`/apis/apps.kruise.io/v1beta1/nodeimages/${home.node.name}`));
  await home.daemon.stop();
  proxy = await CriProxy.start(join(rig.stateDir, "cri-proxy.sock"), home.node.containerdAddress);
  const flags = ["--v=5", `--socket-file=${proxy.socketPath}`, `--record-path=${rig.stateDir}/killed.sqlite`];
  agent = await rig.startDaemon(home.node, { flags });
}, startTimeoutMs);
afterAll(async () => {
  await agent?.stop();
  proxy?.stop();
  await home?.daemon.restart();
}, 30_000);

const timeoutMs = 300_000;
let serial = 0;

type Point = Omit<CriBlow, "strike">;
const both = (call: string, nth = 1): Point[] => [
  { call, nth, when: "before" },
  { call, nth, when: "after" },
];

/** Runs `work` and kills the agent at that point of it. @returns what was called */
async function killedAt(point: Point | undefined, work: () => Promise<void>): Promise<readonly string[]> {
  const { pid } = agent.process;
  proxy.arm(point && { ...point, strike: () => process.kill(pid, "SIGKILL") });
  const revived = (async () => {
    if (point === undefined) return;
    await waitFor(`${point.when} ${point.call} ${point.nth}`, () => !proxy.isArmed, { timeoutMs: 30_000, intervalMs: 10 });
    await agent.process.exited;
    await agent.restart();
  })();
  await Promise.all([work(), revived]);
  return proxy.calls;
}

const hook = { preStop: { exec: { command: ["sleep", "1"] } } };

async function recreate(point?: Point): Promise<readonly string[]> {
  serial += 1;
  const name = `p${serial}`;
  const before = await room.pod(name, [room.app("app", { lifecycle: hook }), room.app("other")]);
  const calls = await killedAt(point, async () => {
    await room.request(name, name, ["app"], { strategy: { forceRecreate: true } });
    const request = await room.completed(name);
    expect(request.status?.message).toBe("");
    expect(stateOf(request, "app")).toMatchObject({ phase: "Succeeded", isKilled: true });
  });
  const after = await room.now(name);
  expect(containerOf(after, "app").restartCount).toBe(1);
  expect(containerOf(after, "other").containerID).toBe(containerOf(before, "other").containerID!);
  await rig.admin.delete(`${room.podPath(name)}?gracePeriodSeconds=0`);
  return calls;
}

async function pull(point?: Point): Promise<readonly string[]> {
  serial += 1;
  const repository = `killed-${serial}`;
  rig.registry.push(repository, "v1", buildImage({ layers: [[{ path: "d", content: crypto.randomUUID() }]], entrypoint: ["/none"] }));
  const calls = await killedAt(point, async () => {
    const job = await pullJob(home, room, repository, { backoffLimit: 0 });
    expect(await job.completed(60_000)).toMatchObject({ desired: 1, succeeded: 1, message: "job has completed" });
  });
  const { status } = await rig.admin.must<NodeImage>("GET", `/apis/apps.kruise.io/v1beta1/nodeimages/${home.node.name}`);
  const tag = status?.imageStatuses?.[`registry.test/${repository}`]?.tags[0];
  expect(tag).toMatchObject({ phase: "Succeeded", progress: 100 });
  // What had come before the agent died is not fetched once more.
  const blobs = rig.registry.pulls
    .filter((each) => each.repository === repository && each.what === "blob")
    .map(({ reference }) => reference);
  if (point?.call !== "PullImage" || point.when !== "before") expect(new Set(blobs).size).toBe(blobs.length);
  return calls;
}

test(
  "a recreation",
  async () => {
    const calls = await recreate();
    const stop = calls.indexOf("StopContainer");
    expect([...new Set(calls.slice(0, stop))].sort()).toEqual(["ContainerStatus", "ExecSync", "ListContainers"]);
    const lists = calls.slice(0, stop).filter((call) => call === "ListContainers").length;
    const statuses = calls.slice(0, stop).filter((call) => call === "ContainerStatus").length;
    const points = [
      ...both("ListContainers"),
      ...both("ContainerStatus"),
      ...both("ExecSync"),
      ...both("StopContainer"),
      ...both("ListContainers", lists + 1),
      ...both("ContainerStatus", statuses + 1),
    ];
    for (const point of points) await recreate(point);
  },
  timeoutMs,
);

test(
  "a pull",
  async () => {
    const calls = await pull();
    expect(calls.filter((call) => call === "PullImage").length).toBe(1);
    for (const point of [...both("ImageStatus"), ...both("PullImage"), ...both("ImageStatus", 2)]) await pull(point);
  },
  timeoutMs,
);
