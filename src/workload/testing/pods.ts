/** Pods and revisions for tests, and steps carried out on a pod as the API server would. */
import { type GateName, gatesWith } from "../../api/gates.ts";
import type { Step, Write } from "../../engine/plan.ts";
import { applyMergePatch } from "../../kube/patch/merge.ts";
import { applyStrategicPatch } from "../../kube/patch/strategic.ts";
import type { Condition, Container, ContainerStatus, ControllerRevision, KubeObject, Pod, PodTemplateSpec } from "../../kube/types.ts";

export const nowMs = Date.UTC(2024, 4, 1, 10, 0, 0);
export const now = "2024-05-01T10:00:00Z";

export const settingsWith = (gates: Partial<Record<GateName, boolean>> = {}, resizeSubresource = true) => ({
  gates: gatesWith(gates),
  resizeSubresource,
});

type Loose<T> = { [K in keyof T]?: T[K] extends object | undefined ? Partial<T[K]> : T[K] };
export interface PodParts {
  readonly name?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly finalizers?: string[];
  readonly containers?: readonly Loose<Container>[];
  readonly statuses?: readonly Partial<ContainerStatus>[];
  readonly conditions?: readonly Condition[];
  readonly gates?: readonly string[];
  readonly spec?: Partial<Pod["spec"]>;
  readonly status?: Partial<NonNullable<Pod["status"]>>;
  readonly metadata?: Partial<Pod["metadata"]>;
}

export function pod(parts: PodParts = {}): Pod {
  const { name = "web-1", labels, annotations, finalizers, containers = [{ name: "c1", image: "nginx:1" }] } = parts;
  return deepFreeze({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      uid: `uid-${name}`,
      resourceVersion: "100",
      creationTimestamp: "2024-05-01T09:00:00Z",
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(finalizers ? { finalizers } : {}),
      ...parts.metadata,
    },
    spec: {
      nodeName: "node-1",
      containers: containers as Container[],
      readinessGates: (parts.gates ?? ["InPlaceUpdateReady"]).map((conditionType) => ({ conditionType })),
      ...parts.spec,
    },
    status: {
      phase: "Running",
      conditions: [...(parts.conditions ?? [])],
      containerStatuses: (parts.statuses ?? []).map((status) => ({
        name: "c1",
        ready: true,
        restartCount: 0,
        image: "nginx:1",
        imageID: "sha256:one",
        ...status,
      })),
      ...parts.status,
    },
  } satisfies Pod);
}

export const inService: readonly Condition[] = [
  { type: "Ready", status: "True", lastTransitionTime: "2024-05-01T09:01:00Z" },
  { type: "ContainersReady", status: "True" },
  { type: "InPlaceUpdateReady", status: "True" },
];

export function template(parts: { metadata?: PodTemplateSpec["metadata"]; spec?: Partial<PodTemplateSpec["spec"]> } = {}): PodTemplateSpec {
  return {
    metadata: { labels: { app: "web" }, ...parts.metadata },
    spec: { containers: [{ name: "c1", image: "nginx:1" }], ...parts.spec },
  };
}

export function revision(
  name: string,
  of: PodTemplateSpec,
  parts: { number?: number; annotations?: Record<string, string> } = {},
): ControllerRevision {
  return deepFreeze({
    metadata: {
      name,
      namespace: "default",
      uid: `uid-${name}`,
      resourceVersion: "1",
      creationTimestamp: "2024-05-01T08:00:00Z",
      ...(parts.annotations ? { annotations: parts.annotations } : {}),
    },
    data: { spec: { template: { ...of, $patch: "replace" } } },
    revision: parts.number ?? 1,
  });
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const entry of Object.values(value)) deepFreeze(entry);
  }
  return value;
}

export interface Done {
  readonly pod: Pod;
  /** Names of the steps that wrote something, in order. */
  readonly writes: readonly string[];
  readonly bodies: readonly unknown[];
  /** What a step refused with; nothing is written after it. */
  readonly refused?: string;
}

/** Carries steps out one after the other, each on what the one before it made of the pod. */
export function run(start: Pod, steps: readonly Step<Pod>[], between: (pod: Pod, step: string) => Pod = (same) => same): Done {
  let current = start;
  const writes: string[] = [];
  const bodies: unknown[] = [];
  for (const step of steps) {
    const fresh = deepFreeze(between(current, step.name));
    if ("conditions" in step) {
      if (step.ofVersion !== undefined && step.ofVersion !== fresh.metadata.resourceVersion)
        return { pod: fresh, writes, bodies, refused: "conflict" };
      const changed = step.conditions(fresh) ?? [];
      current = changed.length > 0 ? bump(withConditions(fresh, changed)) : fresh;
      if (changed.length > 0) {
        writes.push(step.name);
        bodies.push(changed);
      }
      continue;
    }
    const write = step.write(fresh);
    current = fresh;
    if (typeof write === "string") return { pod: fresh, writes, bodies, refused: write };
    if (write === undefined) continue;
    writes.push(step.name);
    bodies.push("patch" in write ? write.body : write.put);
    current = bump(written(fresh, write));
  }
  return { pod: deepFreeze(current), writes, bodies };
}

function withConditions(target: Pod, changed: readonly Condition[]): Pod {
  const types = new Set(changed.map(({ type }) => type));
  const kept = (target.status?.conditions ?? []).filter(({ type }) => !types.has(type));
  return { ...target, status: { ...target.status, conditions: [...kept, ...changed] } };
}

function written(target: Pod, write: Write<Pod>): Pod {
  if ("put" in write) return write.put;
  if (write.patch === "merge") return applyMergePatch(target, write.body) as Pod;
  const patched = applyStrategicPatch("Pod", target, write.body);
  if (!patched.ok) throw new Error(patched.problem);
  return patched.value;
}

function bump<T extends KubeObject>(object: T): T {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(Number(object.metadata.resourceVersion) + 1) } };
}
