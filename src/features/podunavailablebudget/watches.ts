/** Which budgets a change concerns. */
import type { PodUnavailableBudget } from "../../api/podunavailablebudget.ts";
import { podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { type Context, type Seen, type Watch, watch } from "../../engine/controller.ts";
import { deepEqual } from "../../kube/json.ts";
import { apiVersion, type Key, type Kind, keyOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { isActive } from "../../kube/pod.ts";
import type { Pod, WorkloadObject } from "../../kube/types.ts";
import { isAvailableFor, relatedBudget } from "../../workload/budget/index.ts";
import { cachedBelongings, optionalWorkloads, requiredWorkloads, watchedWorkloads } from "./belongings.ts";
import { covers, hasMoved, isSame, matcherOf } from "./covers.ts";

export const watches: readonly Watch[] = [
  watch<PodUnavailableBudget>(podUnavailableBudgets, budgetWakes),
  watch<Pod>(pods, podWakes),
  ...requiredWorkloads.map((kind) => watch<WorkloadObject>(kind as Kind<WorkloadObject>, workloadWakes(kind))),
  ...optionalWorkloads.map((kind) => ({
    ...watch<WorkloadObject>(kind as Kind<WorkloadObject>, workloadWakes(kind)),
    optional: true as const,
  })),
];

/** What one budget lets go of, another may have. */
export function budgetWakes({ before, after }: Seen<PodUnavailableBudget>, { read }: Context): Iterable<Key> {
  if (before === undefined || (after !== undefined && !hasMoved(before, after))) return [];
  const own = before.metadata.name;
  return read
    .list(podUnavailableBudgets, before.metadata.namespace)
    .filter(({ metadata }) => metadata.name !== own)
    .map(keyOf);
}

export function podWakes({ before, after }: Seen<Pod>, context: Context): Iterable<Key> {
  // Most clusters have none, and every change of every pod comes by here.
  if (context.read.list(podUnavailableBudgets).length === 0) return [];
  const pod = after ?? before;
  if (pod === undefined) return [];
  const { gates } = context.settings;
  const names = new Set([before, after].map((each) => (each === undefined ? "" : relatedBudget(each))));
  names.delete("");
  const marked = [...names].map((name) => ({ namespace: pod.metadata.namespace ?? "", name }));
  if (before === undefined || after === undefined) {
    if (after === undefined) return marked.length > 0 && isAvailableFor(pod, gates) ? marked : [];
    return marked.length > 0 ? marked : candidates(after, context);
  }
  const counts = (each: Readonly<Pod>) => isActive(each) && isAvailableFor(each, gates);
  const isNews = names.size > 1 || relatedBudget(before) !== relatedBudget(after) || isActive(before) !== isActive(after);
  const isRelabelled = !deepEqual(before.metadata.labels, after.metadata.labels);
  if (marked.length > 0 && (isNews || isRelabelled || counts(before) !== counts(after)))
    return isRelabelled ? [...marked, ...candidates(after, context)] : marked;
  return isRelabelled ? candidates(after, context) : [];
}

/** Budgets that might have a pod whose mark does not say so. */
function candidates(pod: Readonly<Pod>, { read, settings }: Context): readonly Key[] {
  const budgets = read.list(podUnavailableBudgets, pod.metadata.namespace);
  if (budgets.length === 0) return [];
  const belongings = cachedBelongings(pod, read, watchedWorkloads(settings));
  return budgets.filter((budget) => covers(budget, pod, belongings)).map(keyOf);
}

/** Created, gone, going, or wanting another number of pods. */
export function workloadWakes(kind: Kind): (change: Seen<WorkloadObject>, context: Context) => Iterable<Key> {
  return ({ before, after }, { read }) => {
    const workload = after ?? before;
    if (workload === undefined) return [];
    const isUpdate = before !== undefined && after !== undefined;
    if (
      isUpdate &&
      before.spec?.replicas === after.spec?.replicas &&
      before.metadata.deletionTimestamp === after.metadata.deletionTimestamp
    )
      return [];
    const self = { apiVersion: apiVersion(kind), kind: kind.kind, name: workload.metadata.name };
    const labels = workload.spec?.template?.metadata?.labels;
    return read
      .list(podUnavailableBudgets, workload.metadata.namespace)
      .filter((budget) => (budget.spec?.targetRef ? isSame(self, budget.spec.targetRef) : matcherOf(budget).matches(labels)))
      .map(keyOf);
  };
}
