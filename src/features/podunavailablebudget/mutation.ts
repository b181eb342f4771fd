/** A new pod carries the name of its budget, so that whoever wants to take it finds the budget without a search. */
import { type PodMutation, podMutationOrder } from "../../admission/webhook.ts";
import { annotation } from "../../api/names.ts";
import { podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import type { Reader } from "../../kube/access.ts";
import type { Pod } from "../../kube/types.ts";
import { controllerOf } from "../../workload/owner.ts";
import { liveBelongings } from "./belongings.ts";
import { type Budget, byName, covers, podsOfNamespace } from "./covers.ts";
import { isEnabled } from "./gates.ts";

const stamp: PodMutation["mutate"] = (pod, _request, { settings, read }) => {
  if (!isEnabled(settings) || !settings.serves(podUnavailableBudgets)) return pod;
  const found = budgetFor(pod, read);
  return found instanceof Promise ? found.then((budget) => stamped(pod, budget)) : stamped(pod, found);
};

/** No pod is refused for it: one that is not marked here is marked by the controller. */
export const mutation: PodMutation = {
  name: "podunavailablebudget",
  order: podMutationOrder.podUnavailableBudget,
  source: podsOfNamespace,
  failurePolicy: "Ignore",
  mutate: stamp,
};

function budgetFor(pod: Readonly<Pod>, read: Reader): Budget | undefined | Promise<Budget | undefined> {
  const budgets = byName(read.list(podUnavailableBudgets, pod.metadata.namespace));
  if (budgets.length === 0) return undefined;
  const owner = controllerOf(pod);
  if (owner === undefined) return choose(budgets, pod, []);
  // Only a budget that names a workload makes us ask whose workload the pod's controller is.
  if (!budgets.some(({ spec }) => spec?.targetRef !== undefined)) return choose(budgets, pod, [owner]);
  return liveBelongings(pod, read).then((belongings) => choose(budgets, pod, belongings));
}

export function choose(budgets: readonly Budget[], pod: Readonly<Pod>, belongings: Parameters<typeof covers>[2]): Budget | undefined {
  return budgets.find((budget) => covers(budget, pod, belongings));
}

/** OpenKruise 1.9 reads the older of the two. */
export function stampOf(name: string): Record<string, string> {
  return { [annotation.relatedPub]: name, [annotation.relatedPubLegacy]: name };
}

function stamped(pod: Readonly<Pod>, budget: Budget | undefined): Pod {
  if (budget === undefined) return pod;
  const annotations = { ...pod.metadata.annotations, ...stampOf(budget.metadata.name) };
  return { ...pod, metadata: { ...pod.metadata, annotations } };
}
