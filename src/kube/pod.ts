/** What a pod's spec and status say: readiness, availability, restarts, and the order in which pods are usually chosen. */
import { fieldsOf } from "./json.ts";
import { parseTime } from "./time.ts";
import type { Condition, ConditionStatus, Container, ContainerStatus, Pod, PodTemplateSpec } from "./types.ts";

export function podCondition(pod: Pod, type: string): Condition | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}

/** undefined when the pod has no such condition. */
export function podConditionStatus(pod: Pod, type: string): ConditionStatus | undefined {
  return podCondition(pod, type)?.status;
}

/** Condition Ready is True; the pod may be terminating all the same. */
export function isReady(pod: Pod): boolean {
  return podConditionStatus(pod, "Ready") === "True";
}

export function isTerminating(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined && pod.metadata.deletionTimestamp !== null;
}

/** Phase Succeeded or Failed. */
export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** Neither finished nor being deleted. */
export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && !isTerminating(pod);
}

export function isRunningAndReady(pod: Pod): boolean {
  return pod.status?.phase === "Running" && isReady(pod) && !isTerminating(pod);
}

/** When the pod last became ready; undefined when it is not, or nobody says when. */
export function readySinceMs(pod: Pod): number | undefined {
  const ready = podCondition(pod, "Ready");
  return ready?.status === "True" ? parseTime(ready.lastTransitionTime) : undefined;
}

/** Ready for more than `minReadySeconds`; without them, ready at all. */
export function isAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  if (!isReady(pod)) return false;
  if (minReadySeconds <= 0) return true;
  const sinceMs = readySinceMs(pod);
  return sinceMs !== undefined && sinceMs + minReadySeconds * 1000 < nowMs;
}

/** How long until a ready pod is available, in milliseconds; 0 when it is, undefined when only an event can make it so. */
export function availableInMs(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  if (isAvailable(pod, minReadySeconds, nowMs)) return 0;
  const sinceMs = readySinceMs(pod);
  return sinceMs === undefined ? undefined : sinceMs + minReadySeconds * 1000 - nowMs + 1;
}

/** An init container that keeps running beside the others. */
export function isNativeSidecar(container: Pick<Container, "restartPolicy">): boolean {
  return container.restartPolicy === "Always";
}

export function containerOf(pod: { readonly spec: Pick<Pod["spec"], "containers"> }, name: string): Container | undefined {
  return pod.spec.containers.find((container) => container.name === name);
}

/** Among the statuses of the app containers. */
export function containerStatus(pod: Pod, name: string): ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find((status) => status.name === name);
}

/** Among the statuses of app and init containers. */
export function anyContainerStatus(pod: Pod, name: string): ContainerStatus | undefined {
  return containerStatus(pod, name) ?? pod.status?.initContainerStatuses?.find((status) => status.name === name);
}

function maxRestarts(statuses: readonly ContainerStatus[] | undefined, counts: (status: ContainerStatus) => boolean): number {
  let max = 0;
  for (const status of statuses ?? []) if (counts(status)) max = Math.max(max, status.restartCount ?? 0);
  return max;
}

/** The highest restart count of the app containers, and of the init containers that keep running. */
export function restartCounts(pod: Pod): { readonly containers: number; readonly sidecars: number } {
  const { initContainers } = pod.spec;
  const containers = maxRestarts(pod.status?.containerStatuses, () => true);
  if (initContainers === undefined) return { containers, sidecars: 0 };
  const sidecars = new Set(initContainers.filter(isNativeSidecar).map((container) => container.name));
  return { containers, sidecars: maxRestarts(pod.status?.initContainerStatuses, (status) => sidecars.has(status.name)) };
}

const phaseRank: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** Zero times first, else the later first. */
function laterFirst(aMs: number | undefined, bMs: number | undefined): number {
  if (aMs === bMs) return 0;
  if (aMs === undefined) return -1;
  if (bMs === undefined) return 1;
  return bMs - aMs;
}

/** What `compareForDisruption` compares, found out once per version of the pod: sorting a thousand pods asks ten thousand times. */
interface DisruptionFacts {
  readonly assigned: number;
  readonly phase: number;
  readonly ready: number;
  readonly readySinceMs: number | undefined;
  readonly restarts: number;
  readonly sidecarRestarts: number;
  readonly createdMs: number | undefined;
  readonly name: string;
}
const disruptionFacts = new WeakMap<Pod, DisruptionFacts>();

function disruptionFactsOf(pod: Pod): DisruptionFacts {
  let facts = disruptionFacts.get(pod);
  if (facts === undefined) {
    const { containers, sidecars } = restartCounts(pod);
    const ready = podCondition(pod, "Ready");
    const isReady = ready?.status === "True";
    facts = {
      assigned: (pod.spec.nodeName ?? "") === "" ? 0 : 1,
      phase: phaseRank[pod.status?.phase ?? ""] ?? 0,
      ready: isReady ? 1 : 0,
      readySinceMs: isReady ? parseTime(ready.lastTransitionTime) : undefined,
      restarts: containers,
      sidecarRestarts: sidecars,
      createdMs: parseTime(pod.metadata.creationTimestamp),
      name: pod.metadata.name,
    };
    disruptionFacts.set(pod, facts);
  }
  return facts;
}

/**
 * Kubernetes' order of preference for changing or deleting pods: first those that serve least. Unscheduled, then pending, then not ready,
 * then ready for the shortest time, most restarts, newest. Upstream leaves ties open; with the name as last key, two runs over the
 * same pods choose the same victim.
 */
export function compareForDisruption(a: Pod, b: Pod): number {
  return compareFacts(disruptionFactsOf(a), disruptionFactsOf(b));
}

/** Items in the order of their pods, first to go first; the facts of each are looked up once. */
export function sortForDisruption<T>(items: readonly T[], podOf: (item: T) => Pod): readonly T[] {
  const decorated = items.map((item) => ({ item, facts: disruptionFactsOf(podOf(item)) }));
  return decorated.sort((a, b) => compareFacts(a.facts, b.facts)).map(({ item }) => item);
}

function compareFacts(a: DisruptionFacts, b: DisruptionFacts): number {
  return (
    a.assigned - b.assigned ||
    a.phase - b.phase ||
    a.ready - b.ready ||
    laterFirst(a.readySinceMs, b.readySinceMs) ||
    b.restarts - a.restarts ||
    b.sidecarRestarts - a.sidecarRestarts ||
    laterFirst(a.createdMs, b.createdMs) ||
    (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
  );
}

export function podRevisionLabel(pod: Pod): string | undefined {
  return pod.metadata.labels?.["controller-revision-hash"];
}

/** The node a pod is on; undefined while it is not scheduled. */
export function nodeNameOf(pod: Pod): string | undefined {
  return pod.spec.nodeName === undefined || pod.spec.nodeName === "" ? undefined : pod.spec.nodeName;
}

export function hasReadinessGate(pod: Pick<Pod, "spec"> | PodTemplateSpec, conditionType: string): boolean {
  return (pod.spec.readinessGates ?? []).some((gate) => gate.conditionType === conditionType);
}

/** Label and annotation values as they stand, never inherited ones. */
export function labelOf(
  object: { readonly metadata: { readonly labels?: Readonly<Record<string, string>> } },
  key: string,
): string | undefined {
  const labels = fieldsOf(object.metadata.labels);
  return Object.hasOwn(labels, key) ? (labels[key] as string) : undefined;
}
