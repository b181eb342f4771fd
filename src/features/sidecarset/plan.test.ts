import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { keyOf } from "../../kube/kind.ts";
import { controllerRevisions, pods } from "../../kube/kinds.ts";
import type { ControllerRevision, Pod } from "../../kube/types.ts";
import { ran, run } from "./testing/node.ts";
import { pod } from "./testing/objects.ts";
import { image, mesh, settle, start } from "./testing/stage.ts";

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
