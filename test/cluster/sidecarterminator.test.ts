/** SidecarTerminator on a real control plane: its requests pass our own webhooks, and pods end as the API server sees it. Numbers are those of its acceptance list. */
import { beforeAll, expect, test } from "bun:test";
import type { ContainerRecreateRequest } from "../../src/api/containerrecreaterequest.ts";
import type { EnvVar, Pod } from "../../src/kube/types.ts";
import { collectedMs, podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";
import { guarded, Yard } from "./guards.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await guarded());
}, startTimeoutMs);

const ends: EnvVar = { name: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", value: "true" };
const ignored: EnvVar = { name: "KRUISE_TERMINATE_SIDECAR_IGNORE_EXIT_CODE", value: "true" };
const byImage: EnvVar = { name: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE", value: "quick:1" };

async function job(exitCode: string, env: EnvVar[], nodeName?: string) {
  const yard = await Yard.open(rig);
  const pod = await rig.admin.create<Pod>(yard.pods(), {
    metadata: { name: "job", annotations: { [podAnnotations.exitCode]: exitCode, [podAnnotations.runSeconds]: "1" } },
    spec: {
      restartPolicy: "Never",
      ...(nodeName === undefined ? {} : { nodeName }),
      containers: [
        { name: "main", image: "main:v1" },
        { name: "side", image: "side:v1", env },
      ],
    },
  });
  const path = `/apis/apps.kruise.io/v1beta1/namespaces/${yard.namespace}/containerrecreaterequests/sidecar-termination-${pod.metadata.uid}`;
  return { yard, pod, path, request: () => rig.admin.get<ContainerRecreateRequest>(path), now: () => rig.admin.get<Pod>(yard.pods("job")) };
}

test("1, 18: a request is made and let in, told, and goes with the pod", async () => {
  const { yard, pod, request } = await job("0", [ends]);
  const made = await waitFor("the request", request);
  expect(made.spec).toMatchObject({
    podName: "job",
    containers: [{ name: "side" }],
    strategy: { forceRecreate: true, failurePolicy: "Ignore" },
  });
  expect(made.metadata.ownerReferences).toMatchObject([{ kind: "Pod", uid: pod.metadata.uid, controller: true }]);
  // Our own webhook has filled in what it knows of the pod.
  expect(made.spec.containers[0]?.statusContext?.containerID).toStartWith("containerd://");
  await waitFor("the event", async () => (await yard.events("SidecarTerminator")).length === 1);
  await yard.delete("job", "?gracePeriodSeconds=0");
  await waitFor("the request to be collected", async () => (await request()) === undefined, { timeoutMs: collectedMs });
}, 240_000);

test.each([
  ["9", "0", "Succeeded"],
  ["10", "1", "Failed"],
])("%s: exit codes ignored, main ended with %s: %s, and the request is let in all the same", async (_, exitCode, phase) => {
  const { now, request } = await job(exitCode, [ends, ignored]);
  const ended = await waitFor(`phase ${phase}`, async () => {
    const pod = await now();
    return pod?.status?.phase === phase ? pod : undefined;
  });
  expect(ended.status?.conditions).toContainEqual(
    expect.objectContaining({ type: "SidecarTerminated", status: "True", message: "Terminated by Sidecar Terminator" }),
  );
  await waitFor("the request", request);
});

test("12: on a virtual node by another image", async () => {
  const node = rig.kwok.nodeNames[0] ?? "";
  await rig.admin.patch(`/api/v1/nodes/${node}`, { metadata: { labels: { type: "virtual-kubelet" } } });
  try {
    const { now, request } = await job("0", [ends, byImage], node);
    await waitFor("the image", async () => (await now())?.spec.containers[1]?.image === "quick:1");
    expect(await request()).toBeUndefined();
  } finally {
    await rig.admin.patch(`/api/v1/nodes/${node}`, { metadata: { labels: { type: null } } });
  }
}, 60_000);
