/** Where a pod's lifecycle goes next. Total: every state with every hook has an answer, and none of them is a trap. */
import { type LifecycleState, lifecycleState } from "../../api/names.ts";
import type { Pod } from "../../kube/types.ts";
import { isAllHooked, isHooked, type Lifecycle, lifecycleLabel, lifecycleStateOf } from "./state.ts";

export interface RefreshFacts {
  readonly lifecycle?: Lifecycle;
  /**
   * The pod runs the revision it is meant to go to. Mostly that is the update revision; where pods are moved back, or are held by a
   * partition, the revision meant for this pod, so that a pod prepared for a move that is off does not wait for it.
   */
  readonly atTarget: boolean;
  /** Nothing of an in-place update is outstanding: inplace's `isUpdateCompleted`. Matters only in state Updating. */
  readonly updateCompleted: boolean;
  /** Without a preNormal hook a new pod becomes Normal: once it has a node (CloneSet), or at once (Advanced StatefulSet). */
  readonly normalNeedsNode: boolean;
}

/** The state that an existing pod moves to now; undefined: it stays. Deletion and the start of an update are decided elsewhere. */
export function nextState(pod: Readonly<Pod>, facts: RefreshFacts): LifecycleState | undefined {
  const { lifecycle } = facts;
  const state = lifecycleStateOf(pod);
  switch (state) {
    case "PreparingNormal":
      return isNormalNow(pod, facts) ? lifecycleState.normal : undefined;
    case "PreparingUpdate":
      return facts.atTarget ? afterUpdate(pod, lifecycle) : undefined;
    case "Updating":
      return facts.updateCompleted ? afterUpdate(pod, lifecycle) : undefined;
    case "Updated": {
      const hook = lifecycle?.inPlaceUpdate;
      return hook === undefined || isAllHooked(hook, pod) ? lifecycleState.normal : undefined;
    }
    case "Normal":
    case "PreparingDelete":
    case "":
    case undefined:
      return undefined;
    default: {
      const missed: never = state;
      return missed;
    }
  }
}

function isNormalNow(pod: Readonly<Pod>, { lifecycle, normalNeedsNode }: RefreshFacts): boolean {
  if (lifecycle?.preNormal === undefined) return !normalNeedsNode || Boolean(pod.spec.nodeName);
  return isAllHooked(lifecycle.preNormal, pod);
}

// A lifecycle without the inPlaceUpdate hook passes through Updated: two writes, and operators that wait for it see it.
function afterUpdate(pod: Readonly<Pod>, lifecycle: Lifecycle | undefined): LifecycleState {
  return lifecycle !== undefined && !isAllHooked(lifecycle.inPlaceUpdate, pod) ? lifecycleState.updated : lifecycleState.normal;
}

/** The state that an Advanced StatefulSet gives a pod at creation. A CloneSet always gives PreparingNormal. */
export function stateAtCreation(
  pod: { readonly metadata: Pick<Pod["metadata"], "labels" | "finalizers"> },
  lifecycle?: Lifecycle,
): LifecycleState {
  const hook = lifecycle?.preNormal;
  return hook === undefined || isAllHooked(hook, pod) ? lifecycleState.normal : lifecycleState.preparingNormal;
}

/**
 * What comes first when a pod is chosen for an in-place update that is possible:
 * - `start`: update it now; the same write sets Updating.
 * - `prepare`: write PreparingUpdate and ask again at the next round.
 * - `prepareAgain`: the same, and put the hook back on the pod, which had been updated and was about to be released.
 * - `wait`: the hook still holds.
 * - `refuse`: the pod is on its way out, or its state is a word that nobody defined.
 */
export type BeforeUpdate =
  | { readonly do: "start" | "prepare" | "prepareAgain" | "wait" }
  | { readonly do: "refuse"; readonly message: string };

export function beforeUpdate(pod: Readonly<Pod>, lifecycle: Lifecycle | undefined): BeforeUpdate {
  const hook = lifecycle?.inPlaceUpdate;
  const state = lifecycleStateOf(pod);
  switch (state) {
    case "":
    case "PreparingNormal":
    case "Normal":
      return { do: isHooked(hook, pod) ? "prepare" : "start" };
    case "Updated":
      // Without a hook there is nobody to prepare for: waiting for one would hold the pod for ever.
      return { do: hook === undefined ? "start" : "prepareAgain" };
    case "PreparingUpdate":
      return { do: isHooked(hook, pod) ? "wait" : "start" };
    case "Updating":
      return { do: "start" };
    case "PreparingDelete":
    case undefined:
      return { do: "refuse", message: `not allowed to in-place update pod ${pod.metadata.name} in state ${lifecycleLabel(pod)}` };
    default: {
      const missed: never = state;
      return missed;
    }
  }
}

/** Whether a pod that is to be deleted must first be asked for: write PreparingDelete instead of deleting it, and look again. */
export function isDeletionHeld(pod: Readonly<Pod>, lifecycle: Lifecycle | undefined): boolean {
  return isHooked(lifecycle?.preDelete, pod);
}

/** Whether pods of this workload may come back from PreparingDelete: not when they may have been taken out of service. */
export function mayCancelDeletion(lifecycle: Lifecycle | undefined): boolean {
  return lifecycle?.preDelete?.markPodNotReady !== true && lifecycle?.inPlaceUpdate?.markPodNotReady !== true;
}
