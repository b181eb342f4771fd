/** Between workloads and pods. */

import { cloneSets } from "../../api/cloneset.ts";
import { advancedStatefulSets } from "../../api/foreign.ts";
import type { Kind } from "../../kube/kind.ts";
import { deployments, pods, podsByOwner, replicaSets, replicaSetsByOwner, replicationControllers, statefulSets } from "../../kube/kinds.ts";
import type { Failure } from "../../kube/outcome.ts";
import { isActive } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { controllerOf, isControlledBy } from "../owner.ts";
import type { Finder, Found, Workload, WorkloadReference } from "./finder.ts";
import { findWorkload, readObject, replicasOf } from "./workload.ts";

/** The workload that controls a pod; none for a pod without a controller. */
export async function workloadOf(finder: Finder, pod: Readonly<Pod>): Promise<Found> {
  const owner = controllerOf(pod);
  if (owner === undefined) return { ok: true, workload: undefined };
  return findWorkload(finder, { ...owner, namespace: pod.metadata.namespace ?? "" });
}

/**
 * How many pods the workloads of these pods want together. Pods without a controller count for nothing, and so do workloads that are being
 * deleted. A workload that does not say counts as the pods that it has among these.
 */
export async function expectedScale(
  finder: Finder,
  of: readonly Readonly<Pod>[],
): Promise<{ readonly ok: true; readonly scale: number } | Failure> {
  const controlled = Map.groupBy(of, (pod) => controllerOf(pod)?.uid);
  controlled.delete(undefined);
  const counted = new Set<string>();
  let scale = 0;
  for (const members of controlled.values()) {
    const found = await workloadOf(finder, members[0] as Readonly<Pod>);
    if (!found.ok) return found;
    const { workload } = found;
    if (workload === undefined || workload.metadata.deletionTimestamp !== undefined) continue;
    if (workload.scale < 0) scale += members.length;
    // Two ReplicaSets of one Deployment: it is asked for once.
    else if (!counted.has(workload.reference.uid)) scale += workload.scale;
    counted.add(workload.reference.uid);
  }
  return { ok: true, scale };
}

export type PodsFound =
  | { readonly ok: true; readonly pods: readonly Readonly<Pod>[]; readonly replicas: number }
  /** Somebody has to ask again. */
  | Failure;

/**
 * The pods of a workload, from the cache, and how many it wants. A workload that is missing, being deleted or scaled to 0 has none.
 * @param activeOnly without those that are finished or being deleted
 */
export async function podsOf(finder: Finder, reference: WorkloadReference, activeOnly: boolean): Promise<PodsFound> {
  const found = reference.kind === replicaSets.kind ? await findReplicaSet(finder, reference) : await findWorkload(finder, reference);
  if (!found.ok) return found;
  const { workload } = found;
  if (workload === undefined || workload.metadata.deletionTimestamp !== undefined) return { ok: true, pods: [], replicas: 0 };
  if (workload.scale === 0) return { ok: true, pods: [], replicas: 0 };
  const all = listPods(finder, workload);
  return { ok: true, pods: activeOnly ? all.filter(isActive) : all, replicas: workload.scale };
}

/** The ReplicaSet itself, also when a Deployment controls it. */
async function findReplicaSet(finder: Finder, reference: WorkloadReference): Promise<Found> {
  const answer = await readObject(finder, replicaSets as Kind, reference);
  if (!answer.ok || answer.object === undefined) return answer.ok ? { ok: true, workload: undefined } : answer;
  const { metadata } = answer.object;
  const { apiVersion, kind, namespace, name } = reference;
  return {
    ok: true,
    workload: { reference: { apiVersion, kind, namespace, name, uid: metadata.uid }, scale: replicasOf(answer.object), metadata },
  };
}

/** Kinds whose pods carry their UID, so that labels need not be asked. */
const direct: ReadonlySet<string> = new Set(
  ([replicaSets, statefulSets, replicationControllers, cloneSets, advancedStatefulSets] as readonly Kind[]).map(({ kind }) => kind),
);

function listPods({ read }: Finder, { reference, matcher }: Workload): readonly Readonly<Pod>[] {
  const { kind, namespace, uid } = reference;
  const owned = ownersOf(read, reference, matcher).flatMap((owner) => read.find(podsByOwner, owner));
  if (direct.has(kind) || kind === deployments.kind || owned.length > 0 || matcher === undefined) return owned;
  // Pods of a custom kind may belong to something in between.
  return uid === "" ? owned : read.list(pods, namespace).filter(({ metadata }) => matcher.matches(metadata.labels));
}

/** UIDs that the pods carry: those of a Deployment carry its ReplicaSets', of all that are left of it. */
function ownersOf(read: Finder["read"], { kind, uid }: Workload["reference"], matcher: Workload["matcher"]): readonly string[] {
  if (kind !== deployments.kind) return [uid];
  const sets = read
    .find(replicaSetsByOwner, uid)
    .filter(
      (set) => isControlledBy(set, uid) && set.metadata.deletionTimestamp === undefined && (matcher?.matches(set.metadata.labels) ?? true),
    );
  return sets.length > 0 ? sets.map(({ metadata }) => metadata.uid) : [uid];
}
