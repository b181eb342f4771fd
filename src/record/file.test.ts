import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeEnv } from "../env/fake.ts";
import { pods } from "../kube/kinds.ts";
import { openRecord, type Record } from "./index.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kruiser-record-"));
  path = join(folder, "deeper", "record.sqlite");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const owner = { of: pods, namespace: "shop", name: "web", uid: "u" };
const tell = (record: Record, env: FakeEnv, on: string) =>
  record.history.moved({ owner, on, revision: "a", how: "create", atMs: env.nowMs() });
const told = (record: Record) => record.history.rollouts(pods, owner).flatMap(({ moves }) => moves.map(({ on }) => on));
const warnings = (env: FakeEnv) => env.lines.filter(({ level }) => level === "warn" || level === "error").map(({ message }) => message);
const asides = () => readdirSync(join(folder, "deeper")).filter((file) => file.includes(".corrupt-") || file.includes(".newer-"));

async function filled(): Promise<void> {
  const env = new FakeEnv();
  const record = openRecord(env, path);
  for (let index = 0; index < 500; index += 1) tell(record, env, `web-${index}`);
  await record.close();
}

test("makes its folder and file, for nobody else to read", async () => {
  const env = new FakeEnv();
  const record = openRecord(env, path);
  expect(record.place).toEqual({ in: "file", path });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  tell(record, env, "web-1");
  await record.close();
  const again = openRecord(env, path);
  expect(told(again)).toEqual(["web-1"]);
  expect(warnings(env)).toEqual([]);
  await again.close();
});

test("without a path it is kept in memory, and says nothing of it", async () => {
  const env = new FakeEnv();
  const record = openRecord(env, undefined);
  tell(record, env, "web-1");
  expect(told(record)).toEqual(["web-1"]);
  expect(record.place).toEqual({ in: "memory", why: "no path is given" });
  expect(warnings(env)).toEqual([]);
  await record.close();
});

describe("damage", () => {
  test.each([
    ["no database at all", () => writeFileSync(path, "this is a text file, not a database. ".repeat(200))],
    ["torn after its first page", () => truncateSync(path, 4096)],
    ["torn in the middle", () => truncateSync(path, Math.floor(statSync(path).size / 2))],
    [
      "overwritten in the middle",
      () => {
        const bytes = readFileSync(path);
        bytes.fill(0xff, 4096, 20_000);
        writeFileSync(path, bytes);
      },
    ],
    [
      "without its tables",
      () => {
        const database = new Database(path);
        database.run("DROP TABLE move");
        database.close();
      },
    ],
  ])("%s: moved aside, and begun anew", async (_, damage) => {
    await filled();
    damage();
    const env = new FakeEnv();
    const record = openRecord(env, path);
    // Some damage shows only when it is read.
    told(record);
    tell(record, env, "after");
    expect(told(record)).toContain("after");
    expect(record.place).toEqual({ in: "file", path });
    expect(asides()).toContain("record.sqlite.corrupt-20250101T000000Z");
    expect(warnings(env)).toEqual(["the record could not be used; it was moved aside and a new one begun"]);
    await record.close();
  });

  test("an empty file is a new one", async () => {
    mkdirSync(join(folder, "deeper"));
    writeFileSync(path, "");
    const env = new FakeEnv();
    const record = openRecord(env, path);
    expect(record.place.in).toBe("file");
    expect(warnings(env)).toEqual([]);
    await record.close();
  });

  test("only the newest damaged files are kept", async () => {
    for (let round = 0; round < 4; round += 1) {
      await filled();
      writeFileSync(path, "broken");
      const env = new FakeEnv({ startMs: Date.UTC(2025, 0, 1 + round) });
      await openRecord(env, path).close();
    }
    expect(asides().sort()).toEqual(["record.sqlite.corrupt-20250103T000000Z", "record.sqlite.corrupt-20250104T000000Z"]);
  });
});

test("a file of a newer version is moved aside, not touched", async () => {
  await filled();
  const database = new Database(path);
  database.run("PRAGMA user_version = 99");
  database.close();
  const env = new FakeEnv();
  const record = openRecord(env, path);
  expect(record.place.in).toBe("file");
  expect(asides()).toEqual(["record.sqlite.newer-20250101T000000Z"]);
  expect(env.lines.find(({ level }) => level === "warn")?.fields).toMatchObject({
    problem: "was written by a newer version (schema 99, this one knows 2)",
  });
  await record.close();
});

test("a file of an older version goes on: its history is kept, its objects are not", async () => {
  await filled();
  const database = new Database(path);
  database.run("ALTER TABLE snapshot_kind ADD COLUMN shapes BLOB NOT NULL DEFAULT x'90'");
  database.run("INSERT INTO snapshot_kind VALUES (1, 'pods', '7', 1, 0, 0, x'90')");
  database.run("PRAGMA user_version = 1");
  database.close();
  const env = new FakeEnv();
  const record = openRecord(env, path);
  expect(record.place).toEqual({ in: "file", path });
  expect(told(record)).toHaveLength(500);
  expect(await record.snapshots.load(pods)).toBeUndefined();
  expect(warnings(env)).toEqual([]);
  await record.close();
});

test("a database of another program is left alone", async () => {
  mkdirSync(join(folder, "deeper"));
  const database = new Database(path, { create: true });
  database.run("CREATE TABLE precious (value TEXT)");
  database.close();
  const env = new FakeEnv();
  const record = openRecord(env, path);
  expect(record.place.in).toBe("memory");
  expect(asides()).toEqual([]);
  await record.close();
  const after = new Database(path);
  expect(after.query("SELECT count(*) AS count FROM precious").get()).toEqual({ count: 0 });
  after.close();
});

test.each([
  ["a folder", () => mkdirSync(path, { recursive: true })],
  [
    "under a file",
    () => {
      writeFileSync(join(folder, "deeper"), "");
    },
  ],
])("a path that is %s: memory, with a line that says why", async (_, prepare) => {
  prepare();
  const env = new FakeEnv();
  const record = openRecord(env, path);
  expect(record.place.in).toBe("memory");
  tell(record, env, "web-1");
  expect(told(record)).toEqual(["web-1"]);
  expect(env.lines.filter(({ level }) => level === "warn")).toMatchObject([{ fields: { path } }]);
  await record.close();
});

test("a read-only file system: memory", async () => {
  const env = new FakeEnv();
  const record = openRecord(env, "/proc/kruiser/record.sqlite");
  expect(record.place.in).toBe("memory");
  expect(warnings(env)).toHaveLength(1);
  await record.close();
});

test("a file that another process holds: memory, and the file is left alone", async () => {
  const env = new FakeEnv();
  const first = openRecord(env, path);
  tell(first, env, "web-1");
  expect(told(first)).toEqual(["web-1"]);
  const second = openRecord(env, path);
  expect(second.place).toMatchObject({ in: "memory", why: expect.stringContaining("SQLITE_BUSY") });
  tell(second, env, "web-2");
  expect(told(second)).toEqual(["web-2"]);
  await second.close();
  expect(told(first)).toEqual(["web-1"]);
  await first.close();
});

test("a full disk: it goes on in memory, and the file keeps what it had", async () => {
  const env = new FakeEnv();
  const record = openRecord(env, path, { fileBytesMax: 160 * 1024 });
  for (let index = 0; index < 5_000; index += 1) tell(record, env, `a-pod-with-quite-a-long-name-${index}`);
  await env.advance(60_000);
  expect(record.place).toMatchObject({ in: "memory", why: expect.stringContaining("SQLITE_FULL") });
  expect(warnings(env)).toEqual(["the record cannot be written any more; it is kept in memory and lost with the process"]);
  tell(record, env, "last");
  expect(told(record)).toContain("last");
  await record.close();
  expect(existsSync(path)).toBe(true);
  expect(statSync(path).size).toBeLessThanOrEqual(160 * 1024);
  const again = openRecord(env, path);
  expect(again.place.in).toBe("file");
  await again.close();
});

test("a file that is torn while it is used is moved aside, and the record goes on", async () => {
  await filled();
  const env = new FakeEnv();
  const record = openRecord(env, path);
  const bytes = readFileSync(path);
  bytes.fill(0xff, 4096);
  writeFileSync(path, bytes);
  tell(record, env, "during");
  told(record);
  tell(record, env, "after");
  expect(told(record)).toContain("after");
  await record.close();
});
