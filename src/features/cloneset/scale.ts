/**
 * Which pods are created, which are deleted, which come back. Undoing deletions comes first and alone; then everything that is safe at the
 * same time: missing pods are created, pods whose deletion waited are deleted, marked pods go as far as the budget reaches, and surplus pods
 * once nobody is marked.
 */
import type { Parts } from "../../engine/parts.ts";
import { type Action, change, create, type EventDraft, type Reason, remove } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { PersistentVolumeClaim, Pod } from "../../kube/types.ts";
import { chargeAgainMs } from "../../workload/budget/index.ts";
import { cancelDeletionSteps, holdDeletionSteps, isDeletionHeld, mayCancelDeletion } from "../../workload/lifecycle/index.ts";
import { rankForDeletion } from "../../workload/order/index.ts";
import { type Calculation, calculate } from "./calculate.ts";
import { claimsByInstance, createClaims, deleteClaims, instanceIdOf } from "./claims.ts";
import { newPod, podName } from "./create.ts";
import { factsOf } from "./facts.ts";
import { freshIds } from "./instance-id.ts";
import type { Purse } from "./purse.ts";
import { hookText, reason } from "./reasons.ts";
import { type Member, podsAtOnce, tally, type World } from "./world.ts";

export interface ScalePlan {
  readonly actions: readonly Action[];
  readonly reasons: readonly Reason[];
  readonly events: readonly EventDraft[];
  /** Members on their way out: this plan deletes them, begins to, or waits for their hook. */
  readonly leaving: ReadonlySet<Member>;
  /** Members with an action of this plan: nothing else happens to them in it. */
  readonly busy: ReadonlySet<Member>;
  /** Members that this plan brings back from PreparingDelete. */
  readonly returning: ReadonlySet<Member>;
  /** Pods that this plan creates. */
  readonly creating: { readonly old: number; readonly updated: number };
  readonly requeueAfterMs?: number;
}

const nobody: ReadonlySet<Member> = new Set();
const none = { old: 0, updated: 0 } as const;

export function* planScale(world: World, pay: Purse): Parts<ScalePlan> {
  const returning = comingBack(world);
  if (returning.length > 0) {
    const actions = returning.map(({ pod, name }) =>
      change<Pod>({ id: `revive:${name}`, on: refOf(pods, pod), steps: cancelDeletionSteps(pod, world.nowMs) }),
    );
    const busy = new Set(returning);
    return { actions, reasons: [], events: [], leaving: nobody, busy, returning: busy, creating: none };
  }
  const { gates } = world.observed.settings;
  const preparingCounts = gates.enabled("PreparingUpdateAsUpdate");
  const isUpdated = (member: Member): boolean => member.updated || (preparingCounts && member.facts.state === "PreparingUpdate");
  const { old, updated } = tally(world.members, isUpdated);
  const figures = calculate(old, updated, world.limits);
  const creations = yield* planCreations(world, figures);
  const deletions = yield* planDeletions(world, figures, isUpdated, pay);
  const requeueAfterMs = creations.requeueAfterMs ?? deletions.requeueAfterMs;
  return {
    actions: [...creations.actions, ...deletions.actions],
    reasons: [...creations.reasons, ...deletions.reasons],
    events: creations.events,
    leaving: deletions.leaving,
    busy: deletions.busy,
    returning: nobody,
    creating: creations.creating,
    ...(requeueAfterMs === undefined ? {} : { requeueAfterMs }),
  };
}

/** Pods in PreparingDelete that are wanted again, unless somebody asked for just their deletion. */
function comingBack({ members, strategy }: World): readonly Member[] {
  if (!mayCancelDeletion(strategy.lifecycle)) return [];
  const planned = members.filter((member) => member.specifiedDelete || member.preparingDelete);
  const missing = strategy.replicas - members.length + planned.length;
  if (missing <= 0) return [];
  const candidates = planned.filter((member) => member.preparingDelete && !member.specifiedDelete);
  return candidates.sort(byName).slice(0, missing);
}

const byName = (a: Member, b: Member): number => (a.name < b.name ? -1 : 1);

// ---- creating

/** Pods that one plan creates: the next plan has its turn long before more could be there. */
const creationsMax = 500;

function* planCreations(
  world: World,
  figures: Calculation,
): Parts<Pick<ScalePlan, "actions" | "reasons" | "events" | "creating" | "requeueAfterMs">> {
  const { scaleUp, scaleUpLimit, scaleUpOld } = figures;
  if (scaleUp === 0) return { actions: [], reasons: [], events: [], creating: none };
  const reasons: Reason[] = [];
  const events: EventDraft[] = [];
  if (scaleUp > scaleUpLimit) {
    reasons.push(reason("", "ScaleUpLimited", { missing: scaleUp, now: scaleUpLimit }));
    events.push({
      type: "Warning",
      reason: "ScaleUpLimited",
      message: "scale up is limited because of scaleStrategy.maxUnavailable: not all missing pods are created now",
    });
  }
  const wanted = Math.min(scaleUpLimit, creationsMax);
  const { free, awaited } = reusableIds(world, wanted);
  for (const pod of awaited) reasons.push(reason(pod, "ReplacementWaits", { pod }));
  const count = wanted - awaited.length;
  const ids = [...free, ...newIds(world, count - free.length)].sort();
  const byId = claimsByInstance(world.observed.claims);
  const oldCount = Math.min(ids.length, scaleUpOld);
  const actions: Action[] = [];
  for (const [index, id] of ids.entries()) {
    if (index % podsAtOnce === 0 && index > 0) yield;
    actions.push(...createPod(world, id, index < oldCount, byId.get(id) ?? []));
  }
  const creating = { old: oldCount, updated: ids.length - oldCount };
  return { actions, reasons, events, creating, ...(scaleUpLimit > wanted ? { requeueAfterMs: 0 } : {}) };
}

/**
 * Ids whose claims were left behind and may be taken over, as many as are needed. While the pod that left them is still terminating its
 * replacement waits for it; a finished pod keeps its name and its claims, and so does a pod that runs on by itself.
 */
function reusableIds(world: World, countMax: number): { readonly free: readonly string[]; readonly awaited: readonly string[] } {
  const { observed, strategy } = world;
  const free: string[] = [];
  const awaited: string[] = [];
  if (!strategy.reuseClaims || observed.claims.length === 0) return { free, awaited };
  const inUse = new Set(
    [...world.members, ...world.strangers.map((pod) => ({ facts: factsOf(pod) }))].map(({ facts }) => facts.instanceId),
  );
  const ids = [...new Set(observed.claims.map(instanceIdOf))].filter((id) => id !== "" && !inUse.has(id)).sort();
  for (const id of ids) {
    if (free.length + awaited.length >= countMax) break;
    const holder = observed.podNamed(podName(observed.cloneSet, id));
    if (holder === undefined) free.push(id);
    else if (factsOf(holder).terminating) awaited.push(holder.metadata.name);
  }
  return { free, awaited };
}

function newIds({ observed }: World, count: number): readonly string[] {
  if (count <= 0) return [];
  const taken = new Set([...observed.pods.map((pod) => factsOf(pod).instanceId), ...observed.claims.map(instanceIdOf)]);
  return freshIds(observed.seed, count, (id) => taken.has(id) || observed.podNamed(podName(observed.cloneSet, id)) !== undefined);
}

function createPod(world: World, id: string, old: boolean, existing: readonly Readonly<PersistentVolumeClaim>[]): readonly Action[] {
  const { cloneSet, settings, revisions } = world.observed;
  const { name: revision, template } = old ? revisions.current : revisions.update;
  const claims = createClaims(cloneSet, id, existing);
  const pod = newPod({ cloneSet, settings, template, revision, id, nowMs: world.nowMs });
  const after = [...revisions.actions, ...claims].map((action) => action.id);
  return [
    ...claims,
    create<Pod>({
      id: `create:${pod.metadata.name}`,
      of: pods,
      object: pod,
      after,
      tell: {
        done: { reason: "SuccessfulCreate", text: "created pod" },
        failed: { reason: "FailedCreate", text: "failed to create pod" },
      },
      move: { revision, how: "create" },
    }),
  ];
}

// ---- deleting

function* planDeletions(
  world: World,
  figures: Calculation,
  isUpdated: (member: Member) => boolean,
  pay: Purse,
): Parts<Pick<ScalePlan, "actions" | "reasons" | "leaving" | "busy" | "requeueAfterMs">> {
  const { members } = world;
  const { going, reasons } = chooseGoing(world, figures, isUpdated);
  if (going.length === 0) return { actions: [], reasons, leaving: nobody, busy: nobody };
  const byId = claimsByInstance(world.observed.claims);
  const sharing = countBy(members, (member) => member.facts.instanceId);
  const actions: Action[] = [];
  const busy = new Set<Member>();
  for (const [index, member] of going.entries()) {
    if (index % podsAtOnce === 0 && index > 0) yield;
    const id = member.facts.instanceId;
    // A label copied by hand makes two pods share an id: what one of them leaves may be the other's.
    const own = isDeletionHeld(member.pod, world.strategy.lifecycle)
      ? holdPod(world, member, pay, reasons)
      : deletePod(world, member, sharing.get(id) === 1 ? (byId.get(id) ?? []) : []);
    if (own.length > 0) busy.add(member);
    actions.push(...own);
  }
  const isHeld = reasons.some(({ code }) => code === "HeldByBudget");
  return { actions, reasons, leaving: new Set(going), busy, ...(isHeld ? { requeueAfterMs: chargeAgainMs } : {}) };
}

/** Who is to go now, whatever their hooks and budgets say. */
function chooseGoing(
  world: World,
  figures: Calculation,
  isUpdated: (member: Member) => boolean,
): { readonly going: readonly Member[]; readonly reasons: Reason[] } {
  const { members, limits } = world;
  const preparing = members.filter((member) => member.preparingDelete);
  const marked = members.filter((member) => member.specifiedDelete && !member.preparingDelete);
  const reasons: Reason[] = [];
  const unavailable = members.reduce((count, member) => count + (member.available ? 0 : 1), 0);
  /** Those whose deletion takes something share the limit. */
  const within = (limit: number, candidates: readonly Member[]): readonly Member[] => {
    let left = limit;
    return candidates.filter(({ name, readyForDelete }) => {
      if (!readyForDelete) return true;
      left -= 1;
      if (left < 0) reasons.push(reason(name, "DeletionHeldByMaxUnavailable", { used: unavailable, max: limits.unavailableMax }));
      return left >= 0;
    });
  };
  // Marked pods count as available in `deleteReadyLimit`; those that are not have used their part of it already.
  const budget = figures.deleteReadyLimit - marked.filter((member) => !member.readyForDelete).length;
  const going = [...preparing, ...within(budget, marked.sort(byNeed))];
  if (figures.scaleDown === 0) return { going, reasons };
  const waitsFor = preparing.length + marked.length;
  if (waitsFor === 0) return { going: within(figures.deleteReadyLimit, chooseVictims(world, figures, isUpdated)), reasons };
  reasons.push(reason("", "ScaleInWaits", { marked: waitsFor }));
  return { going, reasons };
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}

/** First those whose deletion takes nothing, then ready ones that nobody counts on yet. */
function byNeed(a: Member, b: Member): number {
  return Number(a.readyForDelete) - Number(b.readyForDelete) || Number(a.available) - Number(b.available) || byName(a, b);
}

function chooseVictims(world: World, { scaleDown, scaleDownOld }: Calculation, isUpdated: (member: Member) => boolean): readonly Member[] {
  const oldCount = Math.min(scaleDown, scaleDownOld);
  const old = world.members.filter((member) => !isUpdated(member));
  const updated = world.members.filter(isUpdated);
  return [...firstVictims(world, old, oldCount), ...firstVictims(world, updated, scaleDown - oldCount)];
}

function firstVictims({ observed }: World, group: readonly Member[], count: number): readonly Member[] {
  if (count >= group.length) return count <= 0 ? [] : group;
  if (count <= 0) return [];
  const byPod = new Map(group.map((member) => [member.pod, member]));
  const ranked = rankForDeletion(
    group.map((member) => member.pod),
    {
      isAvailable: (pod) => byPod.get(pod)?.available ?? false,
      topologyKeys: (observed.cloneSet.spec.template.spec?.topologySpreadConstraints ?? []).map((constraint) => constraint.topologyKey),
      nodeLabel: observed.nodeLabel,
    },
  );
  return ranked.slice(0, count).map((pod) => byPod.get(pod) as Member);
}

/** The hook is told that the pod is to go. Where it waits out of service, users lose it now and not when it is deleted. */
function holdPod({ strategy: { lifecycle }, nowMs }: World, member: Member, pay: Purse, reasons: Reason[]): readonly Action[] {
  const { pod, name } = member;
  const steps = holdDeletionSteps(pod, lifecycle, nowMs);
  if (steps.length === 0) {
    reasons.push(reason(name, "DeletionHeldByHook", { hook: hookText(lifecycle?.preDelete) }));
    return [];
  }
  // The hook counts as a deletion that has begun: what allowed it may be over in a newer version of the pod, as for deletions.
  const hold = change<Pod>({ id: `hold:${name}`, on: refOf(pods, pod), steps, ofVersion: pod.metadata.resourceVersion });
  if (lifecycle?.preDelete?.markPodNotReady !== true) return [hold];
  const paid = pay(member, hold);
  if ("actions" in paid) return paid.actions;
  reasons.push(reason(name, "HeldByBudget", { budget: paid.refusedBy }));
  return [];
}

function deletePod(world: World, member: Member, claims: readonly Readonly<PersistentVolumeClaim>[]): readonly Action[] {
  const { strategy, limits } = world;
  const { pod, name } = member;
  const id = `delete:${name}`;
  // What allowed the deletion may be over in a newer version of the pod: its mark, the hook that did not hold, that it took nothing.
  const exactly = member.specifiedDelete || strategy.lifecycle?.preDelete !== undefined || limits.replicas > 0;
  return [
    remove<Pod>({
      id,
      on: refOf(pods, pod),
      ...(exactly ? { resourceVersion: pod.metadata.resourceVersion } : {}),
      tell: {
        done: { reason: "SuccessfulDelete", text: "deleted pod" },
        failed: { reason: "FailedDelete", text: "failed to delete pod" },
      },
      move: { revision: member.facts.revision, how: "delete" },
    }),
    ...deleteClaims(claims, id),
  ];
}
