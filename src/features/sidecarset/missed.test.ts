import { describe, expect, test } from "bun:test";
import { type SidecarSet, sidecarSets } from "../../api/sidecarset.ts";
import { metrics } from "../../engine/metrics-names.ts";
import { contextOf } from "../../engine/testing/harness.ts";
import { pods } from "../../kube/kinds.ts";
import { formatTime } from "../../kube/time.ts";
import type { ObjectMeta, Pod, PodSpec } from "../../kube/types.ts";
import { trialPauseMs } from "./evict-missed.ts";
import { explainSet } from "./explain.ts";
import { run } from "./testing/node.ts";
import { pod } from "./testing/objects.ts";
import { type Stage, start } from "./testing/stage.ts";

const optIn = { "kruise.io/sidecarset-evict-missed": "true" };
const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "r", controller: true };
const mesh = { namespace: "", name: "mesh" };
const gauge = (stage: Stage) => stage.metrics.value(metrics.injectionMissed, { sidecarset: "mesh" });

/** A pod that injection has passed by, ready and owned. */
async function forget(stage: Stage, name: string, spec: Partial<PodSpec> = {}, metadata: Partial<ObjectMeta> = {}): Promise<void> {
  const creationTimestamp = formatTime(stage.env.nowMs());
  const finalizers = ["test/leaves-slowly"];
  const added = stage.world.add<Pod>(pods, pod(name, spec, { ownerReferences: [owner], creationTimestamp, finalizers, ...metadata }));
  run(stage.world, added, { nowMs: stage.env.nowMs() });
  await stage.rest();
}
async function opened(maxUnavailable: number | string = 1): Promise<Stage> {
  const stage = await start({ updateStrategy: { maxUnavailable } });
  await stage.env.advance(2_000);
  return stage;
}
async function want(stage: Stage): Promise<void> {
  stage.world.edit<SidecarSet>(sidecarSets, mesh, ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, ...optIn };
  });
  await stage.rest();
}
/** Its kubelet has stopped it. */
function leave(stage: Stage, name: string): void {
  stage.world.edit<Pod>(pods, { namespace: "shop", name }, ({ metadata }) => {
    metadata.finalizers = [];
  });
}
const evicted = (stage: Stage) => stage.world.calls.filter(({ verb }) => verb === "evict").map(({ key }) => key.name);

describe("pods that injection has missed", () => {
  test("are counted by a gauge, by SidecarSet", async () => {
    const stage = await opened();
    expect(gauge(stage)).toBe(0);
    await forget(stage, "a");
    await forget(stage, "b");
    expect(gauge(stage)).toBe(2);
    const told = await explainSet(contextOf(stage.env, stage.world), mesh);
    expect(told?.summary).toContain("injection missed: 2 pods");
    expect(told?.next).toEqual([]);
    expect(evicted(stage)).toEqual([]);
    for (const name of ["a", "b"]) stage.world.drop(pods, { namespace: "shop", name });
    await stage.rest();
    expect(gauge(stage)).toBe(0);
  });
});

describe("their eviction, where the annotation asks for it", () => {
  test("goes as far as maxUnavailable once injection works, and waits for successors", async () => {
    const stage = await opened(1);
    for (const name of ["a", "b", "c"]) await forget(stage, name);
    await forget(stage, "bare", {}, { ownerReferences: [] });
    await forget(stage, "job", { restartPolicy: "Never" });
    await stage.env.advance(2_000);
    await stage.create(pod("proof", {}, { creationTimestamp: formatTime(stage.env.nowMs()) }));
    await want(stage);
    expect(evicted(stage)).toEqual(["a"]);
    // On its way out: it counts.
    await stage.env.advance(60_000);
    await stage.rest();
    expect(evicted(stage)).toEqual(["a"]);
    leave(stage, "a");
    const successor = await stage.create(pod("a2", {}, { creationTimestamp: formatTime(stage.env.nowMs()) }));
    await stage.rest();
    expect(evicted(stage)).toEqual(["a", "b"]);
    expect(successor.spec.containers).toHaveLength(2);
    leave(stage, "b");
    await stage.rest();
    leave(stage, "c");
    await stage.rest();
    expect(evicted(stage)).toEqual(["a", "b", "c"]);
    expect(stage.world.events.filter(({ reason }) => reason === "EvictedMissedPod")).toHaveLength(3);
    expect(gauge(stage)).toBe(2);
  });

  test("a pod that does not serve goes whatever the budget says", async () => {
    const stage = await opened(0);
    await forget(stage, "a");
    await forget(stage, "b");
    run(stage.world, stage.pods().find(({ metadata }) => metadata.name === "b")!, { notReady: ["main"] });
    await stage.env.advance(2_000);
    await stage.create(pod("proof", {}, { creationTimestamp: formatTime(stage.env.nowMs()) }));
    await want(stage);
    expect(evicted(stage)).toEqual(["b"]);
  });

  test("does not go on in vain: without a sign that injection works one pod is tried, long after the last that was missed", async () => {
    const stage = await opened("100%");
    await want(stage);
    await forget(stage, "a");
    await forget(stage, "b");
    await stage.env.advance(trialPauseMs - 60_000);
    await stage.rest();
    expect(evicted(stage)).toEqual([]);
    await stage.env.advance(120_000);
    await stage.rest();
    expect(evicted(stage)).toEqual(["a"]);
    leave(stage, "a");
    await forget(stage, "a-again");
    await stage.env.advance(trialPauseMs - 60_000);
    await stage.rest();
    expect(evicted(stage)).toEqual(["a"]);
    await stage.env.advance(120_000);
    await stage.rest();
    leave(stage, "a-again");
    await stage.create(pod("a2", {}, { creationTimestamp: formatTime(stage.env.nowMs()) }));
    await stage.rest();
    expect(evicted(stage)).toEqual(["a", "a-again", "b"]);
  });

  test("a budget that refuses is asked again when it says so", async () => {
    const stage = await opened();
    let refusals = 2;
    stage.world.fault = ({ verb }) =>
      verb === "evict" && refusals-- > 0
        ? {
            ok: false,
            why: "throttled",
            retryAfterMs: 10_000,
            message: "Cannot evict pod as it would violate the pod's disruption budget.",
          }
        : undefined;
    await forget(stage, "a");
    await stage.env.advance(2_000);
    await stage.create(pod("proof", {}, { creationTimestamp: formatTime(stage.env.nowMs()) }));
    await want(stage);
    await stage.env.advance(60_000);
    await stage.rest();
    expect(evicted(stage)).toEqual(["a", "a", "a"]);
  });
});
