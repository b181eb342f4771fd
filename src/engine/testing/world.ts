/**
 * A small API server with its watch cache, in memory and in virtual time, for tests of controllers: it implements everything the engine
 * reads, writes and subscribes to. Faults, delays and the lag of the watch are for the test to choose.
 */
import { type Cancel, type Env, sleep } from "../../env/env.ts";
import type {
  DeleteOptions,
  Draft,
  ListOptions,
  LiveReader,
  PatchType,
  Reader,
  ScaleView,
  Subresource,
  WriteOptions,
  Writer,
} from "../../kube/access.ts";
import { fieldsOf } from "../../kube/json.ts";
import { type Index, type Key, type Kind, keyOf, keyText, type Ref, resourceName } from "../../kube/kind.ts";
import type { Failure, Written } from "../../kube/outcome.ts";
import { matcherOf } from "../../kube/selector.ts";
import { parseSelector } from "../../kube/selector-text.ts";
import type { KubeObject } from "../../kube/types.ts";
import { isOlder } from "../freshest.ts";
import type { CacheHandler, CachePort, EmittedEvent, EventPort, ServedPort } from "../ports.ts";
import { denied, Store } from "./store.ts";

export type Verb = "create" | "update" | "patch" | "delete" | "evict" | "get" | "list";

export interface Call {
  readonly verb: Verb;
  readonly kind: string;
  readonly key: Key;
  readonly subresource?: Subresource;
  readonly body?: unknown;
  readonly options?: object;
}

/** "lost": the call is carried out and the answer does not arrive. "never": it is not, and no answer arrives either. */
export type Fault = Failure | "lost" | "never" | undefined;

export interface WorldOptions {
  /** ms until the cache shows what happened; 0 (default): at once. The answers of own writes show at once all the same. */
  readonly watchLagMs?: number | (() => number);
  /** ms until a call is carried out, and again until its answer arrives; default 0. */
  readonly latencyMs?: number | (() => number);
}

export interface SeenEvent extends EmittedEvent {
  readonly on: Ref;
}

const unanswered: Failure = {
  ok: false,
  why: "unavailable",
  mayHaveHappened: true,
  message: "the connection was lost before the answer came",
};

export class World implements Reader, Writer, CachePort, EventPort, ServedPort {
  /** Every call to the API server, in order. */
  readonly calls: Call[] = [];
  readonly events: SeenEvent[] = [];
  readonly store: Store;
  readonly live: LiveReader;
  /** Asked before each call. */
  fault: (call: Call) => Fault = () => undefined;
  /** Kinds the server does not serve, as resource names. */
  readonly unserved = new Set<string>();
  readonly #env: Env;
  readonly #options: WorldOptions;
  readonly #cached = new Map<string, Map<string, KubeObject>>();
  readonly #buried = new Set<string>();
  readonly #handlers = new Map<string, Set<CacheHandler>>();
  readonly #indexes = new Map<string, { readonly index: Index; readonly values: Map<string, Map<string, KubeObject>> }>();
  readonly #servedHandlers = new Set<() => void>();
  readonly #lastDue = new Map<string, number>();

  constructor(env: Env, options: WorldOptions = {}) {
    this.#env = env;
    this.#options = options;
    this.store = new Store(env, (kind, before, after) => this.#announce(kind, before, after));
    this.live = {
      get: <T extends KubeObject>(kind: Kind<T>, key: Key) =>
        this.#call<T>({ verb: "get", kind: kind.kind, key }, () => found(kind, key, this.store.get(kind, key)) as Written<T>),
      list: <T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}) =>
        this.#call<readonly T[]>({ verb: "list", kind: kind.kind, key: { namespace: options.namespace ?? "", name: "" }, options }, () => ({
          ok: true,
          object: this.store.list(kind, options.namespace).filter(selectorOf(options)) as unknown as readonly T[],
        })),
      scale: (kind, key) =>
        this.#call<ScaleView>({ verb: "get", kind: kind.kind, key, subresource: "scale" }, () => scaleOf(kind, key, this.store)),
    };
  }

  // The server, as its users see it: no faults, no delay.

  /** Creates an object, as a user would; `status` is kept as given. */
  add<T extends KubeObject>(kind: Kind<T>, object: Draft<T>): T {
    const answer = this.store.create(kind, object);
    if (!answer.ok) throw new Error(answer.message);
    return answer.object as T;
  }

  /** Changes an object, status included. */
  edit<T extends KubeObject>(kind: Kind<T>, key: Key, change: (object: T) => void): T {
    const current = this.store.get(kind, key);
    if (current === undefined) throw new Error(`${kind.kind} ${keyText(key)} is not there`);
    const next = structuredClone(current) as T;
    change(next);
    const main = this.store.replace(kind, key, { ...next, metadata: { ...next.metadata, resourceVersion: "" } }, undefined);
    const answer =
      main.ok && this.store.get(kind, key)
        ? this.store.replace(kind, key, { ...next, metadata: { ...next.metadata, resourceVersion: "" } }, "status")
        : main;
    if (!answer.ok) throw new Error(answer.message);
    return answer.object as T;
  }

  /** Deletes an object, as a user would. */
  drop(kind: Kind, key: Key): void {
    this.store.delete(kind, key, undefined, {});
  }

  now<T extends KubeObject>(kind: Kind<T>, key: Key): T | undefined {
    return this.store.get(kind, key) as T | undefined;
  }

  all<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[] {
    return this.store.list(kind, namespace) as unknown as readonly T[];
  }

  writes(): readonly Call[] {
    return this.calls.filter(({ verb }) => verb !== "get" && verb !== "list");
  }

  serve(resource: string): void {
    this.unserved.delete(resource);
    for (const handler of this.#servedHandlers) handler();
  }

  // Reader

  get<T extends KubeObject>(kind: Kind<T>, key: Key): Readonly<T> | undefined {
    return this.#cache(kind).get(keyText(key)) as T | undefined;
  }

  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly Readonly<T>[] {
    const objects = [...this.#cache(kind).values()] as unknown as T[];
    return namespace === undefined ? objects : objects.filter((object) => object.metadata.namespace === namespace);
  }

  find<T extends KubeObject>(index: Index<T>, value: string): readonly Readonly<T>[] {
    const id = `${resourceName(index.of)}|${index.name}`;
    let known = this.#indexes.get(id);
    if (known === undefined) {
      known = { index: index as unknown as Index, values: new Map() };
      this.#indexes.set(id, known);
      for (const object of this.#cache(index.of).values()) file(known, undefined, object);
    }
    return [...(known.values.get(value)?.values() ?? [])] as unknown as T[];
  }

  // Writer

  create<T extends KubeObject>(kind: Kind<T>, object: Draft<T>, options: WriteOptions = {}): Promise<Written<T>> {
    const key: Key = { namespace: object.metadata.namespace ?? "", name: object.metadata.name ?? "" };
    return this.#call({ verb: "create", kind: kind.kind, key, body: object, options }, () => this.store.create(kind, object) as Written<T>);
  }

  update<T extends KubeObject>(kind: Kind<T>, object: T, options: WriteOptions = {}): Promise<Written<T>> {
    const key = keyOf(object);
    return this.#call(
      { verb: "update", kind: kind.kind, key, subresource: options.subresource, body: object, options },
      () => this.store.replace(kind, key, structuredClone(object), options.subresource) as Written<T>,
    );
  }

  patch<T extends KubeObject>(ref: Ref<T>, type: PatchType, body: unknown, options: WriteOptions = {}): Promise<Written<T>> {
    return this.#call(
      {
        verb: "patch",
        kind: ref.of.kind,
        key: { namespace: ref.namespace, name: ref.name },
        subresource: options.subresource,
        body,
        options,
      },
      () => this.store.patch(ref.of, ref, type, body, options.subresource) as Written<T>,
    );
  }

  /** As a merge patch: enough for tests of one applier. */
  apply<T extends KubeObject>(ref: Ref<T>, body: unknown, _fieldManager: string, options: WriteOptions = {}): Promise<Written<T>> {
    if (this.store.get(ref.of, ref) !== undefined) return this.patch(ref, "merge", body, options);
    return this.create(ref.of, {
      ...(body as Draft<T>),
      metadata: { ...fieldsOf(fieldsOf(body)["metadata"]), namespace: ref.namespace, name: ref.name } as T["metadata"],
    });
  }

  delete<T extends KubeObject>(ref: Ref<T>, options: DeleteOptions = {}): Promise<Written<T | undefined>> {
    return this.#call(
      { verb: "delete", kind: ref.of.kind, key: { namespace: ref.namespace, name: ref.name }, options: { ...options, uid: ref.uid } },
      () => this.store.delete(ref.of, ref, ref.uid, options) as Written<T | undefined>,
    );
  }

  evict(ref: Ref, options: DeleteOptions = {}): Promise<Written<undefined>> {
    return this.#call({ verb: "evict", kind: ref.of.kind, key: { namespace: ref.namespace, name: ref.name }, options }, () => {
      const answer = this.store.delete(ref.of, ref, ref.uid, options);
      return answer.ok ? { ok: true, object: undefined } : answer;
    });
  }

  // CachePort

  ensure(kind: Kind): void {
    this.#cache(kind);
  }
  synced(kind: Kind): Promise<void> {
    return this.unserved.has(resourceName(kind)) ? new Promise(() => {}) : Promise.resolve();
  }
  holds(_kind: Kind): boolean {
    return true;
  }
  subscribe(kind: Kind, handler: CacheHandler): Cancel {
    const resource = resourceName(kind);
    const handlers = this.#handlers.get(resource) ?? new Set();
    this.#handlers.set(resource, handlers.add(handler));
    return () => {
      handlers.delete(handler);
    };
  }
  put(kind: Kind, object: KubeObject): void {
    this.#show(kind, object);
  }
  remove(kind: Kind, ref: Key & { readonly uid?: string }): void {
    const cached = this.#cache(kind).get(keyText(ref));
    if (ref.uid !== undefined) this.#buried.add(ref.uid);
    if (cached === undefined || (ref.uid !== undefined && cached.metadata.uid !== ref.uid)) return;
    this.#hide(kind, cached);
  }

  // EventPort, ServedPort

  emit(on: Ref, event: EmittedEvent): void {
    this.events.push({ on, ...event });
  }
  serves(kind: Kind): boolean {
    return !this.unserved.has(resourceName(kind));
  }
  changed(handler: () => void): Cancel {
    this.#servedHandlers.add(handler);
    return () => {
      this.#servedHandlers.delete(handler);
    };
  }

  async #call<T>(call: Call, answer: () => Written<T>): Promise<Written<T>> {
    this.calls.push(call);
    await this.#pause();
    const fault = this.fault(call);
    if (fault === "never") return unanswered;
    if (fault !== undefined && fault !== "lost") return fault;
    if (fieldsOf(call.options)["dryRun"] === true) return denied(400, "BadRequest", "this world knows no dry run");
    const result = answer();
    await this.#pause();
    return fault === "lost" ? unanswered : result;
  }

  #pause(): Promise<void> {
    const { latencyMs = 0 } = this.#options;
    const delayMs = typeof latencyMs === "number" ? latencyMs : latencyMs();
    return delayMs > 0 ? sleep(this.#env, delayMs, neverAborted) : Promise.resolve();
  }

  /** The watch: events of one kind stay in order, whatever their delay. */
  #announce(kind: Kind, before: KubeObject | undefined, after: KubeObject | undefined): void {
    const { watchLagMs = 0 } = this.#options;
    const lagMs = typeof watchLagMs === "number" ? watchLagMs : watchLagMs();
    const deliver = () => {
      if (after !== undefined) this.#show(kind, after);
      else if (before !== undefined) this.remove(kind, { ...keyOf(before), uid: before.metadata.uid });
    };
    if (lagMs <= 0) {
      deliver();
      return;
    }
    const resource = resourceName(kind);
    const dueMs = Math.max(this.#env.monotonicMs() + lagMs, this.#lastDue.get(resource) ?? 0);
    this.#lastDue.set(resource, dueMs);
    this.#env.after(dueMs - this.#env.monotonicMs(), deliver);
  }

  #show(kind: Kind, object: KubeObject): void {
    const cache = this.#cache(kind);
    const key = keyText(keyOf(object));
    const before = cache.get(key);
    if (this.#buried.has(object.metadata.uid)) return;
    if (before !== undefined && !isOlder(before.metadata.resourceVersion, object.metadata.resourceVersion)) return;
    cache.set(key, object);
    this.#tell(kind, before, object);
  }

  #hide(kind: Kind, before: KubeObject): void {
    this.#cache(kind).delete(keyText(keyOf(before)));
    this.#tell(kind, before, undefined);
  }

  #tell(kind: Kind, before: KubeObject | undefined, after: KubeObject | undefined): void {
    const resource = resourceName(kind);
    for (const [id, known] of this.#indexes) if (id.startsWith(`${resource}|`)) file(known, before, after);
    for (const handler of this.#handlers.get(resource) ?? []) handler(before, after);
  }

  #cache(kind: Kind): Map<string, KubeObject> {
    const resource = resourceName(kind);
    let cached = this.#cached.get(resource);
    if (cached === undefined) {
      cached = new Map();
      this.#cached.set(resource, cached);
    }
    return cached;
  }
}

const neverAborted = new AbortController().signal;

function file(
  known: { readonly index: Index; readonly values: Map<string, Map<string, KubeObject>> },
  before: KubeObject | undefined,
  after: KubeObject | undefined,
): void {
  if (before !== undefined) for (const value of known.index.keys(before)) known.values.get(value)?.delete(keyText(keyOf(before)));
  if (after === undefined) return;
  for (const value of known.index.keys(after)) {
    const objects = known.values.get(value) ?? new Map<string, KubeObject>();
    known.values.set(value, objects.set(keyText(keyOf(after)), after));
  }
}

function found(kind: Kind, key: Key, object: KubeObject | undefined): Written<KubeObject> {
  if (object !== undefined) return { ok: true, object };
  return { ok: false, why: "notFound", message: `${resourceName(kind)} "${key.name}" not found` };
}

function selectorOf({ labelSelector }: ListOptions): (object: KubeObject) => boolean {
  if (labelSelector === undefined) return () => true;
  const parsed = parseSelector(labelSelector);
  if (!parsed.ok) throw new Error(parsed.problem);
  const matcher = matcherOf(parsed.requirements);
  return (object) => matcher.matches(object.metadata.labels);
}

function scaleOf(kind: Kind, key: Key, store: Store): Written<ScaleView> {
  const object = store.get(kind, key);
  if (object === undefined) return found(kind, key, undefined) as Failure;
  const replicas = fieldsOf(fieldsOf(object)["spec"])["replicas"];
  const selector = fieldsOf(fieldsOf(object)["status"])["labelSelector"];
  return {
    ok: true,
    object: { replicas: typeof replicas === "number" ? replicas : 0, selector: typeof selector === "string" ? selector : "" },
  };
}
