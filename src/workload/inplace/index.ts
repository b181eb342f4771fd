/**
 * In-place update: a pod gets new images, resources or metadata without being recreated.
 *
 * For CloneSet, Advanced StatefulSet and Advanced DaemonSet; nothing here reads, writes or looks at a clock. A workload calls
 * - `planRefresh(pod, settings, nowMs)` for every pod at every round → { steps, delayMs?, why?, problem? }: ends grace periods, starts the
 *   next batch, lets pods back into service;
 * - `planUpdate(pod, oldRevision, newRevision, options, nowMs)` for a pod whose turn it is → { inPlace: false, why }, or { inPlace: true, steps,
 *   delayMs? }. Steps go into one `change` of the pod, in order: out of service, (resize,) the change itself. `options.revisionLabels` are
 *   the labels that name the new revision, `options.alsoWrite` adds the lifecycle state Updating to the same write;
 * - `canUpdateInPlace(oldRevision, newRevision, { gates, ignoreClaimTemplates })` to know beforehand, `whyNotInPlace` to tell;
 * - `isUpdateCompleted(pod, gates)` for lifecycle and availability, `updatePending(pod, gates)` for the reason;
 * - `isServing(pod)` for availability.
 * A pod takes three writes: out of service; image, labels and annotations; back in service, with its lifecycle label.
 */
import { conditionType } from "../../api/names.ts";
import { podCondition } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";

import { graceText } from "./spec.ts";

export type { UpdateSettings } from "./apply.ts";
export { containersPending, isUpdateCompleted, type Pending, resizePending, updatePending } from "./completion.ts";
export type { EligibilityOptions } from "./eligibility.ts";
export { planRefresh, type Refresh } from "./refresh.ts";
export {
  graceText,
  type LastContainerStatus,
  readSpec,
  readState,
  stateText,
  type UpdateSpec,
  type UpdateState,
  writeSpec,
  writeState,
} from "./spec.ts";
export {
  canUpdateInPlace,
  type MetadataWrite,
  planUpdate,
  type UpdateOptions,
  type UpdatePlan,
  updateSpecBetween,
  whyNotInPlace,
} from "./update.ts";

/** Whether the pod waits for the end of a grace period: nobody else should touch it. */
export function isInGracePeriod(pod: Readonly<Pod>): boolean {
  return Boolean(graceText(pod));
}

/** A pod whose InPlaceUpdateReady condition exists and is not True is neither available nor updated and ready. */
export function isServing(pod: Readonly<Pod>): boolean {
  const condition = podCondition(pod, conditionType.inPlaceUpdateReady);
  return condition === undefined || condition.status === "True";
}

/** For the template of pods that may be updated in place. */
export const inPlaceReadinessGate = { conditionType: conditionType.inPlaceUpdateReady } as const;

/** The readiness gates with InPlaceUpdateReady among them, once. */
export function withInPlaceReadinessGate(gates: Pod["spec"]["readinessGates"]): NonNullable<Pod["spec"]["readinessGates"]> {
  if (gates?.some((gate) => gate.conditionType === inPlaceReadinessGate.conditionType)) return gates;
  return [...(gates ?? []), inPlaceReadinessGate];
}
