import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FakeEnv } from "../env/fake.ts";
import type { Key } from "../kube/kind.ts";
import { MemoryMetrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import { type QueueOptions, type Worked, WorkQueue } from "./queue.ts";

const key = (name: string): Key => ({ namespace: "shop", name });

interface Ran {
  readonly name: string;
  readonly atMs: number;
}

/** A queue whose work takes `workMs` and ends as `end` says. */
function tryOut(options: Partial<QueueOptions> & { workMs?: number; end?: (name: string, round: number) => Worked } = {}) {
  const env = new FakeEnv();
  const ran: Ran[] = [];
  const rounds = new Map<string, number>();
  const work = (key: Key): Promise<Worked> => {
    ran.push({ name: key.name, atMs: env.monotonicMs() });
    const round = (rounds.get(key.name) ?? 0) + 1;
    rounds.set(key.name, round);
    const worked = options.end?.(key.name, round) ?? { next: "done" };
    return new Promise((resolve) => void env.after(options.workMs ?? 1, () => resolve(worked)));
  };
  const metrics = new MemoryMetrics();
  const queue = new WorkQueue(env, { name: "test", workers: 1, work, metrics, ...options });
  return { env, queue, ran, metrics, names: () => ran.map(({ name }) => name) };
}

describe("order", () => {
  test("first come, first served, and a key that waits is not queued twice", async () => {
    const { env, queue, names } = tryOut();
    for (const name of ["a", "b", "c", "b", "c"]) queue.add(key(name));
    await env.runUntilIdle();
    expect(names()).toEqual(["a", "b", "c"]);
  });

  test("what its user changed goes before noise, also when it waits already", async () => {
    const { env, queue, names } = tryOut();
    for (const name of ["first", "noise1", "noise2", "web"]) queue.add(key(name));
    queue.add(key("web"), "fresh");
    await env.runUntilIdle();
    expect(names()).toEqual(["first", "web", "noise1", "noise2"]);
  });

  test("noise is not starved by an endless row of fresh keys", async () => {
    const { env, queue, names } = tryOut();
    queue.add(key("first"));
    queue.add(key("noise"));
    for (let index = 0; index < 40; index += 1) queue.add(key(`fresh-${index}`), "fresh");
    await env.runUntilIdle();
    expect(names().indexOf("noise")).toBe(17);
    expect(names()).toHaveLength(42);
  });

  test("events during the work are served once, afterwards", async () => {
    const { env, queue, names } = tryOut({ workMs: 100 });
    queue.add(key("web"));
    await env.advance(10);
    for (let index = 0; index < 5; index += 1) queue.add(key("web"));
    await env.runUntilIdle();
    expect(names()).toEqual(["web", "web"]);
  });

  test("the work hears when its key is woken", async () => {
    const woken: string[] = [];
    const { env, queue } = tryOut({ workMs: 100, wokenInWork: ({ name }) => woken.push(name) });
    queue.add(key("web"));
    await env.advance(10);
    queue.add(key("web"));
    queue.add(key("other"));
    expect(woken).toEqual(["web"]);
  });
});

describe("delays", () => {
  test("of several delays the earliest counts", async () => {
    const { env, queue, ran } = tryOut();
    queue.addAfter(key("web"), 500);
    queue.addAfter(key("web"), 200);
    queue.addAfter(key("web"), 900);
    await env.runUntilIdle();
    expect(ran).toEqual([{ name: "web", atMs: 200 }]);
  });

  test("a plan made in between supersedes the delay: it says itself when to look again", async () => {
    const { env, queue, ran } = tryOut({ end: (_, round) => (round === 1 ? { next: "done", afterMs: 1000 } : { next: "done" }) });
    queue.addAfter(key("web"), 500);
    queue.add(key("web"));
    await env.runUntilIdle();
    expect(ran.map(({ atMs }) => atMs)).toEqual([0, 1001]);
  });
});

describe("back-off", () => {
  test("doubles with each failure and is forgotten by a success", async () => {
    const { env, queue, ran } = tryOut({ end: (_, round) => ({ next: round <= 4 || round === 6 ? "backOff" : "done" }) });
    queue.add(key("web"));
    await env.advance(1000);
    queue.add(key("web"));
    await env.runUntilIdle();
    const gaps = ran.slice(1).map(({ atMs }, index) => atMs - (ran[index]?.atMs ?? 0) - 1);
    expect(gaps.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(gaps[5]).toBe(5);
  });

  test("all failing keys together retry at the pace of the bucket", async () => {
    const { env, queue, ran } = tryOut({
      workers: 300,
      end: (_, round) => ({ next: round === 1 ? "backOff" : "done" }),
    });
    for (let index = 0; index < 200; index += 1) queue.add(key(`k${index}`));
    await env.runUntilIdle();
    const retries = ran.slice(200).map(({ atMs }) => atMs);
    expect(retries).toHaveLength(200);
    // 100 at once (after 5 ms each), the other 100 at ten a second.
    expect(retries.filter((atMs) => atMs < 50).length).toBe(100);
    expect(Math.max(...retries)).toBeGreaterThan(9_900);
    expect(Math.max(...retries)).toBeLessThan(10_100);
  });

  test("losing a race costs no token and is tried again soon", async () => {
    const { env, queue, ran } = tryOut({ workers: 300, end: (_, round) => ({ next: round === 1 ? "soon" : "done" }) });
    for (let index = 0; index < 200; index += 1) queue.add(key(`k${index}`));
    await env.runUntilIdle();
    expect(Math.max(...ran.map(({ atMs }) => atMs))).toBeLessThan(20);
  });

  test("noise does not wake a failing key before its time, its user does", async () => {
    const { env, queue, ran } = tryOut({ end: (_, round) => ({ next: round <= 12 ? "backOff" : "done" }) });
    queue.add(key("web"));
    await env.runUntil(() => ran.length === 9);
    await env.advance(10);
    const before = ran.length;
    queue.add(key("web"), "noise");
    await env.advance(100);
    expect(ran.length).toBe(before);
    queue.add(key("web"), "fresh");
    await env.advance(5);
    expect(ran.length).toBe(before + 1);
  });
});

describe("a round over all keys", () => {
  test("waits for news, and a key with news leaves it", async () => {
    const { env, queue, names } = tryOut();
    for (const name of ["a", "b", "c", "d"]) queue.add(key(name), "round");
    queue.add(key("e"));
    queue.add(key("c"));
    queue.add(key("d"), "fresh");
    await env.runUntilIdle();
    expect(names()).toEqual(["a", "d", "e", "c", "b"]);
  });

  test("what happens while it lasts goes before the rest of it", async () => {
    const { env, queue, names } = tryOut({ workMs: 10 });
    for (const name of ["a", "b", "c"]) queue.add(key(name), "round");
    await env.advance(5);
    queue.add(key("a"));
    await env.runUntilIdle();
    expect(names()).toEqual(["a", "a", "b", "c"]);
  });

  test("comes to its end however much happens", async () => {
    const { env, queue, names } = tryOut();
    for (let index = 0; index < 20; index += 1) queue.add(key(`round-${index}`), "round");
    for (let index = 0; index < 400; index += 1) {
      queue.add(key(`noise-${index}`));
      queue.add(key(`fresh-${index}`), "fresh");
      await env.advance(1);
    }
    expect(names().filter((name) => name.startsWith("round-"))).toHaveLength(20);
  });
});

describe("ration", () => {
  test("a key is planned again at the earliest after twenty times what its plan cost", async () => {
    const { env, queue, ran } = tryOut({ end: () => ({ next: "done", plannedAtMs: env.monotonicMs(), costMs: 10 }) });
    for (let atMs = 0; atMs < 1000; atMs += 10) {
      queue.add(key("web"));
      await env.advance(10);
    }
    await env.runUntilIdle();
    expect(ran.length).toBeGreaterThanOrEqual(5);
    expect(ran.length).toBeLessThanOrEqual(7);
    for (const [index, { atMs }] of ran.slice(1).entries()) expect(atMs - (ran[index]?.atMs ?? 0)).toBeGreaterThanOrEqual(200);
  });

  test("after a key's first plan its user's change is heard at once, and noise waits", async () => {
    const { env, queue, ran } = tryOut({ end: () => ({ next: "done", plannedAtMs: env.monotonicMs(), costMs: 10 }) });
    for (const name of ["web", "db"]) queue.add(key(name));
    await env.advance(10);
    queue.add(key("db"));
    queue.add(key("web"), "fresh");
    await env.advance(10);
    expect(ran.map(({ name }) => name)).toEqual(["web", "db", "web"]);
    queue.add(key("web"), "fresh");
    await env.advance(100);
    expect(ran).toHaveLength(3);
    await env.runUntilIdle();
    expect(ran.map(({ name }) => name).sort()).toEqual(["db", "db", "web", "web", "web"]);
  });

  test("a plan that costs nothing is not rationed", async () => {
    const { env, queue, ran } = tryOut({ end: () => ({ next: "done", plannedAtMs: env.monotonicMs(), costMs: 0 }) });
    for (let index = 0; index < 10; index += 1) {
      queue.add(key("web"));
      await env.advance(5);
    }
    expect(ran).toHaveLength(10);
  });
});

test("the first news are heard at once, the next ones together, a user's change and what is due at any time", async () => {
  const { env, queue, ran } = tryOut({ calmMs: 100, end: () => ({ next: "done", plannedAtMs: env.monotonicMs(), costMs: 0 }) });
  const times = () => ran.map(({ atMs }) => atMs - (ran[0]?.atMs ?? 0));
  for (let round = 0; round < 15; round += 1) {
    queue.add(key("web"));
    await env.advance(10);
  }
  await env.runUntilIdle();
  expect(times()).toEqual([0, 100, 200]);
  queue.add(key("web"), "fresh");
  await env.advance(1);
  queue.addAfter(key("web"), 20);
  await env.advance(30);
  expect(ran).toHaveLength(5);
});

test("a key that writes for ever is slowed down, one that rests now and then is not", async () => {
  const { env, queue, ran } = tryOut({ workMs: 0, end: () => ({ next: "done", acted: true }) });
  for (let round = 0; round < 3_000; round += 1) {
    queue.add(key("web"));
    await env.advance(10);
  }
  expect(ran.length).toBeGreaterThan(350);
  expect(ran.length).toBeLessThan(450);
  await env.advance(60_000);
  const before = ran.length;
  for (let round = 0; round < 50; round += 1) {
    queue.add(key("web"));
    await env.advance(10);
  }
  expect(ran.length - before).toBe(50);
});

test("what is gone is forgotten", async () => {
  const { env, queue } = tryOut({ end: (name) => ({ next: name === "gone" ? "gone" : "done" }) });
  queue.add(key("gone"));
  queue.add(key("web"));
  await env.runUntilIdle();
  expect(queue.size).toBe(1);
});

test("a stop lets the work end and starts nothing new", async () => {
  const { env, queue, names } = tryOut({ workMs: 100 });
  queue.add(key("a"));
  queue.add(key("b"));
  await env.advance(10);
  let isStopped = false;
  void queue.stop().then(() => {
    isStopped = true;
  });
  await env.advance(10);
  expect(isStopped).toBe(false);
  await env.advance(200);
  expect(isStopped).toBe(true);
  expect(names()).toEqual(["a"]);
});

test("work that throws is a failure, and the queue lives", async () => {
  const env = new FakeEnv();
  let rounds = 0;
  const work = (): Promise<Worked> => {
    rounds += 1;
    return rounds < 3 ? Promise.reject(new Error("boom")) : Promise.resolve({ next: "done" });
  };
  const queue = new WorkQueue(env, { name: "test", workers: 1, work });
  queue.add(key("web"));
  await env.runUntilIdle();
  expect(rounds).toBe(3);
  expect(env.lines.filter(({ level }) => level === "error")).toHaveLength(2);
});

test("counts under the names of controller-runtime", async () => {
  const { env, queue, metrics } = tryOut({ workMs: 100 });
  for (const name of ["a", "b", "b"]) queue.add(key(name));
  await env.advance(50);
  expect(metrics.value(names.queueDepth, { name: "test" })).toBe(1);
  expect(metrics.value(names.queueAddsTotal, { name: "test" })).toBe(3);
  expect(metrics.value(names.queueUnfinishedSeconds, { name: "test" })).toBeCloseTo(0.05);
  await env.runUntilIdle();
  expect(metrics.value(names.queueDepth, { name: "test" })).toBe(0);
  expect(metrics.observed(names.queueWorkSeconds, { name: "test" })).toEqual([0.1, 0.1]);
});

type Happening = { readonly do: "add" | "fresh" | "later" | "pass" | "retry"; readonly key: number; readonly ms: number };
const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.record({ do: fc.constantFrom("add", "fresh", "later", "pass", "retry"), key: fc.nat(4), ms: fc.nat(300) }),
  { maxLength: 60 },
);
const ends: fc.Arbitrary<Worked[]> = fc.array(
  fc.record({
    next: fc.constantFrom("done", "soon", "backOff", "gone"),
    afterMs: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
    costMs: fc.option(fc.nat(30), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 10 },
) as fc.Arbitrary<Worked[]>;

test("never two workers on one key, never more than there are, and nothing is lost", async () => {
  await fc.assert(
    fc.asyncProperty(happenings, ends, fc.integer({ min: 1, max: 3 }), fc.nat(50), async (plan, ends, workers, workMs) => {
      const env = new FakeEnv();
      const inWork = new Set<string>();
      const lastAsked = new Map<string, number>();
      const lastStarted = new Map<string, number>();
      let sequence = 0;
      let round = 0;
      let isCalm = false;
      const work = (key: Key): Promise<Worked> => {
        expect(inWork.has(key.name)).toBe(false);
        inWork.add(key.name);
        expect(inWork.size).toBeLessThanOrEqual(workers);
        sequence += 1;
        lastStarted.set(key.name, sequence);
        const plannedAtMs = env.monotonicMs();
        const end: Worked = isCalm ? { next: "done" } : { ...(ends[round % ends.length] as Worked), plannedAtMs };
        round += 1;
        return new Promise((resolve) => {
          env.after(workMs, () => {
            inWork.delete(key.name);
            resolve(end);
          });
        });
      };
      const queue = new WorkQueue(env, { name: "test", workers, work });
      for (const { do: what, key: index, ms } of plan) {
        const name = `k${index}`;
        if (what === "pass") await env.advance(ms);
        else {
          sequence += 1;
          lastAsked.set(name, sequence);
          if (what === "later") queue.addAfter(key(name), ms);
          else if (what === "retry") queue.retry(key(name));
          else queue.add(key(name), what === "fresh" ? "fresh" : "noise");
        }
      }
      isCalm = true;
      expect(await env.runUntilIdle()).toBe(true);
      expect(queue.quiet).toBe(true);
      for (const [name, asked] of lastAsked) expect(lastStarted.get(name) ?? 0).toBeGreaterThan(asked);
    }),
    { numRuns: 200 },
  );
}, 60_000);
