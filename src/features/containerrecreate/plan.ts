/**
 * The manager's half: how long a request may take, whether its pod is out of service, what its pod looks like, and what remains to be
 * done once it is over. The containers themselves are the node agent's business.
 */
import {
  type ContainerRecreateRequest,
  type ContainerRecreateState,
  containerRecreateRequests,
} from "../../api/containerrecreaterequest.ts";
import { conditionType, finalizer, label } from "../../api/names.ts";
import { type Action, change, type Plan, type Reason, remove, type WriteStep } from "../../engine/plan.ts";
import { keyOf, refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { hasReadinessGate } from "../../kube/pod.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import { addKeyStep, holdsKey, needsKey, recreateKey, removeKeysStep } from "../../workload/readiness/index.ts";
import { isOver, type Observed, type Request } from "./observe.ts";
import { type Code, reason } from "./reasons.ts";
import { snapshotToWrite } from "./snapshot.ts";

export const recreateLimits = {
  /** Nobody on the node has taken notice by then. */
  responseMs: 60_000,
  /** Events of the pod may be late. */
  pollMs: 3000,
} as const;

export const messages = {
  podGone: "pod has gone",
  noResponse: "daemon has not responded for a long time",
  deadline: "recreating has exceeded the activeDeadlineSeconds",
} as const;

type Step = WriteStep<ContainerRecreateRequest>;

export function plan(observed: Observed, nowMs: number): Plan<never> {
  const { request, pod } = observed;
  if (pod.is === "unknown") return { actions: [], retry: `cannot read pod ${request.spec.podName}: ${pod.why}` };
  if (isOver(request)) return planEnd(request, pod.is === "there" ? pod.pod : undefined, nowMs);
  if (pod.is === "gone") return complete(request, messages.podGone, nowMs);
  return planRun(observed, pod.pod, nowMs);
}

// ---- while it runs

function planRun({ request, before }: Observed, pod: Readonly<Pod>, nowMs: number): Plan<never> {
  const ageMs = nowMs - (parseTime(request.metadata.creationTimestamp) ?? nowMs);
  const waits: number[] = [];
  const phase = request.status?.phase;
  if (!phase) {
    const leftMs = recreateLimits.responseMs - ageMs;
    if (leftMs <= 0) return complete(request, messages.noResponse, nowMs);
    waits.push(leftMs);
  }
  const { activeDeadlineSeconds } = request.spec;
  if (activeDeadlineSeconds !== undefined) {
    const leftMs = activeDeadlineSeconds * 1000 - ageMs;
    if (leftMs <= 0) return complete(request, messages.deadline, nowMs, (fresh) => closed(fresh, messages.deadline));
    waits.push(leftMs);
  }
  const isRunning = phase === "Recreating";
  if (isRunning) waits.push(recreateLimits.pollMs);
  const actions = isRunning ? [...snapshotActions(request, pod), ...unreadyActions(request, pod, nowMs)] : [];
  return {
    actions,
    reasons: reasonsOf(request, before),
    ...(waits.length > 0 ? { requeueAfterMs: Math.min(...waits) } : {}),
  };
}

function snapshotActions(request: Request, pod: Readonly<Pod>): readonly Action[] {
  if (snapshotToWrite(request, pod) === undefined) return [];
  const step: Step = {
    name: "snapshot",
    subresource: "status",
    precondition: "uid",
    onConflict: "giveUp",
    write: (fresh) => {
      const containerStatusSnapshot = isOver(fresh) ? undefined : snapshotToWrite(fresh, pod);
      return containerStatusSnapshot && { patch: "merge", body: { status: { containerStatusSnapshot } } };
    },
  };
  return [onRequest(request, "snapshot", [step])];
}

/** The finalizer first: a pod that is held out of service must never be forgotten. */
function unreadyActions(request: Request, pod: Readonly<Pod>, nowMs: number): readonly Action[] {
  if (request.spec.strategy?.unreadyGracePeriodSeconds === undefined || graceSinceMs(request) !== undefined) return [];
  const grace = onRequest(request, "grace", [graceStep(nowMs)]);
  // Nobody looks at the condition of a pod without the gate: its restart is only put off.
  if (!hasReadinessGate(pod, conditionType.kruisePodReady)) return [grace];
  const key = keyOfRequest(request);
  const hold = needsKey(pod, key)
    ? [change<Pod>({ id: "hold", on: refOf(pods, pod as Pod), after: ["finalizer"], goneIsFine: false, steps: [addKeyStep(key, nowMs)] })]
    : [];
  // A request that is gone holds nothing: what follows must not happen without it.
  return [onRequest(request, "finalizer", [finalizerStep], false), ...hold, { ...grace, after: [hold.length > 0 ? "hold" : "finalizer"] }];
}

const finalizerStep: Step = {
  name: "finalizer",
  precondition: "version",
  onConflict: "retry",
  write: (fresh) => {
    const finalizers = fresh.metadata.finalizers ?? [];
    if (finalizers.includes(finalizer.crrUnreadyAcquired)) return undefined;
    if (isOver(fresh)) return "the request has ended meanwhile";
    return { patch: "merge", body: { metadata: { finalizers: [...finalizers, finalizer.crrUnreadyAcquired] } } };
  },
};

/** Its time never moves: the node agent counts from it. */
function graceStep(nowMs: number): Step {
  return {
    name: "grace",
    subresource: "status",
    precondition: "version",
    onConflict: "retry",
    write: (fresh) => {
      if (isOver(fresh) || graceSinceMs(fresh) !== undefined) return undefined;
      const grace = {
        type: conditionType.preRecreateGrace,
        status: "True",
        lastTransitionTime: formatTime(nowMs),
        reason: conditionType.preRecreateGrace,
        message: "the pod has been forced to be not-ready",
      };
      const others = (fresh.status?.conditions ?? []).filter(({ type }) => type !== grace.type);
      return { patch: "merge", body: { status: { conditions: [...others, grace] } } };
    },
  };
}

function graceSinceMs(request: Request): number | undefined {
  const grace = request.status?.conditions?.find(({ type, status }) => type === conditionType.preRecreateGrace && status === "True");
  return grace === undefined ? undefined : (parseTime(grace.lastTransitionTime) ?? 0);
}

function reasonsOf(request: Request, before: readonly string[]): readonly Reason[] {
  const { phase, containerRecreateStates: states } = request.status ?? {};
  if (!phase) return [reason("", "WaitingForDaemon", { node: request.metadata.labels?.[label.crrNodeName] ?? "" })];
  if (phase === "Pending") return [reason("", "WaitingForEarlierRequest", { request: before[0] ?? "" })];
  const { unreadyGracePeriodSeconds } = request.spec.strategy ?? {};
  if (unreadyGracePeriodSeconds !== undefined && !states?.length)
    return [reason("", "UnreadyGracePeriod", { seconds: unreadyGracePeriodSeconds })];
  return (states ?? []).flatMap((state) => {
    const codes: Partial<Record<ContainerRecreateState["phase"], Code>> = { Pending: "ContainerWaits", Recreating: "ContainerStarts" };
    const code = codes[state.phase];
    return code === undefined ? [] : [reason(state.name, code, {})];
  });
}

// ---- its end

/** Ends it early, and says why. What the node agent does in this moment is not undone. */
function complete(
  request: Request,
  message: string,
  nowMs: number,
  states?: (fresh: Request) => readonly ContainerRecreateState[],
): Plan<never> {
  const step: Step = {
    name: "complete",
    subresource: "status",
    precondition: "version",
    onConflict: "retry",
    write: (fresh) => {
      if (isOver(fresh)) return undefined;
      const containerRecreateStates = states?.(fresh);
      const status = {
        phase: "Completed",
        completionTime: formatTime(nowMs),
        message,
        ...(containerRecreateStates && { containerRecreateStates }),
      };
      return { patch: "merge", body: { status } };
    },
  };
  return { actions: [onRequest(request, "complete", [step])] };
}

/** Every container that has not come to its end has failed. */
function closed(request: Request, message: string): readonly ContainerRecreateState[] {
  return request.spec.containers.map(({ name }) => {
    const state = request.status?.containerRecreateStates?.find((candidate) => candidate.name === name);
    if (state?.phase === "Succeeded" || state?.phase === "Failed") return state;
    return { name, phase: "Failed", message, ...(state?.isKilled === undefined ? {} : { isKilled: state.isKilled }) };
  });
}

function planEnd(request: Request, pod: Readonly<Pod> | undefined, nowMs: number): Plan<never> {
  const { finalizers = [], labels, deletionTimestamp } = request.metadata;
  const actions: Action[] = [];
  const steps: Step[] = [];
  if (finalizers.includes(finalizer.crrUnreadyAcquired)) {
    const key = keyOfRequest(request);
    const isHeld = pod !== undefined && holdsKey(pod, key);
    if (isHeld) actions.push(change<Pod>({ id: "release", on: refOf(pods, pod as Pod), steps: [removeKeysStep([key], nowMs)] }));
    actions.push({ ...onRequest(request, "unfinalize", [unfinalizeStep]), ...(isHeld ? { after: ["release"] } : {}) });
  }
  if (deletionTimestamp !== undefined) return { actions };
  if (labels?.[label.crrActive] !== undefined) steps.push(inactiveStep);
  if (steps.length > 0) actions.push(onRequest(request, "inactive", steps));
  const { ttlSecondsAfterFinished } = request.spec;
  if (ttlSecondsAfterFinished === undefined || actions.length > 0) return { actions };
  const endedMs = parseTime(request.status?.completionTime) ?? nowMs;
  const leftMs = ttlSecondsAfterFinished * 1000 - (nowMs - endedMs);
  if (leftMs > 0) return { actions, requeueAfterMs: leftMs };
  return { actions: [remove({ id: "expire", on: refOf(containerRecreateRequests, request as ContainerRecreateRequest) })] };
}

const unfinalizeStep: Step = {
  name: "unfinalize",
  precondition: "version",
  onConflict: "retry",
  write: (fresh) => {
    const finalizers = fresh.metadata.finalizers ?? [];
    if (!finalizers.includes(finalizer.crrUnreadyAcquired)) return undefined;
    const left = finalizers.filter((name) => name !== finalizer.crrUnreadyAcquired);
    return { patch: "merge", body: { metadata: { finalizers: left.length > 0 ? left : null } } };
  },
};

/** Node agents stop watching it. */
const inactiveStep: Step = {
  name: "inactive",
  precondition: "uid",
  onConflict: "giveUp",
  write: (fresh) =>
    fresh.metadata.labels?.[label.crrActive] === undefined
      ? undefined
      : { patch: "merge", body: { metadata: { labels: { [label.crrActive]: null } } } },
};

function keyOfRequest(request: Request) {
  const { namespace, name } = keyOf(request as ContainerRecreateRequest);
  return recreateKey(namespace, name);
}

function onRequest(request: Request, id: string, steps: readonly Step[], goneIsFine = true): Action {
  return change<ContainerRecreateRequest>({
    id,
    on: refOf(containerRecreateRequests, request as ContainerRecreateRequest),
    steps,
    goneIsFine,
  });
}
