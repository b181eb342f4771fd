/** Nodes are told in the order in which the owner of the job will update the pods on them. */
import { type CloneSet, cloneSets } from "../../../api/cloneset.ts";
import { advancedStatefulSets } from "../../../api/foreign.ts";
import type { ImagePullJob } from "../../../api/imagepulljob.ts";
import type { PriorityStrategy, ScatterStrategy } from "../../../api/schema/common.ts";
import { type SidecarSet, sidecarSets } from "../../../api/sidecarset.ts";
import type { Context } from "../../../engine/controller.ts";
import { fieldsOf } from "../../../kube/json.ts";
import { isOfKind, type Kind } from "../../../kube/kind.ts";
import type { KubeObject, OwnerReference, Pod, WorkloadObject } from "../../../kube/types.ts";
import { LiveMemo } from "../../../workload/live-memo.ts";
import { byPriority, rankForUpdate } from "../../../workload/order/index.ts";
import { controllerOf } from "../../../workload/owner.ts";

/** ms; the order of an owner's update rarely changes, and being late in it costs nothing. */
const ownerAgeMsMax = 30_000;
const owners = new LiveMemo(ownerAgeMsMax);

type Pods = readonly Readonly<Pod>[];

/** The pods as they are when the owner is unknown or cannot be read. */
export async function inUpdateOrder(context: Context, job: Readonly<ImagePullJob>, pods: Pods): Promise<Pods> {
  const owner = controllerOf(job);
  if (owner === undefined || pods.length < 2) return pods;
  if (isOfKind(owner, cloneSets)) return ranked(pods, await read(context, job, owner, cloneSets), orderOfCloneSet);
  if (isOfKind(owner, advancedStatefulSets)) return byOrdinal(pods, await read(context, job, owner, advancedStatefulSets));
  if (isOfKind(owner, sidecarSets))
    return ranked(pods, await read(context, job, owner, sidecarSets), (set) => orderOfSidecarSet(set, pods));
  return pods;
}

async function read<T extends KubeObject>(context: Context, job: Readonly<ImagePullJob>, { name, uid }: OwnerReference, kind: Kind<T>) {
  const answer = await owners.get(context, kind, { namespace: kind.namespaced ? (job.metadata.namespace ?? "") : "", name });
  return answer.ok && answer.object.metadata.uid === uid ? answer.object : undefined;
}

interface Order {
  readonly priority?: PriorityStrategy;
  readonly scatter?: ScatterStrategy;
}

function ranked<T>(pods: Pods, owner: T | undefined, orderOf: (owner: T) => Order): Pods {
  return owner === undefined ? pods : rankForUpdate(pods, pods, orderOf(owner));
}

function orderOfCloneSet({ spec }: CloneSet): Order {
  const rolling = spec.updateStrategy?.rollingUpdate;
  return { priority: rolling?.priorityStrategy, scatter: rolling?.scatterStrategy };
}

function orderOfSidecarSet({ spec }: SidecarSet, pods: Pods): Order {
  const { priorityStrategy, scatterStrategy } = spec.updateStrategy ?? {};
  // "*" stands for every value that the label has among the pods.
  const scatter = scatterStrategy?.flatMap(({ key, value }) => {
    if (value !== "*") return [{ key, value }];
    const values = new Set(pods.flatMap((pod) => pod.metadata.labels?.[key] ?? []));
    return [...values].sort().map((each) => ({ key, value: each }));
  });
  return { priority: priorityStrategy, scatter };
}

/** From the highest ordinal down, then by priority. */
function byOrdinal(pods: Pods, owner: WorkloadObject | undefined): Pods {
  if (owner === undefined) return pods;
  const ordinal = (pod: Readonly<Pod>): number => Number(/-(\d+)$/.exec(pod.metadata.name)?.[1] ?? -1);
  const sorted = [...pods].sort((a, b) => ordinal(b) - ordinal(a));
  const rolling = fieldsOf(fieldsOf(owner.spec?.["updateStrategy"])["rollingUpdate"]);
  const priority = fieldsOf(rolling["unorderedUpdate"])["priorityStrategy"] as PriorityStrategy | undefined;
  return byPriority(sorted, [...sorted.keys()], priority).map((index) => sorted[index] as Pod);
}
