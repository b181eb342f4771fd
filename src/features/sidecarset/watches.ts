/** Which SidecarSets a changed pod, revision or namespace concerns. */
import { label } from "../../api/names.ts";
import { type SidecarSet, sidecarSets } from "../../api/sidecarset.ts";
import { type Context, type Seen, type Watch, watch } from "../../engine/controller.ts";
import { deepEqual } from "../../kube/json.ts";
import { type Key, keyOf } from "../../kube/kind.ts";
import { controllerRevisions, namespaces, pods } from "../../kube/kinds.ts";
import type { ControllerRevision, Namespace, Pod } from "../../kube/types.ts";
import { injectedNames } from "./annotations.ts";
import { candidateSets, matchesLabels } from "./select.ts";

export const watches: readonly Watch[] = [
  watch<Pod>(pods, podWakes),
  watch<ControllerRevision>(controllerRevisions, revisionWakes),
  watch<Namespace>(namespaces, namespaceWakes),
];

/** Its own counters change with every pod, and need no round of their own. */
export function sidecarSetConcerns({ before, after }: Seen<SidecarSet>): boolean {
  if (before === undefined || after === undefined) return true;
  const [a, b] = [before.metadata, after.metadata];
  if (a.uid !== b.uid || a.generation !== b.generation || a.deletionTimestamp !== b.deletionTimestamp) return true;
  if (!deepEqual(a.labels, b.labels) || !deepEqual(a.annotations, b.annotations) || !deepEqual(before.spec, after.spec)) return true;
  return before.status?.collisionCount !== after.status?.collisionCount || before.status?.latestRevision !== after.status?.latestRevision;
}

export function podWakes({ before, after }: Seen<Pod>, context: Context): readonly Key[] {
  // Most clusters have none, and every change of every pod comes by here.
  if (context.read.list(sidecarSets).length === 0) return [];
  if (before !== undefined && after !== undefined && !concerns(before, after)) return [];
  const names = new Set([...injectedNames(before?.metadata.annotations), ...injectedNames(after?.metadata.annotations)]);
  if (names.size === 0) return missing(before, after, context);
  return [...names].map((name) => ({ namespace: "", name })).filter((key) => context.read.get(sidecarSets, key) !== undefined);
}

/** A pod without sidecars concerns those who should be in it. */
function missing(before: Readonly<Pod> | undefined, after: Readonly<Pod> | undefined, { read }: Context): readonly Key[] {
  const pod = after ?? before;
  if (pod === undefined) return [];
  const settled =
    before !== undefined &&
    after !== undefined &&
    before.metadata.labels === after.metadata.labels &&
    before.status?.phase === after.status?.phase;
  if (settled && before.metadata.deletionTimestamp === after.metadata.deletionTimestamp) return [];
  const { labels } = pod.metadata;
  return candidateSets(read, pod.metadata.namespace ?? "", labels)
    .filter((set) => matchesLabels(set, labels))
    .map(keyOf);
}

/**
 * Whether anything changed that a plan looks at. What it might look at is compared whole, so that leaving an event out never changes what
 * comes of it; the cache shares what is equal, so this is cheap.
 */
function concerns(before: Readonly<Pod>, after: Readonly<Pod>): boolean {
  const [a, b] = [before.metadata, after.metadata];
  return (
    a.uid !== b.uid ||
    a.deletionTimestamp !== b.deletionTimestamp ||
    !deepEqual(a.labels, b.labels) ||
    !deepEqual(a.annotations, b.annotations) ||
    !deepEqual(before.spec, after.spec) ||
    !deepEqual(lookedAt(before), lookedAt(after))
  );
}

function lookedAt({ status }: Readonly<Pod>): unknown {
  const { phase, conditions, containerStatuses, initContainerStatuses, observedGeneration } = status ?? {};
  return { phase, conditions, containerStatuses, initContainerStatuses, observedGeneration };
}

export function revisionWakes({ before, after }: Seen<ControllerRevision>, { settings }: Context): readonly Key[] {
  const { metadata } = (after ?? before) as Readonly<ControllerRevision>;
  const name = metadata.labels?.[label.sidecarSetName];
  return name && metadata.namespace === settings.installNamespace ? [{ namespace: "", name }] : [];
}

/** Labels of a namespace decide for whole namespaces of pods. */
export function namespaceWakes({ before, after }: Seen<Namespace>, { read }: Context): readonly Key[] {
  if (before !== undefined && after !== undefined && deepEqual(before.metadata.labels, after.metadata.labels)) return [];
  return read
    .list(sidecarSets)
    .filter(({ spec }) => spec?.namespaceSelector !== undefined)
    .map(keyOf);
}
