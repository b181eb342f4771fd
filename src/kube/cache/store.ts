/**
 * The objects of one kind, as new as anybody has told us. Lists, watch events and the answers of our own writes come in any order; the
 * `resourceVersion` decides which is newer, and an object never goes back to an older one.
 */
import type { Index, Key } from "../kind.ts";
import type { KubeObject } from "../types.ts";
import { share } from "./share.ts";

export const storeLimits = {
  /** UIDs of objects that a write of ours has removed or another object has replaced, kept until the watch says so too. */
  tombstonesMax: 8192,
  /** Owners of which an object is remembered, for its siblings to share memory with. */
  exemplarsMax: 4096,
} as const;

/** Before the handlers run, the store and its indexes show `after`. Absent `before`: created. Absent `after`: gone. */
export type Changed<T extends KubeObject> = (before: T | undefined, after: T | undefined) => void;

interface Bucket<T> {
  readonly objects: Map<string, T>;
  /** The objects as an array, until the next change. */
  array: readonly T[] | undefined;
}

const empty: readonly never[] = [];

export class Store<T extends KubeObject> {
  /** The version up to which the watch (or the list before it) has told everything; 0 before the first list. */
  seenVersion = 0;
  /** News that was older than what was known: ignored, as it must be. */
  stale = 0;
  private readonly namespaces = new Map<string, Bucket<T>>();
  private readonly indexes = new Map<Index<T>, Map<string, Bucket<T>>>();
  private readonly tombstones = new Set<string>();
  private readonly exemplars = new Map<string, T>();
  private lastStored: T | undefined;
  private all: readonly T[] | undefined;
  private count = 0;

  constructor(private readonly changed: Changed<T>) {}

  get size(): number {
    return this.count;
  }

  get(key: Key): T | undefined {
    return this.namespaces.get(key.namespace)?.objects.get(key.name);
  }

  list(namespace?: string): readonly T[] {
    if (namespace !== undefined) return bucketArray(this.namespaces.get(namespace));
    if (!this.all) {
      if (this.namespaces.size <= 1) this.all = bucketArray([...this.namespaces.values()][0]);
      else {
        const all: T[] = [];
        for (const bucket of this.namespaces.values()) for (const object of bucket.objects.values()) all.push(object);
        this.all = all;
      }
    }
    return this.all;
  }

  find(index: Index<T>, value: string): readonly T[] {
    const files = this.indexes.get(index) ?? this.build(index);
    return bucketArray(files.get(value));
  }

  /** From a list or a watch: the object as it is at its version. */
  upsert(object: T): void {
    if (this.tombstones.has(object.metadata.uid)) this.stale += 1;
    else this.settle(object);
  }

  /** From the answer of a write. What the watch has already left behind is not brought back. */
  put(object: T): void {
    const { uid } = object.metadata;
    const known = this.get({ namespace: object.metadata.namespace ?? "", name: object.metadata.name });
    const gone = known?.metadata.uid !== uid && versionOf(object) <= this.seenVersion;
    if (gone || this.tombstones.has(uid)) this.stale += 1;
    else this.settle(object);
  }

  /** From a watch: gone at this version. */
  deleted(object: T): void {
    this.tombstones.delete(object.metadata.uid);
    const known = this.get({ namespace: object.metadata.namespace ?? "", name: object.metadata.name });
    if (known && known.metadata.uid === object.metadata.uid) this.drop(known);
  }

  /** From the answer of a delete: nothing of this uid is to be seen again, whatever older events still arrive. */
  remove(key: Key, uid: string): void {
    const known = this.get(key);
    this.bury(uid);
    if (known?.metadata.uid === uid) this.drop(known);
  }

  /** After a whole list at `version`: whatever it did not show, and was not written since, is gone. */
  missing(listed: ReadonlySet<string>, version: number): readonly T[] {
    return this.list().filter((object) => !listed.has(object.metadata.uid) && versionOf(object) <= version);
  }

  drop(object: T): void {
    const namespace = object.metadata.namespace ?? "";
    const bucket = this.namespaces.get(namespace);
    if (!bucket || bucket.objects.get(object.metadata.name) !== object) return;
    bucket.objects.delete(object.metadata.name);
    bucket.array = undefined;
    if (bucket.objects.size === 0) this.namespaces.delete(namespace);
    this.count -= 1;
    this.all = undefined;
    for (const [index, files] of this.indexes) for (const value of keysOf(index, object)) unfile(files, value, object);
    if (this.lastStored === object) this.lastStored = undefined;
    const owner = ownerOf(object);
    if (owner !== undefined && this.exemplars.get(owner) === object) this.exemplars.delete(owner);
    this.changed(object, undefined);
  }

  private settle(object: T): void {
    const namespace = object.metadata.namespace ?? "";
    const before = this.namespaces.get(namespace)?.objects.get(object.metadata.name);
    if (before && versionOf(object) <= versionOf(before)) {
      if (versionOf(object) < versionOf(before)) this.stale += 1;
      return;
    }
    if (before && before.metadata.uid !== object.metadata.uid) {
      // Its name has another owner: an answer about it that comes even later, when that one is gone as well, is of the past.
      this.bury(before.metadata.uid);
      this.drop(before);
      this.settle(object);
      return;
    }
    const owner = ownerOf(object);
    const like = before ?? (owner === undefined ? undefined : this.exemplars.get(owner)) ?? this.lastStored;
    const after = like ? share(object, like) : object;
    putInto(this.namespaces, after.metadata.namespace ?? "", after.metadata.name, after);
    this.all = undefined;
    if (!before) this.count += 1;
    for (const [index, files] of this.indexes) refile(index, files, before, after);
    this.lastStored = after;
    if (owner !== undefined) this.remember(owner, after);
    this.changed(before, after);
  }

  private bury(uid: string): void {
    this.tombstones.add(uid);
    if (this.tombstones.size <= storeLimits.tombstonesMax) return;
    const [oldest] = this.tombstones;
    if (oldest !== undefined) this.tombstones.delete(oldest);
  }

  private remember(owner: string, object: T): void {
    if (!this.exemplars.has(owner) && this.exemplars.size >= storeLimits.exemplarsMax) {
      const [oldest] = this.exemplars.keys();
      if (oldest !== undefined) this.exemplars.delete(oldest);
    }
    this.exemplars.set(owner, object);
  }

  private build(index: Index<T>): Map<string, Bucket<T>> {
    const files = new Map<string, Bucket<T>>();
    for (const object of this.list()) for (const value of keysOf(index, object)) file(files, value, object);
    this.indexes.set(index, files);
    return files;
  }
}

/** Versions of one server grow and fit a number: etcd counts writes, and 2^53 of them take longer than anybody waits. */
export function versionOf(object: KubeObject): number {
  return Number(object.metadata.resourceVersion);
}

function ownerOf(object: KubeObject): string | undefined {
  const references = object.metadata.ownerReferences;
  if (!references) return undefined;
  for (const reference of references) if (reference.controller) return reference.uid;
  return undefined;
}

function keysOf<T extends KubeObject>(index: Index<T>, object: T): readonly string[] {
  try {
    return index.keys(object);
  } catch {
    // An object of a shape that the index does not expect is in none of its files; the object itself is still served.
    return empty;
  }
}

function bucketArray<T>(bucket: Bucket<T> | undefined): readonly T[] {
  if (!bucket) return empty;
  bucket.array ??= [...bucket.objects.values()];
  return bucket.array;
}

function putInto<T>(buckets: Map<string, Bucket<T>>, value: string, key: string, object: T): void {
  const bucket = buckets.get(value);
  if (!bucket) {
    buckets.set(value, { objects: new Map([[key, object]]), array: undefined });
    return;
  }
  bucket.objects.set(key, object);
  bucket.array = undefined;
}

function file<T extends KubeObject>(files: Map<string, Bucket<T>>, value: string, object: T): void {
  putInto(files, value, object.metadata.uid, object);
}

function unfile<T extends KubeObject>(files: Map<string, Bucket<T>>, value: string, object: T): void {
  const bucket = files.get(value);
  if (!bucket?.objects.delete(object.metadata.uid)) return;
  bucket.array = undefined;
  if (bucket.objects.size === 0) files.delete(value);
}

function refile<T extends KubeObject>(index: Index<T>, files: Map<string, Bucket<T>>, before: T | undefined, after: T): void {
  const values = keysOf(index, after);
  if (before) for (const value of keysOf(index, before)) if (!values.includes(value)) unfile(files, value, before);
  for (const value of values) file(files, value, after);
}
