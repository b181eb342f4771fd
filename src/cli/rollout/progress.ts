/** How far an object is with what was asked of it: a line for people, and whether it is over. One small judgement for each kind. */
import type { CloneSet } from "../../api/cloneset.ts";
import type { ContainerRecreateRequest } from "../../api/containerrecreaterequest.ts";
import type { ImageListPullJob } from "../../api/imagelistpulljob.ts";
import type { ImagePullJob } from "../../api/imagepulljob.ts";
import type { SidecarSet } from "../../api/sidecarset.ts";
import { fieldsOf } from "../../kube/json.ts";
import type { Kind } from "../../kube/kind.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, shapeOf } from "../shapes.ts";

export type Progress =
  | { readonly is: "under way" | "done"; readonly line: string }
  /** It will not get there by itself. */
  | { readonly is: "failed"; readonly line: string };

type Viewer = (object: never, of: Kind) => Progress;
const viewers: Readonly<Record<string, Viewer>> = {
  CloneSet: cloneSetProgress,
  SidecarSet: sidecarSetProgress,
  ContainerRecreateRequest: recreateProgress,
  ImagePullJob: pullProgress,
  ImageListPullJob: listProgress,
};

/** @returns undefined for kinds that nothing is known about */
export function progressOf(of: Kind, object: Readonly<KubeObject>): Progress | undefined {
  return of.group === "apps.kruise.io" && Object.hasOwn(viewers, of.kind) ? viewers[of.kind]?.(object as never, of) : undefined;
}

const underWay = (line: string): Progress => ({ is: "under way", line });
const done = (line: string): Progress => ({ is: "done", line });
const failed = (line: string): Progress => ({ is: "failed", line });

function isObserved({ metadata }: KubeObject, observedGeneration: number | undefined): boolean {
  return metadata.generation === undefined || (observedGeneration ?? 0) >= metadata.generation;
}

/** In this order: seen, updated, available, complete. */
export function cloneSetProgress(set: CloneSet, of: Kind): Progress {
  const { metadata, spec, status } = set;
  if (status === undefined || !isObserved(set, status.observedGeneration))
    return underWay("Waiting for CloneSet spec update to be observed...");
  const replicas = spec.replicas ?? 1;
  const expected = status.expectedUpdatedReplicas ?? replicas;
  const { updatedReplicas = 0, updatedAvailableReplicas = 0 } = status;
  const stuck = status.conditions?.find(({ type, reason }) => type === "Progressing" && reason === "ProgressDeadlineExceeded");
  if (stuck !== undefined) return failed(`error: cloneset "${metadata.name}" exceeded its progress deadline`);
  const isComplete = updatedReplicas >= expected && updatedAvailableReplicas >= expected && status.replicas === replicas;
  if (!isComplete && at(set, shapeOf(of)?.paused ?? []) === true) return underWay(`cloneset "${metadata.name}" is paused`);
  if (updatedReplicas < expected)
    return underWay(`Waiting for partitioned roll out to finish: ${updatedReplicas} out of ${expected} new pods have been updated...`);
  if (!isComplete)
    return underWay(
      `Waiting for ${Math.max(expected - updatedAvailableReplicas, Math.abs(replicas - status.replicas))} pods to be ready...`,
    );
  if (expected < replicas) return done(`partitioned roll out complete: ${updatedReplicas} new pods have been updated...`);
  return done(`CloneSet rolling update complete ${status.availableReplicas} pods at revision ${status.updateRevision}...`);
}

function sidecarSetProgress(set: SidecarSet): Progress {
  const { metadata, spec, status } = set;
  if (status === undefined || !isObserved(set, status.observedGeneration))
    return underWay("Waiting for SidecarSet spec update to be observed...");
  const { matchedPods = 0, updatedPods = 0, updatedReadyPods = 0 } = status;
  if (spec.updateStrategy?.type === "NotUpdate")
    return done(`SidecarSet does not update its pods: ${updatedPods} of ${matchedPods} pods are up to date...`);
  const expected = Math.max(0, matchedPods - keptOf(fieldsOf(spec.updateStrategy)["partition"], matchedPods));
  if (updatedPods < expected && spec.updateStrategy?.paused === true) return underWay(`sidecarset "${metadata.name}" is paused`);
  if (updatedPods < expected)
    return underWay(`Waiting for partitioned roll out to finish: ${updatedPods} out of ${expected} pods have been updated...`);
  if (updatedReadyPods < expected) return underWay(`Waiting for ${expected - updatedReadyPods} pods to be ready...`);
  if (expected < matchedPods) return done(`partitioned roll out complete: ${updatedPods} pods have been updated...`);
  return done(`SidecarSet rolling update complete ${updatedReadyPods} pods at revision ${status.latestRevision ?? ""}...`);
}

/** A count, or a share rounded up; a selector keeps what it does not match, which is not known here. */
function keptOf(partition: unknown, total: number): number {
  if (typeof partition === "number") return partition;
  const share = typeof partition === "string" ? /^(\d+)%$/.exec(partition)?.[1] : undefined;
  return share === undefined ? 0 : Math.ceil((Number(share) * total) / 100);
}

function recreateProgress({ metadata, spec, status }: ContainerRecreateRequest): Progress {
  const states = spec.containers.map(
    ({ name }) => status?.containerRecreateStates?.find((state) => state.name === name) ?? { name, phase: "Pending" as const },
  );
  const words = states.map(({ name, phase }) => `${name} ${phase}`).join(", ");
  if (status?.phase !== "Completed") return underWay(`Waiting for ContainerRecreateRequest ${metadata.name}: ${words}...`);
  if (states.every(({ phase }) => phase === "Succeeded")) return done(`ContainerRecreateRequest ${metadata.name} complete: ${words}`);
  return failed(
    `error: ContainerRecreateRequest ${metadata.name} ended without success: ${words}${status.message ? `: ${status.message}` : ""}`,
  );
}

function pullProgress({ metadata, status }: ImagePullJob): Progress {
  if (status?.completionTime === undefined)
    return underWay(`Waiting for ImagePullJob ${metadata.name}: ${status?.message ?? "not begun"}...`);
  const { desired, succeeded = 0, failed: lost = 0, failedNodes = [] } = status;
  if (lost > 0) return failed(`error: ImagePullJob ${metadata.name}: ${lost} of ${desired} nodes failed: ${failedNodes.join(", ")}`);
  return done(`ImagePullJob ${metadata.name} complete: ${succeeded} of ${desired} nodes have the image`);
}

function listProgress({ metadata, status }: ImageListPullJob): Progress {
  const { desired = 0, completed = 0, succeeded = 0, failedImageStatuses = [], completionTime } = status ?? {};
  if (completionTime === undefined)
    return underWay(`Waiting for ImageListPullJob ${metadata.name}: ${completed} of ${desired} images are complete...`);
  if (failedImageStatuses.length > 0)
    return failed(`error: ImageListPullJob ${metadata.name}: failed images: ${failedImageStatuses.map(({ name }) => name).join(", ")}`);
  return done(`ImageListPullJob ${metadata.name} complete: ${succeeded} of ${desired} images are everywhere`);
}
