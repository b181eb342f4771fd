/** What has to hold of a CloneSet at rest: it is where its user wants it, or what is not there yet has a reason; and its status tells the truth. */
import type { CloneSet } from "../../../src/api/cloneset.ts";
import type { ControllerRevision, PersistentVolumeClaim, Pod } from "../../../src/kube/types.ts";
import type { World } from "../world.ts";
import { controllerUid, countOf, instanceOf, isActive, isServing, revisionOf } from "./pods.ts";

interface Sight {
  readonly set: CloneSet;
  /** Terminating and finished ones too. */
  readonly own: readonly Pod[];
  readonly active: readonly Pod[];
  readonly updated: readonly Pod[];
  readonly old: readonly Pod[];
  /** Codes of reasons by pod; "" for the set as a whole. */
  readonly held: ReadonlyMap<string, readonly string[]>;
  /** Nothing but time stands in the way of its goal. */
  readonly isFree: boolean;
  /** Pods beyond the partition go back. */
  readonly movesBack: boolean;
}

/** A pod whose image never comes is nobody's fault. */
const isBad = (pod: Pod): boolean => pod.spec.containers.some(({ image }) => image?.includes(":bad"));

/** @returns what is wrong; empty: at rest, and rightly so */
export function cloneSetProblems(world: World, namespace: string, name: string): readonly string[] {
  const set = world.get<CloneSet>("clonesets.apps.kruise.io", namespace, name);
  if (set === undefined) return ["there is no CloneSet"];
  const sight = look(world, set);
  return [
    ...onTheWay(sight),
    ...countProblems(sight),
    ...moveProblems(sight),
    ...servingProblems(sight),
    ...statusProblems(sight),
    ...leftovers(world, sight),
  ];
}

function look(world: World, set: CloneSet): Sight {
  const { namespace = "", name, uid } = set.metadata;
  const own = world.list<Pod>("pods", namespace).filter((pod) => controllerUid(pod) === uid);
  const active = own.filter(isActive);
  const target = set.status?.updateRevision ?? "";
  const reasons = world.leader?.runner.heldBy("cloneset-controller", { namespace, name }) ?? [];
  const { updateStrategy, template } = set.spec;
  const rolling = updateStrategy?.rollingUpdate;
  const image = template.spec.containers[0]?.image ?? "";
  return {
    set,
    own,
    active,
    updated: active.filter((pod) => revisionOf(pod) === target),
    old: active.filter((pod) => revisionOf(pod) !== target),
    held: new Map([...Map.groupBy(reasons, ({ on }) => on)].map(([on, all]) => [on, all.map(({ code }) => code)])),
    movesBack:
      world.options.settings.gates.enabled("CloneSetPartitionRollback") && set.status?.currentRevision !== set.status?.updateRevision,
    isFree: !image.includes("bad") && !rolling?.paused && updateStrategy?.type !== "OnDelete" && rolling?.podUpdatePolicy !== "InPlaceOnly",
  };
}

/** What waits for nothing but its time is not at rest. */
function onTheWay({ held }: Sight): readonly string[] {
  const timed = /^(InPlaceUpdateGracePeriod|InPlaceUpdateNextBatch|WaitingForAvailability)$/;
  return [...held]
    .filter(([, codes]) => codes.some((code) => timed.test(code)))
    .map(([pod, codes]) => `${pod} is on its way: ${codes.join(" ")}`);
}

function countProblems({ set, active, old, held }: Sight): readonly string[] {
  const replicas = set.spec.replicas ?? 1;
  const rolling = set.spec.updateStrategy?.rollingUpdate;
  // In the middle of a rollout that waits, pods of the surge are there.
  const surge = old.length > 0 && held.size > 0 ? countOf(rolling?.maxSurge, replicas, "up", 0) : 0;
  if (
    (active.length >= replicas && active.length <= replicas + surge) ||
    held.has("") ||
    [...held.values()].flat().some((code) => code.startsWith("Deletion"))
  )
    return [];
  return [`${active.length} pods, replicas ${replicas}, and no reason why`];
}

function moveProblems({ set, updated, old, held, isFree, movesBack }: Sight): readonly string[] {
  const replicas = set.spec.replicas ?? 1;
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition;
  const missing = replicas - Math.min(countOf(partition, replicas, "up", 0), replicas) - updated.length;
  if (missing < 0 && movesBack && isFree && !updated.some(isBad))
    return [`${-missing} pods should go back and do not (${[...held.values()].flat().join(" ")})`];
  if (missing <= 0) return [];
  const silent = old.filter((pod) => !held.has(pod.metadata.name)).map((pod) => `${pod.metadata.name} is old, and no reason why`);
  if (!isFree || old.some(isBad)) return silent;
  return [...silent, `${missing} pods could move and do not (${[...held.values()].flat().join(" ")})`];
}

function servingProblems({ active, held, isFree }: Sight): readonly string[] {
  return active
    .filter((pod) => !isServing(pod) && !isBad(pod))
    .filter((pod) => isFree || !held.has(pod.metadata.name))
    .map((pod) => `${pod.metadata.name} does not serve`);
}

function statusProblems({ set, active, updated }: Sight): readonly string[] {
  const told = {
    observedGeneration: set.metadata.generation,
    replicas: active.length,
    readyReplicas: active.filter(isServing).length,
    availableReplicas: active.filter(isServing).length,
    updatedReplicas: updated.length,
    updatedReadyReplicas: updated.filter(isServing).length,
  };
  const shown = (set.status ?? {}) as unknown as Readonly<Record<string, unknown>>;
  return Object.entries(told)
    .filter(([field, value]) => shown[field] !== value)
    .map(([field, value]) => `status.${field} is ${String(shown[field])}, and ${String(value)} is true`);
}

function leftovers(world: World, { set, own, active }: Sight): readonly string[] {
  const problems: string[] = [];
  const { namespace, uid } = set.metadata;
  const ids = new Set(own.map(instanceOf));
  const claims = world
    .list<PersistentVolumeClaim>("persistentvolumeclaims", namespace)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const ofSet = claims.filter(({ metadata }) => metadata.ownerReferences?.some((reference) => reference.uid === uid));
  if (set.spec.scaleStrategy?.enablePVCReuse !== true)
    problems.push(...ofSet.filter((claim) => !ids.has(instanceOf(claim))).map(({ metadata }) => `claim ${metadata.name} is left over`));
  const claimed = new Set(claims.map(instanceOf));
  if ((set.spec.volumeClaimTemplates?.length ?? 0) > 0)
    problems.push(
      ...active
        .filter((pod) => !claimed.has(instanceOf(pod)) && !world.excused.has(instanceOf(pod)))
        .map(({ metadata }) => `${metadata.name} has no claim`),
    );
  const inUse = new Set([...active.map(revisionOf), set.status?.updateRevision, set.status?.currentRevision]);
  const unused = world
    .list<ControllerRevision>("controllerrevisions.apps", namespace)
    .filter((each) => controllerUid(each) === uid && !inUse.has(each.metadata.name)).length;
  if (unused > (set.spec.revisionHistoryLimit ?? 10)) problems.push(`${unused} unused revisions`);
  return problems;
}
