/** Both halves of a recreate request over a node in memory: what cannot be provoked on a real one. */
import { afterEach, describe, expect, test } from "bun:test";
import type { Pod } from "../../kube/types.ts";
import { FakeFailure } from "../testing/fake-cri.ts";
import { FakeNode, requestsPath, until } from "../testing/fake-node.ts";
import { startsNoOther } from "./ended.ts";
import { recreatePart } from "./index.ts";

let node: FakeNode;
afterEach(() => node.stop());

const start = async (options: Partial<Parameters<typeof FakeNode.start>[0]> = {}) => {
  node = await FakeNode.start({ parts: [recreatePart], ...options });
};
const containers = (...names: string[]) => names.map((name) => ({ name }));
const completed = (name = "r", withinMs?: number) =>
  until(`request ${name} to complete`, () => node.requestNow(name).status?.phase === "Completed" && node.requestNow(name), withinMs);
const stops = () => node.cri.callsOf("StopContainer");
const restarts = (pod: string, name: string) =>
  node.podNow(pod).status?.containerStatuses?.find((status) => status.name === name)?.restartCount;

test("7: the whole way", async () => {
  await start();
  node.pod("p", containers("app", "other"));
  node.request("r", "p", ["app"]);
  const { status } = await completed();
  expect(status).toMatchObject({ message: "", containerRecreateStates: [{ name: "app", phase: "Succeeded", isKilled: true }] });
  expect([restarts("p", "app"), restarts("p", "other")]).toEqual([1, 0]);
  expect(stops().map(({ request }) => request)).toEqual([{ containerId: "app-id-1", timeout: 5 }]);
  expect(node.events("Killing")).toMatchObject([
    {
      message: "Stopping container app by ContainerRecreateRequest r",
      source: { component: "kruise-daemon-crr", host: "node-0" },
      involvedObject: { name: "p", fieldPath: "spec.containers{app}" },
    },
  ]);
  await until("the label to go", () => node.requestNow("r").metadata.labels?.["crr.apps.kruise.io/active"] === undefined);
});

describe("a pod whose containers are not restarted", () => {
  const never = { spec: { restartPolicy: "Never" } };
  const ask = () => {
    node.pod("p", containers("app"), never);
    node.request("r", "p", ["app"], { activeDeadlineSeconds: 3 });
  };

  test("what was stopped is waited for until the deadline, and has failed then", async () => {
    await start();
    ask();
    const { status } = await completed("r", 10_000);
    expect(status).toMatchObject({
      message: "recreating has exceeded the activeDeadlineSeconds",
      containerRecreateStates: [{ name: "app", phase: "Failed", isKilled: true }],
    });
  });

  test("with --crr-stopped-is-succeeded that is the end of it", async () => {
    await start({ flags: ["--crr-stopped-is-succeeded"] });
    ask();
    const { status } = await completed();
    expect(status).toMatchObject({ message: "", containerRecreateStates: [{ name: "app", phase: "Succeeded", isKilled: true }] });
    expect(stops()).toHaveLength(1);
  });
});

test.each<[string, object, number | undefined, boolean]>([
  ["Never", { restartPolicy: "Never" }, 137, true],
  ["OnFailure, and it failed", { restartPolicy: "OnFailure" }, 137, false],
  ["OnFailure, and it did not", { restartPolicy: "OnFailure" }, 0, true],
  ["Always", { restartPolicy: "Always" }, 0, false],
  ["none said", {}, 0, false],
  ["Never, but it is a native sidecar", { restartPolicy: "Never", initContainers: [{ name: "app", restartPolicy: "Always" }] }, 0, false],
])("no other container is started: %s", (_, spec, exitCode, expected) => {
  const pod = { metadata: {}, spec: { containers: [], ...spec } } as unknown as Pod;
  expect(startsNoOther(pod, { name: "app", ...(exitCode === undefined ? {} : { exitCode }) })).toBe(expected);
  expect(startsNoOther(undefined, { name: "app" })).toBe(false);
});

describe("17, 18: hooks", () => {
  const hooked = [{ name: "app", lifecycle: { preStop: { exec: { command: ["drain"] } } } }];

  test("17: what the hook takes, the stop has less", async () => {
    await start();
    node.pod("p", hooked);
    node.cri.before = (call) => (call === "ExecSync" ? Bun.sleep(1100) : undefined);
    node.request("r", "p", ["app"], { strategy: { terminationGracePeriodSeconds: 10 } });
    await completed();
    expect(node.cri.callsOf("ExecSync")[0]?.request).toMatchObject({ containerId: "app-id-1", cmd: ["drain"], timeout: 0 });
    expect(stops()[0]?.request["timeout"]).toBe(9);
    expect((stops()[0]?.atMs ?? 0) - (node.cri.callsOf("ExecSync")[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(1000);
  });

  test("17: a hook that does not end is ended with the grace period", async () => {
    await start();
    node.pod("p", hooked);
    node.cri.before = (call) => (call === "ExecSync" ? new Promise(() => {}) : undefined);
    node.request("r", "p", ["app"], { strategy: { terminationGracePeriodSeconds: 1 } });
    await completed();
    expect(stops()[0]?.request["timeout"]).toBe(2);
    expect(node.events("FailedPreStopHook")[0]?.message).toBe("PreStop hook of container app failed: did not end within 1 s");
  });

  test("18: a hook that fails is told of, without the container's ID", async () => {
    await start();
    node.pod("p", hooked);
    node.cri.before = (call) => {
      if (call === "ExecSync") throw new FakeFailure(2, "no shell in app-id-1");
    };
    node.request("r", "p", ["app"]);
    await completed();
    expect(node.events("FailedPreStopHook")).toMatchObject([
      { type: "Warning", message: "PreStop hook of container app failed: no shell in app" },
    ]);
    expect(restarts("p", "app")).toBe(1);
  });
});

describe("19: a container that cannot be stopped", () => {
  const broken = (name: string) => (call: string, request: Readonly<Record<string, unknown>>) => {
    if (call === "StopContainer" && String(request["containerId"]).startsWith(name))
      throw new FakeFailure(2, `${request["containerId"]} will not`);
  };
  test("Fail: the request is over, the next container is left alone", async () => {
    await start();
    node.pod("p", containers("a", "b"));
    node.cri.before = broken("a");
    node.request("r", "p", ["a", "b"]);
    const { status } = await completed();
    expect(status?.containerRecreateStates).toEqual([
      { name: "a", phase: "Failed", message: "kill container error: a will not" },
      { name: "b", phase: "Pending", message: "not recreated: failurePolicy is Fail, and container a failed" },
    ]);
    expect(restarts("p", "b")).toBe(0);
  });
  test("Ignore: the next container has its turn", async () => {
    await start();
    node.pod("p", containers("a", "b"));
    node.cri.before = broken("a");
    node.request("r", "p", ["a", "b"], { strategy: { failurePolicy: "Ignore" } });
    const { status } = await completed();
    expect(status?.containerRecreateStates?.map(({ phase }) => phase)).toEqual(["Failed", "Succeeded"]);
    expect(restarts("p", "b")).toBe(1);
  });
});

describe("13: order", () => {
  test.each([
    [true, "after the first is ready again"],
    [false, "as soon as the first is stopped"],
  ])("orderedRecreate %p: the second is stopped %s", async (orderedRecreate) => {
    await start({ restartMs: 600 });
    node.pod("p", containers("a", "b"));
    node.request("r", "p", ["a", "b"], { strategy: { orderedRecreate } });
    await completed();
    const [first, second] = stops();
    const gapMs = (second?.atMs ?? 0) - (first?.atMs ?? 0);
    if (orderedRecreate) expect(gapMs).toBeGreaterThan(550);
    else expect(gapMs).toBeLessThan(500);
    expect(stops()).toHaveLength(2);
  });
});

describe("20: restarted by somebody else", () => {
  test.each([
    [false, 1],
    [true, 2],
  ])("forceRecreate %p: %i restarts in all", async (forceRecreate, count) => {
    await start();
    node.pod("p", containers("app"));
    node.request("r", "p", ["app"], { strategy: { forceRecreate, unreadyGracePeriodSeconds: 1 } });
    node.kill("app");
    await until("the other restart", () => restarts("p", "app") === 1);
    const { status } = await completed();
    expect(status?.containerRecreateStates).toMatchObject([{ phase: "Succeeded" }]);
    expect(restarts("p", "app")).toBe(count);
    expect(stops()).toHaveLength(count - 1);
  });
});

test("21: the second request for a pod follows the first, in the order of their names when they are of one second", async () => {
  await start({ restartMs: 200 });
  node.pod("p", containers("a", "b"));
  node.request("second", "p", ["b"]);
  node.request("first", "p", ["a"]);
  await until("one to wait", () => ["first", "second"].some((name) => node.requestNow(name).status?.phase === "Pending"));
  const [a, b] = [await completed("first"), await completed("second")];
  for (const { status } of [a, b]) expect(status?.containerRecreateStates).toMatchObject([{ phase: "Succeeded" }]);
  expect(stops()).toHaveLength(2);
});

test("21: the second runs when the first is deleted", async () => {
  await start({ restartMs: 60_000 });
  node.pod("p", containers("a", "b"));
  node.request("one", "p", ["a"]);
  await until("one to kill", () => stops().length === 1);
  node.request("two", "p", ["b"]);
  await until("two to wait", () => node.requestNow("two").status?.phase === "Pending");
  node.api.remove(requestsPath, "one", "shop");
  await until("two to kill", () => stops().length === 2);
});

describe("two runtimes on a node", () => {
  test("each request goes to the runtime of its containers", async () => {
    await start({ runtimes: ["cri-o"] });
    node.pod("p", containers("app"), { runtime: "cri-o" });
    node.request("r", "p", ["app"]);
    expect((await completed()).status?.containerRecreateStates).toMatchObject([{ phase: "Succeeded" }]);
    expect(node.runtimes.get("cri-o")?.callsOf("StopContainer")).toHaveLength(1);
    expect(stops()).toHaveLength(0);
  });
  test("containers of several runtimes, or of one that is not here, end the request with words", async () => {
    await start();
    node.pod("p", containers("app"));
    node.editPod("p", (pod) => {
      pod.status!.containerStatuses = [{ ...pod.status!.containerStatuses![0]!, containerID: "docker://x" }];
    });
    node.request("r", "p", ["app"]);
    expect((await completed()).status?.message).toBe("no runtime service found for docker:// on this node (it has containerd)");
  });
});

describe("faults", () => {
  test("the runtime goes away in the middle of a stop: no failure, no second hook", async () => {
    await start();
    node.pod("p", [{ name: "app", lifecycle: { preStop: { exec: { command: ["drain"] } } } }]);
    let isFirst = true;
    node.cri.before = async (call) => {
      if (call !== "StopContainer" || !isFirst) return;
      isFirst = false;
      node.cri.stop();
      await new Promise(() => {});
    };
    node.request("r", "p", ["app"]);
    await until("the stop to be cut off", () => !isFirst);
    await node.cri.listen();
    expect((await completed()).status?.containerRecreateStates).toMatchObject([{ phase: "Succeeded", isKilled: true }]);
    expect(node.cri.callsOf("ExecSync")).toHaveLength(1);
    expect(node.events("Killing")).toHaveLength(1);
    expect(restarts("p", "app")).toBe(1);
  });

  test("the daemon ends after the stop and before it could say so: its successor does not stop the new container", async () => {
    await start();
    node.pod("p", containers("app"));
    const patch = node.api.intercept;
    const isKilled = (body: string | undefined) => body?.includes('"isKilled":true') ?? false;
    node.api.intercept = (request) => (request.method === "PATCH" && isKilled(request.body) ? "drop" : patch?.(request));
    node.request("r", "p", ["app"], { strategy: { forceRecreate: true } });
    await until("the restart", () => restarts("p", "app") === 1);
    node.crash();
    node.api.intercept = patch;
    await node.startDaemon();
    expect((await completed()).status?.containerRecreateStates).toMatchObject([{ phase: "Succeeded", isKilled: true }]);
    expect(stops()).toHaveLength(1);
    expect(restarts("p", "app")).toBe(1);
  });

  test("the API server is away for a while: it goes on where it was", async () => {
    await start();
    node.pod("p", containers("a", "b"));
    const patch = node.api.intercept;
    node.request("r", "p", ["a", "b"]);
    await until("the first stop", () => stops().length >= 1);
    node.api.intercept = () => "drop";
    node.api.endWatches();
    await Bun.sleep(1500);
    node.api.intercept = patch;
    expect((await completed("r", 20_000)).status?.containerRecreateStates?.map(({ phase }) => phase)).toEqual(["Succeeded", "Succeeded"]);
    expect([restarts("p", "a"), restarts("p", "b")]).toEqual([1, 1]);
  });

  test("ended by the manager during a stop: what the daemon knows better late does not bring it back", async () => {
    await start();
    node.pod("p", containers("app"));
    node.cri.before = (call) => (call === "StopContainer" ? Bun.sleep(1500) : undefined);
    node.request("r", "p", ["app"], { activeDeadlineSeconds: 1 });
    const ended = await completed();
    expect(ended.status?.message).toBe("recreating has exceeded the activeDeadlineSeconds");
    await until("the restart", () => restarts("p", "app") === 1);
    await Bun.sleep(200);
    expect(node.requestNow("r").status).toEqual(ended.status!);
  });
});

test("a container that the runtime does not show is waited for", async () => {
  await start();
  node.pod("p", containers("app"));
  const [container] = [...node.cri.containers.values()];
  node.cri.containers.clear();
  node.request("r", "p", ["app"]);
  const state = () => node.requestNow("r").status?.containerRecreateStates?.[0];
  await until("the state", () => state()?.message === "not found container on Node");
  expect(state()?.phase).toBe("Pending");
  node.cri.containers.set(container!.id, container!);
  expect((await completed("r", 12_000)).status?.containerRecreateStates).toMatchObject([{ phase: "Succeeded" }]);
}, 20_000);
