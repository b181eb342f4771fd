import { describe, expect, test } from "bun:test";
import type { CloneSet, CloneSetRollingUpdate } from "../../api/cloneset.ts";
import { cloneSets } from "../../api/cloneset.ts";
import { label } from "../../api/names.ts";
import { atOnce } from "../../engine/parts.ts";
import type { Outcome } from "../../engine/plan.ts";
import { contextOf, World as Server, testSettings } from "../../engine/testing/harness.ts";
import { FakeEnv } from "../../env/fake.ts";
import { persistentVolumeClaims, pods } from "../../kube/kinds.ts";
import type { Failure } from "../../kube/outcome.ts";
import type { PersistentVolumeClaim, Pod } from "../../kube/types.ts";
import { explain } from "./explain.ts";
import { cloneSetController } from "./index.ts";
import { observe } from "./observe.ts";
import { planStatus } from "./status.ts";
import { strategyOf } from "./strategy.ts";
import { cloneSetWith, settingsWith, World } from "./testing/world.ts";
import { claimWakes, cloneSetConcerns, podWakes } from "./watches.ts";
import { lookAt } from "./world.ts";

const rolling = (rollingUpdate: CloneSetRollingUpdate) => ({ updateStrategy: { type: "RollingUpdate", rollingUpdate } });

describe("strategy", () => {
  test.each<[number, CloneSetRollingUpdate | undefined, { partition?: number; unavailableMax?: number; surgeMax?: number }]>([
    [10, { partition: "1%" }, { partition: 1 }],
    [10, { partition: "90%" }, { partition: 9 }],
    [9, { partition: "99%" }, { partition: 8 }],
    [99, { partition: "100%" }, { partition: 99 }],
    [99, { partition: "0%" }, { partition: 0 }],
    [0, { partition: "50%" }, { partition: 0 }],
    [1, { partition: "99%" }, { partition: 1 }],
    [5, { partition: 9 }, { partition: 5 }],
    [3, {}, { unavailableMax: 1, surgeMax: 0, partition: 0 }],
    [5, { maxUnavailable: "30%", maxSurge: "30%" }, { unavailableMax: 1, surgeMax: 2 }],
    [5, { maxUnavailable: "30%", maxSurge: "30%", paused: true }, { unavailableMax: 2, surgeMax: 0 }],
    [5, { maxUnavailable: "12.5%" }, { unavailableMax: 1 }],
    [4, undefined, { unavailableMax: 1 }],
  ])("replicas %i, %j", (replicas, rollingUpdate, expected) => {
    const updateStrategy = rollingUpdate === undefined ? { type: "OnDelete" } : { type: "RollingUpdate", rollingUpdate };
    expect(strategyOf(cloneSetWith({ replicas, updateStrategy }), testSettings())).toMatchObject(expected);
  });

  test("what is absent, and the flag for all CloneSets", () => {
    const absent = strategyOf(cloneSetWith({ replicas: undefined }), testSettings({ cloneSetExcludePreparingDelete: true }));
    expect(absent).toMatchObject({
      replicas: 1,
      revisionHistoryMax: 10,
      minReadyMs: 0,
      policy: "ReCreate",
      excludePreparingDelete: true,
      mayMove: true,
    });
    expect(absent.scaleUnavailableMax).toBe(Number.POSITIVE_INFINITY);
    expect(strategyOf(cloneSetWith({ progressDeadlineSeconds: 2147483647 }), testSettings()).progressDeadlineMs).toBeUndefined();
  });
});

describe("status", () => {
  const failed = (id: string, failure: Failure): Outcome => ({ action: { id } as Outcome["action"], result: "failed", failure });
  const denied: Failure = { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "exceeded quota" };
  const conflict: Failure = { ok: false, why: "conflict", message: "somebody was faster" };
  const conditionsAfter = (outcomes: readonly Outcome[], problems: readonly string[] = [], conditions: never[] = []) => {
    const cloneSet = cloneSetWith({});
    const world = new World({
      ...cloneSet,
      status: { conditions, replicas: 0, readyReplicas: 0, updatedReplicas: 0, updatedReadyReplicas: 0, availableReplicas: 0 },
    });
    return planStatus(atOnce(lookAt(world.observe(), world.nowMs)), [], problems).status(outcomes).conditions;
  };
  test("says what failed, each part for itself", () => {
    expect(conditionsAfter([failed("create:web-a", denied), failed("update:web-b", denied)])).toEqual([
      {
        type: "FailedScale",
        status: "True",
        lastTransitionTime: "2024-05-01T10:00:00Z",
        message: "failed to create web-a: exceeded quota",
      },
      {
        type: "FailedUpdate",
        status: "True",
        lastTransitionTime: "2024-05-01T10:00:00Z",
        message: "failed to update web-b: exceeded quota",
      },
    ]);
  });
  test("a webhook that is down is told; a server that is gone will be back", () => {
    const down: Failure = { ok: false, why: "unavailable", mayHaveHappened: false, code: 500, message: "failed calling webhook" };
    const gone: Failure = { ok: false, why: "unavailable", mayHaveHappened: true, message: "connection refused" };
    expect(conditionsAfter([failed("create:web-a", gone)])).toBeUndefined();
    expect(conditionsAfter([failed("create:web-a", gone), failed("create:web-b", down)])).toMatchObject([
      { type: "FailedScale", message: "failed to create web-b: failed calling webhook" },
    ]);
  });
  test("conflicts are no news, and neither is what has nothing to do with pods", () => {
    expect(
      conditionsAfter([failed("delete:web-a", conflict), failed("forget-deleted-pods", denied), failed("revision/web-1", denied)]),
    ).toBeUndefined();
  });
  test("keeps the conditions of others, and its own while the trouble is the same", () => {
    const theirs = { type: "Theirs", status: "True" } as never;
    const old = { type: "FailedScale", status: "True", message: "before" } as never;
    expect(conditionsAfter([failed("create:web-a", denied)], [], [theirs, old])).toEqual([theirs, old]);
    expect(conditionsAfter([], [], [theirs, old])).toEqual([theirs]);
  });
});

// ---- over a server

const key = { namespace: "shop", name: "web" };
function server(spec: Partial<CloneSet["spec"]> = {}) {
  const env = new FakeEnv({ seed: 1 });
  const world = new Server(env);
  const { metadata, ...rest } = cloneSetWith(spec);
  const cloneSet = world.add<CloneSet>(cloneSets, { ...rest, metadata: { namespace: metadata.namespace, name: metadata.name } });
  return { env, world, cloneSet, context: contextOf(env, world, testSettings()) };
}
const ownedBy = (uid: string, apiVersion = "apps.kruise.io/v1beta1") => [
  { apiVersion, kind: "CloneSet", name: "web", uid, controller: true },
];
const podNamed = (name: string, more: Partial<Pod["metadata"]> = {}, image = "app:v1") => ({
  metadata: { namespace: "shop", name, ...more },
  spec: { containers: [{ name: "main", image }] },
});

describe("watches", () => {
  const own = (name: string, more: Partial<Pod["metadata"]> = {}): Pod =>
    ({ ...podNamed(name, { ownerReferences: ownedBy("u"), ...more }), status: { phase: "Pending" } }) as Pod;
  const names = (keys: Iterable<{ name: string }>) => [...keys].map(({ name }) => name);
  const { context } = server();

  test("a pod wakes its owner, whatever version made it", () => {
    expect(names(podWakes({ after: own("a") }, context))).toEqual(["web"]);
    expect(names(podWakes({ before: own("a") }, context))).toEqual(["web"]);
    expect(names(podWakes({ after: own("a", { ownerReferences: ownedBy("u", "apps.kruise.io/v1alpha1") }) }, context))).toEqual(["web"]);
    expect(names(podWakes({ after: own("a", { ownerReferences: ownedBy("u", "apps/v1") }) }, context))).toEqual([]);
  });

  test("a pod that changes owners wakes both", () => {
    const after = own("a", { ownerReferences: [{ ...ownedBy("u2")[0]!, name: "api" }] });
    expect(names(podWakes({ before: own("a"), after }, context))).toEqual(["web", "api"]);
  });

  test("what no plan looks at wakes nobody", () => {
    const before = own("a");
    expect(
      names(podWakes({ before, after: { ...before, status: { ...before.status, podIP: "10.0.0.1", startTime: "x" } } }, context)),
    ).toEqual([]);
    for (const status of [{ phase: "Running" }, { phase: "Pending", conditions: [] }]) {
      expect(names(podWakes({ before, after: { ...before, status } }, context))).toEqual(["web"]);
    }
    for (const metadata of [{ labels: { a: "b" } }, { annotations: { a: "b" } }, { finalizers: ["f"] }, { deletionTimestamp: "x" }]) {
      expect(names(podWakes({ before, after: { ...before, metadata: { ...before.metadata, ...metadata } } }, context))).toEqual(["web"]);
    }
  });

  test("an orphan wakes who selects it", () => {
    const orphan = (labels: Record<string, string>) => own("a", { ownerReferences: [], labels });
    expect(names(podWakes({ after: orphan({ app: "web" }) }, context))).toEqual(["web"]);
    expect(names(podWakes({ after: orphan({ app: "api" }) }, context))).toEqual([]);
    expect(names(podWakes({ before: orphan({ app: "web" }), after: orphan({ app: "web" }) }, context))).toEqual([]);
  });

  test("a claim wakes its owner when it comes, goes, or is given away", () => {
    const claim = (more: Partial<Pod["metadata"]> = {}): PersistentVolumeClaim =>
      ({ metadata: { namespace: "shop", name: "data", ownerReferences: ownedBy("u"), ...more }, spec: {} }) as PersistentVolumeClaim;
    expect(names(claimWakes({ after: claim() }))).toEqual(["web"]);
    expect(names(claimWakes({ before: claim() }))).toEqual(["web"]);
    expect(names(claimWakes({ before: claim(), after: claim({ deletionTimestamp: "x" }) }))).toEqual(["web"]);
    expect(names(claimWakes({ before: claim(), after: claim({ ownerReferences: [] }) }))).toEqual(["web"]);
    expect(names(claimWakes({ before: claim(), after: claim({ annotations: { a: "b" } }) }))).toEqual([]);
  });

  test("its own counts concern nobody, a new spec or revision does", () => {
    const before = cloneSetWith({});
    const status = { replicas: 1, readyReplicas: 0, updatedReplicas: 0, updatedReadyReplicas: 0, availableReplicas: 0 };
    expect(cloneSetConcerns({ before, after: { ...before, status } })).toBe(false);
    expect(cloneSetConcerns({ before, after: { ...before, status: { ...status, currentRevision: "web-1" } } })).toBe(true);
    expect(cloneSetConcerns({ before, after: { ...before, spec: { ...before.spec, replicas: 9 } } })).toBe(true);
    expect(cloneSetConcerns({ after: before })).toBe(true);
  });
});

describe("observing", () => {
  test("only pods that it controls, and claims that stay", async () => {
    const { world, cloneSet, context } = server();
    const { uid } = cloneSet.metadata;
    world.add<Pod>(pods, podNamed("web-a", { ownerReferences: ownedBy(uid) }));
    world.add<Pod>(pods, podNamed("other", { ownerReferences: [{ ...ownedBy(uid)[0]!, controller: false }] }));
    world.add<Pod>(pods, podNamed("orphan", { labels: { app: "web" } }));
    const observed = await observe(context, key);
    expect(observed?.pods.map((pod) => pod.metadata.name)).toEqual(["web-a"]);
    expect(await observe(context, { namespace: "shop", name: "gone" })).toBeUndefined();
  });

  test.each([
    [{ selector: { matchExpressions: [{ key: "app", operator: "Near" }] } }],
    [{ template: {} as never }],
    [{ selector: undefined as never }],
  ])("what cannot be read is left alone: %j", async (spec) => {
    const { context } = server(spec);
    expect(await observe(context, key)).toBeUndefined();
  });

  test("a claim without a pod is in doubt until the server has no such pod either", async () => {
    const { world, cloneSet, context, env } = server({ replicas: 0 });
    const claim = (id: string) => ({
      metadata: {
        namespace: "shop",
        name: `data-web-${id}`,
        labels: { [label.cloneSetInstanceId]: id },
        ownerReferences: ownedBy(cloneSet.metadata.uid),
      },
      spec: {},
    });
    world.add<PersistentVolumeClaim>(persistentVolumeClaims, claim("there"));
    world.add<PersistentVolumeClaim>(persistentVolumeClaims, claim("gone1"));
    const made = world.add<Pod>(pods, podNamed("web-there", { ownerReferences: ownedBy(cloneSet.metadata.uid) }));
    world.remove(pods, { namespace: "shop", name: "web-there", uid: made.metadata.uid });
    let observed: Awaited<ReturnType<typeof observe>>;
    void observe(context, key).then((result) => {
      observed = result;
    });
    await env.runUntil(() => observed !== undefined, 1000);
    expect([...(observed?.claimsInDoubt ?? [])]).toEqual(["data-web-there"]);
    expect(cloneSetController.plan(observed, env.nowMs()).actions.map(({ id }) => id)).toContain("delete-claim:data-web-gone1");
  });
});

describe("explaining", () => {
  const explained = async (world: World) => {
    const env = new FakeEnv({ seed: 1, startMs: world.nowMs });
    const copy = new Server(env);
    const { uid } = copy.add<CloneSet>(cloneSets, world.cloneSet).metadata;
    const owners = ownedBy(uid);
    for (const pod of world.pods.values()) copy.add<Pod>(pods, { ...pod, metadata: { ...pod.metadata, ownerReferences: owners } });
    for (const revision of world.revisions.values()) {
      copy.add(
        { group: "apps", version: "v1", kind: "ControllerRevision", plural: "controllerrevisions", namespaced: true },
        {
          ...revision,
          metadata: { ...revision.metadata, ownerReferences: owners },
        },
      );
    }
    return explain(contextOf(env, copy, world.settings), key);
  };
  const rested = (spec: Partial<CloneSet["spec"]>) => {
    const world = new World(cloneSetWith(spec), settingsWith());
    world.settle();
    return world;
  };

  test("before anything is there", async () => {
    const said = await explained(new World(cloneSetWith({ replicas: 3 })));
    expect(said).toMatchObject({
      state: "moving",
      next: [expect.stringMatching(/^record revision web-\w+$/), expect.stringMatching(/^create 3 pods of revision web-\w+$/)],
    });
    expect(await explain(contextOf(new FakeEnv(), new Server(new FakeEnv())), key)).toBeUndefined();
  });

  test("at rest", async () => {
    const said = await explained(rested({ replicas: 2 }));
    expect(said).toMatchObject({
      state: "rest",
      next: [],
      held: [],
      summary: expect.stringMatching(/^web: 2 of 2 pods on revision web-\w+, 2 available$/),
    });
  });

  test("held by partition, pod by pod", async () => {
    const world = rested({ replicas: 3, ...rolling({ partition: 2 }) });
    world.setTemplate("app:v2");
    world.settle();
    const said = await explained(world);
    expect(said?.state).toBe("held");
    expect(said?.summary).toMatch(/^web: 1 of 3 pods on revision web-\w+, 3 available, 2 held$/);
    expect(said?.held.map(({ text }) => text)).toEqual(Array(2).fill("held by partition: 2 pods keep their revision"));
  });

  test("moving one, the others held by maxUnavailable", async () => {
    const world = rested({ replicas: 3, ...rolling({ podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 1 }) });
    world.setTemplate("app:v2");
    const said = await explained(world);
    expect(said?.state).toBe("moving");
    expect(said?.next[1]).toMatch(/^update in place pod web-/);
    world.round();
    const later = await explained(world);
    expect(later?.held.map(({ text }) => text).sort()).toEqual([
      "held by maxUnavailable: 1 of 1 used",
      "held by maxUnavailable: 1 of 1 used",
      "updated in place, waiting for container main to run the new image",
    ]);
  });
});
