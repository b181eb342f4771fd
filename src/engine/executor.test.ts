import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FakeEnv } from "../env/fake.ts";
import { type Ref, refOf } from "../kube/kind.ts";
import { pods } from "../kube/kinds.ts";
import type { Failure } from "../kube/outcome.ts";
import type { Condition, Pod } from "../kube/types.ts";
import { Conditions } from "./conditions.ts";
import { KubeExecutor, type Unclear } from "./executor.ts";
import { ObjectLocks } from "./locks.ts";
import { type Action, change, create, type Outcome, remove, type Step, type WriteStep } from "./plan.ts";
import { Slots } from "./slots.ts";
import { labelsPatch, podDraft } from "./testing/kinds.ts";
import { type Call, World, type WorldOptions } from "./testing/world.ts";

const quota: Failure = { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "exceeded quota: pods" };

function tryOut(options: WorldOptions & { slots?: number } = {}) {
  const env = new FakeEnv();
  const world = new World(env, options);
  const slots = new Slots(options.slots);
  const locks = new ObjectLocks();
  const shared = { env, read: world, write: world, cache: world, slots, locks };
  const conditions = new Conditions(shared);
  const executor = new KubeExecutor({ ...shared, conditions });
  const unclear: Unclear[] = [];
  const start = (actions: readonly Action[], lane = "test") =>
    executor.run(actions, { lane, log: () => env.log, unclear: (write) => unclear.push(write) });
  const run = async (actions: readonly Action[]): Promise<readonly Outcome[]> => {
    let outcomes: readonly Outcome[] | undefined;
    let failed: unknown;
    start(actions).then(
      (result) => {
        outcomes = result;
      },
      (error) => {
        failed = error;
      },
    );
    await env.runUntilIdle();
    if (failed !== undefined) throw failed;
    if (outcomes === undefined) throw new Error("the actions did not end");
    return outcomes;
  };
  const pod = (name: string) => world.add<Pod>(pods, podDraft(name));
  return { env, world, run, start, unclear, pod, conditions };
}

const makePod = (name: string, more: object = {}): Action => create<Pod>({ id: name, of: pods, object: podDraft(name), ...more });
const step = (name: string, write: WriteStep<Pod>["write"], more: Partial<WriteStep<Pod>> = {}): WriteStep<Pod> => ({
  name,
  write,
  precondition: "version",
  onConflict: "retry",
  ...more,
});
const results = (outcomes: readonly Outcome[]) => outcomes.map(({ result }) => result);

describe("creates", () => {
  test("what was created is in the cache before the outcome is known", async () => {
    const { world, run } = tryOut({ watchLagMs: 60_000 });
    const [outcome] = await run([makePod("web-1")]);
    expect(outcome).toMatchObject({ result: "done", object: { metadata: { name: "web-1" } } });
    expect(world.get(pods, { namespace: "shop", name: "web-1" })).toBeDefined();
  });

  test("a refusal stops after its batch: the rest is skipped", async () => {
    const { world, run } = tryOut();
    world.fault = ({ key }) => (key.name === "web-2" ? quota : undefined);
    const outcomes = await run(Array.from({ length: 12 }, (_, index) => makePod(`web-${index}`)));
    expect(results(outcomes)).toEqual(["done", "done", "failed", ...Array(9).fill("skipped")]);
    expect(world.writes()).toHaveLength(3);
  });

  test("an existing object counts as done only where the plan says so, and the cache learns of it", async () => {
    const { world, run, pod } = tryOut({ watchLagMs: 60_000 });
    pod("web-1");
    expect(world.get(pods, { namespace: "shop", name: "web-1" })).toBeUndefined();
    expect(await run([makePod("web-1", { existsIsFine: true })])).toMatchObject([{ result: "done", unchanged: true }]);
    expect(world.get(pods, { namespace: "shop", name: "web-1" })).toBeDefined();
    expect(await run([makePod("web-1")])).toMatchObject([{ result: "failed", failure: { why: "alreadyExists" } }]);
  });

  test("an answer that does not come makes the outcome failed and the write unclear", async () => {
    const { world, run, unclear } = tryOut();
    world.fault = () => "lost";
    expect(await run([makePod("web-1")])).toMatchObject([{ result: "failed", failure: { why: "unavailable" } }]);
    expect(unclear).toMatchObject([{ did: "create", key: { namespace: "shop", name: "web-1" } }]);
  });
});

describe("after", () => {
  test("waits for what comes before it, and is skipped when that fails", async () => {
    const { world, run } = tryOut({ latencyMs: 5 });
    world.fault = ({ key }) => (key.name === "bad" ? quota : undefined);
    const outcomes = await run([
      makePod("claim"),
      makePod("web", { after: ["claim"] }),
      makePod("bad", { after: ["web"] }),
      makePod("never", { after: ["bad"] }),
    ]);
    expect(results(outcomes)).toEqual(["done", "done", "failed", "skipped"]);
    expect(world.writes().map(({ key }) => key.name)).toEqual(["claim", "web", "bad"]);
  });

  test("waiting for something later in the plan is a broken promise", async () => {
    const { run } = tryOut();
    await expect(run([makePod("a", { after: ["b"] }), makePod("b")])).rejects.toThrow("broken promise");
    await expect(run([makePod("a"), makePod("a")])).rejects.toThrow("unique");
  });
});

describe("deletes", () => {
  test("carry the uid: a successor of the same name stays, and counts as gone", async () => {
    const { world, run, pod } = tryOut();
    const first = refOf(pods, pod("web-1"));
    world.drop(pods, first);
    const second = pod("web-1");
    expect(await run([remove({ id: "x", on: first })])).toMatchObject([{ result: "done", unchanged: true }]);
    expect(world.now(pods, first)?.metadata.uid).toBe(second.metadata.uid);
    expect(world.get(pods, first)?.metadata.uid).toBe(second.metadata.uid);
  });

  test("the cache shows the pod terminating, or gone, at once", async () => {
    const { world, run, pod } = tryOut({ watchLagMs: 60_000 });
    world.store.holdDeleted = (_, { metadata }) => metadata.name === "held";
    const held = pod("held");
    const free = pod("free");
    world.put(pods, held);
    world.put(pods, free);
    await world.delete(refOf(pods, held), {});
    const outcomes = await run([remove({ id: "held", on: refOf(pods, held) }), remove({ id: "free", on: refOf(pods, free) })]);
    expect(results(outcomes)).toEqual(["done", "done"]);
    expect(world.get(pods, { namespace: "shop", name: "held" })?.metadata.deletionTimestamp).toBeDefined();
    expect(world.get(pods, { namespace: "shop", name: "free" })).toBeUndefined();
  });

  test("gone already is done", async () => {
    const { run } = tryOut();
    const on: Ref<Pod> = { of: pods, namespace: "shop", name: "web-1", uid: "u" };
    expect(await run([remove({ id: "x", on })])).toMatchObject([{ result: "done", unchanged: true }]);
  });
});

describe("changes", () => {
  test("each step sees what the one before it made, also while the watch lags", async () => {
    const { world, run, pod } = tryOut({ watchLagMs: 60_000 });
    const before = pod("web-1");
    world.put(pods, before);
    const seen: (string | undefined)[] = [];
    const outcomes = await run([
      change<Pod>({
        id: "x",
        on: refOf(pods, before),
        steps: ["a", "b", "c"].map((value) =>
          step(value, (fresh) => {
            seen.push(fresh.metadata.labels?.["step"]);
            return labelsPatch({ step: value });
          }),
        ),
      }),
    ]);
    expect(results(outcomes)).toEqual(["done"]);
    expect(seen).toEqual([undefined, "a", "b"]);
    expect(world.calls.every(({ verb }) => verb === "patch")).toBe(true);
    const versions = world.calls.map(({ body }) => (body as { metadata: { resourceVersion: string } }).metadata.resourceVersion);
    expect(new Set(versions).size).toBe(3);
  });

  test("a conflict is met by reading live and computing again", async () => {
    const { world, run, pod } = tryOut({ watchLagMs: 60_000 });
    const before = pod("web-1");
    world.put(pods, before);
    world.edit(pods, before.metadata as unknown as Ref, (pod) => {
      pod.metadata.labels = { ...pod.metadata.labels, other: "yes" };
    });
    const seen: (string | undefined)[] = [];
    const action = change<Pod>({
      id: "x",
      on: refOf(pods, before),
      steps: [
        step("mine", (fresh) => {
          seen.push(fresh.metadata.labels?.["other"]);
          return labelsPatch({ mine: "yes" });
        }),
      ],
    });
    expect(await run([action])).toMatchObject([{ result: "done", object: { metadata: { labels: { other: "yes", mine: "yes" } } } }]);
    expect(seen).toEqual([undefined, "yes"]);
    expect(world.calls.map(({ verb }) => verb)).toEqual(["patch", "get", "patch"]);
  });

  test.each([
    ["retry", 4, [10, 50, 250], "four tries, then the conflict is the outcome"],
    ["giveUp", 1, [], "at once"],
  ] as const)("%s: %i tries", async (onConflict, tries, delays) => {
    const { env, world, run, pod } = tryOut();
    const before = pod("web-1");
    world.fault = ({ verb }) => (verb === "patch" ? { ok: false, why: "conflict", message: "modified" } : undefined);
    const startMs = env.monotonicMs();
    const action = change<Pod>({ id: "x", on: refOf(pods, before), steps: [step("mine", () => labelsPatch({ a: "b" }), { onConflict })] });
    expect(await run([action])).toMatchObject([{ result: "failed", failure: { why: "conflict" } }]);
    expect(world.calls.filter(({ verb }) => verb === "patch")).toHaveLength(tries);
    const sumMs = delays.reduce((sum, delayMs) => sum + delayMs, 0);
    expect(env.monotonicMs() - startMs).toBeGreaterThanOrEqual(sumMs);
    expect(env.monotonicMs() - startMs).toBeLessThanOrEqual(sumMs * 1.1);
  });

  test.each([
    ["undefined: nothing to write", undefined, { result: "done", unchanged: true }, 0],
    ["a string: refused with it", "image is immutable", { result: "failed", failure: { why: "denied", message: "image is immutable" } }, 0],
    ["a merge patch", labelsPatch({ a: "b" }), { result: "done", object: { metadata: { labels: { a: "b" } } } }, 1],
    [
      "a JSON patch",
      { patch: "json", body: [{ op: "add", path: "/metadata/labels/a", value: "b" }] },
      { result: "done", object: { metadata: { labels: { a: "b" } } } },
      1,
    ],
  ] as const)("a step may return %s", async (_, write, outcome, writes) => {
    const { world, run, pod } = tryOut();
    const action = change<Pod>({ id: "x", on: refOf(pods, pod("web-1")), steps: [step("mine", () => write as never)] });
    expect(await run([action])).toMatchObject([outcome]);
    expect(world.writes()).toHaveLength(writes);
  });

  test.each(["merge", "strategic", "json", "put"] as const)("a %s write never reaches the successor of its object", async (how) => {
    const { world, run, pod } = tryOut({ watchLagMs: 60_000 });
    const first = pod("web-1");
    world.put(pods, first);
    world.drop(pods, first.metadata as unknown as Ref);
    pod("web-1");
    const bodies = {
      merge: labelsPatch({ mine: "yes" }),
      strategic: { patch: "strategic", body: { metadata: { labels: { mine: "yes" } } } },
      json: { patch: "json", body: [{ op: "add", path: "/metadata/labels/mine", value: "yes" }] },
      put: { put: { ...first, metadata: { ...first.metadata, labels: { mine: "yes" } } } },
    } as const;
    const steps = [step("mine", () => bodies[how], { precondition: "uid" })];
    expect(await run([change<Pod>({ id: "x", on: refOf(pods, first), steps })])).toMatchObject([{ result: "done", unchanged: true }]);
    expect(world.now(pods, first.metadata as unknown as Ref)?.metadata.labels?.["mine"]).toBeUndefined();
    const action = change<Pod>({ id: "x", on: refOf(pods, first), steps, goneIsFine: false });
    expect(await run([action])).toMatchObject([{ result: "failed", failure: { why: "notFound" } }]);
  });

  test("a step that throws fails its own action, with a line in the log", async () => {
    const { env, run, pod } = tryOut();
    const bad = change<Pod>({
      id: "bad",
      on: refOf(pods, pod("bad")),
      steps: [
        step("boom", () => {
          throw new Error("boom");
        }),
      ],
    });
    const good = change<Pod>({ id: "good", on: refOf(pods, pod("good")), steps: [step("fine", () => labelsPatch({ a: "b" }))] });
    expect(await run([bad, good])).toMatchObject([{ result: "failed", failure: { message: "boom" } }, { result: "done" }]);
    expect(env.lines.some(({ level }) => level === "error")).toBe(true);
  });

  test("two controllers on one pod follow each other: no conflict", async () => {
    const { env, world, start, pod } = tryOut({ latencyMs: 5, watchLagMs: 1000 });
    const before = pod("web-1");
    world.put(pods, before);
    const one = (label: string) =>
      change<Pod>({
        id: label,
        on: refOf(pods, before),
        steps: [step("1", () => labelsPatch({ [`${label}1`]: "x" })), step("2", () => labelsPatch({ [`${label}2`]: "x" }))],
      });
    const both = Promise.all([start([one("a")], "a"), start([one("b")], "b")]);
    await env.runUntilIdle();
    expect((await both).flat().map(({ result }) => result)).toEqual(["done", "done"]);
    expect(world.calls.filter(({ verb }) => verb === "get")).toHaveLength(0);
    expect(world.now(pods, before.metadata as unknown as Ref)?.metadata.labels).toMatchObject({ a1: "x", a2: "x", b1: "x", b2: "x" });
  });
});

describe("conditions", () => {
  const ready = (type: string, status: "True" | "False" = "True"): Condition => ({
    type,
    status,
    lastTransitionTime: "2025-01-01T00:00:00Z",
  });
  const setting = (on: Ref<Pod>, id: string, conditions: Condition[], more: object = {}): Action =>
    change<Pod>({ id, on, steps: [{ name: id, conditions: () => conditions, ...more }] });

  test("those of several controllers for one pod travel in one write", async () => {
    const { env, world, start, pod } = tryOut();
    const on = refOf(pods, pod("web-1"));
    const first = start([setting(on, "a", [ready("InPlaceUpdateReady")], { gatherMs: 20 })], "a");
    await env.advance(5);
    const second = start([setting(on, "b", [ready("KruisePodReady")], { gatherMs: 20 })], "b");
    await env.runUntilIdle();
    expect((await Promise.all([first, second])).flat().map(({ result }) => result)).toEqual(["done", "done"]);
    expect(world.writes()).toHaveLength(1);
    expect(env.monotonicMs()).toBe(20);
    const types = (world.now<Pod>(pods, on)?.status?.conditions ?? []).map(({ type }) => type);
    expect(types.sort()).toEqual(["InPlaceUpdateReady", "KruisePodReady"]);
  });

  const labelling = (name: string, value: string): Step<Pod> => ({
    name,
    precondition: "uid",
    onConflict: "retry",
    rides: true,
    write: (fresh) =>
      fresh.metadata.labels?.[name] === value
        ? undefined
        : { patch: "strategic", body: { metadata: { labels: { [name]: value }, annotations: { [`${name}-at`]: "now" } } } },
  });

  test("labels and annotations ride along, those of several actions too", async () => {
    const { env, world, start, pod } = tryOut();
    const on = refOf(pods, pod("web-1"));
    const rider = (id: string): Action =>
      change<Pod>({
        id,
        on,
        steps: [{ name: id, gatherMs: 5, conditions: () => [ready(id)] }, labelling(id, "x"), labelling("both", "y")],
      });
    const all = Promise.all([start([rider("a")], "a"), start([rider("b")], "b")]);
    await env.runUntilIdle();
    await all;
    expect(world.writes()).toMatchObject([{ verb: "patch", subresource: "status" }]);
    const { metadata, status } = world.now<Pod>(pods, on)!;
    expect(metadata.labels).toMatchObject({ a: "x", b: "x", both: "y" });
    expect(metadata.annotations).toEqual({ "a-at": "now", "b-at": "now", "both-at": "now" });
    expect(status?.conditions).toHaveLength(2);
  });

  test("labels ride alone when their condition is there already, and stay with a conclusion that is past", async () => {
    const { world, run, pod } = tryOut();
    const before = pod("web-1");
    const on = refOf(pods, before);
    const { resourceVersion } = before.metadata;
    const steps = (more: object, name: string): readonly Step<Pod>[] => [
      { name: "ready", conditions: () => [ready("A")], ...more },
      labelling(name, "x"),
    ];
    await run([change<Pod>({ id: "a", on, steps: steps({}, "first") })]);
    await run([change<Pod>({ id: "b", on, steps: steps({}, "second") })]);
    expect(await run([change<Pod>({ id: "c", on, steps: steps({ ofVersion: resourceVersion }, "third") })])).toMatchObject([
      { result: "failed", failure: { why: "conflict" } },
    ]);
    expect(world.now<Pod>(pods, on)?.metadata.labels).toEqual({ revision: "1", first: "x", second: "x" });
    expect(world.writes().map(({ subresource }) => subresource)).toEqual(["status", "status"]);
  });

  test("without a condition before it a rider goes its own way", async () => {
    const { world, run, pod } = tryOut();
    const on = refOf(pods, pod("web-1"));
    await run([change<Pod>({ id: "a", on, steps: [labelling("alone", "x")] })]);
    expect(world.writes().map(({ subresource }) => subresource)).toEqual([undefined]);
  });

  test("the patience of the most hurried decides", async () => {
    const { env, world, start, pod } = tryOut();
    const on = refOf(pods, pod("web-1"));
    const both = Promise.all([
      start([setting(on, "a", [ready("A")], { gatherMs: 1000 })], "a"),
      start([setting(on, "b", [ready("B")])], "b"),
    ]);
    await env.advance(0);
    await both;
    expect(world.writes()).toHaveLength(1);
  });

  test("who comes while another write is on its way travels with the next one", async () => {
    const { env, world, start, pod } = tryOut({ latencyMs: 10 });
    const on = refOf(pods, pod("web-1"));
    const all = Promise.all(["A", "B", "C", "D"].map((type) => start([setting(on, type, [ready(type)])], type)));
    await env.runUntilIdle();
    await all;
    expect(world.writes().length).toBeLessThanOrEqual(2);
    expect(world.now<Pod>(pods, on)?.status?.conditions).toHaveLength(4);
  });

  test("what is so already is not written", async () => {
    const { world, run, pod } = tryOut();
    const on = refOf(pods, pod("web-1"));
    await run([setting(on, "a", [ready("A")])]);
    expect(await run([setting(on, "a", [ready("A")])])).toMatchObject([{ result: "done", unchanged: true }]);
    expect(world.writes()).toHaveLength(1);
  });

  test("a conclusion from a version that is past is a conflict, its company is written", async () => {
    const { env, world, start, pod } = tryOut();
    const before = pod("web-1");
    const on = refOf(pods, before);
    world.edit<Pod>(pods, on, (pod) => {
      pod.metadata.labels = { changed: "yes" };
    });
    const both = Promise.all([
      start([setting(on, "a", [ready("Old")], { gatherMs: 5, ofVersion: before.metadata.resourceVersion })], "a"),
      start([setting(on, "b", [ready("New")], { gatherMs: 5 })], "b"),
    ]);
    await env.runUntilIdle();
    expect((await both).flat()).toMatchObject([{ result: "failed", failure: { why: "conflict" } }, { result: "done" }]);
    expect(world.now<Pod>(pods, on)?.status?.conditions?.map(({ type }) => type)).toEqual(["New"]);
  });

  test("the same when the server is ahead of the cache", async () => {
    const { env, world, start, pod } = tryOut({ watchLagMs: 60_000 });
    const before = pod("web-1");
    world.put(pods, before);
    const on = refOf(pods, before);
    world.edit<Pod>(pods, on, (pod) => {
      pod.metadata.labels = { changed: "yes" };
    });
    const both = Promise.all([
      start([setting(on, "a", [ready("Old")], { gatherMs: 5, ofVersion: before.metadata.resourceVersion })], "a"),
      start([setting(on, "b", [ready("New")], { gatherMs: 5 })], "b"),
    ]);
    await env.runUntil(() => false, 1000);
    // The next plan is made from what the server has, however late the watch is.
    expect(world.get(pods, on)?.metadata.labels).toEqual({ changed: "yes" });
    expect((await both).flat()).toMatchObject([{ result: "failed", failure: { why: "conflict" } }, { result: "done" }]);
    expect(world.now<Pod>(pods, on)?.status?.conditions?.map(({ type }) => type)).toEqual(["New"]);
  });

  test("gone is done", async () => {
    const { world, run, pod } = tryOut();
    const on = refOf(pods, pod("web-1"));
    world.drop(pods, on);
    expect(await run([setting(on, "a", [ready("A")])])).toMatchObject([{ result: "done", unchanged: true }]);
  });
});

describe("of one version only", () => {
  const leave: Step<Pod> = {
    name: "leave",
    conditions: (fresh) =>
      fresh.status?.conditions?.some(({ type }) => type === "Out") ? undefined : [{ type: "Out", status: "True", lastTransitionTime: "" }],
  };
  const image = step("image", () => labelsPatch({ image: "new" }), { precondition: "uid" });
  const kinds: [string, readonly Step<Pod>[]][] = [
    ["conditions first", [leave, image]],
    ["a write first", [image, leave]],
  ];
  const edit = (world: World, on: Ref<Pod>) =>
    world.edit<Pod>(pods, on, (pod) => {
      pod.metadata.labels = { ...pod.metadata.labels, changed: "yes" };
    });

  test.each(kinds)("%s: the version travels with the first write, and the next ones follow that one", async (_, steps) => {
    const { world, run, pod } = tryOut({ watchLagMs: 60_000 });
    const before = pod("web-1");
    world.put(pods, before);
    const on = refOf(pods, before);
    const { resourceVersion: ofVersion } = before.metadata;
    expect(await run([change<Pod>({ id: "x", on, ofVersion, steps })])).toMatchObject([{ result: "done" }]);
    expect(
      world.calls.map(({ verb, body }) => [verb, (body as { metadata: { resourceVersion?: string } }).metadata.resourceVersion]),
    ).toEqual([
      ["patch", ofVersion],
      ["patch", undefined],
    ]);
  });

  test.each(kinds)("%s: when the server has another one nothing is done, and the cache learns of it", async (_, steps) => {
    const { world, run, pod } = tryOut({ watchLagMs: 60_000 });
    const before = pod("web-1");
    world.put(pods, before);
    const on = refOf(pods, before);
    edit(world, on);
    const { resourceVersion: ofVersion } = before.metadata;
    const actions = [change<Pod>({ id: "x", on, ofVersion, steps }), makePod("web-2", { after: ["x"] })];
    expect(await run(actions)).toMatchObject([{ result: "failed", failure: { why: "conflict" } }, { result: "skipped" }]);
    expect(world.now(pods, on)?.metadata.labels).toEqual({ revision: "1", changed: "yes" });
    expect(world.calls.map(({ verb }) => verb)).toEqual(["patch", "get"]);
    expect(world.get(pods, on)?.metadata.labels).toMatchObject({ changed: "yes" });
  });

  test.each(kinds)("%s: when the cache has another one nothing leaves", async (_, steps) => {
    const { world, run, pod } = tryOut();
    const before = pod("web-1");
    const on = refOf(pods, before);
    edit(world, on);
    const { resourceVersion: ofVersion } = before.metadata;
    expect(await run([change<Pod>({ id: "x", on, ofVersion, steps })])).toMatchObject([{ result: "failed", failure: { why: "conflict" } }]);
    expect(world.calls).toEqual([]);
  });

  test("a first step with nothing to write leaves it to the second", async () => {
    const { world, run, start, pod, env } = tryOut({ latencyMs: 5 });
    const on = refOf(pods, pod("web-1"));
    await run([change<Pod>({ id: "x", on, steps: [leave] })]);
    const { resourceVersion: ofVersion } = world.now<Pod>(pods, on)!.metadata;
    const slow = step("slow", () => {
      edit(world, on);
      return labelsPatch({ image: "new" });
    });
    const done = start([change<Pod>({ id: "y", on, ofVersion, steps: [leave, slow] })]);
    await env.runUntilIdle();
    expect(await done).toMatchObject([{ result: "failed", failure: { why: "conflict" } }]);
    expect(world.now(pods, on)?.metadata.labels?.["image"]).toBeUndefined();
  });

  test("company with nothing to say holds of the version as well", async () => {
    const { env, world, run, start, pod } = tryOut({ watchLagMs: 60_000 });
    world.put(pods, pod("web-1"));
    const on = refOf(pods, world.get<Pod>(pods, { namespace: "shop", name: "web-1" })!);
    await run([change<Pod>({ id: "x", on, steps: [leave] })]);
    const { resourceVersion: ofVersion } = world.now<Pod>(pods, on)!.metadata;
    edit(world, on);
    const other: Step<Pod> = { name: "other", conditions: () => [{ type: "Other", status: "True", lastTransitionTime: "" }] };
    const both = Promise.all([
      start([change<Pod>({ id: "y", on, ofVersion, steps: [leave, image] })], "y"),
      start([change<Pod>({ id: "z", on, steps: [other] })], "z"),
    ]);
    await env.runUntil(() => false, 1_000);
    expect((await both).flat()).toMatchObject([{ result: "failed", failure: { why: "conflict" } }, { result: "done" }]);
    expect(world.now(pods, on)?.metadata.labels?.["image"]).toBeUndefined();
  });
});

const faults: fc.Arbitrary<(Failure | "lost" | undefined)[]> = fc.array(
  fc.constantFrom<Failure | "lost" | undefined>(
    undefined,
    undefined,
    undefined,
    quota,
    { ok: false, why: "conflict", message: "modified" },
    { ok: false, why: "throttled", retryAfterMs: 1000, message: "slow down" },
    "lost",
  ),
  { minLength: 1, maxLength: 20 },
);

test("any plan under any faults: every action has an outcome, order is kept, slots are kept, and nothing hangs", async () => {
  const plans = fc.array(
    fc.record({
      what: fc.constantFrom("create", "delete", "change"),
      pod: fc.nat(6),
      after: fc.array(fc.nat(20), { maxLength: 2 }),
      steps: fc.integer({ min: 1, max: 3 }),
    }),
    { minLength: 1, maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(plans, faults, fc.integer({ min: 1, max: 4 }), fc.nat(10), async (plan, faults, slots, latencyMs) => {
      const { world, run, pod, unclear } = tryOut({ slots, latencyMs, watchLagMs: 3 });
      for (let index = 0; index <= 6; index += 1) world.put(pods, pod(`pod-${index}`));
      let calls = 0;
      world.fault = () => faults[calls++ % faults.length];
      const started: string[] = [];
      const actions = plan.map(({ what, pod, after, steps }, index): Action => {
        const base = { id: `a${index}`, after: index === 0 ? [] : after.map((id) => `a${id % index}`) };
        const on = refOf(pods, world.store.get(pods, { namespace: "shop", name: `pod-${pod}` }) as Pod);
        if (what === "create") return makePod(`new-${index}`, base);
        if (what === "delete") return remove({ ...base, on });
        const write = (fresh: Readonly<Pod>, at: number) => {
          started.push(`a${index}.${at}`);
          return labelsPatch({ [`a${index}`]: `${at}`, was: fresh.metadata.resourceVersion });
        };
        return change<Pod>({ ...base, on, steps: Array.from({ length: steps }, (_, at) => step(`${at}`, (fresh) => write(fresh, at))) });
      });
      const outcomes = await run(actions);
      expect(outcomes.map(({ action }) => action.id)).toEqual(actions.map(({ id }) => id));
      const byId = new Map(outcomes.map((outcome) => [outcome.action.id, outcome]));
      for (const { action, result } of outcomes) {
        const isHeld = (action.after ?? []).some((id) => byId.get(id)?.result !== "done");
        if (isHeld) expect(result).toBe("skipped");
      }
      for (const [index] of plan.entries()) {
        const steps = started.filter((name) => name.startsWith(`a${index}.`)).map((name) => Number(name.split(".")[1]));
        expect(steps).toEqual([...steps].sort((a, b) => a - b));
      }
      const unavailable = outcomes.filter((outcome) => outcome.result === "failed" && outcome.failure.why === "unavailable");
      expect(unclear.length).toBe(unavailable.length);
    }),
    { numRuns: 150 },
  );
}, 60_000);

test("writes on their way never exceed the slots", async () => {
  const env = new FakeEnv();
  const world = new World(env, { latencyMs: 10 });
  let inFlight = 0;
  let most = 0;
  const counted = new Proxy(world, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "create" && name !== "patch") return value.bind(target);
      return async (...args: unknown[]) => {
        inFlight += 1;
        most = Math.max(most, inFlight);
        const answer = await value.apply(target, args);
        inFlight -= 1;
        return answer;
      };
    },
  });
  const shared = { env, read: world, write: counted, cache: world, slots: new Slots(3), locks: new ObjectLocks() };
  const executor = new KubeExecutor({ ...shared, conditions: new Conditions(shared) });
  const actions = Array.from({ length: 40 }, (_, index) => makePod(`web-${index}`));
  const done = executor.run(actions, { lane: "x", log: () => env.log, unclear: () => {} });
  await env.runUntilIdle();
  expect(results(await done).every((result) => result === "done")).toBe(true);
  expect(most).toBe(3);
});

test("once the process is asked to stop nothing new is begun", async () => {
  const { env, world, start } = tryOut({ latencyMs: 10 });
  const done = start(Array.from({ length: 8 }, (_, index) => makePod(`web-${index}`)));
  await env.advance(5);
  env.stop();
  await env.runUntilIdle();
  expect(results(await done)).toEqual(["done", ...Array(7).fill("skipped")]);
  expect(world.writes().map(({ key }: Call) => key.name)).toEqual(["web-0"]);
});
