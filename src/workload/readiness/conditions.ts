/** Pod conditions as they should be after one of them changes, and what that makes of `Ready`. */

import { podCondition, podConditionStatus } from "../../kube/pod.ts";
import { formatTime } from "../../kube/time.ts";
import type { Condition, Pod } from "../../kube/types.ts";

/**
 * The given conditions, and `Ready` where they turn it. The kubelet does the same at its next sync, but traffic should leave the pod now.
 * Only for conditions that became False: whether a pod is ready again is for the kubelet to say.
 */
export function withReady(pod: Readonly<Pod>, changed: readonly Condition[], nowMs: number): readonly Condition[] {
  const ready = recomputedReady(pod, changed, nowMs);
  return ready === undefined ? changed : [...changed, ready];
}

/** True, with nothing more to say. Empty texts are said: a write of conditions merges, and would keep those of before. */
export function goodCondition(type: string, nowMs: number): Condition {
  return { type, status: "True", reason: "", message: "", lastTransitionTime: formatTime(nowMs) };
}

function recomputedReady(pod: Readonly<Pod>, changed: readonly Condition[], nowMs: number): Condition | undefined {
  const ready = podCondition(pod, "Ready");
  if (ready === undefined || podConditionStatus(pod, "ContainersReady") !== "True") return undefined;
  const problems = (pod.spec.readinessGates ?? []).flatMap(({ conditionType: type }) => {
    const condition = changed.find((candidate) => candidate.type === type) ?? podCondition(pod, type);
    if (condition === undefined) return [`corresponding condition of pod readiness gate "${type}" does not exist.`];
    return condition.status === "True" ? [] : [`the status of pod readiness gate "${type}" is not "True", but ${condition.status}`];
  });
  const status = problems.length === 0 ? "True" : "False";
  if (ready.status === status) return undefined;
  const lastTransitionTime = formatTime(nowMs);
  if (status === "True") return goodCondition("Ready", nowMs);
  return { type: "Ready", status, reason: "ReadinessGatesNotReady", message: problems.join(", "), lastTransitionTime };
}
