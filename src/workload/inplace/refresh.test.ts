import { describe, expect, test } from "bun:test";
import { annotation, label } from "../../api/names.ts";
import { envHash, nameAndImageHash, wholeContainerHash } from "../../kube/canonical/hash.ts";
import type { Container, ContainerStatus, Pod } from "../../kube/types.ts";
import { inService, now, nowMs, type PodParts, pod, revision, run, settingsWith, template } from "../testing/pods.ts";
import { isInGracePeriod, isUpdateCompleted, planRefresh, planUpdate, stateText, updatePending } from "./index.ts";

const settings = settingsWith();
const out = [...inService.slice(0, 2), { type: "InPlaceUpdateReady", status: "False", reason: "StartInPlaceUpdate" } as const];
const state = (more: object = {}, revision = "web-2") =>
  JSON.stringify({ revision, updateTimestamp: now, lastContainerStatuses: null, ...more });
const updating = (more: object, parts: PodParts = {}): Pod =>
  pod({
    labels: { [label.controllerRevisionHash]: "web-2" },
    containers: [{ name: "c1", image: "nginx:2" }],
    conditions: out,
    ...parts,
    annotations: { [annotation.inPlaceUpdateState]: state(more), ...parts.annotations },
  });
const recorded = { lastContainerStatuses: { c1: { imageID: "sha256:one" } } };
const meta = (containers: readonly object[]) => ({ [annotation.runtimeContainersMeta]: JSON.stringify({ containers }) });

describe("a new pod", () => {
  test("gets its condition once it has a node, whatever its version", () => {
    expect(planRefresh(pod({ spec: { nodeName: undefined } }), settings, nowMs)).toEqual({ steps: [] });
    const { steps } = planRefresh(pod(), settings, nowMs);
    expect(steps[0]).not.toHaveProperty("ofVersion");
    expect(run(pod(), steps).pod.status?.conditions).toEqual([
      { type: "InPlaceUpdateReady", status: "True", reason: "", message: "", lastTransitionTime: now },
    ]);
  });
  test("gets KruisePodReady along with it, unless somebody has said it already", () => {
    const gates = ["InPlaceUpdateReady", "KruisePodReady"];
    const types = (conditions: NonNullable<PodParts["conditions"]>) => {
      const fresh = pod({ gates, conditions });
      return run(fresh, planRefresh(fresh, settings, nowMs).steps).pod.status?.conditions?.map(({ type, status }) => `${type} ${status}`);
    };
    expect(types([])).toEqual(["InPlaceUpdateReady True", "KruisePodReady True"]);
    expect(types([{ type: "KruisePodReady", status: "False" }])).toEqual(["KruisePodReady False", "InPlaceUpdateReady True"]);
  });
  test("whose update has begun meanwhile is left alone", () => {
    const { steps } = planRefresh(pod(), settings, nowMs);
    const leaving = pod({ conditions: out });
    expect(run(leaving, steps).pod.status?.conditions).toEqual(leaving.status?.conditions);
  });
  test("gets nothing without the readiness gate, or when it has it already", () => {
    expect(planRefresh(pod({ gates: [] }), settings, nowMs).steps).toEqual([]);
    expect(planRefresh(pod({ conditions: inService }), settings, nowMs).steps).toEqual([]);
  });
  test("a True that still carries a reason is written anew", () => {
    const odd = pod({ conditions: [{ type: "InPlaceUpdateReady", status: "True", reason: "StartInPlaceUpdate" }] });
    expect(planRefresh(odd, settings, nowMs).steps).toHaveLength(1);
  });
});

describe("completion by image", () => {
  const status = (more: Partial<ContainerStatus>): Pod =>
    updating(recorded, { statuses: [{ name: "c1", image: "nginx:1", imageID: "sha256:one", ...more }] });
  test.each<[string, Pod, boolean]>([
    ["3: another image ID", status({ imageID: "sha256:two" }), true],
    ["4: same image ID, old image", status({}), false],
    ["same image ID, the new image", status({ image: "nginx:2" }), true],
    ["same image ID, the new image in full", status({ image: "docker.io/library/nginx:2" }), true],
    [
      "12.3: no tag means latest",
      updating(recorded, { containers: [{ name: "c1", image: "nginx" }], statuses: [{ name: "c1", image: "nginx:latest" }] }),
      true,
    ],
    [
      "12.4: a registry with a port and no tag",
      updating(recorded, {
        containers: [{ name: "c1", image: "registry:5000/img" }],
        statuses: [{ name: "c1", image: "registry:5000/img:latest" }],
      }),
      true,
    ],
    ["the container is not reported", updating(recorded, { statuses: [] }), false],
    ["6: nothing recorded", updating({}, { statuses: [{}] }), true],
    ["9: a plain annotation", updating({ containerBatchesRecord: [{ timestamp: now, containers: [] }] }), true],
    ["12.11: no state at all", pod(), true],
    [
      "33: the annotation of old releases",
      pod({ annotations: { "inplace-update-state": state(recorded) }, statuses: [{ imageID: "sha256:two" }] }),
      true,
    ],
    ["unreadable state", pod({ annotations: { [annotation.inPlaceUpdateState]: "{" } }), false],
    ["a grace annotation, even an empty one", updating({}, { annotations: { [annotation.inPlaceUpdateGrace]: "" } }), false],
    ["a later batch", updating({ nextContainerImages: { c2: "x" } }), false],
  ])("%s", (_, target, completed) => {
    expect(isUpdateCompleted(target, settings.gates)).toBe(completed);
  });

  test("3: then it is let back into service at once", () => {
    const target = status({ imageID: "sha256:two" });
    const { steps } = planRefresh(target, settings, nowMs);
    expect(steps).toMatchObject([{ ofVersion: "100" }]);
    expect(run(target, steps).bodies).toEqual([
      [{ type: "InPlaceUpdateReady", status: "True", reason: "", message: "", lastTransitionTime: now }],
    ]);
  });
  test("4: and not before", () => {
    expect(planRefresh(status({}), settings, nowMs)).toEqual({
      steps: [],
      why: { code: "WaitingForContainer", figures: { container: "c1" } },
    });
  });
});

describe("12.5: another tag of the same digest", () => {
  const again = (container: Partial<ContainerStatus>, status: PodParts["status"] = {}, metadata: PodParts["metadata"] = {}) =>
    updating(
      {
        lastContainerStatuses: { c1: { imageID: "sha256:one", containerID: "containerd://one" } },
        containerBatchesRecord: [{ timestamp: now, containers: ["c1"] }],
      },
      {
        statuses: [{ image: "nginx:1", containerID: "containerd://two", state: { running: { startedAt: now } }, ...container }],
        status,
        metadata,
      },
    );
  const statusOf = (target: Pod, more: object): Pod => ({ ...target, status: { ...target.status, ...more } });
  test.each<[string, Pod, boolean]>([
    ["a new container that runs since", again({}), true],
    ["the same container", again({ containerID: "containerd://one" }), false],
    ["a container that started before", again({ state: { running: { startedAt: "2024-05-01T09:59:59Z" } } }), false],
    ["a container that does not run", again({ state: { waiting: {} } }), false],
    [
      "the kubelet has not seen the change",
      { ...statusOf(again({}), { observedGeneration: 1 }), metadata: { ...again({}).metadata, generation: 2 } },
      false,
    ],
    [
      "the kubelet has seen it",
      { ...statusOf(again({}), { observedGeneration: 2 }), metadata: { ...again({}).metadata, generation: 2 } },
      true,
    ],
  ])("%s", (_, target, completed) => {
    expect(isUpdateCompleted(target, settings.gates)).toBe(completed);
  });

  describe("that the node names by the new tag already", () => {
    const gates = settingsWith().gates;
    const same = { image: "nginx:same", imageID: "sha256:one", containerID: "containerd://one" };
    const change = (target: Pod, from: string, to: string): Pod => {
      const at = (image: string) => template({ spec: { containers: [{ name: "c1", image }] } });
      const plan = planUpdate(
        target,
        revision("web-1", at(from)),
        revision("web-2", at(to)),
        { settings: settingsWith(), revisionLabels: { [label.controllerRevisionHash]: "web-2" } },
        nowMs,
      );
      return plan.inPlace ? run(target, plan.steps).pod : target;
    };
    const shows = (target: Pod, more: Partial<ContainerStatus>): Pod => ({
      ...target,
      status: { ...target.status, containerStatuses: [{ ...target.status?.containerStatuses?.[0], ...more } as ContainerStatus] },
    });
    const running = pod({ containers: [{ name: "c1", image: "nginx:1" }], conditions: inService, statuses: [same] });

    test("is complete when there is another container, not before", () => {
      const begun = change(running, "nginx:1", "nginx:same");
      expect(isUpdateCompleted(begun, gates)).toBe(false);
      expect(isUpdateCompleted(shows(begun, { containerID: "containerd://two", state: { running: { startedAt: now } } }), gates)).toBe(
        true,
      );
    });
    test("is complete as it is when an update is taken back that the node may never have seen", () => {
      const begun = change(shows(running, { image: "nginx:1" }), "nginx:1", "nginx:2");
      expect(isUpdateCompleted(begun, gates)).toBe(false);
      expect(isUpdateCompleted(change(begun, "nginx:2", "nginx:1"), gates)).toBe(true);
    });
  });
});

describe("completion by what the node agent reports", () => {
  const container: Container = { name: "c1", image: "nginx:2" };
  const report = (hashes: object, containerID = "containerd://x") => meta([{ name: "c1", containerID, restartCount: 0, hashes }]);
  const target = (annotations: Record<string, string>, more: object = recorded) =>
    updating(more, { annotations, statuses: [{ containerID: "containerd://x" }] });
  test.each<[string, Pod, boolean]>([
    ["32: the hash of name and image", target(report({ plainHash: nameAndImageHash(container) })), true],
    ["32: the hash of the whole container", target(report({ plainHash: wholeContainerHash(container) })), true],
    ["another hash", target(report({ plainHash: 1 })), false],
    ["a report about the container before", target(report({ plainHash: nameAndImageHash(container) }, "containerd://y")), false],
    ["a report without this container", target(meta([])), false],
    ["an unreadable report", target({ [annotation.runtimeContainersMeta]: "[" }), false],
  ])("%s", (_, subject, completed) => {
    expect(isUpdateCompleted(subject, settings.gates)).toBe(completed);
  });

  test("8: metadata in the environment needs the new hash", () => {
    const reads = {
      name: "c1",
      image: "nginx:2",
      env: [{ name: "CONFIG", valueFrom: { fieldRef: { fieldPath: "metadata.annotations['app-config']" } } }],
    };
    const of = (value: string | undefined) =>
      updating(
        { updateEnvFromMetadata: true },
        {
          containers: [reads],
          statuses: [{ containerID: "containerd://x" }],
          annotations: {
            "app-config": "v2",
            ...(value === undefined ? {} : report({ plainHash: 1, extractedEnvFromMetadataHash: envHash([{ name: "CONFIG", value }]) })),
          },
        },
      );
    expect([undefined, "v1", "v2"].map((value) => isUpdateCompleted(of(value), settings.gates))).toEqual([false, false, true]);
    expect(updatePending(of("v1"), settings.gates)).toEqual({ code: "WaitingForContainerEnv" });
  });
});

describe("resize", () => {
  const on = settingsWith({ InPlaceWorkloadVerticalScaling: true });
  const target = (reported: object | undefined, status: PodParts["status"] = {}) => {
    const one = updating(
      { updateResources: true },
      {
        containers: [{ name: "c1", image: "nginx:2", resources: { requests: { cpu: "2" } } }],
        statuses: [{ ...(reported ? { resources: reported } : {}) }],
      },
    );
    return { ...one, status: { ...one.status, ...status } };
  };
  test.each([
    ["17: as the spec says", { requests: { cpu: "2000m" } }, true],
    ["not yet", { requests: { cpu: "1" } }, false],
    ["more than the spec says", { requests: { cpu: "2" }, limits: { cpu: "2" } }, false],
    ["12.14: not reported", undefined, false],
  ])("%s", (_, reported, completed) => {
    expect(isUpdateCompleted(target(reported), on.gates)).toBe(completed);
  });
  test("12.21: with the gate off it does not count", () => {
    expect(isUpdateCompleted(target(undefined), settings.gates)).toBe(true);
  });
  test("a pod that stays in service meanwhile says what it waits for, and then nothing", () => {
    const serving = (reported: object): Pod => ({
      ...target(reported),
      status: { ...target(reported).status, conditions: [...inService] },
    });
    expect(planRefresh(serving({ requests: { cpu: "1" } }), on, nowMs)).toEqual({ steps: [], why: { code: "WaitingForResize" } });
    expect(planRefresh(serving({ requests: { cpu: "2" } }), on, nowMs)).toEqual({ steps: [] });
  });
  test("a resize that cannot happen says so", () => {
    expect(updatePending(target(undefined, { resize: "Infeasible" }), on.gates)).toEqual({ code: "ResizeInfeasible" });
    const conditions = [{ type: "PodResizePending", status: "True", reason: "Deferred", message: "Node didn't have enough cpu" } as const];
    expect(updatePending(target(undefined, { conditions }), on.gates)).toEqual({
      code: "ResizeDeferred",
      figures: { message: "Node didn't have enough cpu" },
    });
  });
});

describe("grace period", () => {
  const grace = JSON.stringify({ revision: "web-2", containerImages: { c1: "nginx:3" }, graceSeconds: 30 });
  const waiting = (more: PodParts = {}) =>
    updating(
      { updateImages: true },
      { ...more, annotations: { [annotation.inPlaceUpdateGrace]: grace, ...more.annotations }, statuses: [{}] },
    );

  test("10: not before its end, and the rest is rounded up", () => {
    expect(planRefresh(waiting(), settings, nowMs + 10_500)).toMatchObject({ steps: [], delayMs: 20_000 });
    expect(isInGracePeriod(waiting())).toBe(true);
  });
  test("10: then the change is made, with the time at which the update started", () => {
    const { steps } = planRefresh(waiting(), settings, nowMs + 30_000);
    const { pod: after, writes } = run(waiting(), steps);
    expect(writes).toEqual(["inplace-update-grace-over"]);
    expect(after.spec.containers[0]?.image).toBe("nginx:3");
    expect(after.metadata.annotations).not.toHaveProperty(annotation.inPlaceUpdateGrace);
    expect(JSON.parse(stateText(after) ?? "")).toEqual({
      revision: "web-2",
      updateTimestamp: now,
      lastContainerStatuses: { c1: { imageID: "sha256:one" } },
      updateImages: true,
      containerBatchesRecord: [{ timestamp: "2024-05-01T10:00:30Z", containers: ["c1"] }],
    });
  });
  test("12: a label edited by hand drops it", () => {
    const moved = waiting({ labels: { [label.controllerRevisionHash]: "web-9" } });
    const { pod: after } = run(moved, planRefresh(moved, settings, nowMs).steps);
    expect(after.metadata.annotations).not.toHaveProperty(annotation.inPlaceUpdateGrace);
    expect(after.spec).toEqual(moved.spec);
    expect(stateText(after)).toBe(stateText(moved));
  });
  test("the bare hash is the same revision", () => {
    expect(planRefresh(waiting({ labels: { [label.controllerRevisionHash]: "2" } }), settings, nowMs).delayMs).toBe(30_000);
  });
  test("12.18: the annotation of old releases", () => {
    const legacy = pod({
      labels: { [label.controllerRevisionHash]: "web-2" },
      annotations: { "inplace-update-grace": grace, "inplace-update-state": state() },
    });
    const { pod: after } = run(legacy, planRefresh(legacy, settings, nowMs + 30_000).steps);
    expect(Object.keys(after.metadata.annotations ?? {})).toEqual([annotation.inPlaceUpdateState]);
    expect(after.spec.containers[0]?.image).toBe("nginx:3");
  });
  test("what cannot be read is told, and an unreadable state does not stop it", () => {
    expect(planRefresh(waiting({ annotations: { [annotation.inPlaceUpdateGrace]: "{" } }), settings, nowMs).problem).toContain("web-1");
    const stateless = pod({ labels: { [label.controllerRevisionHash]: "web-2" }, annotations: { [annotation.inPlaceUpdateGrace]: grace } });
    expect(planRefresh(stateless, settings, nowMs).problem).toContain("no state annotation");
    const broken = waiting({ annotations: { [annotation.inPlaceUpdateState]: "{" } });
    expect(run(broken, planRefresh(broken, settings, nowMs).steps).pod.spec.containers[0]?.image).toBe("nginx:3");
  });
});

describe("batches", () => {
  const barrier = (priority: number) => [
    { name: "KRUISE_CONTAINER_BARRIER", valueFrom: { configMapKeyRef: { name: "b", key: `p_${priority}` } } },
  ];
  const c = (name: string, priority?: number): Container => ({
    name,
    image: "old",
    ...(priority === undefined ? {} : { env: barrier(priority) }),
  });
  const status = (name: string, more: Partial<ContainerStatus> = {}): Partial<ContainerStatus> => ({
    name,
    image: "old",
    imageID: `id-${name}`,
    ...more,
  });
  const next = (containers: Container[], changes: object, statuses = containers.map(({ name }) => status(name))) =>
    updating(changes, { containers, statuses });
  const go = (target: Pod) => run(target, planRefresh(target, settings, nowMs).steps).pod;
  const stateOf = (target: Pod) => JSON.parse(stateText(target) ?? "") as Record<string, unknown>;

  test("13: the higher priority first, the lower when that is ready", () => {
    const first = go(next([c("c1", 10), c("c2", 0)], { nextContainerImages: { c1: "new", c2: "new" } }));
    expect(first.spec.containers.map(({ image }) => image)).toEqual(["new", "old"]);
    expect(stateOf(first)).toMatchObject({
      lastContainerStatuses: { c1: { imageID: "id-c1" } },
      nextContainerImages: { c2: "new" },
      preCheckBeforeNext: { containersRequiredReady: ["c1"] },
    });
    expect(planRefresh(first, settings, nowMs).steps).toEqual([]);
    const pulled = {
      ...first,
      status: { ...first.status, containerStatuses: [status("c1", { imageID: "new", ready: false }), status("c2")] },
    } as Pod;
    expect(planRefresh(pulled, settings, nowMs).why).toEqual({ code: "WaitingForContainerReady", figures: { container: "c1" } });
    const ready = {
      ...first,
      status: { ...first.status, containerStatuses: [status("c1", { imageID: "new", ready: true }), status("c2", { ready: true })] },
    } as Pod;
    const second = go(ready);
    expect(second.spec.containers.map(({ image }) => image)).toEqual(["new", "new"]);
    expect(stateOf(second)).not.toHaveProperty("preCheckBeforeNext");
    expect(stateOf(second)["containerBatchesRecord"]).toHaveLength(2);
  });

  test("14: readers of one label change together", () => {
    const ref = { labels: { L: "2" } };
    const containers = [c("c1", 20), c("c2", 10), c("c3", 0), c("c4", 0)];
    let target = next(containers, {
      nextContainerImages: { c1: "new", c2: "new", c4: "new" },
      nextContainerRefMetadata: { c2: ref, c3: ref },
    });
    const batches: unknown[] = [];
    for (let round = 0; round < 3; round += 1) {
      target = go(target);
      batches.push((stateOf(target)["containerBatchesRecord"] as { containers: unknown }[]).at(-1)?.containers);
      const statuses = target.spec.containers.map(
        ({ name, image }) => status(name, { imageID: `${name}-${image}`, ready: true }) as ContainerStatus,
      );
      target = { ...target, status: { ...target.status, containerStatuses: statuses } };
    }
    expect(batches).toEqual([["c1"], ["c2", "c3"], ["c4"]]);
    expect(target.metadata.labels?.["L"]).toBe("2");
  });

  test("15: without a priority in the first batch", () => {
    const first = go(next([c("c1"), c("c2", 5)], { nextContainerImages: { c1: "new", c2: "new" } }));
    expect(first.spec.containers.map(({ image }) => image)).toEqual(["new", "new"]);
  });

  test("a batch of resources alone is applied too", () => {
    const on = settingsWith({ InPlaceWorkloadVerticalScaling: true });
    const target = next([c("c1")], { nextContainerResources: { c1: { requests: { cpu: "2" } } } });
    const { steps } = planRefresh(target, on, nowMs);
    expect(run(target, steps).writes).toEqual(["resize", "inplace-update-batch"]);
  });

  test("a pod whose state changed meanwhile is left alone", () => {
    const target = next([c("c1")], { nextContainerImages: { c1: "new" } });
    const { steps } = planRefresh(target, settings, nowMs);
    const other = next([c("c1")], { nextContainerImages: { c1: "newer" } });
    expect(run(other, steps).writes).toEqual([]);
  });
});
