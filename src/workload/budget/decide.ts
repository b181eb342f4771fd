/** May this be done to this pod now, and what does the budget's ledger say afterwards? Pure: the same for webhooks and workloads. */
import type { Gates } from "../../api/gates.ts";
import { annotation } from "../../api/names.ts";
import type { PodUnavailableBudget, PodUnavailableBudgetStatus, ProtectedOperation } from "../../api/podunavailablebudget.ts";
import { compileSelector, isEmptySelector } from "../../kube/selector.ts";
import { formatTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import { protectedBy } from "./options.ts";

export const budgetLimits = {
  /** Operations that were let through and have not shown yet: beyond that, nothing more is let through. */
  recordedMax: 2_000,
  /** ms a deletion or an eviction that was let through counts against the budget, unless it shows before. */
  disruptedMs: 20_000,
  /** ms an update that was let through counts against it: by then the kubelet has taken the container down. */
  unavailableMs: 10_000,
} as const;

export interface Asked {
  readonly pod: Readonly<Pod>;
  readonly operation: ProtectedOperation;
  readonly gates: Gates;
  readonly nowMs: number;
}

export type Decision =
  /** At no charge. `NothingDesired`: the budget asks for no pod at all, or was never counted. */
  | { readonly allowed: true; readonly because: "Ignored" | "NothingDesired" | "NotProtected" }
  /** `Charged`: one less may go. `Recorded`: it was charged before, and its time begins anew. */
  | { readonly allowed: true; readonly because: "Charged" | "Recorded"; readonly status: PodUnavailableBudgetStatus }
  | { readonly allowed: false; readonly because: "NoneLeft" | "TooManyRecorded" | "SelectorUnreadable"; readonly message: string };

/** What `budget` says to a pod that has no free pass. */
export function decide(budget: Readonly<PodUnavailableBudget>, asked: Asked): Decision {
  const ignored = isIgnored(budget, asked.pod);
  if (typeof ignored === "string") return refuse(budget, "SelectorUnreadable", ignored);
  if (ignored) return { allowed: true, because: "Ignored" };
  const { status } = budget;
  if (status === undefined || (status.desiredAvailable ?? 0) <= 0) return { allowed: true, because: "NothingDesired" };
  if (!protectedBy(budget, asked.gates).has(asked.operation)) return { allowed: true, because: "NotProtected" };
  if (isRecorded(status, asked.pod)) return { allowed: true, because: "Recorded", status: recorded(status, asked) };
  if ((status.unavailableAllowed ?? 0) <= 0) return refuse(budget, "NoneLeft", noneLeft(status));
  if (recordedCount(status) > budgetLimits.recordedMax) {
    return refuse(budget, "TooManyRecorded", `${recordedCount(status)} operations were let through and have not shown yet`);
  }
  const left = {
    ...status,
    unavailableAllowed: status.unavailableAllowed - 1,
    // A pod that is recorded is not counted: said at once, the controller has nothing to add.
    currentAvailable: Math.max(0, (status.currentAvailable ?? 0) - 1),
  };
  return { allowed: true, because: "Charged", status: recorded(left, asked) };
}

/** A string says what is wrong with the selector. */
export function isIgnored({ spec }: Readonly<PodUnavailableBudget>, pod: Readonly<Pod>): boolean | string {
  const selector = spec?.ignoredPodSelector;
  if (selector === undefined || isEmptySelector(selector)) return false;
  const compiled = compileSelector(selector);
  return compiled.ok ? compiled.matcher.matches(pod.metadata.labels) : `spec.ignoredPodSelector: ${compiled.problem}`;
}

function isRecorded({ disruptedPods, unavailablePods }: PodUnavailableBudgetStatus, { metadata }: Readonly<Pod>): boolean {
  return Object.hasOwn(disruptedPods ?? {}, metadata.name) || Object.hasOwn(unavailablePods ?? {}, metadata.name);
}

export function recordedCount({ disruptedPods, unavailablePods }: PodUnavailableBudgetStatus): number {
  return Object.keys(disruptedPods ?? {}).length + Object.keys(unavailablePods ?? {}).length;
}

/** A resize ends nothing, so nobody waits for the pod to go: it is recorded as an update. */
function recorded(status: PodUnavailableBudgetStatus, { pod, operation, nowMs }: Asked): PodUnavailableBudgetStatus {
  const list = operation === "UPDATE" || operation === "RESIZE" ? "unavailablePods" : "disruptedPods";
  return { ...status, [list]: { ...status[list], [pod.metadata.name]: formatTime(nowMs) } };
}

function refuse(
  { metadata }: Readonly<PodUnavailableBudget>,
  because: "NoneLeft" | "TooManyRecorded" | "SelectorUnreadable",
  why: string,
): Decision {
  return { allowed: false, because, message: `podunavailablebudget.policy.kruise.io "${metadata.name}" is forbidden: ${why}` };
}

function noneLeft({ currentAvailable = 0, desiredAvailable = 0 }: PodUnavailableBudgetStatus): string {
  return `no unavailable quota left: ${currentAvailable} pods are available and ${desiredAvailable} have to be; try again when more are, or annotate the pod with ${annotation.pubNoProtect}=true`;
}
