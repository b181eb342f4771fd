import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FakeEnv } from "../env/fake.ts";
import { pods } from "../kube/kinds.ts";
import type { Failure } from "../kube/outcome.ts";
import type { Pod } from "../kube/types.ts";
import type { Controller } from "./controller.ts";
import { metrics as names } from "./metrics-names.ts";
import type { HistoryPort, Moved } from "./ports.ts";
import { type Fault, planOf, startHouse, testSettings, World } from "./testing/harness.ts";
import { herdController } from "./testing/herd.ts";
import { type Herd, herds } from "./testing/kinds.ts";

const web = { namespace: "shop", name: "web" };
const labels = { controller: "herd-controller" };
const addHerd = (world: World, replicas: number, name = "web") =>
  world.add<Herd>(herds, { metadata: { namespace: "shop", name }, spec: { replicas, revision: "1" } });
const quota: Failure = { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "exceeded quota: pods" };

test("what is counted of a controller is there before it has anything to do", async () => {
  const { metrics } = await startHouse([herdController()]);
  for (const result of ["success", "error", "requeue", "requeue_after"])
    expect(metrics.has(names.reconcileTotal, { ...labels, result })).toBe(true);
  expect(metrics.has(names.reconcileErrorsTotal, labels)).toBe(true);
});

describe("a controller at work", () => {
  test("brings the world to what is asked for, and comes to rest", async () => {
    const { world, rest, env, metrics } = await startHouse([herdController()], { latencyMs: 3, watchLagMs: 20 });
    addHerd(world, 5);
    await rest();
    expect(world.all(pods)).toHaveLength(5);
    expect(world.now<Herd>(herds, web)?.status).toEqual({ replicas: 5, updated: 5 });
    expect(world.writes().filter(({ verb }) => verb === "create")).toHaveLength(5);
    const writes = world.calls.length;
    await env.advance(600_000);
    expect(world.calls).toHaveLength(writes);
    expect(metrics.value(names.reconcileTotal, { ...labels, result: "success" })).toBeGreaterThan(0);
    expect(metrics.value(names.activeWorkers, labels)).toBe(0);
  });

  test("plans from what it wrote, however late the watch is: nothing is created twice", async () => {
    const { world, rest } = await startHouse([herdController()], { latencyMs: 3, watchLagMs: 60_000 });
    addHerd(world, 20);
    await rest({ quietMs: 90_000 });
    expect(world.writes().filter(({ verb }) => verb === "create")).toHaveLength(20);
  });

  test("an update in place: two writes a pod, no conflict, one Event for all", async () => {
    const { world, rest } = await startHouse([herdController()], { latencyMs: 3, watchLagMs: 20 });
    addHerd(world, 30);
    await rest();
    const before = world.calls.length;
    const eventsBefore = world.events.length;
    world.edit<Herd>(herds, web, (herd) => {
      herd.spec.revision = "2";
    });
    await rest();
    const calls = world.calls.slice(before);
    expect(calls.filter(({ kind }) => kind === "Pod")).toHaveLength(60);
    expect(calls.filter(({ verb }) => verb === "get")).toHaveLength(0);
    expect(world.all<Pod>(pods).every(({ spec }) => spec.containers[0]?.image === "app:2")).toBe(true);
    expect(world.events.slice(eventsBefore).map(({ reason }) => reason)).toEqual(["SuccessfulUpdate"]);
  });

  test.each<[string, Herd["status"] | undefined]>([
    ["written by us", undefined],
    ["found right", { replicas: 0, updated: 0 }],
  ])(
    "a status that somebody else changes is put right, also by a controller that leaves out what it wrote itself: %s",
    async (_, status) => {
      const looks = { count: 0 };
      const deaf: Controller = {
        ...herdController(),
        concerns: ({ before, after }) => before?.metadata.generation !== after?.metadata.generation,
        observe: (context, key) => {
          looks.count += 1;
          return herdController().observe(context, key);
        },
      };
      const { world, rest } = await startHouse([deaf], { latencyMs: 3, watchLagMs: 20 });
      const generation = { generation: 1 };
      world.add<Herd>(herds, { metadata: { namespace: "shop", name: "web", ...generation }, spec: { replicas: 0, revision: "1" }, status });
      await rest();
      const before = looks.count;
      world.edit<Herd>(herds, web, (herd) => {
        herd.status = { replicas: 99, updated: 7 };
        herd.metadata.generation = 1;
      });
      await rest();
      expect(world.now<Herd>(herds, web)?.status).toEqual({ replicas: 0, updated: 0 });
      expect(looks.count).toBe(before + 1);
    },
  );

  test("the status is kept up to date while many actions run", async () => {
    const { world, rest, env } = await startHouse([herdController()], { latencyMs: 50, writesInFlightMax: 2 });
    addHerd(world, 200);
    const seen = new Set<number>();
    while ((world.now<Herd>(herds, web)?.status?.replicas ?? 0) < 200) {
      await env.advance(200);
      seen.add(world.now<Herd>(herds, web)?.status?.replicas ?? 0);
    }
    expect(seen.size).toBeGreaterThan(5);
    await rest();
    expect(world.now<Herd>(herds, web)?.status).toEqual({ replicas: 200, updated: 200 });
    expect(world.writes().filter(({ subresource }) => subresource === "status").length).toBeLessThan(60);
  });

  test("a plan in parts is carried out like any other, and lets others have their turn in between", async () => {
    const herd = herdController();
    const ended: string[] = [];
    const resting: Controller = {
      ...herd,
      *planInParts(observed, nowMs) {
        const { metadata } = (observed as { readonly herd: Herd }).herd;
        for (let part = 0; part < 20 && metadata.name === "long"; part += 1) yield;
        ended.push(metadata.name);
        return herd.plan(observed, nowMs);
      },
    };
    const { world, rest } = await startHouse([resting], { latencyMs: 3, watchLagMs: 20 });
    for (const name of ["long", "short"]) addHerd(world, 3, name);
    await rest();
    expect(ended.slice(0, 2)).toEqual(["short", "long"]);
    for (const name of ["long", "short"]) expect(world.now<Herd>(herds, { ...web, name })?.status).toEqual({ replicas: 3, updated: 3 });
  });

  test("what is deleted is forgotten", async () => {
    const { world, rest, runner } = await startHouse([herdController({ moving: 0 })]);
    addHerd(world, 3);
    await rest();
    world.edit<Herd>(herds, web, (herd) => {
      herd.spec.revision = "2";
    });
    await rest();
    expect(runner.heldBy("herd-controller", web)).toHaveLength(3);
    world.drop(herds, web);
    await rest();
    expect(world.all(pods)).toHaveLength(0);
    expect(runner.heldBy("herd-controller", web)).toHaveLength(0);
  });
});

describe("when something goes wrong", () => {
  test("a refusal shows in the status and as an Event, is retried with back-off, and heals", async () => {
    const { world, env, rest, metrics } = await startHouse([herdController()]);
    world.fault = ({ verb }) => (verb === "create" ? quota : undefined);
    addHerd(world, 10);
    await env.advance(60_000);
    expect(world.now<Herd>(herds, web)?.status?.message).toBe("exceeded quota: pods");
    const tries = world.writes().filter(({ verb }) => verb === "create").length;
    expect(tries).toBeGreaterThan(3);
    expect(tries).toBeLessThan(20);
    expect(world.events[0]).toMatchObject({ type: "Warning", reason: "FailedCreate", component: "herd-controller" });
    expect(metrics.value(names.reconcileErrorsTotal, labels)).toBe(tries);
    world.fault = () => undefined;
    await env.advance(1_000_000);
    await rest();
    expect(world.now<Herd>(herds, web)?.status).toEqual({ replicas: 10, updated: 10 });
  });

  test("a throttled key comes back when the server asked it to", async () => {
    const { world, env } = await startHouse([herdController()]);
    const atMs: number[] = [];
    world.fault = ({ verb }) => {
      if (verb !== "create") return undefined;
      atMs.push(env.monotonicMs());
      return atMs.length === 1 ? { ok: false, why: "throttled", retryAfterMs: 7_000, message: "slow down" } : undefined;
    };
    addHerd(world, 1);
    await env.advance(20_000);
    expect(atMs).toEqual([0, 7_000]);
  });

  test("an unclear create holds its key until it is cleared up: never two pods for one", async () => {
    const { world, env, rest } = await startHouse([herdController()], { watchLagMs: 10_000 });
    let isLost = false;
    world.fault = ({ verb }) => {
      if (verb !== "create" || isLost) return undefined;
      isLost = true;
      return "lost";
    };
    addHerd(world, 1);
    await env.advance(1);
    await rest({ quietMs: 30_000 });
    expect(world.writes().filter(({ verb }) => verb === "create")).toHaveLength(1);
    expect(world.all(pods)).toHaveLength(1);
  });

  test("our own code throwing is logged with its stack, counted, retried, and hurts nobody else", async () => {
    const good = herdController();
    let rounds = 0;
    const bad: Controller = {
      ...good,
      name: "bad-controller",
      plan: () => {
        rounds += 1;
        throw new Error("boom");
      },
    };
    const { world, env, metrics } = await startHouse([good, bad]);
    addHerd(world, 3);
    await env.advance(10_000);
    expect(world.all(pods)).toHaveLength(3);
    expect(rounds).toBeGreaterThan(3);
    expect(metrics.value(names.reconcilePanicsTotal, { controller: "bad-controller" })).toBe(rounds);
    const line = env.lines.find(({ level, fields }) => level === "error" && fields["controller"] === "bad-controller");
    expect((line?.fields["err"] as Error | undefined)?.stack).toContain("runner.test.ts");
    expect(line?.fields).toMatchObject({ namespace: "shop", name: "web" });
  });

  test("a watch that throws is logged, and the others hear of the event", async () => {
    const deaf: Controller = {
      ...herdController(),
      name: "deaf-controller",
      watches: [
        {
          of: pods,
          wakes: () => {
            throw new Error("boom");
          },
        },
      ],
    };
    const { world, rest, env } = await startHouse([deaf, herdController()]);
    addHerd(world, 2);
    await rest();
    expect(world.all(pods).length).toBeGreaterThanOrEqual(2);
    expect(env.lines.some(({ message }) => message.includes("a watch threw"))).toBe(true);
  });
});

describe("start and stop", () => {
  test("gates, kinds that are not served, and kinds that appear later", async () => {
    const env = new FakeEnv();
    const world = new World(env);
    world.unserved.add("herds.test.kruise.io");
    addHerd(world, 2);
    const off: Controller = { ...herdController(), name: "off-controller", enabled: () => false };
    const { runner, rest } = await startHouse([herdController(), off], { env, world });
    expect(runner.names).toEqual([]);
    expect(env.lines.find(({ level }) => level === "info")?.fields).toMatchObject({ missing: ["herds.test.kruise.io"] });
    world.serve("herds.test.kruise.io");
    await rest();
    expect(runner.names).toEqual(["herd-controller"]);
    expect(world.all(pods)).toHaveLength(2);
  });

  test("caches that do not fill are an error that names the kinds", async () => {
    const env = new FakeEnv();
    const world = new World(env);
    world.synced = (kind) => (kind.kind === "Pod" ? new Promise(() => {}) : Promise.resolve());
    await expect(startHouse([herdController()], { env, world })).rejects.toThrow(/herd-controller.*120s: pods;/);
  });

  test("the flag sets the number of workers", async () => {
    const { metrics } = await startHouse([herdController()], { workers: (flag) => (flag === "herd-workers" ? 7 : undefined) });
    expect(metrics.value(names.maxConcurrentReconciles, labels)).toBe(7);
  });

  test("a stop ends what is in work and writes the last statuses", async () => {
    const { world, env, stop } = await startHouse([herdController()], { latencyMs: 100 });
    addHerd(world, 3);
    await env.advance(150);
    expect(await stop()).toBe(true);
    const calls = world.calls.length;
    addHerd(world, 3, "late");
    await env.advance(600_000);
    expect(world.calls).toHaveLength(calls);
  });

  test("every key is looked at again at the sync period", async () => {
    let looks = 0;
    const inner = herdController();
    const counting: Controller = {
      ...inner,
      observe: (context, key) => {
        looks += 1;
        return inner.observe(context, key);
      },
    };
    const { world, env, rest } = await startHouse([counting], { syncPeriodMs: 3_600_000 });
    addHerd(world, 1);
    await rest();
    const before = looks;
    await env.advance(2.5 * 3_600_000);
    expect(looks - before).toBe(2);
  });
});

test("planOf shows one plan and does nothing", async () => {
  const world = new World(new FakeEnv());
  addHerd(world, 2);
  const plan = await planOf<Herd["status"]>(herdController(), world, web);
  expect(plan?.actions.map((action) => action.do)).toEqual(["create", "create"]);
  expect(plan?.status?.([])).toEqual({ replicas: 0, updated: 0 });
  expect(await planOf(herdController(), world, { namespace: "shop", name: "none" })).toBeUndefined();
  expect(world.calls).toHaveLength(0);
});

test("reasons keep the time since when they hold, are counted once, and reach the history", async () => {
  const moved: Moved[] = [];
  const held: unknown[] = [];
  const landed: string[] = [];
  const history: HistoryPort = {
    moved: (move) => moved.push(move),
    landed: (_, hasLanded) => landed.push(...moved.filter(({ on, revision }) => hasLanded(on, revision)).map(({ on }) => on)),
    held: (_, holds, atMs) => held.push({ holds, atMs }),
  };
  const { world, env, rest, runner, metrics } = await startHouse([herdController({ moving: 0 })], { history });
  addHerd(world, 3);
  await rest();
  expect(moved.map(({ how }) => how)).toEqual(["create", "create", "create"]);
  expect(new Set(landed).size).toBe(3);
  world.edit<Herd>(herds, web, (herd) => {
    herd.spec.revision = "2";
  });
  await rest();
  const [first] = runner.heldBy("herd-controller", web);
  expect(first).toMatchObject({ code: "HeldByMoving", figures: { max: 0 } });
  const sinceMs = first?.sinceMs ?? 0;
  await env.advance(60_000);
  runner.wake("herd-controller", web);
  await rest();
  expect(runner.heldBy("herd-controller", web)[0]?.sinceMs).toBe(sinceMs);
  expect(metrics.value(names.blockedTotal, { kind: "Herd", reason: "HeldByMoving" })).toBe(3);
  expect(held).toMatchObject([{ holds: [{ code: "HeldByMoving", count: 3 }] }]);
});

test("whatever the faults, once they end the world is as asked for, and nothing was created twice for one need", async () => {
  const fault: fc.Arbitrary<Fault> = fc.constantFrom<Fault>(
    undefined,
    undefined,
    undefined,
    quota,
    "lost",
    "never",
    { ok: false, why: "conflict", message: "modified" },
    { ok: false, why: "throttled", retryAfterMs: 1_000, message: "slow down" },
    { ok: false, why: "unavailable", mayHaveHappened: false, message: "connection refused" },
  );
  const edits = fc.array(fc.record({ replicas: fc.nat(6), revision: fc.constantFrom("1", "2", "3"), afterMs: fc.nat(3_000) }), {
    minLength: 1,
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(
      edits,
      fc.array(fault, { maxLength: 30 }),
      fc.nat(2_000),
      fc.nat(20),
      fc.integer(),
      async (edits, faults, watchLagMs, latencyMs, seed) => {
        const { world, env, rest, runner } = await startHouse([herdController({ moving: 2 })], {
          watchLagMs,
          latencyMs,
          seed,
          settings: testSettings({ expectationTimeoutMs: 20_000 }),
        });
        let calls = 0;
        world.fault = () => faults[calls++];
        addHerd(world, 3);
        let most = 3;
        for (const { replicas, revision, afterMs } of edits) {
          most = Math.max(most, replicas);
          await env.advance(afterMs);
          world.edit<Herd>(herds, web, (herd) => {
            herd.spec = { replicas, revision };
          });
        }
        await rest({ quietMs: 10_000 });
        const last = edits.at(-1) ?? { replicas: 3, revision: "1" };
        const alive = world.all<Pod>(pods);
        expect(alive).toHaveLength(last.replicas);
        expect(alive.every(({ metadata }) => metadata.labels?.["revision"] === last.revision)).toBe(true);
        expect(world.now<Herd>(herds, web)?.status).toEqual({ replicas: last.replicas, updated: last.replicas });
        expect(runner.expectations.openCount).toBe(0);
        expect(runner.heldBy("herd-controller", web)).toHaveLength(0);
        expect(most).toBeLessThanOrEqual(6);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
