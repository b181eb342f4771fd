/** One round of an ImageListPullJob: one ImagePullJob for each image, made anew when the template changes. */
import {
  type FailedImageStatus,
  type ImageListPullJob,
  type ImageListPullJobStatus,
  imageListPullJobs,
} from "../../../api/imagelistpulljob.ts";
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { label } from "../../../api/names.ts";
import type { Context } from "../../../engine/controller.ts";
import { type Action, change, create, type Plan, type Reason, remove } from "../../../engine/plan.ts";
import { type Key, type Kind, refOf } from "../../../kube/kind.ts";
import { formatTime, parseTime } from "../../../kube/time.ts";
import type { KubeObject } from "../../../kube/types.ts";
import { jobsByController } from "../../../workload/images/jobs.ts";
import { childName, childOf, consistencyOf, templateHash, templateOf } from "./children.ts";

export interface Observed {
  readonly list: Readonly<ImageListPullJob>;
  /** The ImagePullJobs it controls, those on their way out too. */
  readonly children: readonly Readonly<ImagePullJob>[];
}

export function observe({ read }: Context, key: Key): Observed | undefined {
  const list = read.get(imageListPullJobs, key);
  if (list?.spec === undefined) return undefined;
  const children = read.find(jobsByController, list.metadata.uid).filter(({ metadata }) => metadata.namespace === list.metadata.namespace);
  return { list, children };
}

export function plan({ list, children }: Observed, nowMs: number): Plan<ImageListPullJobStatus> {
  if (list.metadata.deletionTimestamp !== undefined) return { actions: [] };
  if (list.status?.completionTime) return planCompleted(list, nowMs);
  const template = templateOf(list);
  const hash = templateHash(template);
  const alive = children.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const taken = new Set(children.map(({ metadata }) => metadata.name));
  const kept = new Map<string, Readonly<ImagePullJob>>();
  const actions: Action[] = [];
  const relabelSelf = labelAction(imageListPullJobs, "label", list, hash);
  if (relabelSelf !== undefined) actions.push(relabelSelf);
  const wanted = new Set(list.spec.images ?? []);
  const surplus: Readonly<ImagePullJob>[] = [];
  for (const child of [...alive].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const { image } = child.spec;
    const consistency = wanted.has(image) && !kept.has(image) ? consistencyOf(child, template, hash) : "other";
    if (consistency === "other") surplus.push(child);
    else kept.set(image, child);
    const relabel = consistency === "relabel" ? labelAction(imagePullJobs, `label/${child.metadata.name}`, child, hash) : undefined;
    if (relabel !== undefined) actions.push(relabel);
  }
  const missing = [...wanted].filter((image) => !kept.has(image));
  actions.push(...missing.map((image) => createChild(childOf(list, image, template, hash, childName(list, image, hash, taken)))));
  actions.push(...surplus.map(deleteChild));
  const isSettled = missing.length === 0 && surplus.length === 0;
  const status = statusOf(list, kept, isSettled, nowMs);
  return { actions, status: () => status, reasons: reasonsOf(kept) };
}

function planCompleted(list: Readonly<ImageListPullJob>, nowMs: number): Plan<ImageListPullJobStatus> {
  const ttlSeconds = list.spec.completionPolicy?.ttlSecondsAfterFinished;
  const completedMs = parseTime(list.status?.completionTime);
  if (ttlSeconds === undefined || completedMs === undefined) return { actions: [] };
  const leftMs = ttlSeconds * 1000 - (nowMs - completedMs);
  if (leftMs > 0) return { actions: [], requeueAfterMs: leftMs };
  return { actions: [remove<ImageListPullJob>({ id: "delete", on: refOf(imageListPullJobs, list as ImageListPullJob) })] };
}

function labelAction<T extends KubeObject>(of: Kind<T>, id: string, object: Readonly<T>, hash: string): Action | undefined {
  const isLabelled = (each: Readonly<KubeObject>) => each.metadata.labels?.[label.controllerRevisionHash] === hash;
  if (isLabelled(object)) return undefined;
  return change<T>({
    id,
    on: refOf(of, object as T),
    steps: [
      {
        name: "label",
        precondition: "uid",
        onConflict: "retry",
        write: (fresh) =>
          isLabelled(fresh) ? undefined : { patch: "merge", body: { metadata: { labels: { [label.controllerRevisionHash]: hash } } } },
      },
    ],
  });
}

// The reasons of these Events contain spaces: that is how they are known.
function createChild(object: ReturnType<typeof childOf>): Action {
  return create<ImagePullJob>({
    id: `create/${object.spec.image}`,
    of: imagePullJobs,
    object,
    existsIsFine: true,
    tell: {
      done: { reason: "Successful create ImagePullJob", text: "created ImagePullJob", counted: true },
      failed: { reason: "Failed create ImagePullJob", text: "failed to create ImagePullJob" },
    },
  });
}

function deleteChild(child: Readonly<ImagePullJob>): Action {
  return remove<ImagePullJob>({
    id: `delete/${child.metadata.name}`,
    on: refOf(imagePullJobs, child as ImagePullJob),
    tell: {
      done: { reason: "Successful delete ImagePullJob", text: "deleted ImagePullJob", counted: true },
      failed: { reason: "Failed delete ImagePullJob", text: "failed to delete ImagePullJob" },
    },
  });
}

/** A child counts once it has begun. */
function statusOf(
  list: Readonly<ImageListPullJob>,
  children: ReadonlyMap<string, Readonly<ImagePullJob>>,
  isSettled: boolean,
  nowMs: number,
): ImageListPullJobStatus {
  const counts = { active: 0, completed: 0, succeeded: 0 };
  const failedImageStatuses: FailedImageStatus[] = [];
  const images = [...new Set(list.spec.images ?? [])];
  for (const image of images) {
    const child = children.get(image);
    const status = child?.status;
    if (child === undefined || status?.startTime === undefined) continue;
    const { desired, active = 0, succeeded = 0, failed = 0 } = status;
    if (active > 0) counts.active += 1;
    if (desired === succeeded + failed) counts.completed += 1;
    if (desired === succeeded) counts.succeeded += 1;
    if (failed > 0) failedImageStatuses.push(failureOf(child, image, failed));
  }
  const desired = images.length;
  const isDone = isSettled && list.spec.completionPolicy?.type !== "Never" && counts.completed === desired;
  return {
    startTime: list.status?.startTime ?? formatTime(nowMs),
    desired,
    ...counts,
    ...(failedImageStatuses.length > 0 ? { failedImageStatuses } : {}),
    ...(isDone ? { completionTime: formatTime(nowMs) } : {}),
  };
}

function failureOf({ metadata, status }: Readonly<ImagePullJob>, image: string, failed: number): FailedImageStatus {
  const { namespace, name } = metadata;
  const message = `${failed} of ${status?.desired ?? 0} nodes could not pull it: kubectl get imagepulljob ${name} -n ${namespace} -o yaml names them`;
  return { imagePullJob: name, name: image, message };
}

function reasonsOf(children: ReadonlyMap<string, Readonly<ImagePullJob>>): readonly Reason[] {
  return [...children.values()]
    .filter(({ status }) => status?.completionTime === undefined)
    .map(({ metadata, status }) => ({ on: metadata.name, code: "WaitingForJob", figures: { message: status?.message ?? "not started" } }));
}
