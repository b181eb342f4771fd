/** What an existing pod needs at every round: the end of a grace period, the next batch, or to be let back into service. */
import { conditionType } from "../../api/names.ts";
import type { ConditionStep, Step } from "../../engine/plan.ts";
import { hasReadinessGate, podCondition } from "../../kube/pod.ts";
import { parseTime } from "../../kube/time.ts";
import type { Condition, Pod } from "../../kube/types.ts";
import { goodCondition } from "../readiness/index.ts";
import { type Applied, applyBatch, type Progress, type UpdateSettings } from "./apply.ts";
import { containersPending, type Pending } from "./completion.ts";
import { graceText, hasChanges, readSpec, stateOf, stateText, type UpdateSpec, type UpdateState } from "./spec.ts";
import { dropped, graceAnnotations, isAt, podPatch, progressOf, resizeStep, spentAnnotations } from "./update.ts";

export interface Refresh {
  /** None: there is nothing to do now. */
  readonly steps: readonly Step<Pod>[];
  /** Look again after this time even if nothing happens. */
  readonly delayMs?: number;
  /** What the pod waits for. */
  readonly why?: Pending;
  /** What is wrong with the pod's annotations; somebody has to repair them. Other pods are not concerned. */
  readonly problem?: string;
}

/** Stands for its pod as it is, for ever: returned where neither time nor settings matter. */
const nothing: Refresh = { steps: [] };

/** Versions of pods that nothing is due for, whatever the time and the settings: most pods, at most rounds. */
const settled = new WeakSet<object>();

export function planRefresh(pod: Readonly<Pod>, settings: UpdateSettings, nowMs: number): Refresh {
  if (settled.has(pod)) return nothing;
  const refresh = refreshNow(pod, settings, nowMs);
  if (refresh === nothing) settled.add(pod);
  return refresh;
}

function refreshNow(pod: Readonly<Pod>, settings: UpdateSettings, nowMs: number): Refresh {
  const grace = graceText(pod);
  if (grace) return refreshGrace(pod, grace, settings, nowMs);
  const state = stateOf(pod);
  if (state === undefined) return isInService(pod) ? nothing : letIn(pod, nowMs);
  if (state === "unreadable") return { steps: [], problem: `the in-place update state of pod ${pod.metadata.name} is not readable` };
  // Nothing waits and the pod is in service: whether its containers are all there again changes nothing here, so it is not computed. A
  // resize goes on in service, and may never come to an end.
  if (!hasChanges(state.next) && isInService(pod)) {
    const why = state.updateResources ? containersPending(pod, state, settings.gates) : undefined;
    return why === undefined ? nothing : { steps: [], why };
  }
  const why = containersPending(pod, state, settings.gates);
  if (why !== undefined) return { steps: [], why };
  if (!hasChanges(state.next)) return letIn(pod, nowMs);
  const missing = (state.requiredReady ?? []).find((name) => !isContainerReady(pod, name));
  if (missing !== undefined) return { steps: [], why: { code: "WaitingForContainerReady", figures: { container: missing } } };
  return { steps: nextBatchSteps(stateText(pod), state, settings, nowMs), why: { code: "InPlaceUpdateNextBatch" } };
}

function isContainerReady(pod: Readonly<Pod>, name: string): boolean {
  return pod.status?.containerStatuses?.find((status) => status.name === name)?.ready === true;
}

// ---- back into service

/** A pod without the readiness gate always is. */
function isInService(pod: Readonly<Pod>): boolean {
  if (!hasReadinessGate(pod, conditionType.inPlaceUpdateReady)) return true;
  const condition = podCondition(pod, conditionType.inPlaceUpdateReady);
  return condition?.status === "True" && !condition.reason && !condition.message;
}

function letIn(pod: Readonly<Pod>, nowMs: number): Refresh {
  if (isInService(pod)) return nothing;
  const name = "ready";
  const ready = goodCondition(conditionType.inPlaceUpdateReady, nowMs);
  // Later only this very version counts: a newer one may be in the middle of the next update.
  if (!isNew(pod)) return { steps: [{ name, ofVersion: pod.metadata.resourceVersion, conditions: () => [ready] }] };
  // A pod serves nobody before it has a node. By then it may become Normal as well, and one write says it all.
  if (!pod.spec.nodeName) return nothing;
  // Scheduler and kubelet change a new pod at once, and none of that matters here.
  const step: ConditionStep<Pod> = {
    name,
    conditions: (fresh) => (isNew(fresh) ? [ready, ...firstKruisePodReady(fresh, nowMs)] : undefined),
  };
  return { steps: [step] };
}

/** KruisePodReady is due at the same time: the controller of readiness leaves it to the workloads that come here. */
function firstKruisePodReady(pod: Readonly<Pod>, nowMs: number): readonly Condition[] {
  const type = conditionType.kruisePodReady;
  return hasReadinessGate(pod, type) && podCondition(pod, type) === undefined ? [goodCondition(type, nowMs)] : [];
}

/** Nobody has ever taken it into or out of service, or begun to update it. */
function isNew(pod: Readonly<Pod>): boolean {
  return podCondition(pod, conditionType.inPlaceUpdateReady) === undefined && stateText(pod) === undefined && !graceText(pod);
}

// ---- grace period

function refreshGrace(pod: Readonly<Pod>, grace: string, settings: UpdateSettings, nowMs: number): Refresh {
  const decided = decideGrace(pod, nowMs);
  if (decided.do === "problem") return { steps: [], problem: decided.problem };
  if (decided.do === "wait") {
    const seconds = Math.ceil(decided.leftMs / 1000);
    return { steps: [], delayMs: seconds * 1000, why: { code: "InPlaceUpdateGracePeriod", figures: { secondsLeft: seconds } } };
  }
  const apply = (fresh: Readonly<Pod>): Applied | undefined => {
    const again = decideGrace(fresh, nowMs);
    return graceText(fresh) === grace && again.do === "apply" ? applyBatch(fresh, again.spec, again.progress, settings, nowMs) : undefined;
  };
  const steps: Step<Pod>[] = [];
  if (decided.do === "apply" && decided.spec.resources.size > 0 && settings.resizeSubresource) steps.push(resizeStep(apply));
  steps.push({
    name: "inplace-update-grace-over",
    precondition: "version",
    onConflict: "retry",
    write: (fresh) => {
      if (graceText(fresh) === undefined) return undefined;
      if (decideGrace(fresh, nowMs).do === "drop") {
        return { patch: "strategic", body: { metadata: { annotations: dropped(fresh, graceAnnotations) } } };
      }
      const applied = apply(fresh);
      return applied === undefined ? undefined : podPatch(applied, { annotations: dropped(fresh, spentAnnotations) });
    },
  });
  return { steps };
}

type GraceDecision =
  | { readonly do: "problem"; readonly problem: string }
  | { readonly do: "wait"; readonly leftMs: number }
  /** The pod was moved to another revision meanwhile: the normal path starts again for that one. */
  | { readonly do: "drop" }
  | { readonly do: "apply"; readonly spec: UpdateSpec; readonly progress: Progress };

function decideGrace(pod: Readonly<Pod>, nowMs: number): GraceDecision {
  const { name } = pod.metadata;
  const spec = readSpec(graceText(pod) ?? "");
  if (spec === undefined) return { do: "problem", problem: `the in-place update grace annotation of pod ${name} is not readable` };
  const state = stateOf(pod);
  if (state === undefined) return { do: "problem", problem: `pod ${name} has an in-place update grace annotation but no state annotation` };
  if (!isAt(pod, spec.revision)) return { do: "drop" };
  const startedMs = state === "unreadable" ? undefined : parseTime(state.updateTimestamp);
  // Without a readable state the grace spec still says all that is needed; only how long the pod has waited is lost.
  if (state === "unreadable" || startedMs === undefined) return { do: "apply", spec, progress: progressOf(spec, nowMs) };
  const leftMs = startedMs + spec.graceSeconds * 1000 - nowMs;
  return leftMs > 0 ? { do: "wait", leftMs } : { do: "apply", spec, progress: state };
}

// ---- batches

function nextBatchSteps(text: string | undefined, state: UpdateState, settings: UpdateSettings, nowMs: number): readonly Step<Pod>[] {
  const apply = (fresh: Readonly<Pod>): Applied | undefined =>
    stateText(fresh) === text && !graceText(fresh) ? applyBatch(fresh, state.next, state, settings, nowMs) : undefined;
  const steps: Step<Pod>[] = [];
  if (state.next.resources.size > 0 && settings.resizeSubresource) steps.push(resizeStep(apply));
  steps.push({
    name: "inplace-update-batch",
    precondition: "version",
    onConflict: "retry",
    write: (fresh) => {
      const applied = apply(fresh);
      return applied === undefined ? undefined : podPatch(applied, { annotations: dropped(fresh, spentAnnotations) });
    },
  });
  return steps;
}
