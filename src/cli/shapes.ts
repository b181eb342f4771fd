/** Where kinds keep what commands change: pod templates, and the switch that pauses them. */
import { type Fields, fieldsOf, isFields, itemsOf } from "../kube/json.ts";
import type { Kind } from "../kube/kind.ts";
import type { Target } from "./objects.ts";

type Path = readonly string[];

export interface Shape {
  /** To a pod template, or to a spec that has containers as one has. */
  readonly template?: Path;
  /** To what has `containers` and `initContainers`. */
  readonly pod?: Path;
  readonly paused?: Path;
}

const template: Shape = { template: ["spec", "template"], pod: ["spec", "template", "spec"] };
const rollingPause: Shape = { ...template, paused: ["spec", "updateStrategy", "rollingUpdate", "paused"] };

/** By resource; after a colon the versions that have another. */
const shapes: Readonly<Record<string, Shape>> = {
  "Pod.": { pod: ["spec"] },
  "ReplicationController.": template,
  "Deployment.apps": { ...template, paused: ["spec", "paused"] },
  "DaemonSet.apps": template,
  "StatefulSet.apps": template,
  "ReplicaSet.apps": template,
  "Job.batch": template,
  "CronJob.batch": {
    template: ["spec", "jobTemplate", "spec", "template"],
    pod: ["spec", "jobTemplate", "spec", "template", "spec"],
  },
  "CloneSet.apps.kruise.io": rollingPause,
  "CloneSet.apps.kruise.io:v1alpha1": { ...template, paused: ["spec", "updateStrategy", "paused"] },
  "StatefulSet.apps.kruise.io": rollingPause,
  "DaemonSet.apps.kruise.io": rollingPause,
  "BroadcastJob.apps.kruise.io": { ...template, paused: ["spec", "paused"] },
  "SidecarSet.apps.kruise.io": { pod: ["spec"], paused: ["spec", "updateStrategy", "paused"] },
};

export function shapeOf({ kind, group, version }: Kind): Shape | undefined {
  const name = `${kind}.${group}`;
  return shapes[`${name}:${version}`] ?? shapes[name];
}

/** A kind of Kubernetes itself, which kubectl looks after. */
export function isBuiltIn({ group }: Kind): boolean {
  return group === "" || !group.includes(".");
}

export function at(object: object, path: Path): unknown {
  return path.reduce<unknown>((value, key) => fieldsOf(value)[key], object);
}

export interface ContainerAt {
  readonly path: readonly (string | number)[];
  readonly container: Fields;
  readonly isInit: boolean;
}

/** Containers and init containers with where they are; none for kinds without. */
export function containersIn({ of, object }: Target): readonly ContainerAt[] {
  const pod = shapeOf(of)?.pod;
  if (pod === undefined) return [];
  const spec = fieldsOf(at(object, pod));
  return (["initContainers", "containers"] as const).flatMap((field) =>
    itemsOf(spec[field]).flatMap((container, index) =>
      isFields(container) ? [{ path: [...pod, field, index], container, isInit: field === "initContainers" }] : [],
    ),
  );
}
