/**
 * A workload's way to a budget. A plan that takes pods out of service before it changes them would pass the webhooks unseen, so it charges
 * the budget itself: the charge is an action on the budget, and what it pays for comes after it.
 */
import type { Gates } from "../../api/gates.ts";
import { type PodUnavailableBudget, type ProtectedOperation, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { type Action, change } from "../../engine/plan.ts";
import { statusPatch } from "../../engine/status-patch.ts";
import { refOf } from "../../kube/kind.ts";
import type { Pod } from "../../kube/types.ts";
import { type Decision, decide } from "./decide.ts";
import { freePass } from "./pod.ts";

export type Charge =
  /** Nothing to pay. */
  | { readonly free: true }
  /** To be done before what it pays for; fails when others were faster. */
  | { readonly free: false; readonly action: Action }
  | { readonly refusedBy: string };

/** ms after which a workload asks a budget again that had nothing left. */
export const chargeAgainMs = 1_000;

/** Charges of one plan: each reckons with those before it. */
export class Charges {
  readonly #budgets = new Map<string, Readonly<PodUnavailableBudget>>();

  constructor(
    private readonly gates: Gates,
    private readonly nowMs: number,
  ) {}

  charge(budget: Readonly<PodUnavailableBudget> | undefined, pod: Readonly<Pod>, operation: ProtectedOperation): Charge {
    if (budget === undefined || budget.metadata.deletionTimestamp !== undefined) return { free: true };
    if (freePass(pod, this.gates) !== undefined) return { free: true };
    const asked = { pod, operation, gates: this.gates, nowMs: this.nowMs };
    const { name, uid } = budget.metadata;
    const known = this.#budgets.get(uid) ?? budget;
    const decision = decide(known, asked);
    if (!decision.allowed) return { refusedBy: name };
    if (!("status" in decision)) return { free: true };
    this.#budgets.set(uid, { ...known, status: decision.status });
    const write = (fresh: Readonly<PodUnavailableBudget>) => written(fresh, decide(fresh, asked));
    const action = change<PodUnavailableBudget>({
      id: `budget:${pod.metadata.name}`,
      on: refOf(podUnavailableBudgets, budget as PodUnavailableBudget),
      steps: [{ name: "charge", subresource: "status", precondition: "version", onConflict: "retry", write }],
    });
    return { free: false, action };
  }
}

function written(fresh: Readonly<PodUnavailableBudget>, decision: Decision) {
  if (!decision.allowed) return decision.message;
  const status = "status" in decision ? statusPatch(fresh.status, decision.status) : undefined;
  return status === undefined ? undefined : { patch: "merge" as const, body: { status } };
}
