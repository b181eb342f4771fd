/**
 * From the JSON of a request to an object of its kind: what the schema does not know is left out and reported, null says nothing,
 * and a value of another type than its field is a mistake of the sender.
 */
import { type Fields, isFields, mapShared, setOwn, withFields } from "../../kube/json.ts";
import { parseQuantity } from "../../kube/quantity.ts";
import { parseTime } from "../../kube/time.ts";
import type { Schema } from "./schema.ts";

export interface Decoded {
  readonly value: Fields;
  /** `unknown field "spec.foo"`, in the order met. */
  readonly unknown: readonly string[];
  /** The first value that its field cannot hold. */
  readonly mismatch?: string;
}

interface Walk {
  readonly unknown: string[];
  mismatch: string | undefined;
  /** Custom kinds: types are left to their validation, which tells all of them. */
  readonly lenient: boolean;
}

/** Kubernetes' own kinds are decoded into typed fields: the result is what Go would write of it. */
export function decodeBuiltin(schema: Schema, object: Fields): Decoded {
  const walk: Walk = { unknown: [], mismatch: undefined, lenient: false };
  const value = normalised(schema, decodeObject(walk, schema, object, "")) as Fields;
  return { value, unknown: walk.unknown, ...(walk.mismatch === undefined ? {} : { mismatch: walk.mismatch }) };
}

/** As `decodeBuiltin`, but what was said stays as it was said: for server-side apply, which asks who said what. */
export function decodeSaid(schema: Schema, object: Fields): Decoded {
  const walk: Walk = { unknown: [], mismatch: undefined, lenient: false };
  const value = decodeObject(walk, schema, object, "") as Fields;
  return { value, unknown: walk.unknown, ...(walk.mismatch === undefined ? {} : { mismatch: walk.mismatch }) };
}

/** The zeros of typed fields, as Go writes them. The same value when nothing changes. */
export function normalised(schema: Schema, value: unknown): unknown {
  if (schema.type === "object" && isFields(value) && schema.properties !== undefined) return normalisedObject(schema, value);
  const { items } = schema;
  if (items === undefined) return value;
  if (schema.type === "list" && Array.isArray(value)) return mapShared(value, (item) => normalised(items, item));
  if (schema.type === "map" && isFields(value) && (items.type === "object" || items.type === "list"))
    return withFields(value, Object.fromEntries(Object.keys(value).map((key) => [key, normalised(items, value[key])])));
  return value;
}

function normalisedObject(schema: Schema, object: Fields): Fields {
  let changes: Record<string, unknown> | undefined;
  const put = (name: string, value: unknown) => {
    changes ??= {};
    changes[name] = value;
  };
  for (const name of Object.keys(object)) {
    const field = schema.properties?.get(name);
    if (field === undefined || object[name] === undefined) continue;
    const after = normalisedField(field, object[name]);
    if (after !== object[name]) put(name, after);
  }
  for (const [name, field] of alwaysWritten(schema)) if (object[name] === undefined) put(name, normalisedField(field, undefined));
  return changes === undefined ? object : withFields(object, changes);
}

const written = new WeakMap<Schema, readonly (readonly [string, Schema])[]>();

/** The few fields of a type that are there whatever was said. */
function alwaysWritten(schema: Schema): readonly (readonly [string, Schema])[] {
  let fields = written.get(schema);
  if (fields === undefined) {
    fields = [...(schema.properties ?? [])].filter(([, field]) => normalisedField(field, undefined) !== undefined);
    written.set(schema, fields);
  }
  return fields;
}

function normalisedField(field: Schema, value: unknown): unknown {
  if (value === undefined) {
    if (field.zero === undefined || field.zero === "pointer") return undefined;
    if (field.type === "object") return normalised(field, {});
    return field.zero === "written" ? zeroOf(field) : undefined;
  }
  if (field.zero === "omitted" && isZeroValue(value)) return undefined;
  return normalised(field, value);
}

const isZeroValue = (value: unknown): boolean =>
  value === "" || value === 0 || value === false || (Array.isArray(value) && value.length === 0);

/** Lists and maps have no zero but null, which nobody needs to see. */
function zeroOf(field: Schema): unknown {
  switch (field.type) {
    case "string":
      return "";
    case "boolean":
      return false;
    case "integer":
    case "number":
      return 0;
    default:
      return undefined;
  }
}

/** Custom kinds: only fields that the schema does not name go. */
export function pruneCustom(schema: Schema, object: Fields): Decoded {
  const walk: Walk = { unknown: [], mismatch: undefined, lenient: true };
  return { value: decodeObject(walk, schema, object, "") as Fields, unknown: walk.unknown };
}

function decodeValue(walk: Walk, schema: Schema, value: unknown, path: string): unknown {
  switch (schema.type) {
    case "object":
      return isFields(value) ? decodeObject(walk, schema, value, path) : wrong(walk, value, path, schema.typeName ?? "object");
    case "map":
      return isFields(value) ? decodeMap(walk, schema, value, path) : wrong(walk, value, path, "map");
    case "list":
      return Array.isArray(value) ? decodeList(walk, schema, value, path) : wrong(walk, value, path, "list");
    default:
      return walk.lenient || fits(schema, value) ? value : wrong(walk, value, path, schema.type);
  }
}

function decodeObject(walk: Walk, schema: Schema, object: Fields, path: string): unknown {
  const { properties } = schema;
  let result: Record<string, unknown> | undefined;
  for (const name of Object.keys(object)) {
    const value = object[name];
    const field = properties?.get(name);
    const at = path === "" ? name : `${path}.${name}`;
    let decoded: unknown;
    if (value === null && !walk.lenient) decoded = undefined;
    else if (field !== undefined) decoded = value === null ? null : decodeValue(walk, field, value, at);
    else if (schema.open === true || (schema.embedded === true && isTypeMeta(name))) decoded = value;
    else {
      walk.unknown.push(`unknown field "${at}"`);
      decoded = undefined;
    }
    if (decoded === value) continue;
    result ??= { ...object };
    if (decoded === undefined) delete result[name];
    else setOwn(result, name, decoded);
  }
  return result ?? object;
}

const isTypeMeta = (name: string): boolean => name === "apiVersion" || name === "kind" || name === "metadata";

function decodeMap(walk: Walk, schema: Schema, map: Fields, path: string): unknown {
  const items = schema.items as Schema;
  let result: Record<string, unknown> | undefined;
  const keys = Object.keys(map);
  if (keys.length === 0 && schema.zero === "omitted") return undefined;
  for (const key of keys) {
    const value = map[key];
    const decoded = value === null ? (walk.lenient ? null : emptyOf(items)) : decodeValue(walk, items, value, `${path}.${key}`);
    if (decoded === value) continue;
    result ??= { ...map };
    setOwn(result, key, decoded);
  }
  return result ?? map;
}

function decodeList(walk: Walk, schema: Schema, list: readonly unknown[], path: string): unknown {
  const items = schema.items as Schema;
  let result: unknown[] | undefined;
  for (const [index, value] of list.entries()) {
    const decoded = value === null ? null : decodeValue(walk, items, value, `${path}[${index}]`);
    if (decoded === value) continue;
    result ??= [...list];
    result[index] = decoded === undefined ? emptyOf(items) : decoded;
  }
  return result ?? list;
}

/** What an absent item of a typed list or map is. */
function emptyOf(schema: Schema): unknown {
  switch (schema.type) {
    case "object":
    case "map":
      return {};
    case "list":
      return [];
    case "boolean":
      return false;
    case "integer":
    case "number":
      return 0;
    default:
      return "";
  }
}

function fits(schema: Schema, value: unknown): boolean {
  switch (schema.type) {
    case "string":
    case "bytes":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
    case "integer":
      return Number.isInteger(value) && (schema.long === true || Math.abs(value as number) <= 2 ** 31);
    case "number":
      return typeof value === "number";
    case "intOrString":
      return typeof value === "string" || Number.isInteger(value);
    case "quantity":
      return parseQuantity(value) !== undefined;
    case "time":
    case "microTime":
      return typeof value === "string" && (value === "" || parseTime(value) !== undefined || value.startsWith("0001-"));
    default:
      return true;
  }
}

const jsonNames: Readonly<Record<string, string>> = { boolean: "bool", object: "object", number: "number", string: "string" };

function wrong(walk: Walk, value: unknown, path: string, wanted: string): unknown {
  if (walk.lenient) return value;
  const given = Array.isArray(value) ? "array" : (jsonNames[typeof value] ?? typeof value);
  const shortPath = path.replaceAll(/\[\d+\]/g, "");
  walk.mismatch ??=
    wanted === "quantity"
      ? "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
      : `json: cannot unmarshal ${given} into Go struct field ${shortPath} of type ${goType(wanted)}`;
  return value;
}

function goType(wanted: string): string {
  switch (wanted) {
    case "integer":
      return "int32";
    case "boolean":
      return "bool";
    case "list":
      return "[]interface {}";
    case "map":
      return "map[string]string";
    case "number":
      return "float64";
    default:
      return wanted;
  }
}
