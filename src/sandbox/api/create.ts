/** Making an object: POST. */
import { type Fields, withFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { resourceName } from "../../kube/kind.ts";
import { formatTime } from "../../kube/time.ts";
import { type FieldError, FieldErrors } from "../../kube/validate/field-error.ts";
import { validateMetadata } from "../../kube/validate/metadata.ts";
import { trackUpdate } from "../fields/manage.ts";
import { metaKey, type Stored } from "../storage/store.ts";
import type { Api } from "./api.ts";
import { decodeObject } from "./body.ts";
import type { Call } from "./call.ts";
import { alreadyExists, badRequest, invalid, Refusal } from "./refusal.ts";

const alphabet = "bcdfghjklmnpqrstvwxz2456789";
const suffixLength = 5;
/** Longer prefixes are cut, so that the suffix has room. */
const generatedPrefixMax = 63 - suffixLength;
const generateTriesMax = 8;

/** @param body as it was sent @returns the object as it is stored, in the version of the request */
export async function createObject(api: Api, call: Call, body: unknown): Promise<Stored> {
  const decoded = decodeObject(call, body);
  return createDecoded(api, call, decoded);
}

export async function createDecoded(api: Api, call: Call, decoded: Stored): Promise<Stored> {
  const { resource } = call;
  const placed = withNamespace(call, decoded);
  if (placed.metadata.resourceVersion) throw new Refusal(500, "", "resourceVersion should not be set on objects to be created");
  const draft = api.fieldManagement ? trackUpdate(call, undefined, placed, api.env.nowMs()) : placed;
  const review = {
    operation: "CREATE",
    actor: call.actor,
    resource,
    version: call.version,
    subresource: "",
    namespace: draft.metadata.namespace ?? "",
    oldObject: undefined,
    options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1", ...(call.dryRun ? { dryRun: ["All"] } : {}) },
    dryRun: call.dryRun,
    warnings: call.warnings,
  } as const;
  const admitted = (await api.admission.mutate({ ...review, name: draft.metadata.name ?? "", object: draft })) as Stored;
  const prepared = prepare(api, call, admitted);
  const errors = [
    ...validateMetadata(prepared.metadata, { namespaced: resource.kind.namespaced, nameProblems: resource.rules.nameProblems }),
    ...finalizerErrors(call, prepared),
    ...(resource.rules.validate?.(prepared) ?? []),
    ...(resource.rules.validateCreate?.(prepared) ?? []),
  ];
  if (errors.length > 0) throw invalid(resource.kind.group, resource.kind.kind, prepared.metadata.name, errors);
  await api.admission.validate({ ...review, name: prepared.metadata.name, object: prepared });
  const stored = await api.converter.store(resource, call.version, prepared);
  const key = metaKey(stored);
  if (api.store.get(resource.storage, key) !== undefined) throw alreadyExists(resource.kind, key.name);
  if (call.dryRun) return prepared;
  const written = commit(api, call, key, stored);
  return api.converter.show(resource, call.version, written);
}

const standardFinalizers: ReadonlySet<string> = new Set(["orphan", "foregroundDeletion", "kubernetes"]);

/** Kubernetes' own kinds want finalizers to say whose they are. */
export function finalizerErrors(call: Call, object: Stored): readonly FieldError[] {
  if (call.resource.custom !== undefined || call.resource.kind.group === "apiextensions.k8s.io") return [];
  const errors = new FieldErrors();
  for (const finalizer of object.metadata.finalizers ?? [])
    if (!finalizer.includes("/") && !standardFinalizers.has(finalizer))
      errors.invalid("metadata.finalizers", finalizer, "name is neither a standard finalizer name nor is it fully qualified");
  return errors.list;
}

/** The one place where a create or an update reaches the store. */
export function commit(api: Api, call: Call, key: Key, object: Stored): Stored {
  const before = api.store.get(call.resource.storage, key);
  const after = api.store.put(call.resource.storage, object);
  api.wrote({
    atMs: api.env.nowMs(),
    actor: call.actor,
    verb: call.verb,
    subresource: call.subresource,
    resource: call.resource,
    key,
    before,
    after,
    version: api.store.version,
  });
  return after;
}

function withNamespace(call: Call, object: Stored): Stored {
  const { namespaced } = call.resource.kind;
  const given = object.metadata.namespace ?? "";
  if (!namespaced) {
    if (given === "") return object;
    throw badRequest("namespace may not be set on a cluster-scoped object");
  }
  if (call.namespace === "") throw badRequest("an empty namespace may not be set during creation");
  if (given !== "" && given !== call.namespace)
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  return given === "" ? (withFields(object, { metadata: { ...object.metadata, namespace: call.namespace } }) as Stored) : object;
}

/** What only the server decides: name, uid, times, generation, an empty status. */
function prepare(api: Api, call: Call, object: Stored): Stored {
  const { resource } = call;
  const {
    deletionTimestamp: _,
    deletionGracePeriodSeconds: __,
    selfLink: ___,
    ...given
  } = object.metadata as typeof object.metadata & Fields;
  const metadata = {
    ...given,
    name: given.name || generatedName(api, call, given.generateName),
    uid: api.env.uuid(),
    creationTimestamp: formatTime(api.env.nowMs()),
    resourceVersion: undefined,
    generation: resource.rules.generation === undefined ? undefined : 1,
  };
  const named = withFields(object, { metadata: withoutUndefined(metadata) }) as Stored;
  return resource.rules.prepareCreate?.(named) ?? named;
}

function withoutUndefined(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function generatedName(api: Api, call: Call, prefix: string | undefined): string | undefined {
  if (!prefix) return undefined;
  const base = prefix.slice(0, generatedPrefixMax);
  for (let tries = 1; ; tries += 1) {
    const name = base + Array.from({ length: suffixLength }, () => alphabet[Math.floor(api.env.random() * alphabet.length)]).join("");
    const taken = api.store.get(call.resource.storage, { namespace: call.resource.kind.namespaced ? call.namespace : "", name });
    if (taken === undefined) return name;
    if (tries < generateTriesMax) continue;
    throw new Refusal(
      409,
      "AlreadyExists",
      `${resourceName(call.resource.kind)} "${name}" already exists, the server was not able to generate a unique name for the object`,
    );
  }
}
