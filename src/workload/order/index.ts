/**
 * In which order pods are updated, and in which they go.
 * - updates: `rankForUpdate(candidates, all, { priority, scatter })`, or its parts `byDefault`, `byPriority` and `scatter`, which take all pods
 *   and the indexes of those that wait, and return the indexes in another order;
 * - scale-in: `rankForDeletion(pods, facts)`, first victim first.
 * Everything is stable and ends with the name: two runs over the same pods choose the same.
 */
import { lifecycleState } from "../../api/names.ts";
import { sortForDisruption } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { lifecycleLabel } from "../lifecycle/state.ts";
import { byPriority, type PriorityStrategy } from "./priority.ts";
import { type ScatterTerm, scatter } from "./scatter.ts";

export { byPriority, type PriorityStrategy } from "./priority.ts";
export { deletionCost, rankForDeletion, type ScaleInFacts } from "./scale-in.ts";
export { type ScatterTerm, scatter } from "./scatter.ts";

/** Those that serve least first: unscheduled, pending, not ready, ready for a short time, restarted often, new. */
export function byDefault(pods: readonly Readonly<Pod>[], waiting: readonly number[]): readonly number[] {
  return sortForDisruption(waiting, (index) => pods[index] as Pod);
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
  const waiting: number[] = [];
  const moved: number[] = [];
  for (const [index, pod] of all.entries()) (waits.has(pod) ? waiting : moved).push(index);
  const ranked = byPriority(all, byDefault(all, waiting), order.priority);
  // Pods that have moved keep their places in front: else each of them would give the rest another order, and the last ones none at all.
  const scattered = order.scatter?.length ? scatter(all, [...byDefault(all, moved), ...ranked], order.scatter) : ranked;
  const prepared: Readonly<Pod>[] = [];
  const others: Readonly<Pod>[] = [];
  for (const index of scattered) {
    const pod = all[index] as Pod;
    if (waits.has(pod)) (lifecycleLabel(pod) === lifecycleState.preparingUpdate ? prepared : others).push(pod);
  }
  return [...prepared, ...others];
}
