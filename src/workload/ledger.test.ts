import { describe, expect, test } from "bun:test";
import { World } from "../engine/testing/world.ts";
import { FakeEnv } from "../env/fake.ts";
import type { Reader } from "../kube/access.ts";
import type { Kind } from "../kube/kind.ts";
import type { Written } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import { type Entry, enterInLedger, type LedgerContext } from "./ledger.ts";

interface Purse extends KubeObject {
  status?: { left: number; names?: Record<string, string> };
}
const purses: Kind<Purse> = { group: "example.com", version: "v1", kind: "Purse", plural: "purses", namespaced: true };
const key = { namespace: "shop", name: "p" };
const ref = { of: purses, ...key };

/** One unit for `name`. */
const take =
  (name: string) =>
  ({ status }: Readonly<Purse>): Entry<boolean> => {
    if (status === undefined || status.left <= 0) return { answer: false, unsure: true };
    return { answer: true, status: { left: status.left - 1, names: { ...status.names, [name]: "taken" } } };
  };

function bank(left: number, latencyMs: number | (() => number) = 0, seed = 1) {
  const env = new FakeEnv({ seed });
  const world = new World(env, { latencyMs });
  world.add(purses, { metadata: key, status: { left } });
  const contextOf = (read: Reader): LedgerContext => ({
    read,
    write: world,
    random: () => env.random(),
    after: (ms, run) => env.after(ms, run),
  });
  return { env, world, contextOf, purse: () => world.now(purses, key)?.status };
}

/** Sees what was there when it was made, and nothing since. */
function staleReader(world: World): Reader {
  const seen = world.now(purses, key);
  return { get: () => seen as never, list: () => [], find: () => [], live: world.live };
}

async function all<T>(env: FakeEnv, promises: readonly Promise<T>[]): Promise<T[]> {
  let done = false;
  const joined = Promise.all(promises);
  const end = () => {
    done = true;
  };
  joined.then(end, end);
  await env.runUntil(() => done, 60_000);
  return joined;
}
const granted = (answers: readonly Written<boolean>[]) => answers.filter((answer) => answer.ok && answer.object).length;

describe("fifty requests at once for a purse of three", () => {
  test.each([
    ["one process", 1, 0],
    ["two processes", 2, 0],
    ["two processes that see nothing of each other", 2, 7],
    ["five processes", 5, 3],
  ])("%s: exactly three pass", async (_, processes, latencyMs) => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const { env, world, contextOf, purse } = bank(3, () => latencyMs * env.random(), seed);
      const contexts = Array.from({ length: processes }, () => contextOf(staleReader(world)));
      const asked = Array.from({ length: 50 }, (_each, index) =>
        enterInLedger(contexts[index % processes] as LedgerContext, ref, take(`n${index}`), false),
      );
      const answers = await all(env, asked);
      expect([seed, granted(answers), purse()?.left, Object.keys(purse()?.names ?? {}).length]).toEqual([seed, 3, 0, 3]);
      // Everybody got an answer, and a "no" is one.
      expect(answers.every((answer) => answer.ok)).toBe(true);
    }
  });
});

test("what waits together is written together", async () => {
  const { env, world, contextOf } = bank(1_000, 5);
  const context = contextOf(staleReader(world));
  const answers = await all(
    env,
    Array.from({ length: 200 }, (_, index) => enterInLedger(context, ref, take(`n${index}`), false)),
  );
  expect(granted(answers)).toBe(200);
  // The first alone, all that came meanwhile as one.
  expect(world.writes()).toHaveLength(2);
});

test("a dry run decides on what is there, and takes nothing from those beside it", async () => {
  const { env, world, contextOf, purse } = bank(1, 5);
  const context = contextOf(staleReader(world));
  const answers = await all(env, [
    enterInLedger(context, ref, take("a"), true),
    enterInLedger(context, ref, take("b"), true),
    enterInLedger(context, ref, take("c"), false),
    enterInLedger(context, ref, take("d"), true),
  ]);
  expect(answers.map((answer) => answer.ok && answer.object)).toEqual([true, true, true, false]);
  expect(purse()).toEqual({ left: 0, names: { c: "taken" } });
  expect(world.writes()).toHaveLength(1);
});

test("an answer that the copy at hand is unsure of is asked of the server", async () => {
  const { env, world, contextOf } = bank(0);
  const context = contextOf(staleReader(world));
  world.edit<Purse>(purses, key, (purse) => {
    purse.status = { left: 1 };
  });
  expect((await all(env, [enterInLedger(context, ref, take("a"), false)]))[0]).toEqual({ ok: true, object: true });
});

test("gone: not found; a new one of the same name is another ledger", async () => {
  const { env, world, contextOf } = bank(2);
  const context = contextOf(staleReader(world));
  await all(env, [enterInLedger(context, ref, take("a"), false)]);
  world.drop(purses, key);
  expect((await all(env, [enterInLedger(context, ref, take("b"), false)]))[0]).toMatchObject({ ok: false, why: "notFound" });
  world.add(purses, { metadata: key, status: { left: 1 } });
  const [answer] = await all(env, [enterInLedger(contextOf(staleReader(world)), ref, take("c"), false)]);
  expect(answer).toEqual({ ok: true, object: true });
});

test("what cannot be written is not granted; who wanted nothing written has an answer", async () => {
  const { env, world, contextOf, purse } = bank(1, 1);
  const context = contextOf(staleReader(world));
  world.fault = ({ verb }) => (verb === "patch" ? { ok: false, why: "unavailable", mayHaveHappened: true, message: "down" } : undefined);
  const answers = await all(
    env,
    ["a", "b", "c"].map((name) => enterInLedger(context, ref, take(name), name === "c")),
  );
  expect(answers).toMatchObject([
    { ok: false, why: "unavailable" },
    { ok: false, why: "unavailable" },
    { ok: true, object: false },
  ]);
  expect(purse()?.left).toBe(1);
});

test("after four conflicts it is over, and what comes later has its own chance", async () => {
  const { env, world, contextOf } = bank(5);
  const context = contextOf(staleReader(world));
  world.fault = ({ verb }) => (verb === "patch" ? { ok: false, why: "conflict", message: "modified" } : undefined);
  expect(await all(env, [enterInLedger(context, ref, take("a"), false)])).toMatchObject([{ ok: false, why: "conflict" }]);
  expect(world.writes()).toHaveLength(4);
  world.fault = () => undefined;
  expect(await all(env, [enterInLedger(context, ref, take("b"), false)])).toEqual([{ ok: true, object: true }]);
});

test("a decision that throws breaks its batch, and not the ledger", async () => {
  const { env, world, contextOf } = bank(5);
  const context = contextOf(staleReader(world));
  const broken = enterInLedger(
    context,
    ref,
    () => {
      throw new Error("broken");
    },
    false,
  );
  await expect(all(env, [broken])).rejects.toThrow("broken");
  expect(await all(env, [enterInLedger(context, ref, take("b"), false)])).toEqual([{ ok: true, object: true }]);
});
