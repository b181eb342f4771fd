import { describe, expect, test } from "bun:test";
import { annotation, label } from "../../api/names.ts";
import type { Container, PodTemplateSpec } from "../../kube/types.ts";
import { stateMetadata } from "../lifecycle/index.ts";
import { cloneSetRevisionLabels } from "../revision/index.ts";
import { inService, now, nowMs, pod, revision, run, settingsWith, template } from "../testing/pods.ts";
import { planUpdate, stateText, type UpdateOptions } from "./index.ts";

const resizing = { InPlaceWorkloadVerticalScaling: true };
const options: UpdateOptions = {
  settings: settingsWith(),
  revisionLabels: cloneSetRevisionLabels("web-2", false),
  alsoWrite: () => stateMetadata("Updating", nowMs),
};
const v1 = template();
const v2 = template({ spec: { containers: [{ name: "c1", image: "nginx:2" }] } });
const running = pod({
  labels: { app: "web", [label.controllerRevisionHash]: "web-1" },
  conditions: inService,
  statuses: [{ name: "c1", image: "nginx:1", imageID: "sha256:one", containerID: "containerd://one" }],
});

function update(target = running, after = v2, before = v1, more: Partial<UpdateOptions> = {}, between?: Parameters<typeof run>[2]) {
  const plan = planUpdate(target, revision("web-1", before), revision("web-2", after), { ...options, ...more }, nowMs);
  if (!plan.inPlace) throw new Error(plan.why);
  return { plan, ...run(target, plan.steps, between) };
}

describe("image", () => {
  test("1: two writes, and the state remembers what ran", () => {
    const { pod: after, writes, bodies } = update();
    expect(writes).toEqual(["not-ready", "inplace-update"]);
    expect(after.metadata.labels).toEqual({
      app: "web",
      "controller-revision-hash": "web-2",
      "pod-template-hash": "2",
      "lifecycle.apps.kruise.io/state": "Updating",
    });
    expect(after.spec.containers[0]?.image).toBe("nginx:2");
    expect(stateText(after)).toBe(
      `{"revision":"web-2","updateTimestamp":"${now}","lastContainerStatuses":{"c1":{"imageID":"sha256:one","containerID":"containerd://one"}},"updateImages":true,"containerBatchesRecord":[{"timestamp":"${now}","containers":["c1"]}]}`,
    );
    expect(Object.keys((bodies[1] as { spec: object }).spec)).toEqual(["containers"]);
  });

  test("2: out of service before the image changes", () => {
    const { bodies } = update();
    expect(bodies[0]).toEqual([
      { type: "InPlaceUpdateReady", status: "False", reason: "StartInPlaceUpdate", lastTransitionTime: now },
      {
        type: "Ready",
        status: "False",
        reason: "ReadinessGatesNotReady",
        message: 'the status of pod readiness gate "InPlaceUpdateReady" is not "True", but False',
        lastTransitionTime: now,
      },
    ]);
  });

  test("34: a pod that turns out to be in service is refused, not changed under its traffic", () => {
    const stale = pod({ labels: running.metadata.labels, conditions: [{ type: "InPlaceUpdateReady", status: "False" }] });
    const { writes, refused } = update(stale, v2, v1, {}, (current, step) =>
      step === "inplace-update" ? { ...current, status: { ...current.status, conditions: [...inService] } } : current,
    );
    expect(writes).toEqual(["not-ready"]);
    expect(refused).toContain("web-1");
  });

  test("a pod that somebody moved meanwhile is left alone", () => {
    const { writes } = update(running, v2, v1, {}, (current, step) =>
      step === "inplace-update"
        ? { ...current, metadata: { ...current.metadata, labels: { ...current.metadata.labels, [label.controllerRevisionHash]: "web-2" } } }
        : current,
    );
    expect(writes).toEqual(["not-ready"]);
  });

  test("a pod without the readiness gate is changed at once", () => {
    const bare = pod({ labels: { [label.controllerRevisionHash]: "web-1" }, gates: [], statuses: [{}] });
    expect(update(bare).writes).toEqual(["inplace-update"]);
  });

  test("the short label style", () => {
    const { pod: after } = update(running, v2, v1, { revisionLabels: cloneSetRevisionLabels("web-2", true) });
    expect(after.metadata.labels?.[label.controllerRevisionHash]).toBe("2");
  });

  test("annotations of old releases go", () => {
    const old = pod({
      labels: running.metadata.labels,
      annotations: { "inplace-update-state": "{}", "inplace-update-grace": "" },
      conditions: inService,
    });
    expect(Object.keys(update(old).pod.metadata.annotations ?? {}).sort()).toEqual([
      "apps.kruise.io/inplace-update-state",
      "lifecycle.apps.kruise.io/timestamp",
    ]);
  });
});

describe("metadata", () => {
  test("6: a label is added, nothing restarts", () => {
    const { pod: after } = update(running, template({ metadata: { labels: { app: "web", k1: "v1" } } }));
    expect(after.metadata.labels?.["k1"]).toBe("v1");
    expect(stateText(after)).toBe(
      `{"revision":"web-2","updateTimestamp":"${now}","lastContainerStatuses":null,"containerBatchesRecord":[{"timestamp":"${now}","containers":[]}]}`,
    );
  });

  test("7: labels and finalizers that the template drops are dropped, others stay", () => {
    const before = template({ metadata: { labels: { app: "web", k1: "v1" }, finalizers: ["fz/1", "fz/2"] } });
    const after = template({ metadata: { labels: { app: "web" }, finalizers: ["fz/2"] } });
    const target = pod({
      labels: { app: "web", k1: "v1", mine: "x", [label.controllerRevisionHash]: "web-1" },
      finalizers: ["fz/1", "fz/2", "mine/1"],
      conditions: inService,
    });
    const result = update(target, after, before).pod;
    expect(result.metadata.finalizers).toEqual(["fz/2", "mine/1"]);
    expect(result.metadata.labels).toMatchObject({ app: "web", mine: "x" });
    expect(result.metadata.labels).not.toHaveProperty("k1");
  });

  test("a template cannot overwrite the revision label", () => {
    const after = template({ metadata: { labels: { app: "web", [label.controllerRevisionHash]: "odd" } } });
    expect(update(running, after).pod.metadata.labels?.[label.controllerRevisionHash]).toBe("web-2");
  });
});

describe("grace period", () => {
  test("10: the change waits in an annotation, the pod leaves service", () => {
    const { pod: after, plan, writes } = update(running, v2, v1, { gracePeriodSeconds: 30 });
    expect(plan.delayMs).toBe(30_000);
    expect(writes).toEqual(["not-ready", "inplace-update"]);
    expect(after.metadata.annotations?.[annotation.inPlaceUpdateGrace]).toBe(
      '{"revision":"web-2","containerImages":{"c1":"nginx:2"},"graceSeconds":30}',
    );
    expect(stateText(after)).toBe(`{"revision":"web-2","updateTimestamp":"${now}","lastContainerStatuses":null,"updateImages":true}`);
    expect(after.metadata.labels?.[label.controllerRevisionHash]).toBe("web-2");
    expect(after.spec.containers[0]?.image).toBe("nginx:1");
  });

  test("exact bytes with metadata", () => {
    const readsIt = (version: string): PodTemplateSpec =>
      template({
        metadata: { labels: { app: "web", config: version } },
        spec: {
          containers: [
            {
              name: "c1",
              image: `nginx:${version}`,
              env: [{ name: "C", valueFrom: { fieldRef: { fieldPath: "metadata.labels['config']" } } }],
            },
          ],
        },
      });
    const { pod: after } = update(running, readsIt("2"), readsIt("1"), { gracePeriodSeconds: 10 });
    expect(after.metadata.annotations?.[annotation.inPlaceUpdateGrace]).toBe(
      '{"revision":"web-2","containerImages":{"c1":"nginx:2"},"containerRefMetadata":{"c1":{"creationTimestamp":null,"labels":{"config":"2"}}},"metaDataPatch":"e30=","updateEnvFromMetadata":true,"graceSeconds":10}',
    );
  });
});

describe("resize", () => {
  const cpu = (request: string, more: Partial<Container> = {}): PodTemplateSpec =>
    template({ spec: { containers: [{ name: "c1", image: "nginx:1", resources: { requests: { cpu: request } }, ...more }] } });
  const target = (more: Partial<Container> = {}) =>
    pod({
      labels: { [label.controllerRevisionHash]: "web-1" },
      conditions: inService,
      containers: [{ name: "c1", image: "nginx:1", resources: { requests: { cpu: "1" }, limits: { memory: "1Gi" } }, ...more }],
    });
  const settings = settingsWith(resizing);

  test("17: through the subresource, in service, only what differs", () => {
    const { writes, bodies, plan } = update(target(), cpu("2"), cpu("1"), { settings });
    expect(writes).toEqual(["resize", "inplace-update"]);
    expect(plan.steps[0]).toMatchObject({ subresource: "resize", precondition: "version" });
    expect(bodies[0]).toEqual({ spec: { containers: [{ name: "c1", resources: { requests: { cpu: "2" } } }] } });
    expect(bodies[1]).not.toHaveProperty("spec");
  });

  test.each([
    ["18: cpu restarts the container, cpu changes", [{ resourceName: "cpu", restartPolicy: "RestartContainer" }], true],
    ["18: memory restarts the container, cpu changes", [{ resourceName: "memory", restartPolicy: "RestartContainer" }], false],
    ["cpu restarts nothing", [{ resourceName: "cpu", restartPolicy: "NotRequired" }], false],
  ])("%s", (_, resizePolicy, leaves) => {
    const { writes } = update(target({ resizePolicy }), cpu("2", { resizePolicy }), cpu("1", { resizePolicy }), { settings });
    expect(writes.includes("not-ready")).toBe(leaves);
  });

  test("21: in the pod's own write before Kubernetes 1.32", () => {
    const { writes, bodies } = update(target(), cpu("2"), cpu("1"), { settings: settingsWith(resizing, false) });
    expect(writes).toEqual(["inplace-update"]);
    expect(bodies[0]).toMatchObject({ spec: { containers: [{ name: "c1", resources: { requests: { cpu: "2" } } }] } });
  });

  test("a pod that has the quantity already is not resized again", () => {
    const already = target({ resources: { requests: { cpu: "2000m" } } });
    expect(update(already, cpu("2"), cpu("1"), { settings }).writes).toEqual(["inplace-update"]);
  });

  test("12.16: with an image it leaves service", () => {
    const { writes } = update(target(), cpu("2", { image: "nginx:2" }), cpu("1"), { settings });
    expect(writes).toEqual(["not-ready", "resize", "inplace-update"]);
  });
});

test("steps computed again from another version of the pod: nothing of the first computation is left", () => {
  const plan = planUpdate(running, revision("web-1", v1), revision("web-2", v2), options, nowMs);
  if (!plan.inPlace) throw new Error(plan.why);
  const first = run(running, plan.steps);
  const other = pod({ labels: running.metadata.labels, conditions: inService, statuses: [{ imageID: "sha256:other" }] });
  expect(stateText(run(other, plan.steps).pod)).toContain("sha256:other");
  expect(run(running, plan.steps)).toEqual(first);
});
