/** What a pod says about its budget, and whether it counts. */
import type { Gates } from "../../api/gates.ts";
import { annotation, unavailablePodLabelPrefix } from "../../api/names.ts";
import { fieldsOf, getOwn, textOf } from "../../kube/json.ts";
import { isRunningAndReady } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { inconsistency } from "./consistency.ts";

/** The name of the budget that guards the pod; "" when none does. */
export function relatedBudget(pod: Readonly<Pod>): string {
  const annotations = fieldsOf(pod.metadata.annotations);
  return textOf(getOwn(annotations, annotation.relatedPub)) || textOf(getOwn(annotations, annotation.relatedPubLegacy));
}

const truths: ReadonlySet<string> = new Set(["1", "t", "T", "TRUE", "true", "True"]);

/** Why the pod may be taken whatever its budget says, and at no charge; undefined: its budget is asked. */
export type FreePass = "NoProtect" | "NotReady" | "NotConsistent";

export function freePass(pod: Readonly<Pod>, gates: Gates): FreePass | undefined {
  if (truths.has(textOf(getOwn(fieldsOf(pod.metadata.annotations), annotation.pubNoProtect)))) return "NoProtect";
  return whyUnavailable(pod, gates);
}

/** Whether the pod counts as available: running, ready, in nobody's way out of service, and as its spec says. */
export function isAvailableFor(pod: Readonly<Pod>, gates: Gates): boolean {
  return whyUnavailable(pod, gates) === undefined;
}

function whyUnavailable(pod: Readonly<Pod>, gates: Gates): "NotReady" | "NotConsistent" | undefined {
  if (!isRunningAndReady(pod) || isMarkedUnavailable(pod)) return "NotReady";
  return inconsistency(pod, gates) === undefined ? undefined : "NotConsistent";
}

/** Somebody took the pod out by a label. */
export function isMarkedUnavailable(pod: Readonly<Pod>): boolean {
  return Object.keys(fieldsOf(pod.metadata.labels)).some((key) => key.startsWith(unavailablePodLabelPrefix));
}
