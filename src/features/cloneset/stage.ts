/** How far a CloneSet has come with its revision, as its status tells: for metrics. */
import type { CloneSet } from "../../api/cloneset.ts";
import { conditionType } from "../../api/names.ts";
import type { RolloutStage } from "../../engine/rollouts.ts";
import type { KubeObject } from "../../kube/types.ts";

/** Undefined while the status is of an older spec. */
export function rolloutStage(object: Readonly<KubeObject>): RolloutStage | undefined {
  const { metadata, spec, status } = object as Readonly<CloneSet>;
  if (!status?.updateRevision || status.observedGeneration !== metadata.generation) return undefined;
  const { updateRevision: revision, currentRevision, replicas = 0, updatedAvailableReplicas = 0, expectedUpdatedReplicas = 0 } = status;
  const wanted = spec.replicas ?? 1;
  if (currentRevision === revision && replicas === wanted && updatedAvailableReplicas === wanted) return { revision, at: "there" };
  const isPartitioned = expectedUpdatedReplicas < wanted && expectedUpdatedReplicas <= updatedAvailableReplicas;
  if (spec.updateStrategy?.rollingUpdate?.paused === true || isPartitioned) return { revision, at: "resting" };
  const progressing = status.conditions?.find(({ type }) => type === conditionType.progressing);
  return { revision, at: progressing?.reason === "ProgressDeadlineExceeded" ? "overdue" : "moving" };
}
