/** What a pod's annotations say of the SidecarSets that went into it, and how they are written. */
import { annotation } from "../../api/names.ts";
import { quote } from "../../kube/canonical/encode.ts";
import { isFields, textOf } from "../../kube/json.ts";
import { memo } from "../../kube/memo.ts";
import type { Pod } from "../../kube/types.ts";

/** One SidecarSet's entry in a hash annotation. */
export interface HashEntry {
  /** RFC 3339; null in entries of old releases. */
  readonly updateTimestamp: string | null;
  readonly hash: string;
  readonly sidecarSetName: string;
  readonly sidecarList: readonly string[] | null;
  readonly controllerRevision?: string;
}
export type HashEntries = ReadonlyMap<string, HashEntry>;

/** What was recorded of a container before its image was changed. */
export interface BeforeUpdate {
  readonly imageID: string;
  /** "" when nobody recorded it: OpenKruise does not. */
  readonly containerID: string;
}
export interface UpdateState {
  readonly revision: string;
  readonly updateTimestamp: string;
  readonly lastContainerStatuses: ReadonlyMap<string, BeforeUpdate>;
}

export interface PodRecord {
  readonly injected: readonly string[];
  /** undefined: not readable. Absent annotations are empty maps. */
  readonly hashes: HashEntries | undefined;
  readonly withoutImage: HashEntries | undefined;
  readonly updates: ReadonlyMap<string, UpdateState> | undefined;
  /** Sidecar → the twin that works; empty when unreadable. */
  readonly working: ReadonlyMap<string, string>;
}

/** Read once per version of the pod's annotations. */
export function recordOf(pod: Readonly<Pod>): PodRecord {
  const { annotations } = pod.metadata;
  return annotations === undefined ? noRecord : readRecord(annotations);
}

const noRecord: PodRecord = { injected: [], hashes: new Map(), withoutImage: new Map(), updates: new Map(), working: new Map() };

const readRecord: (annotations: Readonly<Record<string, string>>) => PodRecord = memo((annotations) => ({
  injected: injectedNames(annotations),
  hashes: readHashes(annotations[annotation.sidecarSetHash]),
  withoutImage: readHashes(annotations[annotation.sidecarSetHashWithoutImage]),
  updates: readUpdates(annotations[annotation.sidecarSetInPlaceUpdateState]),
  working: readWorking(annotations[annotation.sidecarSetWorkingHotUpgradeContainer]),
}));

/** The names in `kruise.io/sidecarset-injected-list`. */
export function injectedNames(annotations: Readonly<Record<string, string>> | undefined): readonly string[] {
  const text = annotations?.[annotation.sidecarSetInjectedList];
  return text ? text.split(",").filter((name) => name !== "") : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Also in the shape of old releases: set → hash. @returns undefined when unreadable */
export function readHashes(text: string | undefined): HashEntries | undefined {
  if (!text) return new Map();
  const map = parsed(text);
  if (!isFields(map)) return undefined;
  const entries = new Map<string, HashEntry>();
  for (const name of Object.keys(map)) {
    const entry = readEntry(name, map[name]);
    if (entry === undefined) return undefined;
    entries.set(name, entry);
  }
  return entries;
}

function readEntry(name: string, value: unknown): HashEntry | undefined {
  if (typeof value === "string") return { updateTimestamp: null, hash: value, sidecarSetName: name, sidecarList: null };
  if (!isFields(value)) return undefined;
  const list = value["sidecarList"];
  const revision = textOf(value["controllerRevision"]);
  return {
    updateTimestamp: typeof value["updateTimestamp"] === "string" ? value["updateTimestamp"] : null,
    hash: textOf(value["hash"]),
    sidecarSetName: textOf(value["sidecarSetName"]),
    sidecarList: Array.isArray(list) ? list.map(textOf) : null,
    ...(revision === "" ? {} : { controllerRevision: revision }),
  };
}

function readUpdates(text: string | undefined): ReadonlyMap<string, UpdateState> | undefined {
  if (!text) return new Map();
  const map = parsed(text);
  if (!isFields(map)) return undefined;
  return new Map(
    Object.keys(map).flatMap((name) => {
      const state = map[name];
      return isFields(state) ? [[name, readUpdate(state)] as const] : [];
    }),
  );
}

function readUpdate(state: Readonly<Record<string, unknown>>): UpdateState {
  const before = state["lastContainerStatuses"];
  const statuses = isFields(before) ? before : {};
  return {
    revision: textOf(state["revision"]),
    updateTimestamp: textOf(state["updateTimestamp"]),
    lastContainerStatuses: new Map(
      Object.keys(statuses).map((name) => {
        const status = statuses[name];
        const read = (field: string): string => (isFields(status) ? textOf(status[field]) : "");
        return [name, { imageID: read("imageID"), containerID: read("containerID") }];
      }),
    ),
  };
}

export function readWorking(text: string | undefined): ReadonlyMap<string, string> {
  const map = text ? parsed(text) : undefined;
  if (!isFields(map)) return new Map();
  return new Map(Object.keys(map).flatMap((name) => (typeof map[name] === "string" ? [[name, map[name]] as const] : [])));
}

// ---- writing: keys sorted, fields in the order that OpenKruise has them

export function hashEntryText(entry: HashEntry): string {
  const list = entry.sidecarList === null ? "null" : `[${entry.sidecarList.map(quote).join(",")}]`;
  const revision = entry.controllerRevision ? `,"controllerRevision":${quote(entry.controllerRevision)}` : "";
  const time = entry.updateTimestamp === null ? "null" : quote(entry.updateTimestamp);
  return `{"updateTimestamp":${time},"hash":${quote(entry.hash)},"sidecarSetName":${quote(entry.sidecarSetName)},"sidecarList":${list}${revision}}`;
}

function mapText<V>(map: ReadonlyMap<string, V>, write: (value: V) => string): string {
  const names = [...map.keys()].sort();
  return `{${names.map((name) => `${quote(name)}:${write(map.get(name) as V)}`).join(",")}}`;
}

export function hashesText(entries: HashEntries): string {
  return mapText(entries, hashEntryText);
}

export function updatesText(updates: ReadonlyMap<string, UpdateState>): string {
  return mapText(updates, ({ revision, updateTimestamp, lastContainerStatuses }) => {
    const statuses = mapText(lastContainerStatuses, ({ imageID, containerID }) => {
      const fields = [imageID === "" ? "" : `"imageID":${quote(imageID)}`, containerID === "" ? "" : `"containerID":${quote(containerID)}`];
      return `{${fields.filter((field) => field !== "").join(",")}}`;
    });
    return `{"revision":${quote(revision)},"updateTimestamp":${quote(updateTimestamp)},"lastContainerStatuses":${statuses}}`;
  });
}

export function workingText(working: ReadonlyMap<string, string>): string {
  return mapText(working, quote);
}

/** The text as it will stand, or undefined when the pod's own annotation cannot be understood. */
export function mergedHashes(current: string | undefined, added: readonly HashEntry[]): string | undefined {
  const entries = readHashes(current);
  if (entries === undefined) return undefined;
  const merged = new Map(entries);
  for (const entry of added) merged.set(entry.sidecarSetName, entry);
  return hashesText(merged);
}
