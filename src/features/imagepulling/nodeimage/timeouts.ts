/** Tasks that no node agent answers for: they are failed here, so that nothing is pending for ever. */
import type { NodeImage, NodeImageImageStatus, NodeImageStatus, NodeImageTag, NodeImageTagStatus } from "../../../api/nodeimage.ts";
import { compareUtf8, setOwn } from "../../../kube/json.ts";
import { formatTime, parseTime } from "../../../kube/time.ts";
import { imagesOf, isOver, phase, statusOf, statusTagsOf, tagOf, tagsOf, versionOf } from "../../../workload/images/tasks.ts";

/** ms from the creation of a task to the first word of the node, and grace for the node's own deadline. */
export const responseMsMax = 600_000;

export interface Late {
  readonly image: string;
  readonly task: Readonly<NodeImageTag>;
  readonly message: string;
}

export interface Timeouts {
  readonly late: readonly Late[];
  /** ms until the next one may be late. */
  readonly waitMs?: number;
}

export function timeouts(nodeImage: Readonly<NodeImage>, nowMs: number): Timeouts {
  const late: Late[] = [];
  let waitMs: number | undefined;
  for (const [image, entry] of imagesOf(nodeImage))
    for (const task of tagsOf(entry)) {
      const limit = limitOf(nodeImage, image, task);
      const createdMs = parseTime(task.createdAt);
      if (limit === undefined || createdMs === undefined) continue;
      const leftMs = limit.afterMs - (nowMs - createdMs);
      if (leftMs > 0) waitMs = Math.min(waitMs ?? leftMs, leftMs);
      else late.push({ image, task, message: limit.message });
    }
  return { late, waitMs };
}

function limitOf(nodeImage: Readonly<NodeImage>, image: string, task: Readonly<NodeImageTag>) {
  const status = statusOf(nodeImage, image, task);
  if (status === undefined)
    return {
      afterMs: responseMsMax,
      message: `the node has not responded for ${responseMsMax / 60_000} minutes: is its node agent running?`,
    };
  const deadlineSeconds = task.pullPolicy?.activeDeadlineSeconds;
  if (isOver(status) || deadlineSeconds === undefined) return undefined;
  return { afterMs: deadlineSeconds * 1000 + responseMsMax, message: `not pulled within activeDeadlineSeconds (${deadlineSeconds})` };
}

/** The status with the late ones failed, without what is not wanted any more, and counted anew. undefined: none of them is late any more. */
export function failLate(nodeImage: Readonly<NodeImage>, nowMs: number): NodeImageStatus | undefined {
  const { late } = timeouts(nodeImage, nowMs);
  if (late.length === 0) return undefined;
  const imageStatuses: Record<string, NodeImageImageStatus> = {};
  const counts = { desired: 0, succeeded: 0, failed: 0, pulling: 0 };
  for (const [image, entry] of imagesOf(nodeImage)) {
    counts.desired += tagsOf(entry).length;
    const tags = [
      ...statusTagsOf(nodeImage, image).filter(
        (status) => tagOf(entry, status.tag) && !late.some((each) => isAbout(each, image, status.tag)),
      ),
      ...late.filter((each) => each.image === image).map((each) => failed(nodeImage, each, nowMs)),
    ].sort((a, b) => compareUtf8(a.tag, b.tag));
    if (tags.length > 0) setOwn(imageStatuses, image, { tags });
    for (const status of tags) {
      if (status.phase === phase.succeeded) counts.succeeded += 1;
      else if (status.phase === phase.failed) counts.failed += 1;
      else if (status.phase === phase.pulling) counts.pulling += 1;
    }
  }
  return { ...nodeImage.status, ...counts, imageStatuses };
}

function isAbout({ image, task }: Late, name: string, tag: string): boolean {
  return image === name && task.tag === tag;
}

function failed(nodeImage: Readonly<NodeImage>, { image, task, message }: Late, nowMs: number): NodeImageTagStatus {
  const startTime = statusOf(nodeImage, image, task)?.startTime;
  const version = versionOf(task);
  return {
    tag: task.tag,
    phase: phase.failed,
    ...(startTime === undefined ? {} : { startTime }),
    completionTime: formatTime(nowMs),
    ...(version === 0 ? {} : { version }),
    message,
  };
}
