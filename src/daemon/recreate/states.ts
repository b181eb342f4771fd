/** How far each container of a request is: from what was stored, what the runtime shows, and what the manager saw of the pod. */
import type { ContainerRecreateState } from "../../api/containerrecreaterequest.ts";
import type { PodContainer, PodContainers } from "../containers/read.ts";
import type { Request } from "./pick.ts";

export interface StatesInput {
  readonly request: Request;
  readonly containers: PodContainers;
  /** Whether we have killed what was this container before, although the status does not say so yet. */
  readonly wasKilled: (container: string) => boolean;
  /** Whether the kubelet starts no other after this one, and that is as good as a restart. Absent: it never is. */
  readonly staysEnded?: (container: PodContainer) => boolean;
  readonly runningForMs: (container: PodContainer) => number;
}

export interface States {
  /** In the order of the request's containers. */
  readonly states: readonly ContainerRecreateState[];
  /** When a container that is ready now has run long enough; undefined: none waits for that. */
  readonly nextMs?: number;
}

export const notFoundMessage = "not found container on Node";

export function containerStates(input: StatesInput): States {
  let nextMs: number | undefined;
  const states = input.request.spec.containers.map((container) => {
    const { state, waitMs } = stateOf(input, container.name);
    if (waitMs !== undefined) nextMs = Math.min(nextMs ?? waitMs, waitMs);
    return state;
  });
  return { states, ...(nextMs === undefined ? {} : { nextMs }) };
}

function stateOf(
  { request, containers, wasKilled, staysEnded, runningForMs }: StatesInput,
  name: string,
): { readonly state: ContainerRecreateState; readonly waitMs?: number } {
  const stored = request.status?.containerRecreateStates?.find((state) => state.name === name);
  if (stored?.phase === "Succeeded" || stored?.phase === "Failed") return { state: stored };
  const isKilled = stored?.isKilled === true || wasKilled(name);
  const state = (phase: ContainerRecreateState["phase"], message?: string): ContainerRecreateState => ({
    name,
    phase,
    ...(message === undefined ? {} : { message }),
    ...(isKilled ? { isKilled } : {}),
  });
  const current = containers.get(name);
  if (current === undefined) return { state: state("Pending", notFoundMessage) };
  if (current.state === "exited") return { state: state(isKilled && staysEnded?.(current) ? "Succeeded" : "Recreating") };
  if (request.spec.strategy?.forceRecreate && !isKilled) return { state: state("Pending") };
  // Not by its start time: clocks of node and server differ, and a pod may be older than its request by less than a second.
  if (!isAnother(request, current)) return { state: state("Pending") };
  const seen = request.status?.containerStatusSnapshot?.find((status) => status.name === name);
  if (seen === undefined || seen.containerID !== current.id || seen.ready !== true) return { state: state("Recreating") };
  const minMs = (request.spec.strategy?.minStartedSeconds ?? 0) * 1000;
  const startedForMs = runningForMs(current);
  if (startedForMs > minMs) return { state: state("Succeeded") };
  return { state: state("Recreating"), waitMs: Math.max(1, Math.ceil(minMs - startedForMs) + 1) };
}

/** Whether this is not the container that was there when the request was made. */
function isAnother(request: Request, current: PodContainer): boolean {
  const context = request.spec.containers.find((container) => container.name === current.name)?.statusContext;
  if (context === undefined) return false;
  return current.id !== context.containerID || current.restartCount > context.restartCount;
}
