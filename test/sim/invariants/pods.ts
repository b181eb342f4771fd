/** What users see of a pod, told apart from how any controller counts. */
import { conditionType, label } from "../../../src/api/names.ts";
import type { KubeObject, Pod } from "../../../src/kube/types.ts";

export const conditionOf = (pod: Pod, type: string) => pod.status?.conditions?.find((condition) => condition.type === type);

/** Serving users, and nobody has begun to take it away. */
export function isServing(pod: Pod | undefined): boolean {
  return (
    pod !== undefined &&
    isActive(pod) &&
    pod.status?.phase === "Running" &&
    conditionOf(pod, "Ready")?.status === "True" &&
    conditionOf(pod, conditionType.inPlaceUpdateReady)?.status !== "False"
  );
}

export function isActive(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed";
}

export function controllerUid(object: KubeObject | undefined): string | undefined {
  return object?.metadata.ownerReferences?.find((reference) => reference.controller === true)?.uid;
}

export const revisionOf = (pod: KubeObject): string => pod.metadata.labels?.[label.controllerRevisionHash] ?? "";
export const instanceOf = (object: KubeObject): string => object.metadata.labels?.[label.cloneSetInstanceId] ?? "";
export const isMarked = (pod: KubeObject): boolean => pod.metadata.labels?.[label.specifiedDelete] !== undefined;

/** A count or a share as written, in pods. */
export function countOf(value: unknown, of: number, round: "up" | "down", absent: number): number {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return absent;
  const exact = (Number(value.replace("%", "")) / 100) * of;
  return round === "up" ? Math.ceil(exact) : Math.floor(exact);
}
