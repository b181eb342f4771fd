/** What the rules want to know of one pod, found out once per version of the pod. */
import { annotation, conditionType, label, lifecycleState } from "../../api/names.ts";
import { parseTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";

export interface PodFacts {
  /** Neither finished nor being deleted. */
  readonly active: boolean;
  readonly terminating: boolean;
  /** The lifecycle label as it stands, "" when absent. */
  readonly state: string;
  /** Value of the revision label, "" when absent. */
  readonly revision: string;
  /** Running, Ready, and not in the middle of an in-place update. */
  readonly updateReady: boolean;
  /** Since when it is Ready; undefined when it is not, or when nobody says. */
  readonly readySinceMs?: number;
  /** Carries the label specified-delete. */
  readonly marked: boolean;
  /** An in-place update waits for its grace period. */
  readonly inGrace: boolean;
  /** "" when absent. */
  readonly instanceId: string;
}

const known = new WeakMap<object, PodFacts>();

export function factsOf(pod: Readonly<Pod>): PodFacts {
  let facts = known.get(pod);
  if (facts === undefined) {
    facts = read(pod);
    known.set(pod, facts);
  }
  return facts;
}

function read(pod: Readonly<Pod>): PodFacts {
  const { labels = {}, annotations = {}, deletionTimestamp } = pod.metadata;
  const phase = pod.status?.phase;
  let ready = false;
  let readySinceMs: number | undefined;
  let replaced = true;
  for (const condition of pod.status?.conditions ?? []) {
    if (condition.type === "Ready") {
      ready = condition.status === "True";
      readySinceMs = ready ? parseTime(condition.lastTransitionTime) : undefined;
    } else if (condition.type === conditionType.inPlaceUpdateReady) replaced = condition.status === "True";
  }
  return {
    active: deletionTimestamp === undefined && phase !== "Succeeded" && phase !== "Failed",
    terminating: deletionTimestamp !== undefined,
    state: labels[label.lifecycleState] ?? "",
    revision: labels[label.controllerRevisionHash] ?? "",
    updateReady: phase === "Running" && ready && replaced,
    readySinceMs,
    marked: Object.hasOwn(labels, label.specifiedDelete),
    inGrace: Boolean(annotations[annotation.inPlaceUpdateGrace] || annotations[annotation.inPlaceUpdateGraceLegacy]),
    instanceId: labels[label.cloneSetInstanceId] ?? "",
  };
}

const isNormal = (facts: PodFacts): boolean => facts.state === "" || facts.state === lifecycleState.normal;

/** Ready to be counted on: lifecycle aside, ready for longer than `minReadyMs`. */
export function isUpdateReady(facts: PodFacts, minReadyMs: number, nowMs: number): boolean {
  if (!facts.updateReady || minReadyMs === 0) return facts.updateReady;
  return facts.readySinceMs !== undefined && facts.readySinceMs + minReadyMs < nowMs;
}

export function isAvailable(facts: PodFacts, minReadyMs: number, nowMs: number): boolean {
  return isNormal(facts) && isUpdateReady(facts, minReadyMs, nowMs);
}

/** Whether deleting the pod takes something from its users. */
export function isReadyForDelete(facts: PodFacts): boolean {
  return isNormal(facts) && facts.updateReady;
}

/** When a pod that is ready will count as available, unless something happens to it; undefined when time alone does not help. */
export function availableAtMs(facts: PodFacts, minReadyMs: number): number | undefined {
  if (!facts.updateReady || facts.readySinceMs === undefined) return undefined;
  return facts.readySinceMs + minReadyMs + 1;
}
