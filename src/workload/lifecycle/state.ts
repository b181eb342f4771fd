/** What a pod's lifecycle label and its workload's hooks say. */
import { annotation, type LifecycleState, label, lifecycleState } from "../../api/names.ts";
import { getOwn, textOf } from "../../kube/json.ts";
import type { Pod } from "../../kube/types.ts";

export type { LifecycleState };

/** Labels and finalizers that stand for somebody's consent: while they are on the pod, the pod is hooked. */
export interface LifecycleHook {
  readonly labelsHandler?: Readonly<Record<string, string>>;
  readonly finalizersHandler?: readonly string[];
  /** The pod is taken out of service (KruisePodReady=False) while it waits. Acts on preDelete and inPlaceUpdate only. */
  readonly markPodNotReady?: boolean;
}

export interface Lifecycle {
  readonly preDelete?: LifecycleHook;
  readonly inPlaceUpdate?: LifecycleHook;
  readonly preNormal?: LifecycleHook;
}

const known: ReadonlySet<string> = new Set(Object.values(lifecycleState));

/** The label as it stands: "" when absent, and perhaps a word that nobody defined. */
export function lifecycleLabel(pod: Readonly<Pod>): string {
  return pod.metadata.labels?.[label.lifecycleState] ?? "";
}

/** "": no label. undefined: a word that nobody defined; such a pod is left alone. */
export function lifecycleStateOf(pod: Readonly<Pod>): LifecycleState | "" | undefined {
  const state = lifecycleLabel(pod);
  return state === "" || known.has(state) ? (state as LifecycleState | "") : undefined;
}

/** A pod whose state is neither absent nor Normal counts as unavailable. */
export function isLifecycleNormal(pod: Readonly<Pod>): boolean {
  const state = lifecycleLabel(pod);
  return state === "" || state === lifecycleState.normal;
}

export function lifecycleTimestamp(pod: Readonly<Pod>): string | undefined {
  return pod.metadata.annotations?.[annotation.lifecycleTimestamp];
}

type Hooked = Pick<Pod["metadata"], "labels" | "finalizers">;

/** Whether any finalizer or any label pair of the hook is on the pod. A pair with value "" is also met by a missing label. */
export function isHooked(hook: LifecycleHook | undefined, pod: { readonly metadata: Hooked }): boolean {
  if (hook === undefined) return false;
  const { labels = {}, finalizers = [] } = pod.metadata;
  if (hook.finalizersHandler?.some((name) => finalizers.includes(name))) return true;
  return Object.entries(hook.labelsHandler ?? {}).some(([key, value]) => textOf(getOwn(labels, key)) === value);
}

/** Whether every finalizer and every label pair of the hook is on the pod. No hook: false. An empty hook: true. */
export function isAllHooked(hook: LifecycleHook | undefined, pod: { readonly metadata: Hooked }): boolean {
  if (hook === undefined) return false;
  const { labels = {}, finalizers = [] } = pod.metadata;
  if (!(hook.finalizersHandler ?? []).every((name) => finalizers.includes(name))) return false;
  return Object.entries(hook.labelsHandler ?? {}).every(([key, value]) => textOf(getOwn(labels, key)) === value);
}
