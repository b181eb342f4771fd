/**
 * The words schemas are written in. Each returns a valibot schema whose output is the TypeScript type, with the metadata from which
 * src/api/crd.ts prints OpenAPI. Fields are optional unless listed as required, as everywhere in Kubernetes.
 */
import * as v from "valibot";
import type { IntOrString } from "../../kube/types.ts";

/** A schema by what it accepts. How it is built does not show in the type, which keeps types readable and the compiler fast. */
export type Schema<T = unknown> = v.GenericSchema<T>;
export type Output<S extends Schema> = v.InferOutput<S>;

/** What a CRD may say about a value besides its type, in OpenAPI's and Kubernetes' spelling. */
export interface Keywords {
  readonly format?: "int32" | "int64" | "date-time";
  readonly default?: unknown;
  readonly minimum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly maxItems?: number;
  readonly "x-kubernetes-map-type"?: "atomic";
  readonly "x-kubernetes-list-type"?: "atomic" | "map" | "set";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
  readonly "x-kubernetes-embedded-resource"?: true;
  readonly "x-kubernetes-int-or-string"?: true;
  readonly "x-kubernetes-validations"?: readonly { readonly rule: string; readonly message: string }[];
}

/** The same schema with further keywords. Limits are for the API server to enforce: parsing with the schema checks types only. */
export function withKeywords<T>(schema: Schema<T>, keywords: Keywords): Schema<T> {
  return v.pipe(schema, v.metadata({ ...keywords }));
}

/** The same schema with a short description, for `kubectl explain`. */
export function about<T>(description: string, schema: Schema<T>): Schema<T> {
  return v.pipe(schema, v.description(description));
}

/** A default that the API server fills in whenever the parent object is present. */
export function withDefault<T>(schema: Schema<T>, value: T): Schema<T> {
  return withKeywords(schema, { default: value });
}

export const text: Schema<string> = v.string();
export const flag: Schema<boolean> = v.boolean();
export const int32: Schema<number> = withKeywords(v.pipe(v.number(), v.integer()), { format: "int32" });
export const int64: Schema<number> = withKeywords(v.pipe(v.number(), v.integer()), { format: "int64" });
/** RFC 3339, as the API server sends it. */
export const dateTime: Schema<string> = withKeywords(v.string(), { format: "date-time" });
export const intOrString: Schema<IntOrString> = withKeywords(v.union([v.pipe(v.number(), v.integer()), v.string()]), {
  "x-kubernetes-int-or-string": true,
});

/** One of these words; the API server refuses any other. */
export function oneOf<const W extends string>(...words: readonly W[]): Schema<W> {
  return v.picklist(words);
}

/** Words that mean something, where the schema lets any text in: admission, if anybody, refuses the rest. */
export type Known<W extends string> = W | (string & {});
export function known<const W extends string>(..._words: readonly W[]): Schema<Known<W>> {
  return v.string();
}

export function list<T>(item: Schema<T>): Schema<T[]> {
  return v.array(item);
}

/** A list that a client replaces as a whole. */
export function atomicList<T>(item: Schema<T>): Schema<T[]> {
  return withKeywords(list(item), { "x-kubernetes-list-type": "atomic" });
}

/** A list whose items server-side apply tells apart by these fields. */
export function listByKey<T>(item: Schema<T>, ...keys: (keyof T & string)[]): Schema<T[]> {
  return withKeywords(list(item), { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys });
}

export function mapOf<T>(value: Schema<T>): Schema<Record<string, T>> {
  return v.record(v.string(), value);
}

type Fields = Readonly<Record<string, Schema>>;
type None = Readonly<Record<never, Schema>>;
type Flat<T> = { [K in keyof T]: T[K] } & {};
type FieldsOutput<R extends Fields, O extends Fields> = Flat<
  { -readonly [K in keyof R]: Output<R[K]> } & { -readonly [K in keyof O]?: Output<O[K]> }
>;

/** An object whose fields are all optional. */
export function fields<const O extends Fields>(optional: O): Schema<FieldsOutput<None, O>> {
  return requiring({}, optional);
}

/** An object with required fields, and maybe optional ones. */
export function requiring<const R extends Fields, const O extends Fields = None>(required: R, optional?: O): Schema<FieldsOutput<R, O>> {
  const entries: Record<string, v.GenericSchema> = { ...required };
  for (const [name, schema] of Object.entries(optional ?? {})) entries[name] = v.optional(schema);
  return v.object(entries) as unknown as Schema<FieldsOutput<R, O>>;
}

/** Anything at all: the API server stores it unread. T is what well-behaved clients put there. */
export function preserved<T>(): Schema<T> {
  return withKeywords(v.unknown() as unknown as Schema<T>, { "x-kubernetes-preserve-unknown-fields": true });
}

/** An object of which the schema knows only its own fields and keeps all others. T is what well-behaved clients put there besides. */
export function open<T>() {
  return <U>(schema: Schema<U>): Schema<Flat<T & U>> =>
    withKeywords(schema as unknown as Schema<Flat<T & U>>, { "x-kubernetes-preserve-unknown-fields": true });
}
