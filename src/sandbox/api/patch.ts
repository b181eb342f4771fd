/** PATCH: four kinds of it, all of them a function from the object that is there to the one that shall be. */
import { YAML } from "bun";
import { isFields, textOf, withFields } from "../../kube/json.ts";
import { applyJsonPatch, type JsonPatchOperation, limits } from "../../kube/patch/json-patch.ts";
import { applyMergePatch } from "../../kube/patch/merge.ts";
import { applyStrategicPatch } from "../../kube/patch/strategic.ts";
import { applyConfig } from "../fields/apply.ts";
import { patchSchemaOf } from "../schema/schema.ts";
import { metaKey, type Stored } from "../storage/store.ts";
import type { Api } from "./api.ts";
import { checkKind, decodeAs, decodeObject, parseJson } from "./body.ts";
import type { Call } from "./call.ts";
import { createDecoded } from "./create.ts";
import { badRequest, notFound, Refusal } from "./refusal.ts";
import { type Change, updateObject } from "./update.ts";

export type PatchKind = "json" | "merge" | "strategic" | "apply";

export function patchKindOf(contentType: string): PatchKind | undefined {
  switch (contentType.split(";", 1)[0]?.trim()) {
    case "application/json-patch+json":
      return "json";
    case "application/merge-patch+json":
      return "merge";
    case "application/strategic-merge-patch+json":
      return "strategic";
    case "application/apply-patch+yaml":
      return "apply";
    default:
      return undefined;
  }
}

export interface PatchAnswer {
  readonly object: Stored;
  readonly created: boolean;
}

/** @param change what the subresource adds */
export async function patchObject(
  api: Api,
  call: Call,
  kind: PatchKind,
  text: string | undefined,
  query: URLSearchParams,
  change: Partial<Change> = {},
): Promise<PatchAnswer> {
  if (kind === "apply") return applyObject(api, call, text, query, change);
  if (query.has("force")) throw invalidForce();
  if (kind === "strategic" && call.resource.custom !== undefined)
    throw new Refusal(
      415,
      "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
      {},
    );
  const patch = parseJson(text);
  const next = (current: Stored): Stored => decodeObject(call, patched(call, kind, current, patch));
  return { object: await updateObject(api, call, { ...change, next }), created: false };
}

/** The result before it is decoded. */
export function patched(call: Call, kind: "json" | "merge" | "strategic", current: Stored, patch: unknown): unknown {
  switch (kind) {
    case "json": {
      if (!Array.isArray(patch)) throw badRequest("error decoding patch: a JSON patch is a list of operations");
      if (patch.length > limits.jsonPatchOperationsMax)
        throw new Refusal(
          413,
          "RequestEntityTooLarge",
          `The allowed maximum operations in a JSON patch is ${limits.jsonPatchOperationsMax}, got ${patch.length}`,
        );
      const result = applyJsonPatch(current, patch as readonly JsonPatchOperation[]);
      if (!result.ok) throw new Refusal(422, "Invalid", "the server rejected our request due to an error in our request", {});
      return result.value;
    }
    case "merge":
      if (!isFields(patch)) throw badRequest("error decoding patch: a merge patch is an object");
      return applyMergePatch(current, patch);
    case "strategic": {
      const result = applyStrategicPatch(patchSchemaOf(call.version.schema), current, patch);
      if (!result.ok) throw badRequest(`unable to apply the patch: ${result.problem}`);
      return result.value;
    }
  }
}

async function applyObject(
  api: Api,
  call: Call,
  text: string | undefined,
  query: URLSearchParams,
  change: Partial<Change>,
): Promise<PatchAnswer> {
  if (!query.get("fieldManager"))
    throw new Refusal(422, "Invalid", 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch', {
      group: "meta.k8s.io",
      kind: "PatchOptions",
      causes: [{ reason: "FieldValueRequired", message: "Required value: is required for apply patch", field: "fieldManager" }],
    });
  const force = query.get("force") === "true";
  const sent = parseYaml(text);
  if (!isFields(sent) || textOf(sent["kind"]) === "" || textOf(sent["apiVersion"]) === "")
    throw badRequest("the body of an apply patch needs its apiVersion and kind");
  const body = checkKind(call, sent);
  const config = decodeAs(call, call.version.schema, body, call.resource.custom === undefined ? "said" : "custom");
  if (config.metadata.name && config.metadata.name !== call.name)
    throw badRequest(`metadata.name in the applied object (${config.metadata.name}) does not match the name on the URL (${call.name})`);
  const namespace = call.resource.kind.namespaced ? call.namespace : undefined;
  const named = withFields(config, { metadata: withFields(config.metadata, { name: call.name, namespace }) }) as Stored;
  const existing = api.store.get(call.resource.storage, metaKey(named));
  if (existing === undefined) {
    if (call.subresource !== "") throw notFound(call.resource.kind, call.name);
    if (named.metadata.uid) throw uidWithoutObject(call);
    const fresh = applyConfig(call, undefined, named, force, api.env.nowMs());
    return {
      object: await createDecoded(withoutTracking(api), call, decodeObject({ ...call, fieldValidation: "Ignore" }, fresh)),
      created: true,
    };
  }
  const next = (current: Stored): Stored => {
    const result = applyConfig(call, current, named, force, api.env.nowMs());
    return decodeObject({ ...call, fieldValidation: "Ignore" }, result);
  };
  return { object: await updateObject(api, call, { ...change, next, tracked: true }), created: false };
}

const withoutTracking = (api: Api): Api => ({ ...api, fieldManagement: false });

function uidWithoutObject(call: Call): Refusal {
  return new Refusal(409, "Conflict", `uid mismatch: the provided object specified uid, and no existing object was found for ${call.name}`);
}

function invalidForce(): Refusal {
  const message = "Forbidden: may not be specified for non-apply patch";
  return new Refusal(422, "Invalid", `PatchOptions.meta.k8s.io "" is invalid: force: ${message}`, {
    group: "meta.k8s.io",
    kind: "PatchOptions",
    causes: [{ reason: "FieldValueForbidden", message, field: "force" }],
  });
}

function parseYaml(text: string | undefined): unknown {
  if (text === undefined || text === "") throw badRequest("the body of an apply patch is empty");
  if (text.trimStart().startsWith("{")) return parseJson(text);
  try {
    return YAML.parse(text) as unknown;
  } catch (error) {
    throw badRequest(`error decoding YAML: ${(error as Error).message}`);
  }
}
