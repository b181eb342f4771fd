/**
 * SidecarTerminator on a real control plane: its requests pass our own webhooks, and pods end as the API server sees it. What their containers do
 * is said by the tests; where kubelets run them: `node/sidecarterminator.test.ts`. Numbers are those of its acceptance list.
 */
import { beforeAll, expect, test } from "bun:test";
import type { Pod } from "../../src/kube/types.ts";
import { collectedMs, type Rig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";
import { guarded } from "./guards.ts";
import { byImage, ends, ignored, Job, type JobParts } from "./jobs.ts";

let rig: Rig;
let virtual: string;
beforeAll(async () => {
  ({ rig } = await guarded());
  [virtual = ""] = await rig.kwok.addNodes(1);
  // Nothing comes here that does not ask for it.
  await rig.admin.patch(`/api/v1/nodes/${virtual}`, { metadata: { labels: { type: "virtual-kubelet" } }, spec: { unschedulable: true } });
}, startTimeoutMs);
const start = (parts: JobParts) => Job.start(rig, { nodeName: "kwok-0", ...parts });

/** Until the controller has come round to all that it was told before: it is asked for one more pod, which has its turn after the others. */
async function atRest(): Promise<void> {
  const last = await start({ containers: { main: [], side: [ends] } });
  await last.end({ main: 0 });
  await last.asked();
}
async function expectNothing(job: Job): Promise<void> {
  await atRest();
  expect(await job.request()).toBeUndefined();
  expect((await job.now()).status?.phase).toBe("Running");
  expect(await job.yard.events("SidecarTerminator")).toEqual([]);
}

test.concurrent("1, 18: a request is made and let in, told, and goes with the pod", async () => {
  const job = await start({ containers: { main: [], side: [ends] } });
  await job.end({ main: 0 });
  const made = await waitFor("the request", () => job.request());
  expect(made.spec).toMatchObject({
    podName: "job",
    containers: [{ name: "side" }],
    strategy: { forceRecreate: true, failurePolicy: "Ignore" },
  });
  expect(made.metadata.ownerReferences).toMatchObject([{ kind: "Pod", uid: job.pod.metadata.uid, controller: true }]);
  // Our own webhook has filled in what it knows of the pod.
  expect(made.spec.containers[0]?.statusContext?.containerID).toStartWith("containerd://");
  await waitFor("the event", async () => (await job.yard.events("SidecarTerminator")).length === 1);
  await job.yard.delete("job", "?gracePeriodSeconds=0");
  await waitFor("the request to be collected", async () => (await job.request()) === undefined, { timeoutMs: collectedMs });
}, 240_000);

test.concurrent("2: main has failed: a request all the same, and the phase is the kubelet's", async () => {
  const job = await start({ containers: { main: [], side: [ends] } });
  await job.end({ main: 137 });
  expect(await job.asked()).toEqual(["side"]);
  expect((await job.now()).status?.phase).toBe("Running");
}, 60_000);

test.concurrent("3: main has failed and is started again: nothing", async () => {
  const job = await start({ restartPolicy: "OnFailure", containers: { main: [], side: [ends] } });
  await job.end({ main: 137 });
  await expectNothing(job);
}, 60_000);

test.concurrent("4: main is done and not started again", async () => {
  const job = await start({ restartPolicy: "OnFailure", containers: { main: [], side: [ends] } });
  await job.end({ main: 0 });
  expect(await job.asked()).toEqual(["side"]);
}, 60_000);

test.concurrent("5: main is always started again: nothing", async () => {
  const job = await start({ restartPolicy: "Always", containers: { main: [], side: [ends] } });
  await job.end({ main: 0 });
  await expectNothing(job);
}, 60_000);

test.concurrent("6: of two mains one still runs: nothing, until it ends too", async () => {
  const job = await start({ containers: { "main-1": [], "main-2": [], side: [ends] } });
  await job.end({ "main-1": 0 });
  await expectNothing(job);
  await job.end({ "main-2": 0 });
  expect(await job.asked()).toEqual(["side"]);
}, 60_000);

test.concurrent("7: only the sidecar that still runs", async () => {
  const job = await start({ containers: { main: [], "side-1": [ends], "side-2": [ends] } });
  await job.end({ main: 0, "side-1": 0 });
  expect(await job.asked()).toEqual(["side-2"]);
}, 60_000);

test.concurrent("8: TRUE marks a sidecar; yes does not, and what it is on holds up the end", async () => {
  const yes = await start({ containers: { main: [], side: [ends], other: [{ ...ends, value: "yes" }] } });
  await yes.end({ main: 0 });
  await expectNothing(yes);
  const upper = await start({ containers: { main: [], side: [{ ...ends, value: "TRUE" }] } });
  await upper.end({ main: 0 });
  expect(await upper.asked()).toEqual(["side"]);
}, 60_000);

test.concurrent.each([
  ["9", 0, "Succeeded"],
  ["10", 1, "Failed"],
] as const)(
  "%s: exit codes ignored, main ended with %i: %s, and the request is let in all the same",
  async (_, exitCode, phase) => {
    const job = await start({ containers: { main: [], side: [ends, ignored] } });
    await job.end({ main: exitCode });
    const ended = await job.until(`phase ${phase}`, ({ status }) => status?.phase === phase);
    expect(ended.status?.conditions).toContainEqual(
      expect.objectContaining({ type: "SidecarTerminated", status: "True", message: "Terminated by Sidecar Terminator" }),
    );
    expect(await job.asked()).toEqual(["side"]);
  },
  60_000,
);

test.concurrent("11: first those whose exit codes tell, then the phase", async () => {
  const job = await start({ containers: { main: [], a: [ends], b: [ends, ignored] } });
  await job.end({ main: 0 });
  expect(await job.asked()).toEqual(["a"]);
  await atRest();
  expect((await job.now()).status?.phase).toBe("Running");
  await job.end({ a: 143 });
  await job.until("its phase", ({ status }) => status?.phase === "Succeeded");
}, 60_000);

const images = ({ spec }: Pod) => Object.fromEntries(spec.containers.map(({ name, image }) => [name, image]));

test.concurrent("12, 13: on a virtual node by another image, and only what still runs", async () => {
  const job = await start({ nodeName: virtual, containers: { main: [], "side-1": [byImage], "side-2": [byImage] } });
  await job.end({ main: 0, "side-1": 0 });
  const pod = await job.until("its image", (seen) => images(seen)["side-2"] === "quick:1");
  expect(images(pod)).toEqual({ main: "main:v1", "side-1": "side-1:v1", "side-2": "quick:1" });
  await waitFor("the event", async () => (await job.yard.events("SidecarTerminator")).length === 1);
  await atRest();
  expect(await job.request()).toBeUndefined();
}, 60_000);

test.concurrent.each([
  ["14", "on a virtual node one that is ended by requests only", true, ends],
  ["15", "elsewhere one that is ended by an image only", false, byImage],
] as const)(
  "%s: %s: nothing",
  async (_, __, isVirtual, env) => {
    const job = await start({ ...(isVirtual ? { nodeName: virtual } : {}), containers: { main: [], side: [env] } });
    await job.end({ main: 0 });
    await expectNothing(job);
    expect(images(await job.now())).toEqual({ main: "main:v1", side: "side:v1" });
  },
  60_000,
);

test.concurrent("17: where the node is not known, once it is", async () => {
  const nodeName = `late-${crypto.randomUUID().slice(0, 8)}`;
  // Long before the server gives up a pod whose node is not there, which takes it forty seconds.
  const job = await start({ nodeName, containers: { main: [], side: [ends] } });
  await job.end({ main: 0 });
  await expectNothing(job);
  await rig.admin.create("/api/v1/nodes", { metadata: { name: nodeName } });
  expect(await job.asked()).toEqual(["side"]);
  await rig.admin.delete(`/api/v1/nodes/${nodeName}`);
}, 60_000);
