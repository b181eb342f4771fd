/**
 * PodUnavailableBudget: how many pods may be unavailable, whoever deletes, evicts, updates or resizes them.
 *
 * A new pod is marked with its budget's name (mutation.ts); whoever wants to take it asks the budget (guard.ts, with operation.ts: is it
 * harmless, is it a resize?), which decides and writes into its status before it answers (workload/budget, workload/ledger.ts). The
 * controller marks the pods that were there before (plan.ts), counts (census.ts), and forgets what has shown or never came (records.ts).
 */

import { configurationName } from "../../api/names.ts";
import { podUnavailableBudgetDefinition, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { controller } from "../../engine/controller.ts";
import type { Feature } from "../feature.ts";
import { optionalWorkloads } from "./belongings.ts";
import { budgetExplainer, podExplainer } from "./explain.ts";
import { isEnabled } from "./gates.ts";
import { guard } from "./guard.ts";
import { mutation } from "./mutation.ts";
import { observe } from "./observe.ts";
import { plan } from "./plan.ts";
import { watches } from "./watches.ts";
import { webhooks } from "./webhooks.ts";

export const podUnavailableBudgetController = controller({
  name: "podunavailablebudget-controller",
  of: podUnavailableBudgets,
  workers: { flag: "podunavailablebudget-workers", count: 3 },
  enabled: isEnabled,
  watches,
  observe,
  plan,
});

export const podUnavailableBudget: Feature = {
  name: "podunavailablebudget",
  kinds: [podUnavailableBudgetDefinition],
  controllers: [podUnavailableBudgetController],
  webhooks,
  podMutations: [mutation],
  podGuards: [guard],
  reads: [podUnavailableBudgets, ...optionalWorkloads],
  permissions: [
    { group: "policy.kruise.io", resources: ["podunavailablebudgets"], verbs: ["get", "list", "watch"] },
    { group: "policy.kruise.io", resources: ["podunavailablebudgets/status"], verbs: ["patch"] },
    { group: "", resources: ["pods"], verbs: ["get", "list", "watch", "patch"] },
    { group: "", resources: ["replicationcontrollers"], verbs: ["get"] },
    { group: "apps", resources: ["deployments", "replicasets", "statefulsets"], verbs: ["get", "list", "watch"] },
    { group: "apps.kruise.io", resources: ["clonesets", "statefulsets"], verbs: ["get", "list", "watch"] },
    // Built-in kinds without a scale: that they are there is all they say.
    { group: "apps", resources: ["daemonsets"], verbs: ["get"] },
    { group: "batch", resources: ["jobs"], verbs: ["get"] },
    // How many pods any other kind wants, without a right to read it, and whether the kind says so at all.
    { group: "*", resources: ["*/scale"], verbs: ["get"] },
    { group: "apiextensions.k8s.io", resources: ["customresourcedefinitions"], verbs: ["get"] },
    { group: "", resources: ["configmaps"], verbs: ["get"], namespace: "install", resourceNames: [configurationName] },
  ],
  explain: [budgetExplainer, podExplainer],
};
