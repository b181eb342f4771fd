/**
 * Budgets of unavailable pods, seen from those who want to take a pod: webhooks and workloads.
 *
 * `freePass(pod, gates)` says whether the pod counts at all; `decide(budget, asked)` what its budget says and what its ledger becomes;
 * `Charges` are for plans. Who writes a decision does so with the version it was made from: see ../ledger.ts.
 */
export { Charges, chargeAgainMs, type Paid } from "./charge.ts";
export { inconsistency } from "./consistency.ts";
export { type Asked, budgetLimits, type Decision, decide, isIgnored, recordedCount } from "./decide.ts";
export { protectedBy, totalReplicasOverride } from "./options.ts";
export { type FreePass, freePass, isAvailableFor, isMarkedUnavailable, relatedBudget } from "./pod.ts";
