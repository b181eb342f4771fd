/** The containers of a pod as the runtime shows them, in the terms of the kubelet that made them. */
import type { RuntimeService } from "../cri/client.ts";
import { type Called, type CallOptions, grpcCode } from "../cri/grpc.ts";
import { type Container, type ContainerStatus, containerState } from "../cri/messages.ts";

/** Names that the kubelet writes on containers. */
export const kubelet = {
  podName: "io.kubernetes.pod.name",
  podNamespace: "io.kubernetes.pod.namespace",
  podUid: "io.kubernetes.pod.uid",
  containerName: "io.kubernetes.container.name",
  /** Hexadecimal, 32 bits. */
  hash: "io.kubernetes.container.hash",
  restartCount: "io.kubernetes.container.restartCount",
  /** Seconds. */
  deletionGracePeriod: "io.kubernetes.pod.deletionGracePeriod",
  terminationGracePeriod: "io.kubernetes.pod.terminationGracePeriod",
  /** JSON of a LifecycleHandler. */
  preStopHandler: "io.kubernetes.container.preStopHandler",
  /** JSON of a list of ContainerPort. */
  ports: "io.kubernetes.container.ports",
} as const;

export interface PodContainer {
  /** Of the container in the pod. */
  readonly name: string;
  /** "containerd://abc" */
  readonly id: string;
  /** As the runtime calls it: "abc". */
  readonly runtimeId: string;
  readonly state: "created" | "running" | "exited" | "unknown";
  readonly createdAtMs: number;
  /** Absent while it was only created. */
  readonly startedAtMs?: number;
  /** Only when it has exited. */
  readonly exitCode?: number;
  readonly restartCount: number;
  /** The kubelet's hash of the container's spec. */
  readonly plainHash: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The newest container of each name: the one that counts. */
export type PodContainers = ReadonlyMap<string, PodContainer>;

/** Reads the pod's containers; one that vanishes meanwhile is left out. */
export async function containersOfPod(
  runtime: RuntimeService,
  runtimeName: string,
  podUid: string,
  options?: CallOptions,
): Promise<Called<PodContainers>> {
  const listed = await runtime.listContainers({ podUid }, options);
  if (!listed.ok) return listed;
  const containers = new Map<string, PodContainer>();
  for (const { id } of newest(listed.value)) {
    const status = await runtime.containerStatus(id, options);
    if (status.ok) {
      const container = podContainer(runtimeName, status.value);
      containers.set(container.name, container);
    } else if (status.code !== grpcCode.notFound) return status;
  }
  return { ok: true, value: containers };
}

/** By name, of those that say whose they are. */
export function newest(containers: readonly Container[]): readonly Container[] {
  const byName = new Map<string, Container>();
  for (const container of containers) {
    const name = container.labels[kubelet.containerName];
    if (name === undefined) continue;
    const known = byName.get(name);
    if (known === undefined || container.createdAtMs > known.createdAtMs) byName.set(name, container);
  }
  return [...byName.values()];
}

export function podContainer(runtimeName: string, status: ContainerStatus): PodContainer {
  const { id, labels, annotations, createdAtMs, startedAtMs, exitCode, state } = status;
  return {
    name: labels[kubelet.containerName] ?? "",
    id: `${runtimeName}://${id}`,
    runtimeId: id,
    state: stateNames[state] ?? "unknown",
    createdAtMs,
    ...(state === containerState.created ? {} : { startedAtMs }),
    ...(state === containerState.exited ? { exitCode } : {}),
    restartCount: decimal(annotations[kubelet.restartCount]) ?? 0,
    plainHash: hexadecimal(annotations[kubelet.hash]),
    labels,
    annotations,
  };
}

const stateNames: Readonly<Record<number, PodContainer["state"]>> = {
  [containerState.created]: "created",
  [containerState.running]: "running",
  [containerState.exited]: "exited",
};

/** Undefined when missing or malformed. */
export function decimal(text: string | undefined): number | undefined {
  return text !== undefined && /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** 0 when missing or malformed. */
function hexadecimal(text: string | undefined): number {
  return text !== undefined && /^[0-9a-fA-F]{1,8}$/.test(text) ? Number.parseInt(text, 16) : 0;
}
