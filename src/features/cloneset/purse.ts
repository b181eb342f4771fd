/** What takes a pod out of service is paid for to the budget that guards it. One purse a plan: each charge reckons with those before it. */
import type { Action } from "../../engine/plan.ts";
import { Charges, type Paid } from "../../workload/budget/index.ts";
import type { Member, World } from "./world.ts";

/** @returns the action, with what has to come before it */
export type Purse = (member: Member, action: Action) => Paid;

export function purseOf({ observed: { budgetOf, settings }, nowMs }: Pick<World, "observed" | "nowMs">): Purse {
  if (budgetOf === undefined) return (_, action) => ({ actions: [action] });
  const charges = new Charges(settings.gates, nowMs);
  return ({ pod }, action) => charges.pay(budgetOf(pod), pod, "UPDATE", action);
}
