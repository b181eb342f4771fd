/** What the workload controllers share: whose pods are whose, and pods from templates. */
import { deepEqual, type Fields, fieldsOf, withFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { isAvailable, isReady, isTerminating } from "../../kube/pod.ts";
import { compileSelector } from "../../kube/selector.ts";
import type { LabelSelector, OwnerReference, Pod } from "../../kube/types.ts";
import type { Change, Stored } from "../storage/store.ts";
import type { Inside, Outcome } from "./inside.ts";

export const specOf = (object: Stored): Fields => fieldsOf(object["spec"]);
export const statusOf = (object: Stored): Fields => fieldsOf(object["status"]);
export const keyOf = ({ metadata }: Stored): Key => ({ namespace: metadata.namespace ?? "", name: metadata.name });
export const asPod = (object: Stored): Pod => object as unknown as Pod;
export const isFinishedPod = (pod: Stored): boolean => ["Succeeded", "Failed"].includes(String(statusOf(pod)["phase"]));
export const numberOf = (value: unknown, otherwise: number): number => (typeof value === "number" ? value : otherwise);

export function ownerReference(owner: Stored): OwnerReference {
  const { apiVersion = "", kind = "", metadata } = owner;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true };
}

export function controllerOf(object: Stored): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

/** The objects of a resource that this owner controls. Objects that match its selector and have nobody are taken in, others let go. */
export async function claimed(inside: Inside, resource: string, owner: Stored): Promise<readonly Stored[]> {
  const compiled = compileSelector(specOf(owner)["selector"] as LabelSelector | undefined);
  const matches = (object: Stored) => compiled.ok && compiled.matcher.matches(object.metadata.labels);
  const owned: Stored[] = [];
  for (const object of inside.list(resource, owner.metadata.namespace)) {
    const controller = controllerOf(object);
    if (controller?.uid === owner.metadata.uid) {
      if (matches(object)) owned.push(object);
      else if (owner.metadata.deletionTimestamp === undefined)
        await setOwners(inside, resource, object, (references) => references.filter(({ uid }) => uid !== owner.metadata.uid));
      continue;
    }
    const free =
      controller === undefined && object.metadata.deletionTimestamp === undefined && owner.metadata.deletionTimestamp === undefined;
    if (!free || !matches(object) || isFinishedPod(object)) continue;
    const adopted = await setOwners(inside, resource, object, (references) => [...references, ownerReference(owner)]);
    if (adopted.ok) owned.push(adopted.object);
  }
  return owned;
}

function setOwners(
  inside: Inside,
  resource: string,
  object: Stored,
  change: (references: readonly OwnerReference[]) => OwnerReference[],
): Promise<Outcome> {
  return inside.update(resource, keyOf(object), (current) => {
    const references = change(current.metadata.ownerReferences ?? []);
    return withFields(current, {
      metadata: withFields(current.metadata, { ownerReferences: references.length === 0 ? undefined : references }),
    }) as Stored;
  });
}

/** @param template of the owner @param name exact, or a prefix for a generated one when it ends with "-" */
export function podFrom(owner: Stored, template: unknown, name: string, labels: Fields = {}): Fields {
  const { metadata, spec } = fieldsOf(template);
  const given = fieldsOf(metadata);
  return {
    metadata: {
      ...(name.endsWith("-") ? { generateName: name } : { name }),
      labels: { ...fieldsOf(given["labels"]), ...labels },
      ...(given["annotations"] === undefined ? {} : { annotations: given["annotations"] }),
      ...(given["finalizers"] === undefined ? {} : { finalizers: given["finalizers"] }),
      ownerReferences: [ownerReference(owner)],
    },
    spec: fieldsOf(spec),
  };
}

export interface Tally {
  readonly active: readonly Stored[];
  readonly ready: number;
  readonly available: number;
}

export function tally(pods: readonly Stored[], minReadySeconds: number, nowMs: number): Tally {
  const active = pods.filter((pod) => !isTerminating(asPod(pod)) && !isFinishedPod(pod));
  return {
    active,
    ready: active.filter((pod) => isReady(asPod(pod))).length,
    available: active.filter((pod) => isAvailable(asPod(pod), minReadySeconds, nowMs)).length,
  };
}

/** Writes a status that differs. */
export function writeStatus(inside: Inside, resource: string, object: Stored, status: Fields): Promise<Outcome> {
  if (deepEqual(withoutUndefined(status), statusOf(object))) return Promise.resolve({ ok: true, object });
  return inside.update(resource, keyOf(object), (current) => withFields(current, { status: withoutUndefined(status) }) as Stored, "status");
}

function withoutUndefined(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** A condition as it shall be; its time is that of its last change. */
export function conditionOf(known: unknown, next: { type: string; status: string; reason: string; message: string }, now: string): Fields {
  const before = (Array.isArray(known) ? known : []).map(fieldsOf).find((condition) => condition["type"] === next.type);
  const same = before !== undefined && before["status"] === next.status;
  const unchanged = same && before["reason"] === next.reason && before["message"] === next.message;
  return {
    ...next,
    lastUpdateTime: unchanged ? before["lastUpdateTime"] : now,
    lastTransitionTime: same ? before["lastTransitionTime"] : now,
  };
}

/** The keys of all objects of a resource in the namespace of a change whose selector matches it: for pods that nobody owns yet. */
export function selectedBy(inside: Inside, resource: string): (change: Change) => readonly Key[] {
  return ({ after }) => {
    if (after === undefined || controllerOf(after) !== undefined) return [];
    return inside
      .list(resource, after.metadata.namespace)
      .filter((owner) => {
        const compiled = compileSelector(specOf(owner)["selector"] as LabelSelector | undefined);
        return compiled.ok && compiled.matcher.matches(after.metadata.labels);
      })
      .map(keyOf);
  };
}
