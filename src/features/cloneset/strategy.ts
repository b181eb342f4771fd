/** What a CloneSet asks for, as counts and milliseconds: the only place where the rules read its spec. */
import type { CloneSet } from "../../api/cloneset.ts";
import type { PriorityStrategy, ScatterStrategy } from "../../api/schema/common.ts";
import type { Settings } from "../../api/settings.ts";
import { partitionCount, scaledCount, scaledCountOr } from "../../kube/int-or-percent.ts";
import type { Lifecycle } from "../../workload/lifecycle/index.ts";
import type { Limits } from "./calculate.ts";

export type UpdatePolicy = "ReCreate" | "InPlaceIfPossible" | "InPlaceOnly";

export interface Strategy extends Omit<Limits, "mayMoveBack"> {
  readonly minReadyMs: number;
  readonly policy: UpdatePolicy;
  readonly paused: boolean;
  readonly graceSeconds: number;
  readonly lifecycle?: Lifecycle;
  readonly podsToDelete: ReadonlySet<string>;
  readonly reuseClaims: boolean;
  readonly revisionHistoryMax: number;
  /** Absent: progress is not watched. */
  readonly progressDeadlineMs?: number;
  readonly priority?: PriorityStrategy;
  readonly scatter: ScatterStrategy;
}

const defaultMaxUnavailable = "20%";
const defaultRevisionHistoryMax = 10; // revisions
/** Written for "no deadline". */
export const noDeadlineSeconds = 2147483647;

export function strategyOf({ spec }: Pick<CloneSet, "spec">, settings: Settings): Strategy {
  const replicas = spec.replicas ?? 1;
  const rolling = spec.updateStrategy?.rollingUpdate;
  const scale = spec.scaleStrategy;
  const paused = rolling?.paused === true;
  const surgeMax = paused ? 0 : Math.max(scaledCount(rolling?.maxSurge, replicas, "up") ?? 0, 0);
  const deadlineSeconds = spec.progressDeadlineSeconds;
  return {
    replicas,
    partition: partitionCount(rolling?.partition, replicas),
    surgeMax,
    // With surge the replacement comes first, so a share is rounded to the safe side.
    unavailableMax: scaledCountOr(rolling?.maxUnavailable, replicas, surgeMax > 0 ? "down" : "up", defaultMaxUnavailable),
    scaleUnavailableMax: scaledCount(scale?.maxUnavailable, replicas, "up") ?? Number.POSITIVE_INFINITY,
    excludePreparingDelete: scale?.excludePreparingDelete === true || settings.cloneSetExcludePreparingDelete,
    mayMove: spec.updateStrategy?.type !== "OnDelete",
    minReadyMs: Math.max(spec.minReadySeconds ?? 0, 0) * 1000,
    policy: policyOf(rolling?.podUpdatePolicy),
    paused,
    graceSeconds: Math.max(rolling?.inPlaceUpdateStrategy?.gracePeriodSeconds ?? 0, 0),
    lifecycle: spec.lifecycle,
    podsToDelete: new Set(scale?.podsToDelete ?? []),
    reuseClaims: scale?.enablePVCReuse === true,
    revisionHistoryMax: Math.max(spec.revisionHistoryLimit ?? defaultRevisionHistoryMax, 0),
    progressDeadlineMs: deadlineSeconds === undefined || deadlineSeconds === noDeadlineSeconds ? undefined : deadlineSeconds * 1000,
    priority: rolling?.priorityStrategy,
    scatter: rolling?.scatterStrategy ?? [],
  };
}

function policyOf(policy: string | undefined): UpdatePolicy {
  return policy === "InPlaceIfPossible" || policy === "InPlaceOnly" ? policy : "ReCreate";
}
