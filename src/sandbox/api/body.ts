/** From the body of a request to an object in the version of the request: decoded, strictly where asked, and with defaults. */
import { type Fields, fieldsOf, isFields, textOf, withFields } from "../../kube/json.ts";
import { decodeBuiltin, decodeSaid, pruneCustom } from "../schema/decode.ts";
import type { Schema } from "../schema/schema.ts";
import { withSchemaDefaults } from "../schema/structural.ts";
import type { Stored } from "../storage/store.ts";
import type { Call } from "./call.ts";
import { badRequest } from "./refusal.ts";

export function parseJson(text: string | undefined): unknown {
  if (text === undefined || text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw badRequest(`the object provided is unrecognized (must be of type Status): ${(error as Error).message}`);
  }
}

/** @param kind what the body must be, when it is not the resource's own kind */
export function checkKind(call: Call, body: unknown, kind = call.resource.kind.kind, group = call.resource.kind.group): Fields {
  if (!isFields(body)) throw badRequest("the body of the request is not a JSON object");
  const wanted = group === "" ? call.version.name : `${group}/${call.version.name}`;
  const { apiVersion, kind: given } = body;
  if (call.resource.custom !== undefined && textOf(given) === "") throw badRequest(`Object 'Kind' is missing in '${JSON.stringify(body)}'`);
  if (textOf(apiVersion) !== "" && apiVersion !== wanted)
    throw badRequest(`the API version in the data (${textOf(apiVersion)}) does not match the expected API version (${wanted})`);
  if (textOf(given) !== "" && given !== kind)
    throw badRequest(
      `${kind} in version "${call.version.name}" cannot be handled as a ${kind}: no kind "${textOf(given)}" is registered for version "${wanted}"`,
    );
  return withFields(body, { apiVersion: wanted, kind });
}

/** An object of the resource's own kind, as the server goes on with it. */
export function decodeObject(call: Call, body: unknown): Stored {
  const object = checkKind(call, body);
  return withDefaults(call, decodeAs(call, call.version.schema, object, call.resource.custom === undefined ? "builtin" : "custom"));
}

/** Decodes by a schema; unknown fields are refused, told or dropped, as the request says. */
export function decodeAs(call: Call, schema: Schema, object: Fields, how: "custom" | "builtin" | "said"): Stored {
  const decoded = (how === "custom" ? pruneCustom : how === "said" ? decodeSaid : decodeBuiltin)(schema, object);
  const kind = textOf(object["kind"]) || call.resource.kind.kind;
  if (decoded.mismatch !== undefined)
    throw badRequest(`${kind} in version "${call.version.name}" cannot be handled as a ${kind}: ${decoded.mismatch}`);
  if (decoded.unknown.length > 0) reportUnknown(call, kind, decoded.unknown);
  const value = decoded.value;
  return (isFields(value["metadata"]) ? value : withFields(value, { metadata: {} })) as Stored;
}

function reportUnknown(call: Call, kind: string, unknown: readonly string[]): void {
  if (call.fieldValidation === "Ignore") return;
  if (call.fieldValidation === "Warn") {
    for (const line of unknown) if (!call.warnings.includes(line)) call.warnings.push(line);
    return;
  }
  const strict = `strict decoding error: ${unknown.join(", ")}`;
  throw badRequest(
    call.verb === "patch" && call.resource.custom === undefined
      ? strict
      : `${kind} in version "${call.version.name}" cannot be handled as a ${kind}: ${strict}`,
  );
}

/** What the user left open. */
export function withDefaults({ resource, version }: Pick<Call, "resource" | "version">, object: Stored): Stored {
  const schemaDefaults = resource.custom === undefined ? object : (withSchemaDefaults(version.schema, object) as Stored);
  return resource.rules.withDefaults?.(schemaDefaults) ?? schemaDefaults;
}

/** Query parameters of a deletion may say what its body does. */
export function deleteOptions(body: unknown, query: URLSearchParams): Fields {
  const given: Record<string, unknown> = { ...fieldsOf(body) };
  const grace = query.get("gracePeriodSeconds");
  if (grace !== null && given["gracePeriodSeconds"] === undefined) given["gracePeriodSeconds"] = Number(grace);
  const policy = query.get("propagationPolicy");
  if (policy !== null && given["propagationPolicy"] === undefined) given["propagationPolicy"] = policy;
  const orphan = query.get("orphanDependents");
  if (orphan !== null && given["orphanDependents"] === undefined) given["orphanDependents"] = orphan === "true";
  return given;
}
