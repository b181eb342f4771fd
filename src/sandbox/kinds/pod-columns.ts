/** The columns of pods: the state in a word is a rule of its own. */
import { isNativeSidecar, podCondition } from "../../kube/pod.ts";
import { parseTime } from "../../kube/time.ts";
import type { ContainerStatus, Pod } from "../../kube/types.ts";
import { age, type Columns, column, humanDuration } from "./columns.ts";

export const podColumns: Columns = {
  definitions: [
    column("Name:string:name", "Name must be unique within a namespace."),
    column("Ready", "The aggregate readiness state of this pod for accepting traffic."),
    column("Status", "The aggregate status of the containers in this pod."),
    column("Restarts", "The number of times the containers in this pod have been restarted."),
    column("Age"),
    column("IP:string::1"),
    column("Node:string::1"),
    column("Nominated Node:string::1"),
    column("Readiness Gates:string::1"),
  ],
  cells: (object, nowMs) => {
    const pod = object as unknown as Pod;
    const state = podState(pod);
    const gates = pod.spec.readinessGates ?? [];
    const trueGates = gates.filter(({ conditionType }) => podCondition(pod, conditionType)?.status === "True").length;
    const restarts =
      state.lastRestartMs === undefined || state.restarts === 0
        ? String(state.restarts)
        : `${state.restarts} (${humanDuration(nowMs - state.lastRestartMs)} ago)`;
    return [
      pod.metadata.name,
      `${state.ready}/${state.total}`,
      state.word,
      restarts,
      age(pod.metadata.creationTimestamp, nowMs),
      pod.status?.podIP || "<none>",
      pod.spec.nodeName || "<none>",
      "<none>",
      gates.length === 0 ? "<none>" : `${trueGates}/${gates.length}`,
    ];
  },
};

export interface PodState {
  readonly word: string;
  readonly ready: number;
  readonly total: number;
  readonly restarts: number;
  readonly lastRestartMs: number | undefined;
}

/** The words of `kubectl get pods`: Running, Pending, Terminating, CrashLoopBackOff, Init:0/1 … */
export function podState(pod: Pod): PodState {
  const sidecars = (pod.spec.initContainers ?? []).filter(isNativeSidecar);
  const total = pod.spec.containers.length + sidecars.length;
  const initial = initState(pod);
  const main = mainState(pod);
  let word = initial?.word ?? main.word;
  if (pod.metadata.deletionTimestamp !== undefined)
    word = pod.status?.reason === "NodeLost" ? "Unknown" : isOver(pod) ? word : "Terminating";
  const restarts = initial === undefined ? main.restarts : initial.restarts;
  return { word, total, ready: main.ready + readySidecars(pod), restarts, lastRestartMs: lastRestart(pod) };
}

const isOver = (pod: Pod): boolean => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

function readySidecars(pod: Pod): number {
  const names = new Set((pod.spec.initContainers ?? []).filter(isNativeSidecar).map(({ name }) => name));
  return (pod.status?.initContainerStatuses ?? []).filter((status) => names.has(status.name) && status.started === true && status.ready)
    .length;
}

function initState(pod: Pod): { readonly word: string; readonly restarts: number } | undefined {
  const containers = pod.spec.initContainers ?? [];
  const statuses = pod.status?.initContainerStatuses ?? [];
  let restarts = 0;
  for (const [index, status] of statuses.entries()) {
    restarts += status.restartCount;
    const container = containers.find(({ name }) => name === status.name);
    if (status.state?.terminated?.exitCode === 0) continue;
    if (container !== undefined && isNativeSidecar(container) && status.started === true) continue;
    const { terminated, waiting } = status.state ?? {};
    if (terminated !== undefined) return { word: `Init:${terminated.reason || `ExitCode:${terminated.exitCode}`}`, restarts };
    if (waiting?.reason && waiting.reason !== "PodInitializing") return { word: `Init:${waiting.reason}`, restarts };
    return { word: `Init:${index}/${containers.length}`, restarts };
  }
  return undefined;
}

function mainState(pod: Pod): { readonly word: string; readonly ready: number; readonly restarts: number } {
  const statuses = pod.status?.containerStatuses ?? [];
  let word = pod.status?.reason || pod.status?.phase || "Unknown";
  const scheduled = podCondition(pod, "PodScheduled");
  if (scheduled?.reason === "SchedulingGated") word = "SchedulingGated";
  let running = false;
  for (const status of [...statuses].reverse()) {
    const { waiting, terminated } = status.state ?? {};
    if (waiting?.reason) word = waiting.reason;
    else if (terminated !== undefined) word = terminatedWord(terminated);
    else if (status.ready && status.state?.running !== undefined) running = true;
  }
  if (word === "Completed" && running) word = podCondition(pod, "Ready")?.status === "True" ? "Running" : "NotReady";
  return {
    word,
    ready: statuses.filter((status) => status.ready && status.state?.running !== undefined).length,
    restarts: statuses.reduce((sum, status) => sum + status.restartCount, 0),
  };
}

function terminatedWord(terminated: NonNullable<NonNullable<ContainerStatus["state"]>["terminated"]>): string {
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

function lastRestart(pod: Pod): number | undefined {
  const times = (pod.status?.containerStatuses ?? []).map((status) => parseTime(status.lastState?.terminated?.finishedAt));
  return times.reduce<number | undefined>(
    (latest, time) => (time !== undefined && (latest === undefined || time > latest) ? time : latest),
    undefined,
  );
}
