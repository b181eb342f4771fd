/** Which tasks of a NodeImage have had their time, and which secrets are gone. */
import { imagePullJobs } from "../../../api/imagepulljob.ts";
import type { NodeImage, NodeImageImage, NodeImagePullSecret, NodeImageTag } from "../../../api/nodeimage.ts";
import type { ObjectReference } from "../../../api/schema/common.ts";
import { compareUtf8, withFields } from "../../../kube/json.ts";
import { isOfKind } from "../../../kube/kind.ts";
import { parseTime } from "../../../kube/time.ts";
import { imagesOf, isOver, statusOf, tagsOf } from "../../../workload/images/tasks.ts";

export interface CleanFacts {
  /** Whether this ImagePullJob (namespace, name, UID) is known to be gone. Whoever is not sure says no. */
  isJobGone(owner: Readonly<ObjectReference>): boolean;
  isSecretGone(secret: Readonly<NodeImagePullSecret>): boolean;
}

export interface Cleaned {
  /** What becomes of the images that change: their new entry, or null where nothing is left. Empty: nothing changes. */
  readonly changes: Readonly<Record<string, NodeImageImage | null>>;
  /** ms until the next task expires. */
  readonly waitMs?: number;
}

export function clean(nodeImage: Readonly<NodeImage>, facts: CleanFacts, nowMs: number): Cleaned {
  const changes: Record<string, NodeImageImage | null> = {};
  let waitMs: number | undefined;
  for (const [name, image] of imagesOf(nodeImage)) {
    const tags: NodeImageTag[] = [];
    for (const task of tagsOf(image)) {
      const owned = task.createdAt ? withoutGone(task, facts) : undefined;
      if (owned === undefined) continue;
      const leftMs = timeLeft(nodeImage, name, owned, nowMs);
      if (leftMs !== undefined && leftMs <= 0) continue;
      if (leftMs !== undefined) waitMs = Math.min(waitMs ?? leftMs, leftMs);
      tags.push(owned);
    }
    const next = entryOf(image, tags, facts);
    if (next !== image) changes[name] = next;
  }
  return { changes, waitMs };
}

function entryOf(image: Readonly<NodeImageImage>, tags: readonly NodeImageTag[], facts: CleanFacts): NodeImageImage | null {
  if (tags.length === 0) return null;
  const before = tagsOf(image);
  const isSame = tags.length === before.length && tags.every((task, index) => task === before[index]);
  const secrets = image.pullSecrets ?? [];
  // Shared copies live as long as the image does.
  const kept = secrets.filter((secret) => secret.mode === "batch" || !facts.isSecretGone(secret));
  if (isSame && kept.length === secrets.length) return image as NodeImageImage;
  return withFields(image as NodeImageImage, {
    tags: isSame ? image.tags : [...tags].sort((a, b) => compareUtf8(a.tag, b.tag)),
    pullSecrets: kept.length > 0 ? kept : undefined,
  });
}

/** The task without owners that are gone; undefined when none is left of those it had. A task that never had any is somebody's own. */
function withoutGone(task: Readonly<NodeImageTag>, facts: CleanFacts): NodeImageTag | undefined {
  const owners = task.ownerReferences ?? [];
  const kept = owners.filter((owner) => !isOfKind(owner, imagePullJobs) || !facts.isJobGone(owner));
  if (kept.length === owners.length) return task as NodeImageTag;
  return kept.length === 0 ? undefined : withFields(task as NodeImageTag, { ownerReferences: kept });
}

function timeLeft(nodeImage: Readonly<NodeImage>, name: string, task: Readonly<NodeImageTag>, nowMs: number): number | undefined {
  const ttlSeconds = task.pullPolicy?.ttlSecondsAfterFinished;
  const status = statusOf(nodeImage, name, task);
  if (ttlSeconds === undefined || !isOver(status)) return undefined;
  const completedMs = parseTime(status?.completionTime);
  if (completedMs === undefined) return undefined;
  // A job's task cannot end before it was made: the node's clock is behind, and would make the job begin it again and again.
  const isOfJob = task.ownerReferences?.some((owner) => isOfKind(owner, imagePullJobs)) ?? false;
  const endedMs = isOfJob ? Math.max(completedMs, parseTime(task.createdAt) ?? completedMs) : completedMs;
  return ttlSeconds * 1000 - (nowMs - endedMs);
}

/** Owners that are ImagePullJobs, each once. */
export function jobOwners(nodeImage: Readonly<NodeImage>): readonly Readonly<ObjectReference>[] {
  const owners = new Map<string, Readonly<ObjectReference>>();
  for (const [, image] of imagesOf(nodeImage))
    for (const task of tagsOf(image))
      for (const owner of task.ownerReferences ?? [])
        if (isOfKind(owner, imagePullJobs)) owners.set(`${owner.namespace}/${owner.name}/${owner.uid}`, owner);
  return [...owners.values()];
}

/** Secrets that nobody's copy policy looks after, each once. */
export function looseSecrets(nodeImage: Readonly<NodeImage>): readonly Readonly<NodeImagePullSecret>[] {
  const secrets = new Map<string, Readonly<NodeImagePullSecret>>();
  for (const [, image] of imagesOf(nodeImage))
    for (const secret of image.pullSecrets ?? []) if (secret.mode !== "batch") secrets.set(`${secret.namespace}/${secret.name}`, secret);
  return [...secrets.values()];
}
