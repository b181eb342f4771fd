/**
 * The watch cache of the manager, taken up from the record where it left off: a restart then resumes its watches instead of listing the
 * world again.
 */
import { cachePort } from "../engine/kube-ports.ts";
import type { CachePort } from "../engine/ports.ts";
import type { Env } from "../env/env.ts";
import type { WatchCache } from "../kube/cache/watch-cache.ts";
import type { KubeClient } from "../kube/client.ts";
import { type Kind, resourceName } from "../kube/kind.ts";
import { configMaps, namespaces, secrets } from "../kube/kinds.ts";
import type { Record as LocalRecord } from "../record/index.ts";

/** What people trust the API server with stays there. */
const neverRecorded: ReadonlySet<string> = new Set([resourceName(secrets), resourceName(configMaps)]);

export class Caches implements CachePort {
  readonly #env: Env;
  readonly #cache: WatchCache;
  readonly #port: CachePort;
  readonly #record: LocalRecord;
  /** Whether snapshots belong to this cluster; they are of no use before that is known. */
  readonly #source: Promise<boolean>;
  readonly #ensured = new Map<string, Promise<void>>();

  /** @param scope what else makes a snapshot right or wrong: the namespace the cache is held to, the version of the program */
  constructor(env: Env, cache: WatchCache, record: LocalRecord, client: KubeClient, scope: string) {
    this.#env = env;
    this.#cache = cache;
    this.#port = cachePort(cache);
    this.#record = record;
    this.#source = record.place.in === "file" ? this.#identify(client, scope) : Promise.resolve(false);
  }

  ensure(kind: Kind): void {
    const name = resourceName(kind);
    if (!this.#ensured.has(name)) this.#ensured.set(name, this.#begin(kind, name));
  }

  async synced(kind: Kind): Promise<void> {
    await this.#ensured.get(resourceName(kind));
    await this.#port.synced(kind);
  }

  /** Resolves when each kind is in sync or known not to be served, however long that takes; says so every `noticeMs`. */
  async settled(kinds: readonly Kind[], noticeMs: number): Promise<void> {
    await Promise.all(kinds.map((kind) => this.#ensured.get(resourceName(kind))));
    while (!this.#env.stopped.aborted) {
      const { settled, pending } = await this.#cache.whenSettled(kinds, noticeMs);
      if (settled) return;
      const waiting = pending.map(({ kind, why }) => `${resourceName(kind)}: ${why}`);
      this.#env.log.warn({ waiting }, "admission waits for its caches: what they do not show yet would pass unseen");
    }
  }

  holds: CachePort["holds"] = (kind) => this.#cache.has(kind) && this.#port.holds(kind);
  subscribe: CachePort["subscribe"] = (kind, handler) => this.#port.subscribe(kind, handler);
  put: CachePort["put"] = (kind, object) => this.#port.put(kind, object);
  remove: CachePort["remove"] = (kind, ref) => this.#port.remove(kind, ref);

  async #begin(kind: Kind, name: string): Promise<void> {
    const recorded = !neverRecorded.has(name) && (await this.#source);
    try {
      const known = recorded ? await this.#record.snapshots.load(kind) : undefined;
      if (known) await this.#cache.restore(kind, known);
    } catch (error) {
      this.#env.log.warn({ resource: name, error: String(error) }, "what the record knows is of no use; listing instead");
    }
    this.#cache.ensure(kind);
    if (recorded) this.#record.snapshots.follow(kind, this.#cache);
  }

  /** A cluster is known by the uid of its oldest namespace. */
  async #identify(client: KubeClient, scope: string): Promise<boolean> {
    const answer = await client.get(namespaces, { namespace: "", name: "kube-system" });
    if (!answer.ok) return false;
    this.#record.snapshots.useSource(`${answer.object.metadata.uid} ${scope}`);
    return true;
  }
}
