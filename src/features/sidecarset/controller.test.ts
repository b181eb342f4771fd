import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { AdmissionContext } from "../../admission/webhook.ts";
import { annotation, conditionType } from "../../api/names.ts";
import { type SidecarContainer, type SidecarSet, type SidecarSetSpec, sidecarSets } from "../../api/sidecarset.ts";
import { type House, startHouse, testSettings } from "../../engine/testing/harness.ts";
import { FakeEnv } from "../../env/fake.ts";
import { keyOf } from "../../kube/kind.ts";
import { controllerRevisions, namespaces, pods } from "../../kube/kinds.ts";
import { podCondition } from "../../kube/pod.ts";
import type { ControllerRevision, Pod } from "../../kube/types.ts";
import { sidecarSetController } from "./controller.ts";
import { defaultSidecarSet } from "./defaults.ts";
import { injection } from "./inject.ts";
import { ran, run, runAll } from "./testing/node.ts";
import { pod, request, sidecarSet } from "./testing/objects.ts";

interface Stage extends House {
  readonly set: () => SidecarSet;
  readonly pods: () => readonly Pod[];
  readonly images: (container: string) => string;
  readonly counters: () => readonly number[];
  create(given: Pod): Promise<Pod>;
  edit(change: (spec: SidecarSetSpec) => void): Promise<void>;
}

const mesh = (more: Partial<SidecarContainer> = {}): SidecarContainer => ({ name: "mesh", image: "mesh:1", ...more });

async function start(spec: SidecarSetSpec, podCount = 0, seed = 1): Promise<Stage> {
  const house = await startHouse([sidecarSetController], { env: new FakeEnv({ seed, startMs: Date.UTC(2025, 0, 1, 1) }) });
  const { world, env } = house;
  for (const name of ["shop", "kruise-system"])
    world.add(namespaces, { metadata: { name, labels: { "kubernetes.io/metadata.name": name } } });
  world.add(sidecarSets, sidecarSet("mesh", { containers: [mesh()], ...spec }));
  await house.rest();
  const set = () => world.now<SidecarSet>(sidecarSets, { namespace: "", name: "mesh" }) as SidecarSet;
  const context = {
    read: world,
    settings: testSettings(),
    nowMs: () => env.nowMs(),
    random: () => env.random(),
  };
  const create = async (given: Pod): Promise<Pod> => {
    const result = await injection.mutate(given, request(given, "CREATE"), context as unknown as AdmissionContext);
    if ("allowed" in result) throw new Error(JSON.stringify(result));
    const added = world.add<Pod>(pods, result);
    run(world, added, { nowMs: env.nowMs() });
    return world.now<Pod>(pods, keyOf(added)) as Pod;
  };
  const stage: Stage = {
    ...house,
    set,
    pods: () => world.all<Pod>(pods),
    images: (container) =>
      world
        .all<Pod>(pods)
        .map(({ spec: podSpec }) => podSpec.containers.find(({ name }) => name === container)?.image?.split(":")[1] ?? "-")
        .join(""),
    counters: () => {
      const { matchedPods = -1, updatedPods = -1, readyPods = -1, updatedReadyPods = 0 } = set().status ?? {};
      return [matchedPods, updatedPods, readyPods, updatedReadyPods];
    },
    create,
    edit: async (change) => {
      await env.advance(2_000);
      world.edit<SidecarSet>(sidecarSets, { namespace: "", name: "mesh" }, (object) => {
        change(object.spec);
        object.metadata = defaultSidecarSet(object).metadata;
      });
      await house.rest();
    },
  };
  for (let index = 0; index < podCount; index += 1) await create(pod(`web-${index}`));
  await house.rest();
  return stage;
}

const image = (tag: string) => (spec: SidecarSetSpec) => {
  (spec.containers?.[0] as SidecarContainer).image = `mesh:${tag}`;
};

async function settle(stage: Stage, rounds = 20): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await stage.env.advance(1_000);
    if (runAll(stage.world, { nowMs: stage.env.nowMs() }) === 0) return;
    await stage.rest();
  }
}

describe("acceptance", () => {
  test("21: one pod at a time with maxUnavailable 1", async () => {
    const stage = await start({}, 2);
    expect(stage.counters()).toEqual([2, 2, 2, 2]);
    await stage.edit(image("2"));
    expect(stage.images("mesh").split("").sort().join("")).toBe("12");
    expect(stage.counters()).toEqual([2, 1, 1, 0]);
    await stage.rest();
    expect(stage.counters()).toEqual([2, 1, 1, 0]);
    runAll(stage.world, { nowMs: stage.env.nowMs() });
    await stage.rest();
    expect(stage.images("mesh")).toBe("22");
    expect(stage.counters()).toEqual([2, 2, 1, 1]);
    runAll(stage.world, { nowMs: stage.env.nowMs() });
    await stage.rest();
    expect(stage.counters()).toEqual([2, 2, 2, 2]);
    expect(stage.set().status?.observedGeneration).toBe(stage.set().metadata.generation!);
  });

  test("22: a partition keeps pods", async () => {
    const stage = await start({ updateStrategy: { partition: 5, maxUnavailable: 3 } }, 10);
    await stage.edit(image("2"));
    await settle(stage);
    expect(stage.images("mesh").split("").sort().join("")).toBe("1111122222");
    await stage.edit((spec) => {
      spec.updateStrategy = { ...spec.updateStrategy, partition: 0 };
    });
    await settle(stage);
    expect(stage.images("mesh")).toBe("2222222222");
  });

  test.each<[string, SidecarSetSpec["updateStrategy"]]>([
    ["paused", { paused: true }],
    ["NotUpdate", { type: "NotUpdate" }],
  ])("23: %s changes no pod, and new ones get the new image", async (_, updateStrategy) => {
    const stage = await start({ updateStrategy }, 2);
    await stage.edit(image("2"));
    expect(stage.images("mesh")).toBe("11");
    expect(stage.counters()).toEqual([2, 0, 2, 0]);
    await stage.create(pod("web-new"));
    await stage.rest();
    expect(stage.images("mesh").split("").sort().join("")).toBe("112");
    expect(stage.counters()).toEqual([3, 1, 3, 1]);
  });

  test("24: what is not an image needs new pods, and the pods are told", async () => {
    const stage = await start({}, 2);
    await stage.edit((spec) => {
      (spec.containers as SidecarContainer[])[0]!.env = [{ name: "A", value: "1" }];
    });
    expect(stage.images("mesh")).toBe("11");
    for (const each of stage.pods()) {
      expect(podCondition(each, conditionType.sidecarSetUpgradable)).toMatchObject({
        status: "False",
        reason: "UpdateImmutableField",
        message: '{"mesh":false}',
      });
    }
    const said = stage.world.events.filter(({ reason }) => reason === "NotUpgradablePods");
    expect(said.length).toBeGreaterThan(0);
    expect(said[0]?.on.of.kind).toBe("SidecarSet");
    expect(said[0]?.message).toContain("2 pods");
    expect(stage.runner.reasons.of("sidecarset-controller", { namespace: "", name: "mesh" }).map(({ code }) => code)).toEqual([
      "NeedsRecreate",
      "NeedsRecreate",
    ]);
    await stage.edit((spec) => {
      delete (spec.containers as SidecarContainer[])[0]!.env;
    });
    expect(podCondition(stage.pods()[0]!, conditionType.sidecarSetUpgradable)).toMatchObject({
      status: "True",
      reason: "AllSidecarsetUpgradable",
      message: '{"mesh":true}',
    });
  });

  test("25: only selected pods, and those that are selected later", async () => {
    const stage = await start({ updateStrategy: { selector: { matchLabels: { canary: "true" } }, maxUnavailable: 5 } }, 2);
    await stage.create(pod("web-c", {}, { labels: { app: "web", canary: "true" } }));
    await stage.edit(image("2"));
    await settle(stage);
    expect(stage.images("mesh").split("").sort().join("")).toBe("112");
    stage.world.edit<Pod>(pods, { namespace: "shop", name: "web-0" }, (object) => {
      object.metadata.labels = { app: "web", canary: "true" };
    });
    await stage.rest();
    expect(stage.images("mesh").split("").sort().join("")).toBe("122");
  });

  test("26: metadata goes along with images, and alone only makes a revision", async () => {
    const stage = await start(
      { updateStrategy: { maxUnavailable: 5 }, patchPodMetadata: [{ patchPolicy: "Overwrite", annotations: { k: "v1" } }] },
      1,
    );
    await stage.edit((spec) => {
      image("2")(spec);
      spec.patchPodMetadata = [{ patchPolicy: "Overwrite", annotations: { k: "v2" } }];
    });
    expect(stage.pods()[0]?.metadata.annotations?.["k"]).toBe("v2");
    const before = stage.world.all(controllerRevisions).length;
    await stage.edit((spec) => {
      spec.patchPodMetadata = [{ patchPolicy: "Overwrite", annotations: { k: "v3" } }];
    });
    expect(stage.pods()[0]?.metadata.annotations?.["k"]).toBe("v2");
    expect(stage.world.all(controllerRevisions).length).toBe(before + 1);
  });

  test("27: ten revisions are kept, and old content keeps its name", async () => {
    const stage = await start({});
    for (let tag = 2; tag <= 13; tag += 1) await stage.edit(image(String(tag)));
    const history = () => stage.world.all<ControllerRevision>(controllerRevisions).toSorted((a, b) => a.revision - b.revision);
    expect(history()).toHaveLength(10);
    expect(
      history().every(
        ({ metadata }) => metadata.labels?.["kruise.io/sidecarset-name"] === "mesh" && metadata.namespace === "kruise-system",
      ),
    ).toBe(true);
    const latest = history().at(-1)!;
    expect(stage.set().status?.latestRevision).toBe(latest.metadata.name);
    expect(latest.metadata.annotations?.[annotation.sidecarSetHash]).toBe(stage.set().metadata.annotations![annotation.sidecarSetHash]!);
    const previous = history().at(-2)!;
    await stage.edit(image("12"));
    expect(stage.set().status?.latestRevision).toBe(previous.metadata.name);
    expect(history().at(-1)).toMatchObject({ metadata: { name: previous.metadata.name }, revision: latest.revision + 1 });
  });

  test("27: revisions that pods were injected with stay (edge case 12)", async () => {
    const stage = await start({ updateStrategy: { type: "NotUpdate" }, revisionHistoryLimit: 10 });
    for (let tag = 1; tag <= 15; tag += 1) {
      if (tag > 1) await stage.edit(image(String(tag)));
      if (tag <= 8) await stage.create(pod(`web-${tag}`));
      await stage.rest();
    }
    const kept = stage.world.all<ControllerRevision>(controllerRevisions).map(({ revision }) => revision);
    expect(kept.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 14, 15]);
  });

  test("28: a hot upgrade", async () => {
    const stage = await start(
      { containers: [mesh({ upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "empty:e" } })] },
      1,
    );
    const versions = () =>
      ["version", "versionalt"].flatMap((kind) =>
        [1, 2].map((twin) => stage.pods()[0]?.metadata.annotations?.[`${kind}.sidecarset.kruise.io/mesh-${twin}`]),
      );
    const working = () => stage.pods()[0]?.metadata.annotations?.[annotation.sidecarSetWorkingHotUpgradeContainer];
    expect([stage.images("mesh-1"), stage.images("mesh-2"), working(), versions()]).toEqual([
      "1",
      "e",
      '{"mesh":"mesh-1"}',
      ["1", "0", "0", "1"],
    ]);
    expect(stage.counters()).toEqual([1, 1, 1, 1]);
    await stage.edit(image("2"));
    expect([stage.images("mesh-1"), stage.images("mesh-2"), working()]).toEqual(["1", "2", '{"mesh":"mesh-2"}']);
    const version = versions()[1]!;
    expect(Number(version)).toBeGreaterThan(1);
    expect(versions()).toEqual(["1", version, version, "1"]);
    expect(stage.counters()).toEqual([1, 1, 0, 0]);
    runAll(stage.world, { nowMs: stage.env.nowMs() });
    await stage.rest();
    expect([stage.images("mesh-1"), stage.images("mesh-2"), versions()]).toEqual(["e", "2", ["0", version, version, "0"]]);
    expect(stage.counters()).toEqual([1, 1, 0, 0]);
    expect(stage.world.events.find(({ reason }) => reason === "ResetContainerSucceed")?.on).toMatchObject({
      name: "web-0",
      of: { kind: "Pod" },
    });
    runAll(stage.world, { nowMs: stage.env.nowMs() });
    await stage.rest();
    expect(stage.counters()).toEqual([1, 1, 1, 1]);
    await stage.edit(image("3"));
    await settle(stage);
    expect([stage.images("mesh-1"), stage.images("mesh-2"), working()]).toEqual(["3", "e", '{"mesh":"mesh-1"}']);
  });

  test("28: a new image that does not start is replaced by the next, and the worker goes on", async () => {
    const stage = await start(
      { containers: [mesh({ upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "empty:e" } })] },
      1,
    );
    await stage.edit(image("2"));
    run(stage.world, stage.pods()[0]!, { notReady: ["mesh-2"], nowMs: stage.env.nowMs() });
    await stage.rest();
    expect([stage.images("mesh-1"), stage.images("mesh-2")]).toEqual(["1", "2"]);
    await stage.edit(image("3"));
    expect([stage.images("mesh-1"), stage.images("mesh-2")]).toEqual(["1", "3"]);
    await settle(stage);
    expect([stage.images("mesh-1"), stage.images("mesh-2")]).toEqual(["e", "3"]);
  });

  test("29: pods from before the SidecarSet are left alone", async () => {
    const stage = await start({});
    const old = stage.world.add<Pod>(pods, { ...pod("old"), status: { phase: "Running" } });
    stage.world.edit<Pod>(pods, keyOf(old), (object) => {
      object.metadata.creationTimestamp = "2024-01-01T00:00:00Z";
    });
    await stage.rest();
    await stage.edit(image("2"));
    expect(stage.counters()).toEqual([0, 0, 0, 0]);
    expect(stage.world.now<Pod>(pods, keyOf(old))?.spec).toEqual(old.spec);
  });

  test("30: without the SidecarSet pods keep their sidecars, and nobody makes revisions for one that goes", async () => {
    const stage = await start({}, 1);
    const writes = stage.world.writes().length;
    const owners = stage.world.all<ControllerRevision>(controllerRevisions).flatMap(({ metadata }) => metadata.ownerReferences ?? []);
    expect(owners).toMatchObject([{ kind: "SidecarSet", name: "mesh", uid: stage.set().metadata.uid, controller: true }]);
    stage.world.drop(sidecarSets, { namespace: "", name: "mesh" });
    await stage.rest();
    expect(stage.images("mesh")).toBe("1");
    expect(stage.world.writes().length).toBe(writes);
    expect(stage.world.all(controllerRevisions)).toEqual([]);
  });
});

describe("counting", () => {
  test("counters follow pods that vanish, also with NotUpdate", async () => {
    const stage = await start({ updateStrategy: { type: "NotUpdate" } }, 3);
    stage.world.drop(pods, { namespace: "shop", name: "web-1" });
    await stage.rest();
    expect(stage.counters()).toEqual([2, 2, 2, 2]);
    run(stage.world, stage.pods()[0]!, { notReady: ["main"] });
    await stage.rest();
    expect(stage.counters()).toEqual([2, 2, 1, 1]);
  });

  test("an update does not stall on a pod that vanishes under way", async () => {
    const stage = await start({}, 3);
    await stage.edit(image("2"));
    const moving = stage.pods().find(({ spec }) => spec.containers[0]?.image === "mesh:2")!;
    stage.world.drop(pods, keyOf(moving));
    await stage.rest();
    expect(stage.images("mesh").split("").sort().join("")).toBe("12");
    await settle(stage);
    expect(stage.images("mesh")).toBe("22");
  });

  test("13: a pod that is no longer selected drops out", async () => {
    const stage = await start({}, 2);
    stage.world.edit<Pod>(pods, { namespace: "shop", name: "web-0" }, (object) => {
      object.metadata.labels = { app: "db" };
    });
    await stage.rest();
    expect(stage.counters()).toEqual([1, 1, 1, 1]);
  });

  test("a pod created without its sidecars is missed", async () => {
    const stage = await start({});
    await stage.env.advance(2_000);
    stage.world.add<Pod>(pods, { ...pod("forgotten"), status: { phase: "Running" } });
    stage.world.add<Pod>(pods, { ...pod("system", {}, { namespace: "kruise-system" }), status: { phase: "Running" } });
    await stage.rest();
    const held = stage.runner.reasons.of("sidecarset-controller", { namespace: "", name: "mesh" });
    expect(held.map(({ on, code }) => [on, code])).toEqual([["shop/forgotten", "InjectionMissed"]]);
    stage.world.drop(pods, { namespace: "shop", name: "forgotten" });
    await stage.rest();
    expect(stage.runner.reasons.of("sidecarset-controller", { namespace: "", name: "mesh" })).toEqual([]);
  });

  test("the same digest under a new tag arrives with the new container", async () => {
    const stage = await start({}, 1);
    await stage.edit(image("2"));
    const [moving] = stage.pods();
    const status = ran(moving!, { nowMs: stage.env.nowMs() })!;
    const [before] = moving!.status!.containerStatuses!;
    stage.world.edit<Pod>(pods, keyOf(moving!), (object) => {
      object.status = {
        ...status,
        containerStatuses: status.containerStatuses!.map((each) =>
          each.name === "mesh" ? { ...each, image: before!.image, imageID: before!.imageID } : each,
        ),
      };
    });
    await stage.rest();
    expect(stage.counters()).toEqual([1, 1, 1, 1]);
  });

  test("a custom version labels the revision, and a rename relabels it", async () => {
    const stage = await start({ customVersion: "v1" });
    const labels = () =>
      stage.world
        .all<ControllerRevision>(controllerRevisions)
        .map(({ metadata }) => metadata.labels?.["apps.kruise.io/sidecarset-custom-version"]);
    expect(labels()).toEqual(["v1"]);
    await stage.edit((spec) => {
      spec.customVersion = "v2";
    });
    expect(labels()).toEqual(["v2"]);
  });

  test("a failing update is told, and tried again", async () => {
    const stage = await start({}, 1);
    let denials = 2;
    stage.world.fault = ({ verb, kind, subresource }) =>
      verb === "patch" && kind === "Pod" && subresource === undefined && denials-- > 0
        ? { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "held by budget web-pub" }
        : undefined;
    await stage.edit(image("2"));
    expect(stage.images("mesh")).toBe("2");
    expect(stage.world.events.find(({ reason }) => reason === "FailedUpdateSidecar")?.message).toContain("held by budget web-pub");
  });
});

test(
  "partition and maxUnavailable hold in every world, until it rests",
  () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          count: fc.integer({ min: 1, max: 8 }),
          partition: fc.constantFrom<number | string>(0, 2, "25%"),
          maxUnavailable: fc.constantFrom<number | string>(1, 2, "50%"),
          seed: fc.integer({ min: 1 }),
          hot: fc.boolean(),
        }),
        async ({ count, partition, maxUnavailable, seed, hot }) => {
          const containers = [mesh(hot ? { upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "empty:e" } } : {})];
          const stage = await start({ containers, updateStrategy: { partition, maxUnavailable } }, count, seed);
          const max = typeof maxUnavailable === "number" ? maxUnavailable : Math.ceil(count / 2);
          const kept =
            typeof partition === "number" ? Math.min(partition, count) : Math.min(Math.ceil(count / 4), count > 1 ? count - 1 : count);
          await stage.edit(image("2"));
          for (let round = 0; round < 200; round += 1) {
            const all = stage.pods();
            const updated = all.filter(({ spec }) => spec.containers.some(({ image: tag }) => tag === "mesh:2"));
            const open = updated.filter((each) =>
              each.spec.containers.some(
                ({ name, image: wanted }) => each.status?.containerStatuses?.find((status) => status.name === name)?.image !== wanted,
              ),
            );
            expect(open.length).toBeLessThanOrEqual(max);
            expect(updated.length).toBeLessThanOrEqual(count - kept);
            if (open.length === 0 && updated.length === count - kept) break;
            await stage.env.advance(1_000);
            const [next] = open.toSorted(() => stage.env.random() - 0.5);
            if (next !== undefined) run(stage.world, next, { nowMs: stage.env.nowMs() });
            await stage.rest();
          }
          await settle(stage);
          expect(stage.counters()).toEqual([count, count - kept, count, count - kept]);
        },
      ),
      { numRuns: 25 },
    ),
  60_000,
);
