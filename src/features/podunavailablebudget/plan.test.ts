import { describe, expect, test } from "bun:test";
import { cloneSets } from "../../api/cloneset.ts";
import { gatesWith } from "../../api/gates.ts";
import type { PodUnavailableBudget, PodUnavailableBudgetStatus } from "../../api/podunavailablebudget.ts";
import { podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { contextOf, type House, startHouse } from "../../engine/testing/harness.ts";
import { testSettings } from "../../engine/testing/settings.ts";
import { FakeEnv } from "../../env/fake.ts";
import type { Kind } from "../../kube/kind.ts";
import { deployments, pods, replicaSets } from "../../kube/kinds.ts";
import { formatTime } from "../../kube/time.ts";
import type { OwnerReference, Pod } from "../../kube/types.ts";
import { explainBudget, explainPod } from "./explain.ts";
import { podUnavailableBudgetController } from "./index.ts";
import { allOn, deletion, namespace, ownerOf, type podWith, status, town } from "./testing/town.ts";

const key = (name: string) => ({ namespace, name });
const settings = testSettings({ gates: gatesWith(allOn) });

/** A town whose controller is at work. */
async function run(): Promise<
  ReturnType<typeof town> & { house: House; counted(name?: string): Promise<PodUnavailableBudgetStatus | undefined> }
> {
  const place = town({ env: new FakeEnv({ seed: 3 }) });
  const house = await startHouse([podUnavailableBudgetController], { env: place.env, world: place.world, settings });
  return {
    ...place,
    house,
    counted: async (name) => {
      await house.rest();
      return place.ledger(name);
    },
  };
}
type Running = Awaited<ReturnType<typeof run>>;

function addPods({ pod }: Pick<Running, "pod">, count: number, prefix: string, parts: Parameters<typeof podWith>[1] = {}): Pod[] {
  return Array.from({ length: count }, (_, index) => pod(`${prefix}-${index}`, { mark: "", ...parts }));
}
const figures = (counted: PodUnavailableBudgetStatus | undefined) =>
  counted && [counted.totalReplicas, counted.desiredAvailable, counted.currentAvailable, counted.unavailableAllowed];

describe("counting", () => {
  test("1: every pod is marked before anything may go", async () => {
    const place = await run();
    const owner = ownerOf(replicaSets, place.deployment(10).set("a"));
    addPods(place, 10, "web", { owner });
    place.budget();
    expect(figures(await place.counted())).toEqual([10, 7, 10, 3]);
    for (const pod of place.world.all(pods)) {
      expect(pod.metadata.annotations).toMatchObject({ "pub.kruise.io/related-pub": "web", "kruise.io/related-pub": "web" });
    }
    const writes = place.world.writes().map(({ kind }) => kind);
    expect(writes).toEqual([...Array(10).fill("Pod"), "PodUnavailableBudget"]);
  });

  test("2: a Deployment over two ReplicaSets counts once, and surge is available", async () => {
    const place = await run();
    const { set } = place.deployment(10);
    addPods(place, 8, "old", { owner: ownerOf(replicaSets, set("a")) });
    const next = ownerOf(replicaSets, set("b"));
    addPods(place, 4, "new", { owner: next });
    place.pod("new-4", { owner: next, ready: false });
    place.budget();
    expect(figures(await place.counted())).toEqual([10, 7, 12, 5]);
  });

  test("surge lets no more than maxUnavailable go at once, where the annotation asks for it", async () => {
    const place = await run();
    addPods(place, 13, "web", { owner: ownerOf(replicaSets, place.deployment(10).set("a")), mark: "web" });
    const capped = { "pub.kruise.io/cap-at-max-unavailable": "true" };
    place.budget({}, undefined, "web", capped);
    place.budget({ minAvailable: 7 }, undefined, "floor", capped);
    expect(figures(await place.counted())).toEqual([10, 7, 13, 3]);
    expect(figures(place.ledger("floor"))).toEqual([10, 7, 13, 6]);
    const { admit } = place.replica();
    for (const [index, allowed] of [true, true, true, false].entries())
      expect(await admit(deletion(place.podNow(`web-${index}`)!))).toMatchObject({ allowed });
    expect(figures(await place.counted())).toEqual([10, 7, 10, 0]);
  });

  test("3: terminating and unready pods do not count", async () => {
    const place = await run();
    const { set } = place.deployment(10);
    const old = addPods(place, 10, "old", { owner: ownerOf(replicaSets, set("a")) });
    const next = ownerOf(replicaSets, set("b"));
    addPods(place, 2, "new", { owner: next });
    place.pod("new-2", { owner: next, ready: false });
    place.world.store.holdDeleted = () => true;
    for (const pod of old.slice(0, 3)) place.world.drop(pods, key(pod.metadata.name));
    place.budget();
    expect(figures(await place.counted())).toEqual([10, 7, 9, 2]);
  });

  test("4: scaled to nothing", async () => {
    const place = await run();
    addPods(place, 10, "web", { owner: ownerOf(replicaSets, place.deployment(0).set("a")) });
    place.budget();
    place.budget({ targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" } }, undefined, "by-target");
    expect(figures(await place.counted())).toEqual([0, 0, 10, 10]);
    expect(figures(place.ledger("by-target"))).toEqual([0, 0, 0, 0]);
  });

  test("5: a Deployment on its way out, also with a floor in pods", async () => {
    const place = await run();
    const { deployment, set } = place.deployment(10);
    addPods(place, 10, "web", { owner: ownerOf(replicaSets, set("a")) });
    place.world.edit(deployments, key("web"), (object) => {
      object.metadata.finalizers = ["foregroundDeletion"];
    });
    place.world.drop(deployments, key(deployment.metadata.name));
    place.budget();
    place.budget({ minAvailable: 5 }, undefined, "floor");
    expect(figures(await place.counted())).toEqual([0, 0, 10, 10]);
    expect(figures(place.ledger("floor"))).toEqual([0, 0, 10, 10]);
  });

  test("6: protectTotalReplicas leads, by field and by annotation", async () => {
    const place = await run();
    addPods(place, 10, "web", { owner: ownerOf(replicaSets, place.deployment(10).set("a")) });
    place.budget({ protectTotalReplicas: 15 });
    place.budget({}, undefined, "annotated", { "pub.kruise.io/protect-total-replicas": "15" });
    place.budget({ protectTotalReplicas: 20, targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" } }, undefined, "target");
    expect(figures(await place.counted())).toEqual([15, 10, 10, 0]);
    expect(figures(place.ledger("annotated"))).toEqual([15, 10, 10, 0]);
    expect(figures(place.ledger("target"))).toEqual([20, 14, 10, 0]);
  });

  test.each<[string, object, number, number, readonly number[]]>([
    ["7: minAvailable 80%", { minAvailable: "80%" }, 10, 10, [10, 8, 10, 2]],
    ["7: minAvailable 50%, half ready", { minAvailable: "50%" }, 10, 5, [10, 5, 5, 0]],
    ["8: maxUnavailable 0%", { maxUnavailable: "0%" }, 10, 10, [10, 10, 10, 0]],
    ["8: maxUnavailable 100%", { maxUnavailable: "100%" }, 10, 10, [10, 0, 10, 10]],
    ["more than there are", { minAvailable: 100 }, 10, 5, [10, 100, 5, 0]],
    ["maxUnavailable 100", { maxUnavailable: 100 }, 10, 10, [10, 0, 10, 10]],
    ["10% of 15, rounded up", { maxUnavailable: "10%" }, 15, 15, [15, 13, 15, 2]],
    ["30% of 1", { maxUnavailable: "30%" }, 1, 1, [1, 0, 1, 1]],
  ])("%s", async (_, spec, replicas, ready, expected) => {
    const place = await run();
    const owner = ownerOf(replicaSets, place.deployment(replicas).set("a"));
    addPods(place, ready, "web", { owner });
    addPods(place, replicas - ready, "down", { owner, ready: false });
    place.budget(spec);
    expect(figures(await place.counted())).toEqual([...expected]);
  });

  test("a CloneSet, and its floor before the surplus pods go (20)", async () => {
    const place = await run();
    const set = place.world.add(
      cloneSets as Kind,
      { metadata: { name: "web", namespace }, spec: { replicas: 100, selector: { matchLabels: { app: "web" } } } } as never,
    );
    addPods(place, 100, "web", { owner: ownerOf(cloneSets, set) });
    place.budget({ maxUnavailable: "10%", targetRef: { apiVersion: "apps.kruise.io/v1alpha1", kind: "CloneSet", name: "web" } });
    expect(figures(await place.counted())).toEqual([100, 90, 100, 10]);
    place.world.edit(cloneSets, key("web"), (object) => {
      object.spec.replicas = 50;
    });
    expect(figures(await place.counted())).toEqual([50, 45, 100, 55]);
  });

  test("19: what was let through does not count", async () => {
    const place = await run();
    addPods(place, 100, "web", { owner: ownerOf(replicaSets, place.deployment(100).set("a")), mark: "web" });
    const fresh = formatTime(place.env.nowMs());
    const of = (from: number) => Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`web-${from + index}`, fresh]));
    place.budget({}, status(30, 70, { disruptedPods: of(0), unavailablePods: of(10) }));
    await place.env.advance(1_000);
    expect(figures(place.ledger())).toEqual([100, 70, 80, 10]);
    for (let index = 20; index < 25; index += 1) {
      place.world.edit<Pod>(pods, key(`web-${index}`), (pod) => {
        pod.status!.conditions![0]!.status = "False";
      });
    }
    await place.env.advance(1_000);
    expect(figures(place.ledger())).toEqual([100, 70, 75, 5]);
  });

  test("a custom kind by its scale; one that does not say counts as what there is, with a warning", async () => {
    const place = await run();
    const games: Kind = { group: "example.com", version: "v1", kind: "Game", plural: "games", namespaced: true };
    const game = place.world.add(games, { metadata: { name: "chess", namespace }, spec: { replicas: 10 } } as never);
    addPods(place, 10, "web", { owner: ownerOf(games, game) });
    place.budget();
    place.budget({ targetRef: { apiVersion: "example.com/v1", kind: "Game", name: "chess" } }, undefined, "target");
    expect(figures(await place.counted())).toEqual([10, 7, 10, 3]);
    expect(figures(place.ledger("target"))).toEqual([10, 7, 10, 3]);
    place.world.fault = ({ subresource }) => (subresource === "scale" ? { ok: false, why: "notFound", message: "no scale" } : undefined);
    place.world.edit<PodUnavailableBudget>(podUnavailableBudgets, key("target"), (object) => {
      object.spec.maxUnavailable = 1;
    });
    expect(figures(await place.counted("target"))).toEqual([10, 9, 10, 1]);
    expect(place.world.events.map(({ reason }) => reason)).toContain("UnknownReplicas");
  });

  test("pods without a controller keep the floor in pods", async () => {
    const place = await run();
    addPods(place, 3, "bare");
    place.budget({ minAvailable: 2 });
    expect(figures(await place.counted())).toEqual([0, 2, 3, 1]);
  });

  test("24: another amount is counted anew, with its generation", async () => {
    const place = await run();
    addPods(place, 10, "web", { owner: ownerOf(replicaSets, place.deployment(10).set("a")) });
    place.budget();
    expect((await place.counted())?.observedGeneration).toBe(1);
    place.world.edit<PodUnavailableBudget>(podUnavailableBudgets, key("web"), (object) => {
      object.spec.maxUnavailable = 1;
    });
    expect(await place.counted()).toMatchObject({ unavailableAllowed: 1, observedGeneration: 2 });
  });

  test("without pods it says so, once", async () => {
    const place = await run();
    place.budget();
    await place.counted();
    place.deployment(3);
    await place.counted();
    expect(place.world.events.map(({ reason }) => reason)).toEqual(["NoPods"]);
  });
});

describe("what the cache does not know lowers no floor", () => {
  test("a workload that the cache does not show yet", async () => {
    const place = town();
    const owner = ownerOf(replicaSets, place.deployment(10).set("a"));
    for (let index = 0; index < 10; index += 1) place.pod(`web-${index}`, { owner, mark: "" });
    // The watch of Deployments has fallen behind.
    place.world.remove(deployments, { ...key("web"), uid: place.world.now(deployments, key("web"))!.metadata.uid });
    const house = await startHouse([podUnavailableBudgetController], { env: place.env, world: place.world, settings });
    place.budget({ minAvailable: 8 });
    await house.rest();
    expect(figures(place.ledger())).toEqual([10, 8, 10, 2]);
  });

  test("a server that does not answer: the count stays as it is, and it is tried again", async () => {
    const place = await run();
    addPods(place, 5, "web", { owner: ownerOf(replicaSets, place.deployment(5).set("a")) });
    place.budget({ minAvailable: 4 });
    await place.counted();
    place.world.fault = ({ verb }) =>
      verb === "get" ? { ok: false, why: "unavailable", mayHaveHappened: false, message: "down" } : undefined;
    place.world.edit(deployments, key("web"), (object) => {
      object.spec!.replicas = 0;
    });
    await place.env.advance(5_000);
    expect(figures(place.ledger())).toEqual([5, 4, 5, 1]);
    place.world.fault = () => undefined;
    expect(figures(await place.counted())).toEqual([0, 0, 5, 5]);
  });
});

describe("records", () => {
  async function withTen(): Promise<Running & { owner: OwnerReference }> {
    const place = await run();
    const owner = ownerOf(replicaSets, place.deployment(10).set("a"));
    addPods(place, 10, "web", { owner });
    place.budget();
    await place.counted();
    return { ...place, owner };
  }
  const record = (place: Running, list: "disruptedPods" | "unavailablePods", name: string, ageMs: number) =>
    place.world.edit<PodUnavailableBudget>(podUnavailableBudgets, key("web"), (object) => {
      object.status![list] = { [name]: formatTime(place.env.nowMs() - ageMs) };
      object.status!.unavailableAllowed = 2;
      object.status!.currentAvailable = 9;
    });

  test("17: forgotten soon after the pod is seen going, though a finalizer holds it", async () => {
    const place = await withTen();
    record(place, "disruptedPods", "web-0", 0);
    place.world.store.holdDeleted = () => true;
    place.world.drop(pods, key("web-0"));
    await place.env.advance(2_000);
    expect(place.ledger()).toMatchObject({ unavailableAllowed: 2, disruptedPods: { "web-0": expect.any(String) } });
    await place.env.advance(5_000);
    expect(place.ledger()?.disruptedPods).toBeUndefined();
    expect(figures(place.ledger())).toEqual([10, 7, 9, 2]);
  });

  test("18: a deletion that never came, and an update that has had its time", async () => {
    const place = await withTen();
    record(place, "disruptedPods", "web-0", 0);
    await place.env.advance(19_000);
    expect(place.ledger()).toMatchObject({ unavailableAllowed: 2 });
    await place.env.advance(3_000);
    expect(figures(place.ledger())).toEqual([10, 7, 10, 3]);
    expect(place.world.events).toMatchObject([{ reason: "NotDeleted", on: { name: "web-0" }, type: "Warning" }]);
    record(place, "unavailablePods", "web-1", 0);
    await place.env.advance(9_000);
    expect(place.ledger()).toMatchObject({ unavailableAllowed: 2 });
    await place.env.advance(2_000);
    expect(figures(place.ledger())).toEqual([10, 7, 10, 3]);
    expect(place.world.events).toHaveLength(1);
  });

  test("18: a record that is older than its pod is of that pod: a ReplicaSet uses no name twice", async () => {
    const place = await withTen();
    place.pod("web-10", { owner: place.owner, created: formatTime(place.env.nowMs()) });
    place.pod("web-11", { owner: place.owner, created: formatTime(place.env.nowMs()) });
    record(place, "disruptedPods", "web-10", 21_000);
    await place.counted();
    expect(place.world.events).toMatchObject([{ reason: "NotDeleted", on: { name: "web-10" }, type: "Warning" }]);
    record(place, "disruptedPods", "web-11", 10_000);
    await place.env.advance(5_000);
    expect(place.ledger()?.disruptedPods).toEqual({ "web-11": expect.any(String) });
  });

  test("forgotten as soon after the pod is gone altogether", async () => {
    const place = await withTen();
    record(place, "disruptedPods", "web-0", 0);
    place.world.edit<PodUnavailableBudget>(podUnavailableBudgets, key("web"), (object) => {
      object.status!.unavailablePods = { "web-1": formatTime(place.env.nowMs()) };
    });
    place.world.drop(pods, key("web-0"));
    place.world.drop(pods, key("web-1"));
    await place.env.advance(4_000);
    expect(Object.keys(place.ledger()?.disruptedPods ?? {})).toEqual(["web-0"]);
    await place.env.advance(3_000);
    expect(place.ledger()?.disruptedPods).toBeUndefined();
    expect(place.ledger()?.unavailablePods).toBeUndefined();
    expect(figures(place.ledger())).toEqual([10, 7, 8, 1]);
  });

  test("a pod that the cache does not show and the server has is kept for its whole time", async () => {
    const place = await withTen();
    const pod = place.world.now<Pod>(pods, key("web-0"))!;
    record(place, "disruptedPods", "web-0", 0);
    place.world.drop(pods, key("web-0"));
    place.world.fault = ({ verb, key: { name } }) =>
      verb === "get" && name === "web-0" ? ({ ok: true, object: pod } as never) : undefined;
    await place.env.advance(15_000);
    expect(Object.keys(place.ledger()?.disruptedPods ?? {})).toEqual(["web-0"]);
  });

  test("a pod that has gone without the cache seeing it keeps its record until the cache does", async () => {
    const place = await withTen();
    record(place, "disruptedPods", "web-0", 0);
    // The server has deleted it; the watch does not say so.
    const shown = place.world.get(pods, key("web-0"));
    place.world.store.holdDeleted = () => true;
    place.world.fault = ({ verb, key: { name } }) =>
      verb === "get" && name === "web-0" ? { ok: false, why: "notFound", message: "" } : undefined;
    await place.env.advance(40_000);
    expect(shown).toBeDefined();
    expect(place.ledger()).toMatchObject({ unavailableAllowed: 2, disruptedPods: { "web-0": expect.any(String) } });
    place.world.fault = () => undefined;
    await place.env.advance(3_000);
    expect(figures(place.ledger())).toEqual([10, 7, 10, 3]);
  });

  test("its successor of the same name counts as soon as it is ready", async () => {
    const place = await withTen();
    record(place, "disruptedPods", "web-0", 0);
    place.world.drop(pods, key("web-0"));
    await place.env.advance(4_000);
    place.pod("web-0", { owner: { ...place.owner, kind: "StatefulSet" }, created: formatTime(place.env.nowMs()) });
    await place.env.advance(3_000);
    expect(figures(place.ledger())).toEqual([10, 7, 10, 3]);
    expect(place.ledger()?.disruptedPods).toBeUndefined();
  });

  test("its successor of the same name is not blamed for the deletion that came", async () => {
    const place = await withTen();
    record(place, "disruptedPods", "web-0", 0);
    place.world.drop(pods, key("web-0"));
    await place.env.advance(2_000);
    place.pod("web-0", { owner: { ...place.owner, kind: "StatefulSet" } });
    await place.env.advance(25_000);
    expect(figures(place.ledger())).toEqual([10, 7, 10, 3]);
    expect(place.world.events).toEqual([]);
  });
});

describe("marks", () => {
  const markOf = (place: Running, name: string) => place.podNow(name)?.metadata.annotations?.["pub.kruise.io/related-pub"];

  test("what another budget let go of is marked anew", async () => {
    const place = await run();
    addPods(place, 2, "web", { owner: ownerOf(replicaSets, place.deployment(2).set("a")), mark: "gone" });
    place.budget();
    await place.counted();
    expect(markOf(place, "web-0")).toBe("web");
    place.budget({ selector: { matchLabels: { app: "web" } } }, undefined, "second");
    await place.counted();
    expect(markOf(place, "web-0")).toBe("web");
    place.world.drop(podUnavailableBudgets, key("web"));
    await place.house.rest();
    expect(markOf(place, "web-0")).toBe("second");
    expect(figures(place.ledger("second"))).toEqual([2, 1, 2, 1]);
  });

  test("a mark that somebody took off comes back", async () => {
    const place = await run();
    addPods(place, 1, "web", { owner: ownerOf(replicaSets, place.deployment(1).set("a")) });
    place.budget();
    await place.counted();
    place.world.edit<Pod>(pods, key("web-0"), (pod) => {
      pod.metadata.annotations = {};
    });
    await place.house.rest();
    expect(markOf(place, "web-0")).toBe("web");
  });

  test("a pod that nobody marked when it was made is found", async () => {
    const place = await run();
    place.budget({ targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" } });
    const owner = ownerOf(replicaSets, place.deployment(1).set("a"));
    await place.counted();
    place.pod("late", { owner, mark: "" });
    await place.house.rest();
    expect(markOf(place, "late")).toBe("web");
    expect(figures(place.ledger())).toEqual([1, 0, 1, 1]);
  });

  test("while one cannot be marked nothing is counted", async () => {
    const place = await run();
    addPods(place, 3, "web", { owner: ownerOf(replicaSets, place.deployment(3).set("a")) });
    place.world.fault = ({ kind, verb }) =>
      kind === "Pod" && verb === "patch" ? { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "no" } : undefined;
    place.budget();
    await place.env.advance(3_000);
    expect(place.ledger()).toBeUndefined();
    place.world.fault = () => undefined;
    await place.env.advance(60_000);
    expect(figures(place.ledger())).toEqual([3, 2, 3, 1]);
  });
});

describe("explained", () => {
  test("a budget, and what it says to one of its pods", async () => {
    const place = await run();
    const owner = ownerOf(replicaSets, place.deployment(3).set("a"));
    addPods(place, 2, "web", { owner });
    place.pod("down", { owner, ready: false, mark: "" });
    place.budget();
    await place.counted();
    const context = contextOf(place.env, place.world, settings);
    expect(await explainBudget(context, key("web"))).toMatchObject({
      state: "held",
      summary: "web: 2 pods available of 3 expected, 2 have to be, 0 may go now",
      held: [{ code: "NoneLeft" }, { on: "down", code: "NotReady" }],
    });
    const told = explainPod(context, key("web-0"));
    expect(told?.state).toBe("held");
    expect(told?.held.map(({ text }) => text)).toEqual([
      expect.stringContaining("DELETE, UPDATE, EVICT, RESIZE would be refused: no unavailable quota left"),
      "would pass when 1 more pod is available (not available: down)",
      "would pass with a higher spec.maxUnavailable in podunavailablebudget web",
      "would pass with annotation pub.kruise.io/no-protect=true on the pod",
    ]);
    expect(explainPod(context, key("down"))).toMatchObject({ state: "rest", summary: expect.stringContaining("at no charge") });
    expect(explainPod(context, key("nobody"))).toBeUndefined();
  });
});
