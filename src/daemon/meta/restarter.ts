/** Stops containers whose environment is of the past. All it needs to know stands on the container itself, where the kubelet wrote it. */

import { type Worked, WorkQueue } from "../../engine/queue.ts";
import type { Env } from "../../env/env.ts";
import { itemsOf } from "../../kube/json.ts";
import { pods } from "../../kube/kinds.ts";
import type { ContainerPort, Handler } from "../../kube/types.ts";
import { graceSecondsMin, type KillOrder } from "../containers/killer.ts";
import { decimal, kubelet, type PodContainer, podContainer } from "../containers/read.ts";
import type { RuntimeService } from "../cri/client.ts";
import { grpcCode } from "../cri/grpc.ts";
import { splitContainerId } from "../cri/runtimes.ts";
import type { Frame } from "../frame.ts";

export const restarterLimits = {
  workers: 10,
  /** Also the delay of the first try. */
  backoffMsMin: 3000,
  backoffMsMax: 600_000,
  retriesPerSecond: 10,
  retryBurst: 100,
} as const;

const name = "kruise-daemon-containermeta";

export class Restarter {
  readonly #frame: Frame;
  readonly #env: Env;
  readonly #queue: WorkQueue;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#env = frame.env;
    this.#queue = new WorkQueue(frame.env, {
      name: "runtime_container_meta_restarter",
      workers: restarterLimits.workers,
      work: (key) => this.#work(key.name),
      backoff: restarterLimits,
      metrics: frame.metrics,
    });
  }

  /** @param containerId "containerd://abc" */
  restart(containerId: string): void {
    this.#queue.retry({ namespace: "", name: containerId });
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  async #work(containerId: string): Promise<Worked> {
    const { runtimes, killer } = this.#frame;
    const split = splitContainerId(containerId);
    const runtime = split === undefined ? undefined : await runtimes.named(split.type);
    if (split === undefined || runtime === undefined) return { next: "gone" };
    const status = await runtime.containerStatus(split.id);
    if (!status.ok) return { next: status.code === grpcCode.notFound ? "gone" : "backOff" };
    const container = podContainer(split.type, status.value);
    if (container.state !== "running") return { next: "gone" };
    const killed = await killer.kill(orderOf(container, runtime, this.#podIPOf(container)));
    if (killed.ok) return { next: "gone" };
    this.#env.log.warn({ container: container.name, problem: killed.message }, "cannot stop a container; trying again");
    return { next: "backOff" };
  }

  #podIPOf({ labels }: PodContainer): string | undefined {
    const key = { namespace: labels[kubelet.podNamespace] ?? "", name: labels[kubelet.podName] ?? "" };
    const pod = this.#frame.kube.cache.get(pods, key);
    return pod?.metadata.uid === labels[kubelet.podUid] ? pod?.status?.podIP : undefined;
  }
}

export function orderOf(container: PodContainer, runtime: RuntimeService, podIP: string | undefined): KillOrder {
  const { labels, annotations } = container;
  const preStop = parsed(annotations[kubelet.preStopHandler]) as Handler | undefined;
  const graceSeconds = decimal(annotations[kubelet.deletionGracePeriod]) ?? decimal(annotations[kubelet.terminationGracePeriod]) ?? 0;
  return {
    pod: { namespace: labels[kubelet.podNamespace] ?? "", name: labels[kubelet.podName] ?? "", uid: labels[kubelet.podUid] ?? "" },
    container: container.name,
    fieldPath: `implicitly required container ${container.name}`,
    runtime,
    containerId: container.id,
    runtimeId: container.runtimeId,
    graceSeconds: Math.max(graceSecondsMin, graceSeconds),
    ...(preStop === undefined ? {} : { preStop }),
    ports: itemsOf(parsed(annotations[kubelet.ports])) as readonly ContainerPort[],
    podIP,
    because: "to take over labels and annotations of its pod into its environment",
    by: name,
    purpose: "environment",
  };
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined || text === "" ? undefined : (JSON.parse(text) ?? undefined);
  } catch {
    return undefined;
  }
}
