/** Which pods are reported on, and which of their changes ask for a new report. */
import { annotation } from "../../api/names.ts";
import { groupOf } from "../../kube/kind.ts";
import { isTerminating } from "../../kube/pod.ts";
import type { Container, Pod } from "../../kube/types.ts";
import { expectedEnvHash } from "../../workload/container-env.ts";
import { reportedMeta } from "./annotation.ts";

const group = "apps.kruise.io";

/** Pods of our workloads, and those that a SidecarSet has put containers into. */
export function isReported(pod: Readonly<Pod>): boolean {
  if (pod.metadata.annotations?.[annotation.sidecarSetHash] !== undefined) return true;
  return (pod.metadata.ownerReferences ?? []).some((owner) => owner.controller === true && groupOf(owner.apiVersion) === group);
}

/** A container of the pod's spec, init containers included. */
export function containerSpec(pod: Readonly<Pod>, name: string): Container | undefined {
  const isNamed = (container: Container) => container.name === name;
  return pod.spec.containers.find(isNamed) ?? pod.spec.initContainers?.find(isNamed);
}

/**
 * Whether the report is not what the pod shows now. Statuses, report and spec are matched by name: their orders differ.
 * @param before absent: the pod is new to us
 */
export function needsReport(before: Readonly<Pod> | undefined, after: Readonly<Pod>, withEnv: boolean): boolean {
  if (before !== undefined && before.spec.containers.length !== after.spec.containers.length) return true;
  const statuses = after.status?.containerStatuses ?? [];
  const reported = reportedMeta(after);
  return statuses.some(({ name, containerID }) => {
    if (!containerID) return false;
    if (reported === undefined || reported.length !== statuses.length) return true;
    const meta = reported.find((candidate) => candidate.name === name);
    if (meta?.containerID !== containerID) return true;
    return withEnv && isEnvStale(before, after, name, meta.envHash);
  });
}

function isEnvStale(before: Readonly<Pod> | undefined, after: Readonly<Pod>, name: string, envHash: number): boolean {
  const container = containerSpec(after, name);
  if (container === undefined) return false;
  const expected = expectedEnvHash(container, after);
  return expected !== envHash || (before !== undefined && expectedEnvHash(container, before) !== expected);
}

/**
 * Whether a change of a pod asks for work. A daemon that starts sees all pods as new: those without a report are left until something
 * happens to them, or a hundred pods would be read at once.
 */
export function wakes(before: Readonly<Pod> | undefined, after: Readonly<Pod>, withEnv: boolean): boolean {
  if (!isReported(after) || isTerminating(after) || !after.status?.containerStatuses?.length) return false;
  if (before === undefined && reportedMeta(after) === undefined) return false;
  return needsReport(before, after, withEnv);
}
