/** Which revision a pod is at: the labels that say it, and how they are compared. */
import { label } from "../../api/names.ts";
import type { Pod } from "../../kube/types.ts";

/** "web-6d5f" → "6d5f": the text after the last dash, the whole text without one. */
export function shortHash(revision: string): string {
  return revision.slice(revision.lastIndexOf("-") + 1);
}

/** Equal, or equal after their last dash: pods may carry a revision's full name or its bare hash. Absent and "" equal nothing. */
export function matchesRevision(a: string | undefined, b: string | undefined): boolean {
  if (!a || !b) return false;
  return a === b || shortHash(a) === shortHash(b);
}

export function revisionOf(pod: { readonly metadata: Pick<Pod["metadata"], "labels"> }): string | undefined {
  return pod.metadata.labels?.[label.controllerRevisionHash];
}

/** As CloneSet matches: pods of either label style count. */
export function isPodAtRevision(pod: { readonly metadata: Pick<Pod["metadata"], "labels"> }, revision: string): boolean {
  return matchesRevision(revisionOf(pod), revision);
}

/** As Advanced StatefulSet and Advanced DaemonSet match. */
export function isPodExactlyAtRevision(pod: { readonly metadata: Pick<Pod["metadata"], "labels"> }, revision: string): boolean {
  return revision !== "" && revisionOf(pod) === revision;
}

/** The revision labels of a CloneSet's pods. @param short gate CloneSetShortHash: the bare hash instead of the full name */
export function cloneSetRevisionLabels(revision: string, short: boolean): Readonly<Record<string, string>> {
  const hash = shortHash(revision);
  return { [label.controllerRevisionHash]: short ? hash : revision, [label.podTemplateHash]: hash };
}

/** The revision label of other workloads' pods: the full name (Advanced StatefulSet) or the hash (Advanced DaemonSet). */
export function revisionLabels(revision: string): Readonly<Record<string, string>> {
  return { [label.controllerRevisionHash]: revision };
}
