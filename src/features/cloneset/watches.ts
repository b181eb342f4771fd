/** Which CloneSets a changed pod or claim concerns. */
import { type CloneSet, cloneSets } from "../../api/cloneset.ts";
import { label } from "../../api/names.ts";
import { type PodUnavailableBudget, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { type Context, type Seen, type Watch, watch } from "../../engine/controller.ts";
import { deepEqual } from "../../kube/json.ts";
import { isOfKind, type Key, keyOf } from "../../kube/kind.ts";
import { persistentVolumeClaims, pods } from "../../kube/kinds.ts";
import { isEmptySelector } from "../../kube/selector.ts";
import type { KubeObject, PersistentVolumeClaim, Pod } from "../../kube/types.ts";
import { controllerOf } from "./owner.ts";
import { matcherFor } from "./world.ts";

export const watches: readonly Watch[] = [
  watch<Pod>(pods, podWakes),
  watch<PersistentVolumeClaim>(persistentVolumeClaims, claimWakes),
  // Budgets wake nobody, since who is held by one asks again by himself; but none may be missing when pods are taken out of service.
  { ...watch<PodUnavailableBudget>(podUnavailableBudgets, () => []), optional: true },
];

export function podWakes({ before, after }: Seen<Pod>, context: Context): Iterable<Key> {
  const owners = new Map<string, Key>();
  for (const pod of [before, after]) {
    const owner = pod === undefined ? undefined : ownerOf(pod);
    if (owner !== undefined) owners.set(owner.name, owner);
  }
  if (owners.size > 0) return before !== undefined && after !== undefined && !concerns(before, after) ? [] : owners.values();
  const pod = after ?? before;
  if (pod === undefined || controllerOf(pod) !== undefined) return [];
  const isNews = before === undefined || after === undefined || !deepEqual(before.metadata.labels, after.metadata.labels);
  return isNews ? selecting(pod, context) : [];
}

export function claimWakes({ before, after }: Seen<PersistentVolumeClaim>): Iterable<Key> {
  const claim = after ?? before;
  const owner = claim === undefined ? undefined : ownerOf(claim);
  if (owner === undefined) {
    // Given away: its former owner has one claim less.
    const former = before === undefined ? undefined : ownerOf(before);
    return former === undefined ? [] : [former];
  }
  const isUpdate = before !== undefined && after !== undefined;
  const isNews = !isUpdate || (after.metadata.deletionTimestamp !== undefined) !== (before.metadata.deletionTimestamp !== undefined);
  const isMoved = isUpdate && after.metadata.labels?.[label.cloneSetInstanceId] !== before.metadata.labels?.[label.cloneSetInstanceId];
  return isNews || isMoved ? [owner] : [];
}

/**
 * A CloneSet's own change, without those that only say what its own plan has said: counts and times in its status. The revisions in there
 * are read again: what they no longer name may be cleaned up.
 */
export function cloneSetConcerns({ before, after }: Seen<CloneSet>): boolean {
  if (before === undefined || after === undefined) return true;
  const [a, b] = [before.metadata, after.metadata];
  if (a.uid !== b.uid || a.generation !== b.generation || a.deletionTimestamp !== b.deletionTimestamp) return true;
  if (!deepEqual(a.annotations, b.annotations) || !deepEqual(before.spec, after.spec)) return true;
  return (["currentRevision", "updateRevision", "collisionCount"] as const).some(
    (field) => before.status?.[field] !== after.status?.[field],
  );
}

/** By group and kind: pods made by older releases name an older version. */
function ownerOf(object: Readonly<KubeObject>): Key | undefined {
  const owner = controllerOf(object);
  return owner !== undefined && isOfKind(owner, cloneSets) ? { namespace: object.metadata.namespace ?? "", name: owner.name } : undefined;
}

/**
 * Whether anything changed that a plan looks at. Node agents and kubelets write much that it does not; what it might look at is compared
 * whole, so that leaving an event out never changes what comes of it.
 */
function concerns(before: Readonly<Pod>, after: Readonly<Pod>): boolean {
  const [a, b] = [before.metadata, after.metadata];
  return (
    a.uid !== b.uid ||
    a.generation !== b.generation ||
    a.deletionTimestamp !== b.deletionTimestamp ||
    !deepEqual(a.labels, b.labels) ||
    !deepEqual(a.ownerReferences, b.ownerReferences) ||
    !deepEqual(a.finalizers, b.finalizers) ||
    !deepEqual(a.annotations, b.annotations) ||
    !deepEqual(before.spec, after.spec) ||
    !deepEqual(lookedAt(before), lookedAt(after))
  );
}

function lookedAt({ status }: Readonly<Pod>): unknown {
  const { phase, conditions, containerStatuses, initContainerStatuses, resize, observedGeneration } = status ?? {};
  return { phase, conditions, containerStatuses, initContainerStatuses, resize, observedGeneration };
}

/** Orphans are never adopted; those who select them look once more, as OpenKruise does. */
function selecting(pod: Readonly<Pod>, { read }: Context): readonly Key[] {
  const labels = pod.metadata.labels;
  if (labels === undefined) return [];
  return read
    .list(cloneSets, pod.metadata.namespace)
    .filter((cloneSet) => !isEmptySelector(cloneSet.spec?.selector) && matcherFor(cloneSet).matches(labels))
    .map(keyOf);
}
