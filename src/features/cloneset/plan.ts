/**
 * One round of a CloneSet, from what was seen to what should be done. Scaling decides first, and what it does is reckoned with by all that
 * follows; each pod gets at most one action; pods act in parallel.
 *
 * Budgets hold from any state: deletions and moves share the pods that may be missing, and creations never make room for either before the
 * new pods serve.
 */
import { type CloneSet, type CloneSetStatus, cloneSets } from "../../api/cloneset.ts";
import { atOnce, type Parts } from "../../engine/parts.ts";
import { type Action, change, type Plan } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { matchesRevision, removeRevisions, surplusRevisions } from "../../workload/revision/index.ts";
import { claimsByInstance, cleanUpClaims, giveClaim } from "./claims.ts";
import { factsOf } from "./facts.ts";
import { releasePod } from "./owner.ts";
import { purseOf } from "./purse.ts";
import { planRefresh } from "./refresh.ts";
import { planScale } from "./scale.ts";
import { planStatus } from "./status.ts";
import { chooseMovers, planMoves } from "./update.ts";
import { isLong, lookAt, type Member, matcherFor, type Observed, type World } from "./world.ts";

const doubtAgainMs = 10_000; // ms until claims are looked at again whose pod could not be asked for

export function plan(observed: Observed, nowMs: number): Plan<CloneSetStatus> {
  return atOnce(planInParts(observed, nowMs));
}

export function* planInParts(observed: Observed, nowMs: number): Parts<Plan<CloneSetStatus>> {
  const world = yield* lookAt(observed, nowMs);
  // Pods, claims and revisions go with their owner.
  if (world.deleting) return { actions: [], status: planStatus(world, [], []).status };
  const pay = purseOf(world);
  if (isLong(world)) yield;
  const scale = yield* planScale(world, pay);
  if (isLong(world)) yield;
  const movers = yield* chooseMovers(world, scale);
  const isMoving = new Set(movers.chosen);
  if (isLong(world)) yield;
  const refresh = yield* planRefresh(world, scale.busy, (member) => isAtTarget(world, isMoving, member));
  if (isLong(world)) yield;
  const moves = planMoves(world, scale, movers, refresh.refreshing, pay);
  if (isLong(world)) yield;
  const actions = [
    ...observed.revisions.actions,
    ...releases(world),
    ...scale.actions,
    ...refresh.actions,
    ...moves.actions,
    ...cleanUpClaims(world),
    ...forgetDeletedPods(world),
    ...removeRevisions(surplus(world)),
  ];
  const problems = [...refresh.problems, ...moves.problems];
  const { status, requeueAfterMs } = planStatus(world, actions, problems);
  const byName = new Map(world.members.map((member) => [member.name, member]));
  return {
    actions,
    status,
    reasons: [...scale.reasons, ...moves.reasons, ...refresh.reasons],
    events: [...scale.events, ...refresh.events],
    landed: (on, revision) => {
      const member = byName.get(on);
      return member?.available === true && matchesRevision(member.facts.revision, revision);
    },
    requeueAfterMs: earliest(
      scale.requeueAfterMs,
      refresh.requeueAfterMs,
      moves.requeueAfterMs,
      requeueAfterMs,
      observed.claimsInDoubt.size > 0 ? doubtAgainMs : undefined,
    ),
  };
}

function earliest(...delays: readonly (number | undefined)[]): number | undefined {
  const known = delays.filter((delay) => delay !== undefined);
  return known.length > 0 ? Math.max(Math.min(...known), 1) : undefined;
}

/** Whether a pod that was prepared for an update should not wait for it any longer. While updates are paused it waits. */
function isAtTarget({ limits, strategy }: World, isMoving: ReadonlySet<Member>, member: Member): boolean {
  if (!limits.mayMove) return true;
  return strategy.paused ? member.updated : !isMoving.has(member);
}

/** Pods that no longer match go their own way, and take their claims along. */
function releases({ members, strangers, observed }: World): readonly Action[] {
  if (strangers.length === 0) return [];
  const { cloneSet } = observed;
  const selector = matcherFor(cloneSet);
  const byId = new Map(claimsByInstance(observed.claims));
  for (const member of members) byId.delete(member.facts.instanceId);
  return strangers.flatMap((pod) => {
    const id = factsOf(pod).instanceId;
    const claims = byId.get(id) ?? [];
    byId.delete(id);
    // Claims first: once the pod has gone its way, nobody knows any more that they are its own.
    const given = claims.map((claim) => giveClaim(claim, pod, cloneSet.metadata.uid));
    return [...given, { ...releasePod(pod, cloneSet.metadata.uid, selector), after: given.map((action) => action.id) }];
  });
}

/** Names in podsToDelete whose pods are gone leave the list; names that were added meanwhile stay. */
function forgetDeletedPods({ members, strategy, observed }: World): readonly Action[] {
  if (strategy.podsToDelete.size === 0) return [];
  const present = new Set(members.map((member) => member.name));
  const gone = new Set([...strategy.podsToDelete].filter((name) => !present.has(name)));
  if (gone.size === 0) return [];
  const path = "/spec/scaleStrategy/podsToDelete";
  return [
    change<CloneSet>({
      id: "forget-deleted-pods",
      on: refOf(cloneSets, observed.cloneSet),
      steps: [
        {
          name: "podsToDelete",
          precondition: "uid",
          onConflict: "giveUp",
          write: (fresh) => {
            const listed = fresh.spec.scaleStrategy?.podsToDelete ?? [];
            const left = listed.filter((name) => !gone.has(name));
            if (left.length === listed.length) return undefined;
            const shorter = left.length > 0 ? { op: "replace", path, value: left } : { op: "remove", path };
            return { patch: "json", body: [{ op: "test", path, value: listed }, shorter] };
          },
        },
      ],
    }),
  ];
}

function surplus({ members, strategy, observed }: World) {
  const { history, current, update } = observed.revisions;
  if (history.length <= strategy.revisionHistoryMax) return [];
  const inUse = new Set(members.map((member) => member.facts.revision));
  const isLive = (name: string): boolean =>
    name === current.name || name === update.name || [...inUse].some((revision) => matchesRevision(revision, name));
  return surplusRevisions(history, isLive, strategy.revisionHistoryMax);
}
