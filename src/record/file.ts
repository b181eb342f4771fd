/**
 * The SQLite file under the record, which may be missing, torn, full, read-only, somebody else's or of the future: none of that is worth
 * more than a clear line in the log. What is damaged is moved aside and begun anew; what cannot be written is replaced by memory.
 */
import { Database } from "bun:sqlite";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Env } from "../env/env.ts";
import { recordLimits } from "./limits.ts";
import { applicationId, createTables, schemaVersion, upgradeTables } from "./schema.ts";

export type Place = { readonly in: "file"; readonly path: string } | { readonly in: "memory"; readonly why: string };

/** What went wrong decides what to do. */
type Trouble = "damaged" | "newer" | "foreign" | "unusable";

class Unfit extends Error {
  constructor(
    readonly trouble: Trouble,
    message: string,
  ) {
    super(message);
  }
}

export class RecordFile {
  readonly #env: Env;
  readonly #path: string | undefined;
  readonly #bytesMax: number;
  #database: Database;
  #place: Place;
  /** A transaction that stays open over several turns of the event loop; other writes join it. */
  #isWriting = false;
  #isClosed = false;
  #renewed: (() => void)[] = [];

  constructor(env: Env, path: string | undefined, bytesMax: number = recordLimits.fileBytesMax) {
    this.#env = env;
    this.#path = path;
    this.#bytesMax = bytesMax;
    const opened = this.#open();
    this.#database = opened.database;
    this.#place = opened.place;
  }

  get place(): Place {
    return this.#place;
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.attempt((database) => pragma(database, "page_count") * pragma(database, "page_size")) ?? 0;
  }

  /** `handler` runs when the file was replaced by an empty one, or by memory: what was written before is not there any more. */
  onRenewed(handler: () => void): void {
    this.#renewed.push(handler);
  }

  /** Reads. Undefined when the file turned out to be unusable: it has been replaced by then. */
  attempt<T>(work: (database: Database) => T): T | undefined {
    if (this.#isClosed) return undefined;
    try {
      return work(this.#database);
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  /** Writes, all or nothing. Undefined when that failed. */
  write<T>(work: (database: Database) => T): T | undefined {
    if (this.#isWriting) return this.attempt(work);
    return this.attempt((database) => {
      database.run("BEGIN IMMEDIATE");
      try {
        const result = work(database);
        database.run("COMMIT");
        return result;
      } catch (error) {
        rollBack(database);
        throw error;
      }
    });
  }

  /** Writes over several turns of the event loop, all or nothing. Whatever else is written meanwhile shares its fate. */
  async writeSliced(work: (database: Database) => Promise<void>): Promise<boolean> {
    if (this.#isClosed || this.#isWriting) return false;
    const database = this.#database;
    this.#isWriting = true;
    try {
      database.run("BEGIN IMMEDIATE");
      await work(database);
      database.run("COMMIT");
      return true;
    } catch (error) {
      rollBack(database);
      if (database === this.#database && !this.#isClosed) this.#failed(error);
      return false;
    } finally {
      this.#isWriting = false;
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.attempt((database) => {
      database.run("UPDATE meta SET value = 'yes' WHERE name = 'clean'");
      if (this.#place.in === "file") database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    });
    this.#isClosed = true;
    closeQuietly(this.#database);
  }

  #open(): { database: Database; place: Place } {
    const path = this.#path;
    if (path === undefined) return inMemory("no path is given");
    for (const isSecondTry of [false, true]) {
      try {
        return { database: openFile(path, this.#bytesMax), place: { in: "file", path } };
      } catch (error) {
        const { trouble, message } = troubleOf(error);
        const why = `${path}: ${message}`;
        if (isSecondTry || trouble === "unusable" || trouble === "foreign" || !this.#moveAside(path, trouble, message)) {
          this.#env.log.warn(
            { path, problem: message },
            "the record cannot be kept in its file; it is kept in memory and lost with the process",
          );
          return inMemory(why);
        }
      }
    }
    return inMemory(path);
  }

  #failed(error: unknown): void {
    const { trouble, message } = troubleOf(error);
    if (error instanceof TypeError || isOurMistake(error)) {
      this.#env.log.error({ err: error }, "the record was used wrongly; this entry is lost");
      return;
    }
    closeQuietly(this.#database);
    this.#isWriting = false;
    const path = this.#path;
    const isMoved = path !== undefined && this.#place.in === "file" && trouble === "damaged" && this.#moveAside(path, trouble, message);
    if (!isMoved)
      this.#env.log.warn(
        { path, problem: message },
        "the record cannot be written any more; it is kept in memory and lost with the process",
      );
    const opened = isMoved ? this.#open() : inMemory(message);
    this.#database = opened.database;
    this.#place = opened.place;
    for (const handler of this.#renewed) handler();
  }

  /** "record.sqlite" → "record.sqlite.corrupt-20250101T000000Z", with what SQLite keeps beside it. */
  #moveAside(path: string, trouble: Trouble, problem: string): boolean {
    const time = new Date(this.#env.nowMs()).toISOString().replace(/[-:]|\.\d+/g, "");
    const aside = `${path}.${trouble === "newer" ? "newer" : "corrupt"}-${time}`;
    try {
      for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
      this.#env.log.warn({ path, movedTo: aside, problem }, "the record could not be used; it was moved aside and a new one begun");
      dropOldest(path);
      return true;
    } catch (error) {
      this.#env.log.warn({ path, problem: String(error) }, "the record could not be moved aside");
      return false;
    }
  }
}

function openFile(path: string, bytesMax: number): Database {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (existsSync(path) && !statSync(path).isFile()) throw new Unfit("unusable", "is not a file");
  const database = new Database(path, { create: true, strict: true });
  try {
    // One process, one file: two writers would undo each other's snapshots.
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    const appId = pragma(database, "application_id");
    const version = pragma(database, "user_version");
    const tables = database.query<{ count: number }, []>("SELECT count(*) AS count FROM sqlite_schema").get()?.count ?? 0;
    if (tables > 0 && appId !== applicationId) throw new Unfit("foreign", "is a database of another program; it is left alone");
    if (version > schemaVersion)
      throw new Unfit("newer", `was written by a newer version (schema ${version}, this one knows ${schemaVersion})`);
    database.run("PRAGMA journal_mode = WAL");
    // A machine that dies may tear the file, which the seals find out; a process that dies does not. No loop waits for a disk.
    database.run("PRAGMA synchronous = OFF");
    database.run("PRAGMA cache_size = -2048");
    database.run("PRAGMA journal_size_limit = 8388608");
    database.run(`PRAGMA max_page_count = ${Math.max(16, Math.floor(bytesMax / pragma(database, "page_size")))}`);
    if (tables === 0) createTables(database);
    else {
      check(database);
      upgradeTables(database, version);
    }
    database.run("UPDATE meta SET value = 'no' WHERE name = 'clean'");
    chmodSync(path, 0o600);
    return database;
  } catch (error) {
    closeQuietly(database);
    throw error;
  }
}

/** After a clean stop the file is as it was left; only otherwise is it worth reading all of it. */
function check(database: Database): void {
  const clean = database.query<{ value: string }, []>("SELECT value FROM meta WHERE name = 'clean'").get()?.value;
  if (clean === "yes") return;
  const problem = database.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get()?.quick_check;
  if (problem !== "ok") throw new Unfit("damaged", problem ?? "cannot be checked");
}

function inMemory(why: string): { database: Database; place: Place } {
  const database = new Database(":memory:", { strict: true });
  createTables(database);
  return { database, place: { in: "memory", why } };
}

function troubleOf(error: unknown): { readonly trouble: Trouble; readonly message: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Unfit) return { trouble: error.trouble, message };
  const code = codeOf(error);
  // A table or column that should be there and is not: the file is ours by its mark, and not by its content.
  const isDamaged =
    code.startsWith("SQLITE_CORRUPT") || code.startsWith("SQLITE_NOTADB") || code === "SQLITE_ERROR" || code.startsWith("SQLITE_SCHEMA");
  return { trouble: isDamaged ? "damaged" : "unusable", message: code === "" ? message : `${message} (${code})` };
}

function isOurMistake(error: unknown): boolean {
  return /^SQLITE_(CONSTRAINT|MISUSE|RANGE|MISMATCH)/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}

function pragma(database: Database, name: string): number {
  const row = database.query<Record<string, number>, []>(`PRAGMA ${name}`).get();
  return Number(row?.[name] ?? 0);
}

function rollBack(database: Database): void {
  try {
    database.run("ROLLBACK");
  } catch {
    // SQLite may have rolled back by itself, or the file is gone: either way nothing of it is left.
  }
}

function closeQuietly(database: Database): void {
  try {
    database.close();
  } catch {
    // It is not going to be used again.
  }
}

function dropOldest(path: string): void {
  const folder = dirname(path);
  const name = basename(path);
  const asides = readdirSync(folder)
    .filter((file) => /\.(corrupt|newer)-\d{8}T\d{6}Z$/.test(file) && file.startsWith(`${name}.`))
    .sort((a, b) => (a.slice(-16) < b.slice(-16) ? 1 : -1));
  for (const file of asides.slice(recordLimits.asideFilesMax))
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, file + suffix), { force: true });
}
