import { describe, expect, test } from "bun:test";
import { cloneSets } from "../../api/cloneset.ts";
import { gatesWith } from "../../api/gates.ts";
import { annotation } from "../../api/names.ts";
import { type PodUnavailableBudget, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import type { Change } from "../../engine/plan.ts";
import { contextOf, World as Server, startHouse, testSettings } from "../../engine/testing/harness.ts";
import { FakeEnv } from "../../env/fake.ts";
import { cloneSetController } from "./index.ts";
import { observe } from "./observe.ts";
import { plan } from "./plan.ts";
import { cloneSetWith, settingsWith, World } from "./testing/world.ts";

const budget = (allowed: number): PodUnavailableBudget => ({
  metadata: { name: "guard", namespace: "shop", uid: "uid-guard", resourceVersion: "1", creationTimestamp: "" },
  spec: { maxUnavailable: 2 },
  status: { unavailableAllowed: allowed, desiredAvailable: 3, currentAvailable: 3 + allowed, totalReplicas: 5 },
});

function moving(policy: "InPlaceIfPossible" | "ReCreate") {
  const spec = {
    replicas: 5,
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: policy, maxUnavailable: "100%" } },
  } as const;
  const world = new World(cloneSetWith(spec), settingsWith({ PodUnavailableBudgetUpdateGate: true }));
  world.settle();
  for (const name of world.pods.keys()) {
    world.edit(name, (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, [annotation.relatedPub]: "guard" } },
    }));
  }
  world.setTemplate("app:v2");
  return world;
}

describe("32: an update asks the budget before it takes a pod out of service", () => {
  test.each(["InPlaceIfPossible", "ReCreate"] as const)("%s: two of five, the others are held and asked for each second", (policy) => {
    const world = moving(policy);
    const { actions, reasons = [], requeueAfterMs } = plan({ ...world.observe(), budgetOf: () => budget(2) }, world.nowMs);
    const charges = actions.filter(({ id }) => id.startsWith("budget:"));
    const moves = actions.filter(({ id }) => /^(update|mark):/.test(id));
    expect([charges.length, moves.length]).toEqual([2, 2]);
    for (const [index, move] of moves.entries()) expect(move.after).toContain(charges[index]!.id);
    expect(reasons.filter(({ code }) => code === "HeldByBudget")).toHaveLength(3);
    expect(requeueAfterMs).toBe(1_000);
  });

  // It may have come up since, and count.
  test.each(["InPlaceIfPossible", "ReCreate"] as const)("%s: a pod that is down moves at no charge, but only as it was seen", (policy) => {
    const world = moving(policy);
    const [down = ""] = world.pods.keys();
    world.sync(down, false);
    const { actions } = plan({ ...world.observe(), budgetOf: () => budget(2) }, world.nowMs);
    const moves = actions.filter(({ id }) => /^(update|mark):/.test(id)) as readonly Change[];
    expect(moves.map(({ on, ofVersion }) => [on.name === down, ofVersion])).toEqual([
      [true, world.pods.get(down)?.metadata.resourceVersion],
      [false, undefined],
      [false, undefined],
    ]);
    world.sync(down);
    expect(world.act(moves.map((move) => ({ ...move, after: [] }))).map(({ result }) => result)).toEqual(["failed", "done", "done"]);
  });

  test("a pod that waits out of service for the hook of its deletion is paid for before, and held like the others", () => {
    const world = moving("ReCreate");
    world.setTemplate("app:v1");
    const lifecycle = { preDelete: { labelsHandler: { app: "web" }, markPodNotReady: true } };
    world.setSpec({ ...world.cloneSet.spec, replicas: 2, lifecycle });
    const held = () => plan({ ...world.observe(), budgetOf: () => budget(2) }, world.nowMs);
    const { actions, reasons = [], requeueAfterMs } = held();
    const holds = actions.filter(({ id }) => id.startsWith("hold:"));
    const charged = actions.filter(({ id }) => id.startsWith("budget:")).map(({ id }) => id);
    expect(holds.map(({ after }) => after)).toEqual(charged.map((id) => [id]));
    // What allowed the deletion may be over in a newer version.
    for (const { on, ofVersion } of holds as readonly Change[]) expect(ofVersion).toBe(world.pods.get(on.name)!.metadata.resourceVersion);
    expect([holds.length, reasons.filter(({ code }) => code === "HeldByBudget").length, requeueAfterMs]).toEqual([2, 1, 1_000]);
    world.setSpec({ ...world.cloneSet.spec, lifecycle: { preDelete: { ...lifecycle.preDelete, markPodNotReady: false } } });
    expect(held().actions.map(({ id }) => id.split(":")[0])).toEqual(expect.arrayContaining(["hold"]));
    expect(
      held()
        .actions.filter(({ id }) => /^(budget|hold):/.test(id))
        .map(({ id }) => id.split(":")[0]),
    ).toEqual(["hold", "hold", "hold"]);
  });

  test("without a budget, or with one that lets everything go, nothing is asked", () => {
    const world = moving("InPlaceIfPossible");
    const ids = (of: PodUnavailableBudget | undefined) =>
      plan({ ...world.observe(), budgetOf: () => of }, world.nowMs).actions.map(({ id }) => id.split(":")[0]);
    const free = budget(0);
    free.status!.desiredAvailable = 0;
    expect(new Set(ids(undefined))).toEqual(new Set(ids(free)));
    expect(ids(free)).not.toContain("budget");
  });

  test("the gate decides who looks for budgets", async () => {
    const env = new FakeEnv();
    const server = new Server(env);
    server.add(cloneSets, { metadata: { name: "web", namespace: "shop" }, spec: cloneSetWith({}).spec });
    server.add(podUnavailableBudgets, { metadata: { name: "guard", namespace: "shop" }, spec: {} });
    const look = async (on: boolean) => {
      const settings = testSettings({ gates: gatesWith({ PodUnavailableBudgetUpdateGate: on }) });
      return observe(contextOf(env, server, settings), { namespace: "shop", name: "web" });
    };
    expect((await look(false))?.budgetOf).toBeUndefined();
    const pod = { metadata: { annotations: { [annotation.relatedPub]: "guard" } } } as never;
    expect((await look(true))?.budgetOf?.(pod)?.metadata.name).toBe("guard");
  });

  // Else a manager that has just started takes pods without asking, until the cache has the budgets.
  test("nothing is planned before budgets are in the cache", async () => {
    const env = new FakeEnv();
    const server = new Server(env);
    let fill = () => {};
    const filled = new Promise<void>((resolve) => {
      fill = resolve;
    });
    const synced = server.synced.bind(server);
    server.synced = (kind) => (kind === (podUnavailableBudgets as unknown) ? filled : synced(kind));
    env.after(60_000, () => fill());
    await startHouse([cloneSetController], { env, world: server });
    expect(env.monotonicMs()).toBeGreaterThanOrEqual(60_000);
  });
});
