import { describe, expect, test } from "bun:test";
import { annotation, conditionType } from "../../api/names.ts";
import { type SidecarContainer, type SidecarSetSpec, sidecarSets } from "../../api/sidecarset.ts";
import { keyOf } from "../../kube/kind.ts";
import { controllerRevisions, pods } from "../../kube/kinds.ts";
import { podCondition } from "../../kube/pod.ts";
import type { ControllerRevision, Pod } from "../../kube/types.ts";
import { run, runAll } from "./testing/node.ts";
import { pod } from "./testing/objects.ts";
import { image, mesh, settle, start } from "./testing/stage.ts";

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
    const said = () => stage.world.events.filter(({ reason }) => reason === "NotUpgradablePods");
    expect(said()).toHaveLength(1);
    expect(said()[0]?.on.of.kind).toBe("SidecarSet");
    expect(said()[0]?.message).toContain("2 pods");
    await stage.env.advance(60_000);
    expect(said()).toHaveLength(1);
    // Said again of a change on top of it, which does not get to them either.
    await stage.edit(image("2"));
    expect(said()).toHaveLength(2);
    await stage.edit(image("1"));
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
