/**
 * The types of Kubernetes' own kinds, read from types.txt: facts of the OpenAPI that Kubernetes 1.34 publishes.
 *
 * A line is `Type = field:code …`. Codes: `s` string, `B` bytes, `b` boolean, `i` and `l` integers of 32 and 64 bits, `n` number,
 * `x` int-or-string, `q` quantity, `t` time, `T` time with microseconds, `o` anything, or a type's name; `[]` a list, `{}` a map of them.
 * After the field's name: `*` a pointer, whose zero value is not the same as none; `+` written even when it is zero. Suffixes: `!` required, `@key,key` a list that is a map by these keys (`@set` a set, `@atomic` an object owned as a whole), `^key`
 * merged by strategic patches, `~` with retained keys, `=json` the default.
 */
import type { Schema, SchemaType } from "./schema.ts";
import table from "./types.txt" with { type: "text" };

const scalars: Readonly<Record<string, SchemaType>> = {
  s: "string",
  B: "bytes",
  b: "boolean",
  i: "integer",
  l: "integer",
  n: "number",
  x: "intOrString",
  q: "quantity",
  t: "time",
  T: "microTime",
  o: "any",
};

/** One type of the table. Its fields are read when first asked for: types lead to each other, and most are never needed. */
class BuiltinType implements Schema {
  readonly type = "object";
  readonly atomic: boolean;
  #fields: { readonly properties: ReadonlyMap<string, Schema>; readonly required: ReadonlySet<string> } | undefined;

  constructor(
    readonly typeName: string,
    readonly line: string,
    atomic: boolean,
  ) {
    this.atomic = atomic;
  }
  get properties(): ReadonlyMap<string, Schema> {
    return this.#read().properties;
  }
  get required(): ReadonlySet<string> {
    return this.#read().required;
  }
  #read() {
    if (this.#fields !== undefined) return this.#fields;
    const properties = new Map<string, Schema>();
    const required = new Set<string>();
    for (const text of this.line.split(" ")) {
      if (text === "") continue;
      const field = readField(text);
      properties.set(field.name, field.schema);
      if (field.required) required.add(field.name);
    }
    this.#fields = { properties, required };
    return this.#fields;
  }
}

/** A field that holds a type: the type's fields, by reference. */
class FieldOfType implements Schema {
  readonly type = "object";
  constructor(
    private readonly target: Schema,
    readonly retainKeys: boolean,
    readonly atomic: boolean,
    readonly zero: Schema["zero"],
  ) {}
  get typeName(): string | undefined {
    return this.target.typeName;
  }
  get properties(): ReadonlyMap<string, Schema> | undefined {
    return this.target.properties;
  }
  get required(): ReadonlySet<string> | undefined {
    return this.target.required;
  }
}

const fieldText = /^([^:*+]+)([*+]?):((?:\[\]|\{\})*)([\w.$-]+)(!)?(?:@([\w,]+))?(\^\w*)?(~)?(?:=(.*))?$/;

function readField(text: string): { readonly name: string; readonly schema: Schema; readonly required: boolean } {
  const match = fieldText.exec(text);
  if (match === null) throw new Error(`unreadable field in the type table: ${text}`);
  const [, name = "", flag = "", containers = "", code = "", required, keys, merge, retain, given] = match;
  let schema = typeOf(code);
  for (let rest = containers; rest !== ""; rest = rest.slice(0, -2))
    schema = {
      type: rest.endsWith("[]") ? "list" : "map",
      items: schema,
      ...(rest.endsWith("[]") ? { listType: "atomic" } : {}),
    } as Schema;
  if (schema.type === "list" && keys !== undefined)
    schema = { ...schema, ...(keys === "set" ? { listType: "set" } : { listType: "map", listKeys: keys.split(",") }) };
  else if (keys === "atomic" && schema.type !== "object") schema = { ...schema, atomic: true };
  const zero = flag === "*" ? "pointer" : flag === "+" ? "written" : "omitted";
  if (schema.type === "object") schema = new FieldOfType(schema, retain !== undefined, keys === "atomic" || schema.atomic === true, zero);
  else schema = { ...schema, zero, ...(merge === undefined ? {} : { mergeKey: merge.slice(1) }), retainKeys: retain !== undefined };
  if (given !== undefined) schema = { ...schema, default: JSON.parse(given) as unknown };
  return { name, schema, required: required !== undefined };
}

const scalarSchemas = new Map<string, Schema>(
  Object.entries(scalars).map(([code, type]) => [
    code,
    { type, ...(code === "l" ? { long: true } : {}), ...(type === "any" ? { open: true } : {}) },
  ]),
);

function typeOf(code: string): Schema {
  return scalarSchemas.get(code) ?? builtinType(code);
}

let types: ReadonlyMap<string, BuiltinType> | undefined;

function allTypes(): ReadonlyMap<string, BuiltinType> {
  if (types === undefined) {
    const read = new Map<string, BuiltinType>();
    for (const line of table.split("\n")) {
      const equals = line.indexOf(" =");
      if (equals < 0) continue;
      const [name = "", suffix] = line.slice(0, equals).split("@");
      read.set(name, new BuiltinType(name, line.slice(equals + 2).trim(), suffix === "atomic"));
    }
    types = read;
  }
  return types;
}

/** @param name "core.v1.Pod" @throws when there is no such type: names are ours, never the user's */
export function builtinType(name: string): Schema {
  const type = allTypes().get(name);
  if (type === undefined) throw new Error(`no type named ${name} in the type table`);
  return type;
}

export function builtinTypeNames(): readonly string[] {
  return [...allTypes().keys()];
}

export const objectMeta = (): Schema => builtinType("meta.v1.ObjectMeta");
