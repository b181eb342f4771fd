/** One round of a budget: mark its pods, count them, and bring the ledger up to date, in this order. */

import type { Gates } from "../../api/gates.ts";
import { annotation } from "../../api/names.ts";
import { type PodUnavailableBudget, type PodUnavailableBudgetStatus, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { type Action, change, type EventDraft, type Plan, type Reason } from "../../engine/plan.ts";
import { statusPatch } from "../../engine/status-patch.ts";
import { scaledCount } from "../../kube/int-or-percent.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { failureText } from "../../kube/outcome.ts";
import type { Pod } from "../../kube/types.ts";
import { freePass, isAvailableFor, relatedBudget } from "../../workload/budget/index.ts";
import type { Census } from "./census.ts";
import type { Budget } from "./covers.ts";
import { stampOf } from "./mutation.ts";
import type { Observed } from "./observe.ts";
import { reason } from "./reasons.ts";
import { type Kept, keepRecords } from "./records.ts";

/** ms until a workload of a kind that nobody watches is asked again. */
export const unwatchedAgainMs = 120_000;

export function plan(observed: Observed, nowMs: number): Plan<never> {
  const { budget, taken, unmarked } = observed;
  if (!taken.ok) return { actions: [], retry: `the pods of the budget cannot be counted: ${failureText(taken)}` };
  const { census } = taken;
  const desired = desiredAvailable(budget, census);
  if (desired === undefined) {
    const message = "neither maxUnavailable nor minAvailable is a count or a percentage";
    return { actions: [], retry: message, events: [{ type: "Warning", reason: "CalculateExpectedPodCountFailed", message }] };
  }
  const count = counter(observed, census, desired, nowMs);
  const marks = unmarked.map((pod) => mark(pod, budget));
  const now = count(budget);
  return {
    actions: [...marks, writeStatus(budget, count, marks)],
    reasons: reasonsOf(now.status, now.kept, census.pods, observed.settings.gates),
    events: eventsOf(observed, census, now.kept),
    ...requeue(now.kept, census, nowMs),
  };
}

/** How many pods have to stay; undefined when the budget does not say it in a way that can be read. */
export function desiredAvailable(
  { spec }: Budget,
  { totalReplicas, isOver }: Pick<Census, "totalReplicas" | "isOver">,
): number | undefined {
  const { maxUnavailable, minAvailable } = spec ?? {};
  if (maxUnavailable !== undefined) {
    const max = scaledCount(maxUnavailable, totalReplicas, "up");
    return max === undefined ? undefined : isOver ? 0 : Math.max(0, totalReplicas - max);
  }
  const min = scaledCount(minAvailable, totalReplicas, "up");
  // A floor under pods that nobody wants any more would keep the garbage collector out for ever.
  return min !== undefined && isOver ? 0 : min;
}

/** Pods of a surge are available as well, so that more could go at once than maxUnavailable says: not where the user does not want that. */
function allowedMax({ metadata, spec }: Budget, { totalReplicas }: Census): number {
  if (metadata.annotations?.[annotation.pubCapAllowed] !== "true" || spec?.maxUnavailable === undefined) return Number.POSITIVE_INFINITY;
  return scaledCount(spec.maxUnavailable, totalReplicas, "up") ?? Number.POSITIVE_INFINITY;
}

interface Counted {
  readonly status: PodUnavailableBudgetStatus;
  readonly kept: Kept;
}

/** The status as it should be, from any version of the budget: others write into the ledger while this round is under way. */
function counter(observed: Observed, census: Census, desired: number, nowMs: number): (fresh: Budget) => Counted {
  const { settings, podNamed, confirmed, gone, budget } = observed;
  const counts = (pod: Readonly<Pod>) => isAvailableFor(pod, settings.gates);
  const known = { podNamed, counts, isConfirmed: (name: string) => confirmed.has(name), isGone: (name: string) => gone.has(name) };
  const available = census.pods.filter(counts).map(({ metadata }) => metadata.name);
  return ({ status: before }) => {
    const kept = keepRecords(before ?? {}, known, nowMs);
    const { disruptedPods, unavailablePods } = kept;
    const current = available.filter((name) => !Object.hasOwn(disruptedPods, name) && !Object.hasOwn(unavailablePods, name)).length;
    const out = new Set([...Object.keys(disruptedPods), ...Object.keys(unavailablePods)]).size;
    const status: PodUnavailableBudgetStatus = {
      unavailableAllowed: Math.max(0, Math.min(current - desired, allowedMax(budget, census) - out)),
      currentAvailable: current,
      desiredAvailable: desired,
      totalReplicas: census.totalReplicas,
      ...(budget.metadata.generation === undefined ? {} : { observedGeneration: budget.metadata.generation }),
      ...(Object.keys(disruptedPods).length > 0 ? { disruptedPods } : {}),
      ...(Object.keys(unavailablePods).length > 0 ? { unavailablePods } : {}),
    };
    return { status, kept };
  };
}

function writeStatus(budget: Budget, count: (fresh: Budget) => Counted, marks: readonly Action[]): Action {
  const { generation } = budget.metadata;
  return change<PodUnavailableBudget>({
    id: "status",
    on: refOf(podUnavailableBudgets, budget as PodUnavailableBudget),
    // A pod that carries no mark is taken without asking: what may go is said when all are marked.
    after: marks.map(({ id }) => id),
    steps: [
      {
        name: "count",
        subresource: "status",
        precondition: "version",
        onConflict: "retry",
        write: (fresh) => {
          // Counted for another spec: the next round knows better.
          if (fresh.metadata.generation !== generation || fresh.metadata.deletionTimestamp !== undefined) return undefined;
          const status = statusPatch(fresh.status, count(fresh).status);
          return status && { patch: "merge", body: { status } };
        },
      },
    ],
  });
}

function mark(pod: Readonly<Pod>, { metadata }: Budget): Action {
  const was = relatedBudget(pod);
  return change<Pod>({
    id: `mark:${pod.metadata.name}`,
    on: refOf(pods, pod as Pod),
    steps: [
      {
        name: "related-pub",
        precondition: "uid",
        onConflict: "retry",
        // Marked otherwise meanwhile: that is for the next round to judge.
        write: (fresh) =>
          relatedBudget(fresh) === was ? { patch: "strategic", body: { metadata: { annotations: stampOf(metadata.name) } } } : undefined,
      },
    ],
  });
}

function reasonsOf(status: PodUnavailableBudgetStatus, kept: Kept, members: readonly Readonly<Pod>[], gates: Gates): readonly Reason[] {
  const reasons: Reason[] = [];
  if (status.unavailableAllowed === 0 && status.desiredAvailable > 0) {
    reasons.push(reason("", "NoneLeft", { available: status.currentAvailable, desired: status.desiredAvailable }));
  }
  for (const pod of members) {
    const { name } = pod.metadata;
    const disrupted = kept.disruptedPods[name];
    const updated = kept.unavailablePods[name];
    if (disrupted !== undefined) reasons.push(reason(name, "Disrupted", { since: disrupted }));
    else if (updated !== undefined) reasons.push(reason(name, "Updated", { since: updated }));
    else {
      const pass = freePass(pod, gates);
      if (pass === "NotReady" || pass === "NotConsistent") reasons.push(reason(name, pass, {}));
    }
  }
  return reasons;
}

function eventsOf({ budget, podNamed }: Observed, census: Census, { notDeleted }: Kept): readonly EventDraft[] {
  const { status, metadata } = budget;
  const events: EventDraft[] = [];
  const isNews = status === undefined || status.observedGeneration !== metadata.generation;
  if (census.pods.length === 0 && (isNews || status.currentAvailable > 0)) {
    events.push({ type: "Normal", reason: "NoPods", message: "no matching pods found" });
  }
  if (census.isGuessed && isNews) {
    const message = "the workload does not say how many pods it wants: those that it has are counted; set spec.protectTotalReplicas";
    events.push({ type: "Warning", reason: "UnknownReplicas", message });
  }
  for (const name of notDeleted) {
    const pod = podNamed(name);
    const message = "its deletion was let through and did not happen: the pod counts as available again";
    if (pod !== undefined) events.push({ type: "Warning", reason: "NotDeleted", message, on: refOf(pods, pod as Pod) });
  }
  return events;
}

function requeue({ nextMs }: Kept, { isUnwatched }: Census, nowMs: number): { readonly requeueAfterMs?: number } {
  const delays = [...(nextMs === undefined ? [] : [Math.max(1, nextMs - nowMs)]), ...(isUnwatched ? [unwatchedAgainMs] : [])];
  return delays.length === 0 ? {} : { requeueAfterMs: Math.min(...delays) };
}
