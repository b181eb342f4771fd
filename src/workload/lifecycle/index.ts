/**
 * The lifecycle of a pod of ours: PreparingNormal → Normal → PreparingUpdate → Updating → Updated → Normal, and PreparingDelete.
 *
 * A workload uses it at four points:
 * - creation: `stateMetadata(state, nowMs)` into labels and annotations (`stateAtCreation` for an Advanced StatefulSet);
 * - every round, after inplace's `planRefresh`: `advance(pod, facts, nowMs)`; steps → one change of the pod, and nothing else for this pod
 *   in this round;
 * - before an in-place update: `beforeUpdate(pod, lifecycle)`, then `prepareSteps` for `prepare` and `prepareAgain`;
 * - before a deletion: `isDeletionHeld(pod, lifecycle)` → `holdDeletionSteps` instead of the delete; `cancelDeletionSteps` to take it back.
 * Steps are computed again from the freshest pod and write nothing that is there already.
 */
import { type LifecycleState, lifecycleState } from "../../api/names.ts";
import type { Step } from "../../engine/plan.ts";
import type { Pod } from "../../kube/types.ts";
import type { Lifecycle } from "./state.ts";
import { nextState, type RefreshFacts } from "./transitions.ts";
import { hookFor, prepareAgain, setState } from "./write.ts";

export {
  isAllHooked,
  isHooked,
  isLifecycleNormal,
  type Lifecycle,
  type LifecycleHook,
  type LifecycleState,
  lifecycleLabel,
  lifecycleStateOf,
  lifecycleTimestamp,
} from "./state.ts";
export {
  type BeforeUpdate,
  beforeUpdate,
  isDeletionHeld,
  mayCancelDeletion,
  nextState,
  type RefreshFacts,
  stateAtCreation,
} from "./transitions.ts";
export { setState, stateMetadata } from "./write.ts";

/** The move that is due for an existing pod, if any. */
export function advance(
  pod: Readonly<Pod>,
  facts: RefreshFacts,
  nowMs: number,
): { readonly to: LifecycleState; readonly steps: readonly Step<Pod>[] } | undefined {
  const to = nextState(pod, facts);
  return to === undefined ? undefined : { to, steps: setState(pod, to, hookFor(to, facts.lifecycle), nowMs) };
}

/** @param again `beforeUpdate` said `prepareAgain` */
export function prepareSteps(pod: Readonly<Pod>, lifecycle: Lifecycle | undefined, again: boolean, nowMs: number): readonly Step<Pod>[] {
  const hook = lifecycle?.inPlaceUpdate;
  if (again && hook !== undefined) return prepareAgain(pod, hook, nowMs);
  return setState(pod, lifecycleState.preparingUpdate, hook, nowMs);
}

/** PreparingDelete instead of a deletion; none when the pod already waits. */
export function holdDeletionSteps(pod: Readonly<Pod>, lifecycle: Lifecycle | undefined, nowMs: number): readonly Step<Pod>[] {
  return setState(pod, lifecycleState.preparingDelete, lifecycle?.preDelete, nowMs);
}

/** Back to PreparingNormal. Ask `mayCancelDeletion` first. */
export function cancelDeletionSteps(pod: Readonly<Pod>, nowMs: number): readonly Step<Pod>[] {
  return setState(pod, lifecycleState.preparingNormal, undefined, nowMs);
}
