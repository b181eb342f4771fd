/**
 * Which pods move to another revision, and what holds the others. First who is meant to move (`chooseMovers`: partition and order), then,
 * among those whose turn the budget allows, how each of them moves (`planMoves`: in place, by recreation, or not yet).
 */
import { label, lifecycleState } from "../../api/names.ts";
import type { Parts } from "../../engine/parts.ts";
import { type Action, change, type Reason } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { ControllerRevision, Pod } from "../../kube/types.ts";
import { chargeAgainMs } from "../../workload/budget/index.ts";
import { canUpdateInPlace, planUpdate } from "../../workload/inplace/index.ts";
import { beforeUpdate, prepareSteps, stateMetadata } from "../../workload/lifecycle/index.ts";
import { rankForUpdate } from "../../workload/order/index.ts";
import { cloneSetRevisionLabels, matchesRevision } from "../../workload/revision/index.ts";
import { movableCount, moveCount } from "./calculate.ts";
import type { Purse } from "./purse.ts";
import { hookText, reason } from "./reasons.ts";
import type { ScalePlan } from "./scale.ts";
import { isLong, type Member, type World } from "./world.ts";

/** Moves of one plan: more at once would hold the event loop for longer than requests should wait. The next plan follows at once. */
export const movesMax = 100;

export interface Movers {
  /** Positive: to the update revision. Negative: back to the current one. */
  readonly count: number;
  /** In the order in which they move. */
  readonly chosen: readonly Member[];
  /** At the wrong revision, not chosen, and not marked for deletion. */
  readonly others: readonly Member[];
}

/** Who is meant to move, whether or not there is room for it now; nobody of an OnDelete workload. */
export function* chooseMovers(world: World, scale: ScalePlan): Parts<Movers> {
  const { members, limits, strategy } = world;
  const wrong = members.filter((member) => !member.updated && !member.preparingDelete && !scale.leaving.has(member));
  const unmarked = wrong.filter((member) => !member.specifiedDelete);
  const count = limits.mayMove ? countToMove(world, scale) : 0;
  if (count === 0) return { count, chosen: [], others: unmarked };
  const movable = count > 0 ? wrong : members.filter((member) => member.updated && !member.preparingDelete && !scale.leaving.has(member));
  // Marked pods are replaced, and their successors make the move: they count first, so that no more are marked than may move.
  const replacedCount = movable.reduce((sum, member) => sum + Number(member.specifiedDelete), 0);
  // In its grace period a pod belongs to the update that is under way; the next one starts when that has been applied.
  const candidates = movable.filter(
    (member) => !member.specifiedDelete && (member.facts.state === lifecycleState.updated || !member.facts.inGrace),
  );
  if (isLong(world)) yield;
  const byPod = new Map(candidates.map((member) => [member.pod, member]));
  const ranked = rankForUpdate(
    candidates.map((member) => member.pod),
    members.map((member) => member.pod),
    { priority: strategy.priority, scatter: strategy.scatter },
  );
  if (isLong(world)) yield;
  const chosen = ranked.slice(0, Math.max(Math.abs(count) - replacedCount, 0)).map((pod) => byPod.get(pod) as Member);
  const isChosen = new Set(chosen);
  return { count, chosen, others: unmarked.filter((member) => !isChosen.has(member)) };
}

/**
 * Creations and deletions of the same plan may happen or fail, so both are reckoned with: whichever way they go, no side ends up beyond its
 * share.
 */
function countToMove({ members, limits }: World, { leaving, returning, creating }: ScalePlan): number {
  const old = { min: 0, max: creating.old };
  const updated = { min: 0, max: creating.updated };
  for (const member of members) {
    const side = member.updated ? updated : old;
    if (returning.has(member)) side.max += 1;
    else if (!member.preparingDelete) {
      side.max += 1;
      if (!leaving.has(member)) side.min += 1;
    }
  }
  return moveCount(old, updated, limits);
}

export interface MovePlan {
  readonly actions: readonly Action[];
  readonly reasons: readonly Reason[];
  readonly problems: readonly string[];
  readonly requeueAfterMs?: number;
}

/** @param refreshing members whose own refresh comes first; they keep their place in the order */
export function planMoves(world: World, scale: ScalePlan, movers: Movers, refreshing: ReadonlySet<Member>, pay: Purse): MovePlan {
  const reasons: Reason[] = [...heldFor(world, movers)];
  if (world.strategy.paused) return { actions: [], reasons, problems: [] };
  const actions: Action[] = [];
  const problems: string[] = [];
  let requeueAfterMs: number | undefined;
  const { now, used } = roomFor(world, scale, movers);
  let moves = 0;
  for (const member of movers.chosen.slice(0, now)) {
    if (moves === movesMax) {
      reasons.push(reason(member.name, "WaitingForTurn", { max: movesMax }));
      requeueAfterMs = 0;
      continue;
    }
    if (refreshing.has(member)) {
      reasons.push(reason(member.name, "BeingRefreshed", {}));
      continue;
    }
    const move = moveOf(world, member, movers.count > 0);
    if ("action" in move) {
      const paid = pay(member, move.action);
      if ("refusedBy" in paid) {
        reasons.push(reason(member.name, "HeldByBudget", { budget: paid.refusedBy }));
        requeueAfterMs = Math.min(requeueAfterMs ?? chargeAgainMs, chargeAgainMs);
        continue;
      }
      actions.push(...paid.actions);
      moves += 1;
    } else if (move.reason !== undefined) reasons.push(move.reason);
    if ("problem" in move && move.problem !== undefined) problems.push(move.problem);
    if ("delayMs" in move && move.delayMs !== undefined) requeueAfterMs = Math.min(requeueAfterMs ?? move.delayMs, move.delayMs);
  }
  for (const member of movers.chosen.slice(now)) {
    reasons.push(reason(member.name, "HeldByMaxUnavailable", { used, max: world.limits.unavailableMax }));
  }
  return { actions, reasons, problems, ...(requeueAfterMs === undefined ? {} : { requeueAfterMs }) };
}

/** Why those are held that are not meant to move now. */
function heldFor({ limits, strategy }: World, { chosen, others }: Movers): readonly Reason[] {
  if (!limits.mayMove) return others.map((member) => reason(member.name, "OnDelete", {}));
  if (strategy.paused) return [...chosen, ...others].map((member) => reason(member.name, "Paused", {}));
  return others.map((member) => {
    if (member.facts.inGrace) return reason(member.name, "InPlaceUpdateGracePeriod", {});
    if (limits.partition > 0) return reason(member.name, "HeldByPartition", { kept: limits.partition });
    return reason(member.name, "HeldByScaling", {});
  });
}

/** How many of the chosen may move now. Pods that this plan deletes are gone already; those that it creates do not serve yet. */
function roomFor({ members, limits, observed }: World, { leaving }: ScalePlan, { count, chosen }: Movers): { now: number; used: number } {
  const target = count > 0 ? observed.revisions.update.name : observed.revisions.current.name;
  let unavailable = 0;
  let landing = 0;
  for (const member of members) {
    if (member.available || leaving.has(member)) continue;
    unavailable += 1;
    if (matchesRevision(member.facts.revision, target)) landing += 1;
  }
  const left = members.length - leaving.size;
  const unavailableMax = limits.unavailableMax + left - limits.replicas;
  return {
    now: movableCount(chosen, { unavailable, landing, unavailableMax }),
    used: Math.max(unavailable + limits.replicas - left, 0),
  };
}

type Move = { readonly action: Action; readonly delayMs?: number } | { readonly reason?: Reason; readonly problem?: string };

function moveOf(world: World, member: Member, forward: boolean): Move {
  const { revisions, settings } = world.observed;
  const { policy } = world.strategy;
  const target = forward ? revisions.update : revisions.current;
  if (policy === "ReCreate") return recreate(member, target.name);
  const before = revisions.history.find((revision) => matchesRevision(member.facts.revision, revision.metadata.name));
  const options = { gates: settings.gates, ignoreClaimTemplates: policy === "InPlaceOnly" };
  if (canUpdateInPlace(before, target.object, options)) return moveInPlace(world, member, before, target.object);
  if (policy === "InPlaceIfPossible") return recreate(member, target.name);
  const why = before === undefined ? "its revision is not in the history" : "the difference between the two revisions does not allow it";
  return {
    reason: reason(member.name, "InPlaceImpossible", { why }),
    problem: `pod ${member.name} cannot be updated in place from revision ${member.facts.revision} to ${target.name}, and podUpdatePolicy is InPlaceOnly: ${why}`,
  };
}

function moveInPlace(
  world: World,
  { pod, name }: Member,
  before: Readonly<ControllerRevision> | undefined,
  target: Readonly<ControllerRevision>,
): Move {
  const { observed, strategy, nowMs } = world;
  const { gates, resizeSubresource } = observed.settings;
  const first = beforeUpdate(pod, strategy.lifecycle);
  switch (first.do) {
    case "refuse":
      return { reason: reason(name, "RefreshFailed", { why: first.message }), problem: first.message };
    case "wait":
      return { reason: reason(name, "HeldByUpdateHook", { hook: hookText(strategy.lifecycle?.inPlaceUpdate) }) };
    case "prepare":
    case "prepareAgain": {
      const steps = prepareSteps(pod, strategy.lifecycle, first.do === "prepareAgain", nowMs);
      return { action: change<Pod>({ id: `prepare:${name}`, on: refOf(pods, pod), steps }) };
    }
    case "start": {
      const plan = planUpdate(
        pod,
        before,
        target,
        {
          settings: { gates, resizeSubresource },
          gracePeriodSeconds: strategy.graceSeconds,
          ignoreClaimTemplates: strategy.policy === "InPlaceOnly",
          revisionLabels: cloneSetRevisionLabels(target.metadata.name, gates.enabled("CloneSetShortHash")),
          alsoWrite: () => stateMetadata(lifecycleState.updating, nowMs),
        },
        nowMs,
      );
      if (!plan.inPlace) return recreate({ pod, name } as Member, target.metadata.name);
      const action = change<Pod>({
        id: `update:${name}`,
        on: refOf(pods, pod),
        steps: plan.steps,
        after: observed.revisions.actions.map((action) => action.id),
        tell: {
          done: { reason: "SuccessfulUpdatePodInPlace", text: "updated in place pod" },
          failed: { reason: "FailedUpdatePodInPlace", text: "failed to update in place pod" },
        },
        move: { revision: target.metadata.name, how: "inPlace" },
      });
      return { action, delayMs: plan.delayMs };
    }
  }
}

/** Marks the pod: the next plan deletes it, as far as the budget reaches, and creates its successor. */
function recreate({ pod, name }: Member, revision: string): Move {
  return {
    action: change<Pod>({
      id: `mark:${name}`,
      on: refOf(pods, pod),
      steps: [
        {
          name: "specified-delete",
          precondition: "uid",
          onConflict: "retry",
          write: (fresh) =>
            Object.hasOwn(fresh.metadata.labels ?? {}, label.specifiedDelete)
              ? undefined
              : { patch: "strategic", body: { metadata: { labels: { [label.specifiedDelete]: "true" } } } },
        },
      ],
      tell: {
        done: { reason: "SuccessfulUpdatePodReCreate", text: "marked for recreation pod" },
        failed: { reason: "FailedUpdatePodReCreate", text: "failed to mark for recreation pod" },
      },
      move: { revision, how: "recreate" },
    }),
  };
}
