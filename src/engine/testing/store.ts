/** The objects of a test's API server: what create, update, patch and delete make of them, as the real one does it. */
import type { Env } from "../../env/env.ts";
import type { DeleteOptions, PatchType, Subresource } from "../../kube/access.ts";
import { deepEqual, fieldsOf } from "../../kube/json.ts";
import { apiVersion, type Key, type Kind, keyText, resourceName } from "../../kube/kind.ts";
import type { Failure, Written } from "../../kube/outcome.ts";
import { applyJsonPatch, type JsonPatchOperation } from "../../kube/patch/json-patch.ts";
import { applyMergePatch } from "../../kube/patch/merge.ts";
import { applyStrategicPatch } from "../../kube/patch/strategic.ts";
import type { PatchTypeName } from "../../kube/patch/strategic-schema.ts";
import { formatTime } from "../../kube/time.ts";
import type { KubeObject, ObjectMeta } from "../../kube/types.ts";

export type Changed = (kind: Kind, before: KubeObject | undefined, after: KubeObject | undefined) => void;

export class Store {
  readonly #env: Pick<Env, "nowMs" | "uuid">;
  readonly #changed: Changed;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #kinds = new Map<string, Kind>();
  /** Keeps an object that is deleted until the test removes it: what a node does with its pods. */
  holdDeleted: (kind: Kind, object: Readonly<KubeObject>) => boolean = () => false;
  #version = 100;

  constructor(env: Pick<Env, "nowMs" | "uuid">, changed: Changed) {
    this.#env = env;
    this.#changed = changed;
  }

  get resourceVersion(): string {
    return String(this.#version);
  }

  get(kind: Kind, key: Key): KubeObject | undefined {
    return this.#of(kind).get(keyText(key));
  }

  list(kind: Kind, namespace?: string): readonly KubeObject[] {
    const objects = [...this.#of(kind).values()];
    return namespace === undefined ? objects : objects.filter((object) => object.metadata.namespace === namespace);
  }

  create(kind: Kind, draft: { readonly metadata: Partial<ObjectMeta> }): Written<KubeObject> {
    const { metadata } = draft;
    const name = metadata.name ?? `${metadata.generateName ?? ""}${this.#env.uuid().slice(0, 5)}`;
    const key: Key = { namespace: metadata.namespace ?? "", name };
    if (name === "") return denied(422, "Invalid", "metadata.name: Required value: name or generateName is required");
    if (this.get(kind, key) !== undefined)
      return { ok: false, why: "alreadyExists", message: `${resourceName(kind)} "${name}" already exists` };
    const object = {
      ...(structuredClone(draft) as object),
      apiVersion: apiVersion(kind),
      kind: kind.kind,
      metadata: {
        ...structuredClone(metadata),
        name,
        uid: this.#env.uuid(),
        resourceVersion: this.#nextVersion(),
        generation: 1,
        creationTimestamp: formatTime(this.#env.nowMs()),
      },
    };
    return { ok: true, object: this.#keep(kind, key, undefined, object) };
  }

  /** `next` in the place of what is there; only the part that `subresource` stands for. */
  replace(kind: Kind, key: Key, next: KubeObject, subresource: Subresource | undefined): Written<KubeObject> {
    const current = this.get(kind, key);
    if (current === undefined) return notFound(kind, key);
    const { uid, resourceVersion } = next.metadata;
    if (uid !== undefined && uid !== current.metadata.uid)
      return conflict(kind, key, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`);
    if (resourceVersion !== undefined && resourceVersion !== "" && resourceVersion !== current.metadata.resourceVersion)
      return conflict(kind, key, "the object has been modified; please apply your changes to the latest version and try again");
    const part = partOf(current, next, subresource);
    const metadata: ObjectMeta = {
      ...part.metadata,
      name: key.name,
      uid: current.metadata.uid,
      creationTimestamp: current.metadata.creationTimestamp,
      resourceVersion: current.metadata.resourceVersion,
      generation: current.metadata.generation,
      deletionTimestamp: current.metadata.deletionTimestamp,
    };
    const object: KubeObject = { ...part, metadata };
    if (deepEqual(object, current)) return { ok: true, object: current };
    if (!deepEqual(fieldsOf(object)["spec"], fieldsOf(current)["spec"])) metadata.generation = (current.metadata.generation ?? 0) + 1;
    metadata.resourceVersion = this.#nextVersion();
    if (metadata.deletionTimestamp !== undefined && (metadata.finalizers?.length ?? 0) === 0 && !this.holdDeleted(kind, object))
      return { ok: true, object: this.#drop(kind, key, current, object) };
    return { ok: true, object: this.#keep(kind, key, current, object) };
  }

  patch(kind: Kind, key: Key, type: PatchType, body: unknown, subresource: Subresource | undefined): Written<KubeObject> {
    const current = this.get(kind, key);
    if (current === undefined) return notFound(kind, key);
    // As on the server, a patch without a version means whatever version there is.
    const loose = { ...current, metadata: { ...current.metadata, resourceVersion: "" } };
    const patched = applyPatch(kind, loose, type, structuredClone(body));
    if (!patched.ok) return denied(422, "Invalid", patched.problem);
    return this.replace(kind, key, patched.value as KubeObject, subresource);
  }

  delete(kind: Kind, key: Key, uid: string | undefined, options: DeleteOptions): Written<KubeObject | undefined> {
    const current = this.get(kind, key);
    if (current === undefined) return notFound(kind, key);
    if (uid !== undefined && uid !== current.metadata.uid) return conflict(kind, key, "Precondition failed: UID");
    if (options.resourceVersion !== undefined && options.resourceVersion !== current.metadata.resourceVersion)
      return conflict(kind, key, "Precondition failed: resourceVersion");
    const stays = (current.metadata.finalizers?.length ?? 0) > 0 || (options.gracePeriodSeconds !== 0 && this.holdDeleted(kind, current));
    if (!stays) {
      this.#drop(kind, key, current, current);
      return { ok: true, object: undefined };
    }
    if (current.metadata.deletionTimestamp !== undefined) return { ok: true, object: current };
    const metadata = { ...current.metadata, deletionTimestamp: formatTime(this.#env.nowMs()), resourceVersion: this.#nextVersion() };
    return { ok: true, object: this.#keep(kind, key, current, { ...current, metadata }) };
  }

  /** Removes an object at once, whoever holds it. */
  erase(kind: Kind, key: Key): void {
    const current = this.get(kind, key);
    if (current !== undefined) this.#drop(kind, key, current, current);
  }

  #of(kind: Kind): Map<string, KubeObject> {
    const resource = resourceName(kind);
    let objects = this.#objects.get(resource);
    if (objects === undefined) {
      objects = new Map();
      this.#objects.set(resource, objects);
      this.#kinds.set(resource, kind);
    }
    return objects;
  }

  #nextVersion(): string {
    this.#version += 1;
    return String(this.#version);
  }

  #keep(kind: Kind, key: Key, before: KubeObject | undefined, object: KubeObject): KubeObject {
    const frozen = deepFreeze(object);
    this.#of(kind).set(keyText(key), frozen);
    this.#changed(kind, before, frozen);
    return frozen;
  }

  #drop(kind: Kind, key: Key, before: KubeObject, last: KubeObject): KubeObject {
    this.#version += 1;
    this.#of(kind).delete(keyText(key));
    this.#changed(kind, before, undefined);
    this.#collect(before.metadata.uid);
    return last;
  }

  /** What the garbage collector does: objects all of whose owners are gone go as well. */
  #collect(ownerUid: string): void {
    for (const [resource, objects] of this.#objects) {
      const kind = this.#kinds.get(resource);
      if (kind === undefined) continue;
      for (const object of [...objects.values()]) {
        const owners = object.metadata.ownerReferences ?? [];
        if (owners.length === 0 || !owners.some(({ uid }) => uid === ownerUid) || owners.some(({ uid }) => this.#exists(uid))) continue;
        this.delete(kind, { namespace: object.metadata.namespace ?? "", name: object.metadata.name }, undefined, {});
      }
    }
  }

  #exists(uid: string): boolean {
    for (const objects of this.#objects.values()) for (const object of objects.values()) if (object.metadata.uid === uid) return true;
    return false;
  }
}

/** Reads, freezes: who changes an object of the cache shows up at once. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) deepFreeze(item);
  return value;
}

function partOf(current: KubeObject, next: KubeObject, subresource: Subresource | undefined): KubeObject {
  if (subresource === "status") {
    // Kinds of custom resources keep their metadata here; pods take labels and annotations along.
    const isPod = current.kind === "Pod";
    const { labels, annotations } = next.metadata;
    const metadata = isPod ? { ...current.metadata, labels, annotations } : current.metadata;
    return { ...current, metadata, ...("status" in next ? { status: next.status } : {}) } as KubeObject;
  }
  if (subresource === "resize") return { ...current, spec: fieldsOf(next)["spec"] } as KubeObject;
  const { status: _, ...rest } = next as KubeObject & { status?: unknown };
  return "status" in current ? ({ ...rest, status: current.status } as KubeObject) : rest;
}

type Patched = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string };

function applyPatch(kind: Kind, current: KubeObject, type: PatchType, body: unknown): Patched {
  switch (type) {
    case "merge":
      return { ok: true, value: applyMergePatch(current, body) };
    case "json":
      return applyJsonPatch(current, body as readonly JsonPatchOperation[]);
    case "strategic":
      return applyStrategicPatch(patchTypes[kind.kind] ?? "Object", fieldsOf(current), body);
  }
}

const patchTypes: Readonly<Record<string, PatchTypeName>> = {
  Pod: "Pod",
  PersistentVolumeClaim: "PersistentVolumeClaim",
  Deployment: "Workload",
  ReplicaSet: "Workload",
  StatefulSet: "Workload",
  DaemonSet: "Workload",
  Job: "Workload",
};

function notFound(kind: Kind, key: Key): Failure {
  return { ok: false, why: "notFound", message: `${resourceName(kind)} "${key.name}" not found` };
}
function conflict(kind: Kind, key: Key, message: string): Failure {
  return { ok: false, why: "conflict", message: `Operation cannot be fulfilled on ${resourceName(kind)} "${key.name}": ${message}` };
}
export function denied(code: number, reason: string, message: string): Failure {
  return { ok: false, why: "denied", code, reason, message };
}
