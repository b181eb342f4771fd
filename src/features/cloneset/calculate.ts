/**
 * The arithmetic of one plan: from how many pods there are to how many may be created, deleted and moved. Counts in, counts out;
 * which pods these are is the business of scale.ts and update.ts.
 */

/** Active pods of one side: at the update revision ("new"), or at any other ("old"). */
export interface Tally {
  /** All of them; the three below are disjoint parts of it. */
  readonly total: number;
  /** In lifecycle state PreparingDelete. */
  readonly preparingDelete: number;
  /** Marked for deletion by the user or by an update, and not PreparingDelete. */
  readonly specifiedDelete: number;
  /** Neither of these two, and not available. */
  readonly unavailable: number;
}

export interface Limits {
  readonly replicas: number;
  /** Pods to keep at the old revision, in [0, replicas]. */
  readonly partition: number;
  readonly surgeMax: number;
  readonly unavailableMax: number;
  /** Not available pods up to which a scale-up goes on creating; Infinity = no limit. */
  readonly scaleUnavailableMax: number;
  /** Pods in PreparingDelete do not count as replicas. */
  readonly excludePreparingDelete: boolean;
  /** Pods may be moved back to the current revision: the rollback gate is on, and there is another revision to go back to. */
  readonly mayMoveBack: boolean;
  /** false: updates are the user's business (OnDelete), so no surge is made for them. */
  readonly mayMove: boolean;
}

export interface Calculation {
  /** Pods missing. */
  readonly scaleUp: number;
  /** Of these, how many belong to the old revision. */
  readonly scaleUpOld: number;
  /** How many of the missing may be created now. */
  readonly scaleUpLimit: number;
  /** Pods too many, those marked for deletion aside. */
  readonly scaleDown: number;
  readonly scaleDownOld: number;
  /** How many ready pods may be deleted now. */
  readonly deleteReadyLimit: number;
  /** Pods allowed above `replicas` now. */
  readonly surge: number;
  readonly surgeOld: number;
  /** Pods to move: positive to the update revision, negative back to the current one. */
  readonly move: number;
  /** Unavailable pods allowed while moving; may be negative. 0 when nothing is to be moved. */
  readonly moveUnavailableMax: number;
}

/** Pods of a side that take part in updates. */
export const activeCount = (tally: Tally): number => tally.total - tally.preparingDelete;

/**
 * A range of what a side may count once everything that this plan also does has happened, or has not: a creation may fail, a deletion may
 * be refused.
 */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/**
 * How many pods to move so that neither side passes its share, whatever else of the plan happens: positive towards the update revision,
 * negative back. A side is never emptied below its share to fill the other: when both are short or both in surplus, scaling settles it.
 */
export function moveCount(old: Range, updated: Range, limits: Pick<Limits, "replicas" | "partition" | "mayMoveBack">): number {
  const updatedShare = limits.replicas - limits.partition;
  const forward = Math.min(old.min - limits.partition, updatedShare - updated.max);
  if (forward > 0) return forward;
  if (!limits.mayMoveBack) return 0;
  const back = Math.min(updated.min - updatedShare, limits.partition - old.max);
  return back > 0 ? -back : 0;
}

/** The pods missing from the target, that surge pods may stand in for while others are replaced. */
interface Surge {
  readonly total: number;
  readonly old: number;
}

function surgeForDeletion(old: Tally, updated: Tally, limits: Limits): Surge {
  const specified = old.specifiedDelete + updated.specifiedDelete;
  const total = Math.min(Math.max(unavailableCount(old, updated) + specified - limits.unavailableMax, 0), specified);
  return { total, old: Math.max(total - updated.specifiedDelete, 0) };
}

function surgeForUpdate(old: Tally, updated: Tally, limits: Limits): Surge {
  if (!limits.mayMove) return { total: 0, old: 0 };
  const move = moveCount(exactly(activeCount(old)), exactly(activeCount(updated)), limits);
  return { total: Math.abs(move), old: move < 0 ? -move : 0 };
}

const exactly = (count: number): Range => ({ min: count, max: count });

/** Pods that users miss already; those marked for deletion are counted when they go. */
function unavailableCount(old: Tally, updated: Tally): number {
  return old.preparingDelete + updated.preparingDelete + old.unavailable + updated.unavailable;
}

/**
 * @returns every figure in pods; see the rows of calculate.test.ts for worked examples
 * @throws never
 */
export function calculate(old: Tally, updated: Tally, limits: Limits): Calculation {
  const { replicas, partition, unavailableMax } = limits;
  const forDeletion = surgeForDeletion(old, updated, limits);
  const forUpdate = surgeForUpdate(old, updated, limits);
  const wanted = forDeletion.total >= forUpdate.total ? forDeletion : forUpdate;
  const surge = Math.min(Math.max(limits.surgeMax, 0), wanted.total);
  const surgeOld = Math.min(surge, wanted.old);

  const podCount = old.total + updated.total;
  const specified = old.specifiedDelete + updated.specifiedDelete;
  const unavailable = unavailableCount(old, updated);
  const excluded = limits.excludePreparingDelete ? { old: old.preparingDelete, updated: updated.preparingDelete } : { old: 0, updated: 0 };
  const counted = podCount - excluded.old - excluded.updated;
  const countedOld = old.total - excluded.old;
  const expected = replicas + surge;
  const expectedOld = partition + surgeOld;

  const scaleUp = Math.max(expected - counted, 0);
  const scaleUpOld = scaleUp > 0 ? Math.max(expectedOld - countedOld, 0) : 0;
  const scaleUpLimit = Math.min(scaleUp, Math.max(limits.scaleUnavailableMax - unavailable, 0));
  const scaleDown = Math.max(counted - specified - expected, 0);
  const scaleDownOld = scaleDown > 0 ? Math.max(countedOld - old.specifiedDelete - expectedOld, 0) : 0;
  const deletesAny = specified > 0 || scaleDown > 0;
  const move = moveCount(exactly(activeCount(old)), exactly(activeCount(updated)), limits);
  return {
    scaleUp,
    scaleUpOld,
    scaleUpLimit,
    scaleDown,
    scaleDownOld,
    deleteReadyLimit: deletesAny ? Math.max(unavailableMax + podCount - replicas - unavailable, 0) : 0,
    surge,
    surgeOld,
    move,
    moveUnavailableMax: move === 0 ? 0 : unavailableMax + podCount - replicas,
  };
}

/** What the update step needs to know of one candidate, in the order in which they would move. */
export interface Candidate {
  readonly available: boolean;
}

export interface MoveBudget {
  /** Not available pods of the whole workload. */
  readonly unavailable: number;
  /** Those of them that are at the revision to move to. */
  readonly landing: number;
  readonly unavailableMax: number;
}

/**
 * How many of the first candidates may move now. Replacing a pod that is already down takes nothing from the users, so only the pods still
 * landing limit it; an available one needs room in the whole budget. The order is kept: the first that may not move holds those behind it.
 */
export function movableCount(candidates: readonly Candidate[], budget: MoveBudget): number {
  let { unavailable, landing } = budget;
  let count = 0;
  for (const candidate of candidates) {
    if (landing >= budget.unavailableMax) break;
    if (candidate.available) {
      if (unavailable >= budget.unavailableMax) break;
      unavailable += 1;
    }
    landing += 1;
    count += 1;
  }
  return count;
}
