import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FakeEnv } from "../env/fake.ts";
import type { Failure } from "../kube/outcome.ts";
import { applyMergePatch } from "../kube/patch/merge.ts";
import { ObjectLocks } from "./locks.ts";
import { Slots } from "./slots.ts";
import { StatusWriter } from "./status.ts";
import { statusPatch } from "./status-patch.ts";
import { type Herd, herds } from "./testing/kinds.ts";
import { World, type WorldOptions } from "./testing/world.ts";

describe("the smallest patch", () => {
  test.each([
    [undefined, { a: 1 }, { a: 1 }, "the first status"],
    [{ a: 1 }, { a: 1 }, undefined, "nothing differs"],
    [{ a: 1, b: 2 }, { a: 1, b: 3 }, { b: 3 }, "only what differs"],
    [{ a: 1, b: 2 }, { a: 1 }, { b: null }, "what is no more"],
    [{ a: { b: 1, c: 2 } }, { a: { b: 1, c: 3 } }, { a: { c: 3 } }, "inside of objects"],
    [{ a: [1, 2] }, { a: [1, 3] }, { a: [1, 3] }, "lists as a whole"],
    [{ a: null }, {}, undefined, "null is missing"],
    [{}, { a: null, b: undefined }, undefined, "missing is null"],
    [{ a: 1 }, { a: undefined }, { a: null }, "undefined is missing"],
    [{ a: 1 }, undefined, { a: null }, "no status at all"],
  ])("%j → %j: %j (%s)", (before, after, patch) => {
    expect(statusPatch(before, after)).toEqual(patch as never);
  });

  test("applied, it makes one of the other", () => {
    const json = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.nat(3),
        fc.boolean(),
        fc.array(fc.nat(2), { maxLength: 2 }),
        fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value")),
      ),
    })).value;
    const status = fc.dictionary(fc.constantFrom("a", "b", "c"), json);
    fc.assert(
      fc.property(status, status, (before, after) => {
        const patch = statusPatch(before, after);
        expect(patch === undefined ? before : applyMergePatch(before, patch)).toEqual(after);
        if (patch !== undefined) expect(statusPatch(applyMergePatch(before, patch), after)).toBeUndefined();
      }),
    );
  });
});

function tryOut(options: WorldOptions = {}) {
  const env = new FakeEnv();
  const world = new World(env, options);
  const slots = new Slots();
  const failures: Failure[] = [];
  const writer = new StatusWriter(
    { env, read: world, write: world, cache: world, slots, locks: new ObjectLocks(), intervalMs: 250 },
    herds,
    (_, failure) => failures.push(failure),
  );
  const key = { namespace: "shop", name: "web" };
  world.add<Herd>(herds, { metadata: { ...key }, spec: { replicas: 1, revision: "1" } });
  const submit = (status: Herd["status"]) => {
    const object = world.get(herds, key);
    if (object === undefined) throw new Error("the herd is gone");
    return writer.submit(object, status);
  };
  const writtenAtMs: number[] = [];
  world.fault = ({ verb }) => {
    if (verb === "patch") writtenAtMs.push(env.monotonicMs());
    return undefined;
  };
  const status = () => world.now<Herd>(herds, key)?.status;
  return { env, world, writer, key, submit, status, failures, slots, writtenAtMs };
}

describe("writing", () => {
  test("only what differs, with the uid, on the subresource", async () => {
    const { env, world, submit, status, key } = tryOut();
    await submit({ replicas: 1, ready: 0 });
    await env.advance(1000);
    await submit({ replicas: 1, ready: 1 });
    expect(status()).toEqual({ replicas: 1, ready: 1 });
    const uid = world.now(herds, key)?.metadata.uid;
    expect(world.writes()).toMatchObject([
      { verb: "patch", subresource: "status", body: { metadata: { uid }, status: { replicas: 1, ready: 0 } } },
      { verb: "patch", subresource: "status", body: { metadata: { uid }, status: { ready: 1 } } },
    ]);
    expect(submit({ replicas: 1, ready: 1 })).toBeUndefined();
    expect(world.writes()).toHaveLength(2);
  });

  test("under flux at most once an interval, and the last word is written", async () => {
    const { env, submit, status, writtenAtMs } = tryOut({ latencyMs: 5 });
    for (let ready = 0; ready <= 100; ready += 1) {
      void submit({ ready });
      await env.advance(10);
    }
    await env.runUntilIdle();
    expect(status()).toEqual({ ready: 100 });
    expect(writtenAtMs.length).toBeLessThanOrEqual(6);
    for (const [index, atMs] of writtenAtMs.slice(1).entries()) expect(atMs - (writtenAtMs[index] ?? 0)).toBeGreaterThanOrEqual(250);
  });

  test("a new generation does not wait", async () => {
    const { env, world, submit, key, writtenAtMs } = tryOut();
    void submit({ ready: 1 });
    await env.advance(10);
    world.edit<Herd>(herds, key, (herd) => {
      herd.spec.revision = "2";
    });
    void submit({ ready: 0 });
    await env.advance(0);
    expect(writtenAtMs).toEqual([0, 10]);
  });

  test("neither does a new object of the same name", async () => {
    const { env, world, submit, key, writtenAtMs } = tryOut();
    void submit({ ready: 1 });
    await env.advance(10);
    world.drop(herds, key);
    world.add<Herd>(herds, { metadata: { ...key }, spec: { replicas: 1, revision: "1" } });
    void submit({ ready: 0 });
    await env.advance(0);
    expect(writtenAtMs).toEqual([0, 10]);
  });

  test("what has become so by itself is not written any more", async () => {
    const { env, world, submit } = tryOut();
    void submit({ ready: 1 });
    await env.advance(10);
    void submit({ ready: 2 });
    void submit({ ready: 1 });
    await env.runUntilIdle();
    expect(world.writes()).toHaveLength(1);
  });

  test("back to what it was while another value is on its way: the last word counts", async () => {
    const { env, submit, status } = tryOut({ latencyMs: 20 });
    void submit({ ready: 1 });
    await env.advance(500);
    void submit({ ready: 2 });
    await env.advance(5);
    void submit({ ready: 1 });
    await env.runUntilIdle();
    expect(status()).toEqual({ ready: 1 });
  });

  test("what the server keeps otherwise is sent once, not for ever", async () => {
    const { env, world, submit, key } = tryOut();
    const patch = world.store.patch.bind(world.store);
    world.store.patch = (kind, at, type, body, subresource) => {
      const { unknown: _, ...status } = (body as { status: Record<string, unknown> }).status;
      return patch(kind, at, type, { ...(body as object), status }, subresource);
    };
    for (let round = 0; round < 5; round += 1) {
      void submit({ ready: 1, unknown: "field" } as Herd["status"]);
      await env.advance(1000);
    }
    expect(world.writes()).toHaveLength(1);
    void submit({ ready: 2, unknown: "field" } as Herd["status"]);
    await env.advance(1000);
    expect(world.writes()).toHaveLength(2);
    expect(world.now<Herd>(herds, key)?.status?.ready).toBe(2);
    expect(env.lines.some(({ level }) => level === "warn")).toBe(true);
  });

  test("what somebody else left behind is removed, also when the last write did not know of it", async () => {
    const { env, world, submit, status, key } = tryOut({ watchLagMs: 500 });
    await env.advance(1_000);
    world.edit<Herd>(herds, key, (herd) => {
      herd.status = { message: "left behind" };
    });
    void submit({ ready: 1 });
    await env.advance(100);
    expect(status()).toEqual({ ready: 1, message: "left behind" });
    await env.advance(1_000);
    expect(status()).toEqual({ ready: 1 });
    const writes = world.writes().length;
    await env.advance(10_000);
    expect(world.writes()).toHaveLength(writes);
  });

  test("a status is foreign when it is neither what was written nor what was found right", async () => {
    const { env, world, submit, writer, key } = tryOut();
    const now = () => world.now<Herd>(herds, key) as Herd;
    expect(writer.isForeign(now())).toBe(false);
    void submit({ ready: 1 });
    await env.advance(1_000);
    expect(writer.isForeign(now())).toBe(false);
    expect(writer.isForeign({ ...now(), status: { ready: 2 } } as Herd)).toBe(true);
    void submit({ ready: 1 });
    expect(writer.isForeign({ ...now(), status: undefined } as Herd)).toBe(true);
    writer.forget(key);
    expect(writer.isForeign({ ...now(), status: { ready: 2 } } as Herd)).toBe(false);
  });

  test("a flush writes what still waits", async () => {
    const { env, submit, status, writer } = tryOut();
    void submit({ ready: 1 });
    await env.advance(10);
    void submit({ ready: 2 });
    const flushed = writer.flush();
    await env.advance(0);
    await flushed;
    expect(status()).toEqual({ ready: 2 });
    expect(env.monotonicMs()).toBe(10);
  });

  test("a forgotten object is left alone", async () => {
    const { env, world, submit, writer, key } = tryOut();
    void submit({ ready: 1 });
    await env.advance(10);
    void submit({ ready: 2 });
    writer.forget(key);
    await env.runUntilIdle();
    expect(world.writes()).toHaveLength(1);
  });

  test("the interval grows while writes queue up", async () => {
    const { env, slots, writer } = tryOut();
    expect(writer.intervalMs).toBe(250);
    for (let index = 0; index < 500; index += 1) void slots.run("busy", () => new Promise<void>((resolve) => void env.after(1, resolve)));
    expect(writer.intervalMs).toBe(1000);
    await env.runUntilIdle();
    expect(writer.intervalMs).toBe(250);
  });
});

describe("failures", () => {
  const throttled: Failure = { ok: false, why: "throttled", retryAfterMs: 1000, message: "slow down" };
  test("of a write that is awaited are returned, of one that is not are handed on", async () => {
    const { env, world, submit, failures } = tryOut();
    world.fault = () => throttled;
    expect(await submit({ ready: 1 })).toEqual(throttled);
    void submit({ ready: 2 });
    await env.runUntilIdle();
    expect(failures).toEqual([throttled]);
  });

  test("gone is no failure, a conflict is: it may be another object, or one in great demand", async () => {
    const { world, submit } = tryOut();
    world.fault = () => ({ ok: false, why: "notFound", message: "" });
    expect(await submit({ ready: 1 })).toBeUndefined();
    const again = tryOut();
    again.world.fault = () => ({ ok: false, why: "conflict", message: "modified" });
    expect(await again.submit({ ready: 1 })).toMatchObject({ why: "conflict" });
  });
});
