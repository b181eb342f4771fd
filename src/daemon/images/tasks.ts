/** What this node's NodeImage asks for, and when a task is another one. */
import type { NodeImage, NodeImageImage, NodeImageTag, NodeImageTagPullPolicy } from "../../api/nodeimage.ts";
import { imagesOf, tagsOf, versionOf } from "../../workload/images/tasks.ts";

export interface Task {
  /** One worker at a time for each. */
  readonly key: string;
  readonly image: string;
  readonly tag: string;
  readonly version: number;
  readonly entry: Readonly<NodeImageImage>;
  readonly spec: Readonly<NodeImageTag>;
  /** Of the NodeImage. Together with the version and the time of creation it tells this very round of the task from all others. */
  readonly nodeImageUid: string;
}

export function tasksOf(nodeImage: Readonly<NodeImage>): readonly Task[] {
  return imagesOf(nodeImage).flatMap(([image, entry]) =>
    tagsOf(entry).map((spec) => ({
      key: taskKey(image, spec.tag),
      image,
      tag: spec.tag,
      version: versionOf(spec),
      entry,
      spec,
      nodeImageUid: nodeImage.metadata.uid,
    })),
  );
}

export function taskKey(image: string, tag: string): string {
  return `${image}\n${tag}`;
}

export function isSameRound(a: Task, b: Task): boolean {
  return roundOf(a) === roundOf(b);
}

/** What the record knows a round by. */
export function roundOf({ nodeImageUid, image, tag, version, spec }: Task): string {
  return `${nodeImageUid} ${image} ${tag} ${version} ${spec.createdAt ?? ""}`;
}

export interface Terms {
  /** ms of one attempt. */
  readonly timeoutMs: number;
  /** Attempts in all. */
  readonly attemptsMax: number;
  /** ms from the first attempt to the end of the last; undefined: none. */
  readonly deadlineMs: number | undefined;
}

const timeoutSecondsDefault = 600;
const backoffLimitDefault = 3;

export function termsOf({ timeoutSeconds, backoffLimit, activeDeadlineSeconds }: NodeImageTagPullPolicy = {}): Terms {
  const retries = backoffLimit === undefined || backoffLimit < 0 ? backoffLimitDefault : backoffLimit;
  return {
    timeoutMs: (timeoutSeconds === undefined || timeoutSeconds <= 0 ? timeoutSecondsDefault : timeoutSeconds) * 1000,
    attemptsMax: retries + 1,
    deadlineMs: activeDeadlineSeconds === undefined ? undefined : activeDeadlineSeconds * 1000,
  };
}

const pauseMsFirst = 1_000;
const pauseMsMax = 30_000;

/** ms after so many failed attempts: 1 s, 2 s, 4 s, 8 s, 16 s, 30 s, 30 s … */
export function pauseMs(failedAttempts: number): number {
  return Math.min(pauseMsFirst * 2 ** Math.min(failedAttempts - 1, 10), pauseMsMax);
}
