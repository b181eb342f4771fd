/**
 * KruisePodReady with several writers: the condition is False while anybody holds a key, and its message lists them. Each writer adds
 * and removes only its own key.
 */
import { conditionType } from "../../api/names.ts";
import type { ConditionStep } from "../../engine/plan.ts";
import { compareUtf8, fieldsOf, textOf } from "../../kube/json.ts";
import { hasReadinessGate, podCondition } from "../../kube/pod.ts";
import { formatTime } from "../../kube/time.ts";
import type { Condition, Pod } from "../../kube/types.ts";
import { withReady } from "./conditions.ts";

export interface NotReadyKey {
  /** Who: "Lifecycle", "ContainerRecreateRequest". */
  readonly userAgent: string;
  /** What for: "preDeleteHook", "default/restart-web-1". */
  readonly key: string;
}

export const preDeleteKey: NotReadyKey = { userAgent: "Lifecycle", key: "preDeleteHook" };
export const preUpdateKey: NotReadyKey = { userAgent: "Lifecycle", key: "preUpdateHook" };
export const recreateKey = (namespace: string, name: string): NotReadyKey => ({
  userAgent: "ContainerRecreateRequest",
  key: `${namespace}/${name}`,
});

/** Whether the pod shows that it is held out of service under this key. Always false without the readiness gate. */
export function holdsKey(pod: Readonly<Pod>, key: NotReadyKey): boolean {
  const condition = hasReadinessGate(pod, conditionType.kruisePodReady) ? podCondition(pod, conditionType.kruisePodReady) : undefined;
  return condition !== undefined && indexOfKey(readKeys(condition), key) >= 0;
}

/** Whether adding the key would write. A pod without the readiness gate is left alone: nobody would look at the condition. */
export function needsKey(pod: Readonly<Pod>, key: NotReadyKey): boolean {
  if (!hasReadinessGate(pod, conditionType.kruisePodReady)) return false;
  return !holdsKey(pod, key) || podCondition(pod, conditionType.kruisePodReady)?.status === "True";
}

export function addKeyStep(key: NotReadyKey, nowMs: number): ConditionStep<Pod> {
  return {
    name: "not-ready",
    gatherMs: 0,
    conditions: (fresh) => {
      if (!needsKey(fresh, key)) return undefined;
      const keys = readKeys(podCondition(fresh, conditionType.kruisePodReady));
      const held = indexOfKey(keys, key) >= 0 ? keys : [...keys, key];
      return withReady(fresh, [condition("False", held, nowMs)], nowMs);
    },
  };
}

/** Keys that the pod does not hold are passed over. `Ready` follows from the kubelet. */
export function removeKeysStep(drop: readonly NotReadyKey[], nowMs: number): ConditionStep<Pod> {
  return {
    name: "ready-again",
    gatherMs: 0,
    conditions: (fresh) => {
      if (!drop.some((key) => holdsKey(fresh, key))) return undefined;
      const left = readKeys(podCondition(fresh, conditionType.kruisePodReady)).filter((key) => indexOfKey(drop, key) < 0);
      return [condition(left.length === 0 ? "True" : "False", left, nowMs)];
    },
  };
}

function condition(status: "True" | "False", keys: readonly NotReadyKey[], nowMs: number): Condition {
  return { type: conditionType.kruisePodReady, status, message: keysText(keys), lastTransitionTime: formatTime(nowMs) };
}

function indexOfKey(keys: readonly NotReadyKey[], key: NotReadyKey): number {
  return keys.findIndex((held) => held.userAgent === key.userAgent && held.key === key.key);
}

/** The message of the condition: `[{"userAgent":"Lifecycle","key":"preUpdateHook"}]`, sorted; `[]` when nobody holds a key. */
export function keysText(keys: readonly NotReadyKey[]): string {
  const sorted = [...keys].sort((a, b) => compareUtf8(a.userAgent, b.userAgent) || compareUtf8(a.key, b.key));
  return JSON.stringify(sorted.map(({ userAgent, key }) => ({ userAgent, key })));
}

/** An unreadable message holds no keys. */
export function readKeys(condition: Readonly<Condition> | undefined): readonly NotReadyKey[] {
  if (!condition?.message) return [];
  try {
    const parsed: unknown = JSON.parse(condition.message);
    if (!Array.isArray(parsed)) return [];
    return parsed.map((entry) => ({ userAgent: textOf(fieldsOf(entry)["userAgent"]), key: textOf(fieldsOf(entry)["key"]) }));
  } catch {
    return [];
  }
}
