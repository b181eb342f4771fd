/**
 * Kinds, references and indexes as values. Everything that names an object of the API server goes through these types, so the
 * compiler keeps kinds apart.
 */
import type { KubeObject } from "./types.ts";

/** A resource kind. `as` is never set: it carries T, so that the compiler keeps kinds apart. */
export interface Kind<T extends KubeObject = KubeObject> {
  /** "" for core. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly as?: T;
}

/** The identity of a piece of work: never an object, so no controller can lean on what an event happened to carry. */
export interface Key {
  /** "" for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
}

/** One object. With `uid` exactly that one: two pods of one name at different times differ in it. */
export interface Ref<T extends KubeObject = KubeObject> extends Key {
  readonly of: Kind<T>;
  readonly uid?: string;
}

/** A named way to find objects in the watch cache without scanning: `keys` are the values under which an object is filed. */
export interface Index<T extends KubeObject = KubeObject> {
  readonly name: string;
  readonly of: Kind<T>;
  keys(object: Readonly<T>): readonly string[];
}

export function apiVersion(kind: Kind): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}

/** "clonesets.apps.kruise.io"; "pods" for core kinds. */
export function resourceName(kind: Kind): string {
  return kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
}

export function keyText(key: Key): string {
  return key.namespace === "" ? key.name : `${key.namespace}/${key.name}`;
}

export function keyOf(object: KubeObject): Key {
  return { namespace: object.metadata.namespace ?? "", name: object.metadata.name };
}

export function refOf<T extends KubeObject>(kind: Kind<T>, object: T): Ref<T> {
  return { of: kind, ...keyOf(object), uid: object.metadata.uid };
}

/** The API group of an `apiVersion`: "apps" for "apps/v1", "" for "v1". */
export function groupOf(version: string | undefined): string {
  const slash = version?.indexOf("/") ?? -1;
  return slash < 0 ? "" : (version as string).slice(0, slash);
}

/** Ownership is decided by UID; for events on objects whose owner is gone, by group and kind. The version never matters. */
export function isOfKind(reference: { apiVersion?: string; kind?: string } | undefined, kind: Pick<Kind, "group" | "kind">): boolean {
  return reference !== undefined && reference.kind === kind.kind && groupOf(reference.apiVersion) === kind.group;
}
