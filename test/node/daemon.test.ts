/** The node agent on a real node: its endpoints, what it reports of pods, and what it is allowed to do. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { annotation } from "../../src/api/names.ts";
import { knownSockets } from "../../src/daemon/cri/detect.ts";
import { envHash } from "../../src/kube/canonical/hash.ts";
import type { Pod } from "../../src/kube/types.ts";
import { ApiClient, type ObjectLike, type Rig, waitFor } from "../rig/index.ts";
import { conditionOf, containerOf, containersOf, type House, house, type KubeEvent, Room, startTimeoutMs } from "./house.ts";

let home: House;
let rig: Rig;
beforeAll(async () => {
  home = await house();
  rig = home.rig;
}, startTimeoutMs);

interface Meta {
  readonly name: string;
  readonly containerID: string;
  readonly restartCount: number;
  readonly hashes: { readonly plainHash: number; readonly extractedEnvFromMetadataHash?: number };
}
const metaOf = (pod: Pod): readonly Meta[] | undefined => {
  const text = pod.metadata.annotations?.[annotation.runtimeContainersMeta];
  return text === undefined ? undefined : (JSON.parse(text) as { containers: Meta[] }).containers;
};
const metaFor = (pod: Pod, name: string): Meta | undefined => metaOf(pod)?.find((meta) => meta.name === name);
/** Whether the report is of the containers that run now. */
const isReported = (pod: Pod): boolean =>
  containersOf(pod).length > 0 &&
  containersOf(pod).every(({ name, containerID }) => containerID && metaFor(pod, name)?.containerID === containerID);

const fromLabel = { name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.labels['x']" } } };

/** A CloneSet with one pod on the real node. */
async function cloneSet(room: Room, containers: readonly object[], labels: Record<string, string> = {}, spec: object = {}): Promise<void> {
  await rig.admin.create(`/apis/apps.kruise.io/v1beta1/namespaces/${room.namespace}/clonesets`, {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { name: "web" },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "web" } },
      updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible" } },
      template: {
        metadata: { labels: { app: "web", ...labels } },
        spec: {
          nodeSelector: { type: "real" },
          terminationGracePeriodSeconds: 3,
          containers: containers.map((container, index) => {
            const { env = [], ...rest } = container as { env?: object[] };
            return { ...rest, env: [{ name: "PORT", value: String(8080 + index) }, ...env] };
          }),
        },
      },
      ...spec,
    },
  });
}
const podOf = async (room: Room): Promise<Pod | undefined> =>
  (await rig.admin.list<Pod>(`/api/v1/namespaces/${room.namespace}/pods?labelSelector=app=web`))[0];
const see = (room: Room, what: string, holds: (pod: Pod) => unknown, timeoutMs = 60_000): Promise<Pod> =>
  waitFor(
    `the pod ${what}`,
    async () => {
      const pod = await podOf(room);
      return pod && holds(pod) ? pod : undefined;
    },
    { timeoutMs },
  );

describe("endpoints", () => {
  test("5: healthy once everything is listed, and measured", async () => {
    expect(await (await fetch(`${home.daemon.healthUrl}/healthz`)).text()).toBe("ok");
    const metrics = await fetch(home.daemon.metricsUrl);
    expect(metrics.status).toBe(200);
    const text = await metrics.text();
    for (const name of ["process_resident_memory_bytes", "rest_client_requests_total", 'workqueue_unfinished_work_seconds{name="crr"}'])
      expect(text).toContain(name);
  });

  test("6: an agent that may not list stays unhealthy, and says what is missing", async () => {
    await rig.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "nobody", namespace: "kruise-system" } });
    await home.daemon.stop();
    const agent = await rig.startDaemon(home.node, { serviceAccount: { namespace: "kruise-system", name: "nobody" }, waitReady: false });
    try {
      const answer = await waitFor("the agent to answer", () => fetch(`${agent.healthUrl}/healthz`));
      expect(answer.status).toBe(500);
      expect(await answer.text()).toContain("nodeImageInformerSynced failed");
      await waitFor("a few refused lists", async () =>
        (await (await fetch(agent.metricsUrl)).text()).match(/rest_client_requests_total\{code="403".*\} [2-9]/),
      );
      expect((await fetch(`${agent.healthUrl}/healthz`)).status).toBe(500);
    } finally {
      await agent.stop();
      await home.daemon.restart();
    }
  });

  test("18: asked to stop it ends with 0 within ten seconds, also in the middle of work", async () => {
    const room = await Room.open(rig);
    await room.pod("p", [room.app("app", { lifecycle: { preStop: { exec: { command: ["sleep", "20"] } } } })]);
    await room.request("r", "p", ["app"], { strategy: { terminationGracePeriodSeconds: 30 } });
    await room.seeEvents("p", "Killing", "kruise-daemon-crr");
    const startMs = performance.now();
    await home.daemon.stop();
    expect(performance.now() - startMs).toBeLessThan(10_000);
    expect(await home.daemon.process.exited).toBe(0);
    await home.daemon.restart();
    await rig.admin.delete(`${room.podPath("p")}?gracePeriodSeconds=0`);
  });
});

describe("reports", () => {
  test("7, 9, 11: a CloneSet's pod, and one of its containers after a restart", async () => {
    const room = await Room.open(rig);
    await cloneSet(room, [room.app("app", { env: [fromLabel] }), room.app("other")], { x: "foo" });
    const pod = await see(room, "to be reported", isReported);
    for (const name of ["app", "other"]) {
      expect(metaFor(pod, name)).toMatchObject({ containerID: containerOf(pod, name).containerID!, restartCount: 0 });
      expect(metaFor(pod, name)?.hashes.plainHash).toBeGreaterThan(0);
    }
    expect(metaFor(pod, "app")?.hashes.extractedEnvFromMetadataHash).toBe(envHash([{ name: "A", value: "foo" }]));
    expect(metaFor(pod, "other")?.hashes.extractedEnvFromMetadataHash).toBe(86995377);
    await rig.kubectl(["-n", room.namespace, "exec", pod.metadata.name, "-c", "app", "--", "kill", "1"]);
    const after = await see(room, "to be reported again", (now) => containerOf(now, "app").restartCount === 1 && isReported(now));
    expect(metaFor(after, "app")).toMatchObject({ restartCount: 1 });
    expect(metaFor(after, "other")).toEqual(metaFor(pod, "other")!);
    // 10: nothing changed, so an agent that starts writes nothing.
    await home.daemon.stop();
    await home.daemon.restart();
    const version = (await podOf(room))?.metadata.resourceVersion;
    await waitFor("the agent to have looked", async () =>
      (await (await fetch(home.daemon.metricsUrl)).text()).includes("process_cpu_seconds_total"),
    );
    await Bun.sleep(3000);
    expect((await podOf(room))?.metadata.resourceVersion).toBe(version!);
    expect(await (await fetch(home.daemon.metricsUrl)).text()).not.toContain('kruiser_daemon_meta_reports_total{result="written"}');
  });

  test("8, 10: other pods are not reported on, unless a SidecarSet has put something into them", async () => {
    const room = await Room.open(rig);
    await room.pod("plain", [room.app("app")]);
    await room.pod("injected", [room.app("app")], {}, { annotations: { "kruise.io/sidecarset-hash": "{}" } });
    await room.seePod("injected", "to be reported", isReported);
    expect(metaOf(await room.now("plain"))).toBeUndefined();
  });

  test("12: in-place update of an environment from labels: the agent restarts the container, the CloneSet sees it done", async () => {
    const room = await Room.open(rig);
    await cloneSet(room, [room.app("app", { env: [fromLabel] }), room.app("other")], { x: "foo" });
    const before = await see(room, "to be reported and ready", (pod) => isReported(pod) && conditionOf(pod, "Ready")?.status === "True");
    await rig.admin.patch(`/apis/apps.kruise.io/v1beta1/namespaces/${room.namespace}/clonesets/web`, {
      spec: { template: { metadata: { labels: { x: "bar" } } } },
    });
    const after = await see(
      room,
      "to be updated in place",
      (pod) => containerOf(pod, "app").restartCount === 1 && conditionOf(pod, "InPlaceUpdateReady")?.status === "True" && isReported(pod),
      60_000,
    );
    expect(after.metadata.uid).toBe(before.metadata.uid);
    expect(metaFor(after, "app")?.hashes.extractedEnvFromMetadataHash).toBe(envHash([{ name: "A", value: "bar" }]));
    expect(containerOf(after, "other").containerID).toBe(containerOf(before, "other").containerID!);
    const environment = await (await fetch(`http://${after.status?.podIP}:8080/env`)).text();
    expect(environment).toContain("A=bar");
    const [event] = await room.seeEvents(after.metadata.name, "Killing", "kruise-daemon-containermeta");
    expect(event?.message).not.toContain(containerOf(before, "app").containerID?.replace("containerd://", "") ?? "?");
    await waitFor("the CloneSet to count it", async () => {
      const set = await rig.admin.get<
        ObjectLike & { status: { updatedReadyReplicas: number; currentRevision: string; updateRevision: string } }
      >(`/apis/apps.kruise.io/v1beta1/namespaces/${room.namespace}/clonesets/web`);
      return set?.status.updatedReadyReplicas === 1 && set.status.currentRevision === set.status.updateRevision;
    });
  });

  test("13: without an in-place update a changed label restarts nothing", async () => {
    const room = await Room.open(rig);
    await cloneSet(room, [room.app("app", { env: [fromLabel] })], { x: "foo" });
    const pod = await see(room, "to be reported", isReported);
    await rig.admin.patch(room.podPath(pod.metadata.name), { metadata: { labels: { x: "bar" } } });
    await Bun.sleep(6000);
    const after = await see(room, "to be as it was", isReported);
    expect(containerOf(after, "app").restartCount).toBe(0);
    expect(metaFor(after, "app")?.hashes.extractedEnvFromMetadataHash).toBe(envHash([{ name: "A", value: "foo" }]));
  });

  test("14: without the gate for environments nothing is said of them", async () => {
    await home.daemon.stop();
    const agent = await rig.startDaemon(home.node, { flags: ["--feature-gates=InPlaceUpdateEnvFromMetadata=false"] });
    try {
      const room = await Room.open(rig);
      await cloneSet(room, [room.app("app", { env: [fromLabel] })], { x: "foo" });
      const pod = await see(room, "to be reported", isReported);
      expect(metaFor(pod, "app")?.hashes).toEqual({ plainHash: metaFor(pod, "app")!.hashes.plainHash });
    } finally {
      await agent.stop();
      await home.daemon.restart();
    }
  });

  test("15: without the gate for pods none are watched, and none are reported on; requests are served all the same", async () => {
    await home.daemon.stop();
    const agent = await rig.startDaemon(home.node, { flags: ["--feature-gates=DaemonWatchingPod=false", "--v=5"] });
    try {
      const room = await Room.open(rig);
      await cloneSet(room, [room.app("app", { lifecycle: { preStop: { sleep: { seconds: 1 } } } })]);
      const pod = await see(room, "to run", (now) => containersOf(now)[0]?.state?.running);
      await room.request("r", pod.metadata.name, ["app"]);
      await room.completed("r");
      expect(await room.events(pod.metadata.name, "FailedPreStopHook")).toEqual([]);
      expect(metaOf((await podOf(room))!)).toBeUndefined();
      const works = (await Bun.file(agent.logPath).text()).split("\n").findLast((line) => line.includes("kruise-daemon works"));
      expect(works).toContain("kruise-daemon-crr");
      expect(works).not.toContain("containermeta");
    } finally {
      await agent.stop();
      await home.daemon.restart();
    }
  });
});

describe("rights", () => {
  const as = async (pod?: { namespace: string; name: string; uid: string }): Promise<ApiClient> => {
    const { status } = await rig.admin.must<{ status: { token: string } }>(
      "POST",
      "/api/v1/namespaces/kruise-system/serviceaccounts/kruise-daemon/token",
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        metadata: {},
        spec: {
          expirationSeconds: 3600,
          ...(pod ? { boundObjectRef: { apiVersion: "v1", kind: "Pod", name: pod.name, uid: pod.uid } } : {}),
        },
      },
    );
    return new ApiClient(rig.url, rig.admin.caPem, { token: status.token });
  };
  const code = async (client: ApiClient, method: string, path: string, body?: object) =>
    (await client.request(method, path, body, method === "PATCH" ? "merge" : "json")).status;

  test("20: secrets nowhere but in its own namespace, and nothing of a pod but its status", async () => {
    const agent = await as();
    expect(await code(agent, "GET", "/api/v1/secrets")).toBe(403);
    expect(await code(agent, "GET", "/api/v1/namespaces/kruise-system/secrets")).toBe(403);
    expect(await code(agent, "GET", "/api/v1/namespaces/default/secrets")).toBe(403);
    const room = await Room.open(rig);
    await room.pod("p", [room.app("app")]);
    expect(await code(agent, "PATCH", room.podPath("p"), { metadata: { labels: { a: "b" } } })).toBe(403);
    expect(await code(agent, "DELETE", room.podPath("p"))).toBe(403);
    expect(await code(agent, "GET", room.podPath("p"))).toBe(200);
  });

  test("an agent writes only what is of its own node", async () => {
    const room = await Room.open(rig);
    await rig.admin.create("/api/v1/namespaces/kruise-system/pods", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "agent" },
      spec: { nodeName: "kwok-0", serviceAccountName: "kruise-daemon", containers: [{ name: "daemon", image: "kruise:v1" }] },
    });
    const { metadata } = await rig.admin.must<ObjectLike>("GET", "/api/v1/namespaces/kruise-system/pods/agent");
    const agent = await as({ namespace: "kruise-system", name: "agent", uid: metadata.uid! });
    await room.pod("here", [room.app("app")]);
    const annotated = { metadata: { annotations: { a: "b" } } };
    expect(await code(agent, "PATCH", `${room.podPath("here")}/status`, annotated)).toBe(403);
    expect(await code(agent, "PATCH", "/api/v1/namespaces/kruise-system/pods/agent/status", annotated)).toBe(200);
    await rig.admin.delete("/api/v1/namespaces/kruise-system/pods/agent?gracePeriodSeconds=0");
  });
});

describe("sockets", () => {
  /** Also what happens to the agent while it looks is real: no agent but this one runs. */
  const alone = async (work: () => Promise<void>): Promise<void> => {
    await home.daemon.stop();
    try {
      await work();
    } finally {
      await home.daemon.restart();
    }
  };
  const without = async (flags: readonly string[]) => {
    const startMs = performance.now();
    const agent = await rig.startDaemon(home.node, { flags, waitReady: false });
    const health = await waitFor("the agent to answer", async () => await (await fetch(`${agent.healthUrl}/healthz`)).text());
    const code = await agent.process.exited;
    return { health, code, tail: agent.process.tail(), seconds: (performance.now() - startMs) / 1000 };
  };
  const seeEvent = (text: string) =>
    waitFor("the event of the node that has no runtime", async () => {
      const events = await rig.admin.list<KubeEvent>("/api/v1/namespaces/default/events");
      return events.find(({ reason, message }) => reason === "NoContainerRuntime" && message.includes(text));
    });

  test("2: the one that is named is not there, and no other is tried; none is there at all: it is told, and the agent ends", () =>
    alone(async () => {
      const named = await without(["--socket-file=missing.sock", `--socket-dir=${home.node.dir}`]);
      expect(named.code).toBe(1);
      expect(named.tail).toContain(`${home.node.dir}/missing.sock: not there`);
      const dir = mkdtempSync(join(rig.stateDir, "empty-"));
      const none = await without(["--socket-file=", `--socket-dir=${dir}`]);
      expect(none.code).toBe(1);
      expect(none.health).toContain("containerRuntime failed: no usable container runtime yet");
      expect(none.seconds).toBeLessThan(12);
      const event = await seeEvent(dir);
      expect(event).toMatchObject({
        type: "Warning",
        source: { host: home.node.name },
        involvedObject: { kind: "NodeImage", name: home.node.name },
      });
      for (const socket of knownSockets) expect(event.message).toContain(`${dir}/${socket}: not there`);
      expect(event.message).toContain("daemon.socketLocation");
      await seeEvent(`${home.node.dir}/missing.sock: not there`);
    }));

  test("3: one in the mounted folder is found; one that comes later is used without a restart", () =>
    alone(async () => {
      const known = await rig.startDaemon(home.node, { flags: ["--socket-file=", `--socket-dir=${home.node.dir}`] });
      expect(await Bun.file(known.logPath).text()).toContain(`${home.node.dir}/containerd.sock: good`);
      await known.stop();
      const dir = mkdtempSync(join(rig.stateDir, "late-"));
      const late = await rig.startDaemon(home.node, {
        flags: [`--socket-file=/run/${basename(dir)}/runtime.sock`, `--socket-dir=${dir}`],
        waitReady: false,
      });
      await waitFor("the agent to look", async () => (await fetch(`${late.healthUrl}/healthz/containerRuntime`)).status === 500);
      symlinkSync(home.node.containerdAddress, join(dir, "runtime.sock"));
      await waitFor("the agent to find it", async () => (await fetch(`${late.healthUrl}/healthz`)).ok);
      expect(late.process.running()).toBe(true);
      await late.stop();
    }));
});
