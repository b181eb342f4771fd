/**
 * A workload's way to a budget. A plan that takes pods out of service before it changes them would pass the webhooks unseen, so it charges
 * the budget itself: the charge is an action on the budget, and what it pays for comes after it. What a pod gives for nothing it gives only as
 * it was seen: one that was down has perhaps come up since, and counts by now.
 */
import type { Gates } from "../../api/gates.ts";
import { type PodUnavailableBudget, type ProtectedOperation, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { type Action, change } from "../../engine/plan.ts";
import { statusPatch } from "../../engine/status-patch.ts";
import { refOf } from "../../kube/kind.ts";
import type { Pod } from "../../kube/types.ts";
import { type Decision, decide } from "./decide.ts";
import { freePass } from "./pod.ts";

export type Paid =
  /** What was to be done to the pod, and before it what pays for that: it fails when others were faster. */
  { readonly actions: readonly Action[] } | { readonly refusedBy: string };

/** ms after which a workload asks a budget again that had nothing left. */
export const chargeAgainMs = 1_000;

/** Charges of one plan: each reckons with those before it. */
export class Charges {
  readonly #budgets = new Map<string, Readonly<PodUnavailableBudget>>();

  constructor(
    private readonly gates: Gates,
    private readonly nowMs: number,
  ) {}

  /** @param action on the pod, which takes it out of service */
  pay(budget: Readonly<PodUnavailableBudget> | undefined, pod: Readonly<Pod>, operation: ProtectedOperation, action: Action): Paid {
    const asSeen = { actions: [{ ...action, ofVersion: pod.metadata.resourceVersion }] };
    if (budget === undefined || budget.metadata.deletionTimestamp !== undefined) return asSeen;
    if (freePass(pod, this.gates) !== undefined) return asSeen;
    const asked = { pod, operation, gates: this.gates, nowMs: this.nowMs };
    const { name, uid } = budget.metadata;
    const known = this.#budgets.get(uid) ?? budget;
    const decision = decide(known, asked);
    if (!decision.allowed) return { refusedBy: name };
    if (!("status" in decision)) return asSeen;
    this.#budgets.set(uid, { ...known, status: decision.status });
    const write = (fresh: Readonly<PodUnavailableBudget>) => written(fresh, decide(fresh, asked));
    const charge = change<PodUnavailableBudget>({
      id: `budget:${pod.metadata.name}`,
      on: refOf(podUnavailableBudgets, budget as PodUnavailableBudget),
      steps: [{ name: "charge", subresource: "status", precondition: "version", onConflict: "retry", write }],
    });
    return { actions: [charge, { ...action, after: [...(action.after ?? []), charge.id] }] };
  }
}

function written(fresh: Readonly<PodUnavailableBudget>, decision: Decision) {
  if (!decision.allowed) return decision.message;
  const status = "status" in decision ? statusPatch(fresh.status, decision.status) : undefined;
  return status === undefined ? undefined : { patch: "merge" as const, body: { status } };
}
