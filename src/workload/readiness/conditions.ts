/** Pod conditions as they should be after one of them changes, and what that makes of `Ready`. */

import { formatTime } from "../../kube/time.ts";
import type { Condition, Pod } from "../../kube/types.ts";

export function conditionOf(pod: Readonly<Pod>, type: string): Readonly<Condition> | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}

export function isConditionTrue(pod: Readonly<Pod>, type: string): boolean {
  return conditionOf(pod, type)?.status === "True";
}

export function hasReadinessGate(pod: { readonly spec: Pick<Pod["spec"], "readinessGates"> }, type: string): boolean {
  return pod.spec.readinessGates?.some((gate) => gate.conditionType === type) ?? false;
}

/**
 * The given conditions, and `Ready` where they turn it. The kubelet does the same at its next sync, but traffic should leave the pod now.
 * Only for conditions that became False: whether a pod is ready again is for the kubelet to say.
 */
export function withReady(pod: Readonly<Pod>, changed: readonly Condition[], nowMs: number): readonly Condition[] {
  const ready = recomputedReady(pod, changed, nowMs);
  return ready === undefined ? changed : [...changed, ready];
}

function recomputedReady(pod: Readonly<Pod>, changed: readonly Condition[], nowMs: number): Condition | undefined {
  const ready = conditionOf(pod, "Ready");
  if (ready === undefined || !isConditionTrue(pod, "ContainersReady")) return undefined;
  const problems = (pod.spec.readinessGates ?? []).flatMap(({ conditionType: type }) => {
    const condition = changed.find((candidate) => candidate.type === type) ?? conditionOf(pod, type);
    if (condition === undefined) return [`corresponding condition of pod readiness gate "${type}" does not exist.`];
    return condition.status === "True" ? [] : [`the status of pod readiness gate "${type}" is not "True", but ${condition.status}`];
  });
  const status = problems.length === 0 ? "True" : "False";
  if (ready.status === status) return undefined;
  const lastTransitionTime = formatTime(nowMs);
  if (status === "True") return { type: "Ready", status, lastTransitionTime };
  return { type: "Ready", status, reason: "ReadinessGatesNotReady", message: problems.join(", "), lastTransitionTime };
}
