/** The tables of the record. A change of them is a new `schemaVersion`, with a step from the one before. */
import type { Database } from "bun:sqlite";

/** "KRUR", so that no other program's file is mistaken for a record. */
export const applicationId = 0x4b525552;
export const schemaVersion = 2;

export function createTables(database: Database): void {
  run(database, [...statements, ...snapshots, `PRAGMA application_id = ${applicationId}`]);
}

/** From an older version's tables to these. */
export function upgradeTables(database: Database, version: number): void {
  // Version 1 had its objects in a form of their own. They come again by themselves; the history stays.
  if (version < 2) run(database, ["DROP TABLE snapshot_kind", "DROP TABLE snapshot_object", ...snapshots]);
}

function run(database: Database, each: readonly string[]): void {
  database.run("BEGIN");
  for (const statement of each) database.run(statement);
  database.run(`PRAGMA user_version = ${schemaVersion}`);
  database.run("COMMIT");
}

const statements = [
  "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
  "INSERT INTO meta VALUES ('clean', 'no')",
  "CREATE TABLE owner (id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL)",
  "CREATE INDEX owner_name ON owner (resource, namespace, name)",
  "CREATE TABLE rollout (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, revision TEXT NOT NULL, started_at INTEGER NOT NULL, last_at INTEGER NOT NULL)",
  "CREATE INDEX rollout_owner ON rollout (owner, started_at)",
  `CREATE TABLE move (
    rollout INTEGER NOT NULL, subject TEXT NOT NULL, moved_at INTEGER NOT NULL, how TEXT NOT NULL, landed_at INTEGER,
    PRIMARY KEY (rollout, subject, moved_at)) WITHOUT ROWID`,
  `CREATE TABLE hold (
    owner INTEGER NOT NULL, code TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (owner, code, since)) WITHOUT ROWID`,
];

const snapshots = [
  // `seal` covers the row and, through `sum`, every object of the kind: a snapshot is right or not there.
  `CREATE TABLE snapshot_kind (
    id INTEGER PRIMARY KEY, resource TEXT NOT NULL UNIQUE, version TEXT NOT NULL, objects INTEGER NOT NULL, sum INTEGER NOT NULL,
    seal INTEGER NOT NULL)`,
  // JSON (docs/decisions/008).
  `CREATE TABLE snapshot_object (
    kind INTEGER NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, hash INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, key)) WITHOUT ROWID`,
];
