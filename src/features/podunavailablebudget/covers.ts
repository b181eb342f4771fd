/** Which budget is a pod's? By the workload it belongs to, or by its labels. */
import type { PodSource } from "../../admission/narrow-scope.ts";
import { type PodUnavailableBudget, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { deepEqual } from "../../kube/json.ts";
import { groupOf } from "../../kube/kind.ts";
import { compileSelector, isEmptySelector, type Matcher, matchNothing } from "../../kube/selector.ts";
import type { Pod } from "../../kube/types.ts";

/** A workload that a pod belongs to, directly or through others. Versions do not matter. */
export interface Belonging {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

export type Budget = Readonly<PodUnavailableBudget>;

/** Whose pods they are is found out pod by pod: a workload's belong to it through others. */
export const podsOfNamespace: PodSource = {
  of: podUnavailableBudgets,
  scope: ({ metadata }) => ({ namespaces: [metadata.namespace ?? ""] }),
};

export function isLeaving({ metadata }: Budget): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** By name, so that of two budgets that could have a pod it is always the same one. */
export function byName(budgets: readonly Budget[]): readonly Budget[] {
  return budgets.filter((budget) => !isLeaving(budget)).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/**
 * Whether the budget has the pod.
 * @param belongings the pod's workloads, its controller first; empty when it has none that is known
 */
export function covers(budget: Budget, pod: Readonly<Pod>, belongings: readonly Belonging[]): boolean {
  const { targetRef } = budget.spec ?? {};
  if (targetRef !== undefined && belongings.length > 0) return belongings.some((workload) => isSame(workload, targetRef));
  return matcherOf(budget).matches(pod.metadata.labels);
}

export function isSame(a: Belonging, b: Partial<Belonging>): boolean {
  return a.kind === b.kind && a.name === b.name && groupOf(a.apiVersion) === groupOf(b.apiVersion);
}

const matchers = new WeakMap<object, Matcher>();

/** An absent or empty selector matches nothing, and so does one that cannot be read. */
export function matcherOf({ spec }: Budget): Matcher {
  const selector = spec?.selector;
  if (selector === undefined || selector === null || isEmptySelector(selector)) return matchNothing;
  let matcher = matchers.get(selector);
  if (matcher === undefined) {
    const compiled = compileSelector(selector);
    matcher = compiled.ok ? compiled.matcher : matchNothing;
    matchers.set(selector, matcher);
  }
  return matcher;
}

/** Whether the budget may have other pods now than it had. */
export function hasMoved(before: Budget, after: Budget): boolean {
  return !deepEqual(before.spec, after.spec) || isLeaving(before) !== isLeaving(after);
}
