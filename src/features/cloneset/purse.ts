/**
 * What takes a pod out of service is paid for to the budget that guards it. One purse a plan: each charge reckons with those before it. A pod
 * that does not serve has its turn before others and takes nothing, so it is taken only as it was seen: it may have come up since.
 */
import type { Action } from "../../engine/plan.ts";
import { Charges, type Paid } from "../../workload/budget/index.ts";
import type { Member, World } from "./world.ts";

/** @returns the action, with what has to come before it */
export type Purse = (member: Member, action: Action) => Paid;

export function purseOf({ observed: { budgetOf, settings }, nowMs }: Pick<World, "observed" | "nowMs">): Purse {
  const asSeen = ({ available, pod }: Member, action: Action): Action => {
    const bound = { ...action, ofVersion: pod.metadata.resourceVersion };
    return available ? action : bound;
  };
  if (budgetOf === undefined) return (member, action) => ({ actions: [asSeen(member, action)] });
  const charges = new Charges(settings.gates, nowMs);
  return (member, action) => charges.pay(budgetOf(member.pod), member.pod, "UPDATE", asSeen(member, action));
}
