/**
 * The watch cache: what the process knows of the cluster, one reflector and one store a kind, for controllers, webhooks and explain
 * alike. Objects in it are shared: nobody changes them. Parts that did not change between two versions are the same reference.
 */
import type { Env } from "../../env/env.ts";
import { assert } from "../../env/env.ts";
import type { LiveReader, Reader } from "../access.ts";
import type { WriteObserver } from "../client.ts";
import { apiVersion, type Index, type Key, type Kind, type Ref, resourceName } from "../kind.ts";
import { type Failure, failureText } from "../outcome.ts";
import type { Transport } from "../transport.ts";
import type { KubeObject } from "../types.ts";
import { keepFor } from "./keep.ts";
import type { KindState, ReflectorCounters } from "./reflection.ts";
import { Reflector } from "./reflector.ts";
import { Slices } from "./slices.ts";
import { Store, versionOf } from "./store.ts";

/** Which objects of a kind are watched, and how much of each. */
export interface Scope {
  /** Default: the cache's own restriction, or all. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Only metadata: for kinds with large or secret content of which names and labels are enough. */
  readonly metadataOnly?: boolean;
  /** Drops more of each object as it arrives, where a process needs little of it. Objects that go in are left unchanged; pure. */
  readonly trim?: (object: KubeObject) => KubeObject;
}

export interface WatchCacheOptions {
  /** `--namespace`: nothing outside is seen. */
  readonly namespace?: string;
  /** Whether to ask the server to list through the watch (default); it falls back by itself. */
  readonly streamingList?: boolean;
}

/** Called synchronously for each change, after the store and its indexes show it. Must not throw and must not wait. */
export type ChangeHandler<T extends KubeObject> = (before: Readonly<T> | undefined, after: Readonly<T> | undefined) => void;

/** All objects of a kind as of a version, to be taken up again by a later process. */
export interface Snapshot<T extends KubeObject = KubeObject> {
  readonly resourceVersion: string;
  readonly objects: readonly T[];
}

export interface KindStats extends Readonly<ReflectorCounters> {
  readonly resource: string;
  readonly state: KindState;
  readonly objects: number;
  /** News that was older than what was known. */
  readonly stale: number;
  /** Since the last byte from the server. */
  readonly silentMs: number;
}

export interface SyncReport {
  /** Every kind is synced, or not served. */
  readonly settled: boolean;
  readonly absent: readonly Kind[];
  /** What is still missing, and why. */
  readonly pending: readonly { readonly kind: Kind; readonly why: string }[];
}

interface Watched {
  readonly kind: Kind;
  /** As asked for. */
  readonly scope: Scope;
  /** The only one that is watched. */
  readonly namespace: string | undefined;
  readonly store: Store<KubeObject>;
  readonly handlers: ChangeHandler<KubeObject>[];
  readonly keep: (object: KubeObject) => KubeObject;
  readonly reflector: Reflector;
  restored: string | undefined;
  running: boolean;
}

export class WatchCache implements WriteObserver {
  private readonly watched = new Map<string, Watched>();
  private readonly byKind = new WeakMap<Kind, Watched>();
  private readonly stateHandlers: ((kind: Kind, state: KindState) => void)[] = [];
  private readonly slices: Slices;
  private readonly streaming: { supported: boolean };
  /** Handlers wait here until their kind is ensured. */
  private readonly early = new Map<string, ChangeHandler<KubeObject>[]>();

  constructor(
    private readonly env: Env,
    private readonly transport: Transport,
    private readonly options: WatchCacheOptions = {},
  ) {
    this.slices = new Slices(env);
    this.streaming = { supported: options.streamingList ?? true };
  }

  /** Watches this kind from now on. Again for the same kind does nothing; with another scope it is a programmer's error. */
  ensure<T extends KubeObject>(kind: Kind<T>, scope: Scope = {}): void {
    const watched = this.watched.get(idOf(kind)) ?? this.add(kind, scope);
    assert(sameScope(watched.scope, scope), `${resourceName(kind)} is watched with one scope only`);
    if (watched.running) return;
    watched.running = true;
    const { restored } = watched;
    void watched.reflector.run(restored === undefined ? undefined : Number(restored));
  }

  /** Whether the kind is watched at all. */
  has(kind: Kind): boolean {
    return this.watched.has(idOf(kind));
  }

  /** Told of every change from now on; what is there already is not repeated. May come before `ensure`. */
  subscribe<T extends KubeObject>(kind: Kind<T>, handler: ChangeHandler<T>): () => void {
    const handlers = this.watched.get(idOf(kind))?.handlers ?? getOrAdd(this.early, idOf(kind), () => []);
    handlers.push(handler as ChangeHandler<KubeObject>);
    return () => {
      const index = handlers.indexOf(handler as ChangeHandler<KubeObject>);
      if (index >= 0) handlers.splice(index, 1);
    };
  }

  /** Told when a kind becomes synced, absent, failing. */
  onState(handler: (kind: Kind, state: KindState) => void): () => void {
    this.stateHandlers.push(handler);
    return () => {
      const index = this.stateHandlers.indexOf(handler);
      if (index >= 0) this.stateHandlers.splice(index, 1);
    };
  }

  state(kind: Kind): KindState | undefined {
    return this.watched.get(idOf(kind))?.reflector.state;
  }
  /** Whether all of these show a whole list. A kind that is not served is not synced: see `whenSettled`. */
  synced(kinds: readonly Kind[]): boolean {
    return kinds.every((kind) => this.state(kind) === "synced");
  }

  /** Resolves when each kind is synced or known not to be served, or when the time is over or the process stops. */
  whenSettled(kinds: readonly Kind[], timeoutMs: number): Promise<SyncReport> {
    return new Promise((resolve) => {
      const finish = () => {
        cancel();
        unsubscribe();
        this.env.stopped.removeEventListener("abort", finish);
        resolve(this.report(kinds));
      };
      const cancel = this.env.after(timeoutMs, finish);
      const unsubscribe = this.onState(() => {
        if (this.report(kinds).settled) finish();
      });
      this.env.stopped.addEventListener("abort", finish, { once: true });
      if (this.report(kinds).settled || this.env.stopped.aborted) finish();
    });
  }

  /** A kind that was absent has just come (its CRD was established): do not wait for the next try. */
  nudge(kind: Kind): void {
    this.watched.get(idOf(kind))?.reflector.nudge();
  }

  get<T extends KubeObject>(kind: Kind<T>, key: Key): Readonly<T> | undefined {
    return this.of(kind).store.get(kind.namespaced ? key : { namespace: "", name: key.name }) as T | undefined;
  }
  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly Readonly<T>[] {
    return this.of(kind).store.list(namespace) as readonly T[];
  }
  find<T extends KubeObject>(index: Index<T>, value: string): readonly Readonly<T>[] {
    return this.of(index.of).store.find(index as unknown as Index, value) as readonly T[];
  }

  reader(live: LiveReader): Reader {
    return {
      get: (kind, key) => this.get(kind, key),
      list: (kind, namespace) => this.list(kind, namespace),
      find: (index, value) => this.find(index, value),
      live,
    };
  }

  /** The answer of a write: shown at once, unless something newer is known. Kinds that nobody watches are ignored. */
  put(kind: Kind, object: KubeObject): void {
    const watched = this.byKind.get(kind) ?? this.watched.get(idOf(kind));
    if (!watched) return;
    const { namespace = "", name } = object.metadata;
    const { scope, store } = watched;
    if (kind.namespaced && watched.namespace && watched.namespace !== namespace) return;
    const known = store.get({ namespace, name });
    if (known?.metadata.uid === object.metadata.uid && versionOf(known) >= versionOf(object)) return;
    // Whether it belongs to the selection is for the server to say.
    if ((scope.labelSelector || scope.fieldSelector) && !known) return;
    // The caller has the object too, so what is trimmed is a copy of its outermost parts.
    const { annotations } = object.metadata;
    const metadata = annotations ? { ...object.metadata, annotations: { ...annotations } } : { ...object.metadata };
    const status = (object as { status?: object }).status;
    store.put(watched.keep({ ...object, metadata, ...(status && { status: { ...status } }) } as KubeObject));
  }

  /** The answer of a delete after which nothing is left. */
  remove(ref: Ref): void {
    const watched = this.watched.get(idOf(ref.of));
    if (watched && ref.uid !== undefined)
      watched.store.remove({ namespace: ref.of.namespaced ? ref.namespace : "", name: ref.name }, ref.uid);
  }

  /** Undefined until the kind has synced. */
  snapshot<T extends KubeObject>(kind: Kind<T>): Snapshot<T> | undefined {
    const watched = this.watched.get(idOf(kind));
    if (watched?.reflector.state !== "synced") return undefined;
    return { resourceVersion: String(watched.store.seenVersion), objects: watched.store.list() as readonly T[] };
  }

  /**
   * Begins with what an earlier process knew: the watch goes on from there, and a list is only needed when the server has forgotten
   * that version. Before `ensure`, with the same scope.
   */
  async restore<T extends KubeObject>(kind: Kind<T>, snapshot: Snapshot<T>, scope: Scope = {}): Promise<void> {
    assert(!this.watched.has(idOf(kind)), `${resourceName(kind)} is restored before it is watched`);
    const version = Number(snapshot.resourceVersion);
    if (!Number.isSafeInteger(version) || version <= 0) return;
    const watched = this.add(kind, scope);
    for (const object of snapshot.objects) {
      if (this.slices.due()) await this.slices.rest();
      watched.store.upsert(object);
    }
    watched.restored = snapshot.resourceVersion;
  }

  stats(): readonly KindStats[] {
    const nowMs = this.env.monotonicMs();
    return [...this.watched.values()].map(({ kind, reflector, store }) => ({
      resource: resourceName(kind),
      state: reflector.state,
      objects: store.size,
      stale: store.stale,
      silentMs: nowMs - reflector.lastHeardMs,
      ...reflector.counters,
    }));
  }

  private add(kind: Kind, scope: Scope): Watched {
    const handlers = this.early.get(idOf(kind)) ?? [];
    this.early.delete(idOf(kind));
    const namespace = scope.namespace ?? this.options.namespace;
    const store = new Store<KubeObject>((before, after) => this.tell(kind, handlers, before, after));
    const kept = keepFor(kind, scope.metadataOnly ?? false);
    const { trim } = scope;
    const keep = trim === undefined ? kept : (object: KubeObject) => trim(kept(object));
    const options = { kind, ...scope, namespace, metadataOnly: scope.metadataOnly ?? false, streaming: this.streaming };
    const reflector = new Reflector(this.env, this.transport, store, this.slices, keep, options, () => this.stateChanged(kind));
    const watched: Watched = { kind, scope, namespace, store, handlers, keep, reflector, restored: undefined, running: false };
    this.watched.set(idOf(kind), watched);
    return watched;
  }

  private of(kind: Kind): Watched {
    let watched = this.byKind.get(kind);
    if (!watched) {
      watched = this.watched.get(idOf(kind));
      assert(watched, `${resourceName(kind)} is read, so it is watched: declare it in \`reads\` or \`watches\``);
      this.byKind.set(kind, watched);
    }
    return watched;
  }

  private tell(
    kind: Kind,
    handlers: readonly ChangeHandler<KubeObject>[],
    before: KubeObject | undefined,
    after: KubeObject | undefined,
  ): void {
    for (const handler of handlers) {
      try {
        handler(before, after);
      } catch (error) {
        // A broken handler must not stop the watch for everybody else.
        this.env.log.error({ error, resource: resourceName(kind) }, "a change handler threw");
      }
    }
  }

  private stateChanged(kind: Kind): void {
    const state = this.state(kind) ?? "starting";
    this.env.log.debug({ resource: resourceName(kind), state }, "watch cache");
    for (const handler of [...this.stateHandlers]) handler(kind, state);
  }

  private report(kinds: readonly Kind[]): SyncReport {
    const absent = kinds.filter((kind) => this.state(kind) === "absent");
    const pending = kinds
      .filter((kind) => this.state(kind) !== "synced" && this.state(kind) !== "absent")
      .map((kind) => ({ kind, why: whyPending(this.state(kind), this.watched.get(idOf(kind))?.reflector.problem) }));
    return { settled: pending.length === 0, absent, pending };
  }
}

function whyPending(state: KindState | undefined, problem: Failure | undefined): string {
  if (problem) return failureText(problem);
  return state === undefined ? "not watched" : "no list yet";
}

function idOf(kind: Kind): string {
  return `${apiVersion(kind)}/${kind.plural}`;
}

function sameScope(a: Scope, b: Scope): boolean {
  return (
    a.namespace === b.namespace &&
    a.labelSelector === b.labelSelector &&
    a.fieldSelector === b.fieldSelector &&
    (a.metadataOnly ?? false) === (b.metadataOnly ?? false) &&
    a.trim === b.trim
  );
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
