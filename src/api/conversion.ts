/**
 * What the conversions between versions are made of. They work on JSON as it is: fields they do not know travel along, an object with
 * the wrong shape travels as it is, and the parts that did not change are shared with the source.
 */
import { type Fields, fieldsOf, isFields, textOf, withFields } from "../kube/json.ts";
import type { KubeObject } from "../kube/types.ts";

/** The object cannot be said in the other version. The message names the field and the fix. */
export class ConversionError extends Error {}

export function annotationsOf(object: KubeObject): Fields {
  return fieldsOf(fieldsOf(object.metadata)["annotations"]);
}

export function labelsOf(object: KubeObject): Fields {
  return fieldsOf(fieldsOf(object.metadata)["labels"]);
}

/** A text that is neither absent nor empty. */
export function filled(value: unknown): string | undefined {
  return textOf(value) || undefined;
}

/** Sets, or with undefined removes, labels or annotations. A map that becomes empty goes away. */
export function withMetadata<T extends KubeObject>(object: T, map: "labels" | "annotations", changes: Fields): T {
  const metadata = fieldsOf(object.metadata);
  const before = fieldsOf(metadata[map]);
  const after = withFields(before, changes);
  if (after === before) return object;
  return withFields(object, { metadata: withFields(metadata, { [map]: Object.keys(after).length > 0 ? after : undefined }) });
}

/** Changes `spec` or `status`; what is not an object there stays as it is. */
export function withPart<T extends KubeObject>(object: T, part: "spec" | "status", change: (fields: Fields) => Fields): T {
  const before = (object as unknown as Fields)[part];
  return isFields(before) ? withFields(object, { [part]: change(before) }) : object;
}

const int32Text = /^[+-]?[0-9]+$/;

/** "300" → 300; undefined for anything that is not a whole number of 32 bits. */
export function int32Of(value: string | undefined): number | undefined {
  if (value === undefined || !int32Text.test(value)) return undefined;
  const number = Number(value);
  return number >= -(2 ** 31) && number < 2 ** 31 ? number + 0 : undefined;
}
