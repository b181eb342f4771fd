/** Changing an object: what PUT and all kinds of PATCH have in common. */
import { deepEqual, fieldsOf, itemsOf, withFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { type FieldError, FieldErrors } from "../../kube/validate/field-error.ts";
import { validateMetadataUpdate } from "../../kube/validate/metadata.ts";
import { trackUpdate, withoutTimes } from "../fields/manage.ts";
import type { Stored } from "../storage/store.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { commit, finalizerErrors } from "./create.ts";
import { badRequest, conflict, invalid, modifiedText, notFound } from "./refusal.ts";
import { removeFromStore } from "./remove.ts";

/** Where another write came between reading and writing, an update without a precondition is tried again. */
const triesMax = 5;

export interface Change {
  /** The object as it shall be, decoded, from the one that is there; its resourceVersion and uid, where they are set, are preconditions. */
  next(current: Stored): Stored | Promise<Stored>;
  /** What the subresource lets through; default: everything but the status, where that is a subresource. */
  readonly prepare?: (next: Stored, current: Stored) => Stored;
  /** An answer of the very object that is there means that nothing is asked of the server. */
  readonly mayDecline?: boolean;
  /** Fields were tracked by the change itself. */
  readonly tracked?: boolean;
  /** Further rules of the subresource. */
  readonly validate?: (next: Stored, current: Stored) => readonly FieldError[];
  /** What admission is shown, where the subresource has a body of its own. */
  readonly reviewed?: (next: Stored) => Stored;
}

/** @returns the object after the change, in the version of the request */
export async function updateObject(api: Api, call: Call, change: Change): Promise<Stored> {
  const { resource } = call;
  const key: Key = { namespace: resource.kind.namespaced ? call.namespace : "", name: call.name };
  for (let tries = 1; ; tries += 1) {
    const stored = api.store.get(resource.storage, key);
    if (stored === undefined) throw notFound(resource.kind, call.name);
    const current = await api.converter.show(resource, call.version, stored);
    const next = await attempt(api, call, change, current);
    if (next === undefined) return current;
    const converted = await api.converter.store(resource, call.version, next.object);
    if (api.store.get(resource.storage, key) !== stored) {
      if (next.conditional || tries >= triesMax) throw conflict(resource.kind, call.name, modifiedText);
      continue;
    }
    if (call.dryRun) return next.object;
    const written = isFinished(converted) ? removeFromStore(api, call, key, converted) : commit(api, call, key, converted);
    return api.converter.show(resource, call.version, written);
  }
}

interface Attempt {
  readonly object: Stored;
  /** A precondition on the version was given. */
  readonly conditional: boolean;
}

/** @returns undefined when nothing would change */
async function attempt(api: Api, call: Call, change: Change, current: Stored): Promise<Attempt | undefined> {
  const { resource } = call;
  const asked = await change.next(current);
  if (change.mayDecline === true && asked === current) return undefined;
  const conditional = checkPreconditions(call, asked, current);
  const own = withSystemFields(call, asked, current);
  const tracked = api.fieldManagement && change.tracked !== true ? trackUpdate(call, current, own, api.env.nowMs()) : own;
  const review = {
    operation: "UPDATE",
    actor: call.actor,
    resource,
    version: call.version,
    subresource: call.subresource,
    namespace: current.metadata.namespace ?? "",
    name: call.name,
    oldObject: change.reviewed?.(current) ?? current,
    options: { kind: "UpdateOptions", apiVersion: "meta.k8s.io/v1", ...(call.dryRun ? { dryRun: ["All"] } : {}) },
    dryRun: call.dryRun,
    warnings: call.warnings,
  } as const;
  const shown = change.reviewed?.(tracked);
  const admitted = shown === undefined ? ((await api.admission.mutate({ ...review, object: tracked })) as Stored) : tracked;
  if (shown !== undefined) await api.admission.mutate({ ...review, object: shown });
  const prepared = withGeneration(call, (change.prepare ?? defaultPrepare(call))(admitted, current), current);
  const errors = check(call, change, prepared, current);
  if (errors.length > 0) throw invalid(resource.kind.group, resource.kind.kind, call.name, errors);
  await api.admission.validate({ ...review, object: shown === undefined ? prepared : change.reviewed?.(prepared) });
  // Webhooks are asked even so: they may refuse what changes nothing.
  if (deepEqual(withoutTimes(prepared), withoutTimes(current))) return undefined;
  return { object: prepared, conditional };
}

function check(call: Call, change: Change, next: Stored, current: Stored): readonly FieldError[] {
  const { rules } = call.resource;
  const metadata = [...validateMetadataUpdate(next.metadata, current.metadata), ...finalizerErrors(call, next)];
  if (change.validate !== undefined) return [...metadata, ...change.validate(next, current)];
  if (call.subresource === "status") return [...metadata, ...(rules.validateStatus?.(next, current) ?? [])];
  return [...metadata, ...(rules.validate?.(next, current) ?? []), ...(rules.validateUpdate?.(next, current) ?? [])];
}

function defaultPrepare(call: Call): (next: Stored, current: Stored) => Stored {
  const { rules } = call.resource;
  const prepare = call.subresource === "status" ? rules.prepareStatus : rules.prepareUpdate;
  return prepare ?? ((next) => next);
}

/** @returns whether the version was a precondition */
function checkPreconditions(call: Call, asked: Stored, current: Stored): boolean {
  const { resource } = call;
  const { uid, resourceVersion, name, namespace } = asked.metadata;
  if (name && name !== call.name) throw badRequest(`the name of the object (${name}) does not match the name on the URL (${call.name})`);
  if (namespace && namespace !== (current.metadata.namespace ?? ""))
    throw badRequest(`the namespace of the object (${namespace}) does not match the namespace on the request (${call.namespace})`);
  if (uid && uid !== current.metadata.uid) {
    if (call.verb !== "patch")
      throw conflict(
        resource.kind,
        call.name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`,
      );
    const errors = new FieldErrors();
    errors.invalid("metadata.uid", uid, "field is immutable");
    throw invalid(resource.kind.group, resource.kind.kind, call.name, errors.list);
  }
  if (resourceVersion && resourceVersion !== current.metadata.resourceVersion) throw conflict(resource.kind, call.name, modifiedText);
  if (!resourceVersion && resource.custom !== undefined && call.verb === "update") {
    const errors = new FieldErrors();
    errors.invalid("metadata.resourceVersion", 0, "must be specified for an update");
    throw invalid(resource.kind.group, resource.kind.kind, call.name, errors.list);
  }
  return call.verb === "update" && resourceVersion !== undefined && resourceVersion !== "";
}

/** What no client changes: identity, times of birth and death, generation. */
function withSystemFields(call: Call, asked: Stored, current: Stored): Stored {
  const old = current.metadata;
  const given = asked.metadata;
  const metadata = withFields(given, {
    name: call.name,
    namespace: old.namespace,
    uid: old.uid,
    resourceVersion: old.resourceVersion,
    creationTimestamp: old.creationTimestamp,
    generation: old.generation,
    generateName: given.generateName ?? old.generateName,
    deletionTimestamp: old.deletionTimestamp,
    deletionGracePeriodSeconds: old.deletionGracePeriodSeconds,
    selfLink: undefined,
    managedFields: fieldsOf(given)["managedFields"] ?? fieldsOf(old)["managedFields"],
  });
  return withFields(asked, { metadata }) as Stored;
}

function withGeneration(call: Call, next: Stored, current: Stored): Stored {
  const { generation } = call.resource.rules;
  const known = current.metadata.generation;
  // A binding is no change of what is wanted.
  if (call.subresource === "binding" || generation === undefined || known === undefined || deepEqual(generation(next), generation(current)))
    return next;
  return withFields(next, { metadata: { ...next.metadata, generation: known + 1 } }) as Stored;
}

/** Nothing keeps it any longer. */
export function isFinished(object: Stored): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (deletionTimestamp === undefined || (finalizers !== undefined && finalizers.length > 0)) return false;
  if (object.kind === "Namespace" && itemsOf(fieldsOf(object["spec"])["finalizers"]).length > 0) return false;
  return deletionGracePeriodSeconds === undefined || deletionGracePeriodSeconds === 0;
}
