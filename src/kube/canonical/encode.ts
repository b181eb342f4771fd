/**
 * Typed JSON, byte for byte as Kubernetes 1.32 would marshal it: absent fields that are always written, zero values that never are,
 * quantities in canonical form, HTML characters escaped. Two builds that encode the same object agree on its revision and its hashes.
 * Values of the wrong JSON type are written as they are; fields that the tables do not know are kept, so changes in them are noticed.
 */
import { compareUtf8, type Fields, isAbsent, isFields, sortedKeys } from "../json.ts";
import { canonicalQuantity } from "../quantity.ts";
import { type FieldType, type ObjectType, objectType } from "./schema.ts";

export interface EncodeOptions {
  /** All keys by their UTF-8 bytes (revision data), or fields in the order of declaration and only map keys sorted (hashes). */
  readonly sorted: boolean;
}

/**
 * @param typeName a type of the tables, or `[]Type` for a list of them
 * @param value an absent one is encoded as the type's zero value; an absent list as null
 */
export function encodeAs(typeName: string, value: unknown, { sorted }: EncodeOptions): string {
  if (!typeName.startsWith("[]")) return encodeObject(objectType(typeName), value, sorted);
  if (!Array.isArray(value)) return isAbsent(value) ? "null" : encodeRaw(value);
  const type = objectType(typeName.slice(2));
  return `[${value.map((item) => encodeObject(type, item, sorted)).join(",")}]`;
}

/** The value with every rule applied, as an object again: for comparing content. */
export function normaliseAs(typeName: string, value: unknown): unknown {
  return JSON.parse(encodeAs(typeName, value, { sorted: true }));
}

/** What is written for an absent field that is always written. */
function zeroOf(field: FieldType, sorted: boolean): string {
  if (field.pointer || field.shape !== "one" || field.kind === "time") return "null";
  switch (field.kind) {
    case "string":
      return '""';
    case "boolean":
      return "false";
    case "quantity":
      return '"0"';
    case "object":
      return encodeObject(objectType(field.typeName), undefined, sorted);
    default:
      return "0";
  }
}

/** undefined when the field is left out. */
function encodeField(field: FieldType, value: unknown, sorted: boolean): string | undefined {
  if (value === undefined || value === null) return field.always ? zeroOf(field, sorted) : undefined;
  if (field.shape === "one") return encodeOne(field, value, sorted);
  if (field.shape === "list") {
    if (!Array.isArray(value)) return encodeRaw(value);
    if (value.length === 0) return field.always ? "[]" : undefined;
    return encodeList(field, value, sorted);
  }
  if (!isFields(value)) return encodeRaw(value);
  return encodeMap(field, value, sorted);
}

function encodeOne(field: FieldType, value: unknown, sorted: boolean): string | undefined {
  const zeroKept = field.pointer || field.always;
  switch (field.kind) {
    case "string":
      if (typeof value !== "string") break;
      return value === "" && !zeroKept ? undefined : quote(value);
    case "object":
      if (!isFields(value)) break;
      return encodeObject(objectType(field.typeName), value, sorted);
    case "boolean":
      return value === false && !zeroKept ? undefined : encodeRaw(value);
    case "integer":
      return value === 0 && !zeroKept ? undefined : encodeRaw(value);
    case "quantity":
      return encodeQuantity(value);
    default:
      break;
  }
  return encodeRaw(value);
}

function encodeQuantity(value: unknown): string {
  const text = canonicalQuantity(value);
  return text === undefined ? encodeRaw(value) : `"${text}"`;
}

/** List items and map values are there even when they are zero. */
function encodeItem(field: FieldType, value: unknown, sorted: boolean): string {
  if (value === undefined || value === null)
    return field.kind === "object"
      ? encodeObject(objectType(field.typeName), undefined, sorted)
      : zeroOf({ ...field, shape: "one" }, sorted);
  if (field.kind === "string" && typeof value === "string") return quote(value);
  if (field.kind === "object" && isFields(value)) return encodeObject(objectType(field.typeName), value, sorted);
  return field.kind === "quantity" ? encodeQuantity(value) : encodeRaw(value);
}

function encodeList(field: FieldType, items: readonly unknown[], sorted: boolean): string {
  let text = "[";
  for (let index = 0; index < items.length; index += 1) {
    if (index > 0) text += ",";
    text += encodeItem(field, items[index], sorted);
  }
  return `${text}]`;
}

function encodeMap(field: FieldType, entries: Fields, sorted: boolean): string | undefined {
  const keys = sortedKeys(entries);
  if (keys.length === 0) return field.always ? "{}" : undefined;
  let text = "{";
  for (const key of keys) {
    if (text.length > 1) text += ",";
    text += `${quote(key)}:${encodeItem(field, entries[key], sorted)}`;
  }
  return `${text}}`;
}

function encodeObject(type: ObjectType, value: unknown, sorted: boolean): string {
  if (!isAbsent(value) && !isFields(value)) return encodeRaw(value);
  return `{${encodeFields(type, value ?? noFields, sorted)}}`;
}
const noFields: Fields = {};

/** The inside of an object, without its braces. */
export function encodeFields(type: ObjectType, value: Fields, sorted: boolean): string {
  let text = "";
  let known = 0;
  for (const field of sorted ? type.sorted : type.fields) {
    const fieldValue = value[field.name];
    if (fieldValue !== undefined) known += 1;
    const encoded = encodeField(field, fieldValue, sorted);
    if (encoded === undefined) continue;
    text += text === "" ? field.prefix + encoded : `,${field.prefix}${encoded}`;
  }
  return hasMoreThan(known, value) ? encodeWithUnknown(type, value, sorted) : text;
}

function hasMoreThan(known: number, value: Fields): boolean {
  let count = 0;
  for (const key in value) if (value[key] !== undefined) count += 1;
  return count > known;
}

function encodeWithUnknown(type: ObjectType, value: Fields, sorted: boolean): string {
  const entries: [string, string][] = [];
  for (const field of type.fields) {
    const encoded = encodeField(field, value[field.name], sorted);
    if (encoded !== undefined) entries.push([field.name, encoded]);
  }
  for (const key of sortedKeys(value)) if (!type.byName.has(key)) entries.push([key, encodeRaw(value[key])]);
  if (sorted) entries.sort(([a], [b]) => compareUtf8(a, b));
  return entries.map(([key, encoded]) => `${quote(key)}:${encoded}`).join(",");
}

const needsEscape = /[^ -~]|["\\<>&]/;
const htmlUnsafe = /[<>&\u2028\u2029]/g;
const surrogate = /[\ud800-\udfff]/;

/** A JSON string with <, >, &, U+2028 and U+2029 escaped and lone surrogates replaced by U+FFFD. */
export function quote(text: string): string {
  if (!needsEscape.test(text)) return `"${text}"`;
  const wellFormed = surrogate.test(text) ? text.toWellFormed() : text;
  return JSON.stringify(wellFormed).replace(htmlUnsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Any JSON value, keys sorted. */
export function encodeRaw(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "null";
  if (typeof value === "boolean") return value ? "true" : "false";
  if (Array.isArray(value)) return `[${value.map(encodeRaw).join(",")}]`;
  if (!isFields(value)) return "null";
  return `{${sortedKeys(value)
    .map((key) => `${quote(key)}:${encodeRaw(value[key])}`)
    .join(",")}}`;
}
