/**
 * In which order pods are updated, and in which they go.
 * - updates: `updateOrder(pods, waiting, { priority, scatter })`, or its parts: `byDefault`, `byPriority`, `scatter`. They take all pods and
 *   the indexes of those that wait, and return the indexes in another order;
 * - scale-in: `rankForDeletion(pods, facts)`, first victim first.
 * Everything is stable and ends with the name: two runs over the same pods choose the same.
 */
import { lifecycleState } from "../../api/names.ts";
import { compareForDisruption } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { lifecycleLabel } from "../lifecycle/state.ts";
import { byPriority, type PriorityStrategy } from "./priority.ts";
import { type ScatterTerm, scatter } from "./scatter.ts";

export { byPriority, type PriorityStrategy } from "./priority.ts";
export { deletionCost, rankForDeletion, type ScaleInFacts } from "./scale-in.ts";
export { type ScatterTerm, scatter } from "./scatter.ts";

/** Those that serve least first: unscheduled, pending, not ready, ready for a short time, restarted often, new. */
export function byDefault(pods: readonly Readonly<Pod>[], waiting: readonly number[]): readonly number[] {
  return [...waiting].sort((a, b) => compareForDisruption(pods[a] as Pod, pods[b] as Pod));
}

export interface UpdateOrder {
  readonly priority?: PriorityStrategy;
  readonly scatter?: readonly ScatterTerm[];
}

/** A CloneSet's order: default, then priority, then scatter; pods that are prepared already come first. */
export function updateOrder(pods: readonly Readonly<Pod>[], waiting: readonly number[], order: UpdateOrder): readonly number[] {
  const sorted = scatter(pods, byPriority(pods, byDefault(pods, waiting), order.priority), order.scatter);
  const isPrepared = (index: number): boolean => lifecycleLabel(pods[index] as Pod) === lifecycleState.preparingUpdate;
  return [...sorted.filter(isPrepared), ...sorted.filter((index) => !isPrepared(index))];
}
