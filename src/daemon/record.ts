/**
 * What the daemon has begun and finished on its node, kept beyond its own life: after a crash a finished kill is not repeated, and an
 * interrupted one goes on where it was. It is a memory, not a source of truth: without it the daemon decides from what the runtime shows.
 */
import type { Database } from "bun:sqlite";
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import type { Env } from "../env/env.ts";
import { RecordFile } from "../record/file.ts";

export const daemonRecordLimits = {
  /** Deeds remembered, newest first. */
  deedsMax: 2000,
  ageMsMax: 7 * 24 * 3600 * 1000,
  fileBytesMax: 16 * 1024 * 1024,
  /** Writes between two clean-ups. */
  pruneEvery: 200,
} as const;

/** "kill": key is the container's ID. "pull": key is for the puller to say. */
export type DeedKind = "kill" | "pull";

export interface Deed<B> {
  readonly key: string;
  readonly beganMs: number;
  /** Undefined: it was begun, and nothing is known of its end. */
  readonly endedMs?: number;
  readonly body: B;
}

interface Row {
  readonly key: string;
  readonly began_at: number;
  readonly ended_at: number | null;
  readonly body: string;
}

const autoDirectory = "/var/lib/kruise";

/** @param flag of `--record-path`: "auto", "memory" or a path. @returns undefined for memory */
export function recordPath(flag: string, directory: string = autoDirectory): string | undefined {
  if (flag === "memory" || flag === "") return undefined;
  if (flag !== "auto") return flag;
  try {
    if (!existsSync(directory)) return undefined;
    accessSync(directory, constants.W_OK);
    return join(directory, "daemon.sqlite");
  } catch {
    return undefined;
  }
}

export class DaemonRecord {
  readonly #env: Env;
  readonly #file: RecordFile;
  #writes = 0;

  /** @param path absent: memory only */
  constructor(env: Env, path?: string) {
    this.#env = env;
    this.#file = new RecordFile(env, path, daemonRecordLimits.fileBytesMax);
    this.#file.onRenewed(() => this.#createTable());
    this.#createTable();
    this.#prune();
  }

  /** Where it is kept: a path, or "memory". */
  get place(): string {
    const { place } = this.#file;
    return place.in === "file" ? place.path : "memory";
  }

  /** Before the effect: from now on it may have happened. Again for the same key: what is known of it changes. */
  begin<B extends object>(kind: DeedKind, key: string, body: B): void {
    this.#write((database) =>
      database.run(
        "INSERT INTO deed (kind, key, began_at, body) VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, ended_at = NULL",
        [kind, key, Math.round(this.#env.nowMs()), JSON.stringify(body)],
      ),
    );
  }

  /** After the effect, whatever came of it. */
  end<B extends object>(kind: DeedKind, key: string, body: B): void {
    this.#write((database) =>
      database.run("UPDATE deed SET ended_at = ?, body = ? WHERE kind = ? AND key = ?", [
        Math.round(this.#env.nowMs()),
        JSON.stringify(body),
        kind,
        key,
      ]),
    );
  }

  forget(kind: DeedKind, key: string): void {
    this.#write((database) => database.run("DELETE FROM deed WHERE kind = ? AND key = ?", [kind, key]));
  }

  get<B extends object>(kind: DeedKind, key: string): Deed<B> | undefined {
    const row = this.#file.attempt((database) =>
      database.query<Row, [string, string]>("SELECT key, began_at, ended_at, body FROM deed WHERE kind = ? AND key = ?").get(kind, key),
    );
    return row ? deedOf<B>(row) : undefined;
  }

  /** All of a kind, oldest first. */
  all<B extends object>(kind: DeedKind): readonly Deed<B>[] {
    const rows = this.#file.attempt((database) =>
      database.query<Row, [string]>("SELECT key, began_at, ended_at, body FROM deed WHERE kind = ? ORDER BY began_at").all(kind),
    );
    return (rows ?? []).map((row) => deedOf<B>(row));
  }

  close(): void {
    this.#file.close();
  }

  #write(work: (database: Database) => unknown): void {
    this.#file.write(work);
    this.#writes += 1;
    if (this.#writes % daemonRecordLimits.pruneEvery === 0) this.#prune();
  }

  #createTable(): void {
    this.#file.write((database) =>
      database.run(
        `CREATE TABLE IF NOT EXISTS deed (
           kind TEXT NOT NULL, key TEXT NOT NULL, began_at INTEGER NOT NULL, ended_at INTEGER, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID`,
      ),
    );
  }

  #prune(): void {
    const { ageMsMax, deedsMax } = daemonRecordLimits;
    this.#file.write((database) => {
      database.run("DELETE FROM deed WHERE began_at < ?", [Math.round(this.#env.nowMs() - ageMsMax)]);
      database.run("DELETE FROM deed WHERE (kind, key) IN (SELECT kind, key FROM deed ORDER BY began_at DESC LIMIT -1 OFFSET ?)", [
        deedsMax,
      ]);
    });
  }
}

function deedOf<B>({ key, began_at, ended_at, body }: Row): Deed<B> {
  return { key, beganMs: began_at, ...(ended_at === null ? {} : { endedMs: ended_at }), body: JSON.parse(body) as B };
}
