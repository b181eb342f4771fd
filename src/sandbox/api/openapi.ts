/** OpenAPI v3, as far as kubectl reads it: schemas for `explain` and patches, and which query parameters a PATCH takes. */
import type { Fields } from "../../kube/json.ts";
import type { Resource, Version } from "../kinds/resource.ts";
import { builtinType } from "../schema/builtin.ts";
import type { Schema } from "../schema/schema.ts";
import type { Registry } from "./registry.ts";

/** @returns undefined for other paths */
export function openApiDocument(registry: Registry, path: string): Fields | undefined {
  if (path === "/openapi/v3" || path === "/openapi/v3/") return index(registry);
  const match = /^\/openapi\/v3\/(?:api|apis\/([^/]+))\/([^/]+)$/.exec(path);
  if (match === null) return undefined;
  const [, group = "", version = ""] = match;
  const served = registry
    .all()
    .filter(({ kind }) => kind.group === group)
    .flatMap((resource) => resource.versions.filter(({ name }) => name === version).map((found) => ({ resource, version: found })));
  return served.length === 0 ? undefined : document(served);
}

function index(registry: Registry): Fields {
  const paths: Record<string, unknown> = {};
  for (const [group, versions] of registry.groups())
    for (const version of versions) {
      const path = group === "" ? `api/${version}` : `apis/${group}/${version}`;
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${registry.generation}` };
    }
  return { paths };
}

interface Served {
  readonly resource: Resource;
  readonly version: Version;
}

function document(served: readonly Served[]): Fields {
  const schemas: Record<string, Fields> = {};
  const paths: Record<string, unknown> = {};
  for (const entry of served) {
    const name = nameOf(entry);
    const printed =
      entry.resource.custom === undefined ? builtinSchema(entry.version.schema.typeName as string, schemas) : customSchema(entry, schemas);
    schemas[name] = { ...printed, "x-kubernetes-group-version-kind": [gvkOf(entry)] };
    Object.assign(paths, pathsOf(entry, name));
  }
  return { openapi: "3.0.0", info: { title: "Kubernetes", version: "sandbox" }, paths, components: { schemas } };
}

function gvkOf({ resource, version }: Served): Fields {
  return { group: resource.kind.group, kind: resource.kind.kind, version: version.name };
}

function nameOf({ resource, version }: Served): string {
  if (resource.custom === undefined) return openApiName(version.schema.typeName as string);
  return `${resource.kind.group.split(".").reverse().join(".")}.${version.name}.${resource.kind.kind}`;
}

/** "core.v1.Pod" → "io.k8s.api.core.v1.Pod" */
function openApiName(typeName: string): string {
  if (typeName.startsWith("meta.v1.")) return `io.k8s.apimachinery.pkg.apis.${typeName}`;
  if (typeName.startsWith("apiextensions.")) return `io.k8s.apiextensions-apiserver.pkg.apis.${typeName}`;
  return `io.k8s.api.${typeName}`;
}

const query = (name: string, type = "string"): Fields => ({ name, in: "query", schema: { type, uniqueItems: true } });
const writeParameters = [query("dryRun"), query("fieldManager"), query("fieldValidation")];

function pathsOf(served: Served, schemaName: string): Fields {
  const { resource, version } = served;
  const { group, plural, namespaced } = resource.kind;
  const root = group === "" ? `/api/${version.name}` : `/apis/${group}/${version.name}`;
  const collection = namespaced ? `${root}/namespaces/{namespace}/${plural}` : `${root}/${plural}`;
  const gvk = gvkOf(served);
  const content = { "application/json": { schema: { $ref: `#/components/schemas/${schemaName}` } } };
  const operation = (action: string, parameters: readonly Fields[]): Fields => ({
    parameters,
    responses: { "200": { description: "OK", content } },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": gvk,
  });
  return {
    [collection]: { get: operation("list", [query("labelSelector"), query("fieldSelector")]), post: operation("post", writeParameters) },
    [`${collection}/{name}`]: {
      get: operation("get", []),
      put: operation("put", writeParameters),
      patch: operation("patch", [...writeParameters, query("force", "boolean")]),
      delete: operation("delete", [query("dryRun"), query("gracePeriodSeconds", "integer"), query("propagationPolicy")]),
    },
  };
}

function customSchema({ version }: Served, schemas: Record<string, Fields>): Fields {
  const json = version.schema.json ?? {};
  const properties = { ...(json["properties"] as Fields | undefined), metadata: reference("meta.v1.ObjectMeta", schemas) };
  return { ...json, properties };
}

function reference(typeName: string, schemas: Record<string, Fields>): Fields {
  const name = openApiName(typeName);
  if (schemas[name] === undefined) {
    schemas[name] = {};
    schemas[name] = builtinSchema(typeName, schemas);
  }
  return { allOf: [{ $ref: `#/components/schemas/${name}` }] };
}

function builtinSchema(typeName: string, schemas: Record<string, Fields>): Fields {
  const type = builtinType(typeName);
  const properties: Record<string, Fields> = {};
  for (const [name, field] of type.properties ?? []) properties[name] = printed(field, schemas);
  const required = [...(type.required ?? [])];
  return {
    type: "object",
    ...(required.length > 0 ? { required } : {}),
    ...(type.atomic === true ? { "x-kubernetes-map-type": "atomic" } : {}),
    properties,
  };
}

function printed(schema: Schema, schemas: Record<string, Fields>): Fields {
  const extensions = {
    ...(schema.default === undefined ? {} : { default: schema.default }),
    ...(schema.mergeKey === undefined
      ? {}
      : {
          ...(schema.mergeKey === "" ? {} : { "x-kubernetes-patch-merge-key": schema.mergeKey }),
          "x-kubernetes-patch-strategy": schema.retainKeys === true ? "merge,retainKeys" : "merge",
        }),
    ...(schema.mergeKey === undefined && schema.retainKeys === true ? { "x-kubernetes-patch-strategy": "retainKeys" } : {}),
    ...(schema.type === "list" ? { "x-kubernetes-list-type": schema.listType ?? "atomic" } : {}),
    ...(schema.listKeys === undefined ? {} : { "x-kubernetes-list-map-keys": schema.listKeys }),
  };
  switch (schema.type) {
    case "object":
      return { ...reference(schema.typeName as string, schemas), ...extensions };
    case "map":
      return { type: "object", additionalProperties: printed(schema.items as Schema, schemas), ...extensions };
    case "list":
      return { type: "array", items: printed(schema.items as Schema, schemas), ...extensions };
    case "intOrString":
    case "quantity":
    case "time":
    case "microTime":
      return { ...named(schema.type, schemas), ...extensions };
    case "integer":
      return { type: "integer", format: schema.long === true ? "int64" : "int32", ...extensions };
    case "bytes":
      return { type: "string", format: "byte", ...extensions };
    case "any":
      return { type: "object", ...extensions };
    default:
      return { type: schema.type, ...extensions };
  }
}

/** Scalars that have a name of their own. */
const scalars = {
  intOrString: {
    name: "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    schema: { oneOf: [{ type: "integer" }, { type: "string" }], format: "int-or-string" },
  },
  quantity: { name: "io.k8s.apimachinery.pkg.api.resource.Quantity", schema: { oneOf: [{ type: "string" }, { type: "number" }] } },
  time: { name: "io.k8s.apimachinery.pkg.apis.meta.v1.Time", schema: { type: "string", format: "date-time" } },
  microTime: { name: "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", schema: { type: "string", format: "date-time" } },
} as const;

function named(type: keyof typeof scalars, schemas: Record<string, Fields>): Fields {
  const { name, schema } = scalars[type];
  schemas[name] = schema;
  return { allOf: [{ $ref: `#/components/schemas/${name}` }] };
}
