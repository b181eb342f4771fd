/** The names that webhook and controller share, and what a pod's containers say about how far it has come. */
import { annotation } from "../../api/names.ts";
import { containerStatus, isTerminating, podConditionStatus } from "../../kube/pod.ts";
import type { Container, Pod } from "../../kube/types.ts";
import { launchPriorityOf } from "../../workload/container-env.ts";

export const barrierName = (pod: string): string => `${pod}-barrier`;
export const barrierKey = (priority: number): string => `p_${priority}`;

export interface Launch {
  /** Of all containers with a barrier, highest first, each once. */
  readonly all: readonly number[];
  /** Of those that are not ready, highest first, each once. */
  readonly waiting: readonly number[];
}

const highestFirst = (priorities: readonly number[]): readonly number[] => [...new Set(priorities)].sort((a, b) => b - a);

export function launchOf(pod: Readonly<Pod>): Launch {
  const barred = pod.spec.containers.flatMap((container) => {
    const priority = launchPriorityOf(container);
    return typeof priority === "number" ? [{ priority, ready: isLaunched(pod, container) }] : [];
  });
  return {
    all: highestFirst(barred.map(({ priority }) => priority)),
    waiting: highestFirst(barred.filter(({ ready }) => !ready).map(({ priority }) => priority)),
  };
}

/** Ready, or done for good: a container that has ended well and is not started again would hold up the others for ever. */
function isLaunched(pod: Readonly<Pod>, container: Readonly<Container>): boolean {
  const status = containerStatus(pod, container.name);
  if (status === undefined) return false;
  if (status.ready) return true;
  return status.state?.terminated?.exitCode === 0 && (pod.spec.restartPolicy === "Never" || pod.spec.restartPolicy === "OnFailure");
}

export function isCompleted(pod: Readonly<Pod>): boolean {
  return pod.metadata.annotations?.[annotation.containerLaunchPriorityCompleted] === "true";
}

/** A container that wants to start and misses something in its configuration: after completion, perhaps the ConfigMap. */
export function missesBarrier(pod: Readonly<Pod>): boolean {
  return pod.spec.containers.some((container) => {
    if (typeof launchPriorityOf(container) !== "number") return false;
    return containerStatus(pod, container.name)?.state?.waiting?.reason === "CreateContainerConfigError";
  });
}

/** Whether the pod may need something of the controller. */
export function concernsLaunch(pod: Readonly<Pod>): boolean {
  if (isTerminating(pod)) return false;
  if (isCompleted(pod)) return missesBarrier(pod);
  return podConditionStatus(pod, "ContainersReady") !== "True" && launchOf(pod).all.length > 0;
}
