/** Condition Progressing: is this CloneSet on its way, where it should be, or has nothing moved for too long? */
import { conditionType } from "../../api/names.ts";
import type { WorkloadCondition } from "../../api/schema/common.ts";
import { formatTime, parseTime } from "../../kube/time.ts";

export interface ProgressFigures {
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
  readonly updatedReplicas: number;
  readonly updatedAvailableReplicas: number;
  readonly expectedUpdatedReplicas: number;
  readonly currentRevision: string;
  readonly updateRevision: string;
}

export interface ProgressInput {
  /** As the status stands now, and as it will. */
  readonly before: Partial<ProgressFigures> & { readonly condition?: WorkloadCondition };
  readonly now: ProgressFigures;
  readonly wantedReplicas: number;
  readonly paused: boolean;
  readonly deadlineMs: number;
  readonly nowMs: number;
}

export interface Progress {
  readonly condition: WorkloadCondition;
  /** When the deadline strikes. */
  readonly requeueAfterMs?: number;
}

export type ProgressReason =
  | "CloneSetAvailable"
  | "CloneSetPaused"
  | "ProgressPartitionAvailable"
  | "ProgressDeadlineExceeded"
  | "CloneSetUpdated";

const resting: ReadonlySet<string | undefined> = new Set(["CloneSetAvailable", "CloneSetPaused", "ProgressPartitionAvailable"]);

/**
 * The deadline counts from the last progress: a new revision, the end of a rest, a pod more or less updated, a pod more ready or available.
 * The rollout goes on whatever the condition says.
 */
export function progressing(input: ProgressInput): Progress {
  const rest = restReason(input);
  if (rest !== undefined) return { condition: conditionFor(input, "True", rest, words[rest](input.now)) };
  const { before, deadlineMs, nowMs } = input;
  const since = hasProgress(input)
    ? undefined
    : (parseTime(before.condition?.lastUpdateTime) ?? parseTime(before.condition?.lastTransitionTime));
  if (since !== undefined && (before.condition?.reason === "ProgressDeadlineExceeded" || since + deadlineMs < nowMs)) {
    return { condition: conditionFor(input, "False", "ProgressDeadlineExceeded", words.ProgressDeadlineExceeded(input.now)) };
  }
  const fresh = since === undefined;
  // The comparison above is of whole seconds, as times on the wire are: a second later it holds for certain.
  const requeueAfterMs = Math.max((since ?? nowMs) + deadlineMs - nowMs, 0) + 1000;
  return { condition: conditionFor(input, "True", "CloneSetUpdated", words.CloneSetUpdated(input.now), fresh), requeueAfterMs };
}

function restReason({
  now,
  wantedReplicas,
  paused,
}: ProgressInput): "CloneSetAvailable" | "CloneSetPaused" | "ProgressPartitionAvailable" | undefined {
  const complete = now.currentRevision === now.updateRevision && now.replicas === wantedReplicas;
  if (complete && now.updatedReplicas === wantedReplicas && now.updatedAvailableReplicas === wantedReplicas) return "CloneSetAvailable";
  if (paused) return "CloneSetPaused";
  const partitioned = now.expectedUpdatedReplicas < wantedReplicas && now.expectedUpdatedReplicas <= now.updatedAvailableReplicas;
  return partitioned ? "ProgressPartitionAvailable" : undefined;
}

function hasProgress({ before, now }: ProgressInput): boolean {
  if (before.condition === undefined || resting.has(before.condition.reason)) return true;
  if (now.updateRevision !== before.updateRevision || now.updatedReplicas !== (before.updatedReplicas ?? 0)) return true;
  return now.readyReplicas > (before.readyReplicas ?? 0) || now.availableReplicas > (before.availableReplicas ?? 0);
}

const words: Record<ProgressReason, (now: ProgressFigures) => string> = {
  CloneSetAvailable: (now) => `CloneSet revision ${now.updateRevision} is available`,
  CloneSetPaused: () => "CloneSet is paused",
  ProgressPartitionAvailable: (now) =>
    `CloneSet has been paused due to partition ready: ${now.expectedUpdatedReplicas} pods of revision ${now.updateRevision} are available`,
  ProgressDeadlineExceeded: (now) => `CloneSet revision ${now.updateRevision} has timed out progressing`,
  CloneSetUpdated: (now) => `CloneSet revision ${now.updateRevision} is progressing`,
};

function conditionFor(
  { before: { condition: old }, nowMs }: ProgressInput,
  status: "True" | "False",
  reason: ProgressReason,
  message: string,
  refresh = false,
): WorkloadCondition {
  if (old !== undefined && old.status === status && old.reason === reason && !refresh) return old;
  const at = formatTime(nowMs);
  const sameStatus = old?.status === status ? old.lastTransitionTime : undefined;
  return { type: conditionType.progressing, status, lastUpdateTime: at, lastTransitionTime: sameStatus ?? at, reason, message };
}
