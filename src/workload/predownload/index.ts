/**
 * Image pre-download: before a workload updates its pods in place, the new images are pulled on their nodes.
 *
 * A workload decides whether its update is worth it (`planPreDownload` with what it knows), once for each revision: a label on the revision
 * says that it was decided, and how. The jobs exclude pods that are updated already, follow the workload's update order (ImagePullJob does
 * that by itself), and go when the update is over.
 */
import { type ImagePullJob, type ImagePullJobSpec, imagePullJobs } from "../../api/imagepulljob.ts";
import { label } from "../../api/names.ts";
import { type Action, change, create, remove } from "../../engine/plan.ts";
import { apiVersion, type Kind, refOf } from "../../kube/kind.ts";
import { controllerRevisions } from "../../kube/kinds.ts";
import type { ControllerRevision, LabelSelector, ObjectMeta, PodTemplateSpec } from "../../kube/types.ts";

export const preDownloadLimits = {
  /** Pods; fewer are updated sooner than their images are pulled. */
  replicasMin: 4,
  backoffLimit: 1,
  timeoutSecondsDefault: 300,
  parallelismDefault: 1,
  ttlSecondsAfterFinished: 600,
} as const;

export interface PreDownloadRequest {
  readonly owner: { readonly of: Kind; readonly metadata: Pick<ObjectMeta, "name" | "namespace" | "uid"> };
  /** The revision that pods are moved to, as it is on the server. */
  readonly update: Readonly<ControllerRevision>;
  /** Of the revisions that pods run now: an image counts as new where any of them has another. */
  readonly before: readonly PodTemplateSpec[];
  readonly after: PodTemplateSpec;
  readonly selector: LabelSelector;
  /** The hash of the revision, as pods may carry it instead of its name. */
  readonly hash: string;
  /** Nodes at a time. */
  readonly parallelism?: number;
  readonly timeoutSeconds?: number;
  /** Why this update is not worth it; undefined: it is. */
  readonly whyNot: string | undefined;
}

/** Whether the revision's time to be decided on is over. */
export function isDecided({ metadata }: Readonly<ControllerRevision>): boolean {
  const labels = metadata.labels ?? {};
  return Object.hasOwn(labels, label.preDownloadCreated) || Object.hasOwn(labels, label.preDownloadIgnored);
}

/** The jobs, and the mark on the revision; or the mark alone. Nothing for a revision that is marked. */
export function planPreDownload(request: PreDownloadRequest): readonly Action[] {
  if (isDecided(request.update)) return [];
  if (request.whyNot !== undefined) return [mark(request.update, label.preDownloadIgnored)];
  const jobs = newImages(request).map(([container, image]) => jobAction(request, container, image));
  // Marked whatever comes of the jobs: it is an offer, and is not made twice.
  return [...jobs, mark(request.update, label.preDownloadCreated)];
}

/** When every pod is updated nobody waits for the images any more. */
export function endPreDownload(jobs: readonly Readonly<ImagePullJob>[]): readonly Action[] {
  return jobs
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map((job) => remove<ImagePullJob>({ id: `predownload-end/${job.metadata.name}`, on: refOf(imagePullJobs, job as ImagePullJob) }));
}

/** Container and image, in the order of the containers; init containers run only in new pods. */
export function newImages({ before, after }: Pick<PreDownloadRequest, "before" | "after">): readonly (readonly [string, string])[] {
  return after.spec.containers.flatMap(({ name, image }) => {
    const isNew = before.some((template) => template.spec.containers.find((container) => container.name === name)?.image !== image);
    return image !== undefined && isNew ? [[name, image] as const] : [];
  });
}

function mark(revision: Readonly<ControllerRevision>, name: string): Action {
  return change<ControllerRevision>({
    id: "predownload-mark",
    on: refOf(controllerRevisions, revision as ControllerRevision),
    steps: [
      {
        name: "predownload-mark",
        precondition: "uid",
        onConflict: "giveUp",
        write: (fresh) => (isDecided(fresh) ? undefined : { patch: "merge", body: { metadata: { labels: { [name]: "true" } } } }),
      },
    ],
  });
}

function jobAction(request: PreDownloadRequest, container: string, image: string): Action {
  const { owner, update, after, selector, hash } = request;
  const { namespace, name, uid } = owner.metadata;
  const labels = { ...after.metadata?.labels, [label.controllerHash]: hash };
  const { annotations } = after.metadata ?? {};
  const pullSecrets = (after.spec.imagePullSecrets ?? []).flatMap((secret) => secret.name ?? []);
  const { backoffLimit, parallelismDefault, timeoutSecondsDefault, ttlSecondsAfterFinished } = preDownloadLimits;
  const spec: ImagePullJobSpec = {
    image,
    podSelector: {
      ...selector,
      matchExpressions: [
        ...(selector.matchExpressions ?? []),
        { key: label.controllerRevisionHash, operator: "NotIn", values: [...new Set([update.metadata.name, hash])] },
      ],
    },
    parallelism: request.parallelism ?? parallelismDefault,
    pullPolicy: { backoffLimit, timeoutSeconds: request.timeoutSeconds ?? timeoutSecondsDefault },
    completionPolicy: { type: "Always", ttlSecondsAfterFinished },
    ...(pullSecrets.length > 0 ? { pullSecrets } : {}),
    sandboxConfig: { labels, ...(annotations === undefined ? {} : { annotations: { ...annotations } }) },
  };
  return create<ImagePullJob>({
    id: `predownload/${container}`,
    of: imagePullJobs,
    object: {
      apiVersion: apiVersion(imagePullJobs),
      kind: imagePullJobs.kind,
      metadata: {
        name: `${update.metadata.name}-${container}`,
        namespace,
        labels,
        ownerReferences: [{ apiVersion: apiVersion(owner.of), kind: owner.of.kind, name, uid, controller: true, blockOwnerDeletion: true }],
      },
      spec,
    },
    existsIsFine: true,
    tell: {
      done: { reason: "CreatedImagePullJob", text: "created ImagePullJob" },
      failed: { reason: "FailedCreateImagePullJob", text: "failed to create ImagePullJob", type: "Normal" },
    },
  });
}
