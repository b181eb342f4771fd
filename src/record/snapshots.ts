/**
 * What the watch cache showed, kind by kind, with the version it was at: a process that starts takes the watch up from there instead of
 * listing the world. A snapshot is whole and right, or it is not given: every object is sealed, and so is the kind.
 *
 * Objects are kept as JSON: the runtime reads it natively, three times as fast as JavaScript reads anything more compact (5,000 pods: 90 ms of
 * CPU time, where MessagePack with shared shapes took 300), and this is most of what a start costs (docs/decisions/008).
 *
 * Objects are written after the fact, those that changed since the last time, in slices; the version is written last and in the same
 * transaction, so it is never newer than the objects.
 */
import type { Database } from "bun:sqlite";
import type { Cancel, Env } from "../env/env.ts";
import { isFields } from "../kube/json.ts";
import { type Key, type Kind, keyOf, keyText, resourceName } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { RecordFile } from "./file.ts";
import { recordLimits } from "./limits.ts";
import { Pace } from "./pace.ts";

/** What is read of the watch cache. */
export interface SnapshotSource {
  /** Undefined while the kind is not in sync. The list is of one moment and does not change afterwards. */
  snapshot(kind: Kind): { readonly resourceVersion: string; readonly objects: readonly KubeObject[] } | undefined;
  get(kind: Kind, key: Key): Readonly<KubeObject> | undefined;
  subscribe(kind: Kind, handler: (before: Readonly<KubeObject> | undefined, after: Readonly<KubeObject> | undefined) => void): Cancel;
}

export interface Loaded {
  readonly resourceVersion: string;
  readonly objects: readonly KubeObject[];
}

interface Followed {
  readonly kind: Kind;
  readonly resource: string;
  readonly source: SnapshotSource;
  readonly unsubscribe: Cancel;
  /** Changed since the last write; undefined: everything has to be compared. */
  dirty: Map<string, Key> | undefined;
  /** Of the last change, and of the first that is not written; on the monotonic clock. */
  changedAtMs: number;
  dirtySinceMs: number | undefined;
  id: number;
  version: string;
  objects: number;
  sum: number;
}

interface KindRow {
  readonly id: number;
  readonly resource: string;
  readonly version: string;
  readonly objects: number;
  readonly sum: number;
  readonly seal: number;
}

export class Snapshots {
  readonly #env: Env;
  readonly #file: RecordFile;
  readonly #followed = new Map<string, Followed>();
  #timer: Cancel | undefined;
  #flushing: Promise<void> | undefined;
  #isGivenUp = false;

  constructor(env: Env, file: RecordFile) {
    this.#env = env;
    this.#file = file;
    file.onRenewed(() => this.#beginAnew());
  }

  /**
   * Whose world this is: everything that makes a snapshot right or wrong for this process (the cluster's uid, the namespace it is held to,
   * the version of the program). Snapshots of another one are dropped. To be called before `load`.
   */
  useSource(id: string): void {
    this.#file.write((database) => {
      const known = database.query<{ value: string }, []>("SELECT value FROM meta WHERE name = 'source'").get()?.value;
      if (known === id) return;
      database.run("DELETE FROM snapshot_object");
      database.run("DELETE FROM snapshot_kind");
      database.run("INSERT INTO meta VALUES ('source', ?) ON CONFLICT DO UPDATE SET value = excluded.value", [id]);
    });
  }

  /** The last snapshot of a kind; undefined when there is none that is whole. Read in slices. */
  async load(kind: Kind): Promise<Loaded | undefined> {
    const resource = resourceName(kind);
    const row = this.#file.attempt((database) => kindRow(database, resource));
    if (row === undefined || row === null) return undefined;
    try {
      return await this.#read(row);
    } catch (error) {
      this.#env.log.warn(
        { resource, problem: String(error) },
        "the snapshot of this kind is damaged; it is dropped, and the kind is listed",
      );
      this.#file.write((database) => dropKind(database, row.id));
      return undefined;
    }
  }

  /** Keeps the snapshot of a kind up to date from now on. */
  follow(kind: Kind, source: SnapshotSource): void {
    const resource = resourceName(kind);
    if (this.#file.place.in === "memory" || this.#isGivenUp || this.#followed.has(resource)) return;
    const followed: Followed = {
      kind,
      resource,
      source,
      unsubscribe: source.subscribe(kind, (before, after) => {
        const object = after ?? before;
        followed.changedAtMs = this.#env.monotonicMs();
        followed.dirtySinceMs ??= followed.changedAtMs;
        if (object === undefined || followed.dirty === undefined) return;
        const key = keyOf(object);
        followed.dirty.set(keyText(key), key);
      }),
      dirty: undefined,
      changedAtMs: Number.NEGATIVE_INFINITY,
      dirtySinceMs: undefined,
      id: 0,
      version: "",
      objects: 0,
      sum: 0,
    };
    this.#followed.set(resource, followed);
    this.#timer ??= this.#env.after(recordLimits.flushIntervalMs, () => this.#tick());
  }

  /** Writes what changed since the last time. Resolves when it is in the file. */
  async flush(): Promise<void> {
    await this.#run(() => true);
  }

  async #run(isDue: (followed: Followed) => boolean): Promise<void> {
    await this.#flushing;
    this.#flushing ??= this.#flush(isDue).finally(() => {
      this.#flushing = undefined;
    });
    await this.#flushing;
  }

  #isDue({ changedAtMs, dirtySinceMs }: Followed): boolean {
    const nowMs = this.#env.monotonicMs();
    if (nowMs - changedAtMs >= recordLimits.flushQuietMs) return true;
    return dirtySinceMs !== undefined && nowMs - dirtySinceMs >= recordLimits.flushDelayMsMax;
  }

  /** Stops following. What has not been flushed is not written. */
  async close(): Promise<void> {
    this.#timer?.();
    this.#timer = undefined;
    await this.#flushing;
    for (const { unsubscribe } of this.#followed.values()) unsubscribe();
    this.#followed.clear();
  }

  #tick(): void {
    this.#timer = undefined;
    void this.#run((followed) => this.#isDue(followed)).then(() => {
      if (this.#followed.size > 0) this.#timer ??= this.#env.after(recordLimits.flushIntervalMs, () => this.#tick());
    });
  }

  async #flush(isDue: (followed: Followed) => boolean): Promise<void> {
    const changed = [...this.#followed.values()].filter((followed) => {
      if (!isDue(followed)) return false;
      const { dirty, kind, source, version } = followed;
      if (dirty === undefined || dirty.size > 0) return true;
      return source.snapshot(kind)?.resourceVersion !== version;
    });
    const pace = new Pace(this.#env);
    for (const followed of changed) {
      if (this.#file.place.in === "memory") return;
      const now = followed.source.snapshot(followed.kind);
      if (now !== undefined) await this.#flushKind(followed, now, pace);
      await pace.rest();
    }
    if (changed.length > 0 && this.#file.bytes > recordLimits.snapshotBytesMax) this.#giveUp();
  }

  async #flushKind(followed: Followed, now: Loaded, pace: Pace): Promise<void> {
    const { dirty } = followed;
    followed.dirty = new Map();
    followed.dirtySinceMs = undefined;
    const isWritten = await this.#file.writeSliced(async (database) => {
      if (dirty === undefined) await writeAll(database, followed, now.objects, pace);
      else await writeDirty(database, followed, dirty, pace);
      seal(database, followed, now.resourceVersion);
    });
    // Nothing was written: all of it is still to do, from the beginning, since the counts are not to be trusted either.
    if (!isWritten) followed.dirty = undefined;
  }

  async #read(row: KindRow): Promise<Loaded> {
    if (row.seal !== sealOf(row)) throw new Error("the seal is broken");
    const pace = new Pace(this.#env);
    const objects: KubeObject[] = [];
    let sum = 0;
    let last = "";
    for (;;) {
      const rows = this.#file.attempt((database) =>
        database
          .query<{ key: string; hash: number; body: string }, [number, string]>(
            `SELECT key, hash, body FROM snapshot_object WHERE kind = ? AND key > ? ORDER BY key LIMIT ${recordLimits.chunkObjectsMax}`,
          )
          .all(row.id, last),
      );
      if (rows === undefined) throw new Error("the file cannot be read");
      for (const { key, hash, body } of rows) {
        if (Bun.hash.crc32(body) !== hash) throw new Error(`the object ${key} is damaged`);
        objects.push(objectIn(body));
        sum = (sum + hash) % 2 ** 32;
        last = key;
        await pace.step();
      }
      if (rows.length < recordLimits.chunkObjectsMax) break;
    }
    if (objects.length !== row.objects || sum !== row.sum) throw new Error("objects are missing");
    return { resourceVersion: row.version, objects };
  }

  #beginAnew(): void {
    for (const followed of this.#followed.values()) {
      followed.dirty = undefined;
      followed.version = "";
    }
  }

  #giveUp(): void {
    this.#isGivenUp = true;
    this.#env.log.warn(
      { bytesMax: recordLimits.snapshotBytesMax },
      "snapshots have become too large for the record; the next start lists the world",
    );
    for (const { unsubscribe } of this.#followed.values()) unsubscribe();
    this.#followed.clear();
    this.#file.write((database) => {
      database.run("DELETE FROM snapshot_object");
      database.run("DELETE FROM snapshot_kind");
    });
  }
}

function kindRow(database: Database, resource: string): KindRow | null {
  return database.query<KindRow, [string]>("SELECT * FROM snapshot_kind WHERE resource = ?").get(resource);
}

function dropKind(database: Database, id: number): void {
  database.run("DELETE FROM snapshot_object WHERE kind = ?", [id]);
  database.run("DELETE FROM snapshot_kind WHERE id = ?", [id]);
}

/** Compares everything: what an earlier process wrote may be of another moment. */
async function writeAll(database: Database, followed: Followed, objects: readonly KubeObject[], pace: Pace): Promise<void> {
  const row = kindRow(database, followed.resource);
  followed.id = row?.id ?? begin(database, followed);
  followed.objects = 0;
  followed.sum = 0;
  const stored = new Map<string, string>();
  for (const { key, version, hash } of database
    .query<{ key: string; version: string; hash: number }, [number]>("SELECT key, version, hash FROM snapshot_object WHERE kind = ?")
    .all(followed.id)) {
    stored.set(key, version);
    followed.objects += 1;
    followed.sum = (followed.sum + hash) % 2 ** 32;
  }
  for (const object of objects) {
    const key = keyText(keyOf(object));
    const version = stored.get(key);
    stored.delete(key);
    if (version !== object.metadata.resourceVersion) write(database, followed, key, object);
    await pace.step();
  }
  for (const key of stored.keys()) {
    write(database, followed, key, undefined);
    await pace.step();
  }
}

async function writeDirty(database: Database, followed: Followed, dirty: ReadonlyMap<string, Key>, pace: Pace): Promise<void> {
  for (const [text, key] of dirty) {
    write(database, followed, text, followed.source.get(followed.kind, key));
    await pace.step();
  }
}

function begin(database: Database, { resource }: Followed): number {
  database.run("INSERT INTO snapshot_kind (resource, version, objects, sum, seal) VALUES (?, '', 0, 0, -1)", [resource]);
  return kindRow(database, resource)?.id ?? 0;
}

function write(database: Database, followed: Followed, key: string, object: Readonly<KubeObject> | undefined): void {
  const before = database
    .query<{ hash: number }, [number, string]>("SELECT hash FROM snapshot_object WHERE kind = ? AND key = ?")
    .get(followed.id, key);
  if (before !== null) {
    followed.sum = (followed.sum - before.hash + 2 ** 32) % 2 ** 32;
    followed.objects -= 1;
  }
  if (object === undefined) {
    if (before !== null) database.run("DELETE FROM snapshot_object WHERE kind = ? AND key = ?", [followed.id, key]);
    return;
  }
  const body = JSON.stringify(object);
  const hash = Bun.hash.crc32(body);
  database
    .query(
      "INSERT INTO snapshot_object VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version, hash = excluded.hash, body = excluded.body",
    )
    .run(followed.id, key, object.metadata.resourceVersion, hash, body);
  followed.sum = (followed.sum + hash) % 2 ** 32;
  followed.objects += 1;
}

/** The last thing of a kind to be written: from here on the snapshot is whole. */
function seal(database: Database, followed: Followed, version: string): void {
  followed.version = version;
  const { id, resource, objects, sum } = followed;
  database.run("UPDATE snapshot_kind SET version = ?, objects = ?, sum = ?, seal = ? WHERE id = ?", [
    version,
    objects,
    sum,
    sealOf({ resource, version, objects, sum }),
    id,
  ]);
}

function sealOf({ resource, version, objects, sum }: Omit<KindRow, "id" | "seal">): number {
  return Bun.hash.crc32(`${resource}|${version}|${objects}|${sum}`);
}

/** @throws when the text is not an object */
function objectIn(text: string): KubeObject {
  const object: unknown = JSON.parse(text);
  if (!isFields(object) || !isFields(object["metadata"])) throw new Error("not an object");
  return object as unknown as KubeObject;
}
