/**
 * Which pods a budget has, and how many it may expect. What the cache does not know yet must not lower the floor: that a workload is gone,
 * going or scaled to nothing is believed only when the server itself says so.
 */
import type { Context } from "../../engine/controller.ts";
import { isOfKind, type Kind } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { Failure } from "../../kube/outcome.ts";
import { isActive } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { totalReplicasOverride } from "../../workload/budget/index.ts";
import { type Finder, podsOf, type Workload, workloadOf } from "../../workload/finder/index.ts";
import { controllerOf } from "../../workload/owner.ts";
import { watchedWorkloads } from "./belongings.ts";
import { type Budget, matcherOf } from "./covers.ts";

export interface Census {
  /** Neither finished nor being deleted. */
  readonly pods: readonly Readonly<Pod>[];
  readonly totalReplicas: number;
  /** All workloads are gone, going, or scaled to nothing: their pods are for the taking. */
  readonly isOver: boolean;
  /** A workload does not say how many pods it wants: it counts as those that it has. */
  readonly isGuessed: boolean;
  /** A workload of a kind that nobody watches: its changes do not wake anybody. */
  readonly isUnwatched: boolean;
}
export type CensusTaken = { readonly ok: true; readonly census: Census } | Failure;

export function takeCensus(context: Context, budget: Budget): Promise<CensusTaken> {
  const watched = watchedWorkloads(context.settings);
  const finder: Finder = { read: context.read, settings: context.settings, watched };
  return budget.spec?.targetRef === undefined ? ofSelected(finder, watched, budget) : ofTarget(finder, watched, budget);
}

async function ofTarget(finder: Finder, watched: readonly Kind[], budget: Budget): Promise<CensusTaken> {
  const { apiVersion = "", kind = "", name = "" } = budget.spec.targetRef ?? {};
  const reference = { apiVersion, kind, name, namespace: budget.metadata.namespace ?? "" };
  let found = await podsOf(finder, reference, true);
  if (found.ok && found.replicas === 0) found = await podsOf({ ...finder, watched: [] }, reference, true);
  if (!found.ok) return found;
  const isGuessed = found.replicas < 0;
  const census = {
    pods: found.pods,
    totalReplicas: totalReplicasOverride(budget) ?? (isGuessed ? found.pods.length : found.replicas),
    isOver: found.replicas === 0,
    isGuessed: isGuessed && totalReplicasOverride(budget) === undefined,
    isUnwatched: !watched.some((candidate) => isOfKind(reference, candidate)),
  };
  return { ok: true, census };
}

async function ofSelected(finder: Finder, watched: readonly Kind[], budget: Budget): Promise<CensusTaken> {
  const matcher = matcherOf(budget);
  const found = matcher.requirements === undefined ? [] : finder.read.list(pods, budget.metadata.namespace);
  const members = found.filter((pod) => matcher.matches(pod.metadata.labels) && isActive(pod));
  const total = totalReplicasOverride(budget);
  if (total !== undefined) {
    return { ok: true, census: { pods: members, totalReplicas: total, isOver: false, isGuessed: false, isUnwatched: false } };
  }
  return expected(finder, watched, members);
}

/** Two ReplicaSets of one Deployment count once; pods without a controller count for nothing, and keep the floor up. */
async function expected(finder: Finder, watched: readonly Kind[], members: readonly Readonly<Pod>[]): Promise<CensusTaken> {
  const controlled = Map.groupBy(members, (pod) => controllerOf(pod)?.uid);
  const orphans = controlled.get(undefined)?.length ?? 0;
  controlled.delete(undefined);
  const answers = await Promise.all(
    [...controlled.values()].map(async (group) => ({ group, found: await surely(finder, group[0] as Readonly<Pod>) })),
  );
  const counted = new Set<string>();
  let totalReplicas = 0;
  let isGuessed = false;
  for (const { group, found } of answers) {
    if (!found.ok) return found;
    const { workload } = found;
    if (workload === undefined || isNothing(workload) || counted.has(workload.reference.uid)) continue;
    if (workload.scale < 0) {
      isGuessed = true;
      totalReplicas += group.length;
      continue;
    }
    counted.add(workload.reference.uid);
    totalReplicas += workload.scale;
  }
  const isUnwatched = answers.some(({ group }) => {
    const owner = controllerOf(group[0] as Readonly<Pod>);
    return !watched.some((kind) => isOfKind(owner, kind));
  });
  const isOver = members.length > 0 && orphans === 0 && totalReplicas === 0;
  return { ok: true, census: { pods: members, totalReplicas, isOver, isGuessed, isUnwatched } };
}

async function surely(finder: Finder, pod: Readonly<Pod>): ReturnType<typeof workloadOf> {
  const found = await workloadOf(finder, pod);
  const isDoubtful = found.ok && (found.workload === undefined || isNothing(found.workload));
  return isDoubtful ? workloadOf({ ...finder, watched: [] }, pod) : found;
}

function isNothing({ metadata, scale }: Workload): boolean {
  return metadata.deletionTimestamp !== undefined || scale === 0;
}
