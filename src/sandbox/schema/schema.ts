/**
 * What the fields of an object may hold, in one form for Kubernetes' own kinds and for custom ones: decoding, pruning, defaulting,
 * patching, server-side apply and the published OpenAPI all walk it.
 */
import type { Fields } from "../../kube/json.ts";
import type { PatchSchema } from "../../kube/patch/strategic-schema.ts";

export type SchemaType =
  | "object"
  | "map"
  | "list"
  | "string"
  | "boolean"
  | "integer"
  | "number"
  | "intOrString"
  | "quantity"
  | "time"
  | "microTime"
  | "bytes"
  | "any";

export interface Schema {
  readonly type: SchemaType;
  /** 64 bits of an "integer". */
  readonly long?: boolean;
  /** The type's name in Kubernetes' own OpenAPI; absent for fields of custom kinds. */
  readonly typeName?: string;
  /** Of an "object": by the field's name. */
  readonly properties?: ReadonlyMap<string, Schema>;
  readonly required?: ReadonlySet<string>;
  /** Of a "list" or "map". */
  readonly items?: Schema;
  readonly listType?: "atomic" | "set" | "map";
  readonly listKeys?: readonly string[];
  /**
   * What Go makes of a value that is not there, or zero: "pointer" keeps what was said; "omitted" writes nothing, but an object that is no
   * pointer always; "written" writes the zero. Absent: custom kinds, where what was said is what there is.
   */
  readonly zero?: "pointer" | "omitted" | "written";
  /** Of an "object" or "map": owned as a whole. */
  readonly atomic?: boolean;
  /** How strategic merge patches merge this field. */
  readonly mergeKey?: string;
  readonly retainKeys?: boolean;
  readonly default?: unknown;
  readonly nullable?: boolean;
  /** Fields that the schema does not name stay. */
  readonly open?: boolean;
  /** An object of its own, with apiVersion, kind and metadata. */
  readonly embedded?: boolean;
  /** The custom kind's own JSON schema, for validation and for publishing. */
  readonly json?: Fields;
}

/** The value of any JSON. */
export const anySchema: Schema = { type: "any", open: true };

/** @returns how a strategic merge patch treats the fields of this object */
export function patchSchemaOf(schema: Schema | undefined): PatchSchema {
  return {
    field: (name) => {
      const field = schema?.type === "map" ? schema.items : schema?.properties?.get(name);
      const target = field?.type === "list" || field?.type === "map" ? field.items : field;
      return {
        ...(field?.mergeKey === undefined ? {} : { mergeKey: field.mergeKey }),
        retainKeys: field?.retainKeys ?? false,
        typeName: target === undefined || field?.type === "map" ? undefined : patchSchemaOf(target),
      };
    },
  };
}
