/** What SidecarSets may never do to pods, and what they owe them; watched at every write. */
import { annotation } from "../../../src/api/names.ts";
import type { SidecarSet } from "../../../src/api/sidecarset.ts";
import type { Pod } from "../../../src/kube/types.ts";
import type { Write } from "../../../src/sandbox/index.ts";
import type { Manager } from "../manager.ts";
import type { Watcher, World } from "../world.ts";
import { countOf, isActive, isServing } from "./pods.ts";

const resource = "sidecarsets.apps.kruise.io";
const controllerName = "sidecarset-controller";

interface View {
  readonly set: SidecarSet;
  readonly pods: readonly Pod[];
}

export const injected = (pod: Pod): readonly string[] =>
  (pod.metadata.annotations?.[annotation.sidecarSetInjectedList] ?? "").split(",").filter((name) => name !== "");

/** Whether each of the set's containers is there with the set's image. */
export function hasImages(pod: Pod, set: SidecarSet): boolean {
  return (set.spec.containers ?? []).every(({ name, image }) =>
    pod.spec.containers.some((each) => each.name === name && each.image === image),
  );
}

/** Whether its containers run what the pod says. */
function isSettled(pod: Pod): boolean {
  return pod.spec.containers.every(({ name, image }) =>
    (pod.status?.containerStatuses ?? []).some((status) => status.name === name && status.image === image && status.ready),
  );
}

export function selects(set: SidecarSet, pod: Pod): boolean {
  const wanted = Object.entries((set.spec.selector as { matchLabels?: Record<string, string> } | undefined)?.matchLabels ?? {});
  return wanted.length > 0 && wanted.every(([name, value]) => pod.metadata.labels?.[name] === value);
}

export function sidecarSetWatchers(world: World): readonly Watcher[] {
  /** By name of the set: when its user changed it last. */
  const changed = new Map<string, number>();
  /** By set and uid of the pod: who updated it last, when, and whether it was down already, which takes nothing from the budget. */
  const updated = new Map<string, { readonly by: Manager | undefined; readonly atMs: number; readonly isFree: boolean }>();
  const now = () => world.env.monotonicMs();
  const sets = () => world.list<SidecarSet>(resource);
  const isPod = ({ resource: { kind } }: Write) => kind.plural === "pods";
  const viewOf = (manager: Manager, name: string) => manager.view(controllerName, name) as View | undefined;
  /** What our controller changed of a pod: the sets whose containers have other images now. */
  const moves = (before: Pod, after: Pod): readonly SidecarSet[] =>
    sets().filter((set) =>
      (set.spec.containers ?? []).some(({ name }) => imageOf(before, name) !== imageOf(after, name) && imageOf(after, name) !== undefined),
    );
  return [
    {
      name: "sets that change",
      wrote({ resource: { kind }, before, after, key }) {
        if (kind.plural === "sidecarsets" && before?.metadata.generation !== after?.metadata.generation) changed.set(key.name, now());
        return undefined;
      },
    },
    {
      name: "no pod without what it is owed",
      wrote(write) {
        if (!isPod(write) || write.before !== undefined || write.after === undefined) return undefined;
        const pod = write.after as unknown as Pod;
        const knownUntil = Math.min(...world.alive.map((manager) => world.network.freshUntil(manager, "sidecarsets")));
        for (const set of sets()) {
          if (!selects(set, pod) || set.metadata.deletionTimestamp !== undefined || set.spec.injectionStrategy?.paused === true) continue;
          // What it was owed before it was written: a review takes a moment.
          if ((changed.get(set.metadata.name) ?? 0) + reviewMsMax > knownUntil) continue;
          const revision = set.spec.injectionStrategy?.revision;
          if (revision === undefined && !hasImages(pod, set)) return `${pod.metadata.name} was let in without ${set.metadata.name}`;
        }
        return undefined;
      },
    },
    {
      name: "only sidecars change",
      wrote(write, { manager, part }) {
        if (!isPod(write) || manager === undefined || part !== controllerName || write.before === undefined || write.after === undefined)
          return undefined;
        const [before, after] = [write.before as unknown as Pod, write.after as unknown as Pod];
        if (injected(before).length === 0) return `${manager.name} wrote to ${before.metadata.name}, into which nothing was injected`;
        const own = new Set(sets().flatMap((set) => (set.spec.containers ?? []).map(({ name }) => name)));
        const wrong = after.spec.containers.find(({ name, image }) => !own.has(name) && imageOf(before, name) !== image);
        return wrong === undefined ? undefined : `${manager.name} changed container ${wrong.name} of ${before.metadata.name}`;
      },
    },
    {
      name: "maxUnavailable of a SidecarSet",
      wrote(write, { manager }) {
        if (!isPod(write) || manager === undefined || write.before === undefined || write.after === undefined) return undefined;
        const [before, after] = [write.before as unknown as Pod, write.after as unknown as Pod];
        for (const set of moves(before, after)) {
          const { name } = set.metadata;
          const view = viewOf(manager, name);
          const then = view?.pods.find(({ metadata }) => metadata.uid === after.metadata.uid);
          const isFree = then === undefined || !isServing(then) || !isSettled(then);
          updated.set(`${name}/${after.metadata.uid}`, { by: manager, atMs: now(), isFree });
          if (view === undefined) continue;
          const seen = new Map(view.pods.map((pod) => [pod.metadata.uid, pod]));
          if (isFree) continue;
          const members = world.list<Pod>("pods").filter((pod) => isActive(pod) && injected(pod).includes(name));
          const max = countOf(view.set.spec.updateStrategy?.maxUnavailable, view.pods.length, "up", 1);
          const landing = members.filter((pod) => {
            const deed = updated.get(`${name}/${pod.metadata.uid}`);
            // As OpenKruise counts: pods that an earlier version has brought down take nothing from the budget of the latest.
            if (
              deed === undefined ||
              deed.isFree ||
              !hasImages(pod, view.set) ||
              (isServing(pod) && isSettled(pod) && pod.metadata.uid !== after.metadata.uid)
            )
              return false;
            // It was there and well when the plan was made, and went down for another reason.
            const then = seen.get(pod.metadata.uid);
            const isOther = deed.by !== manager && (deed.by?.env.alive === true || deed.atMs >= manager.startedMs);
            const wasWell = then !== undefined && isServing(then) && isSettled(then) && hasImages(then, view.set);
            return !isOther && !(wasWell && pod.metadata.uid !== after.metadata.uid);
          });
          if (landing.length > max)
            return `${manager.name} updated ${after.metadata.name} for ${name}: ${landing.length} pods are landing, maxUnavailable ${max}`;
        }
        return undefined;
      },
    },
    {
      name: "partition of a SidecarSet",
      wrote(write, { manager }) {
        if (!isPod(write) || manager === undefined || write.before === undefined || write.after === undefined) return undefined;
        const [before, after] = [write.before as unknown as Pod, write.after as unknown as Pod];
        for (const set of moves(before, after)) {
          const view = viewOf(manager, set.metadata.name);
          if (view === undefined || !hasImages(after, view.set)) continue;
          const { updateStrategy } = view.set.spec;
          if (updateStrategy?.paused) return `${manager.name} updated ${after.metadata.name} while ${set.metadata.name} is paused`;
          if (updateStrategy?.type === "NotUpdate") return `${manager.name} updated ${after.metadata.name}, whose set says NotUpdate`;
          const kept = countOf(updateStrategy?.partition, view.pods.filter(isActive).length, "down", 0);
          const old = view.pods.filter((pod) => {
            const current = world.get<Pod>("pods", pod.metadata.namespace ?? "", pod.metadata.name);
            const isHere = current?.metadata.uid === pod.metadata.uid;
            // Pods that went away or were moved by somebody else since count as they were seen.
            const by = updated.get(`${set.metadata.name}/${pod.metadata.uid}`)?.by;
            return isActive(pod) && !hasImages(isHere && (by === manager || by?.env.alive === false) ? current : pod, view.set);
          });
          if (old.length < kept) return `${manager.name} updated ${after.metadata.name}: ${old.length} old pods left, partition ${kept}`;
        }
        return undefined;
      },
    },
  ];
}

/** From the moment in which a webhook answers to that in which the pod is stored. */
const reviewMsMax = 200;

const imageOf = (pod: Pod, container: string): string | undefined => pod.spec.containers.find(({ name }) => name === container)?.image;
