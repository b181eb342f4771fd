/** One batch of an update applied to a pod: the patches that do it, and the state that remembers it. Nothing is changed in place. */

import { annotation } from "../../api/names.ts";
import type { Settings } from "../../api/settings.ts";
import { sameImage } from "../../kube/image-ref.ts";
import { type Fields, fieldsOf, isFields, setOwn } from "../../kube/json.ts";
import { compareQuantityValues } from "../../kube/quantity.ts";
import { formatTime } from "../../kube/time.ts";
import type { Container, Pod } from "../../kube/types.ts";
import { nextBatch } from "./batch.ts";
import { updatePending } from "./completion.ts";
import {
  type ContainerChanges,
  hasChanges,
  type LastContainerStatus,
  type ResourceChange,
  type UpdateSpec,
  type UpdateState,
  writeState,
} from "./spec.ts";

export type UpdateSettings = Pick<Settings, "gates" | "resizeSubresource">;

export interface Applied {
  readonly batch: readonly string[];
  /** Metadata of the pod: the update's own patch, the values that containers read, the state annotation. */
  readonly metadata: Fields;
  /** Entries for spec.containers of the pod itself; empty when no image (and no resource, without the resize subresource) changes. */
  readonly containers: readonly Fields[];
  /** Entries for spec.containers at the resize subresource; empty when there is nothing to resize. */
  readonly resize: readonly Fields[];
}

export interface Progress {
  readonly revision: string;
  readonly updateTimestamp: string;
  readonly envFromMetadata: boolean;
  readonly updateResources: boolean;
  readonly updateImages: boolean;
  readonly lastContainerStatuses: UpdateState["lastContainerStatuses"];
  readonly batches: UpdateState["batches"];
}

/** @param progress what the update remembers so far; batches and container statuses are added to, never replaced */
export function applyBatch(
  pod: Readonly<Pod>,
  changes: ContainerChanges & Pick<UpdateSpec, "metadataPatch">,
  progress: Progress,
  { gates, resizeSubresource }: UpdateSettings,
  nowMs: number,
): Applied {
  const batch = nextBatch(pod.spec.containers, changes);
  const resizes = gates.enabled("InPlaceWorkloadVerticalScaling");
  const now = new Set(batch);
  const present = new Set(pod.spec.containers.map(({ name }) => name));
  const later = <V>(map: ReadonlyMap<string, V>): ReadonlyMap<string, V> =>
    new Map([...map].filter(([name]) => present.has(name) && !now.has(name)));
  const next: ContainerChanges = {
    images: later(changes.images),
    refMetadata: later(changes.refMetadata),
    resources: resizes ? later(changes.resources) : new Map(),
  };
  const images = pod.spec.containers.filter(({ name }) => now.has(name) && changes.images.has(name)).map(({ name }) => name);
  const state: UpdateState = {
    ...progress,
    lastContainerStatuses: new Map([...statusesOf(pod, images, changes, gates), ...progress.lastContainerStatuses]),
    next,
    requiredReady: hasChanges(next) ? batch : undefined,
    batches: [...progress.batches, { timestamp: formatTime(nowMs), containers: batch }],
  };
  const entries = pod.spec.containers.map((container) => {
    const resources = resizes && now.has(container.name) ? resourcesPatch(container, changes.resources.get(container.name)) : undefined;
    return { container, image: now.has(container.name) ? changes.images.get(container.name) : undefined, resources };
  });
  return {
    batch,
    metadata: metadataOf(changes, now, writeState(state)),
    containers: entries.flatMap(({ container: { name, image: current }, image, resources }) => {
      const changed = {
        ...(image !== undefined && image !== current ? { image } : {}),
        ...(resources !== undefined && !resizeSubresource ? { resources } : {}),
      };
      return Object.keys(changed).length > 0 ? [{ name, ...changed }] : [];
    }),
    resize: resizeSubresource
      ? entries.flatMap(({ container: { name }, resources }) => (resources === undefined ? [] : [{ name, resources }]))
      : [],
  };
}

/** What runs now in the containers whose image changes: their update is done when something else runs. */
function statusesOf(
  pod: Readonly<Pod>,
  names: readonly string[],
  { images }: Pick<ContainerChanges, "images">,
  gates: Settings["gates"],
): readonly (readonly [string, LastContainerStatus])[] {
  // While an earlier update is under way, its image may never have reached the node: then nothing has to restart for taking it back.
  const settled = updatePending(pod, gates) === undefined;
  return (pod.status?.containerStatuses ?? [])
    .filter(({ name }) => names.includes(name))
    .map(({ name, image, imageID, containerID }) => {
      const [before, after] = [pod.spec.containers.find((container) => container.name === name)?.image, images.get(name)];
      const mustRestart = settled && Boolean(containerID) && before !== after && sameImage(image, after ?? "");
      return [name, { imageID: imageID ?? "", ...(containerID ? { containerID } : {}), ...(mustRestart ? { mustRestart } : {}) }];
    });
}

/** The quantities that differ from the container's, undefined when none does. */
function resourcesPatch(container: Readonly<Container>, change: ResourceChange | undefined): Fields | undefined {
  if (change === undefined) return undefined;
  const differing = (wanted: ReadonlyMap<string, string>, current: Fields): Fields | undefined => {
    const entries = [...wanted].filter(
      ([name, quantity]) => !Object.hasOwn(current, name) || compareQuantityValues(current[name], quantity) !== 0,
    );
    return entries.length > 0 ? Object.fromEntries(entries) : undefined;
  };
  const limits = differing(change.limits, fieldsOf(container.resources?.limits));
  const requests = differing(change.requests, fieldsOf(container.resources?.requests));
  if (limits === undefined && requests === undefined) return undefined;
  return { ...(limits === undefined ? {} : { limits }), ...(requests === undefined ? {} : { requests }) };
}

function metadataOf(changes: ContainerChanges & Pick<UpdateSpec, "metadataPatch">, now: ReadonlySet<string>, state: string): Fields {
  const read = { labels: {} as Record<string, unknown>, annotations: {} as Record<string, unknown> };
  for (const [name, { labels, annotations }] of changes.refMetadata) {
    if (!now.has(name)) continue;
    for (const [key, value] of labels) setOwn(read.labels, key, value);
    for (const [key, value] of annotations) setOwn(read.annotations, key, value);
  }
  return mergeMetadata(fieldsOf(changes.metadataPatch?.["metadata"]), read, { annotations: { [annotation.inPlaceUpdateState]: state } });
}

/** Metadata patches one over the other: later labels and annotations win, a `null` removes one. */
export function mergeMetadata(...patches: readonly Fields[]): Fields {
  const merged: Record<string, unknown> = {};
  for (const patch of patches) {
    for (const [key, value] of Object.entries(patch)) {
      if (key !== "labels" && key !== "annotations") merged[key] = value;
      // A `null` for the whole map, from a manager of before, would take away everybody's entries.
      else if (isFields(value) && Object.keys(value).length > 0) merged[key] = { ...fieldsOf(merged[key]), ...value };
    }
  }
  return merged;
}
