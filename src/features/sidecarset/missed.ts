/** Pods that should have been injected and were not: created while the webhook was down, or kept from it. */

import { label } from "../../api/names.ts";
import type { Settings } from "../../api/settings.ts";
import type { SidecarSet } from "../../api/sidecarset.ts";
import type { Reader } from "../../kube/access.ts";
import type { Index } from "../../kube/kind.ts";
import { namespaces, pods } from "../../kube/kinds.ts";
import { isActive } from "../../kube/pod.ts";
import { parseTime } from "../../kube/time.ts";
import type { Namespace, Pod } from "../../kube/types.ts";
import { injectedNames } from "./annotations.ts";
import { matchesLabels, matchesNamespace } from "./select.ts";

/** Pods without any sidecar, by namespace: where injection works these are few. */
export const podsWithoutSidecars: Index<Pod> = {
  name: "withoutSidecars",
  of: pods,
  keys: ({ metadata }) => (injectedNames(metadata.annotations).length === 0 ? [metadata.namespace ?? ""] : []),
};

const staticPod = "kubernetes.io/config.mirror";

export interface Missed {
  readonly pods: readonly Readonly<Pod>[];
  /** How many more are on their way out. */
  readonly leaving: number;
}

const none: Missed = { pods: [], leaving: 0 };

/** Selected, alive, younger than the SidecarSet, and without any sidecar. Older pods are left alone, as they should be. */
export function missedPods(read: Pick<Reader, "get" | "find" | "list">, settings: Settings, set: Readonly<SidecarSet>): Missed {
  if (!settings.gates.enabled("PodWebhook") || set.spec.injectionStrategy?.paused === true) return none;
  const sinceMs = parseTime(set.metadata.creationTimestamp);
  if (sinceMs === undefined) return none;
  const isMissed = (pod: Readonly<Pod>): boolean =>
    matchesLabels(set, pod.metadata.labels) &&
    (parseTime(pod.metadata.creationTimestamp) ?? 0) > sinceMs &&
    pod.metadata.annotations?.[staticPod] === undefined;
  const found = read
    .list(namespaces)
    .filter((namespace) => isServed(namespace, settings) && matchesNamespace(set, namespace.metadata.labels ?? {}))
    .flatMap(({ metadata }) => read.find(podsWithoutSidecars, metadata.name).filter(isMissed));
  if (found.length === 0) return none;
  return { pods: found.filter(isActive), leaving: found.filter(isLeaving).length };
}

/** Asked to go, and still there. */
function isLeaving({ metadata, status }: Readonly<Pod>): boolean {
  return metadata.deletionTimestamp !== undefined && status?.phase !== "Succeeded" && status?.phase !== "Failed";
}

/** Whether the API server asks the pod webhook about pods of this namespace. */
export function isServed({ metadata }: Readonly<Namespace>, { installNamespace }: Pick<Settings, "installNamespace">): boolean {
  return metadata.name !== installNamespace && metadata.name !== "kube-system" && !Object.hasOwn(metadata.labels ?? {}, label.controlPlane);
}
