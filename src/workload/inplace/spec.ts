/**
 * What an in-place update changes (`UpdateSpec`, waiting in the grace annotation) and how far it has come (`UpdateState`, in the state
 * annotation): types, reading, and writing byte for byte as OpenKruise 1.9 does, so that either may take over from the other.
 */
import { annotation } from "../../api/names.ts";
import { encodeRaw, quote } from "../../kube/canonical/encode.ts";
import { compareUtf8, type Fields, fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import type { Pod } from "../../kube/types.ts";

type TextMap = ReadonlyMap<string, string>;

/** Label and annotation values that a container reads through its environment. */
export interface RefMetadata {
  readonly labels: TextMap;
  readonly annotations: TextMap;
}

/** Only the changed resources; values are quantities. */
export interface ResourceChange {
  readonly limits: TextMap;
  readonly requests: TextMap;
}

/** Changes by container name. */
export interface ContainerChanges {
  readonly images: TextMap;
  readonly refMetadata: ReadonlyMap<string, RefMetadata>;
  readonly resources: ReadonlyMap<string, ResourceChange>;
}

export interface UpdateSpec extends ContainerChanges {
  /** What the pod's revision label will say. */
  readonly revision: string;
  /** A strategic merge patch of the pod's metadata, `{"metadata":{…}}`; absent when no metadata changes. */
  readonly metadataPatch?: Fields;
  readonly envFromMetadata: boolean;
  readonly graceSeconds: number;
}

export interface LastContainerStatus {
  readonly imageID: string;
  /** Not known to OpenKruise 1.9, which passes over it. */
  readonly containerID?: string;
  /**
   * What the node reports of the image is true already: only another container says that it has been changed. Not known to OpenKruise
   * 1.9 either.
   */
  readonly mustRestart?: boolean;
}

export interface UpdateState {
  readonly revision: string;
  /** RFC 3339. */
  readonly updateTimestamp: string;
  readonly lastContainerStatuses: ReadonlyMap<string, LastContainerStatus>;
  readonly envFromMetadata: boolean;
  readonly updateResources: boolean;
  readonly updateImages: boolean;
  /** What waits for a later batch. */
  readonly next: ContainerChanges;
  /** Containers that must be ready before `next` may start. */
  readonly requiredReady?: readonly string[];
  readonly batches: readonly { readonly timestamp: string; readonly containers: readonly string[] }[];
}

export const noChanges: ContainerChanges = { images: new Map(), refMetadata: new Map(), resources: new Map() };

export function hasChanges({ images, refMetadata, resources }: ContainerChanges): boolean {
  return images.size > 0 || refMetadata.size > 0 || resources.size > 0;
}

/** The annotation under its present name, else under the one of old releases; undefined when there is neither. */
export function stateText(pod: Readonly<Pod>): string | undefined {
  const annotations = pod.metadata.annotations;
  return annotations?.[annotation.inPlaceUpdateState] ?? annotations?.[annotation.inPlaceUpdateStateLegacy];
}

export function graceText(pod: Readonly<Pod>): string | undefined {
  const annotations = pod.metadata.annotations;
  return annotations?.[annotation.inPlaceUpdateGrace] ?? annotations?.[annotation.inPlaceUpdateGraceLegacy];
}

// ---- writing

const objectText = (...entries: readonly (string | false)[]): string => `{${entries.filter(Boolean).join(",")}}`;
const field = (name: string, text: string): string => `"${name}":${text}`;

function mapText<V>(map: ReadonlyMap<string, V>, write: (value: V) => string): string {
  const keys = [...map.keys()].sort(compareUtf8);
  return `{${keys.map((key) => `${quote(key)}:${write(map.get(key) as V)}`).join(",")}}`;
}
const textMap = (name: string, map: TextMap): string | false => map.size > 0 && field(name, mapText(map, quote));

function refMetadataText({ labels, annotations }: RefMetadata): string {
  return objectText(field("creationTimestamp", "null"), textMap("labels", labels), textMap("annotations", annotations));
}

function resourcesText({ limits, requests }: ResourceChange): string {
  return objectText(textMap("limits", limits), textMap("requests", requests));
}

/** The value of the grace annotation. */
export function writeSpec(spec: UpdateSpec): string {
  const patch = spec.metadataPatch === undefined ? "" : Buffer.from(encodeRaw(spec.metadataPatch)).toString("base64");
  return objectText(
    field("revision", quote(spec.revision)),
    textMap("containerImages", spec.images),
    spec.refMetadata.size > 0 && field("containerRefMetadata", mapText(spec.refMetadata, refMetadataText)),
    spec.resources.size > 0 && field("containerResources", mapText(spec.resources, resourcesText)),
    patch !== "" && field("metaDataPatch", quote(patch)),
    spec.envFromMetadata && field("updateEnvFromMetadata", "true"),
    spec.graceSeconds !== 0 && field("graceSeconds", String(spec.graceSeconds)),
  );
}

function lastStatusText({ imageID, containerID, mustRestart }: LastContainerStatus): string {
  return objectText(
    imageID !== "" && field("imageID", quote(imageID)),
    containerID !== undefined && containerID !== "" && field("containerID", quote(containerID)),
    mustRestart === true && field("mustRestart", "true"),
  );
}

/** The value of the state annotation. */
export function writeState(state: UpdateState): string {
  const { next } = state;
  const names = (list: readonly string[]): string => `[${list.map(quote).join(",")}]`;
  const batches = state.batches.map(({ timestamp, containers }) => `{"timestamp":${quote(timestamp)},"containers":${names(containers)}}`);
  return objectText(
    field("revision", quote(state.revision)),
    field("updateTimestamp", quote(state.updateTimestamp)),
    field("lastContainerStatuses", state.lastContainerStatuses.size > 0 ? mapText(state.lastContainerStatuses, lastStatusText) : "null"),
    state.envFromMetadata && field("updateEnvFromMetadata", "true"),
    state.updateResources && field("updateResources", "true"),
    state.updateImages && field("updateImages", "true"),
    textMap("nextContainerImages", next.images),
    next.refMetadata.size > 0 && field("nextContainerRefMetadata", mapText(next.refMetadata, refMetadataText)),
    next.resources.size > 0 && field("nextContainerResources", mapText(next.resources, resourcesText)),
    state.requiredReady !== undefined && field("preCheckBeforeNext", `{"containersRequiredReady":${names(state.requiredReady)}}`),
    batches.length > 0 && field("containerBatchesRecord", `[${batches.join(",")}]`),
  );
}

// ---- reading: missing and unknown keys are fine, anything that is not an object is not.

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readMap<V>(value: unknown, read: (value: unknown) => V): ReadonlyMap<string, V> {
  return new Map(Object.entries(fieldsOf(value)).map(([key, entry]) => [key, read(entry)]));
}

/** A quantity may stand there as a number. */
const readText = (value: unknown): string => (typeof value === "number" ? String(value) : textOf(value));
const readTexts = (value: unknown): TextMap => readMap(value, readText);
const readRefMetadata = (value: unknown): RefMetadata => ({
  labels: readTexts(fieldsOf(value)["labels"]),
  annotations: readTexts(fieldsOf(value)["annotations"]),
});
const readResources = (value: unknown): ResourceChange => ({
  limits: readTexts(fieldsOf(value)["limits"]),
  requests: readTexts(fieldsOf(value)["requests"]),
});

/** undefined: not readable. */
export function readSpec(text: string): UpdateSpec | undefined {
  const fields = parse(text);
  if (fields === undefined) return undefined;
  const encoded = textOf(fields["metaDataPatch"]);
  const metadataPatch = encoded === "" ? undefined : parse(Buffer.from(encoded, "base64").toString("utf8"));
  if (encoded !== "" && metadataPatch === undefined) return undefined;
  return {
    revision: textOf(fields["revision"]),
    images: readTexts(fields["containerImages"]),
    refMetadata: readMap(fields["containerRefMetadata"], readRefMetadata),
    resources: readMap(fields["containerResources"], readResources),
    metadataPatch,
    envFromMetadata: fields["updateEnvFromMetadata"] === true,
    graceSeconds: typeof fields["graceSeconds"] === "number" ? fields["graceSeconds"] : 0,
  };
}

const states = new WeakMap<object, UpdateState | "unreadable">();

/** The state on a pod, read once per version of the pod; undefined when it carries none. */
export function stateOf(pod: Readonly<Pod>): UpdateState | "unreadable" | undefined {
  const known = states.get(pod);
  if (known !== undefined) return known;
  const text = stateText(pod);
  if (text === undefined) return undefined;
  const state = readState(text) ?? "unreadable";
  states.set(pod, state);
  return state;
}

function readLastStatus(value: unknown): LastContainerStatus {
  const { imageID, containerID, mustRestart } = fieldsOf(value);
  return {
    imageID: textOf(imageID),
    ...(textOf(containerID) === "" ? {} : { containerID: textOf(containerID) }),
    ...(mustRestart === true ? { mustRestart } : {}),
  };
}

/** undefined: not readable. */
export function readState(text: string): UpdateState | undefined {
  const fields = parse(text);
  if (fields === undefined) return undefined;
  const preCheck = fields["preCheckBeforeNext"];
  return {
    revision: textOf(fields["revision"]),
    updateTimestamp: textOf(fields["updateTimestamp"]),
    lastContainerStatuses: readMap(fields["lastContainerStatuses"], readLastStatus),
    envFromMetadata: fields["updateEnvFromMetadata"] === true,
    updateResources: fields["updateResources"] === true,
    updateImages: fields["updateImages"] === true,
    next: {
      images: readTexts(fields["nextContainerImages"]),
      refMetadata: readMap(fields["nextContainerRefMetadata"], readRefMetadata),
      resources: readMap(fields["nextContainerResources"], readResources),
    },
    ...(isFields(preCheck) ? { requiredReady: itemsOf(preCheck["containersRequiredReady"]).map(textOf) } : {}),
    batches: itemsOf(fields["containerBatchesRecord"]).map((batch) => ({
      timestamp: textOf(fieldsOf(batch)["timestamp"]),
      containers: itemsOf(fieldsOf(batch)["containers"]).map(textOf),
    })),
  };
}
