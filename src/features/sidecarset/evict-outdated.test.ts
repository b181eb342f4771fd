import { describe, expect, test } from "bun:test";
import { type SidecarContainer, type SidecarSet, type SidecarSetSpec, sidecarSets } from "../../api/sidecarset.ts";
import { pods } from "../../kube/kinds.ts";
import { formatTime } from "../../kube/time.ts";
import type { ObjectMeta, PodSpec } from "../../kube/types.ts";
import { run } from "./testing/node.ts";
import { pod } from "./testing/objects.ts";
import { image, type Stage, settle, start } from "./testing/stage.ts";

const optIn = { "kruise.io/sidecarset-evict-outdated": "true" };
const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "r", controller: true };
const evicted = (stage: Stage) => stage.world.calls.filter(({ verb }) => verb === "evict").map(({ key }) => key.name);

async function make(stage: Stage, name: string, spec: Partial<PodSpec> = {}, metadata: Partial<ObjectMeta> = {}): Promise<void> {
  const creationTimestamp = formatTime(stage.env.nowMs());
  await stage.create(pod(name, spec, { ownerReferences: [owner], creationTimestamp, finalizers: ["test/leaves-slowly"], ...metadata }));
  await stage.rest();
}
async function opened(spec: SidecarSetSpec, names: readonly string[]): Promise<Stage> {
  const stage = await start(spec);
  for (const name of names) await make(stage, name);
  stage.world.edit<SidecarSet>(sidecarSets, { namespace: "", name: "mesh" }, ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, ...optIn };
  });
  await stage.rest();
  return stage;
}
/** Its kubelet has stopped it, and its workload makes another. */
async function replaced(stage: Stage, name: string): Promise<void> {
  stage.world.edit(pods, { namespace: "shop", name }, ({ metadata }) => {
    metadata.finalizers = [];
  });
  await make(stage, `${name}+`);
}
const more = (value: string) => (spec: SidecarSetSpec) => {
  (spec.containers as SidecarContainer[])[0]!.env = [{ name: "A", value }];
};

describe("pods that cannot follow, where the annotation asks for it", () => {
  test("go one after the other, as maxUnavailable has it, until all are replaced", async () => {
    const stage = await opened({}, ["a", "b", "c"]);
    await stage.edit(more("1"));
    await stage.env.advance(60_000);
    await stage.rest();
    expect(evicted(stage)).toHaveLength(1);
    for (let count = 1; count <= 3; count += 1) {
      expect(evicted(stage)).toHaveLength(count);
      await replaced(stage, evicted(stage).at(-1)!);
    }
    expect(evicted(stage).sort()).toEqual(["a", "b", "c"]);
    expect(stage.counters()).toEqual([3, 3, 3, 3]);
    expect(stage.world.events.filter(({ reason }) => reason === "EvictedOutdatedPod")).toHaveLength(3);
  });

  test("an image alone evicts nobody, and neither does a change that is not to be rolled out", async () => {
    const stage = await opened({ updateStrategy: { maxUnavailable: "100%" } }, ["a", "b"]);
    await stage.edit(image("2"));
    await settle(stage);
    await stage.edit((spec) => {
      more("1")(spec);
      spec.updateStrategy = { paused: true };
    });
    await stage.edit((spec) => {
      spec.updateStrategy = { type: "NotUpdate" };
    });
    await stage.edit((spec) => {
      spec.updateStrategy = { type: "RollingUpdate", maxUnavailable: "100%", selector: { matchLabels: { canary: "true" } } };
    });
    expect(evicted(stage)).toEqual([]);
  });

  test.each<[number | string, number]>([
    [0, 4],
    [1, 3],
    ["50%", 2],
    ["100%", 0],
  ])("partition %s: %i of 4", async (partition, count) => {
    const stage = await opened({ updateStrategy: { maxUnavailable: "100%", partition } }, ["a", "b", "c", "d"]);
    await stage.edit(more("1"));
    expect(evicted(stage)).toHaveLength(count);
  });

  test("not while their successors would get something else", async () => {
    const stage = await opened({ updateStrategy: { maxUnavailable: "100%" } }, ["a"]);
    const old = stage.set().status?.latestRevision ?? "";
    await stage.edit((spec) => {
      more("1")(spec);
      spec.injectionStrategy = { paused: true };
    });
    await stage.edit((spec) => {
      spec.injectionStrategy = { revision: { revisionName: old, policy: "Always" } };
    });
    expect(evicted(stage)).toEqual([]);
    await stage.edit((spec) => {
      delete spec.injectionStrategy;
    });
    expect(evicted(stage)).toEqual(["a"]);
  });

  test("pods that nobody makes again stay, and those that do not serve go first and for free", async () => {
    const stage = await opened({ updateStrategy: { maxUnavailable: 1 } }, ["a", "b"]);
    await make(stage, "bare", {}, { ownerReferences: [] });
    await make(stage, "job", { restartPolicy: "Never" });
    run(stage.world, stage.pods().find(({ metadata }) => metadata.name === "b")!, { notReady: ["main"] });
    await stage.rest();
    await stage.edit(more("1"));
    await stage.env.advance(60_000);
    await stage.rest();
    expect(evicted(stage)).toEqual(["b"]);
  });
});
