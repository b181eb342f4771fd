import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sleep } from "./env.ts";
import { FakeEnv } from "./fake.ts";
import { createLogger, levelOfVerbosity, silentLogger } from "./log.ts";
import { seededRandom, uuidFrom } from "./random.ts";
import { systemEnv } from "./system.ts";

const atMs = new Date(2025, 10, 21, 15, 20, 22, 123).getTime();

async function lines(format: "text" | "json", verbosity: number) {
  const written: string[] = [];
  const log = await createLogger({ format, verbosity, write: (line) => written.push(line), nowMs: () => atMs });
  return { log, written };
}

describe("log", () => {
  test("text reads like klog", async () => {
    const { log, written } = await lines("text", 0);
    const child = log.child({ controller: "cloneset-controller", skipped: undefined });
    child.info({ name: "shop/web", replicas: 3, spec: { a: 'say "hi"' }, done: true }, "scaled");
    child.debug({}, "not written");
    log.warn({}, "careful");
    expect(written).toEqual([
      'I1121 15:20:22.123000 scaled controller="cloneset-controller" name="shop/web" replicas=3 spec={"a":"say \\"hi\\""} done=true\n',
      "W1121 15:20:22.123000 careful\n",
    ]);
  });

  test("an error shows its message and where it was", async () => {
    const { log, written } = await lines("text", 0);
    log.error({ error: new TypeError("no\nway"), big: "x".repeat(10_000) }, "failed");
    expect(written[0]).toStartWith('E1121 15:20:22.123000 failed error="TypeError: no\\nway" big="xxx');
    expect(written[0]!.length).toBeLessThan(7000);
    expect(written[0]).toContain("\n    at ");
  });

  test("what cannot be written as JSON is still a line", async () => {
    const { log, written } = await lines("text", 0);
    const round: Record<string, unknown> = {};
    round.self = round;
    log.info({ round, big: 1n, nothing: null, call: () => 1 }, "odd");
    expect(written[0]).toContain('round="[object Object]" big=1 nothing=null');
  });

  test("JSON: one object a line", async () => {
    const { log, written } = await lines("json", 5);
    log.child({ controller: "c" }).debug({ name: "web", error: new Error("no") }, "scaled");
    log.trace({}, "not written");
    expect(written).toHaveLength(1);
    expect(JSON.parse(written[0]!)).toMatchObject({
      level: "debug",
      ts: atMs,
      controller: "c",
      name: "web",
      msg: "scaled",
      error: { message: "no" },
    });
  });

  test.each([
    [0, "info"],
    [4, "info"],
    [5, "debug"],
    [7, "debug"],
    [8, "trace"],
    [10, "trace"],
  ] as const)("-v=%i is %s", async (verbosity, level) => {
    expect(levelOfVerbosity(verbosity)).toBe(level);
    const { log } = await lines("text", verbosity);
    expect(log.enabled("trace")).toBe(level === "trace");
    expect(log.enabled("error")).toBe(true);
  });
});

describe("a world that stands still", () => {
  test("timers run in order of their time, then of their making, and promises between them", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(20), { maxLength: 40 }), async (delays) => {
        const env = new FakeEnv();
        const ran: [number, number][] = [];
        for (const [index, delay] of delays.entries())
          env.after(delay, () => {
            void Promise.resolve().then(() => ran.push([env.monotonicMs(), index]));
          });
        await env.advance(100);
        const expected = delays.map((delay, index): [number, number] => [delay, index]).sort(([a, i], [b, j]) => a - b || i - j);
        expect(ran).toEqual(expected);
        expect(env.monotonicMs()).toBe(100);
      }),
    );
  });

  test("cancelled timers do not run; sleeping ends early when told", async () => {
    const env = new FakeEnv();
    let ran = 0;
    const cancel = env.after(10, () => {
      ran += 1;
    });
    cancel();
    const early = new AbortController();
    let wokenMs = -1;
    void sleep(env, 1000, early.signal).then(() => {
      wokenMs = env.monotonicMs();
    });
    env.after(50, () => early.abort());
    expect(await env.runUntilIdle()).toBe(true);
    expect([ran, wokenMs]).toEqual([0, 50]);
    expect(env.nextTimerMs()).toBeUndefined();
  });

  test("a timer that sets itself again is not idle, and the time is bounded", async () => {
    const env = new FakeEnv();
    let ticks = 0;
    const tick = () => {
      ticks += 1;
      env.after(1000, tick);
    };
    tick();
    expect(await env.runUntilIdle(10_000)).toBe(false);
    expect(ticks).toBe(11);
    expect(await env.runUntil(() => ticks === 20)).toBe(true);
    expect(await env.runUntil(() => ticks === 0, 5000)).toBe(false);
  });

  test("the wall clock may jump, the other does not", () => {
    const env = new FakeEnv({ startMs: 5000 });
    env.jump(-1000);
    expect([env.nowMs(), env.monotonicMs()]).toEqual([4000, 0]);
  });

  test("the same seed, the same chance", () => {
    const draw = (seed: number | string) => Array.from({ length: 5 }, new FakeEnv({ seed }).random);
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw("a")).not.toEqual(draw("b"));
  });

  test("numbers spread over [0, 1), and UUIDs are UUIDs", () => {
    const random = seededRandom(42);
    const counts = new Array<number>(10).fill(0);
    for (let index = 0; index < 10_000; index += 1) counts[Math.floor(random() * 10)]! += 1;
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(uuidFrom(random)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

test("the real world: timers run, and can be cancelled", async () => {
  const env = systemEnv(silentLogger, new AbortController().signal);
  let ran = 0;
  env.after(0, () => {
    ran += 1;
  })();
  env.after(5, () => {
    ran += 10;
  })();
  env.after(3_000_000_000, () => {
    ran += 100;
  })();
  await new Promise<void>((resolve) => env.after(20, resolve));
  expect(ran).toBe(0);
  expect(Math.abs(env.nowMs() - Date.now())).toBeLessThan(1000);
});
