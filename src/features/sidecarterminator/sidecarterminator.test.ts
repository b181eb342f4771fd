import { describe, expect, test } from "bun:test";
import { type ContainerRecreateRequest, containerRecreateRequests } from "../../api/containerrecreaterequest.ts";
import { gatesWith, parseGates } from "../../api/gates.ts";
import { contextOf, type House, startHouse, testSettings } from "../../engine/testing/harness.ts";
import { nodes, pods } from "../../kube/kinds.ts";
import type { ContainerState, EnvVar, Pod } from "../../kube/types.ts";
import { explain } from "./explain.ts";
import { sidecarTerminator } from "./index.ts";

const settings = testSettings({ gates: gatesWith({ SidecarTerminator: true }) });
const key = { namespace: "jobs", name: "job-1" };
const sidecar: EnvVar = { name: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", value: "true" };
const ignore: EnvVar = { name: "KRUISE_TERMINATE_SIDECAR_IGNORE_EXIT_CODE", value: "true" };
const image = (value: string): EnvVar => ({ name: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE", value });
const ended = (exitCode: number): ContainerState => ({ terminated: { exitCode } });
const running: ContainerState = { running: { startedAt: "2025-01-01T00:00:00Z" } };

type Parts = Record<string, readonly [ContainerState | undefined, ...EnvVar[]]>;
const states = (parts: Parts) =>
  Object.entries(parts).flatMap(([name, [state]]) =>
    state === undefined
      ? []
      : [{ name, ready: true, restartCount: 0, image: "i", imageID: "i", containerID: `containerd://${name}`, state }],
  );
const podOf = (parts: Parts, spec: Partial<Pod["spec"]> = {}, phase = "Running") => ({
  metadata: { ...key },
  spec: {
    nodeName: "n1",
    restartPolicy: "Never",
    containers: Object.entries(parts).map(([name, [, ...env]]) => ({ name, image: `${name}:1`, env })),
    ...spec,
  },
  status: { phase, containerStatuses: states(parts) },
});

async function house(): Promise<House> {
  const made = await startHouse(sidecarTerminator.controllers ?? [], { settings });
  made.world.add(nodes, { metadata: { name: "n1" } });
  made.world.add(nodes, { metadata: { name: "vk1", labels: { type: "virtual-kubelet" } } });
  return made;
}
async function after(parts: Parts, spec: Partial<Pod["spec"]> = {}, phase = "Running") {
  const { world, rest, env } = await house();
  const pod = world.add(pods, podOf(parts, spec, phase));
  await rest();
  const requests = world.all<ContainerRecreateRequest>(containerRecreateRequests);
  return {
    world,
    rest,
    env,
    pod,
    requests,
    asked: requests.map((request) => request.spec.containers.map(({ name }) => name).join(",")),
    now: () => world.now<Pod>(pods, key),
    set: (name: string, state: ContainerState) =>
      world.edit<Pod>(pods, key, (each) => {
        const status = each.status!.containerStatuses!.find((candidate) => candidate.name === name);
        if (status) status.state = state;
        else each.status!.containerStatuses!.push(states({ [name]: [state] })[0]!);
      }),
  };
}

describe("acceptance", () => {
  test("1: a request for the sidecar, owned by the pod, and told", async () => {
    const { requests, pod, world, now } = await after({ main: [ended(0)], side: [running, sidecar] });
    expect(requests).toMatchObject([
      {
        metadata: {
          name: `sidecar-termination-${pod.metadata.uid}`,
          namespace: "jobs",
          ownerReferences: [
            { apiVersion: "v1", kind: "Pod", name: "job-1", uid: pod.metadata.uid, controller: true, blockOwnerDeletion: true },
          ],
        },
        spec: { podName: "job-1", containers: [{ name: "side" }], strategy: { forceRecreate: true, failurePolicy: "Ignore" } },
      },
    ]);
    expect(world.events).toMatchObject([
      { reason: "SidecarTerminator", type: "Normal", on: { name: "job-1" }, message: expect.stringContaining("[side]") },
    ]);
    expect(now()?.status?.phase).toBe("Running");
  });

  test.each<[string, Parts, Partial<Pod["spec"]>, string, string[]]>([
    ["2: main failed", { main: [ended(137)], side: [running, sidecar] }, {}, "Running", ["side"]],
    ["3: OnFailure, main failed", { main: [ended(137)], side: [running, sidecar] }, { restartPolicy: "OnFailure" }, "Running", []],
    ["4: OnFailure, main done", { main: [ended(0)], side: [running, sidecar] }, { restartPolicy: "OnFailure" }, "Running", ["side"]],
    ["5: Always", { main: [ended(0)], side: [running, sidecar] }, { restartPolicy: "Always" }, "Running", []],
    ["6: a main runs", { main: [ended(0)], more: [running], side: [running, sidecar] }, {}, "Running", []],
    ["7: one has ended already", { main: [ended(0)], a: [ended(0), sidecar], b: [running, sidecar] }, {}, "Running", ["b"]],
    ["all have ended", { main: [ended(0)], a: [ended(0), sidecar] }, {}, "Running", []],
    ["8: TRUE", { main: [ended(0)], side: [running, { ...sidecar, value: "TRUE" }] }, {}, "Running", ["side"]],
    ["8: yes is a main container", { main: [ended(0)], side: [running, { ...sidecar, value: "yes" }] }, {}, "Running", []],
    [
      "a value from elsewhere does not count",
      { main: [ended(0)], side: [running, { name: sidecar.name, valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] },
      {},
      "Running",
      [],
    ],
    ["Pending", { main: [ended(0)], side: [running, sidecar] }, {}, "Pending", []],
    ["no phase yet", { main: [ended(0)], side: [running, sidecar] }, {}, "", ["side"]],
    ["not all reported", { main: [ended(0)], side: [undefined, sidecar] }, {}, "Running", []],
    ["no main container at all", { a: [running, sidecar], b: [running, sidecar] }, {}, "Running", ["a,b"]],
    ["14: virtual node, only the first variable", { main: [ended(0)], side: [running, sidecar] }, { nodeName: "vk1" }, "Running", []],
    ["15: normal node, only the image", { main: [ended(0)], side: [running, image("quick:1")] }, {}, "Running", []],
    [
      "10 (edge): both variables on a normal node",
      { main: [ended(0)], side: [running, sidecar, image("quick:1")] },
      {},
      "Running",
      ["side"],
    ],
  ])("%s", async (_, parts, spec, phase, expected) => {
    const { asked, now } = await after(parts, spec, phase);
    expect(asked).toEqual(expected);
    expect(now()?.spec.containers.map(({ image: runs }) => runs)).not.toContain("quick:1");
  });

  test("6: when the other main ends as well", async () => {
    const { set, rest, world } = await after({ main: [ended(0)], more: [running], side: [running, sidecar] });
    set("more", ended(0));
    await rest();
    expect(world.all(containerRecreateRequests)).toHaveLength(1);
  });

  test.each<[string, number, string]>([
    ["9", 0, "Succeeded"],
    ["10", 1, "Failed"],
  ])("%s: exit code ignored, main ended with %i: %s", async (_, exitCode, phase) => {
    const { now, asked, world } = await after({ main: [ended(exitCode)], side: [running, sidecar, ignore] });
    expect(now()?.status).toMatchObject({
      phase,
      conditions: [{ type: "SidecarTerminated", status: "True", message: "Terminated by Sidecar Terminator" }],
    });
    expect(asked).toEqual(["side"]);
    // The phase first: requests for pods that have ended are let in by the condition only.
    expect(world.writes().map(({ verb, kind }) => `${verb} ${kind}`)).toEqual(["patch Pod", "create ContainerRecreateRequest"]);
  });

  test("11: first those whose exit codes tell", async () => {
    const { now, asked, set, rest } = await after({ main: [ended(0)], a: [running, sidecar], b: [running, sidecar, ignore] });
    expect(asked).toEqual(["a"]);
    expect(now()?.status?.phase).toBe("Running");
    set("a", ended(143));
    await rest();
    expect(now()?.status?.phase).toBe("Succeeded");
  });

  test("12, 13: on a virtual node by another image, and only what still runs", async () => {
    const { now, asked, world, set, rest } = await after(
      { main: [ended(0)], a: [ended(0), image("quick:1")], b: [running, image("quick:1"), sidecar, image("slow:1")] },
      { nodeName: "vk1" },
    );
    expect(now()?.spec.containers.map(({ image: runs }) => runs)).toEqual(["main:1", "a:1", "quick:1"]);
    expect(asked).toEqual([]);
    expect(world.events).toMatchObject([{ reason: "SidecarTerminator", message: expect.stringContaining("[b]") }]);
    set("main", ended(0));
    world.edit<Pod>(pods, key, (pod) => {
      pod.metadata.labels = { touched: "yes" };
    });
    await rest();
    // 11 (edge): the image is as it should be, so nothing is written and nothing told.
    expect([world.events.length, world.writes().length]).toEqual([1, 1]);
  });

  test("16: the gate, and what it needs", async () => {
    expect(sidecarTerminator.controllers?.[0]?.enabled?.(testSettings())).toBe(false);
    const parsed = parseGates("SidecarTerminator=true,KruiseDaemon=false");
    expect(parsed.ok && parsed.gates.enabled("SidecarTerminator")).toBe(false);
  });

  test("17: an unknown node is waited for", async () => {
    const { world, env } = await house();
    world.add(pods, podOf({ main: [ended(0)], side: [running, sidecar] }, { nodeName: "late" }));
    await env.advance(2_000);
    expect(world.all(containerRecreateRequests)).toHaveLength(0);
    world.add(nodes, { metadata: { name: "late" } });
    await env.advance(60_000);
    expect(world.all(containerRecreateRequests)).toHaveLength(1);
  });

  test("18: the request goes with its pod; edge 9: there is never a second", async () => {
    const { world, rest } = await after({ main: [ended(0)], side: [running, sidecar] });
    world.edit<Pod>(pods, key, (pod) => {
      pod.metadata.labels = { touched: "yes" };
    });
    await rest();
    expect([world.writes().length, world.events.length]).toEqual([1, 1]);
    world.drop(pods, key);
    expect(world.all(containerRecreateRequests)).toHaveLength(0);
  });
});

describe("what did not end is asked for again", () => {
  const finish = (world: House["world"], name: string, atMs: number, phase = "Completed") =>
    world.edit<ContainerRecreateRequest>(containerRecreateRequests, { namespace: "jobs", name }, (request) => {
      request.status = { phase: phase as never, completionTime: new Date(atMs).toISOString() };
    });

  test("with growing pauses, under the same name", async () => {
    const { world, env, requests } = await after({ main: [ended(0)], side: [running, sidecar] }, { restartPolicy: "OnFailure" });
    const { name, uid } = requests[0]!.metadata;
    finish(world, name, env.nowMs());
    await env.advance(9_000);
    expect(world.now(containerRecreateRequests, { namespace: "jobs", name })?.metadata.uid).toBe(uid);
    await env.advance(2_000);
    const second = world.now(containerRecreateRequests, { namespace: "jobs", name });
    expect(second?.metadata.uid).not.toBe(uid);
    expect(second?.metadata.annotations).toEqual({ "apps.kruise.io/sidecar-termination-attempts": "1" });
    finish(world, name, env.nowMs(), "Failed");
    await env.advance(19_000);
    expect(world.now(containerRecreateRequests, { namespace: "jobs", name })?.metadata.uid).toBe(second!.metadata.uid);
    await env.advance(2_000);
    expect(world.now(containerRecreateRequests, { namespace: "jobs", name })?.metadata.annotations).toEqual({
      "apps.kruise.io/sidecar-termination-attempts": "2",
    });
  });

  test("not while it is under way, and not once the sidecars have ended", async () => {
    const { world, env, requests, set } = await after({ main: [ended(0)], side: [running, sidecar] });
    await env.advance(600_000);
    expect(world.writes()).toHaveLength(1);
    finish(world, requests[0]!.metadata.name, env.nowMs());
    set("side", ended(0));
    await env.advance(600_000);
    expect(world.writes()).toHaveLength(1);
  });
});

test("explained", async () => {
  const { world, env, set } = await after({ main: [running], side: [running, sidecar] });
  const ask = () => explain(contextOf(env, world, settings), key);
  expect(ask()).toMatchObject({ state: "rest", summary: "job-1: sidecars side run until main has ended" });
  set("main", ended(0));
  expect(ask()).toMatchObject({ state: "moving", next: ["make a ContainerRecreateRequest for the sidecars"] });
  expect(explain(contextOf(env, world), key)).toBeUndefined();
});
