/** How far a task is, and what of it goes into the status and into the record. */
import type { NodeImageTagStatus } from "../../api/nodeimage.ts";
import { formatTime } from "../../kube/time.ts";
import { phase } from "../../workload/images/tasks.ts";
import type { Task } from "./tasks.ts";

export type TaskState =
  | { readonly phase: "Waiting" }
  | { readonly phase: "Pulling"; readonly startMs: number }
  | { readonly phase: "Succeeded"; readonly startMs: number; readonly endMs: number; readonly imageId?: string }
  | { readonly phase: "Failed"; readonly startMs: number; readonly endMs: number; readonly message: string };

export type Ended = Extract<TaskState, { readonly endMs: number }>;

export function isEnded(state: TaskState): state is Ended {
  return state.phase === phase.succeeded || state.phase === phase.failed;
}

/** The runtime tells of no progress in between. */
const progressDone = 100;

export function statusOfState({ tag, version }: Task, state: TaskState): NodeImageTagStatus {
  const known = { tag, phase: state.phase, ...(version === 0 ? {} : { version }) };
  switch (state.phase) {
    case "Waiting":
      return known;
    case "Pulling":
      return { ...known, startTime: formatTime(state.startMs) };
    case "Succeeded":
      return {
        ...known,
        startTime: formatTime(state.startMs),
        completionTime: formatTime(state.endMs),
        progress: progressDone,
        ...(state.imageId === undefined ? {} : { imageID: state.imageId }),
      };
    case "Failed":
      return { ...known, startTime: formatTime(state.startMs), completionTime: formatTime(state.endMs), message: state.message };
  }
}

/** What survives the process: when the task began, how often it has failed, and how it ended. */
export interface Remembered {
  readonly startMs: number;
  readonly failedAttempts: number;
  readonly ended?: Ended;
}
