/** What every pod gets at every round, paused or not: the end of its grace period, its next batch, its way back into service, its next state. */
import { label, lifecycleState } from "../../api/names.ts";
import type { Parts } from "../../engine/parts.ts";
import { type Action, change, type EventDraft, type Reason, type Step } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import { isUpdateCompleted, planRefresh as planPodRefresh, readState, stateText } from "../../workload/inplace/index.ts";
import { advance } from "../../workload/lifecycle/index.ts";
import { shortHash } from "../../workload/revision/index.ts";
import { availableAtMs } from "./facts.ts";
import { hookText, reason, reasonText } from "./reasons.ts";
import { type Member, podsAtOnce, type World } from "./world.ts";

export interface RefreshPlan {
  readonly actions: readonly Action[];
  readonly reasons: readonly Reason[];
  /** Members that this plan refreshes: nothing else happens to them in it. */
  readonly refreshing: ReadonlySet<Member>;
  /** In-place updates that their nodes do not carry out. */
  readonly events: readonly EventDraft[];
  /** What cannot be refreshed, for the condition. */
  readonly problems: readonly string[];
  readonly requeueAfterMs?: number;
}

/**
 * @param busy members that something else happens to in this plan
 * @param isAtTarget whether the pod runs the revision that it is meant to run now
 */
export function* planRefresh(world: World, busy: ReadonlySet<Member>, isAtTarget: (member: Member) => boolean): Parts<RefreshPlan> {
  const actions: Action[] = [];
  const reasons: Reason[] = [];
  const problems: string[] = [];
  const events: EventDraft[] = [];
  const refreshing = new Set<Member>();
  let requeueAfterMs: number | undefined;
  for (const [index, member] of world.members.entries()) {
    if (index % podsAtOnce === 0 && index > 0) yield;
    if (busy.has(member)) continue;
    const { steps, delayMs, problem, told, event } = refreshOf(world, member, isAtTarget);
    if (event !== undefined) events.push(event);
    if (delayMs !== undefined) requeueAfterMs = Math.min(requeueAfterMs ?? delayMs, delayMs);
    if (problem !== undefined) problems.push(problem);
    if (told !== undefined) reasons.push(told);
    if (steps.length === 0) continue;
    refreshing.add(member);
    actions.push(change<Pod>({ id: `refresh:${member.name}`, on: refOf(pods, member.pod), steps }));
  }
  return { actions, reasons, events, refreshing, problems, ...(requeueAfterMs === undefined ? {} : { requeueAfterMs }) };
}

interface MemberRefresh {
  readonly steps: readonly Step<Pod>[];
  readonly delayMs?: number;
  readonly problem?: string;
  readonly told?: Reason;
  readonly event?: EventDraft;
}

function refreshOf(world: World, member: Member, isAtTarget: (member: Member) => boolean): MemberRefresh {
  const { observed, strategy, nowMs } = world;
  const { gates, resizeSubresource } = observed.settings;
  const { pod, name, facts } = member;
  const { steps: own, delayMs, why, problem } = planPodRefresh(pod, { gates, resizeSubresource }, nowMs);
  if (problem !== undefined) return { steps: [], problem, told: reason(name, "RefreshFailed", { why: problem }) };
  const isOnItsWay = facts.state !== "" && facts.state !== lifecycleState.normal;
  const move = isOnItsWay
    ? advance(
        pod,
        {
          lifecycle: strategy.lifecycle,
          atTarget: facts.state === lifecycleState.preparingUpdate && isAtTarget(member),
          updateCompleted: facts.state === lifecycleState.updating && isUpdateCompleted(pod, gates),
          normalNeedsNode: true,
        },
        nowMs,
      )
    : undefined;
  const steps = [...own, ...(move?.steps ?? []), ...hashLabelSteps(pod, facts.revision)];
  const availability = availabilityOf(world, member);
  if (why === undefined || member.available) return { steps, delayMs: delayMs ?? availability.delayMs, told: availability.told };
  const told: Reason = { on: name, code: why.code, figures: why.figures };
  const stuck = stuckOn(pod, told, nowMs);
  return { steps, delayMs: delayMs ?? stuck.delayMs, told, event: stuck.event };
}

const envPatienceMs = 5 * 60_000; // ms; a node agent restarts containers within seconds

/** What only somebody can heal is told to the workload: a resize that does not fit, an environment that no node agent renews. */
function stuckOn(pod: Readonly<Pod>, told: Reason, nowMs: number): Pick<MemberRefresh, "delayMs" | "event"> {
  const warning = (reason: string): EventDraft => ({ type: "Warning", reason, message: `pod ${pod.metadata.name}: ${reasonText(told)}` });
  if (told.code === "ResizeDeferred" || told.code === "ResizeInfeasible") return { event: warning(told.code) };
  if (told.code !== "WaitingForContainerEnv") return {};
  const startedMs = parseTime(readState(stateText(pod) ?? "")?.updateTimestamp);
  if (startedMs === undefined) return {};
  const leftMs = startedMs + envPatienceMs - nowMs;
  return leftMs > 0 ? { delayMs: leftMs } : { event: warning("InPlaceUpdateStuck") };
}

/** Pods made before this label existed get it from the other. */
function hashLabelSteps(pod: Readonly<Pod>, revision: string): readonly Step<Pod>[] {
  if (revision === "" || pod.metadata.labels?.[label.podTemplateHash] !== undefined) return [];
  return [
    {
      name: "hash-label",
      precondition: "uid",
      onConflict: "retry",
      rides: true,
      write: (fresh) => {
        const current = fresh.metadata.labels?.[label.controllerRevisionHash];
        if (!current || fresh.metadata.labels?.[label.podTemplateHash] !== undefined) return undefined;
        return { patch: "strategic", body: { metadata: { labels: { [label.podTemplateHash]: shortHash(current) } } } };
      },
    },
  ];
}

/** Why a pod that is not available is not, and when to look again. */
function availabilityOf({ strategy, nowMs }: World, { name, facts, available }: Member): Pick<MemberRefresh, "delayMs" | "told"> {
  // A prepared pod is out for its hook: what holds that is said where the update is.
  if (available || facts.state === lifecycleState.preparingUpdate) return {};
  const { lifecycle, minReadyMs } = strategy;
  if (facts.state === lifecycleState.preparingNormal && lifecycle?.preNormal !== undefined) {
    return { told: reason(name, "WaitingForNormalHook", { hook: hookText(lifecycle.preNormal) }) };
  }
  if (facts.state === lifecycleState.updated && lifecycle?.inPlaceUpdate !== undefined) {
    return { told: reason(name, "WaitingForUpdatedHook", { hook: hookText(lifecycle.inPlaceUpdate) }) };
  }
  const atMs = availableAtMs(facts, minReadyMs);
  if (atMs === undefined || atMs <= nowMs) return { told: reason(name, "WaitingForReady", {}) };
  return { delayMs: atMs - nowMs, told: reason(name, "WaitingForAvailability", { until: formatTime(atMs + 999) }) };
}
