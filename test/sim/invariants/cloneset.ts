/**
 * What a CloneSet may never do to its pods and claims, watched at every write. A manager knows the world as its caches show it: what others
 * did behind its back is no fault of its own, what its own process did (or one that had ended before it began) always counts.
 */
import type { CloneSet } from "../../../src/api/cloneset.ts";
import { label } from "../../../src/api/names.ts";
import { parseTime } from "../../../src/kube/time.ts";
import type { KubeObject, PersistentVolumeClaim, Pod } from "../../../src/kube/types.ts";
import type { Write } from "../../../src/sandbox/index.ts";
import type { LifecycleHook } from "../../../src/workload/lifecycle/index.ts";
import type { Manager } from "../manager.ts";
import type { Author, Watcher, World } from "../world.ts";
import { conditionOf, controllerUid, countOf, instanceOf, isActive, isMarked, isServing, revisionOf } from "./pods.ts";

/** What the planner looked at: the part of it that this file reads. */
interface View {
  readonly cloneSet: CloneSet;
  readonly pods: readonly Pod[];
}

interface Deed {
  readonly by: Manager | undefined;
  readonly atMs: number;
}

const controllerName = "cloneset-controller";

/** By uid of the pod: who created it, took it out of service, marked or moved it last. */
interface Deeds {
  readonly created: Map<string, Deed>;
  readonly downed: Map<string, Deed>;
  readonly moved: Map<string, Deed>;
}

export function cloneSetWatchers(world: World): readonly Watcher[] {
  const deeds: Deeds = { created: new Map(), downed: new Map(), moved: new Map() };
  const isPod = ({ resource }: Write) => resource.kind.plural === "pods";
  const viewOf = (manager: Manager, { metadata }: CloneSet) =>
    manager.view(controllerName, `${metadata.namespace}/${metadata.name}`) as View | undefined;
  const ownerOf = (object: KubeObject | undefined): CloneSet | undefined => {
    const uid = controllerUid(object);
    return uid === undefined ? undefined : world.list<CloneSet>("clonesets.apps.kruise.io").find(({ metadata }) => metadata.uid === uid);
  };
  const podsOf = (owner: CloneSet): readonly Pod[] =>
    world.list<Pod>("pods", owner.metadata.namespace).filter((pod) => isActive(pod) && controllerUid(pod) === owner.metadata.uid);
  const now = () => world.env.monotonicMs();
  /** Whether a process has to know of it: its own doing, or that of one that was dead when it began. */
  const mustKnow = (manager: Manager, deed: Deed | undefined): boolean =>
    deed?.by !== undefined && (deed.by === manager || (!deed.by.env.alive && deed.atMs < manager.startedMs));

  return [
    {
      name: "maxUnavailable",
      wrote(write, { manager }) {
        if (!isPod(write)) return undefined;
        const [before, after] = [write.before as Pod | undefined, write.after as Pod | undefined];
        if (before === undefined || !isCounted(before) || isCounted(after)) return undefined;
        const uid = before.metadata.uid;
        deeds.downed.set(uid, { by: manager, atMs: now() });
        const owner = ownerOf(before);
        if (manager === undefined || owner === undefined) return undefined;
        const view = viewOf(manager, owner);
        if (view === undefined || owner.metadata.deletionTimestamp !== undefined) return undefined;
        const seen = new Map(view.pods.map((pod) => [pod.metadata.uid, pod]));
        const known = seen.get(uid);
        // It takes nothing from the users as far as it knows. Of marked pods it has to know: they go at exactly the version that was seen.
        if (known === undefined || (!isCounted(known) && !isMarked(known))) return undefined;
        // Neither does one that nobody counts on yet.
        if (!isMarked(known) && isYoung(known, view.cloneSet.spec.minReadySeconds ?? 0, manager.env.nowMs())) return undefined;
        const { replicas = 1, updateStrategy } = view.cloneSet.spec;
        const rolling = updateStrategy?.rollingUpdate;
        const allowed = countOf(rolling?.maxUnavailable, replicas, "up", Math.ceil(replicas * 0.2));
        const serving = podsOf(owner).filter(isCounted);
        const there = new Set(serving.map(({ metadata }) => metadata.uid));
        const excused = view.pods.filter(
          (pod) =>
            isCounted(pod) &&
            !there.has(pod.metadata.uid) &&
            pod.metadata.uid !== uid &&
            !mustKnow(manager, deeds.downed.get(pod.metadata.uid)),
        );
        const least = replicas - Math.max(allowed, 1 - countOf(rolling?.maxSurge, replicas, "up", 0));
        if (serving.length + excused.length >= least) return undefined;
        return `${manager.name} took ${before.metadata.name} out of service: ${serving.length} of ${replicas} serve, ${excused.length} excused, maxUnavailable ${allowed}`;
      },
    },
    {
      name: "maxSurge",
      wrote(write, { manager }) {
        if (!isPod(write) || write.before !== undefined || write.after === undefined) return undefined;
        const pod = write.after as unknown as Pod;
        deeds.created.set(pod.metadata.uid, { by: manager, atMs: now() });
        // A last request of a process that is dead, under way for seconds: its successor has tidied up the claims by then.
        if (manager?.env.alive === false) world.excused.add(instanceOf(pod));
        const owner = ownerOf(pod);
        if (manager === undefined || owner === undefined) return undefined;
        const view = viewOf(manager, owner);
        if (view === undefined) return undefined;
        const { replicas = 1, updateStrategy, scaleStrategy } = view.cloneSet.spec;
        const rolling = updateStrategy?.rollingUpdate;
        const surge = rolling?.paused ? 0 : countOf(rolling?.maxSurge, replicas, "up", 0);
        const seen = new Map(view.pods.map((each) => [each.metadata.uid, each]));
        const counted = podsOf(owner).filter((each) => {
          const uid = each.metadata.uid;
          const known = seen.get(uid);
          if (known !== undefined) return isActive(known) && matches(view.cloneSet, known);
          return mustKnow(manager, deeds.created.get(uid));
        });
        const leaving = scaleStrategy?.excludePreparingDelete ? counted.filter(isPreparingDelete).length : 0;
        if (counted.length - leaving <= replicas + surge) return undefined;
        return `${manager.name} created ${pod.metadata.name}: ${counted.length} pods, replicas ${replicas}, maxSurge ${surge}`;
      },
    },
    {
      name: "partition",
      wrote(write, { manager }) {
        if (!isPod(write) || write.before === undefined || write.after === undefined) return undefined;
        const [before, after] = [write.before as unknown as Pod, write.after as unknown as Pod];
        const owner = ownerOf(after);
        const isMoved = revisionOf(before) !== revisionOf(after);
        const isMarkedNow = !isMarked(before) && isMarked(after);
        if (owner === undefined || !(isMoved || isMarkedNow)) return undefined;
        deeds.moved.set(after.metadata.uid, { by: manager, atMs: now() });
        if (manager === undefined) return undefined;
        const view = viewOf(manager, owner);
        const target = updateRevisionOf(view);
        if (view === undefined || target === undefined || revisionOf(before) === target) return undefined;
        const { replicas = 1, updateStrategy } = view.cloneSet.spec;
        if (updateStrategy?.type === "OnDelete") return `${manager.name} moved ${after.metadata.name} of an OnDelete CloneSet`;
        if (updateStrategy?.rollingUpdate?.paused && isMarkedNow) return `${manager.name} marked ${after.metadata.name} while paused`;
        const kept = countOf(updateStrategy?.rollingUpdate?.partition, replicas, "down", 0);
        const stillOld = (pod: Pod) =>
          revisionOf(pod) !== target && !(isMarked(pod) && deeds.moved.get(pod.metadata.uid)?.by !== undefined);
        const old = podsOf(owner).filter(stillOld);
        const there = new Set(podsOf(owner).map(({ metadata }) => metadata.uid));
        const excused = view.pods.filter(
          (pod) =>
            revisionOf(pod) !== target &&
            isActive(pod) &&
            !there.has(pod.metadata.uid) &&
            !mustKnow(manager, deeds.downed.get(pod.metadata.uid)),
        );
        if (old.length + excused.length >= Math.min(kept, replicas)) return undefined;
        return `${manager.name} moved ${after.metadata.name}: ${old.length} old pods left, ${excused.length} excused, partition ${kept}`;
      },
    },
    {
      name: "paused",
      wrote(write, { manager }) {
        if (!isPod(write) || manager === undefined || write.before === undefined || write.after === undefined) return undefined;
        const [before, after] = [write.before as unknown as Pod, write.after as unknown as Pod];
        const owner = ownerOf(after);
        if (owner === undefined || before.spec.containers[0]?.image === after.spec.containers[0]?.image) return undefined;
        const view = viewOf(manager, owner);
        if (view?.cloneSet.spec.updateStrategy?.rollingUpdate?.paused !== true) return undefined;
        // What had begun before goes on.
        const seen = view.pods.find(({ metadata }) => metadata.uid === after.metadata.uid);
        if (seen === undefined || revisionOf(seen) === revisionOf(after)) return undefined;
        return `${manager.name} changed the image of ${after.metadata.name} while paused`;
      },
    },
    {
      name: "out of service before it changes",
      wrote(write, { manager }) {
        if (!isPod(write) || manager === undefined || write.before === undefined || write.after === undefined) return undefined;
        const [before, after] = [write.before as unknown as Pod, write.after as unknown as Pod];
        if (before.spec.containers[0]?.image === after.spec.containers[0]?.image || !isServing(after)) return undefined;
        return `${manager.name} changed the image of ${after.metadata.name} while it served`;
      },
    },
    {
      name: "held by a hook",
      wrote(write, { manager }) {
        if (!isPod(write) || manager === undefined || write.before === undefined) return undefined;
        const [before, after] = [write.before as unknown as Pod, write.after as unknown as Pod | undefined];
        const owner = ownerOf(before);
        const { preDelete, inPlaceUpdate } = (owner === undefined ? undefined : viewOf(manager, owner))?.cloneSet.spec.lifecycle ?? {};
        const goes = after === undefined || after.metadata.deletionTimestamp !== undefined;
        if (goes && before.metadata.deletionTimestamp === undefined && isHeld(before, preDelete))
          return `${manager.name} deleted ${before.metadata.name}, which its hook holds`;
        if (!goes && before.spec.containers[0]?.image !== after.spec.containers[0]?.image && isHeld(before, inPlaceUpdate))
          return `${manager.name} changed the image of ${before.metadata.name}, which its hook holds`;
        return undefined;
      },
    },
    {
      name: "deleted for a reason that still holds",
      wrote(write, { manager }) {
        if (!isPod(write) || manager === undefined || write.before === undefined) return undefined;
        const before = write.before as unknown as Pod;
        const goes = write.after === undefined || write.after.metadata.deletionTimestamp !== undefined;
        const owner = ownerOf(before);
        if (!goes || before.metadata.deletionTimestamp !== undefined || isMarked(before) || owner === undefined) return undefined;
        const view = viewOf(manager, owner);
        const seen = view?.pods.find(({ metadata }) => metadata.uid === before.metadata.uid);
        if (view === undefined || seen === undefined || !isMarked(seen)) return undefined;
        return `${manager.name} deleted ${before.metadata.name}, which was marked when it looked and is not any more`;
      },
    },
    {
      name: "one pod a slot",
      wrote(write) {
        if (!isPod(write) || write.before !== undefined || write.after === undefined) return undefined;
        const pod = write.after as unknown as Pod;
        const id = instanceOf(pod);
        const owner = ownerOf(pod);
        if (owner === undefined || id === "") return undefined;
        const twin = world
          .list<Pod>("pods", pod.metadata.namespace)
          .find((each) => each.metadata.uid !== pod.metadata.uid && instanceOf(each) === id && controllerUid(each) === owner.metadata.uid);
        return twin === undefined ? undefined : `${pod.metadata.name} and ${twin.metadata.name} share the instance id ${id}`;
      },
    },
    {
      name: "claims of pods stay",
      wrote(write, { manager }) {
        if (write.resource.kind.plural !== "persistentvolumeclaims") return undefined;
        if (write.before === undefined && write.after !== undefined)
          deeds.created.set(write.after.metadata.uid, { by: manager, atMs: now() });
        if (manager === undefined || write.before === undefined) return undefined;
        const claim = write.before as unknown as PersistentVolumeClaim;
        const goes = write.after === undefined || write.after.metadata.deletionTimestamp !== undefined;
        if (!goes || claim.metadata.deletionTimestamp !== undefined) return undefined;
        const user = world
          .list<Pod>("pods", claim.metadata.namespace)
          .find((pod) => isActive(pod) && (pod.spec.volumes ?? []).some((volume) => claimNameOf(volume) === claim.metadata.name));
        // Of two leaders, one may take a claim away in the moment in which the other makes its pod: leases see to it that there is one.
        const made = deeds.created.get((user ?? claim).metadata.uid);
        if (made?.by !== undefined && !mustKnow(manager, made)) {
          world.excused.add(instanceOf(claim));
          return undefined;
        }
        return user === undefined ? undefined : `${manager.name} deleted claim ${claim.metadata.name}, which ${user.metadata.name} uses`;
      },
    },
    {
      name: "strangers are left alone",
      wrote(write, { manager, part }: Author) {
        if (manager === undefined || part !== controllerName || write.before === undefined) return undefined;
        const { plural } = write.resource.kind;
        if (plural !== "pods" && plural !== "persistentvolumeclaims") return undefined;
        const uid = controllerUid(write.before) ?? write.before.metadata.ownerReferences?.[0]?.uid;
        const kind = write.before.metadata.ownerReferences?.[0]?.kind;
        if (uid !== undefined && (kind === "CloneSet" || plural === "persistentvolumeclaims")) return undefined;
        return `${manager.name} wrote to ${write.resource.kind.kind} ${write.key.name}, which is not its own`;
      },
    },
  ];
}

/** Whether it may not have been ready for long enough when somebody decided about it, a moment ago. */
function isYoung(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  if (minReadySeconds === 0) return false;
  const sinceMs = parseTime(conditionOf(pod, "Ready")?.lastTransitionTime) ?? 0;
  return sinceMs + minReadySeconds * 1000 + decidedMsMax > nowMs;
}
const decidedMsMax = 10_000;

function matches({ spec }: CloneSet, pod: Pod): boolean {
  const labels = (spec.selector as { matchLabels?: Record<string, string> }).matchLabels ?? {};
  return Object.entries(labels).every(([name, value]) => pod.metadata.labels?.[name] === value);
}

function isHeld({ metadata }: Pod, hook: LifecycleHook | undefined): boolean {
  return Object.entries(hook?.labelsHandler ?? {}).some(([key, value]) => metadata.labels?.[key] === value);
}

/** Serving, and nobody's hook has been told: a pod that serves on until its hook lets it go has been taken then. */
const isCounted = (pod: Pod | undefined): boolean =>
  pod !== undefined && isServing(pod) && !toldStates.has(pod.metadata.labels?.[label.lifecycleState] ?? "");
const toldStates: ReadonlySet<string> = new Set(["PreparingDelete", "PreparingUpdate", "Updated"]);

const isPreparingDelete = (pod: Pod): boolean => pod.metadata.labels?.["lifecycle.apps.kruise.io/state"] === "PreparingDelete";

function updateRevisionOf(view: View | undefined): string | undefined {
  return (view as { revisions?: { update?: { name?: string } } } | undefined)?.revisions?.update?.name;
}

function claimNameOf(volume: object): string | undefined {
  return (volume as { persistentVolumeClaim?: { claimName?: string } }).persistentVolumeClaim?.claimName;
}
