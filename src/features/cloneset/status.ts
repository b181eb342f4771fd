/** The status as it should be: figures of the pods that were seen, and conditions that also know what became of the actions. */
import type { CloneSetStatus } from "../../api/cloneset.ts";
import { conditionType } from "../../api/names.ts";
import type { WorkloadCondition } from "../../api/schema/common.ts";
import type { Action, Outcome } from "../../engine/plan.ts";
import { type Failure, failureText } from "../../kube/outcome.ts";
import { selectorText } from "../../kube/selector.ts";
import { formatTime } from "../../kube/time.ts";
import { isUpdateReady } from "./facts.ts";
import { type Progress, progressing } from "./progress.ts";
import type { World } from "./world.ts";

export interface StatusPlan {
  readonly status: (outcomes: readonly Outcome[]) => CloneSetStatus;
  readonly requeueAfterMs?: number;
}

/** @param problems what keeps pods from being updated, known before anything is done */
export function planStatus(world: World, actions: readonly Action[], problems: readonly string[]): StatusPlan {
  const figures = figuresOf(world);
  const progress = progressOf(world, figures);
  const before = world.observed.cloneSet.status;
  const awaited = new Set(actions.map(({ id }) => partOf(id)));
  const status = (outcomes: readonly Outcome[]): CloneSetStatus => {
    const conditions = [...(before?.conditions ?? [])];
    if (!world.deleting) {
      const failed = failuresOf(outcomes);
      if (problems.length > 0) failed.set("update", problems[0] as string);
      // Whether what failed last time fails again is not known before it is done: until then the condition stays as it is.
      const unknown = (part: Part): boolean => outcomes.length === 0 && awaited.has(part);
      settle(conditions, conditionType.failedScale, failed.get("scale"), unknown("scale"), world.nowMs);
      settle(conditions, conditionType.failedUpdate, failed.get("update"), unknown("update"), world.nowMs);
      put(conditions, conditionType.progressing, progress?.condition);
    }
    return { ...before, ...figures, conditions: conditions.length > 0 ? conditions : undefined };
  };
  return { status, requeueAfterMs: world.deleting ? undefined : progress?.requeueAfterMs };
}

type Figures = Omit<CloneSetStatus, "conditions"> & {
  readonly availableReplicas: number;
  readonly updatedAvailableReplicas: number;
  readonly expectedUpdatedReplicas: number;
  readonly currentRevision: string;
  readonly updateRevision: string;
};

function figuresOf({ members, strategy, observed, nowMs }: World): Figures {
  const { cloneSet, revisions } = observed;
  let readyReplicas = 0;
  let availableReplicas = 0;
  let updatedReplicas = 0;
  let updatedReadyReplicas = 0;
  let updatedAvailableReplicas = 0;
  for (const { facts, available, updated } of members) {
    const ready = isUpdateReady(facts, 0, nowMs);
    if (ready) readyReplicas += 1;
    if (available) availableReplicas += 1;
    if (!updated) continue;
    updatedReplicas += 1;
    if (ready) updatedReadyReplicas += 1;
    if (available) updatedAvailableReplicas += 1;
  }
  const replicas = members.length;
  const allUpdated = updatedReplicas === replicas && replicas === strategy.replicas;
  return {
    observedGeneration: cloneSet.metadata.generation,
    replicas,
    readyReplicas,
    availableReplicas,
    updatedReplicas,
    updatedReadyReplicas,
    updatedAvailableReplicas,
    expectedUpdatedReplicas: strategy.replicas - strategy.partition,
    updateRevision: revisions.update.name,
    currentRevision: allUpdated ? revisions.update.name : revisions.current.name,
    collisionCount: revisions.collisionCount,
    labelSelector: selectorText(cloneSet.spec.selector),
  };
}

function progressOf({ observed, strategy, nowMs }: World, now: Figures): Progress | undefined {
  if (strategy.progressDeadlineMs === undefined) return undefined;
  const before = observed.cloneSet.status;
  const condition = before?.conditions?.find(({ type }) => type === conditionType.progressing);
  return progressing({
    before: { ...before, condition },
    now,
    wantedReplicas: strategy.replicas,
    paused: strategy.paused,
    deadlineMs: strategy.progressDeadlineMs,
    nowMs,
  });
}

type Part = "scale" | "update" | "none";

/** Which condition an action's failure belongs to, by the first word of its id. */
const parts: Readonly<Record<string, Part>> = {
  create: "scale",
  "create-claim": "scale",
  delete: "scale",
  "delete-claim": "scale",
  "give-claim": "scale",
  hold: "scale",
  revive: "scale",
  refresh: "update",
  prepare: "update",
  update: "update",
  mark: "update",
};

function partOf(actionId: string): Part {
  const colon = actionId.indexOf(":");
  return parts[colon < 0 ? actionId : actionId.slice(0, colon)] ?? "none";
}

/** The first failure of each part. Those that the next plan settles by itself are not worth a condition. */
function failuresOf(outcomes: readonly Outcome[]): Map<Part, string> {
  const failures = new Map<Part, string>();
  for (const outcome of outcomes) {
    if (outcome.result !== "failed") continue;
    const part = partOf(outcome.action.id);
    if (isPassing(outcome.failure) || part === "none" || failures.has(part)) continue;
    const verb = outcome.action.id.replace(":", " ");
    failures.set(part, `failed to ${verb}: ${failureText(outcome.failure)}`);
  }
  return failures;
}

/** The next round settles it, or the server was not there at all: whoever reads the condition then reads of the past. */
function isPassing(failure: Failure): boolean {
  const { why } = failure;
  return why === "conflict" || why === "throttled" || why === "expired" || (why === "unavailable" && failure.code === undefined);
}

function settle(conditions: WorkloadCondition[], type: string, message: string | undefined, unknown: boolean, nowMs: number): void {
  const old = conditions.find((condition) => condition.type === type);
  if (message === undefined) {
    put(conditions, type, unknown ? old : undefined);
    return;
  }
  // The same trouble with another pod's name is no news.
  put(conditions, type, old?.status === "True" ? old : { type, status: "True", lastTransitionTime: formatTime(nowMs), message });
}

function put(conditions: WorkloadCondition[], type: string, condition: WorkloadCondition | undefined): void {
  const index = conditions.findIndex((candidate) => candidate.type === type);
  if (condition === undefined) {
    if (index >= 0) conditions.splice(index, 1);
  } else if (index >= 0) conditions[index] = condition;
  else conditions.push(condition);
}
