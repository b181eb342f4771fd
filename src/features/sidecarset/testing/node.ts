/** Pods as a kubelet would run them: what the spec asks for is reported when the test says so. */
import type { World } from "../../../engine/testing/harness.ts";
import { keyOf } from "../../../kube/kind.ts";
import { pods } from "../../../kube/kinds.ts";
import { formatTime } from "../../../kube/time.ts";
import type { ContainerStatus, Pod } from "../../../kube/types.ts";

export interface RunOptions {
  /** Containers that run, and are not ready. */
  readonly notReady?: readonly string[];
  readonly nowMs?: number;
}

/** The container runs exactly the image that the spec names. */
function statusFor(pod: Pod, name: string, image: string, { notReady = [], nowMs = 0 }: RunOptions): ContainerStatus {
  const old = pod.status?.containerStatuses?.find((status) => status.name === name);
  const same = old?.image === image;
  return {
    name,
    image,
    imageID: `example.com/${image.split(":")[0]}@sha256:${Bun.hash(image).toString(16).padStart(64, "0")}`,
    containerID: same ? old.containerID : `containerd://${Bun.hash(`${name}${image}${nowMs}${old?.restartCount ?? 0}`).toString(16)}`,
    ready: !notReady.includes(name),
    restartCount: (old?.restartCount ?? -1) + (same ? 0 : 1),
    state: { running: { startedAt: same ? (old.state?.running?.startedAt ?? "") : formatTime(nowMs) } },
  };
}

export function ran(pod: Pod, options: RunOptions = {}): Pod["status"] {
  const containerStatuses = pod.spec.containers.map(({ name, image = "" }) => statusFor(pod, name, image, options));
  const ready = containerStatuses.every((status) => status.ready) ? "True" : "False";
  return {
    ...pod.status,
    phase: "Running",
    conditions: [
      ...(pod.status?.conditions ?? []).filter(({ type }) => type !== "Ready"),
      { type: "Ready", status: ready, lastTransitionTime: formatTime(options.nowMs ?? 0) },
    ],
    containerStatuses,
  };
}

/** Whether what runs differs from what the spec asks for. */
export function lags(pod: Pod): boolean {
  return pod.spec.containers.some(
    ({ name, image }) => pod.status?.containerStatuses?.find((status) => status.name === name)?.image !== image,
  );
}

/** The kubelet catches up with one pod. */
export function run(world: World, pod: Pod, options: RunOptions = {}): void {
  world.edit<Pod>(pods, keyOf(pod), (object) => {
    object.status = ran(object, options);
  });
}

/** The kubelets catch up with all pods; @returns how many had something to do */
export function runAll(world: World, options: RunOptions = {}): number {
  const behind = world
    .all<Pod>(pods)
    .filter((pod) => lags(pod) || pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status !== "True"));
  for (const pod of behind) run(world, pod, options);
  return behind.length;
}
