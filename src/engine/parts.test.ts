/** The small parts that everything else stands on. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FakeEnv } from "../env/fake.ts";
import { defaultBackoff, exponentialMs, TokenBucket } from "./backoff.ts";
import { Delays } from "./delays.ts";
import { isOlder } from "./freshest.ts";
import { ObjectLocks } from "./locks.ts";
import { Slots } from "./slots.ts";
import { inGrowingBatches } from "./slow-start.ts";
import { Turns } from "./turns.ts";

test.each([
  [1, 5, "the first failure"],
  [2, 10, "doubled"],
  [18, 655_360, "5 · 2^17"],
  [19, 1_000_000, "capped"],
  [1_000, 1_000_000, "capped for ever, no overflow"],
])("%i failures wait %i ms: %s", (failures, delayMs) => {
  expect(exponentialMs(failures, defaultBackoff)).toBe(delayMs);
});

test("a bucket gives its burst at once, then at its pace, and fills again", () => {
  const bucket = new TokenBucket(10, 3);
  expect([1, 2, 3, 4, 5].map(() => bucket.takeMs(1000))).toEqual([0, 0, 0, 100, 200]);
  expect(bucket.takeMs(1200)).toBe(100);
  expect(bucket.takeMs(100_000)).toBe(0);
});

test.each([
  ["9", "10", true],
  ["10", "9", false],
  ["10", "10", false],
  ["18446744073709551615", "18446744073709551616", true],
  ["x", "10", true],
  ["10", "x", false],
  ["", "1", true],
])("isOlder(%p, %p) is %p", (a, b, older) => {
  expect(isOlder(a, b)).toBe(older);
});

test("delays come in the order of their time; setting one again moves it", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ item: fc.nat(20), atMs: fc.nat(1000), drop: fc.boolean() }), { maxLength: 80 }),
      async (settings) => {
        const env = new FakeEnv();
        const seen: { item: number; atMs: number }[] = [];
        const delays = new Delays<number>(env, (item) => seen.push({ item, atMs: env.monotonicMs() }));
        const expected = new Map<number, number>();
        for (const { item, atMs, drop } of settings) {
          if (drop) {
            delays.delete(item);
            expected.delete(item);
          } else {
            delays.set(item, atMs);
            expected.set(item, atMs);
          }
        }
        await env.runUntilIdle();
        expect(delays.size).toBe(0);
        expect(seen.length).toBe(expected.size);
        for (const { item, atMs } of seen) expect(expected.get(item)).toBe(atMs);
        expect(seen.map(({ atMs }) => atMs)).toEqual([...expected.values()].sort((a, b) => a - b));
      },
    ),
  );
});

describe("slots", () => {
  test("no more than there are, and every lane in turn", async () => {
    const env = new FakeEnv();
    const slots = new Slots(2);
    const started: string[] = [];
    let running = 0;
    let most = 0;
    const job = (name: string) => async () => {
      started.push(name);
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => void env.after(10, resolve));
      running -= 1;
    };
    for (let index = 0; index < 6; index += 1) void slots.run("big", job(`big${index}`));
    void slots.run("small", job("small"));
    void slots.run("other", job("other"));
    expect(slots.waiting).toBe(6);
    await env.runUntilIdle();
    expect(most).toBe(2);
    expect(started).toEqual(["big0", "big1", "big2", "small", "other", "big3", "big4", "big5"]);
  });

  test("a job that rejects gives its slot back", async () => {
    const slots = new Slots(1);
    await expect(slots.run("a", () => Promise.reject(new Error("boom")))).rejects.toThrow("boom");
    expect(await slots.run("a", async () => 7)).toBe(7);
  });
});

test("locks: one after the other for one id, whatever happens to those before", async () => {
  const locks = new ObjectLocks();
  const order: string[] = [];
  const first = locks.run("uid", async () => {
    await Promise.resolve();
    order.push("first");
    throw new Error("boom");
  });
  const second = locks.run("uid", async () => {
    order.push("second");
  });
  const other = locks.run("other", async () => {
    order.push("other");
  });
  await expect(first).rejects.toThrow("boom");
  await Promise.all([second, other]);
  expect(order).toEqual(["other", "first", "second"]);
  expect(locks.busy("uid")).toBe(false);
});

describe("slow start", () => {
  test.each([
    [0, undefined, [], "nothing to do"],
    [5, undefined, [1, 2, 2], "1, 2, then what is left"],
    [20, undefined, [1, 2, 4, 8, 5], "doubling"],
    [20, 0, [1], "the first is refused: one request told"],
    [20, 4, [1, 2, 4], "a failure in the third batch: it is finished, no further one begins"],
  ])("%i items, the one at %p fails: batches %p (%s)", async (count, failing, batches) => {
    const env = new FakeEnv();
    const sizes: number[] = [];
    let size = 0;
    const perform = async (index: number) => {
      size += 1;
      await new Promise<void>((resolve) => void env.after(1, resolve));
      if (size > 0) sizes.push(size);
      size = 0;
      return index !== failing;
    };
    let tried: number | undefined;
    void inGrowingBatches(
      Array.from({ length: count }, (_, index) => index),
      perform,
    ).then((result) => {
      tried = result;
    });
    await env.runUntilIdle();
    expect(sizes).toEqual(batches);
    expect(tried).toBe(batches.reduce((sum, batch) => sum + batch, 0));
  });
});

describe("turns", () => {
  test("the loop gets its turn after each slice", async () => {
    let clockMs = 0;
    const pending: (() => void)[] = [];
    const after = (_: number, run: () => void) => {
      pending.push(run);
      return () => {};
    };
    const turns = new Turns({ monotonicMs: () => clockMs, after }, 4);
    const slices: number[] = [];
    let inSlice = 0;
    for (let index = 0; index < 7; index += 1)
      void turns.run(() => {
        clockMs += 2;
        inSlice += 1;
      });
    while (pending.length > 0) {
      inSlice = 0;
      pending.shift()?.();
      for (let hop = 0; hop < 500; hop += 1) await undefined;
      slices.push(inSlice);
    }
    expect(slices).toEqual([2, 2, 2, 1]);
  });

  test("what follows from a piece still fits into its slice", async () => {
    const env = new FakeEnv();
    const turns = new Turns(env);
    const order: string[] = [];
    const chain = async (name: string) => {
      for (let index = 0; index < 3; index += 1) await turns.run(() => order.push(`${name}${index}`));
    };
    void chain("a");
    void chain("b");
    await env.advance(0);
    expect(order).toEqual(["a0", "b0", "a1", "b1", "a2", "b2"]);
    expect(env.nextTimerMs()).toBeUndefined();
  });

  test("a piece that throws rejects its own promise only", async () => {
    const env = new FakeEnv();
    const turns = new Turns(env);
    const bad = turns.run(() => {
      throw new Error("boom");
    });
    const good = turns.run(() => 7);
    const outcome = Promise.allSettled([bad, good]);
    await env.advance(0);
    expect((await outcome).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });
});
