/** Which jobs a change of a NodeImage or a pod concerns: only those of the image and tag that changed, however many there are. */
import type { ImagePullJob } from "../../../api/imagepulljob.ts";
import { type NodeImage, type NodeImageImage, nodeImages } from "../../../api/nodeimage.ts";
import { type Context, type Seen, type Watch, watch } from "../../../engine/controller.ts";
import type { Reader } from "../../../kube/access.ts";
import { deepEqual, isAbsent } from "../../../kube/json.ts";
import { type Key, keyOf } from "../../../kube/kind.ts";
import { pods, podsByNode } from "../../../kube/kinds.ts";
import { nodeNameOf } from "../../../kube/pod.ts";
import type { Pod } from "../../../kube/types.ts";
import { activeJobKey, activeJobs } from "../../../workload/images/jobs.ts";
import { imageOf, imagesOf, statusTagsOf, tagsOf } from "../../../workload/images/tasks.ts";
import { compiled } from "./select.ts";

export const watches: readonly Watch[] = [watch<NodeImage>(nodeImages, nodeImageWakes), watch<Pod>(pods, podWakes)];

type Jobs = readonly Readonly<ImagePullJob>[];

/** A job's own change, without what its own plan has said in its status. */
export function jobConcerns({ before, after }: Seen<ImagePullJob>): boolean {
  if (before === undefined || after === undefined) return true;
  const [a, b] = [before.metadata, after.metadata];
  return (
    a.uid !== b.uid ||
    a.generation !== b.generation ||
    a.deletionTimestamp !== b.deletionTimestamp ||
    !deepEqual(a.finalizers, b.finalizers) ||
    before.status?.completionTime !== after.status?.completionTime ||
    before.status?.startTime !== after.status?.startTime ||
    !deepEqual(before.spec, after.spec)
  );
}

export function nodeImageWakes({ before, after }: Seen<NodeImage>, { read }: Context): Iterable<Key> {
  const isLeaving = after?.metadata.deletionTimestamp !== undefined;
  if (before === undefined || after === undefined || isLeaving) {
    const node = after ?? before;
    return node === undefined ? [] : keys(read.find(activeJobs, activeJobKey.all), (job) => matches(read, job, node));
  }
  const woken = new Map<string, Key>();
  const wake = (jobs: Jobs, concerns: (job: Readonly<ImagePullJob>) => boolean) => {
    for (const key of keys(jobs, concerns)) woken.set(`${key.namespace}/${key.name}`, key);
  };
  if (!deepEqual(before.metadata.labels, after.metadata.labels))
    wake(read.find(activeJobs, activeJobKey.all), (job) => matches(read, job, before) !== matches(read, job, after));
  for (const value of changedTasks(before, after)) wake(read.find(activeJobs, value), (job) => matches(read, job, after));
  return woken.values();
}

/** Values of the index `activeJobs`: of an image as a whole where something common to its tags changed, else of single tags. */
function changedTasks(before: Readonly<NodeImage>, after: Readonly<NodeImage>): ReadonlySet<string> {
  const changed = new Set<string>();
  const names = new Set<string>([...imagesOf(before), ...imagesOf(after)].map(([name]) => name));
  for (const statuses of [before.status?.imageStatuses, after.status?.imageStatuses])
    for (const name of Object.keys(statuses ?? {})) names.add(name);
  for (const name of names) {
    const [was, is] = [imageOf(before, name), imageOf(after, name)];
    if (isWholeChange(was, is)) {
      changed.add(activeJobKey.image(name));
      continue;
    }
    for (const tag of differing(tagsOf(was), tagsOf(is))) changed.add(activeJobKey.tag(name, tag));
    for (const tag of differing(statusTagsOf(before, name), statusTagsOf(after, name))) changed.add(activeJobKey.tag(name, tag));
  }
  return changed;
}

function isWholeChange(was: Readonly<NodeImageImage> | undefined, is: Readonly<NodeImageImage> | undefined): boolean {
  if (was === undefined) return false;
  return is === undefined || !deepEqual(was.pullSecrets, is.pullSecrets) || !deepEqual(was.sandboxConfig, is.sandboxConfig);
}

/** Names of those that were added, removed or changed. Parts that did not change are mostly the same reference. */
function differing<T extends { readonly tag: string }>(before: readonly T[], after: readonly T[]): readonly string[] {
  if (before === after) return [];
  const old = new Map(before.map((each) => [each.tag, each]));
  const names = after.filter((each) => !deepEqual(old.get(each.tag), each)).map(({ tag }) => tag);
  const left = new Set(after.map(({ tag }) => tag));
  return [...names, ...before.map(({ tag }) => tag).filter((tag) => !left.has(tag))];
}

export function matches(read: Pick<Reader, "find">, { metadata, spec }: Readonly<ImagePullJob>, node: Readonly<NodeImage>): boolean {
  if (spec.podSelector) {
    const matcher = compiled(spec.podSelector);
    return read
      .find(podsByNode, node.metadata.name)
      .some((pod) => pod.metadata.namespace === metadata.namespace && matcher.matches(pod.metadata.labels));
  }
  if (isAbsent(spec.selector)) return true;
  if (!isAbsent(spec.selector?.names)) return spec.selector?.names?.includes(node.metadata.name) ?? false;
  return compiled(spec.selector).matches(node.metadata.labels);
}

/** A pod counts from the moment it is on a node; what it does there changes nothing. */
export function podWakes({ before, after }: Seen<Pod>, { read }: Context): Iterable<Key> {
  const pod = after ?? before;
  const namespace = pod?.metadata.namespace ?? "";
  if (pod === undefined || nodeNameOf(pod) === undefined) return [];
  const jobs = read.find(activeJobs, activeJobKey.withPodSelector(namespace));
  if (jobs.length === 0) return [];
  const isIn = (job: Readonly<ImagePullJob>, of: Readonly<Pod>) => compiled(job.spec.podSelector).matches(of.metadata.labels);
  if (before === undefined || after === undefined || after.metadata.deletionTimestamp !== undefined || phaseOf(before) !== phaseOf(after))
    return keys(jobs, (job) => isIn(job, pod));
  if (nodeNameOf(before) !== nodeNameOf(after)) return keys(jobs, (job) => isIn(job, after));
  if (before.metadata.labels === after.metadata.labels) return [];
  return keys(jobs, (job) => isIn(job, before) !== isIn(job, after));
}

function phaseOf({ status }: Readonly<Pod>): string | undefined {
  return status?.phase;
}

function keys(jobs: Jobs, concerns: (job: Readonly<ImagePullJob>) => boolean): readonly Key[] {
  return jobs.filter(concerns).map(keyOf);
}
