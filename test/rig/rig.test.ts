/** The rig itself: what other cluster tests rely on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { type ObjectLike, podAnnotations, type Rig, startRig, waitFor } from "./index.ts";
import { isReady } from "./kwok.ts";

interface ContainerStatus {
  name: string;
  image: string;
  imageID: string;
  containerID: string;
  restartCount: number;
  ready: boolean;
  state: { running?: { startedAt: string }; waiting?: { reason: string }; terminated?: { exitCode: number } };
}
interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}
interface Pod extends ObjectLike {
  spec: { nodeName?: string };
  status: {
    phase?: string;
    podIP?: string;
    startTime?: string;
    conditions?: Condition[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ kwokNodes: 2 });
}, 600_000);
afterAll(async () => {
  await rig?.stop();
}, 60_000);

const timeoutMs = 60_000;
const condition = (pod: Pod | undefined, type: string) => pod?.status.conditions?.find((entry) => entry.type === type);
const container = (image: string, name = "main") => ({ name, image });
const podObject = (name: string, spec: Record<string, unknown>, annotations: Record<string, string> = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, annotations },
  spec,
});
async function createPod(namespace: string, object: ReturnType<typeof podObject>): Promise<string> {
  await rig.admin.create(`/api/v1/namespaces/${namespace}/pods`, object);
  return `/api/v1/namespaces/${namespace}/pods/${object.metadata.name}`;
}
const seen = (path: string, what: string, holds: (pod: Pod) => boolean): Promise<Pod> =>
  waitFor(`${path} ${what}`, async () => {
    const pod = await rig.admin.get<Pod>(path);
    return pod && holds(pod) ? pod : undefined;
  });

test("the control plane serves the version it says, with the namespaces and service accounts that pods need", async () => {
  expect(await rig.admin.must<{ gitVersion: string }>("GET", "/version")).toMatchObject({ major: "1", minor: "34" });
  for (const name of ["default", "kube-system"])
    expect(await rig.admin.get(`/api/v1/namespaces/${name}/serviceaccounts/default`)).toBeDefined();
  const kubectl = await rig.kubectl(["get", "nodes", "-o", "name"]);
  expect(kubectl).toMatchObject({ code: 0, stdout: "node/kwok-0\nnode/kwok-1\n" });
});

test(
  "a Deployment of 3 becomes available on simulated nodes",
  async () => {
    const namespace = await rig.namespace();
    const labels = { app: "web" };
    await rig.apply({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web", namespace },
      spec: {
        replicas: 3,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container("example.test/web:v1")] } },
      },
    });
    await waitFor("3 available replicas", async () => {
      const deployment = await rig.admin.get<ObjectLike & { status: { availableReplicas?: number } }>(
        `/apis/apps/v1/namespaces/${namespace}/deployments/web`,
      );
      return deployment?.status.availableReplicas === 3;
    });
    const pods = await rig.admin.list<Pod>(`/api/v1/namespaces/${namespace}/pods`);
    expect(new Set(pods.map((pod) => pod.status.podIP)).size).toBe(3);
    expect(pods.every((pod) => pod.status.startTime)).toBe(true);
    await rig.admin.delete(`/apis/apps/v1/namespaces/${namespace}/deployments/web`, { propagationPolicy: "Foreground" });
    await waitFor("the pods to be gone", async () => (await rig.admin.list(`/api/v1/namespaces/${namespace}/pods`)).length === 0);
  },
  timeoutMs,
);

describe("simulated pods", () => {
  test(
    "an image changed in place restarts that container only, with a new imageID, and its pod stays",
    async () => {
      const path = await createPod(
        await rig.namespace(),
        podObject("web", { containers: [container("example.test/web:v1"), container("example.test/log:v1", "log")] }),
      );
      const before = await seen(path, "to be Ready", isReady);
      await rig.admin.patch(path, { spec: { containers: [container("example.test/web:v2")] } }, "strategic");
      const after = await seen(path, "to run v2", (pod) => pod.status.containerStatuses?.[0]?.image === "example.test/web:v2");
      const [webBefore, logBefore] = before.status.containerStatuses!;
      const [webAfter, logAfter] = after.status.containerStatuses!;
      expect(webAfter).toMatchObject({ restartCount: 1, ready: true });
      expect(webAfter!.imageID).not.toBe(webBefore!.imageID);
      expect(webAfter!.containerID).not.toBe(webBefore!.containerID);
      expect(logAfter).toEqual(logBefore!);
      expect(after.status.podIP).toBe(before.status.podIP);
      expect(condition(after, "Ready")?.lastTransitionTime).toBe(condition(before, "Ready")?.lastTransitionTime);
    },
    timeoutMs,
  );

  test(
    "Ready follows the readiness gates both ways, and conditions of others stay",
    async () => {
      const path = await createPod(
        await rig.namespace(),
        podObject("gated", { readinessGates: [{ conditionType: "InPlaceUpdateReady" }], containers: [container("example.test/web:v1")] }),
      );
      const closed = await seen(path, "to run", (pod) => condition(pod, "ContainersReady")?.status === "True");
      expect(condition(closed, "Ready")).toMatchObject({ status: "False", reason: "ReadinessGatesNotReady" });
      const gate = (status: string) =>
        rig.admin.patch(
          `${path}/status`,
          {
            status: {
              conditions: [
                { type: "InPlaceUpdateReady", status },
                { type: "Custom", status: "True" },
              ],
            },
          },
          "strategic",
        );
      await gate("True");
      await seen(path, "to be Ready", isReady);
      await gate("False");
      await seen(path, "to be not Ready", (pod) => !isReady(pod));
      await rig.admin.patch(path, { spec: { containers: [container("example.test/web:v2")] } }, "strategic");
      const updated = await seen(path, "to run v2", (pod) => pod.status.containerStatuses?.[0]?.restartCount === 1);
      expect(condition(updated, "Custom")?.status).toBe("True");
      expect(condition(updated, "InPlaceUpdateReady")?.status).toBe("False");
      expect(isReady(updated)).toBe(false);
      await gate("True");
      await seen(path, "to be Ready again", isReady);
    },
    timeoutMs,
  );

  test(
    "annotations hold readiness back and let it go",
    async () => {
      const path = await createPod(
        await rig.namespace(),
        podObject("held", { containers: [container("example.test/web:v1")] }, { [podAnnotations.neverReady]: "true" }),
      );
      const held = await seen(path, "to run", (pod) => pod.status.phase === "Running");
      expect(condition(held, "Ready")).toMatchObject({
        status: "False",
        reason: "ContainersNotReady",
        message: "containers with unready status: [main]",
      });
      await rig.admin.patch(path, { metadata: { annotations: { [podAnnotations.neverReady]: null } } });
      await seen(path, "to be Ready", isReady);
      await rig.admin.patch(path, { metadata: { annotations: { [podAnnotations.neverReady]: "main" } } });
      await seen(path, "to be held again", (pod) => !isReady(pod));
      await rig.admin.patch(path, {
        metadata: { annotations: { [podAnnotations.neverReady]: null, [podAnnotations.readyDelaySeconds]: "1" } },
      });
      await seen(path, "to be Ready after the delay", isReady);
    },
    timeoutMs,
  );

  test(
    "images that cannot be pulled or crash keep a pod from being ready until they are replaced",
    async () => {
      const path = await createPod(await rig.namespace(), podObject("bad", { containers: [container("example.test/web:bad")] }));
      const waiting = await seen(
        path,
        "to wait for its image",
        (pod) => pod.status.containerStatuses?.[0]?.state.waiting?.reason === "ImagePullBackOff",
      );
      expect(waiting.status.phase).toBe("Pending");
      await rig.admin.patch(path, { spec: { containers: [container("example.test/web:broken")] } }, "strategic");
      await seen(path, "to crash", (pod) => pod.status.containerStatuses?.[0]?.state.waiting?.reason === "CrashLoopBackOff");
      await rig.admin.patch(path, { spec: { containers: [container("example.test/web:v1")] } }, "strategic");
      const good = await seen(path, "to be Ready", isReady);
      expect(good.status.phase).toBe("Running");
      await rig.admin.patch(path, { spec: { containers: [container("example.test/web:bad2")] } }, "strategic");
      const stuck = await seen(
        path,
        "to wait again",
        (pod) => pod.status.containerStatuses?.[0]?.state.waiting?.reason === "ImagePullBackOff",
      );
      expect(stuck.status.containerStatuses?.[0]?.imageID).toBe(good.status.containerStatuses![0]!.imageID);
      expect(isReady(stuck)).toBe(false);
    },
    timeoutMs,
  );

  test(
    "init containers, sidecars that last, claims and ephemeral containers",
    async () => {
      const namespace = await rig.namespace();
      await rig.apply({
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name: "data", namespace },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
      });
      const path = await createPod(
        namespace,
        podObject("full", {
          initContainers: [
            container("example.test/init:v1", "init"),
            { ...container("example.test/mesh:v1", "mesh"), restartPolicy: "Always" },
          ],
          containers: [{ ...container("example.test/web:v1"), resources: { requests: { cpu: "100m" } } }],
          volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
        }),
      );
      const pod = await seen(path, "to be Ready", isReady);
      expect(pod.status.initContainerStatuses?.map((status) => [status.name, status.state.terminated?.exitCode ?? "running"])).toEqual([
        ["init", 0],
        ["mesh", "running"],
      ]);
      await rig.admin.patch(path, { spec: { initContainers: [container("example.test/mesh:v2", "mesh")] } }, "strategic");
      await seen(path, "to restart its sidecar", (now) => now.status.initContainerStatuses?.[1]?.restartCount === 1);
      await rig.admin.patch(
        `${path}/ephemeralcontainers`,
        { spec: { ephemeralContainers: [container("example.test/debug:v1", "debug")] } },
        "strategic",
      );
      await seen(
        path,
        "to end its ephemeral container",
        (now) => JSON.stringify(now.status).includes('"name":"debug"') && JSON.stringify(now.status).includes('"exitCode":0'),
      );
    },
    timeoutMs,
  );

  test(
    "a Job's pods complete, or fail when told to",
    async () => {
      const namespace = await rig.namespace();
      const job = (name: string, annotations: Record<string, string>) => ({
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: { name, namespace },
        spec: {
          backoffLimit: 0,
          template: { metadata: { annotations }, spec: { restartPolicy: "Never", containers: [container("example.test/job:v1")] } },
        },
      });
      await rig.apply(job("good", {}), job("failing", { [podAnnotations.exitCode]: "3" }));
      const has = (name: string, type: string) =>
        waitFor(`job ${name} ${type}`, async () =>
          (await rig.admin.get<Pod>(`/apis/batch/v1/namespaces/${namespace}/jobs/${name}`))?.status.conditions?.some(
            (entry) => entry.type === type && entry.status === "True",
          ),
        );
      await has("good", "Complete");
      await has("failing", "Failed");
    },
    timeoutMs,
  );
});

test(
  "a service account's kubeconfig is allowed what the account is",
  async () => {
    const namespace = await rig.namespace();
    const kubeconfig = await rig.plane.kubeconfigOf(namespace, "default");
    const asked = await rig.kubectl(["--kubeconfig", kubeconfig, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    expect(asked.stdout).toBe(`system:serviceaccount:${namespace}:default`);
    expect((await rig.kubectl(["--kubeconfig", kubeconfig, "get", "pods", "-n", namespace])).stderr).toContain("Forbidden");
  },
  timeoutMs,
);

test(
  "the API server restarts at the same address and remembers",
  async () => {
    const namespace = await rig.namespace();
    await rig.plane.restartApiserver(async () => {
      await expect(rig.admin.request("GET", "/readyz")).rejects.toThrow();
    });
    expect(await rig.admin.get(`/api/v1/namespaces/${namespace}`)).toBeDefined();
  },
  timeoutMs,
);

test(
  "a rig leaves no process behind",
  async () => {
    const own = await startRig({ kwokNodes: 1 });
    const pids = [...own.plane.processes, own.kwok.process].map((process) => process.pid);
    expect(pids).toHaveLength(5);
    await own.stop();
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(existsSync(own.stateDir)).toBe(false);
  },
  timeoutMs,
);
