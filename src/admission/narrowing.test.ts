import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Env } from "../env/env.ts";
import { sleep } from "../env/env.ts";
import { FakeEnv } from "../env/fake.ts";
import { seededRandom } from "../env/random.ts";
import type { Writer } from "../kube/access.ts";
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import { mutatingConfigurationName, mutatingConfigurations, type WebhookConfiguration } from "./configuration.ts";
import { silentMetrics } from "./metrics.ts";
import type { PodSource } from "./narrow-scope.ts";
import { narrowEntry, narrowingAnnotation, narrowingOf } from "./narrow-state.ts";
import { createNarrowing, type Narrowing, narrowingLimits } from "./narrowing.ts";
import { FakeApi } from "./testing/fake-api.ts";

interface Thing extends KubeObject {
  place?: string;
}
const things: Kind<Thing> = { group: "test.io", version: "v1", kind: "Thing", plural: "things", namespaced: false };
const source: PodSource = { of: things, scope: (object) => ({ namespaces: [(object as Thing).place ?? ""] }) };
const key = { namespace: "", name: mutatingConfigurationName };
const { inFlightMs, propagationMs } = narrowingLimits;
const entry = { name: "mpod.kb.io", always: ["ours"], sources: ["things.test.io"], seesPod: true };
const thing = (name: string, place: string): Thing => ({ metadata: { name } as Thing["metadata"], place });

interface Replica {
  readonly narrowing: Narrowing;
  crash(): void;
}

function world(seed = 1) {
  const env = new FakeEnv({ seed });
  const api = new FakeApi();
  api.put(mutatingConfigurations, {
    metadata: { name: mutatingConfigurationName },
    webhooks: [{ name: "mpod.kb.io", matchConditions: [{ name: "theirs", expression: "1 < 2" }] }, { name: "mother.kb.io" }],
  } as unknown as WebhookConfiguration);
  const followers = new Set<() => void>();
  const replica = (changes: { enabled?: boolean; known?: () => readonly Thing[]; write?: Writer; jumpMs?: number } = {}): Replica => {
    const life = new AbortController();
    const own: Env = Object.create(env, {
      stopped: { value: life.signal },
      nowMs: { value: () => env.nowMs() + (changes.jumpMs ?? 0) },
    });
    const narrowing = createNarrowing({
      env: own,
      live: api.live,
      write: changes.write ?? api.write,
      subscribe: api.subscribe,
      follow: (_kind, changed) => {
        followers.add(changed);
        return () => followers.delete(changed);
      },
      known: changes.known ?? (() => api.list(things)),
      serves: () => true,
      sources: [source],
      configurations: [{ of: mutatingConfigurations, name: mutatingConfigurationName, entries: [entry] }],
      metrics: silentMetrics,
      enabled: changes.enabled ?? true,
    });
    narrowing.start();
    return { narrowing, crash: () => life.abort() };
  };
  const put = (object: Thing) => {
    api.put(things, object);
    for (const changed of followers) changed();
  };
  const remove = (name: string) => {
    api.remove(things, { namespace: "", name });
    for (const changed of followers) changed();
  };
  const live = () => api.get(mutatingConfigurations, key) as WebhookConfiguration;
  const expression = () => narrowingOf(live().webhooks?.[0] as never);
  return { env, api, replica, put, remove, live, expression };
}

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

describe("by what exists", () => {
  test("nothing is narrowed until whoever does not announce has gone; then all that nothing concerns is", async () => {
    const { env, replica, put, live, expression } = world();
    put(thing("one", "shop"));
    stops.push(replica().crash);
    await env.advance(inFlightMs - 1);
    expect(expression()).toBeUndefined();
    await env.advance(1_000);
    expect(expression()).toBe('(ours) || (request.namespace in ["shop"])');
    expect(live().webhooks?.[0]?.["matchConditions"]).toEqual([
      { name: "theirs", expression: "1 < 2" },
      { name: "kruise.io/narrowing", expression: expression() },
    ]);
    expect(live().webhooks?.[1]).toEqual({ name: "mother.kb.io" });
  });

  test("what is announced is asked about before it is let through, also when it comes late or never", async () => {
    const { env, replica, expression } = world();
    const { narrowing, crash } = replica();
    stops.push(crash);
    await env.advance(inFlightMs + 1_000);
    expect(expression()).toBe("(ours)");
    const startedMs = env.nowMs();
    let answeredMs = 0;
    const answer = narrowing.announce(things, thing("one", "shop"), undefined).finally(() => {
      answeredMs = env.nowMs();
    });
    await env.advance(10);
    expect(expression()).toContain("shop");
    await env.advance(propagationMs);
    expect(await answer).toBeUndefined();
    expect(answeredMs - startedMs).toBeGreaterThanOrEqual(propagationMs);
    await env.advance(60_000);
    expect(expression()).toContain("shop");
    await env.advance(inFlightMs);
    expect(expression()).toBe("(ours)");
  });

  test("an object that stays as it is for its pods is not announced, one that goes is forgotten", async () => {
    const { env, api, replica, put, remove, expression } = world();
    const { narrowing, crash } = replica();
    stops.push(crash);
    put(thing("one", "shop"));
    await env.advance(inFlightMs + 1_000);
    const writes = api.writes().length;
    expect(await narrowing.announce(things, thing("one", "shop"), thing("one", "shop"))).toBeUndefined();
    expect(api.writes()).toHaveLength(writes);
    remove("one");
    await env.advance(1_000);
    expect(expression()).toBe("(ours)");
  });

  test("many at once are one write", async () => {
    const { env, api, replica } = world();
    const { narrowing, crash } = replica();
    stops.push(crash);
    await env.advance(inFlightMs + 1_000);
    const writes = api.writes().length;
    const answers = Array.from({ length: 50 }, (_, index) => narrowing.announce(things, thing(`t${index}`, `n${index}`), undefined));
    await env.advance(propagationMs + 10);
    expect(await Promise.all(answers)).toEqual(answers.map(() => undefined));
    expect(api.writes().length - writes).toBe(1);
  });

  test("what somebody let through without a word is found within a second", async () => {
    const { env, replica, put, expression } = world();
    stops.push(replica().crash);
    await env.advance(inFlightMs + 1_000);
    put(thing("one", "shop"));
    await env.advance(1_000);
    expect(expression()).toContain("shop");
  });

  test("an object is refused while the configuration cannot be written", async () => {
    const { env, api, replica } = world();
    const { narrowing, crash } = replica();
    stops.push(crash);
    await env.advance(inFlightMs + 1_000);
    api.refuse = (verb) => (verb === "update" ? { ok: false, why: "unavailable", mayHaveHappened: false, message: "down" } : undefined);
    const answer = narrowing.announce(things, thing("one", "shop"), undefined);
    await env.advance(narrowingLimits.announceMs + 1_000);
    expect(await answer).toContain("down");
    api.refuse = () => undefined;
    const second = narrowing.announce(things, thing("one", "shop"), undefined);
    await env.advance(propagationMs + 10);
    expect(await second).toBeUndefined();
  });

  test("a list that fails narrows nothing", async () => {
    const { env, api, replica, put, expression } = world();
    put(thing("one", "shop"));
    api.refuse = (verb) => (verb === "list" ? { ok: false, why: "notFound", message: "things not found" } : undefined);
    stops.push(replica().crash);
    await env.advance(2 * inFlightMs);
    expect(expression()).toBeUndefined();
    api.refuse = () => undefined;
    await env.advance(61_000);
    expect(expression()).toContain("shop");
  });

  test("an entry that came back without its condition gets it again; one that is announced for is not narrowed by that", async () => {
    const { env, api, replica, put, expression } = world();
    put(thing("one", "shop"));
    stops.push(replica().crash);
    await env.advance(inFlightMs + 1_000);
    const { narrowing, crash } = replica({ known: () => [] });
    crash();
    api.change(mutatingConfigurations, key, (object) => {
      object.webhooks = object.webhooks?.map((webhook) => narrowEntry(webhook, undefined));
    });
    void narrowing.announce(things, thing("two", "other"), undefined);
    await env.advance(0);
    expect(expression()).toBeUndefined();
    await env.advance(1_000);
    expect(expression()).toBe('(ours) || (request.namespace in ["other","shop"])');
  });

  test("turned off, nothing of it stays", async () => {
    const { env, replica, live, expression } = world();
    const on = replica();
    await env.advance(inFlightMs + 1_000);
    expect(expression()).toBeDefined();
    on.crash();
    stops.push(replica({ enabled: false }).crash);
    await env.advance(1_000);
    expect(expression()).toBeUndefined();
    expect(live().metadata.annotations?.[narrowingAnnotation]).toBeUndefined();
    expect(live().webhooks?.[0]?.["matchConditions"]).toEqual([{ name: "theirs", expression: "1 < 2" }]);
  });
});

/**
 * Requests that last as long as they may, replicas that die at any moment, show what was minutes ago and have clocks of their own, answers
 * that get lost: no API server may ever meet an object's pod without asking, even one that is as late as it may be.
 */
async function faults(seed: number): Promise<void> {
  const { env, api, replica, put, remove, live } = world(seed);
  const random = seededRandom(seed);
  const upTo = (ms: number) => Math.floor(random() * ms);
  const asked: { readonly atMs: number; readonly expression: string | undefined }[] = [];
  const lives: { readonly place: string; readonly fromMs: number; toMs: number }[] = [];
  api.subscribe({ of: mutatingConfigurations }, () => {});
  const update: Writer["update"] = async (kind, object, options) => {
    if (random() < 0.1) return { ok: false, why: "unavailable", mayHaveHappened: false, message: "down" };
    const answer = await api.write.update(kind, object, options);
    if (answer.ok) asked.push({ atMs: env.nowMs(), expression: narrowingOf(live().webhooks?.[0] as never) });
    return random() < 0.1 ? { ok: false, why: "unavailable", mayHaveHappened: true, message: "lost" } : answer;
  };
  api.before = () => (random() < 0.3 ? sleep(env, upTo(random() < 0.1 ? 5_000 : 200)) : undefined);
  let shown = api.list(things);
  const start = () => replica({ write: { ...api.write, update }, known: () => shown, jumpMs: upTo(20_000) - 10_000 });
  const replicas = [start(), start()];
  const place = () => `place-${upTo(4)}`;
  const user = async (index: number) => {
    for (let round = 0; round < 12; round += 1) {
      await sleep(env, upTo(40_000));
      const name = `thing-${index}`;
      const wanted = thing(name, place());
      const at = upTo(replicas.length);
      const asking = replicas[at] as Replica;
      const problem = await asking.narrowing.announce(things, wanted, undefined);
      // Whoever died before its answer has refused.
      if (problem !== undefined || replicas[at] !== asking) continue;
      await sleep(env, upTo(random() < 0.2 ? 55_000 : 50));
      if (random() < 0.2) continue;
      const life = { place: wanted.place ?? "", fromMs: env.nowMs(), toMs: Number.POSITIVE_INFINITY };
      lives.push(life);
      put(wanted);
      await sleep(env, upTo(120_000));
      life.toMs = env.nowMs();
      remove(name);
    }
  };
  const chaos = async () => {
    for (let round = 0; round < 40; round += 1) {
      await sleep(env, upTo(30_000));
      if (random() < 0.5) shown = api.list(things);
      if (random() < 0.3) {
        const at = upTo(replicas.length);
        replicas[at]?.crash();
        replicas[at] = start();
      }
    }
  };
  const all = Promise.all([user(0), user(1), user(2), chaos()]);
  let ended = false;
  void all.then(() => {
    ended = true;
  });
  await env.runUntil(() => ended, 4 * 3_600_000);
  for (const { crash } of replicas) crash();
  expect(ended).toBe(true);
  let narrowed = 0;
  for (const { place: wanted, fromMs, toMs } of lives) {
    for (const [index, { atMs, expression }] of asked.entries()) {
      const untilMs = asked[index + 1]?.atMs ?? Number.POSITIVE_INFINITY;
      // In force on some API server while the object exists.
      if (untilMs <= fromMs - propagationMs || atMs >= toMs) continue;
      if (expression !== undefined) narrowed += 1;
      if (expression !== undefined && !expression.includes(`"${wanted}"`))
        throw new Error(`${wanted} lived from ${fromMs} to ${toMs}; from ${atMs} on: ${expression}`);
    }
  }
  seen.narrowed += narrowed;
}
const seen = { narrowed: 0 };

test("whatever fails, no object's pods go unasked", async () => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 1_000_000 }), faults), { numRuns: 15 });
  expect(seen.narrowed).toBeGreaterThan(0);
}, 120_000);
