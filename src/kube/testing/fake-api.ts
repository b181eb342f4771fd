/**
 * A small API server in the process, for tests of the protocol: objects with uid and resourceVersion, lists in pages, watches with
 * bookmarks and a bounded memory. It validates nothing and runs no admission.
 */
import type { Fetch, HttpRequest, HttpResponse } from "../../env/network.ts";
import { applyMergePatch } from "../patch/merge.ts";
import type { KubeObject } from "../types.ts";

export interface FakeEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
  readonly version: number;
}

export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

type Intercept = (request: Recorded) => HttpResponse | "drop" | undefined | Promise<HttpResponse | "drop" | undefined>;

interface Watcher {
  readonly collection: string;
  readonly namespace: string | undefined;
  send(line: unknown): void;
  end(): void;
}

interface Route {
  readonly collection: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  readonly query: URLSearchParams;
}

export class FakeApi {
  /** The latest version handed out. */
  version = 100;
  /** Whether the server lists through the watch. */
  streamingList = true;
  readonly requests: Recorded[] = [];
  /** Asked first for every request: an answer instead of the server's, or "drop" for a broken connection. */
  intercept: Intercept | undefined;
  private readonly objects = new Map<string, Map<string, KubeObject>>();
  private readonly served = new Set<string>();
  private history: (FakeEvent & { readonly collection: string })[] = [];
  private readonly watchers = new Set<Watcher>();
  private forgottenVersion = 0;
  private uid = 0;

  /** @param collections their paths without a namespace: "/api/v1/pods" */
  constructor(...collections: readonly string[]) {
    for (const collection of collections) this.serve(collection);
  }

  readonly fetch: Fetch = async (url, request) => {
    const path = url.replace(/^https?:\/\/[^/]+/, "");
    const recorded: Recorded = { method: request.method, path, headers: request.headers, body: request.body };
    this.requests.push(recorded);
    const instead = await this.intercept?.(recorded);
    if (instead === "drop") throw Object.assign(new Error("The socket connection was closed unexpectedly"), { code: "ECONNRESET" });
    if (request.signal?.aborted) throw new DOMException("aborted", "AbortError");
    return instead ?? this.answer(request, this.route(path));
  };

  serve(collection: string): void {
    this.served.add(collection);
    if (!this.objects.has(collection)) this.objects.set(collection, new Map());
  }
  unserve(collection: string): void {
    this.served.delete(collection);
    this.objects.get(collection)?.clear();
    for (const watcher of [...this.watchers]) if (watcher.collection === collection) watcher.end();
  }

  /** Writes as somebody else would. */
  put(collection: string, object: { metadata: Partial<KubeObject["metadata"]> } & Record<string, unknown>): KubeObject {
    const store = this.of(collection);
    const id = idOf(object.metadata);
    const before = store.get(id);
    this.uid += before ? 0 : 1;
    this.version += 1;
    const stored = structuredClone({
      ...object,
      metadata: {
        creationTimestamp: "2025-01-01T00:00:00Z",
        ...object.metadata,
        uid: before?.metadata.uid ?? `uid-${this.uid}`,
        resourceVersion: String(this.version),
        managedFields: [{ manager: "test", operation: "Update" }],
      },
    }) as unknown as KubeObject;
    store.set(id, stored);
    this.publish(collection, before ? "MODIFIED" : "ADDED", stored);
    return stored;
  }
  remove(collection: string, name: string, namespace = ""): void {
    const store = this.of(collection);
    const before = store.get(idOf({ name, namespace }));
    if (!before) return;
    store.delete(idOf({ name, namespace }));
    this.version += 1;
    this.publish(collection, "DELETED", { ...before, metadata: { ...before.metadata, resourceVersion: String(this.version) } });
  }
  object(collection: string, name: string, namespace = ""): KubeObject | undefined {
    return this.of(collection).get(idOf({ name, namespace }));
  }
  all(collection: string): readonly KubeObject[] {
    return [...this.of(collection).values()];
  }

  get watching(): number {
    return this.watchers.size;
  }
  bookmark(): void {
    for (const watcher of this.watchers)
      watcher.send({ type: "BOOKMARK", object: { metadata: { resourceVersion: String(this.version) } } });
  }
  /** Ends all watches, as a server does that goes away. */
  endWatches(): void {
    for (const watcher of [...this.watchers]) watcher.end();
  }
  /** Forgets what happened until now: watches from before get 410. */
  compact(): void {
    this.history = [];
    this.forgottenVersion = this.version;
  }
  /** Changes the store without telling any watch, of now or later: what a lost event looks like. */
  silently(change: () => void): void {
    const watchers = [...this.watchers];
    const history = [...this.history];
    this.watchers.clear();
    change();
    this.history = history;
    for (const watcher of watchers) this.watchers.add(watcher);
  }

  private of(collection: string): Map<string, KubeObject> {
    const store = this.objects.get(collection);
    if (!store) throw new Error(`not served: ${collection}`);
    return store;
  }

  private publish(collection: string, type: FakeEvent["type"], object: KubeObject): void {
    this.history.push({ type, object, version: this.version, collection });
    for (const watcher of this.watchers) {
      if (watcher.collection === collection && inNamespace(object, watcher.namespace)) watcher.send({ type, object });
    }
  }

  private route(path: string): Route {
    const [bare = "", query = ""] = path.split("?");
    const parts = bare.split("/").filter((part) => part !== "");
    const head = parts.splice(0, parts[0] === "api" ? 2 : 3);
    const namespace = parts[0] === "namespaces" && parts.length > 2 ? parts.splice(0, 2)[1] : undefined;
    const [plural, name, subresource] = parts;
    return { collection: `/${[...head, plural].join("/")}`, namespace, name, subresource, query: new URLSearchParams(query) };
  }

  private answer(request: HttpRequest, route: Route): HttpResponse {
    if (!this.served.has(route.collection)) return status(404, "NotFound", "the server could not find the requested resource");
    switch (request.method) {
      case "GET":
        if (route.name !== undefined) return this.getOne(route);
        return route.query.has("watch") ? this.watch(request, route) : this.list(route);
      case "POST":
        return this.create(request, route);
      case "PUT":
      case "PATCH":
        return this.change(request, route);
      default:
        return this.delete(request, route);
    }
  }

  private getOne({ collection, name = "", namespace }: Route): HttpResponse {
    const object = this.object(collection, name, namespace);
    return object ? json(200, object) : status(404, "NotFound", `${name} not found`);
  }

  private list({ collection, namespace, query }: Route): HttpResponse {
    const limit = Number(query.get("limit") ?? 0) || Number.POSITIVE_INFINITY;
    const token = query.get("continue");
    const [listVersion, from] = token ? (token.split(":").map(Number) as [number, number]) : [this.version, 0];
    if (listVersion < this.forgottenVersion) return status(410, "Expired", "The provided continue parameter is too old");
    const all = this.all(collection).filter((object) => inNamespace(object, namespace));
    const items = all.slice(from, from + limit);
    const more = from + limit < all.length;
    const metadata = { resourceVersion: String(listVersion), ...(more && { continue: `${listVersion}:${from + limit}` }) };
    return json(200, { kind: "List", apiVersion: "v1", metadata, items });
  }

  private watch(request: HttpRequest, { collection, namespace, query }: Route): HttpResponse {
    const initial = query.get("sendInitialEvents") === "true";
    if (initial && !this.streamingList)
      return status(422, "Invalid", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled");
    const from = Number(query.get("resourceVersion") ?? 0);
    if (!initial && from < this.forgottenVersion) return status(410, "Expired", "too old resource version");
    const body = new LineQueue();
    const watcher: Watcher = {
      collection,
      namespace,
      send: (line) => body.push(line),
      end: () => {
        this.watchers.delete(watcher);
        body.end();
      },
    };
    if (initial) {
      for (const object of this.all(collection)) if (inNamespace(object, namespace)) watcher.send({ type: "ADDED", object });
      const metadata = { resourceVersion: String(this.version), annotations: { "k8s.io/initial-events-end": "true" } };
      watcher.send({ type: "BOOKMARK", object: { metadata } });
    } else {
      for (const event of this.history) {
        if (event.version > from && event.collection === collection && inNamespace(event.object, namespace))
          watcher.send({ type: event.type, object: event.object });
      }
    }
    this.watchers.add(watcher);
    request.signal?.addEventListener("abort", () => watcher.end(), { once: true });
    return { status: 200, headers: noHeaders, body, text: async () => "" };
  }

  private create(request: HttpRequest, route: Route): HttpResponse {
    const object = JSON.parse(request.body ?? "{}") as KubeObject;
    const metadata = { ...object.metadata, ...(route.namespace !== undefined && { namespace: route.namespace }) };
    if (this.object(route.collection, metadata.name, metadata.namespace))
      return status(409, "AlreadyExists", `${metadata.name} already exists`);
    return json(201, this.put(route.collection, { ...object, metadata }));
  }

  /** PUT and merge patches; of subresources it knows none. */
  private change(request: HttpRequest, route: Route): HttpResponse {
    const before = this.object(route.collection, route.name ?? "", route.namespace);
    if (!before) return status(404, "NotFound", `${route.name} not found`);
    const given = JSON.parse(request.body ?? "{}") as Partial<KubeObject>;
    const { resourceVersion, uid } = given.metadata ?? {};
    if ((resourceVersion && resourceVersion !== before.metadata.resourceVersion) || (uid && uid !== before.metadata.uid))
      return status(409, "Conflict", "the object has been modified");
    const after = request.method === "PUT" ? given : applyMergePatch(before, given);
    return json(200, this.put(route.collection, after as KubeObject & Record<string, unknown>));
  }

  private delete(request: HttpRequest, route: Route): HttpResponse {
    const before = this.object(route.collection, route.name ?? "", route.namespace);
    if (!before) return status(404, "NotFound", `${route.name} not found`);
    const { preconditions } = JSON.parse(request.body || "{}") as { preconditions?: { uid?: string } };
    if (preconditions?.uid !== undefined && preconditions.uid !== before.metadata.uid)
      return status(409, "Conflict", "the UID in the precondition differs");
    this.remove(route.collection, route.name ?? "", route.namespace);
    return json(200, { kind: "Status", apiVersion: "v1", status: "Success", details: { uid: before.metadata.uid } });
  }
}

const noHeaders = { get: () => null };

export function json(code: number, value: unknown, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  const text = JSON.stringify(value);
  const lines = new LineQueue();
  lines.pushText(text);
  lines.end();
  return { status: code, headers: { get: (name) => headers[name.toLowerCase()] ?? null }, body: lines, text: async () => text };
}

export function status(code: number, reason: string, message: string, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  return json(code, { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message }, headers);
}

function idOf(metadata: { name?: string; namespace?: string }): string {
  return `${metadata.namespace ?? ""}/${metadata.name ?? ""}`;
}

function inNamespace(object: KubeObject, namespace: string | undefined): boolean {
  return namespace === undefined || object.metadata.namespace === namespace;
}

const encoder = new TextEncoder();

/** A body that grows. */
class LineQueue implements AsyncIterable<Uint8Array> {
  private readonly chunks: Uint8Array[] = [];
  private wake: (() => void) | undefined;
  private ended = false;

  push(line: unknown): void {
    this.pushText(`${JSON.stringify(line)}\n`);
  }
  pushText(text: string): void {
    this.chunks.push(encoder.encode(text));
    this.wake?.();
  }
  end(): void {
    this.ended = true;
    this.wake?.();
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const chunk = this.chunks.shift();
      if (chunk) yield chunk;
      else if (this.ended) return;
      else
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
    }
  }
}
