/**
 * What holds in any world: whatever the pods, the strategy, the hooks and the refusals, no write of ours takes an available pod below
 * `replicas − maxUnavailable`, makes more pods than surge allows, or moves a pod across the partition; and once the world is healthy it comes
 * to rest with what was asked for.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { CloneSet } from "../../api/cloneset.ts";
import { label } from "../../api/names.ts";
import { atOnce } from "../../engine/parts.ts";
import type { Action } from "../../engine/plan.ts";
import { matchesRevision } from "../../workload/revision/index.ts";
import { calculate } from "./calculate.ts";
import { cloneSetWith, isMarked, settingsWith, World } from "./testing/world.ts";
import { lookAt, type Member, tally } from "./world.ts";

type Spec = Partial<CloneSet["spec"]>;

const anyHook = fc.option(fc.record({ labelsHandler: fc.constant({ guard: "on" }), markPodNotReady: fc.boolean() }), { nil: undefined });
const anySpec = fc.record({
  replicas: fc.nat(7),
  minReadySeconds: fc.constantFrom(0, 0, 5),
  enablePVCReuse: fc.boolean(),
  claims: fc.boolean(),
  excludePreparingDelete: fc.boolean(),
  scaleMaxUnavailable: fc.constantFrom(undefined, 1, 2, "50%"),
  type: fc.constantFrom("RollingUpdate", "RollingUpdate", "RollingUpdate", "OnDelete"),
  podUpdatePolicy: fc.constantFrom("ReCreate", "InPlaceIfPossible", "InPlaceOnly"),
  partition: fc.constantFrom<(number | string)[]>(0, 0, 1, 3, "50%", "99%", "100%"),
  maxUnavailable: fc.constantFrom<(number | string)[]>(1, 1, 2, "20%", "50%", "100%", 0),
  maxSurge: fc.constantFrom<(number | string)[]>(0, 0, 1, 2, "30%"),
  paused: fc.constantFrom(false, false, false, true),
  gracePeriodSeconds: fc.constantFrom(0, 0, 3),
  preDelete: anyHook,
  inPlaceUpdate: anyHook,
  preNormal: fc.constantFrom(undefined, undefined, { labelsHandler: { guard: "off" } }),
});
type AnySpec = typeof anySpec extends fc.Arbitrary<infer T> ? T : never;

function specOf(given: AnySpec): Spec {
  const { preDelete, inPlaceUpdate, preNormal } = given;
  // Nothing at all may be missing and nothing may be added: admission refuses that.
  const maxSurge = given.podUpdatePolicy === "InPlaceOnly" ? 0 : given.maxSurge;
  const maxUnavailable = maxSurge === 0 && given.maxUnavailable === 0 ? 1 : given.maxUnavailable;
  return {
    replicas: given.replicas,
    minReadySeconds: given.minReadySeconds,
    ...(given.claims ? { volumeClaimTemplates: [{ metadata: { name: "data" }, spec: {} }] } : {}),
    scaleStrategy: {
      enablePVCReuse: given.enablePVCReuse,
      excludePreparingDelete: given.excludePreparingDelete,
      maxUnavailable: given.scaleMaxUnavailable,
    },
    updateStrategy: {
      type: given.type,
      rollingUpdate: {
        podUpdatePolicy: given.podUpdatePolicy,
        partition: given.partition,
        maxUnavailable,
        maxSurge,
        paused: given.paused,
        inPlaceUpdateStrategy: { gracePeriodSeconds: given.gracePeriodSeconds },
      },
    },
    ...(preDelete || inPlaceUpdate || preNormal ? { lifecycle: { preDelete, inPlaceUpdate, preNormal } } : {}),
  };
}

/** What others do between two rounds; `pick` chooses the pod. */
const anyEvent = fc.record({
  do: fc.constantFrom(
    "sync",
    "sync",
    "sync",
    "syncAll",
    "crash",
    "kill",
    "finish",
    "mark",
    "guard",
    "unguard",
    "template",
    "spec",
    "time",
    "loseStatus",
  ),
  pick: fc.nat(20),
  value: fc.nat(3),
});
const anyRound = fc.record({
  events: fc.array(anyEvent, { maxLength: 4 }),
  /** Which actions the server refuses, and in which order they arrive. */
  refused: fc.integer({ min: 0, max: 9 }),
  shuffled: fc.nat(),
});
const anyGates = fc.record({
  CloneSetPartitionRollback: fc.boolean(),
  CloneSetShortHash: fc.boolean(),
  PreparingUpdateAsUpdate: fc.boolean(),
});

function happen(world: World, event: typeof anyEvent extends fc.Arbitrary<infer T> ? T : never, spec: AnySpec): void {
  const names = [...world.pods.keys()];
  const name = names[event.pick % Math.max(names.length, 1)] ?? "";
  switch (event.do) {
    case "sync":
      world.sync(name);
      break;
    case "syncAll":
      world.syncAll();
      break;
    case "crash":
      world.sync(name, false);
      break;
    case "kill":
      world.edit(name, (pod) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2024-05-01T10:00:00Z" } }));
      break;
    case "finish":
      world.edit(name, (pod) => ({ ...pod, status: { ...pod.status, phase: "Failed" } }));
      break;
    case "mark":
      world.setLabel(name, label.specifiedDelete, "true");
      break;
    case "guard":
      world.setLabel(name, "guard", "on");
      break;
    case "unguard":
      world.setLabel(name, "guard", "off");
      break;
    case "template":
      world.setTemplate(`app:v${event.value}`);
      break;
    case "spec":
      world.setSpec(specOf({ ...spec, replicas: event.pick % 8 }));
      break;
    case "time":
      world.nowMs += event.value * 2000;
      break;
    case "loseStatus":
      world.cloneSet = { ...world.cloneSet, status: undefined };
      break;
  }
}

const active = (members: readonly Member[]) => members.filter((member) => !member.preparingDelete);

/** Checks each write against what the plan was made from. */
function guard(world: World): void {
  const before = atOnce(lookAt(world.observe(), world.nowMs));
  const { limits } = before;
  const { old, updated } = tally(before.members, (member) => member.updated);
  const { surge } = calculate(old, updated, limits);
  let serving = before.members.filter((member) => member.available).length;
  const share = limits.replicas - limits.partition;
  const { current, update } = before.observed.revisions;
  const twoRevisions = current.name !== update.name;
  const unmarkedUpdated = (members: readonly Member[]) =>
    active(members).filter((member) => member.updated && !isMarked(member.pod)).length;
  const updatedBefore = unmarkedUpdated(before.members);
  const oldBefore = active(before.members).filter((member) => !member.updated && !isMarked(member.pod)).length;
  world.afterWrite = (action: Action) => {
    const now = atOnce(lookAt(world.observe(), world.nowMs));
    const available = now.members.filter((member) => member.available).length;
    if (available < serving) {
      const floor = limits.replicas - limits.unavailableMax;
      if (available < floor)
        throw new Error(`${action.id} leaves ${available} available of ${limits.replicas}, maxUnavailable ${limits.unavailableMax}`);
    }
    serving = available;
    if (action.do === "create" && action.of.kind === "Pod") {
      const counted = limits.excludePreparingDelete ? active(now.members) : now.members;
      if (counted.length > limits.replicas + surge)
        throw new Error(`${action.id} makes ${counted.length} pods of ${limits.replicas} + ${surge}`);
    }
    const updatedNow = unmarkedUpdated(now.members);
    // With one revision only there is nothing to divide between two.
    if (twoRevisions && updatedNow > updatedBefore && updatedNow > share)
      throw new Error(`${action.id} makes ${updatedNow} updated pods of ${share}`);
    const oldNow = active(now.members).filter((member) => !member.updated && !isMarked(member.pod)).length;
    const isMove = action.id.startsWith("update:") || action.id.startsWith("mark:");
    if (isMove && oldNow < oldBefore && oldNow < limits.partition)
      throw new Error(`${action.id} leaves ${oldNow} old pods of ${limits.partition}`);
  };
}

function shuffle<T>(items: readonly T[], seed: number): T[] {
  let state = seed + 1;
  const keyed = items.map((item) => {
    state = (state * 48271) % 2147483647;
    return { item, key: state };
  });
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}

/** Actions in any order that `after` allows. */
function anyOrder(actions: readonly Action[], seed: number): readonly Action[] {
  const left = shuffle(actions, seed);
  const done = new Set<string>();
  const order: Action[] = [];
  while (left.length > 0) {
    const index = left.findIndex((action) => (action.after ?? []).every((id) => done.has(id)));
    const [action] = left.splice(index, 1) as [Action];
    done.add(action.id);
    order.push(action);
  }
  return order;
}

describe("budgets", () => {
  test("hold from any world, under refusals, in any order; then it comes to rest", () => {
    fc.assert(
      fc.property(anySpec, anyGates, fc.boolean(), fc.array(anyRound, { maxLength: 14 }), (spec, gates, settledFirst, rounds) => {
        const world = new World(cloneSetWith(specOf(spec)), settingsWith(gates));
        if (settledFirst) world.settle();
        for (const round of rounds) {
          for (const event of round.events) happen(world, event, spec);
          guard(world);
          let count = 0;
          world.accepts = () => {
            count += 1;
            return round.refused < 5 || (count * 7 + round.shuffled) % 10 >= round.refused;
          };
          const planned = world.plan();
          everyoneMovesOrIsToldWhy(
            world,
            planned.actions,
            (planned.reasons ?? []).map(({ on }) => on),
          );
          const outcomes = world.act(anyOrder(planned.actions, round.shuffled));
          world.afterWrite = () => undefined;
          const status = planned.status?.(outcomes);
          if (status !== undefined) world.cloneSet = { ...world.cloneSet, status };
        }
        world.accepts = () => true;
        restsAsAsked(world, spec);
      }),
      { numRuns: 500 },
    );
  }, 60_000);
});

function everyoneMovesOrIsToldWhy(world: World, actions: readonly Action[], told: readonly string[]): void {
  const { members } = atOnce(lookAt(world.observe(), world.nowMs));
  const acted = new Set(actions.map(({ id }) => id.slice(id.indexOf(":") + 1)));
  const revived = actions.some(({ id }) => id.startsWith("revive:"));
  for (const member of members) {
    if (member.updated && !member.specifiedDelete) continue;
    // While pods come back from their deletion nothing else is scaled.
    if (revived && (member.specifiedDelete || member.preparingDelete)) continue;
    if (!acted.has(member.name) && !told.includes(member.name))
      throw new Error(`${member.name} neither moves nor is told why: ${JSON.stringify(member.facts)}`);
  }
}

function restsAsAsked(world: World, given: AnySpec): void {
  // Hooks are let go, and put back where they are needed to come to rest.
  const quiet = specOf({
    ...given,
    replicas: world.cloneSet.spec.replicas ?? 1,
    preDelete: undefined,
    inPlaceUpdate: undefined,
    preNormal: undefined,
  });
  world.setSpec({ ...quiet, lifecycle: undefined });
  for (const [name, pod] of world.pods) if (pod.status?.phase === "Failed") world.pods.delete(name);
  // Availability comes with time alone, and the next pod moves then.
  for (let pause = 0; pause < 2 * (world.cloneSet.spec.replicas ?? 1) + 4; pause++) {
    world.settle(400, 3000);
    world.nowMs += 10_000;
  }
  const { members, limits, strategy } = atOnce(lookAt(world.observe(), world.nowMs));
  expect(members.length).toBe(limits.replicas);
  expect(members.filter((member) => !member.available).map((member) => member.name)).toEqual([]);
  const old = members.filter((member) => !member.updated).length;
  if (limits.mayMove && !strategy.paused) expect(old).toBeLessThanOrEqual(Math.max(limits.partition, 0));
  const { update, current } = world.observe().revisions;
  if (limits.mayMoveBack && limits.mayMove && !strategy.paused) expect(old).toBe(limits.partition);
  for (const member of members) expect(member.updated ? matchesRevision(member.facts.revision, update.name) : current.name).toBeTruthy();
  if (world.cloneSet.spec.volumeClaimTemplates !== undefined && !strategy.reuseClaims) {
    expect(world.observe().claims.length).toBe(members.length);
  }
}
