/**
 * In which order pods are updated, and in which they go.
 * - updates: `rankForUpdate(candidates, all, { priority, scatter })`, or its parts `byDefault`, `byPriority` and `scatter`, which take all pods
 *   and the indexes of those that wait, and return the indexes in another order;
 * - scale-in: `rankForDeletion(pods, facts)`, first victim first.
 * Everything is stable and ends with the name: two runs over the same pods choose the same.
 */
import { lifecycleState } from "../../api/names.ts";
import { compareForDisruption, isReady, nodeNameOf, readySinceMs } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { lifecycleLabel } from "../lifecycle/state.ts";
import { byPriority, type PriorityStrategy } from "./priority.ts";
import { phaseRank } from "./scale-in.ts";
import { type ScatterTerm, scatter } from "./scatter.ts";

export { byPriority, type PriorityStrategy } from "./priority.ts";
export { deletionCost, rankForDeletion, type ScaleInFacts } from "./scale-in.ts";
export { type ScatterTerm, scatter } from "./scatter.ts";

/** Those that serve least first: unscheduled, pending, not ready, ready for a short time, restarted often, new. */
export function byDefault(pods: readonly Readonly<Pod>[], waiting: readonly number[]): readonly number[] {
  // What decides most comparisons is found out once per pod; the rest is for ties.
  const ranked = waiting.map((index) => {
    const pod = pods[index] as Pod;
    return { index, pod, service: serviceOf(pod), sinceMs: readySinceMs(pod) ?? Number.POSITIVE_INFINITY };
  });
  ranked.sort((a, b) => a.service - b.service || (a.sinceMs === b.sinceMs ? compareForDisruption(a.pod, b.pod) : b.sinceMs - a.sinceMs));
  return ranked.map(({ index }) => index);
}

/** 0 for a pod without a node, then by phase, then by readiness. */
function serviceOf(pod: Readonly<Pod>): number {
  if (nodeNameOf(pod) === undefined) return (phaseRank(pod) * 2 + Number(isReady(pod))) / 10;
  return 1 + phaseRank(pod) * 2 + Number(isReady(pod));
}

export interface UpdateOrder {
  readonly priority?: PriorityStrategy;
  readonly scatter?: readonly ScatterTerm[];
}

/**
 * A CloneSet's order: default, then priority, then scatter; pods that are prepared already come first.
 * @param candidates those that wait, each of them among `all` as well (which scatter needs for the shares)
 */
export function rankForUpdate(
  candidates: readonly Readonly<Pod>[],
  all: readonly Readonly<Pod>[],
  order: UpdateOrder,
): readonly Readonly<Pod>[] {
  const waits = new Set(candidates);
  const [waiting, moved] = [true, false].map((wanted) => all.flatMap((pod, index) => (waits.has(pod) === wanted ? [index] : []))) as [
    number[],
    number[],
  ];
  const ranked = byPriority(all, byDefault(all, waiting), order.priority);
  // Pods that have moved keep their places in front: else each of them would give the rest another order, and the last ones none at all.
  const scattered = order.scatter?.length ? scatter(all, [...byDefault(all, moved), ...ranked], order.scatter) : ranked;
  const sorted = scattered.map((index) => all[index] as Pod).filter((pod) => waits.has(pod));
  const isPrepared = (pod: Readonly<Pod>): boolean => lifecycleLabel(pod) === lifecycleState.preparingUpdate;
  return [...sorted.filter(isPrepared), ...sorted.filter((pod) => !isPrepared(pod))];
}
