/** What is to be done next about the request that has its turn. Pure: the controller reads, asks, and carries out one answer at a time. */
import type { ContainerRecreateState } from "../../api/containerrecreaterequest.ts";
import { conditionType } from "../../api/names.ts";
import { deepEqual } from "../../kube/json.ts";
import { parseTime } from "../../kube/time.ts";
import type { PodContainer, PodContainers } from "../containers/read.ts";
import { splitContainerId } from "../cri/runtimes.ts";
import type { Request } from "./pick.ts";
import { containerStates, type StatesInput } from "./states.ts";

/** What can be said without asking the runtime. */
export type Opening =
  /** Say that it has begun. */
  | { readonly do: "begin" }
  /** The pod is held out of service first. */
  | { readonly do: "wait"; readonly afterMs?: number }
  | { readonly do: "complete"; readonly message: string }
  /** Look at the containers in this runtime. */
  | { readonly do: "look"; readonly runtimeName: string };

export type Step =
  | { readonly do: "complete"; readonly message: string; readonly states: readonly ContainerRecreateState[] }
  | { readonly do: "store"; readonly states: readonly ContainerRecreateState[]; readonly afterMs?: number }
  | { readonly do: "kill"; readonly container: PodContainer; readonly states: readonly ContainerRecreateState[] }
  | { readonly do: "wait"; readonly afterMs?: number };

/** After the grace period: the clock of the condition has whole seconds. */
const graceSlackMs = 100;
/** A container that the runtime does not have is looked for again: nobody else may tell of it. */
const lookAgainMs = 5000;

/**
 * @param graceAgeMs how long ago the grace period was seen to begin; undefined: it had begun when the request was first seen, and only
 *   the server's clock tells when
 */
export function opening(request: Request, nowMs: number, graceAgeMs?: number): Opening {
  if (request.status?.phase !== "Recreating") return { do: "begin" };
  const graceMs = unreadyLeftMs(request, nowMs, graceAgeMs);
  if (graceMs === undefined) return { do: "wait" };
  if (graceMs > 0) return { do: "wait", afterMs: graceMs + graceSlackMs };
  const runtimeName = runtimeNameOf(request);
  if (runtimeName === undefined) return { do: "complete", message: "no runtime service: the containers' IDs name none, or several" };
  return { do: "look", runtimeName };
}

/** 0 when there is nothing to wait for, undefined when the pod is not known to be out of service yet. */
function unreadyLeftMs(request: Request, nowMs: number, graceAgeMs: number | undefined): number | undefined {
  const graceMs = (request.spec.strategy?.unreadyGracePeriodSeconds ?? 0) * 1000;
  if (!awaitsGrace(request)) return 0;
  const sinceMs = graceSinceMs(request);
  if (sinceMs === undefined) return undefined;
  // A clock that is behind the server's must not make it wait longer than the whole period.
  return Math.min(graceMs, Math.max(0, graceMs - (graceAgeMs ?? nowMs - sinceMs)));
}

export function awaitsGrace(request: Request): boolean {
  return request.spec.strategy?.unreadyGracePeriodSeconds !== undefined;
}

/** When the pod was taken out of service, by the server's clock. */
export function graceSinceMs(request: Request): number | undefined {
  const grace = request.status?.conditions?.find(({ type, status }) => type === conditionType.preRecreateGrace && status === "True");
  return parseTime(grace?.lastTransitionTime);
}

/** The one runtime of all its containers. */
export function runtimeNameOf(request: Request): string | undefined {
  const names = new Set(request.spec.containers.map(({ statusContext }) => splitContainerId(statusContext?.containerID)?.type));
  const [name] = names;
  return names.size === 1 ? name : undefined;
}

export function noRuntimeMessage(runtimeName: string, nodeRuntimes: readonly string[]): string {
  return `no runtime service found for ${runtimeName}:// on this node (it has ${nodeRuntimes.join(", ") || "none"})`;
}

export function nextStep(input: StatesInput): Step {
  const { request, containers } = input;
  const { states, nextMs } = containerStates(input);
  if (!deepEqual(states, request.status?.containerRecreateStates ?? [])) return { do: "store", states };
  const strategy = request.spec.strategy ?? {};
  const marked = states.map((state) => (state.phase === "Recreating" && !state.isKilled ? { ...state, isKilled: true } : state));
  let ended = 0;
  for (const state of marked) {
    if (state.phase === "Succeeded") ended += 1;
    else if (state.phase === "Failed") {
      ended += 1;
      if (strategy.failurePolicy !== "Ignore") return { do: "complete", message: "", states: unprocessed(marked, state.name) };
    } else if (state.phase === "Recreating") {
      if (strategy.orderedRecreate) break;
    } else {
      const step = pendingStep(containers, state, marked);
      if (step !== undefined) return step;
      break;
    }
  }
  if (ended === marked.length) return { do: "complete", message: "", states: marked };
  if (!deepEqual(marked, states)) return { do: "store", states: marked, ...(nextMs === undefined ? {} : { afterMs: nextMs }) };
  const isMissing = states.some((state) => state.phase === "Pending" && !containers.has(state.name));
  const afterMs = isMissing ? Math.min(nextMs ?? lookAgainMs, lookAgainMs) : nextMs;
  return { do: "wait", ...(afterMs === undefined ? {} : { afterMs }) };
}

function pendingStep(
  containers: PodContainers,
  state: ContainerRecreateState,
  states: readonly ContainerRecreateState[],
): Step | undefined {
  const container = containers.get(state.name);
  return container === undefined ? undefined : { do: "kill", container, states };
}

/** Those that were not come to say why. */
function unprocessed(states: readonly ContainerRecreateState[], failed: string): readonly ContainerRecreateState[] {
  const message = `not recreated: failurePolicy is Fail, and container ${failed} failed`;
  return states.map((state) => (state.phase === "Pending" ? { ...state, message } : state));
}

/** What a kill makes of the states. */
export function afterKill(
  states: readonly ContainerRecreateState[],
  container: string,
  problem: string | undefined,
): readonly ContainerRecreateState[] {
  return states.map((state) => {
    if (state.name !== container) return state;
    if (problem === undefined) return { name: container, phase: "Recreating", isKilled: true };
    return { name: container, phase: "Failed", message: `kill container error: ${problem}`, ...(state.isKilled ? { isKilled: true } : {}) };
  });
}
