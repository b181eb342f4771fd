/**
 * Opt-in (annotation kruise.io/sidecarset-evict-outdated): pods that differ from the SidecarSet in more than images cannot follow it, and
 * are evicted, so that their successors get its latest version. As far as partition and maxUnavailable allow, and only while new pods get
 * that version: else the successors would have to go as well.
 */
import { annotation } from "../../api/names.ts";
import { type Action, evict } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { isFinished, isTerminating } from "../../kube/pod.ts";
import { type Choice, rank } from "./choose.ts";
import { isReplaceable } from "./evict-missed.ts";
import { wantedRevision } from "./resolve.ts";
import { isAvailable, type Member, type World } from "./world.ts";

export function evictOutdated(world: World, choice: Choice): readonly Action[] {
  const { observed, members } = world;
  if (observed.set.metadata.annotations?.[annotation.sidecarSetEvictOutdated] !== "true" || !isInjectingLatest(world)) return [];
  const { notUpgradable, heldByPartition, kept, unavailableMax, chosen } = choice;
  // Pods that partition holds for the old version already need no others beside them.
  const going = Math.max(0, notUpgradable.length - Math.max(0, kept - heldByPartition.length));
  const leaving = observed.pods.filter((pod) => isTerminating(pod) && !isFinished(pod)).length;
  let unavailable = leaving + members.filter((member) => !isAvailable(member)).length + chosen.filter(isAvailable).length;
  const actions: Action[] = [];
  for (const member of rank(world, notUpgradable).slice(0, going)) {
    if (!isReplaceable(member.pod)) continue;
    if (isAvailable(member)) {
      if (unavailable >= unavailableMax) break;
      unavailable += 1;
    }
    actions.push(evictPod(member));
  }
  return actions;
}

function isInjectingLatest({ observed: { set, settings } }: World): boolean {
  if (!settings.gates.enabled("PodWebhook") || set.spec.injectionStrategy?.paused === true) return false;
  return wantedRevision(set) === undefined;
}

function evictPod({ pod, name }: Member): Action {
  return evict({
    id: `evict:${name}`,
    on: refOf(pods, pod),
    tell: {
      done: { reason: "EvictedOutdatedPod", text: "evicted, since its sidecars cannot be updated in place, pod" },
      failed: { reason: "FailedEvictOutdatedPod", text: "failed to evict, though its sidecars cannot be updated in place, pod" },
    },
  });
}
