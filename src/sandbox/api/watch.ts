/** Watches: what changes from a version on, one line an event, until the client leaves or its time is over. */
import type { Cancel } from "../../env/env.ts";
import type { Change, Stored } from "../storage/store.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { badRequest, Refusal } from "./refusal.ts";
import { metadataOf, objectText, tableOf, type View } from "./render.ts";
import type { Selection } from "./select.ts";
import { LineStream } from "./stream.ts";

export const watchLimits = {
  bookmarkEveryMs: 60_000,
  /** And this long before the watch's own end, so that its client goes on from there. */
  bookmarkBeforeEndMs: 2000,
  /** A watch without a time of its own ends after this much, and half as much again by chance. */
  watchMsDefault: 1_800_000,
} as const;

export interface WatchRequest {
  readonly selection: Selection;
  readonly view: View;
  readonly query: URLSearchParams;
  readonly signal?: AbortSignal;
}

export function watchObjects(api: Api, call: Call, request: WatchRequest): LineStream {
  const { query } = request;
  const version = query.get("resourceVersion") ?? "";
  const initial = query.get("sendInitialEvents");
  const match = query.get("resourceVersionMatch");
  if (initial !== null && match !== "NotOlderThan")
    throw invalidOptions("resourceVersionMatch", "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  if (initial === null && match !== null)
    throw invalidOptions(
      "resourceVersionMatch",
      "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    );
  if (version !== "" && !/^\d+$/.test(version))
    throw badRequest(`Invalid value: "${version}": strconv.ParseUint: parsing "${version}": invalid syntax`);
  if (Number(version) > api.store.version) throw tooLarge(version, api.store.version);
  const from = Number(version || 0);
  const sendInitial = initial === "true" || (initial === null && from === 0);
  return new Watch(api, call, request).start(from, sendInitial, initial === "true");
}

function invalidOptions(field: string, message: string): Refusal {
  return new Refusal(422, "Invalid", `ListOptions.meta.k8s.io "" is invalid: ${field}: ${message}`, {
    group: "meta.k8s.io",
    kind: "ListOptions",
    causes: [{ reason: "FieldValueForbidden", message, field }],
  });
}

function tooLarge(version: string, current: number): Refusal {
  return new Refusal(504, "Timeout", `Too large resource version: ${version}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}

class Watch {
  readonly #cancels: Cancel[] = [];
  readonly #stream: LineStream;
  readonly #bookmarks: boolean;
  /** Conversions may take time; events stay in order. */
  #queue: Promise<void> | undefined;
  #firstTable = true;

  constructor(
    private readonly api: Api,
    private readonly call: Call,
    private readonly request: WatchRequest,
  ) {
    this.#bookmarks = request.query.get("allowWatchBookmarks") === "true";
    this.#stream = new LineStream(() => {
      for (const cancel of this.#cancels) cancel();
    });
  }

  start(from: number, sendInitial: boolean, markEnd: boolean): LineStream {
    const { api, call, request } = this;
    const { storage } = call.resource;
    if (sendInitial) {
      for (const object of api.store.list(storage, this.#namespace())) if (request.selection(object)) this.#send("ADDED", object);
      if (markEnd) this.#bookmark(true);
    } else {
      const missed = api.store.since(storage, from);
      if (missed === undefined) {
        this.#push(
          "ERROR",
          JSON.stringify(new Refusal(410, "Expired", `too old resource version: ${from} (${api.store.compacted})`).status),
        );
        this.#stream.end();
        return this.#stream;
      }
      for (const change of missed) this.#change(change);
    }
    this.#cancels.push(api.store.subscribe((change) => this.#change(change)));
    const endMs = api.env.monotonicMs() + this.#limitTime();
    if (this.#bookmarks) this.#bookmarkLater(endMs);
    const leave = () => this.#stream.end();
    request.signal?.addEventListener("abort", leave, { once: true });
    this.#cancels.push(() => request.signal?.removeEventListener("abort", leave));
    if (request.signal?.aborted) leave();
    return this.#stream;
  }

  #namespace(): string | undefined {
    return this.call.resource.kind.namespaced && this.call.namespace !== "" ? this.call.namespace : undefined;
  }

  #limitTime(): number {
    const { api, request } = this;
    const seconds = Number(request.query.get("timeoutSeconds") ?? 0);
    const limitMs = seconds > 0 ? seconds * 1000 : watchLimits.watchMsDefault * (1 + api.env.random() / 2);
    this.#cancels.push(api.env.after(limitMs, () => this.#stream.end()));
    return limitMs;
  }

  #bookmarkLater(endMs: number): void {
    const { env } = this.api;
    const beforeEndMs = endMs - watchLimits.bookmarkBeforeEndMs - env.monotonicMs();
    const delayMs = beforeEndMs > 0 ? Math.min(beforeEndMs, watchLimits.bookmarkEveryMs) : watchLimits.bookmarkEveryMs;
    this.#cancels.push(
      env.after(delayMs, () => {
        if (this.#stream.ended) return;
        this.#bookmark(false);
        this.#bookmarkLater(endMs);
      }),
    );
  }

  #bookmark(initialEnd: boolean): void {
    const { resource, version } = this.call;
    const apiVersion = resource.kind.group === "" ? version.name : `${resource.kind.group}/${version.name}`;
    const metadata = {
      resourceVersion: String(this.api.store.version),
      creationTimestamp: null,
      ...(initialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    };
    const { form } = this.request.view;
    const object =
      form === "object"
        ? { kind: resource.kind.kind, apiVersion, metadata }
        : form === "metadata"
          ? { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata }
          : {
              kind: "Table",
              apiVersion: "meta.k8s.io/v1",
              metadata: { resourceVersion: metadata.resourceVersion },
              columnDefinitions: null,
              rows: [{ cells: null, object: { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata } }],
            };
    const text = JSON.stringify(object);
    if (this.#queue === undefined) this.#push("BOOKMARK", text);
    else this.#enqueue("BOOKMARK", text);
  }

  #change(change: Change): void {
    if (change.resource !== this.call.resource.storage) return;
    const namespace = this.#namespace();
    const { before, after } = change;
    const any = (after ?? before) as Stored;
    if (namespace !== undefined && any.metadata.namespace !== namespace) return;
    const was = before !== undefined && this.request.selection(before);
    const is = after !== undefined && this.request.selection(after);
    if (is) this.#send(was ? "MODIFIED" : "ADDED", after);
    else if (was) this.#send("DELETED", after === undefined ? before : lastSeen(before, change.version));
  }

  #send(type: string, stored: Stored): void {
    const shown = this.api.converter.show(this.call.resource, this.call.version, stored);
    if (shown instanceof Promise || this.#queue !== undefined)
      this.#enqueue(
        type,
        Promise.resolve(shown).then((object) => this.#render(object)),
      );
    else this.#push(type, this.#render(shown));
  }

  #enqueue(type: string, text: string | Promise<string>): void {
    const before = this.#queue ?? Promise.resolve();
    const queue: Promise<void> = this.#inTurn(before, type, text).then(() => {
      if (this.#queue === queue) this.#queue = undefined;
    });
    this.#queue = queue;
  }

  async #inTurn(before: Promise<void>, type: string, text: string | Promise<string>): Promise<void> {
    try {
      await before;
      this.#push(type, await text);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, "InternalError", String(error));
      this.#push("ERROR", JSON.stringify(refusal.status));
      this.#stream.end();
    }
  }

  #render(object: Stored): string {
    const { view } = this.request;
    if (view.form === "object") return objectText(object);
    if (view.form === "metadata") return JSON.stringify(metadataOf(object));
    const table = tableOf(
      { ...view, nowMs: this.api.env.nowMs() },
      [object],
      { resourceVersion: object.metadata.resourceVersion },
      this.#firstTable,
    );
    this.#firstTable = false;
    return JSON.stringify(table);
  }

  #push(type: string, objectJson: string): void {
    this.#stream.push(`{"type":"${type}","object":${objectJson}}\n`);
  }
}

/** An object that left the selection is shown as it was, at the version of its leaving. */
function lastSeen(before: Stored, version: number): Stored {
  return { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } } as Stored;
}
