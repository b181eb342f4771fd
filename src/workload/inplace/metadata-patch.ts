/** The strategic merge patch that brings a pod's metadata from one template to the next, and leaves alone what others wrote there. */
import { deepEqual, type Fields, fieldsOf, itemsOf, setOwn, textOf } from "../../kube/json.ts";

export type MetadataKind = "labels" | "annotations";

/** The metadata without these keys. */
export function without(metadata: Fields, keys: readonly { readonly kind: MetadataKind; readonly key: string }[]): Fields {
  const dropped = (kind: MetadataKind): Fields => {
    const names = new Set(keys.filter((entry) => entry.kind === kind).map(({ key }) => key));
    return Object.fromEntries(Object.entries(fieldsOf(metadata[kind])).filter(([key]) => !names.has(key)));
  };
  return { ...metadata, labels: dropped("labels"), annotations: dropped("annotations") };
}

/**
 * Labels, annotations and finalizers; what else a template's metadata says (a name, owners) never reaches a pod.
 * Keys are removed one by one even when a template loses all of them: a `null` for the whole map would take everybody's labels along.
 * @returns `{"metadata":{…}}`, or `{}` when nothing is left to change
 */
export function metadataPatchOf(from: Fields, to: Fields): Fields {
  const metadata: Record<string, unknown> = {};
  for (const kind of ["annotations", "labels"] as const) {
    const changes = mapPatch(fieldsOf(from[kind]), fieldsOf(to[kind]));
    if (Object.keys(changes).length > 0) metadata[kind] = changes;
  }
  finalizersPatch(itemsOf(from["finalizers"]).map(textOf), itemsOf(to["finalizers"]).map(textOf), metadata);
  return Object.keys(metadata).length > 0 ? { metadata } : {};
}

function mapPatch(from: Fields, to: Fields): Fields {
  const changes: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(to)) if (from[key] !== value || !Object.hasOwn(from, key)) setOwn(changes, key, value);
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) setOwn(changes, key, null);
  return changes;
}

function finalizersPatch(from: readonly string[], to: readonly string[], metadata: Record<string, unknown>): void {
  if (deepEqual(from, to)) return;
  const removed = from.filter((name) => !to.includes(name));
  const added = to.filter((name) => !from.includes(name));
  if (removed.length > 0) metadata["$deleteFromPrimitiveList/finalizers"] = removed;
  if (to.length > 0 && from.length > 0) metadata["$setElementOrder/finalizers"] = to;
  if (added.length > 0) metadata["finalizers"] = added;
}
