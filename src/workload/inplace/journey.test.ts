/** A pod on its way through a whole update: the parts together, with a node that does what it is told. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { label } from "../../api/names.ts";
import type { Container, ContainerStatus, Pod, PodTemplateSpec } from "../../kube/types.ts";
import { advance, beforeUpdate, type Lifecycle, lifecycleLabel, stateMetadata } from "../lifecycle/index.ts";
import { cloneSetRevisionLabels } from "../revision/index.ts";
import { inService, nowMs, pod, revision, run, settingsWith } from "../testing/pods.ts";
import { isUpdateCompleted, planRefresh, planUpdate, readState, stateText } from "./index.ts";

const settings = settingsWith({ InPlaceWorkloadVerticalScaling: true });

interface Part {
  readonly name: string;
  readonly priority: number | undefined;
  readonly changes: boolean;
  readonly reads: boolean;
  readonly resizes: boolean;
}

const templateOf = (parts: readonly Part[], version: string): PodTemplateSpec => ({
  metadata: { labels: { app: "web", config: version } },
  spec: {
    containers: parts.map(
      ({ name, changes, reads, resizes }): Container => ({
        name,
        image: changes ? `${name}:${version}` : name,
        ...(reads ? { env: [{ name: "CONFIG", valueFrom: { fieldRef: { fieldPath: "metadata.labels['config']" } } }] } : {}),
        resources: { requests: { cpu: resizes ? version.slice(1) : "1" } },
      }),
    ),
  },
});

/** As the webhook makes it: the launch order is in the pod, never in the template. */
function podOf(parts: readonly Part[]): Pod {
  const template = templateOf(parts, "v1");
  const containers = template.spec.containers.map((container, index) => {
    const priority = parts[index]?.priority;
    const barrier = { name: "KRUISE_CONTAINER_BARRIER", valueFrom: { configMapKeyRef: { name: "b", key: `p_${priority}` } } };
    return priority === undefined ? container : { ...container, env: [...(container.env ?? []), barrier] };
  });
  return node(
    pod({
      labels: { app: "web", config: "v1", [label.controllerRevisionHash]: "web-1", [label.lifecycleState]: "Normal" },
      containers,
      conditions: inService,
    }),
  );
}

/** Every container runs what the pod says, and the agent has reported its environment. */
function node(target: Pod): Pod {
  const statuses = target.spec.containers.map(
    ({ name, image = "", resources }): ContainerStatus => ({
      name,
      ready: true,
      restartCount: 0,
      image,
      imageID: `id-of-${image}`,
      containerID: `containerd://${name}-${image}`,
      resources: { requests: { ...resources?.requests } },
    }),
  );
  return { ...target, status: { ...target.status, containerStatuses: statuses } };
}

interface Journey {
  readonly pod: Pod;
  readonly writes: readonly string[];
}

const roundsMax = 20;

function travel(parts: readonly Part[], lifecycle: Lifecycle | undefined, graceSeconds: number): Journey {
  const off = settingsWith({ InPlaceWorkloadVerticalScaling: true, InPlaceUpdateEnvFromMetadata: false });
  const start = podOf(parts);
  expect(beforeUpdate(start, lifecycle)).toEqual({ do: "start" });
  const options = {
    settings: off,
    gracePeriodSeconds: graceSeconds,
    revisionLabels: cloneSetRevisionLabels("web-2", false),
    alsoWrite: () => stateMetadata("Updating", nowMs),
  };
  const plan = planUpdate(start, revision("web-1", templateOf(parts, "v1")), revision("web-2", templateOf(parts, "v2")), options, nowMs);
  if (!plan.inPlace) throw new Error(plan.why);
  const first = run(start, plan.steps);
  const writes = [...first.writes];
  let current = first.pod;
  for (let round = 0; round < roundsMax; round += 1) {
    current = node(current);
    const refresh = planRefresh(current, off, nowMs + (graceSeconds + round) * 1000);
    const facts = { lifecycle, atTarget: true, updateCompleted: isUpdateCompleted(current, off.gates), normalNeedsNode: true };
    const done = run(current, [...refresh.steps, ...(advance(current, facts, nowMs)?.steps ?? [])]);
    if (done.writes.length === 0) return { pod: current, writes };
    writes.push(...done.writes);
    current = done.pod;
  }
  throw new Error("it does not end");
}

const part = (more: Partial<Part> = {}): Part => ({
  name: "c1",
  priority: undefined,
  changes: true,
  reads: false,
  resizes: false,
  ...more,
});

test("an image update takes four writes", () => {
  expect(travel([part()], undefined, 0).writes).toEqual(["not-ready", "inplace-update", "ready", "lifecycle"]);
});

test("26: with another hook it passes through Updated", () => {
  expect(travel([part()], { preDelete: {} }, 0).writes).toEqual(["not-ready", "inplace-update", "ready", "lifecycle", "lifecycle"]);
});

test("10: a grace period takes one more", () => {
  expect(travel([part()], undefined, 30).writes).toEqual([
    "not-ready",
    "inplace-update",
    "inplace-update-grace-over",
    "ready",
    "lifecycle",
  ]);
});

const anyParts = fc
  .array(
    fc.record({
      priority: fc.option(fc.integer({ min: -2, max: 2 }), { nil: undefined }),
      changes: fc.boolean(),
      reads: fc.boolean(),
      resizes: fc.boolean(),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((parts) => parts.map((one, index): Part => ({ ...one, name: `c${index}` })));

test("whatever changes, in whatever order: it ends, everything has arrived, higher priorities never after lower ones", () =>
  fc.assert(
    fc.property(anyParts, fc.constantFrom(0, 30), (parts, graceSeconds) => {
      const { pod: after } = travel(parts, undefined, graceSeconds);
      const wanted = templateOf(parts, "v2");
      expect(after.spec.containers.map(({ image, resources }) => ({ image, resources }))).toEqual(
        wanted.spec.containers.map(({ image, resources }) => ({ image, resources })),
      );
      expect(after.metadata.labels?.["config"]).toBe("v2");
      expect(lifecycleLabel(after)).toBe("Normal");
      expect(after.status?.conditions?.find(({ type }) => type === "InPlaceUpdateReady")?.status).toBe("True");
      const batches = readState(stateText(after) ?? "")?.batches ?? [];
      const priorities = new Map(parts.map(({ name, priority }) => [name, priority]));
      const order = batches.flatMap(({ containers }) => containers.map((name) => priorities.get(name)).filter((one) => one !== undefined));
      expect(order).toEqual([...order].sort((a, b) => b - a));
    }),
  ));

test("shared metadata pulls readers forward, and still everything arrives", () =>
  fc.assert(
    fc.property(anyParts, (parts) => {
      const start = podOf(parts);
      const options = { settings, revisionLabels: cloneSetRevisionLabels("web-2", false) };
      const plan = planUpdate(
        start,
        revision("web-1", templateOf(parts, "v1")),
        revision("web-2", templateOf(parts, "v2")),
        options,
        nowMs,
      );
      if (!plan.inPlace) throw new Error(plan.why);
      const after = run(start, plan.steps).pod;
      const readers = parts.filter(({ reads }) => reads).map(({ name }) => name);
      const state = readState(stateText(after) ?? "");
      const first = new Set(state?.batches[0]?.containers);
      // All readers of one label change with the first of them.
      expect(readers.every((name) => first.has(name)) || readers.every((name) => !first.has(name))).toBe(true);
      if (readers.length > 0) expect(after.metadata.labels?.["config"]).toBe(first.has(readers[0] ?? "") ? "v2" : "v1");
    }),
  ));
