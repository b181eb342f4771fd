/**
 * What one namespace holds, kept up to date by raw watches of the test's own: every version of every object in the order in which the
 * server made them, whatever the product's own caches believe.
 */
import type { KubeObject } from "../../src/kube/types.ts";
import type { ApiClient } from "../rig/index.ts";

export interface Change<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: T;
  /** The version before, absent for a new object. */
  readonly before?: T;
}

const reconnectMs = 100;

export class Mirror<T extends KubeObject> {
  /** Everything that happened since the start, in order. */
  readonly changes: Change<T>[] = [];
  /** How often the watch lost its place and had to list again: what happened in between was not seen. */
  gaps = 0;
  private readonly byUid = new Map<string, T>();
  private readonly listeners = new Set<(change?: Change<T>) => void>();
  private readonly ending = new AbortController();
  private newest = 0n;

  private constructor(
    private readonly client: ApiClient,
    private readonly path: string,
  ) {}

  static async start<T extends KubeObject>(client: ApiClient, path: string): Promise<Mirror<T>> {
    const mirror = new Mirror<T>(client, path);
    await mirror.relist();
    void mirror.follow();
    return mirror;
  }

  /** By name; of two objects of one name the older first. */
  get objects(): T[] {
    return [...this.byUid.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0));
  }

  /** Told of every change, and once more after a relist. @returns stops it */
  listen(listener: (change?: Change<T>) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Whether everything up to this version has been seen. */
  has(resourceVersion: string): boolean {
    return this.newest >= BigInt(resourceVersion);
  }

  close(): void {
    this.ending.abort();
  }

  private async follow(): Promise<void> {
    while (!this.ending.signal.aborted) {
      try {
        const query = `watch=1&allowWatchBookmarks=true&resourceVersion=${this.newest}`;
        for await (const { type, object } of this.client.watch<T>(`${this.path}?${query}`, this.ending.signal)) {
          if (type === "ERROR") throw new Error(JSON.stringify(object));
          if (type === "BOOKMARK") this.advance(object.metadata.resourceVersion);
          else this.take(type, object);
        }
      } catch (error) {
        if (this.ending.signal.aborted) return;
        if (/\b410\b|too old/i.test(String(error))) await this.relist().catch(() => {});
        await Bun.sleep(reconnectMs);
      }
    }
  }

  private async relist(): Promise<void> {
    const list = await this.client.must<{ metadata: { resourceVersion: string }; items: T[] }>("GET", this.path);
    const present = new Set(list.items.map(({ metadata }) => metadata.uid));
    if (this.newest > 0n) this.gaps += 1;
    for (const object of [...this.byUid.values()]) if (!present.has(object.metadata.uid)) this.take("DELETED", object);
    for (const object of list.items) {
      const known = this.byUid.get(object.metadata.uid);
      if (known?.metadata.resourceVersion !== object.metadata.resourceVersion) this.take(known ? "MODIFIED" : "ADDED", object);
    }
    this.advance(list.metadata.resourceVersion);
    for (const listener of [...this.listeners]) listener();
  }

  private take(type: Change<T>["type"], object: T): void {
    const before = this.byUid.get(object.metadata.uid);
    if (type === "DELETED") this.byUid.delete(object.metadata.uid);
    else this.byUid.set(object.metadata.uid, object);
    const change: Change<T> = { type, object, ...(before === undefined ? {} : { before }) };
    this.changes.push(change);
    this.advance(object.metadata.resourceVersion);
    for (const listener of [...this.listeners]) listener(change);
  }

  private advance(resourceVersion: string): void {
    const version = BigInt(resourceVersion);
    if (version > this.newest) this.newest = version;
  }
}

type Truthy<T> = Exclude<T, false | 0 | "" | null | undefined>;

const deadlineMs = 90_000;

/**
 * Waits until `holds` answers something truthy, asked again at every change of any of the mirrors.
 * @param seen what to tell when the deadline passes
 * @throws Error naming `what` and what was seen last
 */
export async function until<T>(
  mirrors: readonly Pick<Mirror<KubeObject>, "listen">[],
  what: string,
  holds: () => T,
  options: { readonly timeoutMs?: number; readonly seen?: () => string } = {},
): Promise<Truthy<T>> {
  const first = holds();
  if (first) return first as Truthy<T>;
  const { promise, resolve, reject } = Promise.withResolvers<Truthy<T>>();
  const look = (): void => {
    try {
      const value = holds();
      if (value) resolve(value as Truthy<T>);
    } catch (error) {
      reject(error);
    }
  };
  const stops = mirrors.map((mirror) => mirror.listen(look));
  const timeoutMs = options.timeoutMs ?? deadlineMs;
  const timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms for ${what}; ${options.seen?.() ?? ""}`)), timeoutMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    for (const stop of stops) stop();
  }
}
