/**
 * Opt-in (annotation kruise.io/sidecarset-evict-missed): pods that injection has missed are evicted, so that their successors get the sidecars.
 * As many at once as maxUnavailable allows, and none in vain: until a pod younger than all of them has been injected, one is tried now and then.
 */
import { annotation } from "../../api/names.ts";
import { type Action, evict } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { isRunningAndReady } from "../../kube/pod.ts";
import { parseTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import { unavailableMaxOf } from "./strategy.ts";
import { isAvailable, type World } from "./world.ts";

/** Without a sign that injection works again, so long after the last pod that was missed. */
export const trialPauseMs = 600_000;

export interface Eviction {
  readonly actions: readonly Action[];
  readonly againInMs?: number;
}

export function evictMissed({ observed, members, strategy, nowMs }: World): Eviction {
  const { set, missed } = observed;
  if (set.metadata.annotations?.[annotation.sidecarSetEvictMissed] !== "true" || missed.pods.length === 0) return { actions: [] };
  const replaceable = missed.pods.filter(isReplaceable).sort(byReadinessAndName);
  const newestMissedMs = Math.max(...missed.pods.map(createdMs));
  const isInjecting = members.some(({ pod }) => createdMs(pod) > newestMissedMs);
  const unavailableMax = unavailableMaxOf(strategy, members.length + missed.pods.length);
  let unavailable = members.filter((member) => !isAvailable(member)).length + missed.leaving;
  const chosen: Readonly<Pod>[] = [];
  for (const pod of replaceable) {
    if (isRunningAndReady(pod)) {
      if (unavailable >= unavailableMax) break;
      unavailable += 1;
    }
    chosen.push(pod);
  }
  if (isInjecting || chosen.length === 0) return { actions: chosen.map(evictPod) };
  if (missed.leaving > 0) return { actions: [] };
  const waitMs = newestMissedMs + trialPauseMs - nowMs;
  return waitMs > 0 ? { actions: [], againInMs: waitMs } : { actions: chosen.slice(0, 1).map(evictPod) };
}

/** Somebody makes another one, and no work is lost: pods that run to their end are left alone. */
export function isReplaceable({ metadata, spec }: Readonly<Pod>): boolean {
  const isOwned = metadata.ownerReferences?.some(({ controller }) => controller === true) ?? false;
  return isOwned && (spec.restartPolicy ?? "Always") === "Always";
}

function byReadinessAndName(a: Readonly<Pod>, b: Readonly<Pod>): number {
  return Number(isRunningAndReady(a)) - Number(isRunningAndReady(b)) || (nameOf(a) < nameOf(b) ? -1 : 1);
}

const nameOf = ({ metadata }: Readonly<Pod>): string => `${metadata.namespace ?? ""}/${metadata.name}`;
const createdMs = ({ metadata }: Readonly<Pod>): number => parseTime(metadata.creationTimestamp) ?? 0;

function evictPod(pod: Readonly<Pod>): Action {
  return evict({
    id: `evict:${nameOf(pod)}`,
    on: refOf(pods, pod),
    tell: {
      done: { reason: "EvictedMissedPod", text: "evicted, since it was created without sidecars, pod" },
      failed: { reason: "FailedEvictMissedPod", text: "failed to evict, though it was created without sidecars, pod" },
    },
  });
}
