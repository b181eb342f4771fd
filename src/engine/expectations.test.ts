import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FakeEnv } from "../env/fake.ts";
import { type Ref, refOf } from "../kube/kind.ts";
import { pods } from "../kube/kinds.ts";
import type { Failure } from "../kube/outcome.ts";
import type { Pod } from "../kube/types.ts";
import type { Unclear } from "./executor.ts";
import { Expectations } from "./expectations.ts";
import { MemoryMetrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import { type Herd, herds, podDraft } from "./testing/kinds.ts";
import { type Fault, World } from "./testing/world.ts";

const timeoutMs = 300_000;
const down: Failure = { ok: false, why: "unavailable", mayHaveHappened: false, message: "connection refused" };

function tryOut(fault: (nth: number) => Fault = () => undefined) {
  const env = new FakeEnv();
  const world = new World(env, { watchLagMs: 3_600_000 });
  let calls = 0;
  world.fault = () => fault(calls++);
  const metrics = new MemoryMetrics();
  const expectations = new Expectations({ env, read: world, cache: world, events: world, metrics, timeoutMs });
  const owner: Ref = refOf(
    herds,
    world.add<Herd>(herds, { metadata: { namespace: "shop", name: "web" }, spec: { replicas: 1, revision: "1" } }),
  );
  const woken: number[] = [];
  const open = (write: Unclear) =>
    void expectations.open(write, { controller: "herd-controller", owner, wake: () => woken.push(env.monotonicMs()) });
  const blocks = () => expectations.blocks("herd-controller", owner);
  return { env, world, metrics, expectations, owner, open, blocks, woken };
}

const created = (name: string): Unclear => ({ did: "create", of: pods, key: { namespace: "shop", name } });

describe("a doubt", () => {
  test("blocks its key until a live read clears it up, and the cache learns what it saw", async () => {
    const { env, world, open, blocks, owner, woken } = tryOut();
    world.add<Pod>(pods, podDraft("web-1", owner));
    open(created("web-1"));
    expect(blocks()).toBe(true);
    await env.advance(1);
    expect(blocks()).toBe(false);
    expect(woken).toEqual([0]);
    expect(world.get(pods, { namespace: "shop", name: "web-1" })).toBeDefined();
  });

  test("a create that is not there is looked at twice: the server may still be at it", async () => {
    const { env, world, open, blocks, owner } = tryOut();
    open(created("web-1"));
    await env.advance(500);
    expect(blocks()).toBe(true);
    world.add<Pod>(pods, podDraft("web-1", owner));
    await env.advance(600);
    expect(blocks()).toBe(false);
    expect(world.get(pods, { namespace: "shop", name: "web-1" })).toBeDefined();
    expect(world.calls).toHaveLength(2);
  });

  test.each([
    ["gone", (world: World, on: Ref) => world.drop(pods, on), 1, undefined],
    ["still there, twice", () => {}, 2, "first"],
    [
      "a successor of its name",
      (world: World, on: Ref) => {
        world.drop(pods, on);
        world.add<Pod>(pods, podDraft("web-1"));
      },
      1,
      "second",
    ],
  ])("a delete whose object is %s", async (_, happened, reads, cached) => {
    const { env, world, open, blocks } = tryOut();
    const pod = world.add<Pod>(pods, podDraft("web-1"));
    world.put(pods, pod);
    const on = refOf(pods, pod);
    happened(world, on);
    open({ did: "delete", of: pods, key: on, uid: on.uid });
    await env.advance(2_000);
    expect(blocks()).toBe(false);
    expect(world.calls).toHaveLength(reads);
    const seen = world.get(pods, on);
    expect(seen === undefined ? undefined : seen.metadata.uid === on.uid ? "first" : "second").toBe(cached as never);
  });

  test("two doubts of one key: both have to end", async () => {
    const { env, world, open, blocks, owner, woken } = tryOut();
    world.add<Pod>(pods, podDraft("web-1", owner));
    open(created("web-1"));
    open(created("web-2"));
    await env.advance(500);
    expect(blocks()).toBe(true);
    await env.advance(1_000);
    expect(blocks()).toBe(false);
    expect(woken).toHaveLength(1);
  });

  test("an unreachable server is asked again with growing pauses", async () => {
    const { env, world, open, blocks, owner } = tryOut((nth) => (nth < 8 ? down : undefined));
    world.add<Pod>(pods, podDraft("web-1", owner));
    open(created("web-1"));
    await env.runUntil(() => !blocks());
    expect(env.monotonicMs()).toBe(100 + 200 + 400 + 800 + 1600 + 3200 + 6400 + 10_000);
  });
});

describe("the limit", () => {
  test("gives up loudly, with a fresh list of the owner's objects", async () => {
    const { env, world, open, blocks, owner, metrics } = tryOut();
    const stale = world.add<Pod>(pods, podDraft("stale", owner));
    const foreign = world.add<Pod>(pods, podDraft("foreign"));
    world.put(pods, stale);
    world.put(pods, foreign);
    world.drop(pods, refOf(pods, stale));
    world.drop(pods, refOf(pods, foreign));
    world.add<Pod>(pods, podDraft("unseen", owner));
    world.fault = ({ verb }) => (verb === "get" ? down : undefined);
    open(created("web-1"));
    await env.advance(timeoutMs - 1);
    expect(blocks()).toBe(true);
    await env.advance(2);
    expect(blocks()).toBe(false);
    expect(world.events).toMatchObject([{ type: "Warning", reason: "ExpectationTimeout", on: { name: "web" } }]);
    expect(metrics.value(names.expectationTimeoutTotal, { controller: "herd-controller" })).toBe(1);
    expect(world.get(pods, { namespace: "shop", name: "stale" })).toBeUndefined();
    expect(world.get(pods, { namespace: "shop", name: "unseen" })).toBeDefined();
    // Not its own: the list was not asked about it.
    expect(world.get(pods, { namespace: "shop", name: "foreign" })).toBeDefined();
  });

  test("counts under OpenKruise's name for a CloneSet", async () => {
    const { env, world, metrics, expectations } = tryOut(() => down);
    const owner: Ref = {
      of: { ...herds, group: "apps.kruise.io", kind: "CloneSet", plural: "clonesets" },
      namespace: "shop",
      name: "web",
      uid: "u",
    };
    void expectations.open(created("web-1"), { controller: "cloneset-controller", owner, wake: () => {} });
    await env.runUntilIdle();
    expect(metrics.value(names.scaleExpectationLeakage, { namespace: "shop", name: "web" })).toBe(1);
    expect(world.events).toHaveLength(1);
  });

  test("also ends when the server never answers at all", async () => {
    const env = new FakeEnv();
    const world = new World(env);
    const never = {
      get: () => new Promise<never>(() => {}),
      list: () => new Promise<never>(() => {}),
      scale: () => new Promise<never>(() => {}),
    };
    const read = { get: world.get.bind(world), list: world.list.bind(world), find: world.find.bind(world), live: never };
    const expectations = new Expectations({ env, read, cache: world, events: world, metrics: new MemoryMetrics(), timeoutMs });
    void expectations.open(created("web-1"), {
      controller: "c",
      owner: { of: herds, namespace: "shop", name: "web", uid: "u" },
      wake: () => {},
    });
    await env.advance(timeoutMs + 30_001);
    expect(expectations.openCount).toBe(0);
  });
});

test("every doubt ends within the limits, its key is woken once for all of them, and no timer is left", async () => {
  const fault: fc.Arbitrary<Fault> = fc.constantFrom<Fault>(
    undefined,
    undefined,
    down,
    "lost",
    "never",
    { ok: false, why: "throttled", retryAfterMs: 90_000, message: "" },
    { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "no" },
  );
  const doubts = fc.array(fc.record({ did: fc.constantFrom("create", "delete", "change"), pod: fc.nat(3), atMs: fc.nat(5_000) }), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { minLength: 1, maxLength: 12 }), doubts, fc.array(fc.nat(3)), async (faults, doubts, present) => {
      const { env, world, open, blocks, owner, woken, expectations } = tryOut((nth) => faults[nth % faults.length]);
      for (const index of new Set(present)) world.add<Pod>(pods, podDraft(`web-${index}`, owner));
      for (const { did, pod, atMs } of doubts) {
        await env.advance(atMs);
        open({
          did: did as Unclear["did"],
          of: pods,
          key: { namespace: "shop", name: `web-${pod}` },
          uid: did === "create" ? undefined : "some-uid",
        });
      }
      await env.advance(timeoutMs + 30_000);
      expect(blocks()).toBe(false);
      expect(expectations.openCount).toBe(0);
      expect(woken.length).toBeGreaterThanOrEqual(1);
      expect(woken.length).toBeLessThanOrEqual(doubts.length);
      expect(await env.runUntilIdle(7_200_000)).toBe(true);
    }),
    { numRuns: 100 },
  );
}, 60_000);
