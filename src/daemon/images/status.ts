/** The status of a NodeImage, from what is known of its tasks. */
import type { NodeImage, NodeImageImageStatus, NodeImageStatus, NodeImageTagStatus } from "../../api/nodeimage.ts";
import { compareUtf8, setOwn } from "../../kube/json.ts";
import { isOver, phase, statusOf } from "../../workload/images/tasks.ts";
import { statusOfState, type TaskState } from "./state.ts";
import { type Task, tasksOf } from "./tasks.ts";

/** Every task of the spec that somebody has worked on for a while or that is over, and nothing else. */
export function statusFor(nodeImage: Readonly<NodeImage>, stateOf: (task: Task) => TaskState | "young" | undefined): NodeImageStatus {
  const imageStatuses: Record<string, NodeImageImageStatus> = {};
  const counts = { desired: 0, succeeded: 0, failed: 0, pulling: 0, waiting: 0 };
  for (const task of tasksOf(nodeImage)) {
    counts.desired += 1;
    const status = tagStatus(nodeImage, task, stateOf(task));
    if (status === undefined) continue;
    if (!Object.hasOwn(imageStatuses, task.image)) setOwn(imageStatuses, task.image, { tags: [] });
    imageStatuses[task.image]?.tags.push(status);
    if (status.phase === phase.succeeded) counts.succeeded += 1;
    else if (status.phase === phase.failed) counts.failed += 1;
    else if (status.phase === phase.pulling) counts.pulling += 1;
    else counts.waiting += 1;
  }
  for (const { tags } of Object.values(imageStatuses)) tags.sort((a, b) => compareUtf8(a.tag, b.tag));
  const { firstSyncStatus } = nodeImage.status ?? {};
  return {
    ...counts,
    ...(Object.keys(imageStatuses).length > 0 ? { imageStatuses } : {}),
    ...(firstSyncStatus === undefined ? {} : { firstSyncStatus }),
  };
}

function tagStatus(nodeImage: Readonly<NodeImage>, task: Task, state: TaskState | "young" | undefined): NodeImageTagStatus | undefined {
  const known = statusOf(nodeImage, task.image, task.spec);
  // What the process before this one said of it stands as long as there is nothing new.
  if (isOver(known) || state === "young") return known as NodeImageTagStatus | undefined;
  return state === undefined ? undefined : statusOfState(task, state);
}
