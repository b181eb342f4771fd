/** ConversionReview v1 and v1beta1: objects of our kinds from any of their versions to any other, by way of the storage version. */
import type { KindDefinition } from "../api/definition.ts";
import { fieldsOf, isFields, textOf } from "../kube/json.ts";
import { apiVersion } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";

export type Conversion = { readonly ok: true; readonly object: unknown } | { readonly ok: false; readonly message: string };
/** One object to `desired` ("apps.kruise.io/v1alpha1"). Never throws. */
export type Converter = (object: unknown, desired: string) => Conversion;

export type ConversionAnswer = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly message: string };

/**
 * The answer has as many objects as the request, in their order, or none and the reason.
 * @returns not ok (HTTP 400) when nobody can tell what was asked
 */
export function convertReview(text: string, convert: Converter): ConversionAnswer {
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch (error) {
    return { ok: false, message: `the body is not JSON: ${(error as Error).message}` };
  }
  const { apiVersion: version, kind, request } = fieldsOf(review);
  if (version !== "apiextensions.k8s.io/v1" && version !== "apiextensions.k8s.io/v1beta1")
    return { ok: false, message: "apiVersion: want apiextensions.k8s.io/v1 or apiextensions.k8s.io/v1beta1" };
  if (kind !== "ConversionReview") return { ok: false, message: "kind: want ConversionReview" };
  if (!isFields(request)) return { ok: false, message: "request: missing" };
  const { uid, desiredAPIVersion: desired, objects } = request;
  if (typeof uid !== "string") return { ok: false, message: "request.uid: missing" };
  if (typeof desired !== "string" || desired === "") return { ok: false, message: "request.desiredAPIVersion: missing" };
  if (objects !== undefined && objects !== null && !Array.isArray(objects)) return { ok: false, message: "request.objects: want a list" };
  const response = convertAll(objects ?? [], desired, convert);
  return { ok: true, text: JSON.stringify({ kind, apiVersion: version, response: { uid, ...response } }) };
}

function convertAll(objects: readonly unknown[], desired: string, convert: Converter): object {
  const convertedObjects: unknown[] = [];
  for (let index = 0; index < objects.length; index += 1) {
    const conversion = convert(objects[index], desired);
    if (!conversion.ok) {
      const message = `request.objects[${index}]: ${conversion.message}`;
      return { convertedObjects: [], result: { status: "Failure", message } };
    }
    convertedObjects.push(conversion.object);
  }
  return { convertedObjects, result: { status: "Success" } };
}

export function converterFor(definitions: readonly KindDefinition[]): Converter {
  const byKind = new Map(definitions.map((definition) => [`${definition.kind.group}/${definition.kind.kind}`, definition]));
  return (object, desired) => {
    if (!isFields(object)) return { ok: false, message: "want an object" };
    const from = textOf(object["apiVersion"]);
    const kind = textOf(object["kind"]);
    if (from === "" || kind === "") return { ok: false, message: "apiVersion and kind are required" };
    if (from === desired) return { ok: true, object };
    if (!isFields(object["metadata"])) return { ok: false, message: "metadata: want an object" };
    const [group, version] = groupVersion(from);
    const [desiredGroup, desiredVersion] = groupVersion(desired);
    const definition = byKind.get(`${group}/${kind}`);
    if (!definition) return { ok: false, message: `${kind} of ${from}: this kind is not converted here` };
    if (group !== desiredGroup) return { ok: false, message: `${kind} of ${from} cannot become ${desired}: another API group` };
    for (const name of [version, desiredVersion])
      if (!definition.versions.some((known) => known.name === name))
        return { ok: false, message: `${kind}: ${group}/${name} is not a version of this kind` };
    try {
      return { ok: true, object: convertObject(definition, object as unknown as KubeObject, version, desiredVersion) };
    } catch (error) {
      return { ok: false, message: `${kind} ${nameOf(object)} from ${from} to ${desired}: ${(error as Error).message}` };
    }
  };
}

function convertObject(definition: KindDefinition, object: KubeObject, version: string, desired: string): KubeObject {
  const storage = definition.kind.version;
  const stored = version === storage ? object : (definition.conversion?.[version]?.toStorage(object) ?? object);
  const converted = desired === storage ? stored : (definition.conversion?.[desired]?.fromStorage(stored) ?? stored);
  const group = definition.kind.group;
  return { ...converted, apiVersion: apiVersion({ ...definition.kind, group, version: desired }), ...keptMetadata(object, converted) };
}

/** The API server refuses a conversion that touches more of the metadata than labels and annotations. */
function keptMetadata(before: KubeObject, after: KubeObject): { metadata: KubeObject["metadata"] } | undefined {
  if (before.metadata === after.metadata) return undefined;
  const { labels, annotations } = fieldsOf(after.metadata) as Partial<KubeObject["metadata"]>;
  const { labels: _labels, annotations: _annotations, ...rest } = before.metadata;
  return { metadata: { ...rest, ...(labels && { labels }), ...(annotations && { annotations }) } };
}

function groupVersion(text: string): readonly [group: string, version: string] {
  const slash = text.indexOf("/");
  return slash < 0 ? ["", text] : [text.slice(0, slash), text.slice(slash + 1)];
}

function nameOf(object: Readonly<Record<string, unknown>>): string {
  const { namespace, name } = fieldsOf(object["metadata"]);
  return textOf(namespace) === "" ? textOf(name) : `${textOf(namespace)}/${textOf(name)}`;
}
