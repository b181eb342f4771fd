import { afterEach, describe, expect, test } from "bun:test";
import { type ContainerRecreateRequest, containerRecreateRequests } from "../../api/containerrecreaterequest.ts";
import { contextOf, type House, startHouse } from "../../engine/testing/harness.ts";
import { pods } from "../../kube/kinds.ts";
import { formatTime } from "../../kube/time.ts";
import type { ContainerStatus, Pod } from "../../kube/types.ts";
import { explain } from "./explain.ts";
import { containerRecreateController } from "./index.ts";
import { admitted, furnish, namespace, type PodDraft, type RequestDraft, runningStatus } from "./testing/request.ts";

let house: House;
afterEach(async () => {
  await house.stop();
});

async function start(pod: PodDraft = {}, draft: RequestDraft = {}): Promise<void> {
  house = await startHouse([containerRecreateController]);
  furnish(house.world, pod);
  await make(draft);
}
async function make(draft: RequestDraft = {}): Promise<void> {
  house.world.add(containerRecreateRequests, await admitted(house.world, draft));
}
const key = (name = "r") => ({ namespace, name });
const seen = (name = "r"): ContainerRecreateRequest | undefined => house.world.now(containerRecreateRequests, key(name));
const pod = (): Pod => house.world.now(pods, key("p"))!;
const advance = (seconds: number) => house.env.advance(seconds * 1000);
/** What the node agent writes. */
const daemon = (status: object, name = "r") =>
  house.world.edit<ContainerRecreateRequest>(containerRecreateRequests, key(name), (request) => {
    request.status = { ...request.status, ...status } as ContainerRecreateRequest["status"];
  });
const statuses = (...list: ContainerStatus[]) =>
  house.world.edit<Pod>(pods, key("p"), (edited) => {
    edited.status!.containerStatuses = list;
  });
const now = () => formatTime(house.env.nowMs());
const condition = (type: string) => pod().status?.conditions?.find((each) => each.type === type);

describe("time limits", () => {
  test("9: nobody on the node answers for a minute", async () => {
    await start();
    await advance(59);
    expect(seen()?.status).toBeUndefined();
    await advance(2);
    expect(seen()?.status).toMatchObject({ phase: "Completed", message: "daemon has not responded for a long time" });
    expect(seen()?.status?.containerRecreateStates).toBeUndefined();
    expect(seen()?.metadata.labels).not.toHaveProperty(["crr.apps.kruise.io/active"]);
  });

  test("10: the deadline ends it, and every container that has not come to its end has failed", async () => {
    const containers = ["a", "b", "c"].map((name) => ({ name }));
    await start({ containers }, { spec: { containers, activeDeadlineSeconds: 5 } });
    daemon({
      phase: "Recreating",
      containerRecreateStates: [
        { name: "a", phase: "Succeeded", isKilled: true },
        { name: "b", phase: "Recreating", isKilled: true },
      ],
    });
    await advance(4);
    expect(seen()?.status?.phase).toBe("Recreating");
    await advance(2);
    const message = "recreating has exceeded the activeDeadlineSeconds";
    expect(seen()?.status).toMatchObject({ phase: "Completed", message });
    expect(seen()?.status?.containerRecreateStates).toEqual([
      { name: "a", phase: "Succeeded", isKilled: true },
      { name: "b", phase: "Failed", message, isKilled: true },
      { name: "c", phase: "Failed", message },
    ]);
  });

  test("the deadline runs while it waits for another request; the minute for an answer does not", async () => {
    await start({}, { spec: { activeDeadlineSeconds: 90 } });
    daemon({ phase: "Pending" });
    await advance(80);
    expect(seen()?.status?.phase).toBe("Pending");
    await advance(15);
    expect(seen()?.status?.phase).toBe("Completed");
  });

  test("8: it is deleted some time after its end", async () => {
    await start({}, { spec: { ttlSecondsAfterFinished: 3 } });
    daemon({ phase: "Completed", completionTime: now() });
    await advance(2);
    expect(seen()).toBeDefined();
    await advance(2);
    expect(seen()).toBeUndefined();
  });
});

describe("11: the pod goes", () => {
  test("deleted", async () => {
    await start();
    daemon({ phase: "Recreating" });
    house.world.drop(pods, key("p"));
    await advance(1);
    expect(seen()?.status).toMatchObject({ phase: "Completed", message: "pod has gone" });
  });
  test("another one has its name", async () => {
    await start();
    house.world.drop(pods, key("p"));
    furnish(house.world);
    await advance(1);
    expect(seen()?.status).toMatchObject({ phase: "Completed", message: "pod has gone" });
  });
  test("a pod that the cache does not show yet is asked for before it is believed gone", async () => {
    await start();
    house.world.remove(pods, { ...key("p"), uid: pod().metadata.uid });
    daemon({ phase: "Recreating" });
    await advance(1);
    expect(seen()?.status?.completionTime).toBeUndefined();
  });
});

describe("26: the snapshot", () => {
  test("shows what was started since, and keeps the last word while nothing runs", async () => {
    await start();
    daemon({ phase: "Recreating" });
    await advance(1);
    expect(seen()?.status?.containerStatusSnapshot).toBeUndefined();
    statuses({ ...runningStatus("app", "app-2", 1, now()), ready: false });
    await advance(1);
    const first = { name: "app", ready: false, restartCount: 1, containerID: "containerd://app-2" };
    expect(seen()?.status?.containerStatusSnapshot).toEqual([first]);
    statuses({ ...runningStatus("app", "app-2", 1), ready: false, state: { waiting: { reason: "CrashLoopBackOff" } } });
    await advance(1);
    expect(seen()?.status?.containerStatusSnapshot).toEqual([first]);
    statuses(runningStatus("app", "app-3", 2, now()));
    await advance(1);
    expect(seen()?.status?.containerStatusSnapshot).toEqual([
      { name: "app", ready: true, restartCount: 2, containerID: "containerd://app-3" },
    ]);
    const before = house.world.writes().length;
    await advance(20);
    expect(house.world.writes().length).toBe(before);
  });

  test("a container started in the second of the request counts; one that only waits its turn is not looked at", async () => {
    await start();
    statuses(runningStatus("app", "app-2", 1, seen()!.metadata.creationTimestamp));
    daemon({ phase: "Pending" });
    await advance(4);
    expect(seen()?.status?.containerStatusSnapshot).toBeUndefined();
    daemon({ phase: "Recreating" });
    await advance(1);
    expect(seen()?.status?.containerStatusSnapshot).toHaveLength(1);
  });

  test("a node whose clock is an hour behind is not waited for in vain", async () => {
    await start();
    daemon({ phase: "Recreating" });
    statuses(runningStatus("app", "app-2", 1, "2024-12-31T23:00:00Z"));
    await advance(1);
    expect(seen()?.status?.containerStatusSnapshot).toHaveLength(1);
  });

  test("sidecars that are init containers are in it", async () => {
    await start({ initContainers: [{ name: "mesh", restartPolicy: "Always" }], initStatuses: [runningStatus("mesh")] });
    daemon({ phase: "Recreating" });
    house.world.edit<Pod>(pods, key("p"), (edited) => {
      edited.status!.initContainerStatuses = [runningStatus("mesh", "mesh-2", 1, now())];
    });
    await advance(1);
    expect(seen()?.status?.containerStatusSnapshot?.map(({ name }) => name)).toEqual(["mesh"]);
  });
});

describe("readiness", () => {
  const draft: RequestDraft = { spec: { strategy: { unreadyGracePeriodSeconds: 5 } } };
  const gracedAt = () => seen()?.status?.conditions?.find(({ type }) => type === "PreRecreateGrace")?.lastTransitionTime;

  test("14: a pod with the gate is held out of service, and let in again at the end", async () => {
    await start({ gated: true }, draft);
    await advance(2);
    expect(seen()?.metadata.finalizers).toBeUndefined();
    daemon({ phase: "Recreating" });
    await advance(1);
    expect(seen()?.metadata.finalizers).toEqual(["crr.apps.kruise.io/unready-acquired"]);
    expect(condition("KruisePodReady")).toMatchObject({
      status: "False",
      message: '[{"userAgent":"ContainerRecreateRequest","key":"shop/r"}]',
    });
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "ReadinessGatesNotReady" });
    expect(gracedAt()).toBeDefined();
    const steps = house.world.writes().map(({ verb, kind, subresource }) => `${verb} ${kind} ${subresource ?? ""}`);
    expect(steps.slice(0, 3)).toEqual(["patch ContainerRecreateRequest ", "patch Pod status", "patch ContainerRecreateRequest status"]);
    daemon({ phase: "Completed", completionTime: now() });
    await advance(1);
    expect(condition("KruisePodReady")).toMatchObject({ status: "True", message: "[]" });
    expect(seen()?.metadata.finalizers ?? []).toEqual([]);
  });

  test("15: a pod without the gate stays in service; the grace period is counted all the same", async () => {
    await start({}, draft);
    daemon({ phase: "Recreating" });
    await advance(1);
    expect(seen()?.metadata.finalizers).toBeUndefined();
    expect(condition("Ready")?.status).toBe("True");
    expect(gracedAt()).toBeDefined();
  });

  test("16: another manager does not begin the grace period anew", async () => {
    await start({ gated: true }, draft);
    daemon({ phase: "Recreating" });
    await advance(1);
    const before = gracedAt();
    await house.stop();
    house = await startHouse([containerRecreateController], { world: house.world, env: house.env });
    await advance(3);
    expect(gracedAt()).toBe(before!);
  });

  test("deleting an active request lets the pod into service before it goes", async () => {
    await start({ gated: true }, draft);
    daemon({ phase: "Recreating" });
    await advance(1);
    house.world.drop(containerRecreateRequests, key());
    await advance(1);
    expect(seen()).toBeUndefined();
    expect(condition("KruisePodReady")?.status).toBe("True");
  });

  test("a request that goes while the pod is about to be held: the pod is left alone, for nobody would ever let it in again", async () => {
    await start({ gated: true }, draft);
    // The first write of the plan meets a server that has the request no more.
    house.world.fault = ({ verb, kind }) => {
      if (verb !== "patch" || kind !== "ContainerRecreateRequest" || seen() === undefined) return undefined;
      house.world.drop(containerRecreateRequests, key());
      return undefined;
    };
    daemon({ phase: "Recreating" });
    await advance(5);
    expect(seen()).toBeUndefined();
    expect(condition("KruisePodReady")?.status).toBe("True");
  });

  test("a crash between any two writes leaves nothing behind", async () => {
    for (let crashAt = 1; crashAt <= 6; crashAt += 1) {
      await start({ gated: true }, draft);
      daemon({ phase: "Recreating" });
      let count = 0;
      house.world.fault = ({ verb }) => {
        if (verb === "get" || verb === "list") return undefined;
        count += 1;
        return count >= crashAt ? { ok: false, why: "unavailable", mayHaveHappened: false, message: "crashed" } : undefined;
      };
      await advance(1);
      await house.stop();
      const { world, env } = house;
      world.fault = () => undefined;
      house = await startHouse([containerRecreateController], { world, env });
      await advance(2);
      expect(condition("KruisePodReady")?.status).toBe("False");
      daemon({ phase: "Completed", completionTime: now() });
      await advance(2);
      expect(condition("KruisePodReady")?.status).toBe("True");
      expect(seen()?.metadata.finalizers ?? []).toEqual([]);
      if (crashAt < 6) await house.stop();
    }
  });
});

test("what the daemon wrote meanwhile is not undone by an end", async () => {
  await start({}, { spec: { activeDeadlineSeconds: 5 } });
  daemon({ phase: "Recreating", containerRecreateStates: [{ name: "app", phase: "Recreating", isKilled: true }] });
  let isFirst = true;
  house.world.fault = ({ verb, kind }) => {
    if (verb !== "patch" || kind !== "ContainerRecreateRequest" || !isFirst) return undefined;
    isFirst = false;
    daemon({
      phase: "Completed",
      completionTime: "2025-01-01T00:00:05Z",
      message: "",
      containerRecreateStates: [{ name: "app", phase: "Succeeded" }],
    });
    return undefined;
  };
  await advance(6);
  expect(seen()?.status).toMatchObject({
    message: "",
    completionTime: "2025-01-01T00:00:05Z",
    containerRecreateStates: [{ phase: "Succeeded" }],
  });
});

test("explain: what it waits for", async () => {
  await start();
  const told = () => explain(contextOf(house.env, house.world), key());
  expect(await told()).toMatchObject({ state: "held", held: [{ text: "waiting for the node agent of node n1 to take notice" }] });
  daemon({ phase: "Recreating", containerRecreateStates: [{ name: "app", phase: "Recreating", isKilled: true }] });
  expect(await told()).toMatchObject({ state: "moving", held: [{ on: "app", text: "stopped, waiting for it to be ready again" }] });
  daemon({ phase: "Completed", completionTime: now(), containerRecreateStates: [{ name: "app", phase: "Succeeded", isKilled: true }] });
  await advance(1);
  expect(await told()).toMatchObject({ state: "rest", summary: "r: pod p, Completed, 1 of 1 containers recreated", held: [] });
});
