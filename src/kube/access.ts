/**
 * Reading and writing as two interfaces. Reading is the watch cache (plus `live` for kinds nobody watches); writing answers with values.
 */
import type { Index, Key, Kind, Ref } from "./kind.ts";
import type { Written } from "./outcome.ts";
import type { KubeObject } from "./types.ts";

/** Objects are shared and never to be mutated. */
export interface Reader {
  get<T extends KubeObject>(kind: Kind<T>, key: Key): Readonly<T> | undefined;
  /** All objects of the kind, or of one namespace. */
  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly Readonly<T>[];
  /** The objects filed under `value` in `index`. */
  find<T extends KubeObject>(index: Index<T>, value: string): readonly Readonly<T>[];
  readonly live: LiveReader;
}

/** Straight to the API server. */
export interface LiveReader {
  get<T extends KubeObject>(kind: Kind<T>, key: Key): Promise<Written<T>>;
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions): Promise<Written<readonly T[]>>;
  /** The `scale` subresource of any kind that has one. */
  scale(kind: Kind, key: Key): Promise<Written<ScaleView>>;
}

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Objects a page; default 500. */
  readonly limit?: number;
  /** No more pages are read once there are so many objects; default: all. */
  readonly itemsMax?: number;
  /** Nothing of each object but its metadata. */
  readonly metadataOnly?: boolean;
}

export interface ScaleView {
  readonly replicas: number;
  /** String form; "" when the kind reports none. */
  readonly selector: string;
  /** Of the object whose scale it is, where the server says so. */
  readonly uid?: string;
}

export type PatchType = "merge" | "strategic" | "json";
export type Subresource = "status" | "scale" | "resize" | "eviction" | "binding" | "ephemeralcontainers";

export interface WriteOptions {
  readonly subresource?: Subresource;
  readonly dryRun?: boolean;
  /** Who the written fields belong to; default: the program's name. */
  readonly fieldManager?: string;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  /** Delete only this very version. The uid of the `Ref`, if set, is always a precondition. */
  readonly resourceVersion?: string;
  readonly dryRun?: boolean;
}

export interface Writer {
  create<T extends KubeObject>(kind: Kind<T>, object: Draft<T>, options?: WriteOptions): Promise<Written<T>>;
  /** PUT: `object.metadata.resourceVersion`, if present, is the precondition. */
  update<T extends KubeObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<Written<T>>;
  /** PATCH. Merge and strategic bodies may carry `metadata.resourceVersion` and `metadata.uid` as preconditions. */
  patch<T extends KubeObject>(ref: Ref<T>, type: PatchType, body: unknown, options?: WriteOptions): Promise<Written<T>>;
  /** Server-side apply. */
  apply<T extends KubeObject>(
    ref: Ref<T>,
    body: unknown,
    fieldManager: string,
    options?: WriteOptions & { force?: boolean },
  ): Promise<Written<T>>;
  /** The answer is the object as it is then (with its deletionTimestamp), or undefined when it is gone at once. */
  delete<T extends KubeObject>(ref: Ref<T>, options?: DeleteOptions): Promise<Written<T | undefined>>;
  /** POST to the eviction subresource. */
  evict(ref: Ref, options?: DeleteOptions): Promise<Written<undefined>>;
}

/** What one sends to create an object: the server fills in the rest of the metadata. */
export type Draft<T extends KubeObject> = Omit<T, "metadata" | "status"> & {
  readonly metadata: Partial<T["metadata"]>;
  readonly status?: unknown;
};
