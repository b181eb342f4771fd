/**
 * Reads objects that clients send as protobuf: kubectl's typed commands (create deployment, auth can-i, drain) do, and take JSON for an
 * answer. Field numbers are in wire.txt, facts of the API's generated.proto: `Type = number:field …`, `number*Type` for what Go embeds.
 */
import { type Fields, setOwn } from "../../kube/json.ts";
import { formatMicroTime, formatTime } from "../../kube/time.ts";
import { builtinType } from "./builtin.ts";
import type { Schema } from "./schema.ts";
import wireTable from "./wire.txt" with { type: "text" };

/** What is not protobuf, or not of this type. */
export class Unreadable extends Error {}

const magic = "k8s\0";
const decoder = new TextDecoder();

/** Whether a body begins as Kubernetes' protobuf does. */
export function isProtobuf(contentType: string): boolean {
  return contentType.startsWith("application/vnd.kubernetes.protobuf");
}

/** @param typeOf the type in the tables for an apiVersion and kind @throws Unreadable */
export function readProtobuf(bytes: Uint8Array, typeOf: (apiVersion: string, kind: string) => string | undefined): Fields {
  if (decoder.decode(bytes.subarray(0, 4)) !== magic) throw new Unreadable("the body is not Kubernetes' protobuf");
  let raw: Uint8Array = new Uint8Array();
  const type = { apiVersion: "", kind: "" };
  for (const { number, value } of fieldsIn(bytes.subarray(4))) {
    if (number === 2) raw = bytesOf(value);
    if (number !== 1) continue;
    for (const part of fieldsIn(bytesOf(value))) {
      if (part.number === 1) type.apiVersion = decoder.decode(bytesOf(part.value));
      if (part.number === 2) type.kind = decoder.decode(bytesOf(part.value));
    }
  }
  const name = typeOf(type.apiVersion, type.kind);
  if (name === undefined) throw new Unreadable(`nothing is known of ${type.kind} in ${type.apiVersion}`);
  return { ...readMessage(raw, name, builtinType(name)), ...type };
}

type Wire = number | bigint | Uint8Array;
interface Part {
  readonly number: number;
  readonly value: Wire;
}

function bytesOf(value: Wire): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new Unreadable("a message was expected");
}

function* fieldsIn(bytes: Uint8Array): Generator<Part> {
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    const tag = Number(varint(bytes, cursor));
    const number = tag >>> 3;
    switch (tag & 7) {
      case 0:
        yield { number, value: varint(bytes, cursor) };
        break;
      case 1:
        yield { number, value: new DataView(bytes.buffer, bytes.byteOffset + take(bytes, cursor, 8), 8).getFloat64(0, true) };
        break;
      case 2: {
        const length = Number(varint(bytes, cursor));
        const from = take(bytes, cursor, length);
        yield { number, value: bytes.subarray(from, from + length) };
        break;
      }
      case 5:
        yield { number, value: new DataView(bytes.buffer, bytes.byteOffset + take(bytes, cursor, 4), 4).getFloat32(0, true) };
        break;
      default:
        throw new Unreadable("an unknown kind of field");
    }
  }
}

function take(bytes: Uint8Array, cursor: { at: number }, length: number): number {
  const from = cursor.at;
  cursor.at += length;
  if (cursor.at > bytes.length) throw new Unreadable("the body ends too early");
  return from;
}

function varint(bytes: Uint8Array, cursor: { at: number }): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[take(bytes, cursor, 1)] as number;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asIntN(64, value);
  }
  throw new Unreadable("a number is too long");
}

interface WireField {
  readonly field?: string;
  readonly embedded?: string;
}

let wire: ReadonlyMap<string, ReadonlyMap<number, WireField>> | undefined;

function wireOf(type: string): ReadonlyMap<number, WireField> {
  wire ??= new Map(
    wireTable
      .trim()
      .split("\n")
      .map((line) => {
        const [name = "", rest = ""] = line.split(" = ");
        const fields = rest.split(" ").filter((word) => word !== "");
        return [name, new Map(fields.map(readWireField))] as const;
      }),
  );
  return wire.get(type) ?? new Map();
}

function readWireField(word: string): readonly [number, WireField] {
  const [, number = "", mark, name = ""] = /^(\d+)([:*])(.+)$/.exec(word) ?? [];
  return [Number(number), mark === "*" ? { embedded: name } : { field: name }];
}

/** @param schema of the object that gets the fields: what Go embeds has none of its own */
function readMessage(bytes: Uint8Array, type: string, schema: Schema): Fields {
  const result: Record<string, unknown> = {};
  const numbers = wireOf(type);
  for (const { number, value } of fieldsIn(bytes)) {
    const { field, embedded } = numbers.get(number) ?? {};
    if (embedded !== undefined) Object.assign(result, readMessage(bytesOf(value), embedded, schema));
    const fieldSchema = field === undefined ? undefined : schema.properties?.get(field);
    if (field === undefined || fieldSchema === undefined) continue;
    setOwn(result, field, combined(fieldSchema, result[field], value));
  }
  return result;
}

/** Lists and maps come item by item. */
function combined(schema: Schema, before: unknown, value: Wire): unknown {
  const items = schema.items as Schema;
  if (schema.type === "list") return [...((before as unknown[] | undefined) ?? []), readValue(items, value)];
  if (schema.type !== "map") return readValue(schema, value);
  let key = "";
  let entry: unknown = items.type === "string" ? "" : undefined;
  for (const part of fieldsIn(bytesOf(value))) {
    if (part.number === 1) key = decoder.decode(bytesOf(part.value));
    else entry = items.type === "list" ? readStrings(bytesOf(part.value)) : readValue(items, part.value);
  }
  const map: Record<string, unknown> = { ...((before as Fields | undefined) ?? {}) };
  setOwn(map, key, entry);
  return map;
}

/** A named list of texts, as maps of lists have it. */
function readStrings(bytes: Uint8Array): readonly string[] {
  return [...fieldsIn(bytes)].map(({ value }) => decoder.decode(bytesOf(value)));
}

function readValue(schema: Schema, value: Wire): unknown {
  switch (schema.type) {
    case "object":
      return readMessage(bytesOf(value), schema.typeName as string, schema);
    case "boolean":
      return value !== 0n;
    case "integer":
    case "number":
      return Number(value);
    case "string":
      return decoder.decode(bytesOf(value));
    case "bytes":
      return Buffer.from(bytesOf(value)).toString("base64");
    case "quantity":
      return decoder.decode(bytesOf([...fieldsIn(bytesOf(value))][0]?.value ?? new Uint8Array()));
    case "intOrString":
      return readIntOrString(bytesOf(value));
    case "time":
    case "microTime":
      return readTime(bytesOf(value), schema.type === "microTime");
    default:
      return readRaw(bytesOf(value));
  }
}

function readIntOrString(bytes: Uint8Array): number | string {
  let text: string | undefined;
  let number = 0;
  let isText = false;
  for (const { number: field, value } of fieldsIn(bytes)) {
    if (field === 1) isText = value === 1n;
    if (field === 2) number = Number(value);
    if (field === 3) text = decoder.decode(bytesOf(value));
  }
  return isText ? (text ?? "") : number;
}

function readTime(bytes: Uint8Array, micro: boolean): string | undefined {
  let ms: number | undefined;
  for (const { number, value } of fieldsIn(bytes)) {
    if (number === 1) ms = (ms ?? 0) + Number(value) * 1000;
    if (number === 2) ms = (ms ?? 0) + Number(value) / 1_000_000;
  }
  // Year 1 is Go's way to say never.
  if (ms === undefined || ms < -62_000_000_000_000) return undefined;
  return micro ? formatMicroTime(ms) : formatTime(ms);
}

/** JSON in a message of its own: RawExtension, FieldsV1, JSON. */
function readRaw(bytes: Uint8Array): unknown {
  for (const { value } of fieldsIn(bytes))
    if (value instanceof Uint8Array && value.length > 0) return JSON.parse(decoder.decode(value)) as unknown;
  return undefined;
}
