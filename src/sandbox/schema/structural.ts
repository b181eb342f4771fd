/** From a custom kind's `openAPIV3Schema` to a `Schema`. Structural schemas only, which is all that CRDs of v1 may have. */
import { type Fields, fieldsOf, isFields, itemsOf, mapShared, textOf, withFields } from "../../kube/json.ts";
import { objectMeta } from "./builtin.ts";
import { anySchema, type Schema, type SchemaType } from "./schema.ts";

/** @param json the schema of the whole object */
export function structuralSchema(json: unknown): Schema {
  const schema = read(json);
  const properties = new Map(schema.properties ?? []);
  properties.set("apiVersion", { type: "string" });
  properties.set("kind", { type: "string" });
  properties.set("metadata", objectMeta());
  return { ...schema, type: "object", properties };
}

function read(json: unknown): Schema {
  const node = fieldsOf(json);
  const base = {
    json: node,
    ...(node["default"] === undefined ? {} : { default: node["default"] }),
    ...(node["nullable"] === true ? { nullable: true } : {}),
    ...(node["x-kubernetes-preserve-unknown-fields"] === true ? { open: true } : {}),
    ...(node["x-kubernetes-map-type"] === "atomic" ? { atomic: true } : {}),
  };
  if (node["x-kubernetes-int-or-string"] === true) return { ...base, type: "intOrString" };
  switch (node["type"]) {
    case "object":
      return readObject(node, base);
    case "array": {
      const listType = node["x-kubernetes-list-type"];
      return {
        ...base,
        type: "list",
        items: isFields(node["items"]) ? read(node["items"]) : anySchema,
        listType: listType === "map" || listType === "set" ? listType : "atomic",
        ...(listType === "map" ? { listKeys: itemsOf(node["x-kubernetes-list-map-keys"]).map(textOf) } : {}),
      };
    }
    case "string":
    case "boolean":
    case "integer":
    case "number":
      return { ...base, type: node["type"] as SchemaType, ...(node["format"] === "int64" ? { long: true } : {}) };
    default:
      return { ...base, type: "any", open: true };
  }
}

function readObject(node: Readonly<Record<string, unknown>>, base: Partial<Schema>): Schema {
  const additional = node["additionalProperties"];
  if (isFields(additional)) return { ...base, type: "map", items: read(additional) };
  if (additional === true) return { ...base, type: "map", items: anySchema };
  const properties = new Map(Object.entries(fieldsOf(node["properties"])).map(([name, child]) => [name, read(child)]));
  const embedded = node["x-kubernetes-embedded-resource"] === true;
  if (embedded) {
    properties.set("apiVersion", { type: "string" });
    properties.set("kind", { type: "string" });
    properties.set("metadata", objectMeta());
  }
  return {
    ...base,
    type: "object",
    properties,
    required: new Set(itemsOf(node["required"]).map(textOf)),
    ...(embedded ? { embedded } : {}),
  };
}

/** Fills in the defaults of a custom kind; the same object when nothing was missing. */
export function withSchemaDefaults(schema: Schema, value: unknown): unknown {
  const { items } = schema;
  if (schema.type === "object" && isFields(value)) return withFieldDefaults(schema, value);
  if (items === undefined) return value;
  if (schema.type === "map" && isFields(value)) {
    const changes = Object.entries(value).map(([key, before]) => [key, withSchemaDefaults(items, before)] as const);
    return withFields(value, Object.fromEntries(changes));
  }
  return schema.type === "list" && Array.isArray(value) ? mapShared(value, (item) => withSchemaDefaults(items, item)) : value;
}

function withFieldDefaults(schema: Schema, value: Fields): Fields {
  const changes: Record<string, unknown> = {};
  for (const [name, field] of schema.properties ?? []) {
    const before = value[name];
    const missing = before === undefined || (before === null && field.nullable !== true);
    const given = missing && field.default !== undefined ? structuredClone(field.default) : before;
    const after = name === "metadata" ? given : withSchemaDefaults(field, given);
    if (after !== before) changes[name] = after;
  }
  return withFields(value, changes);
}
