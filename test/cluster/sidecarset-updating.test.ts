/** SidecarSet: what happens to pods that were injected. Numbers are those of the SidecarSet acceptance list. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { annotation } from "../../src/api/names.ts";
import type { SidecarSet } from "../../src/api/sidecarset.ts";
import type { Pod } from "../../src/kube/types.ts";
import { isReady, type Loose, restartsOf } from "../lib/shop.ts";
import { collectedMs, type Manager, podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";
import { containerNames, entryOf, imageIn, note, openYard, setPath, sidecar, whitelist, type Yard } from "./sidecars.ts";

let rig: Rig;
let manager: Manager;
beforeAll(async () => {
  ({ rig, manager } = await cluster());
  await whitelist(rig, [{ allowedAnnotationKeyExprs: ["^patched"] }]);
}, startTimeoutMs);
afterAll(() => whitelist(rig, undefined));

const open = () => openYard(rig);
const spec = (updateStrategy: Loose = {}, image = "side:v1"): Loose => ({ containers: [sidecar(image)], updateStrategy });
const all = { maxUnavailable: "100%" };
/** Pods that have not yet reported what they were last given are ready and not available. */
const arrived = (pod: Pod, image: string): boolean =>
  isReady(pod) && pod.status?.containerStatuses?.find(({ name }) => name === "side")?.image === image;

/** Looks at every version of every pod: how many had the new image and did not serve with it? */
function watchUnavailable(yard: Yard, image: string): { max: number; updatedMax: number } {
  const seen = { max: 0, updatedMax: 0 };
  yard.podMirror.listen(() => {
    const updated = yard.pods.filter((pod) => imageIn(pod) === image);
    seen.updatedMax = Math.max(seen.updatedMax, updated.length);
    seen.max = Math.max(seen.max, updated.filter((pod) => !arrived(pod, image)).length);
  });
  return seen;
}

describe("images in place", () => {
  test.concurrent("21: one after the other, in the same pod, and nothing but the sidecar restarts", async () => {
    const yard = await open();
    await yard.set();
    const before = await yard.crowd(2, { annotations: { [podAnnotations.readyDelaySeconds]: "1" } });
    expect(yard.counts()).toEqual([2, 2, 2, 2]);
    const seen = watchUnavailable(yard, "side:v2");
    const counts = new Set<string>();
    yard.podMirror.listen(() => counts.add(yard.counts().slice(0, 3).join()));
    const set = await yard.setImage("side:v2");
    await yard.untilCounts([2, 2, 2, 2]);
    expect(seen).toEqual({ max: 1, updatedMax: 2 });
    for (const was of before) {
      const pod = yard.now(was.metadata.name);
      expect(pod.metadata.uid).toBe(was.metadata.uid);
      expect([imageIn(pod), imageIn(pod, "main")]).toEqual(["side:v2", "app:v1"]);
      expect([restartsOf(pod, 0), restartsOf(pod, 1)]).toEqual([1, 0]);
      expect(entryOf(pod, yard.name())).toMatchObject({
        hash: set.metadata.annotations?.[annotation.sidecarSetHash],
        sidecarList: ["side"],
        controllerRevision: yard.status().latestRevision,
      });
      const state = JSON.parse(note(pod, annotation.sidecarSetInPlaceUpdateState))[yard.name()];
      expect(state.lastContainerStatuses.side.imageID).toMatch(/^side@sha256:/);
      await yard.until("the condition", () => yard.condition(pod.metadata.name) !== undefined);
      expect(yard.condition(pod.metadata.name)).toMatchObject({
        status: "True",
        reason: "AllSidecarsetUpgradable",
        message: `{"${yard.name()}":true}`,
      });
    }
    expect(counts.has("2,0,2")).toBe(true);
  });

  test.concurrent("22: partition 5 of 10 updates exactly 5, partition 0 all; maxUnavailable holds all the while", async () => {
    const yard = await open();
    await yard.set(spec({ partition: 5, maxUnavailable: 3 }));
    await yard.crowd(10, { annotations: { [podAnnotations.readyDelaySeconds]: "1" } });
    const seen = watchUnavailable(yard, "side:v2");
    await yard.setImage("side:v2");
    await yard.untilCounts([10, 5, 10, 5]);
    await yard.round();
    expect(yard.withImage("side:v2")).toHaveLength(5);
    expect(seen).toEqual({ max: 3, updatedMax: 5 });
    await yard.strategy({ partition: "20%" });
    await yard.untilCounts([10, 8, 10, 8]);
    await yard.strategy({ partition: 0 });
    await yard.untilCounts([10, 10, 10, 10]);
    expect(seen.max).toBe(3);
  });

  test.concurrent("23: paused and NotUpdate change no pod; new pods get the new image; going on goes on", async () => {
    const yard = await open();
    await yard.set(spec({ paused: true }));
    await yard.crowd(2);
    await yard.setImage("side:v2");
    await yard.untilCounts([2, 0, 2, 0]);
    await yard.round();
    expect(yard.withImage("side:v1")).toEqual(["p0", "p1"]);
    expect(imageIn(await yard.pod("new"))).toBe("side:v2");
    await yard.untilCounts([3, 1, 3, 1]);
    await yard.strategy({ paused: false, type: "NotUpdate" });
    await yard.round();
    expect(yard.withImage("side:v1")).toEqual(["p0", "p1"]);
    // The counters follow readiness and deletions also here.
    await yard.patchPod("p0", { metadata: { annotations: { [podAnnotations.neverReady]: "true" } } });
    await yard.untilCounts([3, 1, 2, 1]);
    await yard.deletePod("p0", 0);
    await yard.untilCounts([2, 1, 2, 1]);
    await yard.strategy({ type: "RollingUpdate" });
    await yard.untilCounts([2, 2, 2, 2]);
  });

  test.concurrent("25: only what updateStrategy.selector selects, also when a pod joins late", async () => {
    const yard = await open();
    await yard.set(spec({ ...all, selector: { matchLabels: { canary: "true" } } }));
    await yard.crowd(2);
    await yard.pod("c", { labels: { canary: "true" } });
    await yard.untilCounts([3, 3, 3, 3]);
    await yard.setImage("side:v2");
    await yard.untilCounts([3, 1, 3, 1]);
    await yard.round();
    expect(yard.withImage("side:v2")).toEqual(["c"]);
    await yard.patchPod("p1", { metadata: { labels: { canary: "true" } } });
    await yard.untilCounts([3, 2, 3, 2]);
    expect(yard.withImage("side:v2")).toEqual(["c", "p1"]);
  });

  test.concurrent("26: metadata goes along with an image, and alone makes nothing but a revision", async () => {
    const yard = await open();
    const patch = (value: string) => ({ patchPodMetadata: [{ patchPolicy: "Overwrite", annotations: { "patched.k": value } }] });
    await yard.set({ ...spec(all), ...patch("v1") });
    await yard.crowd(2);
    const versions = yard.podMirror.changes.length;
    await yard.update(patch("v2"));
    await yard.round();
    expect(await yard.revisions()).toHaveLength(2);
    expect(yard.podMirror.changes).toHaveLength(versions);
    expect(yard.counts()).toEqual([2, 2, 2, 2]);
    await yard.setImage("side:v2");
    await yard.untilCounts([2, 2, 2, 2]);
    expect(yard.pods.map((pod) => [note(pod, "patched.k"), imageIn(pod)])).toEqual([
      ["v2", "side:v2"],
      ["v2", "side:v2"],
    ]);
  });

  test.concurrent("images by digest, and a tag of the same digest", async () => {
    const yard = await open();
    const digest = (digit: string) => `registry.test/side:v1@sha256:${digit.repeat(64)}`;
    await yard.set(spec(all, digest("1")));
    await yard.crowd(1);
    await yard.setImage(digest("2"));
    await yard.untilCounts([1, 1, 1, 1]);
    await yard.setImage("side:v3");
    await yard.untilCounts([1, 1, 1, 1]);
    await yard.setImage("side:v3-same");
    await yard.untilCounts([1, 1, 1, 1]);
    expect(yard.withImage("side:v3-same")).toEqual(["p0"]);
  });
});

describe("who goes first", () => {
  test.concurrent("a broken version is replaced whatever the budget says, and does not spread", async () => {
    const yard = await open();
    await yard.set();
    await yard.crowd(3);
    await yard.setImage("side:bad");
    await yard.untilCounts([3, 1, 2, 0]);
    await yard.round();
    expect(yard.withImage("side:bad")).toHaveLength(1);
    const [broken] = yard.withImage("side:bad");
    await yard.setImage("side:v2");
    await yard.untilCounts([3, 3, 3, 3]);
    // Along with it the first that serves, for which there is room.
    expect(yard.orderOf("side:v2").slice(0, 2)).toContain(broken!);
  });

  test.concurrent("maxUnavailable 0 updates pods that do not serve, and no others", async () => {
    const yard = await open();
    await yard.set(spec({ maxUnavailable: 0 }));
    await yard.crowd(2);
    await yard.patchPod("p1", { metadata: { annotations: { [podAnnotations.neverReady]: "main" } } });
    await yard.untilCounts([2, 2, 1, 1]);
    await yard.setImage("side:v2");
    await yard.until("p1 to be updated", () => imageIn(yard.now("p1")) === "side:v2");
    await yard.round();
    expect(yard.withImage("side:v1")).toEqual(["p0"]);
  });

  test.concurrent("by weight, and by the number at the end of a label", async () => {
    const yard = await open();
    const weights = [
      { weight: 50, matchSelector: { matchLabels: { tier: "b" } } },
      { weight: 10, matchSelector: { matchLabels: { tier: "c" } } },
    ];
    await yard.set(spec({ priorityStrategy: { weightPriority: weights } }));
    for (const [name, tier] of [
      ["x", "a"],
      ["y", "b"],
      ["z", "c"],
    ] as const)
      await yard.pod(name, { labels: { tier, order: `n-${name === "x" ? 9 : name === "y" ? 10 : 8}` } });
    await yard.untilCounts([3, 3, 3, 3]);
    await yard.setImage("side:v2");
    await yard.untilCounts([3, 3, 3, 3]);
    expect(yard.orderOf("side:v2")).toEqual(["y", "z", "x"]);
    await yard.strategy({ priorityStrategy: { weightPriority: null, orderPriority: [{ orderedKey: "order" }] } });
    await yard.setImage("side:v3");
    await yard.untilCounts([3, 3, 3, 3]);
    expect(yard.orderOf("side:v3")).toEqual(["y", "x", "z"]);
  });

  test.concurrent("scattered: the special pods do not come one after the other", async () => {
    const yard = await open();
    await yard.set(spec({ scatterStrategy: [{ key: "special", value: "true" }] }));
    for (const name of ["a", "b", "c"]) await yard.pod(name, { labels: { special: "true" } });
    for (const name of ["d", "e", "f"]) await yard.pod(name);
    await yard.untilCounts([6, 6, 6, 6]);
    await yard.setImage("side:v2");
    await yard.untilCounts([6, 6, 6, 6]);
    const marks = yard.orderOf("side:v2").map((name) => (["a", "b", "c"].includes(name) ? "S" : "-"));
    expect(marks).toHaveLength(6);
    expect(marks.join("")).not.toContain("SSS");
    expect(marks.join("")).not.toContain("---");
  });
});

describe("what cannot be done in place", () => {
  test.concurrent("24: is told to the pods and the set; going back is fine again; recreated pods get it", async () => {
    const yard = await open();
    await yard.set();
    await yard.crowd(2);
    const [container] = yard.get().spec.containers as unknown as Loose[];
    await yard.update({ containers: [{ ...container, env: [{ name: "A", value: "1" }] }] });
    await yard.untilCounts([2, 0, 2, 0]);
    const told = (status: string) =>
      yard.until("the condition", () => ["p0", "p1"].every((name) => yard.condition(name)?.status === status));
    await told("False");
    expect(yard.condition("p0")).toMatchObject({ reason: "UpdateImmutableField", message: `{"${yard.name()}":false}` });
    expect(yard.pods.map((pod) => restartsOf(pod, 0))).toEqual([0, 0]);
    const event = await yard.event(yard.name(), "NotUpgradablePods");
    expect([event.type, event.message]).toEqual(["Normal", expect.stringContaining("2")]);
    expect(event.source?.component).toBe("sidecarset-controller");
    // An image on top of it does not help them.
    await yard.setImage("side:v2");
    await yard.round();
    expect(yard.withImage("side:v2")).toEqual([]);
    await yard.deletePod("p1", 0);
    await yard.pod("p2");
    await yard.untilCounts([2, 1, 2, 1]);
    expect(yard.withImage("side:v2")).toEqual(["p2"]);
    await yard.update({ containers: [container] });
    await yard.until("p0 to be told", () => yard.condition("p0")?.status === "True");
  });
});

describe("counters", () => {
  test.concurrent("follow pods that come, fail, lose their label and go, with grace or without", async () => {
    const yard = await open();
    await yard.set();
    await yard.crowd(5);
    await yard.patchPod("p0", { metadata: { labels: { app: "other" } } });
    await yard.untilCounts([4, 4, 4, 4]);
    await yard.deletePod("p1");
    await yard.untilCounts([3, 3, 3, 3]);
    await yard.deletePod("p2", 0);
    await yard.untilCounts([2, 2, 2, 2]);
    await rig.admin.patch(`${yard.podsPath}/p3/status`, { status: { phase: "Failed", reason: "Evicted" } }, "merge");
    await yard.untilCounts([1, 1, 1, 1]);
    await yard.patchPod("p4", { metadata: { annotations: { [podAnnotations.neverReady]: "side" } } });
    await yard.untilCounts([1, 1, 0, 0]);
    await yard.patchPod("p0", { metadata: { labels: { app: yard.app } } });
    await yard.untilCounts([2, 2, 1, 1]);
  });

  test.concurrent("30: pods keep their sidecars when the set goes, its history goes with it; its successor takes them up", async () => {
    const yard = await open();
    await yard.set();
    await yard.crowd(2);
    expect(await yard.revisions()).toMatchObject([
      { metadata: { ownerReferences: [{ kind: "SidecarSet", controller: true, blockOwnerDeletion: true }] } },
    ]);
    await yard.remove();
    await waitFor("the revisions to be collected", async () => (await yard.revisions()).length === 0, { timeoutMs: collectedMs });
    expect(yard.pods.map(containerNames)).toEqual([
      ["side", "main"],
      ["side", "main"],
    ]);
    await yard.set(spec(all, "side:v2"));
    await yard.untilCounts([2, 2, 2, 2]);
    expect(yard.withImage("side:v2")).toEqual(["p0", "p1"]);
  });
});

describe("history", () => {
  test.concurrent("27: ten revisions are kept; an old content makes its revision the newest", async () => {
    const yard = await open();
    await yard.set(spec(), { labels: { team: "a" } });
    for (let version = 2; version <= 13; version += 1) await yard.setImage(`side:v${version}`);
    const kept = await waitFor("ten revisions", async () => {
      const revisions = await yard.revisions();
      return revisions.length === 10 && revisions;
    });
    expect(kept.at(-1)!.metadata.name).toBe(yard.status().latestRevision!);
    expect(kept.at(-1)!.metadata.labels).toMatchObject({ team: "a", "kruise.io/sidecarset-name": yard.name() });
    expect(kept.at(-1)!.metadata.annotations).toHaveProperty([annotation.sidecarSetHash]);
    const before = kept.at(-2)!;
    await yard.setImage("side:v12");
    const after = await yard.revisions();
    expect(after.at(-1)!.metadata.name).toBe(before.metadata.name);
    expect(after.at(-1)!.revision).toBeGreaterThan(kept.at(-1)!.revision);
    expect(yard.status().latestRevision).toBe(before.metadata.name);
    // The label of a custom version follows its field.
    await yard.update({ customVersion: "twelve" });
    await waitFor("the label", async () => {
      const [latest] = (await yard.revisions()).slice(-1);
      return latest?.metadata.labels?.["apps.kruise.io/sidecarset-custom-version"] === "twelve";
    });
  });

  test.concurrent("revisions that pods have are kept above the limit", async () => {
    const yard = await open();
    await yard.set({ ...spec({ type: "NotUpdate" }), revisionHistoryLimit: 1 });
    for (let version = 2; version <= 4; version += 1) {
      await yard.pod(`p${version}`);
      await yard.setImage(`side:v${version}`);
    }
    const used = yard.pods.map((pod) => entryOf(pod, yard.name()).controllerRevision!);
    await yard.round();
    const names = (await yard.revisions()).map(({ metadata }) => metadata.name);
    expect(names.sort()).toEqual([...used, yard.status().latestRevision!].sort());
  });
});

describe("hot upgrade", () => {
  const mesh = { name: "mesh", image: "mesh:v1", upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "mesh:e" } };
  const images = (pod: Pod) => [imageIn(pod, "mesh-1"), imageIn(pod, "mesh-2")];
  const versions = (pod: Pod) =>
    ["mesh-1", "mesh-2"].map((name) => [
      note(pod, `version.sidecarset.kruise.io/${name}`),
      note(pod, `versionalt.sidecarset.kruise.io/${name}`),
    ]);
  const working = (pod: Pod) => note(pod, annotation.sidecarSetWorkingHotUpgradeContainer);

  test.concurrent("28: the other twin gets the image, and the former worker rests when that serves", async () => {
    const yard = await open();
    await yard.set({ containers: [mesh] });
    const [was] = await yard.crowd(1, { annotations: { [podAnnotations.readyDelaySeconds]: "1" } });
    expect([images(was!), versions(was!), working(was!)]).toEqual([
      ["mesh:v1", "mesh:e"],
      [
        ["1", "0"],
        ["0", "1"],
      ],
      '{"mesh":"mesh-1"}',
    ]);
    const set = await yard.setImage("mesh:v2");
    const { metadata } = await rig.admin.must<SidecarSet>("GET", setPath(yard.name()));
    await yard.untilCounts([1, 1, 1, 1]);
    const states = yard.podMirror.changes
      .filter(({ object }) => images(object)[1] !== "mesh:e" || images(object)[0] !== "mesh:v1")
      .map(({ object }) => object);
    const upgraded = states[0]!;
    expect([images(upgraded), working(upgraded)]).toEqual([["mesh:v1", "mesh:v2"], '{"mesh":"mesh-2"}']);
    const version = Number(versions(upgraded)[1]![0]);
    expect(version).toBeGreaterThan(1);
    expect(version).toBeLessThanOrEqual(Number(metadata.resourceVersion));
    expect(versions(upgraded)).toEqual([
      ["1", String(version)],
      [String(version), "1"],
    ]);
    // The old twin works until the new one has come up.
    const rested = states.find((pod) => images(pod)[0] === "mesh:e")!;
    const before = states[states.indexOf(rested) - 1]!;
    expect(arrivedTwin(before, "mesh-2", "mesh:v2")).toBe(true);
    const end = yard.now("p0");
    expect([images(end), versions(end), working(end)]).toEqual([
      ["mesh:e", "mesh:v2"],
      [
        ["0", String(version)],
        [String(version), "0"],
      ],
      '{"mesh":"mesh-2"}',
    ]);
    expect(entryOf(end, yard.name()).hash).toBe(set.metadata.annotations![annotation.sidecarSetHash]!);
    expect((await yard.event("p0", "ResetContainerSucceed")).type).toBe("Normal");
    // And back the other way.
    await yard.setImage("mesh:v3");
    await yard.until("the first twin to work", () => images(yard.now("p0")).join() === "mesh:v3,mesh:e");
    await yard.untilCounts([1, 1, 1, 1]);
    expect(working(yard.now("p0"))).toBe('{"mesh":"mesh-1"}');
  });

  test.concurrent("a version that does not come up leaves the old worker at work, and is replaced itself", async () => {
    const yard = await open();
    await yard.set({ containers: [mesh] });
    await yard.crowd(1);
    await yard.setImage("mesh:bad");
    await yard.untilCounts([1, 1, 0, 0]);
    await yard.round();
    expect(images(yard.now("p0"))).toEqual(["mesh:v1", "mesh:bad"]);
    await yard.setImage("mesh:v3");
    await yard.untilCounts([1, 1, 1, 1]);
    expect(images(yard.now("p0"))).toEqual(["mesh:e", "mesh:v3"]);
    const mesh1 = yard.podMirror.changes.map(({ object }) => imageIn(object, "mesh-1"));
    expect([...new Set(mesh1)]).toEqual(["mesh:v1", "mesh:e"]);
  });
});

describe("pods that injection has missed", () => {
  test.concurrent("are counted, and evicted where the set asks for it, one after the other", async () => {
    const yard = await open();
    await yard.set({ containers: [sidecar()], namespaceSelector: { matchLabels: { mesh: yard.namespace } } });
    const labels = { app: yard.app };
    const podSpec = { terminationGracePeriodSeconds: 1, containers: [{ name: "main", image: "app:v1" }] };
    // Creation times are of whole seconds: these pods have to be younger than the set.
    await waitFor("the next second", () => Date.now() > Date.parse(yard.get().metadata.creationTimestamp) + 2_000);
    await rig.apply({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web", namespace: yard.namespace },
      spec: { replicas: 3, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podSpec } },
    });
    await yard.until("three pods", () => yard.pods.filter(isReady).length === 3);
    expect(yard.pods.map(containerNames)).toEqual([["main"], ["main"], ["main"]]);
    await rig.admin.patch(`/api/v1/namespaces/${yard.namespace}`, { metadata: { labels: { mesh: yard.namespace } } }, "merge");
    const series = `kruiser_injection_missed{sidecarset="${yard.name()}"}`;
    const counted = async () => (await (await fetch(manager.metricsUrl)).text()).split("\n").find((line) => line.startsWith(series));
    await waitFor("the gauge", async () => (await counted()) === `${series} 3`);
    await waitFor(
      "the next second",
      () => Date.now() > Math.max(...yard.pods.map((pod) => Date.parse(pod.metadata.creationTimestamp))) + 2_000,
    );
    await yard.pod("proof", { labels: { app: yard.app }, spec: podSpec });
    await yard.untilCounts([1, 1, 1, 1]);
    let leaving = 0;
    yard.podMirror.listen(() => {
      leaving = Math.max(leaving, yard.podMirror.objects.filter(({ metadata }) => metadata.deletionTimestamp !== undefined).length);
    });
    await yard.patchSet({ metadata: { annotations: { [annotation.sidecarSetEvictMissed]: "true" } } });
    // The Deployment counts the proof as one of its own pods no more than the set does: three successors.
    await yard.until(
      "all pods to have sidecars",
      () => yard.pods.length >= 3 && yard.pods.every((pod) => containerNames(pod).includes("side")),
    );
    await waitFor("the gauge to fall", async () => (await counted()) === `${series} 0`);
    expect(leaving).toBe(1);
    expect((await yard.event(yard.name(), "EvictedMissedPod")).type).toBe("Normal");
  });
});

test("the rights that are generated were enough", () => {
  const lines = readFileSync(manager.logPath, "utf8").split("\n");
  expect(lines.filter((line) => line.includes("forbidden") && /sidecarset|controllerrevision/i.test(line))).toEqual([]);
});

function arrivedTwin(pod: Pod, name: string, image: string): boolean {
  const status = pod.status?.containerStatuses?.find((candidate) => candidate.name === name);
  return status?.ready === true && status.image === image;
}
