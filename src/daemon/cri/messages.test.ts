/** What we write, an independent library reads, and the other way round: for each message of runtime.proto, with any content. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import protobuf from "protobufjs";
import * as generated from "./messages.ts";
import type { Message } from "./proto.ts";

const root = protobuf.loadSync(join(import.meta.dir, "runtime.proto")).resolveAll();
const types = (root.lookup("runtime.v1") as protobuf.Namespace).nestedArray.filter((each) => each instanceof protobuf.Type);
const times: ReadonlySet<string> = new Set(["createdAt", "startedAt"]);

const tableOf = ({ name }: protobuf.Type) =>
  (generated as unknown as Record<string, Message<object>>)[name.charAt(0).toLowerCase() + name.slice(1)]!;

/** Any value as our codec has it; times only so that a double holds their nanoseconds exactly. */
function anyOf(type: protobuf.Type): fc.Arbitrary<object> {
  return fc.record(Object.fromEntries(type.fieldsArray.map((field) => [ourName(field), anyField(field)])));
}

function anyField(field: protobuf.Field): fc.Arbitrary<unknown> {
  const { resolvedType } = field;
  if (field instanceof protobuf.MapField) return fc.dictionary(fc.string(), fc.string()).map((map) => ({ ...map }));
  if (resolvedType instanceof protobuf.Type) {
    const inner = anyOf(resolvedType);
    return field.repeated ? fc.array(inner, { maxLength: 3 }) : fc.option(inner, { nil: undefined });
  }
  if (field.repeated) return fc.array(fc.string());
  if (times.has(field.name)) return fc.integer({ min: 0, max: 500_000_000_000 }).map((of8) => of8 * 8);
  if (resolvedType instanceof protobuf.Enum) return fc.integer({ min: 0, max: 3 });
  switch (field.type) {
    case "string":
      return fc.string();
    case "bytes":
      return fc.uint8Array();
    case "bool":
      return fc.boolean();
    default:
      return fc.nat({ max: field.type.endsWith("64") ? Number.MAX_SAFE_INTEGER : 2 ** 31 - 1 });
  }
}

const ourName = ({ name }: protobuf.Field) => (times.has(name) ? `${name}Ms` : name);

/** Ours as the library has it. */
function theirs(type: protobuf.Type, ours: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    type.fieldsArray.map((field) => {
      const value = ours[ourName(field)];
      if (times.has(field.name)) return [field.name, String(BigInt(value as number) * 1_000_000n)];
      if (field.type.endsWith("64")) return [field.name, String(value)];
      if (value instanceof Uint8Array) return [field.name, Buffer.from(value).toString("base64")];
      const { resolvedType } = field;
      if (!(resolvedType instanceof protobuf.Type)) return [field.name, value];
      if (field.repeated) return [field.name, (value as Record<string, unknown>[]).map((each) => theirs(resolvedType, each))];
      return [field.name, value === undefined ? null : theirs(resolvedType, value as Record<string, unknown>)];
    }),
  );
}

const asObject = { longs: String, bytes: String, defaults: true, arrays: true, objects: true } as const;

describe.each(types.map((type) => [type.name, type] as const))("%s", (_, type) => {
  const table = tableOf(type);
  test("read by the other side as it was written", () =>
    fc.assert(
      fc.property(anyOf(type), (value) => {
        const read = type.toObject(type.decode(table.encode(value)), asObject);
        expect(read).toEqual(theirs(type, value as Record<string, unknown>));
      }),
      { numRuns: 50 },
    ));
  test("written by the other side, read as it was meant", () =>
    fc.assert(
      fc.property(anyOf(type), (value) => {
        const written = type.encode(type.fromObject(withoutNull(theirs(type, value as Record<string, unknown>)) as object)).finish();
        expect(table.decode(written)).toEqual(value);
      }),
      { numRuns: 50 },
    ));
});

function withoutNull(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNull);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, each]) => (each === null ? [] : [[key, withoutNull(each)]])));
}

test("an exit code below zero, as the other side writes it", () => {
  const type = types.find(({ name }) => name === "ExecSyncResponse")!;
  expect(generated.execSyncResponse.decode(type.encode({ exitCode: -1 }).finish()).exitCode).toBe(-1);
});

test("every call has its path", () => {
  const paths = [generated.runtimeService, generated.imageService].flatMap((service) => Object.values(service).map(({ path }) => path));
  expect(paths).toContain("/runtime.v1.RuntimeService/StopContainer");
  expect(paths).toContain("/runtime.v1.ImageService/PullImage");
  expect(new Set(paths).size).toBe(9);
});
