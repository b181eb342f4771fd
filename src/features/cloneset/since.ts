/** Since when something is held, as far as the objects themselves tell: nothing else is known to somebody who only looks. */
import type { Reason } from "../../engine/plan.ts";
import { podCondition } from "../../kube/pod.ts";
import { parseTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import { readState, stateText } from "../../workload/inplace/index.ts";
import { lifecycleTimestamp } from "../../workload/lifecycle/index.ts";
import type { Code } from "./reasons.ts";
import type { Observed } from "./world.ts";

/** Which clock a reason runs on. */
type Clock = "rollout" | "state" | "update" | "ready" | "deletion";

const clocks: Readonly<Partial<Record<Code, Clock>>> = {
  HeldByPartition: "rollout",
  HeldByMaxUnavailable: "rollout",
  WaitingForTurn: "rollout",
  Paused: "rollout",
  OnDelete: "rollout",
  InPlaceImpossible: "rollout",
  HeldByUpdateHook: "state",
  DeletionHeldByHook: "state",
  WaitingForNormalHook: "state",
  WaitingForUpdatedHook: "state",
  InPlaceUpdateGracePeriod: "update",
  InPlaceUpdateNextBatch: "update",
  WaitingForContainer: "update",
  WaitingForContainerReady: "update",
  WaitingForContainerEnv: "update",
  WaitingForResize: "update",
  ResizeDeferred: "update",
  ResizeInfeasible: "update",
  WaitingForReady: "ready",
  WaitingForAvailability: "ready",
  ReplacementWaits: "deletion",
};

/** ms since 1970; undefined when nobody can say. */
export function sinceMsOf({ on, code }: Reason, { pods, podNamed, revisions }: Observed): number | undefined {
  const clock = (clocks as Partial<Record<string, Clock>>)[code];
  // A revision that came back is older than the rollout that brought it back.
  if (clock === "rollout") return isYoungest(revisions) ? parseTime(revisions.update.object.metadata.creationTimestamp) : undefined;
  const pod = pods.find(({ metadata }) => metadata.name === on) ?? podNamed(on);
  return clock === undefined || pod === undefined ? undefined : parseTime(timeOf(clock, pod));
}

function timeOf(clock: Exclude<Clock, "rollout">, pod: Readonly<Pod>): string | undefined {
  switch (clock) {
    case "state":
      return lifecycleTimestamp(pod);
    case "update":
      return readState(stateText(pod) ?? "")?.updateTimestamp;
    case "ready":
      return podCondition(pod, "Ready")?.lastTransitionTime ?? pod.metadata.creationTimestamp;
    case "deletion":
      return pod.metadata.deletionTimestamp;
  }
}

function isYoungest({ history, update }: Observed["revisions"]): boolean {
  const time = (at: string | undefined): number => parseTime(at) ?? 0;
  return history.every(({ metadata }) => time(metadata.creationTimestamp) <= time(update.object.metadata.creationTimestamp));
}
