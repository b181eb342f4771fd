/** Reads the type tables into something that encoders, patches and validation can walk. */
import { coreTypes } from "./core-types.ts";
import { workloadTypes } from "./workload-types.ts";

export type ScalarKind = "string" | "boolean" | "integer" | "quantity" | "intOrString" | "time";

export interface FieldType {
  readonly name: string;
  /** `"name":` */
  readonly prefix: string;
  readonly shape: "one" | "list" | "map";
  /** Absent and zero differ. */
  readonly pointer: boolean;
  /** Written also when absent. */
  readonly always: boolean;
  readonly kind: ScalarKind | "object";
  /** The name of the object's type; "" for scalars. */
  readonly typeName: string;
}

export interface ObjectType {
  readonly name: string;
  /** In the order of declaration. */
  readonly fields: readonly FieldType[];
  /** In the order of the field names' bytes. */
  readonly sorted: readonly FieldType[];
  readonly byName: ReadonlyMap<string, FieldType>;
}

const scalars: Readonly<Record<string, ScalarKind>> = {
  s: "string",
  b: "boolean",
  i: "integer",
  q: "quantity",
  x: "intOrString",
  t: "time",
};

/** `field:code` as a field. */
function readField(text: string): FieldType {
  const colon = text.indexOf(":");
  const name = text.slice(0, colon);
  const match = /^(\[\]|\{\})?(\*)?(\w+)(!)?$/.exec(text.slice(colon + 1));
  if (colon <= 0 || match === null) throw new Error(`unreadable field in a type table: ${text}`);
  const [, container, pointer, code, always] = match;
  const kind = scalars[code as string];
  return {
    name,
    prefix: `"${name}":`,
    shape: container === "[]" ? "list" : container === "{}" ? "map" : "one",
    pointer: pointer === "*",
    always: always === "!",
    kind: kind ?? "object",
    typeName: kind === undefined ? (code as string) : "",
  };
}

function readTable(table: string, types: Map<string, ObjectType>): void {
  for (const line of table.replace(/\n +/g, " ").split("\n")) {
    if (line.trim() === "") continue;
    const [name = "", rest = ""] = line.split(" = ");
    const fields = rest.trim().split(/\s+/).map(readField);
    const sorted = [...fields].sort((a, b) => (a.name < b.name ? -1 : 1));
    types.set(name, { name, fields, sorted, byName: new Map(fields.map((field) => [field.name, field])) });
  }
}

let allTypes: ReadonlyMap<string, ObjectType> | undefined;

/** Every known type. Read on first use: a mode that never encodes does not pay for it. */
export function objectTypes(): ReadonlyMap<string, ObjectType> {
  if (allTypes === undefined) {
    const types = new Map<string, ObjectType>();
    readTable(coreTypes, types);
    readTable(workloadTypes, types);
    allTypes = types;
  }
  return allTypes;
}

/** @throws when there is no such type: names are ours, never the user's */
export function objectType(name: string): ObjectType {
  const type = objectTypes().get(name);
  if (type === undefined) throw new Error(`no type named ${name} in the tables`);
  return type;
}
