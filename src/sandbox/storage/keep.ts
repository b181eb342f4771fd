/** Keeps the store in a file, so that a sandbox can be taken up where it was left. Written a moment after the change, in one transaction. */
import { Database } from "bun:sqlite";
import { dirname } from "node:path";
import type { Cancel, Env } from "../../env/env.ts";
import { type Change, metaKey, type Store, type Stored, storeKey } from "./store.ts";

const writeDelayMs = 50;

export interface Kept {
  readonly version: number;
  readonly objects: readonly (readonly [string, Stored])[];
}

export class Keep {
  readonly #database: Database;
  readonly #pending = new Map<string, Change>();
  #timer: Cancel | undefined;

  /** @throws Error when the file cannot be opened, or another process has it */
  constructor(
    private readonly env: Env,
    path: string,
  ) {
    this.#database = new Database(path, { create: true, strict: true });
    try {
      // Two sandboxes on one file would each undo what the other wrote.
      this.#database.run("PRAGMA locking_mode = EXCLUSIVE");
      this.#database.run("PRAGMA journal_mode = WAL");
      this.#database.run("BEGIN IMMEDIATE");
      this.#database.run("COMMIT");
    } catch (error) {
      if ((error as { code?: string }).code === "SQLITE_BUSY")
        throw new Error(`${dirname(path)} is in use by another sandbox`, { cause: error });
      throw error;
    }
    this.#database.run(
      "CREATE TABLE IF NOT EXISTS objects (resource TEXT, key TEXT, json TEXT NOT NULL, PRIMARY KEY (resource, key)) STRICT",
    );
    this.#database.run("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT");
  }

  fact(name: string): string | undefined {
    const row = this.#database.query<{ value: string }, [string]>("SELECT value FROM facts WHERE name = ?").get(name);
    return row?.value;
  }

  setFact(name: string, value: string): void {
    this.#database.query("INSERT OR REPLACE INTO facts VALUES (?, ?)").run(name, value);
  }

  /** @returns undefined for a new file */
  read(): Kept | undefined {
    const version = this.fact("version");
    if (version === undefined) return undefined;
    const rows = this.#database.query<{ resource: string; json: string }, []>("SELECT resource, json FROM objects").all();
    return { version: Number(version), objects: rows.map(({ resource, json }) => [resource, JSON.parse(json) as Stored]) };
  }

  /** Follows the store from now on. */
  follow(store: Store): void {
    store.subscribe((change) => {
      const object = (change.after ?? change.before) as Stored;
      this.#pending.set(`${change.resource} ${storeKey(metaKey(object))}`, change);
      this.#timer ??= this.env.after(writeDelayMs, () => this.flush());
    });
  }

  flush(): void {
    this.#timer?.();
    this.#timer = undefined;
    if (this.#pending.size === 0) return;
    const put = this.#database.query("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)");
    const drop = this.#database.query("DELETE FROM objects WHERE resource = ? AND key = ?");
    this.#database.transaction(() => {
      let version = 0;
      for (const { resource, before, after, version: at } of this.#pending.values()) {
        version = Math.max(version, at);
        const key = storeKey(metaKey((after ?? before) as Stored));
        if (after === undefined) drop.run(resource, key);
        else put.run(resource, key, JSON.stringify(after));
      }
      this.setFact("version", String(version));
    })();
    this.#pending.clear();
  }

  close(): void {
    this.flush();
    this.#database.close();
  }
}
