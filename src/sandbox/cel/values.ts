/** What CEL expressions work on: JSON as it is read, and a few kinds of values that JSON does not have. */
import { type Fields, isFields } from "../../kube/json.ts";
import { compareQuantities, type Quantity } from "../../kube/quantity.ts";

/** Evaluating failed: a field that is not there, a type that does not fit. */
export class Problem extends Error {}

/** The expression uses what the sandbox does not know: nothing can be said of it. */
export class Unsupported extends Error {}

export class Duration {
  constructor(readonly ms: number) {}
}
export class Timestamp {
  constructor(readonly ms: number) {}
}
export class Amount {
  constructor(readonly quantity: Quantity) {}
}
export class Optional {
  constructor(readonly value: Value | undefined) {}
}

/** Integers are bigints, doubles are numbers. Lists and objects hold JSON or values. */
export type Value = null | boolean | bigint | number | string | readonly unknown[] | Fields | Duration | Timestamp | Amount | Optional;

/** Whole numbers of JSON are integers. */
export function fromJson(json: unknown): Value {
  if (json === undefined) throw new Problem("no such key");
  return typeof json === "number" && Number.isSafeInteger(json) ? BigInt(json) : (json as Value);
}

export const isNumber = (value: Value): value is bigint | number => typeof value === "bigint" || typeof value === "number";
export const isList = (value: Value): value is readonly unknown[] => Array.isArray(value);
export const isMap = (value: Value): value is Fields =>
  isFields(value) &&
  !(value instanceof Duration) &&
  !(value instanceof Timestamp) &&
  !(value instanceof Amount) &&
  !(value instanceof Optional);

export function equal(a: Value, b: Value): boolean {
  if (isNumber(a) && isNumber(b)) return a === b || Number(a) === Number(b);
  if (isList(a) && isList(b)) return a.length === b.length && a.every((item, index) => equal(fromJson(item), fromJson(b[index])));
  if (isMap(a) && isMap(b)) {
    const names = Object.keys(a);
    return (
      names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && equal(fromJson(a[name]), fromJson(b[name])))
    );
  }
  if ((a instanceof Duration && b instanceof Duration) || (a instanceof Timestamp && b instanceof Timestamp)) return a.ms === b.ms;
  if (a instanceof Amount && b instanceof Amount) return compareQuantities(a.quantity, b.quantity) === 0;
  return a === b;
}

/** @returns below, at or above zero @throws Problem when there is no order between them */
export function order(a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if ((a instanceof Duration && b instanceof Duration) || (a instanceof Timestamp && b instanceof Timestamp)) return a.ms - b.ms;
  throw new Problem("no such overload");
}

export function typeName(value: Value): string {
  if (value === null) return "null_type";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return "double";
  if (isList(value)) return "list";
  if (value instanceof Duration) return "google.protobuf.Duration";
  if (value instanceof Timestamp) return "google.protobuf.Timestamp";
  if (value instanceof Amount) return "kubernetes.Quantity";
  if (value instanceof Optional) return "optional_type";
  return typeof value === "string" ? "string" : "map";
}
