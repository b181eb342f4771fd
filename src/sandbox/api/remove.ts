/** Deleting: at once, gracefully, or when the last finalizer is gone. */
import { type Fields, fieldsOf, textOf, withFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import { FieldErrors } from "../../kube/validate/field-error.ts";
import type { Stored } from "../storage/store.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { conflict, invalid, notFound } from "./refusal.ts";

const triesMax = 5;
const orphan = "orphan";
const foreground = "foregroundDeletion";

export interface Removed {
  /** The object as it is then, in the version of the request; with its last state when it is gone. */
  readonly object: Stored;
  readonly gone: boolean;
}

/**
 * @param options `DeleteOptions`
 * @param isReviewed nobody is asked any more: whoever may say no has said yes to the eviction
 */
export async function deleteObject(api: Api, call: Call, options: Fields, isReviewed = false): Promise<Removed> {
  const { resource } = call;
  checkOptions(options);
  const key: Key = { namespace: resource.kind.namespaced ? call.namespace : "", name: call.name };
  for (let tries = 1; ; tries += 1) {
    const stored = api.store.get(resource.storage, key);
    if (stored === undefined) throw notFound(resource.kind, call.name);
    checkPreconditions(call, options, stored);
    const shown = await api.converter.show(resource, call.version, stored);
    const review = {
      operation: "DELETE",
      actor: call.actor,
      resource,
      version: call.version,
      subresource: "",
      namespace: key.namespace,
      // Of a collection the objects tell their names.
      name: call.verb === "deletecollection" ? "" : key.name,
      object: undefined,
      oldObject: shown,
      options: { kind: "DeleteOptions", apiVersion: "meta.k8s.io/v1", ...options },
      dryRun: call.dryRun,
      warnings: call.warnings,
    } as const;
    if (!isReviewed) {
      await api.admission.mutate(review);
      await api.admission.validate(review);
    }
    if (api.store.get(resource.storage, key) !== stored && tries < triesMax) continue;
    const next = dying(api, call, stored, options);
    if (next === stored) return { object: await api.converter.show(resource, call.version, stored), gone: false };
    const gone = next === undefined;
    if (call.dryRun) return { object: shown, gone };
    const written = gone ? removeFromStore(api, call, key) : writeDying(api, call, key, next);
    return { object: await api.converter.show(resource, call.version, written), gone };
  }
}

/** The one place where an object leaves the store. */
export function removeFromStore(api: Api, call: Call, key: Key, last?: Stored): Stored {
  const before = api.store.get(call.resource.storage, key);
  const removed = api.store.remove(call.resource.storage, key, last);
  if (removed === undefined) throw notFound(call.resource.kind, key.name);
  api.wrote({ ...writeBy(api, call), key, before, after: undefined, version: api.store.version });
  return removed;
}

function writeDying(api: Api, call: Call, key: Key, object: Stored): Stored {
  const before = api.store.get(call.resource.storage, key);
  const after = api.store.put(call.resource.storage, object);
  api.wrote({ ...writeBy(api, call), key, before, after, version: api.store.version });
  return after;
}

function writeBy(api: Api, call: Call) {
  return { atMs: api.env.nowMs(), actor: call.actor, verb: call.verb, subresource: call.subresource, resource: call.resource };
}

function checkOptions(options: Fields): void {
  const errors = new FieldErrors();
  const policy = options["propagationPolicy"];
  if (policy !== undefined && options["orphanDependents"] !== undefined)
    errors.invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set");
  if (policy !== undefined && !["Background", "Foreground", "Orphan"].includes(textOf(policy)))
    errors.notSupported("propagationPolicy", policy, ["Background", "Foreground", "Orphan"]);
  if (errors.any) throw invalid("meta.k8s.io", "DeleteOptions", "", errors.list);
}

function checkPreconditions(call: Call, options: Fields, stored: Stored): void {
  const { uid, resourceVersion } = fieldsOf(options["preconditions"]);
  const { metadata } = stored;
  if (uid !== undefined && uid !== null && uid !== metadata.uid)
    throw conflict(
      { group: call.resource.kind.group, plural: call.resource.kind.plural },
      call.name,
      `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    );
  if (resourceVersion !== undefined && resourceVersion !== null && resourceVersion !== metadata.resourceVersion)
    throw conflict(
      { group: call.resource.kind.group, plural: call.resource.kind.plural },
      call.name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
    );
}

/** @returns undefined when it goes at once, the same object when nothing changes */
function dying(api: Api, call: Call, stored: Stored, options: Fields): Stored | undefined {
  const nowMs = api.env.nowMs();
  const asked = typeof options["gracePeriodSeconds"] === "number" ? options["gracePeriodSeconds"] : undefined;
  const { metadata } = stored;
  const finalizers = finalizersAfter(call, metadata.finalizers ?? [], options);
  const grace = call.resource.rules.graceSeconds?.(stored, asked) ?? 0;
  if (call.resource.storage === "namespaces") return dyingNamespace(stored, nowMs);
  if (metadata.deletionTimestamp !== undefined) return again(stored, finalizers, grace, asked, nowMs);
  if (grace === 0 && finalizers.length === 0) return undefined;
  const seconds = grace;
  return withMeta(stored, {
    ...(finalizers.length > 0 || metadata.finalizers !== undefined ? { finalizers } : {}),
    deletionTimestamp: formatTime(nowMs + seconds * 1000),
    deletionGracePeriodSeconds: seconds,
    ...(metadata.generation === undefined ? {} : { generation: metadata.generation + 1 }),
  });
}

/** A deletion that is under way may only be hurried. */
function again(stored: Stored, finalizers: readonly string[], grace: number, asked: number | undefined, nowMs: number): Stored | undefined {
  const { metadata } = stored;
  const known = metadata.deletionGracePeriodSeconds ?? 0;
  const sameFinalizers = finalizers.join() === (metadata.finalizers ?? []).join();
  if (known === 0 || (asked !== undefined && grace === 0)) {
    if (finalizers.length === 0) return undefined;
    if (sameFinalizers && known === 0) return stored;
    return withMeta(stored, {
      finalizers,
      deletionGracePeriodSeconds: 0,
      ...(known === 0 ? {} : { deletionTimestamp: formatTime(nowMs) }),
    });
  }
  if (asked === undefined || grace >= known) return sameFinalizers ? stored : withMeta(stored, { finalizers });
  const dueMs = (parseTime(metadata.deletionTimestamp) ?? nowMs) - known * 1000 + grace * 1000;
  const late = dueMs < nowMs;
  return withMeta(stored, {
    finalizers: sameFinalizers ? metadata.finalizers : finalizers,
    deletionTimestamp: formatTime(late ? nowMs : dueMs),
    deletionGracePeriodSeconds: late ? 1 : grace,
  });
}

function dyingNamespace(stored: Stored, nowMs: number): Stored | undefined {
  if (stored.metadata.deletionTimestamp !== undefined) {
    const spec = fieldsOf(stored["spec"])["finalizers"];
    return Array.isArray(spec) && spec.length > 0 ? stored : undefined;
  }
  return withFields(stored, {
    metadata: { ...stored.metadata, deletionTimestamp: formatTime(nowMs) },
    status: { ...fieldsOf(stored["status"]), phase: "Terminating" },
  }) as Stored;
}

/** What the request says about dependents is kept as a finalizer, for the garbage collector. */
function finalizersAfter(call: Call, finalizers: readonly string[], options: Fields): readonly string[] {
  const policy = textOf(options["propagationPolicy"]);
  const others = finalizers.filter((finalizer) => finalizer !== orphan && finalizer !== foreground);
  const has = (finalizer: string) => finalizers.includes(finalizer);
  const says = policy !== "" || options["orphanDependents"] !== undefined;
  const wantsOrphan = says
    ? policy === "Orphan" || options["orphanDependents"] === true
    : has(orphan) || (!has(foreground) && call.resource.rules.orphanByDefault === true);
  const wantsForeground = says ? policy === "Foreground" : has(foreground);
  if (wantsOrphan) return has(orphan) ? finalizers.filter((finalizer) => finalizer !== foreground) : [...others, orphan];
  if (wantsForeground) return has(foreground) ? finalizers.filter((finalizer) => finalizer !== orphan) : [...others, foreground];
  return others.length === finalizers.length ? finalizers : others;
}

function withMeta(stored: Stored, changes: Fields): Stored {
  return withFields(stored, { metadata: withFields(stored.metadata, changes) }) as Stored;
}
