/** Prints a kind's definition as the CustomResourceDefinition that the API server understands. */
import * as v from "valibot";
import type { KindDefinition, PrinterColumn, VersionDefinition } from "./definition.ts";
import { install } from "./names.ts";
import type { Schema } from "./schema/kit.ts";

export type OpenApi = Readonly<Record<string, unknown>>;

export function customResourceDefinition(definition: KindDefinition): OpenApi {
  const { kind } = definition;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${kind.plural}.${kind.group}` },
    spec: {
      group: kind.group,
      names: {
        kind: kind.kind,
        listKind: definition.listKind,
        plural: kind.plural,
        ...(definition.shortNames.length > 0 ? { shortNames: definition.shortNames } : {}),
        singular: definition.singular,
      },
      scope: kind.namespaced ? "Namespaced" : "Cluster",
      conversion: definition.conversion === undefined ? { strategy: "None" } : webhookConversion,
      versions: definition.versions.map((version) => versionOf(definition, version)),
    },
  };
}

/** The manager adds caBundle, and puts in the names of its own installation. */
const webhookConversion = {
  strategy: "Webhook",
  webhook: {
    clientConfig: {
      service: { namespace: install.namespace, name: install.webhookService, path: install.conversionPath, port: 443 },
    },
    conversionReviewVersions: ["v1", "v1beta1"],
  },
};

function versionOf(definition: KindDefinition, version: VersionDefinition): OpenApi {
  const { status, scale } = version.subresources;
  return {
    name: version.name,
    served: version.served,
    storage: version.storage,
    ...(version.columns.length > 0 ? { additionalPrinterColumns: version.columns.map(columnOf) } : {}),
    subresources: { ...(scale ? { scale } : {}), ...(status ? { status: {} } : {}) },
    schema: { openAPIV3Schema: objectSchema(definition, version) },
  };
}

function columnOf({ name, type, jsonPath, description, format, priority }: PrinterColumn): OpenApi {
  return {
    ...(description === undefined ? {} : { description }),
    ...(format === undefined ? {} : { format }),
    jsonPath,
    name,
    ...(priority === undefined ? {} : { priority }),
    type,
  };
}

function objectSchema(definition: KindDefinition, version: VersionDefinition): OpenApi {
  const printed = openApi(version.schema);
  return {
    description: `${definition.kind.kind} of ${definition.kind.group}/${version.name}.`,
    ...printed,
    properties: {
      apiVersion: { type: "string", description: "Version of the schema of this object." },
      kind: { type: "string", description: "What this object is." },
      metadata: { type: "object" },
      ...(printed["properties"] as OpenApi),
    },
  };
}

/** A schema in structural OpenAPI v3. Throws for valibot schemas that have no such form. */
export function openApi(schema: Schema): OpenApi {
  const description = v.getDescription(schema);
  return { ...(description === undefined ? {} : { description }), ...typeOf(schema as AnySchema), ...v.getMetadata(schema) };
}

/** Just so much of valibot's schemas as is read here. */
interface AnySchema {
  readonly type: string;
  readonly entries?: Readonly<Record<string, AnySchema>>;
  readonly item?: AnySchema;
  readonly value?: AnySchema;
  readonly wrapped?: AnySchema;
  readonly options?: readonly unknown[];
}

const openApiOf = (schema: AnySchema | undefined): OpenApi => openApi(schema as unknown as Schema);

function typeOf(schema: AnySchema): OpenApi {
  switch (schema.type) {
    case "string":
    case "boolean":
      return { type: schema.type };
    case "number":
      return { type: "integer" };
    case "picklist":
      return { type: "string", enum: schema.options };
    // Whole numbers or text, which OpenAPI calls a thing of its own: see `intOrString`.
    case "union":
      return { anyOf: [{ type: "integer" }, { type: "string" }] };
    case "unknown":
      return {};
    case "array":
      return { type: "array", items: openApiOf(schema.item) };
    case "record":
      return { type: "object", additionalProperties: openApiOf(schema.value) };
    case "object":
      return objectOf(schema.entries ?? {});
    default:
      throw new Error(`a ${schema.type} schema has no structural OpenAPI form: use the words of schema/kit.ts`);
  }
}

function objectOf(entries: Readonly<Record<string, AnySchema>>): OpenApi {
  const properties: Record<string, OpenApi> = {};
  const required: string[] = [];
  for (const name of Object.keys(entries).sort()) {
    const entry = entries[name] as AnySchema;
    if (entry.type !== "optional") required.push(name);
    properties[name] = openApiOf(entry.type === "optional" ? entry.wrapped : entry);
  }
  return { type: "object", ...(required.length > 0 ? { required } : {}), properties };
}
