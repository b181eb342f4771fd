/** A real node: real containers in real pods. Needs root, and Debian's packages (see debian.ts). */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { type ObjectLike, type Rig, startRig, waitFor } from "./index.ts";
import { isReady } from "./kwok.ts";
import { mountsBelow, shimsOf } from "./node-cleanup.ts";

interface Pod extends ObjectLike {
  status: {
    phase?: string;
    podIP?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: {
      image: string;
      imageID: string;
      containerID: string;
      restartCount: number;
      ready: boolean;
      state: Record<string, { reason?: string }>;
    }[];
  };
}

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ kwokNodes: 0, realNodes: 2 });
}, 900_000);
afterAll(async () => {
  await rig?.stop();
}, 120_000);

const timeoutMs = 90_000;
const runningMsMax = 20_000;

async function createPod(name: string, spec: Record<string, unknown>): Promise<{ namespace: string; path: string }> {
  const namespace = await rig.namespace();
  await rig.admin.create(`/api/v1/namespaces/${namespace}/pods`, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { nodeSelector: { "kubernetes.io/hostname": "node-0" }, terminationGracePeriodSeconds: 5, ...spec },
  });
  return { namespace, path: `/api/v1/namespaces/${namespace}/pods/${name}` };
}
const seen = (path: string, what: string, holds: (pod: Pod) => boolean, waitMs = 60_000): Promise<Pod> =>
  waitFor(
    `${path} ${what}`,
    async () => {
      const pod = await rig.admin.get<Pod>(path);
      return pod && holds(pod) ? pod : undefined;
    },
    { timeoutMs: waitMs },
  );
const main = (tag: string) => ({ name: "main", image: rig.registry.image("app", tag) });
const versionAt = async (ip: string | undefined) => (await fetch(`http://${ip}:8080/`, { signal: AbortSignal.timeout(1_000) })).text();

test(
  "a pod runs, answers, and its image changed in place restarts the container in the same pod",
  async () => {
    const { namespace, path } = await createPod("web", {
      containers: [{ ...main("v1"), resources: { limits: { cpu: "200m", memory: "64Mi" } } }],
    });
    const before = await seen(path, "to be Ready", isReady, runningMsMax);
    await waitFor("version v1", async () => (await versionAt(before.status.podIP)) === "v1\n");

    const hello = await rig.kubectl(["exec", "-n", namespace, "web", "--", "sh", "-c", "echo hello from $HOSTNAME"]);
    expect(hello).toMatchObject({ code: 0, stdout: "hello from web\n" });
    expect((await rig.kubectl(["logs", "-n", namespace, "web"])).stdout).toContain("app v1 started");

    await rig.admin.patch(path, { spec: { containers: [main("v2")] } }, "strategic");
    const after = await seen(path, "to run v2", (pod) => isReady(pod) && pod.status.containerStatuses?.[0]?.restartCount === 1);
    await waitFor("version v2", async () => (await versionAt(after.status.podIP)) === "v2\n");
    expect(after.metadata.uid).toBe(before.metadata.uid!);
    expect(after.status.podIP).toBe(before.status.podIP!);
    expect(after.status.containerStatuses![0]!.imageID).not.toBe(before.status.containerStatuses![0]!.imageID);
    expect((await rig.kubectl(["logs", "-n", namespace, "web", "--previous"])).stdout).toContain("app v1 stopping");

    await rig.admin.delete(path);
    await waitFor("the pod to be gone", async () => (await rig.admin.get(path)) === undefined);
  },
  timeoutMs,
);

test(
  "readiness gates, probes and broken images behave as on any node",
  async () => {
    const gated = await createPod("gated", {
      readinessGates: [{ conditionType: "InPlaceUpdateReady" }],
      containers: [{ ...main("v1"), readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 } }],
    });
    const closed = await seen(gated.path, "to have ready containers", (pod) => pod.status.containerStatuses?.[0]?.ready === true);
    expect(isReady(closed)).toBe(false);
    await rig.admin.patch(
      `${gated.path}/status`,
      { status: { conditions: [{ type: "InPlaceUpdateReady", status: "True" }] } },
      "strategic",
    );
    await seen(gated.path, "to be Ready", isReady);

    const broken = await createPod("broken", { containers: [main("broken")] });
    await seen(broken.path, "to crash", (pod) => (pod.status.containerStatuses?.[0]?.restartCount ?? 0) >= 1);
    const absent = await createPod("absent", { containers: [main("no-such-tag")] });
    await seen(absent.path, "to lack its image", (pod) =>
      /ErrImagePull|ImagePullBackOff/.test(pod.status.containerStatuses?.[0]?.state["waiting"]?.reason ?? ""),
    );
  },
  timeoutMs,
);

test(
  "the registry asks for passwords, and secrets answer",
  async () => {
    rig.registry.rule("app", { credentials: { username: "robot", password: "secret" } });
    const namespace = await rig.namespace();
    const auths = { "registry.test": { username: "robot", password: "secret" } };
    await rig.apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "pull", namespace },
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": JSON.stringify({ auths }) },
    });
    await rig.admin.create(`/api/v1/namespaces/${namespace}/pods`, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "private" },
      spec: { nodeName: "node-1", imagePullSecrets: [{ name: "pull" }], containers: [{ ...main("v3"), imagePullPolicy: "Always" }] },
    });
    await seen(`/api/v1/namespaces/${namespace}/pods/private`, "to be Ready", isReady);
    rig.registry.rule("app", undefined);
  },
  timeoutMs,
);

test(
  "a rig with a running pod leaves no process, mount, bridge or cgroup behind",
  async () => {
    const own = await startRig({ kwokNodes: 0, realNodes: 1 });
    const { traces, containerd, kubelet } = own.nodes[0]!;
    await own.apply({ apiVersion: "v1", kind: "Pod", metadata: { name: "web", namespace: "default" }, spec: { containers: [main("v1")] } });
    await waitFor("the pod to be Ready", async () => isReady((await own.admin.get<Pod>("/api/v1/namespaces/default/pods/web")) ?? {}));
    expect(shimsOf(traces)).toHaveLength(1);
    expect(mountsBelow(traces.dir).length).toBeGreaterThan(0);
    await own.stop();
    expect(shimsOf(traces)).toEqual([]);
    expect([containerd.pid, kubelet.pid].filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(mountsBelow(own.stateDir)).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(own.stateDir);
    expect(existsSync(`/sys/class/net/${traces.bridge}`)).toBe(false);
    expect(existsSync(`/sys/fs/cgroup/memory${traces.cgroup}`)).toBe(false);
    expect(existsSync(own.stateDir)).toBe(false);
  },
  timeoutMs,
);
