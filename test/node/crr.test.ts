/** ContainerRecreateRequest on a real node: what a user asks for, what happens to the containers, and what he is told. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { ContainerRecreateRequest } from "../../src/api/containerrecreaterequest.ts";
import type { ContainerPort, Handler } from "../../src/kube/types.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { conditionOf, containerOf, type House, house, Room, secondsOf, startTimeoutMs, stateOf } from "./house.ts";

let home: House;
let rig: Rig;
/** Begun first, since it takes a minute. */
let unanswered: Promise<ContainerRecreateRequest>;
const gates = { readinessGates: [{ conditionType: "KruisePodReady" }] };

beforeAll(async () => {
  home = await house();
  rig = home.rig;
  unanswered = onNodeWithoutAgent();
  unanswered.catch(() => {});
}, startTimeoutMs);

async function onNodeWithoutAgent(): Promise<ContainerRecreateRequest> {
  const room = await Room.open(rig);
  await rig.admin.create(`/api/v1/namespaces/${room.namespace}/pods`, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    spec: { nodeName: "kwok-0", containers: [{ name: "app", image: "app:v1" }] },
  });
  await room.seePod("p", "to be simulated", ({ status }) => status?.containerStatuses?.[0]?.containerID);
  await room.request("r", "p", ["app"]);
  return room.completed("r", 90_000);
}

const open = () => Room.open(rig);

describe("admission, as the API server sees it", () => {
  test("1, 4, 5, 27: what is filled in, what cannot be changed, what kubectl shows", async () => {
    const room = await open();
    const ports = [{ name: "http", containerPort: 8080, protocol: "TCP" }];
    const httpGet = { path: "/", port: "http", scheme: "HTTP" };
    const exec = { command: ["true"] };
    const pod = await room.pod("p", [
      room.app("app"),
      room.app("http", { ports, lifecycle: { preStop: { httpGet } } }),
      room.app("exec", { lifecycle: { preStop: { exec } } }),
    ]);
    await home.daemon.stop();
    try {
      const request = await room.request("r", "p", ["app", "http", "exec"]);
      expect(request.metadata.labels).toEqual({
        "crr.apps.kruise.io/active": "true",
        "crr.apps.kruise.io/node-name": "node-0",
        "crr.apps.kruise.io/pod-uid": pod.metadata.uid,
      });
      expect(request.spec.strategy).toEqual({ failurePolicy: "Fail", terminationGracePeriodSeconds: 5 });
      const context = (name: string) => ({ containerID: containerOf(pod, name).containerID!, restartCount: 0 });
      expect(request.spec.containers as object[]).toEqual([
        { name: "app", statusContext: context("app") },
        { name: "http", preStop: { httpGet }, ports, statusContext: context("http") },
        { name: "exec", preStop: { exec }, statusContext: context("exec") },
      ]);
      const patch = (body: object) => rig.admin.request<{ message: string }>("PATCH", `${room.requestsPath()}/r`, body, "merge");
      expect(await patch({ spec: { ttlSecondsAfterFinished: 1 } })).toMatchObject({ status: 403 });
      expect(await patch({ metadata: { labels: { "crr.apps.kruise.io/node-name": "other" } } })).toMatchObject({ status: 403 });
      expect(await patch({ metadata: { labels: { "crr.apps.kruise.io/pod-uid": null } } })).toMatchObject({ status: 403 });
      expect(await patch({ metadata: { labels: { mine: "1" } } })).toMatchObject({ status: 200 });
      const { stdout } = await rig.kubectl(["-n", room.namespace, "get", "crr"]);
      expect(stdout.split("\n")[0]?.split(/\s+/)).toEqual(["NAME", "PHASE", "POD", "NODE", "AGE"]);
      expect(stdout).toMatch(/^r +p +node-0 /m);
      await rig.admin.delete(`${room.requestsPath()}/r`);
    } finally {
      await home.daemon.restart();
    }
  });

  test("2, 24: what is refused", async () => {
    const room = await open();
    await room.pod("p", [room.app("app")]);
    const refused = async (spec: object, version = "v1beta1") => {
      const body = {
        apiVersion: `apps.kruise.io/${version}`,
        kind: "ContainerRecreateRequest",
        metadata: { name: "r" },
        spec: { podName: "p", containers: [{ name: "app" }], ...spec },
      };
      const answer = await rig.admin.request<{ message: string }>("POST", `${room.requestsPath(version)}?dryRun=All`, body);
      return answer.status === 201 ? "accepted" : `${answer.status} ${answer.body.message}`;
    };
    expect(await refused({ podName: "q" })).toMatch(/^400 .*spec.podName: pod q not found/);
    expect(await refused({ containers: [] })).toMatch(/^400 .*spec.containers/);
    expect(await refused({ containers: [{ name: "x" }] })).toMatch(/^400 .*"x"/);
    expect(await refused({ activeDeadlineSeconds: 2 })).toMatch(/^400 .*activeDeadlineSeconds/);
    expect(await refused({ activeDeadlineSeconds: 3 })).toBe("accepted");
    expect(await refused({ strategy: { failurePolicy: "Foo" } }, "v1alpha1")).toMatch(/^400 .*failurePolicy/);
    expect(await refused({ strategy: { failurePolicy: "X" } })).toMatch(/^4\d\d .*failurePolicy/);
    expect(await refused({ strategy: { minStartedSeconds: -1 } })).toMatch(/^422 .*minStartedSeconds/);
    expect(await refused({ strategy: { unreadyGracePeriodSeconds: -1 } }, "v1alpha1")).toMatch(/^400 .*unreadyGracePeriodSeconds/);
  });
});

describe("restarting", () => {
  test("7, 26: the container is another one, its neighbours are not, and everything is told", async () => {
    const room = await open();
    const before = await room.pod("p", [room.app("app"), room.app("other")]);
    await room.request("r", "p", ["app"]);
    const seen = new Set<string>();
    const request = await waitFor(
      "request r to complete",
      async () => {
        const now = await room.requestNow("r");
        if (now) seen.add(`${now.status?.phase ?? ""}/${stateOf(now, "app")?.phase ?? ""}/${stateOf(now, "app")?.isKilled ?? false}`);
        return now?.status?.phase === "Completed" ? now : undefined;
      },
      { intervalMs: 20 },
    );
    expect(request.status).toMatchObject({ message: "", containerRecreateStates: [{ name: "app", phase: "Succeeded", isKilled: true }] });
    expect(request.status?.completionTime).toBeDefined();
    expect([...seen]).toContain("Recreating/Recreating/true");
    const after = await room.now("p");
    expect(containerOf(after, "app").restartCount).toBe(1);
    expect(containerOf(after, "app").containerID).not.toBe(containerOf(before, "app").containerID);
    expect(containerOf(after, "other").containerID).toBe(containerOf(before, "other").containerID!);
    expect(request.status?.containerStatusSnapshot).toContainEqual({
      name: "app",
      ready: true,
      restartCount: 1,
      containerID: containerOf(after, "app").containerID!,
    });
    const [event] = await room.seeEvents("p", "Killing", "kruise-daemon-crr");
    expect(event).toMatchObject({
      type: "Normal",
      message: "Stopping container app by ContainerRecreateRequest r",
      source: { host: "node-0" },
      involvedObject: { fieldPath: "spec.containers{app}" },
    });
    const ended = await room.seeRequest(
      "r",
      "to be hidden from the agent",
      ({ metadata }) => !metadata.labels?.["crr.apps.kruise.io/active"],
    );
    expect(ended.metadata.labels).toHaveProperty(["crr.apps.kruise.io/node-name"]);
  });

  test("8: gone three seconds after its end", async () => {
    const room = await open();
    await room.pod("p", [room.app("app")]);
    await room.request("r", "p", ["app"], { ttlSecondsAfterFinished: 3 });
    const { status } = await room.completed("r");
    await waitFor("request r to be deleted", async () => (await room.requestNow("r")) === undefined, { timeoutMs: 10_000 });
    expect(Date.now() / 1000 - secondsOf(status?.completionTime)).toBeGreaterThanOrEqual(2.9);
  });

  test("10: a container that never gets ready ends with the deadline, as failed", async () => {
    const room = await open();
    await room.pod("p", [room.app("app", { readinessProbe: { exec: { command: ["test", "-f", "/tmp/ready"] }, periodSeconds: 1 } })]);
    const made = await room.request("r", "p", ["app"], { activeDeadlineSeconds: 5 });
    const { status } = await room.completed("r");
    const message = "recreating has exceeded the activeDeadlineSeconds";
    expect(status).toMatchObject({ message, containerRecreateStates: [{ name: "app", phase: "Failed", message, isKilled: true }] });
    const seconds = secondsOf(status?.completionTime) - secondsOf(made.metadata.creationTimestamp);
    expect(seconds).toBeGreaterThanOrEqual(5);
  });

  test("11: the pod goes while its container is restarted", async () => {
    const room = await open();
    await room.pod("p", [room.app("app", { readinessProbe: { exec: { command: ["false"] }, periodSeconds: 1 } })]);
    await room.request("r", "p", ["app"]);
    await room.seeRequest("r", "to have killed", (request) => stateOf(request, "app")?.isKilled);
    await rig.admin.delete(`${room.podPath("p")}?gracePeriodSeconds=0`);
    expect((await room.completed("r")).status?.message).toBe("pod has gone");
  });

  test("12: a new container has to run for a while to count", async () => {
    const room = await open();
    await room.pod("p", [room.app("app")]);
    await room.request("r", "p", ["app"], { strategy: { minStartedSeconds: 10 } });
    const { status } = await room.completed("r");
    const started = secondsOf(containerOf(await room.now("p"), "app").state?.running?.startedAt);
    expect(secondsOf(status?.completionTime) - started).toBeGreaterThanOrEqual(10);
  });

  test("13: one after the other, or one right behind the other", async () => {
    const slow = { startupProbe: undefined, readinessProbe: { tcpSocket: { port: 8080 }, initialDelaySeconds: 5, periodSeconds: 1 } };
    const room = await open();
    await room.pod("p", [room.app("a", slow), room.app("b")]);
    await room.pod("q", [room.app("a", slow), room.app("b")]);
    await room.seePod("p", "to be ready", (pod) => containerOf(pod, "a").ready);
    await room.seePod("q", "to be ready", (pod) => containerOf(pod, "a").ready);
    await room.request("ordered", "p", ["a", "b"], { strategy: { orderedRecreate: true } });
    await room.request("together", "q", ["a", "b"]);
    await room.completed("ordered");
    await room.completed("together");
    const [ordered, together] = [await room.now("p"), await room.now("q")];
    const startOf = (pod: typeof ordered, name: string) => secondsOf(containerOf(pod, name).state?.running?.startedAt);
    expect(startOf(ordered, "b") - startOf(ordered, "a")).toBeGreaterThanOrEqual(5);
    expect(startOf(together, "b") - startOf(together, "a")).toBeLessThan(5);
    for (const pod of [ordered, together]) for (const name of ["a", "b"]) expect(containerOf(pod, name).restartCount).toBe(1);
  });

  test("20: what somebody else has restarted meanwhile is left alone, unless it is to be restarted anyway", async () => {
    const room = await open();
    await room.pod("p", [room.app("app")]);
    await room.pod("q", [room.app("app")]);
    await home.daemon.stop();
    try {
      await room.request("gentle", "p", ["app"]);
      await room.request("force", "q", ["app"], { strategy: { forceRecreate: true } });
      for (const name of ["p", "q"]) {
        await rig.kubectl(["-n", room.namespace, "exec", name, "--", "kill", "1"]);
        await room.seePod(name, "to have restarted", (pod) => containerOf(pod, "app").restartCount === 1 && containerOf(pod, "app").ready);
      }
    } finally {
      await home.daemon.restart();
    }
    expect(stateOf(await room.completed("gentle"), "app")?.phase).toBe("Succeeded");
    expect(stateOf(await room.completed("force"), "app")).toMatchObject({ phase: "Succeeded", isKilled: true });
    expect(containerOf(await room.now("p"), "app").restartCount).toBe(1);
    expect(containerOf(await room.now("q"), "app").restartCount).toBe(2);
  });

  test("21, 22: requests for one pod follow one another, those for different pods do not wait", async () => {
    const room = await open();
    const slow = { lifecycle: { preStop: { exec: { command: ["sleep", "4"] } } } };
    await room.pod("p", [room.app("app", slow)], { terminationGracePeriodSeconds: 10 });
    await room.pod("q", [room.app("app")]);
    await Promise.all([room.request("one", "p", ["app"]), room.request("two", "p", ["app"]), room.request("other", "q", ["app"])]);
    await room.seeRequest("one", "to run", ({ status }) => status?.phase === "Recreating" || status?.phase === "Pending");
    await room.seeRequest("two", "to run or wait", ({ status }) => status?.phase === "Recreating" || status?.phase === "Pending");
    const phases = [(await room.requestNow("one"))?.status?.phase, (await room.requestNow("two"))?.status?.phase].sort();
    expect(phases).toEqual(["Pending", "Recreating"]);
    const other = await room.completed("other");
    const [one, two] = [await room.completed("one"), await room.completed("two")];
    expect(secondsOf(other.status?.completionTime)).toBeLessThanOrEqual(
      Math.min(...[one, two].map(({ status }) => secondsOf(status?.completionTime))),
    );
    // Both meant the same container: it is restarted once.
    expect(containerOf(await room.now("p"), "app").restartCount).toBe(1);
    for (const request of [one, two]) expect(stateOf(request, "app")?.phase).toBe("Succeeded");
  });

  test("21: the second runs when the first is deleted", async () => {
    const room = await open();
    await room.pod("p", [room.app("app", { readinessProbe: { exec: { command: ["false"] }, periodSeconds: 1 } }), room.app("other")]);
    await room.request("one", "p", ["app"]);
    await room.seeRequest("one", "to run", ({ status }) => status?.phase === "Recreating");
    await room.request("two", "p", ["other"]);
    await room.seeRequest("two", "to wait", ({ status }) => status?.phase === "Pending");
    await rig.admin.delete(`${room.requestsPath()}/one`);
    expect(stateOf(await room.completed("two"), "other")?.phase).toBe("Succeeded");
  });
});

describe("out of service first", () => {
  test("14, 16, 23: a pod with the readiness gate, over a restart of the manager", async () => {
    const room = await open();
    await room.pod("p", [room.app("app")], gates);
    await room.seePod("p", "to be ready", (pod) => conditionOf(pod, "Ready")?.status === "True");
    await room.request("r", "p", ["app"], { strategy: { unreadyGracePeriodSeconds: 5 } });
    const held = await room.seePod("p", "to be out of service", (pod) => conditionOf(pod, "KruisePodReady")?.status === "False");
    expect(conditionOf(held, "KruisePodReady")?.message).toContain("ContainerRecreateRequest");
    const graced = await room.seeRequest("r", "to begin its grace period", ({ status }) => status?.conditions?.length);
    const since = graced.status?.conditions?.[0]?.lastTransitionTime ?? "";
    expect(graced.metadata.finalizers).toEqual(["crr.apps.kruise.io/unready-acquired"]);
    await room.seePod("p", "not to be ready", (pod) => conditionOf(pod, "Ready")?.status === "False");
    await home.manager.kill();
    await home.manager.restart();
    const request = await room.completed("r");
    expect(request.status?.conditions?.[0]?.lastTransitionTime).toBe(since);
    expect((await room.formerEnd("p", "app")) - secondsOf(since)).toBeGreaterThanOrEqual(5);
    await room.seePod(
      "p",
      "to be back in service",
      (pod) => conditionOf(pod, "KruisePodReady")?.status === "True" && conditionOf(pod, "Ready")?.status === "True",
    );
    await room.seeRequest("r", "to be let go", ({ metadata }) => !metadata.finalizers?.length);
    const alpha = await rig.admin.must<{ metadata: { annotations: Record<string, string> }; status: object }>(
      "GET",
      `${room.requestsPath("v1alpha1")}/r`,
    );
    expect(alpha.metadata.annotations["crr.apps.kruise.io/unready-acquired"]).toBe(since);
    expect(JSON.parse(alpha.metadata.annotations["crr.apps.kruise.io/sync-container-statuses"] ?? "")).toEqual(
      request.status?.containerStatusSnapshot,
    );
    expect(alpha.status).not.toHaveProperty("conditions");
  });

  test("15: a pod without the gate stays in service, and the stop is put off all the same", async () => {
    const room = await open();
    await room.pod("p", [room.app("app")]);
    const made = await room.request("r", "p", ["app"], { strategy: { unreadyGracePeriodSeconds: 5 } });
    await room.seeRequest("r", "to begin its grace period", ({ status }) => status?.conditions?.length);
    expect((await room.requestNow("r"))?.metadata.finalizers).toBeUndefined();
    expect(conditionOf(await room.now("p"), "Ready")?.status).toBe("True");
    await room.completed("r");
    expect((await room.formerEnd("p", "app")) - secondsOf(made.metadata.creationTimestamp)).toBeGreaterThanOrEqual(5);
  });
});

describe("hooks", () => {
  const restart = async (room: Room, preStop: Handler, more: { ports?: ContainerPort[]; grace?: number } = {}) => {
    await room.pod("p", [room.app("app", { lifecycle: { preStop }, ...(more.ports ? { ports: more.ports } : {}) })]);
    const made = await room.request("r", "p", ["app"], { strategy: { terminationGracePeriodSeconds: more.grace ?? 10 } });
    await room.completed("r");
    return (await room.formerEnd("p", "app")) - secondsOf(made.metadata.creationTimestamp);
  };

  test("17: a command runs before the stop, in the container", async () => {
    const room = await open();
    expect(await restart(room, { exec: { command: ["sleep", "3"] } })).toBeGreaterThanOrEqual(3);
    expect(await room.events("p", "FailedPreStopHook")).toEqual([]);
  });

  test("an HTTP hook goes to the pod's own address, its port by name", async () => {
    const room = await open();
    await restart(room, { httpGet: { path: "/env", port: "http" } }, { ports: [{ name: "http", containerPort: 8080 }] });
    expect(await room.events("p", "FailedPreStopHook")).toEqual([]);
  });

  test("a sleep is slept", async () => {
    const room = await open();
    expect(await restart(room, { sleep: { seconds: 3 } })).toBeGreaterThanOrEqual(3);
  });

  test("18: a failing hook is told of, and the container is stopped all the same", async () => {
    const room = await open();
    await restart(room, { exec: { command: ["sh", "-c", "echo no >&2; exit 3"] } });
    const [event] = await room.seeEvents("p", "FailedPreStopHook", "kruise-daemon-crr");
    expect(event).toMatchObject({ type: "Warning", message: "PreStop hook of container app failed: exited with 3: no" });
    expect(containerOf(await room.now("p"), "app").restartCount).toBe(1);
  });

  test("without a grace period no hook is run", async () => {
    const room = await open();
    expect(await restart(room, { exec: { command: ["sleep", "8"] } }, { grace: 0 })).toBeLessThan(8);
  });
});

describe("faults", () => {
  test.each([0, 300, 1000, 2500, 4500])(
    "the agent is killed %i ms after the request was made: nothing is restarted twice",
    async (delayMs) => {
      const room = await open();
      const hook = { lifecycle: { preStop: { exec: { command: ["sleep", "2"] } } } };
      await room.pod("p", [room.app("app", hook), room.app("other")], { terminationGracePeriodSeconds: 10 });
      await room.request("r", "p", ["app", "other"], { strategy: { forceRecreate: true } });
      await Bun.sleep(delayMs);
      await home.daemon.kill();
      await home.daemon.restart();
      const request = await room.completed("r", 60_000);
      for (const name of ["app", "other"]) {
        expect(stateOf(request, name)).toMatchObject({ phase: "Succeeded", isKilled: true });
        expect(containerOf(await room.now("p"), name).restartCount).toBe(1);
      }
    },
  );
});

test("9: without an agent on its node it ends after a minute", async () => {
  const { status, metadata } = await unanswered;
  expect(status).toMatchObject({ message: "daemon has not responded for a long time" });
  expect(status?.containerRecreateStates).toBeUndefined();
  const seconds = secondsOf(status?.completionTime) - secondsOf(metadata.creationTimestamp);
  expect(seconds).toBeGreaterThanOrEqual(60);
});
