/** Lifecycle states as steps: a patch of label and timestamp, and the not-ready key that goes with the state. */
import { annotation, type LifecycleState, label, lifecycleState } from "../../api/names.ts";
import type { Step, WriteStep } from "../../engine/plan.ts";
import { formatTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import { addKeyStep, holdsKey, needsKey, preDeleteKey, preUpdateKey, removeKeysStep } from "../readiness/index.ts";
import { type Lifecycle, type LifecycleHook, lifecycleLabel } from "./state.ts";

/** Label and timestamp of a state: for pods being created, and for writes that change the state on the way. */
export function stateMetadata(
  state: LifecycleState,
  nowMs: number,
): { readonly labels: Record<string, string>; readonly annotations: Record<string, string> } {
  return { labels: { [label.lifecycleState]: state }, annotations: { [annotation.lifecycleTimestamp]: formatTime(nowMs) } };
}

/**
 * The steps that bring `pod` into `state`; none when it shows everything already. The key comes first: when it cannot be written, the
 * state is not written either.
 * @param hook whose `markPodNotReady` applies: `preDelete` for PreparingDelete, `inPlaceUpdate` for all other states
 */
export function setState(pod: Readonly<Pod>, state: LifecycleState, hook: LifecycleHook | undefined, nowMs: number): readonly Step<Pod>[] {
  const keys = keySteps(pod, state, hook, nowMs);
  return lifecycleLabel(pod) === state ? keys : [...keys, stateStep(state, nowMs)];
}

/** The hook whose `markPodNotReady` applies when this state is entered. */
export function hookFor(state: LifecycleState, lifecycle: Lifecycle | undefined): LifecycleHook | undefined {
  return state === lifecycleState.preparingDelete ? lifecycle?.preDelete : lifecycle?.inPlaceUpdate;
}

/** PreparingUpdate once more, with the hook put back: its labels set, its finalizers added. */
export function prepareAgain(pod: Readonly<Pod>, hook: LifecycleHook, nowMs: number): readonly Step<Pod>[] {
  const state = lifecycleState.preparingUpdate;
  return [...keySteps(pod, state, hook, nowMs), stateStep(state, nowMs, hook)];
}

function keySteps(pod: Readonly<Pod>, state: LifecycleState, hook: LifecycleHook | undefined, nowMs: number): readonly Step<Pod>[] {
  const added = hook?.markPodNotReady === true ? addedKey(state) : undefined;
  // Whatever the hook says now: it may have said otherwise when the key was added, and nobody else would ever remove it.
  const dropped = droppedKeys(state).filter((key) => holdsKey(pod, key));
  return [
    ...(added !== undefined && needsKey(pod, added) ? [addKeyStep(added, nowMs)] : []),
    ...(dropped.length > 0 ? [removeKeysStep(dropped, nowMs)] : []),
  ];
}

function addedKey(state: LifecycleState) {
  if (state === lifecycleState.preparingDelete) return preDeleteKey;
  return state === lifecycleState.preparingUpdate ? preUpdateKey : undefined;
}

function droppedKeys(state: LifecycleState) {
  switch (state) {
    case "Updated":
    case "Normal":
    case "PreparingNormal":
      return [preUpdateKey, preDeleteKey];
    case "PreparingUpdate":
    case "Updating":
      return [preDeleteKey];
    case "PreparingDelete":
      return [];
    default: {
      const missed: never = state;
      return missed;
    }
  }
}

function stateStep(state: LifecycleState, nowMs: number, hook?: LifecycleHook): WriteStep<Pod> {
  return {
    name: "lifecycle",
    precondition: "uid",
    onConflict: "retry",
    // Finalizers go the usual way.
    ...(hook === undefined ? { rides: true } : {}),
    write: (fresh) => {
      if (lifecycleLabel(fresh) === state && hook === undefined) return undefined;
      const { labels, annotations } = stateMetadata(state, nowMs);
      const held = fresh.metadata.finalizers ?? [];
      const finalizers = (hook?.finalizersHandler ?? []).filter((name) => !held.includes(name));
      const metadata = {
        labels: { ...hook?.labelsHandler, ...labels },
        annotations,
        ...(finalizers.length > 0 ? { finalizers } : {}),
      };
      return { patch: "strategic", body: { metadata } };
    },
  };
}
