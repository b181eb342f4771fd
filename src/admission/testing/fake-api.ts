/** An API server in a map: resourceVersions, preconditions, change notices, and a record of every request. */
import type { Draft, LiveReader, Writer } from "../../kube/access.ts";
import { deepEqual } from "../../kube/json.ts";
import { type Key, type Kind, keyText } from "../../kube/kind.ts";
import type { Failure, Written } from "../../kube/outcome.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { Subscribe, WatchTarget } from "../webhook-controller.ts";

interface Subscription {
  readonly target: WatchTarget;
  readonly changed: (key: Key, resourceVersion: string | undefined) => void;
}

export class FakeApi {
  /** "get secrets/kruise-system/kruise-webhook-certs", in order. */
  readonly requests: string[] = [];
  /** Answers instead of the server, when it returns something. */
  refuse: (verb: string, path: string) => Failure | undefined = () => undefined;
  /** Runs between the arrival of a request and its answer. */
  before: (verb: string, path: string) => void | Promise<void> = () => {};
  private readonly objects = new Map<string, KubeObject>();
  private readonly subscriptions = new Set<Subscription>();
  private version = 100;

  readonly live: LiveReader = {
    get: <T extends KubeObject>(kind: Kind<T>, key: Key) =>
      this.answer<T>("get", pathOf(kind, key), () => {
        const object = this.objects.get(pathOf(kind, key));
        return object ? { ok: true, object: structuredClone(object) as T } : notFound(pathOf(kind, key));
      }),
    list: <T extends KubeObject>(kind: Kind<T>) =>
      this.answer<readonly T[]>("list", kind.plural, () => ({ ok: true, object: this.list(kind) })),
    scale: () => Promise.reject(new Error("nothing scales here")),
  };

  readonly write: Writer = {
    create: <T extends KubeObject>(kind: Kind<T>, draft: Draft<T>) => {
      const object = draft as unknown as T;
      const path = pathOf(kind, keyOf(object));
      return this.answer<T>("create", path, () => {
        if (this.objects.has(path)) return { ok: false, why: "alreadyExists", message: `${path} already exists` };
        return { ok: true, object: this.put(kind, object) };
      });
    },
    update: <T extends KubeObject>(kind: Kind<T>, object: T) => {
      const path = pathOf(kind, keyOf(object));
      return this.answer<T>("update", path, () => {
        const present = this.objects.get(path);
        if (!present) return notFound(path);
        if (object.metadata.resourceVersion !== present.metadata.resourceVersion)
          return { ok: false, why: "conflict", message: `${path} was modified` };
        return { ok: true, object: this.put(kind, object) };
      });
    },
    patch: () => Promise.reject(new Error("the manager has no patch here")),
    apply: () => Promise.reject(new Error("nothing applies here")),
    delete: () => Promise.reject(new Error("nothing deletes here")),
    evict: () => Promise.reject(new Error("nothing evicts here")),
  };

  readonly subscribe: Subscribe = (target, changed) => {
    const subscription = { target, changed };
    this.subscriptions.add(subscription);
    return () => this.subscriptions.delete(subscription);
  };

  /** What an administrator does. */
  put<T extends KubeObject>(kind: Kind<T>, object: T): T {
    this.version += 1;
    const stored = structuredClone(object);
    const { webhooks } = stored as { webhooks?: unknown };
    const before = this.objects.get(pathOf(kind, keyOf(stored))) as (KubeObject & { webhooks?: unknown }) | undefined;
    const generation = (before?.metadata.generation ?? 1) + (before !== undefined && !deepEqual(before.webhooks, webhooks) ? 1 : 0);
    stored.metadata = {
      ...stored.metadata,
      resourceVersion: String(this.version),
      // Of the kinds that are looked at here only webhook configurations count theirs.
      ...(webhooks !== undefined && { generation }),
    };
    this.objects.set(pathOf(kind, keyOf(stored)), stored);
    this.notify(kind, keyOf(stored), stored.metadata.resourceVersion);
    return structuredClone(stored);
  }
  change<T extends KubeObject>(kind: Kind<T>, key: Key, change: (object: T) => void): void {
    const object = this.get(kind, key);
    if (!object) throw new Error(`no ${pathOf(kind, key)}`);
    change(object);
    this.put(kind, object);
  }
  get<T extends KubeObject>(kind: Kind<T>, key: Key): T | undefined {
    const object = this.objects.get(pathOf(kind, key));
    return object && (structuredClone(object) as T);
  }
  list<T extends KubeObject>(kind: Kind<T>): readonly T[] {
    const prefix = `${kind.plural}/`;
    return [...this.objects].flatMap(([path, object]) => (path.startsWith(prefix) ? [structuredClone(object) as T] : []));
  }
  remove(kind: Kind, key: Key): void {
    if (this.objects.delete(pathOf(kind, key))) this.notify(kind, key, undefined);
  }
  writes(): string[] {
    return this.requests.filter((request) => !request.startsWith("get ") && !request.startsWith("list "));
  }

  private async answer<T>(verb: string, path: string, answer: () => Written<T>): Promise<Written<T>> {
    this.requests.push(`${verb} ${path}`);
    await this.before(verb, path);
    return this.refuse(verb, path) ?? answer();
  }

  private notify(kind: Kind, key: Key, version: string | undefined): void {
    for (const { target, changed } of this.subscriptions) {
      if (target.of.plural !== kind.plural || (target.name !== undefined && target.name !== key.name)) continue;
      if (target.namespace !== undefined && target.namespace !== key.namespace) continue;
      queueMicrotask(() => changed(key, version));
    }
  }
}

function keyOf(object: KubeObject): Key {
  return { namespace: object.metadata.namespace ?? "", name: object.metadata.name };
}
function pathOf(kind: Kind, key: Key): string {
  return `${kind.plural}/${keyText(key)}`;
}
function notFound(path: string): Failure {
  return { ok: false, why: "notFound", message: `${path} not found` };
}
