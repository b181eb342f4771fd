/**
 * Everything that is stored, in one order of versions. Objects are kept in their storage version, shared and never changed; each write
 * makes a new one. The latest changes are remembered, so that watches can be resumed and lists can be read as they were.
 */
import { assert } from "../../env/env.ts";
import type { Fields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import type { KubeObject } from "../../kube/types.ts";

export const storeLimits = {
  /** Changes remembered; watches from before get 410. */
  historyMax: 20_000,
} as const;

export type Stored = KubeObject & Fields;

export interface Change {
  readonly version: number;
  /** The resource's storage id: "pods", "clonesets.apps.kruise.io". */
  readonly resource: string;
  readonly before: Stored | undefined;
  /** Undefined: deleted. `before` carries the version of its last write, `version` that of the deletion. */
  readonly after: Stored | undefined;
}

export type ChangeHandler = (change: Change) => void;

interface Table {
  readonly objects: Map<string, Stored>;
  /** Keys in the order of etcd; undefined after an object came or went. */
  sorted: readonly string[] | undefined;
}

export class Store {
  #version: number;
  /** Versions up to here are forgotten. */
  #compacted: number;
  #history: Change[] = [];
  readonly #tables = new Map<string, Table>();
  readonly #byUid = new Map<string, { readonly resource: string; readonly key: string }>();
  readonly #handlers = new Set<ChangeHandler>();

  /** @param version the first write gets the one after it */
  constructor(version = 1) {
    this.#version = version;
    this.#compacted = version;
  }

  get version(): number {
    return this.#version;
  }
  get compacted(): number {
    return this.#compacted;
  }

  get(resource: string, key: Key): Stored | undefined {
    return this.#tables.get(resource)?.objects.get(storeKey(key));
  }

  byUid(uid: string): { readonly resource: string; readonly object: Stored } | undefined {
    const found = this.#byUid.get(uid);
    const object = found === undefined ? undefined : this.#tables.get(found.resource)?.objects.get(found.key);
    return found === undefined || object === undefined ? undefined : { resource: found.resource, object };
  }

  /** In the order of namespace and name. */
  list(resource: string, namespace?: string): readonly Stored[] {
    const table = this.#tables.get(resource);
    if (table === undefined) return [];
    table.sorted ??= [...table.objects.keys()].sort();
    const prefix = namespace === undefined || namespace === "" ? "" : `${namespace}/`;
    const objects: Stored[] = [];
    for (const key of table.sorted) if (prefix === "" || key.startsWith(prefix)) objects.push(table.objects.get(key) as Stored);
    return objects;
  }

  /** As it was at `version`. @returns undefined when that is forgotten */
  listAt(resource: string, namespace: string | undefined, version: number): readonly Stored[] | undefined {
    if (version >= this.#version) return this.list(resource, namespace);
    if (version < this.#compacted) return undefined;
    const objects = new Map(this.list(resource).map((object) => [storeKey(metaKey(object)), object]));
    for (let index = this.#history.length - 1; index >= 0; index -= 1) {
      const change = this.#history[index] as Change;
      if (change.version <= version) break;
      if (change.resource !== resource) continue;
      const key = storeKey(metaKey((change.after ?? change.before) as Stored));
      if (change.before === undefined) objects.delete(key);
      else objects.set(key, change.before);
    }
    const all = [...objects.keys()].sort().map((key) => objects.get(key) as Stored);
    return namespace ? all.filter((object) => object.metadata.namespace === namespace) : all;
  }

  resources(): readonly string[] {
    return [...this.#tables.keys()];
  }

  /** Creates or replaces. @param object without a resourceVersion of its own: it gets the next one */
  put(resource: string, object: Stored): Stored {
    const key = storeKey(metaKey(object));
    const table = this.#table(resource);
    const before = table.objects.get(key);
    this.#version += 1;
    const after = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } } as Stored;
    table.objects.set(key, after);
    if (before === undefined) {
      table.sorted = undefined;
      this.#byUid.set(after.metadata.uid, { resource, key });
    } else assert(before.metadata.uid === after.metadata.uid, "an object keeps its uid");
    this.#record({ version: this.#version, resource, before, after });
    return after;
  }

  /** @returns the object as it was last, with the version of its deletion */
  remove(resource: string, key: Key, last?: Stored): Stored | undefined {
    const table = this.#table(resource);
    const before = table.objects.get(storeKey(key));
    if (before === undefined) return undefined;
    table.objects.delete(storeKey(key));
    table.sorted = undefined;
    this.#byUid.delete(before.metadata.uid);
    this.#version += 1;
    const gone = last ?? before;
    const final = { ...gone, metadata: { ...gone.metadata, resourceVersion: String(this.#version) } } as Stored;
    this.#record({ version: this.#version, resource, before: final, after: undefined });
    return final;
  }

  /** Every change from now on, at once and in order. */
  subscribe(handler: ChangeHandler): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** The changes of a resource after `version`. @returns undefined when they are forgotten */
  since(resource: string, version: number): readonly Change[] | undefined {
    if (version < this.#compacted) return undefined;
    let from = this.#history.length;
    while (from > 0 && (this.#history[from - 1] as Change).version > version) from -= 1;
    return this.#history.slice(from).filter((change) => change.resource === resource);
  }

  /** Forgets what happened until now. */
  compact(): void {
    this.#history = [];
    this.#compacted = this.#version;
  }

  /** Takes up what another process kept. @param objects by resource, as they were stored */
  restore(version: number, objects: Iterable<readonly [string, Stored]>): void {
    assert(this.#tables.size === 0, "only an empty store is restored");
    this.#version = version;
    this.#compacted = version;
    for (const [resource, object] of objects) {
      const key = storeKey(metaKey(object));
      this.#table(resource).objects.set(key, object);
      this.#byUid.set(object.metadata.uid, { resource, key });
    }
  }

  #record(change: Change): void {
    this.#history.push(change);
    if (this.#history.length > storeLimits.historyMax * 1.25) {
      this.#history.splice(0, this.#history.length - storeLimits.historyMax);
      this.#compacted = (this.#history[0] as Change).version - 1;
    }
    for (const handler of [...this.#handlers]) handler(change);
  }

  #table(resource: string): Table {
    let table = this.#tables.get(resource);
    if (table === undefined) {
      table = { objects: new Map(), sorted: undefined };
      this.#tables.set(resource, table);
    }
    return table;
  }
}

export function metaKey(object: KubeObject): Key {
  return { namespace: object.metadata.namespace ?? "", name: object.metadata.name };
}

/** Namespaces sort before the names in them, as in etcd. */
export function storeKey({ namespace, name }: Key): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}
