/**
 * What a round does to a SidecarSet and its pods: register the content's revision, count, put the former workers of hot upgrades to rest or
 * update pods in place, and tell pods whether that is possible. Pods that injection has missed, and pods that cannot follow, go where the
 * user wants that. Revisions that nobody needs go last.
 */
import type { SidecarSetStatus } from "../../api/sidecarset.ts";
import type { Action, EventDraft, Plan, Reason } from "../../engine/plan.ts";
import { recordOf } from "./annotations.ts";
import { type Choice, choose } from "./choose.ts";
import { evictMissed } from "./evict-missed.ts";
import { evictOutdated } from "./evict-outdated.ts";
import type { Missed } from "./missed.ts";
import { reason } from "./reasons.ts";
import { type Registered, register, surplus } from "./revisions.ts";
import { hasTwins, isDeleting } from "./strategy.ts";
import { isResting, twinsOf, twinsToRest } from "./twins.ts";
import { restTwins, type Target, tellUpgradable, updatePod } from "./update.ts";
import { isAvailable, lookAt, type Member, type Observed, type World } from "./world.ts";

export function plan(observed: Observed, nowMs: number): Plan<SidecarSetStatus> {
  // Pods keep what they have, and revisions go with their owner.
  if (isDeleting(observed.set)) return { actions: [] };
  const world = lookAt(observed, nowMs);
  const registered = register({
    set: observed.set,
    existing: observed.revisions,
    installNamespace: observed.settings.installNamespace,
    occupant: observed.occupant,
  });
  const after = registered.actions.map(({ id }) => id);
  const updates = planUpdates(world, { revision: registered.name, after });
  const obsolete = surplus(registered, observed.set, revisionsInUse(observed), world.strategy.revisionHistoryMax);
  const byName = new Map(world.members.map((member) => [member.pod.metadata.name, member]));
  const status = statusOf(world, registered);
  const eviction = evictMissed(world);
  return {
    actions: [...registered.actions, ...updates.actions, ...eviction.actions, ...obsolete.map((action) => ({ ...action, after }))],
    ...(eviction.againInMs === undefined ? {} : { requeueAfterMs: eviction.againInMs }),
    status: () => status,
    reasons: [...updates.reasons, ...observed.missed.pods.map(missedReason)],
    events: updates.events,
    landed: (on) => {
      const member = byName.get(on);
      return member?.updated === true && isAvailable(member);
    },
  };
}

function revisionsInUse({ set, pods }: Observed): ReadonlySet<string> {
  const used = new Set<string>();
  for (const pod of pods) {
    const revision = recordOf(pod).hashes?.get(set.metadata.name)?.controllerRevision;
    if (revision !== undefined) used.add(revision);
  }
  return used;
}

function statusOf({ observed, members }: World, { name, collisionCount }: Registered): SidecarSetStatus {
  let updatedPods = 0;
  let readyPods = 0;
  let updatedReadyPods = 0;
  for (const member of members) {
    const available = isAvailable(member);
    if (member.updated) updatedPods += 1;
    if (available) readyPods += 1;
    if (member.updated && available) updatedReadyPods += 1;
  }
  const { generation } = observed.set.metadata;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    matchedPods: members.length,
    updatedPods,
    readyPods,
    ...(updatedReadyPods === 0 ? {} : { updatedReadyPods }),
    latestRevision: name,
    collisionCount,
  };
}

function missedReason({ metadata }: Missed["pods"][number]): Reason {
  return reason(`${metadata.namespace ?? ""}/${metadata.name}`, "InjectionMissed", { created: metadata.creationTimestamp });
}

interface Updates {
  readonly actions: readonly Action[];
  readonly reasons: readonly Reason[];
  readonly events: readonly EventDraft[];
}

function planUpdates(world: World, target: Target): Updates {
  const { strategy, members } = world;
  const told = members.filter(({ updated }) => updated).flatMap((member) => tellUpgradable(world, member, true));
  const arriving = members.flatMap((member) => arrivalReason(world, member));
  const outdated = members.filter(({ updated }) => !updated);
  if (!strategy.mayUpdate)
    return { actions: told, reasons: [...outdated.map(({ name }) => reason(name, "NotUpdate", {})), ...arriving], events: [] };
  if (strategy.paused) {
    const held = outdated.map(({ name, upgradable }) => (upgradable ? reason(name, "Paused", {}) : reason(name, "NeedsRecreate", {})));
    return { actions: told, reasons: [...held, ...arriving], events: [] };
  }
  const resting = hasTwins(strategy)
    ? members.filter(({ pod }) => twinsToRest(pod, world.observed.set.metadata.name, strategy).length > 0)
    : [];
  if (resting.length > 0) {
    // One thing at a time: the twins' rest decides how many pods are available.
    const held = outdated.map(({ name }) => reason(name, "WaitingForRest", { pods: resting.length }));
    return { actions: [...told, ...resting.map((member) => restTwins(world, member))], reasons: [...held, ...arriving], events: [] };
  }
  if (outdated.length === 0) return { actions: told, reasons: arriving, events: [] };
  const choice = choose(world);
  const refused = choice.notUpgradable.flatMap((member) => tellUpgradable(world, member, false));
  return {
    actions: [...told, ...refused, ...choice.chosen.map((member) => updatePod(world, member, target)), ...evictOutdated(world, choice)],
    reasons: [...heldReasons(choice), ...arriving],
    // Said when it is news to a pod, and after each change of the set, not in every round.
    events:
      choice.notUpgradable.length > 0 && (refused.length > 0 || isNew(world)) ? [notUpgradableEvent(choice.notUpgradable.length)] : [],
  };
}

function isNew({ observed: { set } }: World): boolean {
  return set.status?.observedGeneration !== set.metadata.generation;
}

function notUpgradableEvent(count: number): EventDraft {
  const pods = count === 1 ? "1 pod differs" : `${count} pods differ`;
  return {
    type: "Normal",
    reason: "NotUpgradablePods",
    message: `${pods} from this SidecarSet in more than images: not upgradable in place, needs recreate`,
  };
}

function heldReasons(choice: Choice): readonly Reason[] {
  const { kept, unavailable, unavailableMax } = choice;
  return [
    ...choice.heldByMaxUnavailable.map(({ name }) => reason(name, "HeldByMaxUnavailable", { used: unavailable, max: unavailableMax })),
    ...choice.heldByPartition.map(({ name }) => reason(name, "HeldByPartition", { kept })),
    ...choice.unselected.map(({ name }) => reason(name, "NotSelected", {})),
    ...choice.notUpgradable.map(({ name }) => reason(name, "NeedsRecreate", {})),
    ...choice.updating.map((member) => pendingReason(member)),
  ];
}

function pendingReason({ name, pending }: Member): Reason {
  return pending ? reason(name, "WaitingForContainer", { container: pending }) : reason(name, "UpdateStateUnreadable", {});
}

/** Why a pod that is up to date does not count as available yet. */
function arrivalReason({ strategy }: World, member: Member): readonly Reason[] {
  const { name, updated, pending, ready, pod } = member;
  if (!updated || (ready && pending === undefined)) return [];
  if (pending !== undefined) return [pendingReason(member)];
  const awake = strategy.sidecars.find((sidecar) => sidecar.idleImage !== undefined && !isResting(pod, sidecar));
  return [
    awake === undefined ? reason(name, "WaitingForReady", {}) : reason(name, "WaitingForTwin", { container: twinsOf(pod, awake).resting }),
  ];
}
