import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Moved } from "../engine/ports.ts";
import { startHouse } from "../engine/testing/harness.ts";
import { herdController } from "../engine/testing/herd.ts";
import { type Herd, herds } from "../engine/testing/kinds.ts";
import { FakeEnv } from "../env/fake.ts";
import { pods } from "../kube/kinds.ts";
import { RecordFile } from "./file.ts";
import { History } from "./history.ts";
import { openRecord, type Record } from "./index.ts";
import { Pace } from "./pace.ts";
import { prune } from "./prune.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kruiser-record-"));
  path = join(folder, "record.sqlite");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const owner = { of: herds, namespace: "shop", name: "web", uid: "u" };
const startMs = Date.UTC(2025, 0, 1);
const move = (record: Record, on: string, revision: string, how: Moved["how"], afterMs: number) =>
  record.history.moved({ owner, on, revision, how, atMs: startMs + afterMs });
const story = (record: Record) =>
  record.history
    .rollouts(herds, owner)
    .map(({ revision, moves }) => [
      revision,
      ...moves.map(
        ({ on, how, movedMs, landedMs }) => `${on} ${how} ${movedMs - startMs}${landedMs === undefined ? "" : `→${landedMs - startMs}`}`,
      ),
    ]);

test("who moved when, how, and how long it took", async () => {
  const record = openRecord(new FakeEnv(), path);
  move(record, "a", "1", "create", 0);
  move(record, "b", "1", "create", 5);
  record.history.landed(owner, (on) => on === "a", startMs + 100);
  record.history.landed(owner, () => true, startMs + 200);
  move(record, "a", "2", "inPlace", 1_000);
  record.history.landed(owner, (on, revision) => revision === "1" && on === "a", startMs + 1_100);
  move(record, "b", "2", "delete", 1_200);
  expect(story(record)).toEqual([
    ["2", "a inPlace 1000", "b delete 1200→1200"],
    ["1", "a create 0→100", "b create 5→200"],
  ]);
  await record.close();
});

test("scaling during a rollout begins no other one; going back does", async () => {
  const record = openRecord(new FakeEnv(), undefined);
  move(record, "a", "1", "create", 0);
  move(record, "a", "2", "inPlace", 10);
  move(record, "b", "1", "create", 20);
  move(record, "c", "1", "delete", 30);
  move(record, "a", "1", "inPlace", 40);
  expect(story(record)).toEqual([
    ["1", "a inPlace 40"],
    ["2", "a inPlace 10", "b create 20", "c delete 30→30"],
    ["1", "a create 0"],
  ]);
  await record.close();
});

test("what held the rest, from when to when", async () => {
  const record = openRecord(new FakeEnv(), path);
  move(record, "a", "2", "inPlace", 0);
  record.history.held(
    owner,
    [{ code: "HeldByPartition", count: 3, names: ["b", "c", "d"], figures: { kept: 3 }, sinceMs: startMs + 10 }],
    startMs + 10,
  );
  record.history.held(
    owner,
    [
      { code: "HeldByPartition", count: 2, names: ["c", "d"], figures: { kept: 2 }, sinceMs: startMs + 10 },
      { code: "HeldByHook", count: 1, names: ["b"], sinceMs: startMs + 50 },
    ],
    startMs + 50,
  );
  record.history.held(owner, [{ code: "HeldByHook", count: 1, names: ["b"], sinceMs: startMs + 50 }], startMs + 90);
  expect(record.history.rollouts(herds, owner)[0]?.held).toEqual([
    { code: "HeldByPartition", sinceMs: startMs + 10, untilMs: startMs + 90, count: 3, names: ["c", "d"], figures: { kept: 2 } },
    { code: "HeldByHook", sinceMs: startMs + 50, count: 1, names: ["b"] },
  ]);
  await record.close();
});

test("what is open goes on in the next process", async () => {
  const first = openRecord(new FakeEnv(), path);
  move(first, "a", "1", "create", 0);
  first.history.held(owner, [{ code: "Held", count: 1, names: ["b"], sinceMs: startMs }], startMs);
  await first.close();
  const second = openRecord(new FakeEnv(), path);
  second.history.landed(owner, () => true, startMs + 500);
  second.history.held(owner, [], startMs + 600);
  expect(story(second)).toEqual([["1", "a create 0→500"]]);
  expect(second.history.rollouts(herds, owner)[0]?.held).toMatchObject([{ code: "Held", untilMs: startMs + 600 }]);
  await second.close();
});

test("tells of each arrival how long it took, of those that an earlier process began as well", async () => {
  const told: [string, number][] = [];
  const arrived = (how: Moved["how"], tookMs: number) => void told.push([how, tookMs]);
  const first = openRecord(new FakeEnv(), path, { arrived });
  move(first, "a", "2", "inPlace", 0);
  move(first, "b", "2", "create", 0);
  move(first, "c", "2", "inPlace", 0);
  move(first, "d", "2", "delete", 0);
  first.history.landed(owner, (on) => on === "a" || on === "b", startMs + 1_500);
  first.history.landed(owner, (on) => on === "a", startMs + 9_000);
  await first.close();
  const second = openRecord(new FakeEnv(), path, { arrived });
  second.history.landed(owner, () => true, startMs + 60_000);
  expect(told).toEqual([
    ["inPlace", 1_500],
    ["create", 1_500],
    ["inPlace", 60_000],
  ]);
  await second.close();
});

test("a thousand moves are written over several turns", async () => {
  const env = new FakeEnv();
  const record = openRecord(env, path);
  for (let index = 0; index < 1_000; index += 1) move(record, `web-${index}`, "1", "create", index);
  await env.advance(2_000);
  const [rollout] = record.history.rollouts(herds, owner);
  expect(rollout?.moves).toHaveLength(1_000);
  expect(rollout?.lastMs).toBe(startMs + 999);
  await record.close();
});

test("stays within its bounds: age, rollouts an object, moves in all", async () => {
  const env = new FakeEnv();
  const file = new RecordFile(env, undefined);
  const history = new History(env, file);
  const day = 86_400_000;
  for (let revision = 0; revision < 10; revision += 1)
    for (let pod = 0; pod < 10; pod += 1)
      history.moved({ owner, on: `pod-${pod}`, revision: `${revision}`, how: "inPlace", atMs: startMs + revision * day });
  history.moved({ owner: { ...owner, name: "other", uid: "other" }, on: "pod", revision: "1", how: "create", atMs: startMs });
  history.flush();
  const clean = async (bounds: Parameters<typeof prune>[3]) => {
    const done = file.writeSliced((database) => prune(database, startMs + 10 * day, new Pace(env), bounds));
    await env.runUntilIdle();
    expect(await done).toBe(true);
    return history.rollouts(herds, owner).map(({ revision }) => Number(revision));
  };
  expect(await clean({ rolloutsPerOwnerMax: 8, movesMax: 1_000, historyAgeMsMax: 100 * day })).toEqual([9, 8, 7, 6, 5, 4, 3, 2]);
  expect(await clean({ rolloutsPerOwnerMax: 8, movesMax: 35, historyAgeMsMax: 100 * day })).toEqual([9, 8, 7]);
  expect(await clean({ rolloutsPerOwnerMax: 8, movesMax: 35, historyAgeMsMax: 2.5 * day })).toEqual([9, 8]);
  expect(history.rollouts(herds, { namespace: "shop", name: "other" })).toEqual([]);
});

test("the engine tells it the story of a real rollout", async () => {
  const env = new FakeEnv();
  const record = openRecord(env, path);
  const { world, rest } = await startHouse([herdController({ moving: 2 })], { env, history: record.history, latencyMs: 20 });
  world.add<Herd>(herds, { metadata: { namespace: "shop", name: "web" }, spec: { replicas: 4, revision: "1" } });
  await rest();
  world.edit<Herd>(herds, { namespace: "shop", name: "web" }, (herd) => {
    herd.spec.revision = "2";
  });
  await rest();
  const rollouts = record.history.rollouts(herds, { namespace: "shop", name: "web" });
  expect(rollouts.map(({ revision, moves }) => [revision, moves.length, moves.every(({ landedMs }) => landedMs !== undefined)])).toEqual([
    ["2", 4, true],
    ["1", 4, true],
  ]);
  expect(rollouts[0]?.held).toMatchObject([{ code: "HeldByMoving", count: 2, figures: { max: 2 }, untilMs: expect.any(Number) }]);
  expect(record.history.rollouts(pods, { namespace: "shop", name: "web" })).toEqual([]);
  await record.close();
});
