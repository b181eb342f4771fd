import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { FakeEnv } from "../env/fake.ts";
import { type Kind, keyOf, keyText } from "../kube/kind.ts";
import { nodes, pods } from "../kube/kinds.ts";
import type { KubeObject } from "../kube/types.ts";
import { openRecord, type Record, type SnapshotSource } from "./index.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kruiser-record-"));
  path = join(folder, "record.sqlite");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A watch cache of one kind. */
class Cache implements SnapshotSource {
  readonly objects = new Map<string, KubeObject>();
  version = 100;
  isSynced = true;
  readonly #handlers = new Set<(before: KubeObject | undefined, after: KubeObject | undefined) => void>();

  set(name: string, fields: object = {}): void {
    this.version += 1;
    const before = this.objects.get(`shop/${name}`);
    const metadata = {
      namespace: "shop",
      name,
      uid: `uid-${name}`,
      resourceVersion: `${this.version}`,
      creationTimestamp: "2025-01-01T00:00:00Z",
    };
    const object = { metadata, ...fields } as KubeObject;
    this.objects.set(`shop/${name}`, object);
    for (const handler of this.#handlers) handler(before, object);
  }
  drop(name: string): void {
    this.version += 1;
    const before = this.objects.get(`shop/${name}`);
    this.objects.delete(`shop/${name}`);
    for (const handler of this.#handlers) handler(before, undefined);
  }
  snapshot() {
    return this.isSynced ? { resourceVersion: `${this.version}`, objects: [...this.objects.values()] } : undefined;
  }
  get(_: Kind, key: { namespace: string; name: string }) {
    return this.objects.get(keyText(key));
  }
  subscribe(_: Kind, handler: (before: KubeObject | undefined, after: KubeObject | undefined) => void) {
    this.#handlers.add(handler);
    return () => {
      this.#handlers.delete(handler);
    };
  }
  content() {
    return Object.fromEntries(this.objects);
  }
}

async function inTime<T>(env: FakeEnv, work: Promise<T>): Promise<T> {
  let isDone = false;
  const end = () => {
    isDone = true;
  };
  work.then(end, end);
  await env.runUntil(() => isDone);
  return work;
}

async function loaded(env: FakeEnv, record: Record) {
  const snapshot = await inTime(env, record.snapshots.load(pods));
  return (
    snapshot && {
      version: snapshot.resourceVersion,
      content: Object.fromEntries(snapshot.objects.map((object) => [keyText(keyOf(object)), object])),
    }
  );
}

/** A file with `count` pods in it, closed. */
async function written(count: number, cache = new Cache()): Promise<Cache> {
  const env = new FakeEnv();
  for (let index = 0; index < count; index += 1)
    cache.set(`web-${index}`, { spec: { nodeName: `node-${index % 3}` }, status: { phase: "Running" } });
  const record = openRecord(env, path);
  record.snapshots.useSource("cluster");
  record.snapshots.follow(pods, cache);
  await inTime(env, record.close());
  return cache;
}

describe("a snapshot", () => {
  test("comes back as it was, in another process", async () => {
    const cache = await written(1_000);
    const env = new FakeEnv();
    const record = openRecord(env, path);
    record.snapshots.useSource("cluster");
    expect(await loaded(env, record)).toEqual({ version: `${cache.version}`, content: cache.content() });
    expect(await inTime(env, record.snapshots.load(nodes))).toBeUndefined();
    expect(env.lines.filter(({ level }) => level !== "info")).toEqual([]);
    await inTime(env, record.close());
  });

  test("follows what changes, and writes only that", async () => {
    const cache = await written(500);
    const env = new FakeEnv();
    const record = openRecord(env, path);
    record.snapshots.useSource("cluster");
    record.snapshots.follow(pods, cache);
    await env.advance(31_000);
    cache.set("web-1", { status: { phase: "Failed", reason: "Evicted" } });
    cache.drop("web-2");
    cache.set("new", { unknown: { of: ["any", 1, null, true] } });
    await env.advance(31_000);
    expect(await loaded(env, record)).toEqual({ version: `${cache.version}`, content: cache.content() });
    await inTime(env, record.close());
  });

  test("of a process that missed events in between is brought up to date by comparison", async () => {
    const cache = await written(50);
    cache.drop("web-7");
    cache.set("web-8", { changed: true });
    cache.set("late");
    const env = new FakeEnv();
    const record = openRecord(env, path);
    record.snapshots.useSource("cluster");
    record.snapshots.follow(pods, cache);
    await inTime(env, record.snapshots.flush());
    expect(await loaded(env, record)).toEqual({ version: `${cache.version}`, content: cache.content() });
    await inTime(env, record.close());
  });

  test("of a kind that is not in sync is left as it is", async () => {
    const cache = await written(5);
    const { version } = cache;
    const env = new FakeEnv();
    const record = openRecord(env, path);
    cache.isSynced = false;
    cache.objects.clear();
    record.snapshots.useSource("cluster");
    record.snapshots.follow(pods, cache);
    await inTime(env, record.snapshots.flush());
    const snapshot = await loaded(env, record);
    expect(snapshot?.version).toBe(`${version}`);
    expect(Object.keys(snapshot?.content ?? {})).toHaveLength(5);
    await inTime(env, record.close());
  });

  test("of another cluster is dropped", async () => {
    await written(5);
    const env = new FakeEnv();
    const record = openRecord(env, path);
    record.snapshots.useSource("another cluster");
    expect(await loaded(env, record)).toBeUndefined();
    await inTime(env, record.close());
  });

  test("is not kept in memory", async () => {
    const env = new FakeEnv();
    const record = openRecord(env, undefined);
    record.snapshots.useSource("cluster");
    record.snapshots.follow(pods, await written(3));
    await inTime(env, record.snapshots.flush());
    expect(await loaded(env, record)).toBeUndefined();
    await inTime(env, record.close());
  });

  test("is written when its kind rests, and in time when it never does", async () => {
    const env = new FakeEnv();
    const record = openRecord(env, path);
    const cache = new Cache();
    record.snapshots.useSource("cluster");
    record.snapshots.follow(pods, cache);
    const writtenVersion = async () => (await loaded(env, record))?.version;
    for (let second = 0; second < 100; second += 1) {
      cache.set("busy", { second });
      await env.advance(1_000);
    }
    expect(await writtenVersion()).toBeUndefined();
    await env.advance(31_000);
    const atRest = `${cache.version}`;
    expect(await writtenVersion()).toBe(atRest);
    for (let second = 0; second < 200; second += 1) {
      cache.set("busy", { second });
      await env.advance(1_000);
    }
    expect(await writtenVersion()).not.toBe(atRest);
    await inTime(env, record.close());
  });

  test("the version moves on while nothing changes", async () => {
    const cache = await written(5);
    const env = new FakeEnv();
    const record = openRecord(env, path);
    record.snapshots.useSource("cluster");
    record.snapshots.follow(pods, cache);
    await env.advance(31_000);
    cache.version += 1_000;
    await env.advance(31_000);
    expect((await loaded(env, record))?.version).toBe(`${cache.version}`);
    await inTime(env, record.close());
  });

  test("a process that dies between two writes leaves the last whole one", async () => {
    const cache = await written(20);
    const before = { version: `${cache.version}`, content: cache.content() };
    const env = new FakeEnv();
    const record = openRecord(env, path);
    record.snapshots.useSource("cluster");
    record.snapshots.follow(pods, cache);
    await env.advance(31_000);
    for (let index = 0; index < 20; index += 1) cache.set(`web-${index}`, { changed: true });
    // The files as they are on the disk now: nothing of the changes has been written.
    const copy = join(folder, "copy.sqlite");
    for (const suffix of ["", "-wal"]) writeFileSync(copy + suffix, readFileSync(path + suffix));
    const after = new FakeEnv();
    const survivor = openRecord(after, copy);
    survivor.snapshots.useSource("cluster");
    expect(await loaded(after, survivor)).toEqual(before);
    await inTime(after, survivor.close());
    await inTime(env, record.close());
  });

  test("any history of changes and flushes ends in what the cache shows", async () => {
    const changes = fc.array(
      fc.oneof(
        fc.record({
          do: fc.constant("set" as const),
          name: fc.constantFrom("a", "b", "c", "d"),
          fields: fc.dictionary(fc.constantFrom("x", "y", "spec"), fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>),
        }),
        fc.record({ do: fc.constant("drop" as const), name: fc.constantFrom("a", "b", "c", "d") }),
        fc.record({ do: fc.constant("flush" as const) }),
        fc.record({ do: fc.constant("restart" as const) }),
      ),
      { maxLength: 25 },
    );
    await fc.assert(
      fc.asyncProperty(changes, async (changes) => {
        rmSync(path, { force: true });
        const env = new FakeEnv();
        const cache = new Cache();
        const open = () => {
          const record = openRecord(env, path);
          record.snapshots.useSource("cluster");
          record.snapshots.follow(pods, cache);
          return record;
        };
        let record = open();
        for (const change of changes) {
          if (change.do === "set") cache.set(change.name, change.fields);
          else if (change.do === "drop") cache.drop(change.name);
          else if (change.do === "flush") await inTime(env, record.snapshots.flush());
          else {
            await inTime(env, record.close());
            record = open();
          }
        }
        await inTime(env, record.close());
        record = openRecord(env, path);
        record.snapshots.useSource("cluster");
        // As JSON: a snapshot holds what the wire can hold.
        expect(await loaded(env, record)).toEqual({ version: `${cache.version}`, content: JSON.parse(JSON.stringify(cache.content())) });
        await inTime(env, record.close());
      }),
      { numRuns: 30 },
    );
  }, 60_000);
});

test("whatever bytes of the file are wrong: a snapshot is right or not there, and the process lives", async () => {
  const cache = await written(120);
  const good = readFileSync(path);
  const expected = { version: `${cache.version}`, content: cache.content() };
  const damage = fc.oneof(
    fc.record({ how: fc.constant("flip" as const), at: fc.nat(good.length - 1), bits: fc.integer({ min: 1, max: 255 }) }),
    fc.record({ how: fc.constant("truncate" as const), at: fc.nat(good.length - 1), bits: fc.constant(0) }),
    fc.record({ how: fc.constant("zero" as const), at: fc.nat(good.length - 1), bits: fc.constant(4096) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
      let bytes = Buffer.from(good);
      for (const { how, at, bits } of damages) {
        if (how === "flip") bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ bits;
        else if (how === "zero") bytes.fill(0, at % bytes.length, Math.min(bytes.length, (at % bytes.length) + bits));
        else bytes = bytes.subarray(0, Math.max(1, at));
      }
      for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
      writeFileSync(path, bytes);
      const env = new FakeEnv();
      const record = openRecord(env, path);
      record.snapshots.useSource("cluster");
      const snapshot = await loaded(env, record);
      if (snapshot !== undefined) expect(snapshot).toEqual(expected);
      // And it can be used from here on.
      record.snapshots.follow(pods, cache);
      record.history.moved({
        owner: { of: pods, namespace: "shop", name: "web", uid: "u" },
        on: "web-1",
        revision: "a",
        how: "create",
        atMs: env.nowMs(),
      });
      await inTime(env, record.snapshots.flush());
      record.history.rollouts(pods, { namespace: "shop", name: "web" });
      await inTime(env, record.close());
    }),
    { numRuns: 120 },
  );
}, 60_000);
