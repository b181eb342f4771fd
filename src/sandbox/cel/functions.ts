/** The functions of CEL that need no names of their own: the standard ones, and those that Kubernetes adds. */
import { addQuantities, compareQuantities, parseQuantity, quantityToNumber } from "../../kube/quantity.ts";
import { formatTime, parseDuration, parseTime } from "../../kube/time.ts";
import {
  Amount,
  Duration,
  equal,
  fromJson,
  isList,
  isMap,
  isNumber,
  Optional,
  order,
  Problem,
  Timestamp,
  typeName,
  type Value,
} from "./values.ts";

type Function = (...args: readonly Value[]) => Value;

const noOverload = (): Problem => new Problem("no such overload");

function text(value: Value | undefined): string {
  if (typeof value !== "string") throw noOverload();
  return value;
}
function whole(value: Value | undefined): number {
  if (!isNumber(value as Value)) throw noOverload();
  return Number(value);
}
function list(value: Value | undefined): readonly Value[] {
  if (!isList(value as Value)) throw noOverload();
  return (value as readonly unknown[]).map(fromJson);
}
const count = (value: number): bigint => BigInt(value);
const letters = (value: string): string[] => [...value];

function size(value: Value): Value {
  if (typeof value === "string") return count(letters(value).length);
  if (isList(value)) return count(value.length);
  if (isMap(value)) return count(Object.keys(value).length);
  throw noOverload();
}

function expression(pattern: string): RegExp {
  try {
    return new RegExp(pattern.replace(/^\(\?i\)/, ""), pattern.startsWith("(?i)") ? "iu" : "u");
  } catch {
    throw new Problem(`error parsing regexp: ${pattern}`);
  }
}

/** @param exact the results of arithmetic on integers stay integers */
function arithmetic(a: Value, b: Value, exact: (a: bigint, b: bigint) => bigint, rough: (a: number, b: number) => number): Value {
  if (typeof a === "bigint" && typeof b === "bigint") {
    const result = exact(a, b);
    if (BigInt.asIntN(64, result) !== result) throw new Problem("integer overflow");
    return result;
  }
  if (isNumber(a) && isNumber(b)) return rough(Number(a), Number(b));
  throw noOverload();
}

function notZero(value: bigint): bigint {
  if (value === 0n) throw new Problem("division by zero");
  return value;
}

function add(a: Value, b: Value): Value {
  if (typeof a === "string" && typeof b === "string") return a + b;
  if (isList(a) && isList(b)) return [...a, ...b];
  if (a instanceof Duration && b instanceof Duration) return new Duration(a.ms + b.ms);
  if (a instanceof Timestamp && b instanceof Duration) return new Timestamp(a.ms + b.ms);
  if (a instanceof Duration && b instanceof Timestamp) return new Timestamp(a.ms + b.ms);
  return arithmetic(
    a,
    b,
    (x, y) => x + y,
    (x, y) => x + y,
  );
}

function subtract(a: Value, b: Value): Value {
  if (a instanceof Timestamp && b instanceof Timestamp) return new Duration(a.ms - b.ms);
  if (a instanceof Timestamp && b instanceof Duration) return new Timestamp(a.ms - b.ms);
  if (a instanceof Duration && b instanceof Duration) return new Duration(a.ms - b.ms);
  return arithmetic(
    a,
    b,
    (x, y) => x - y,
    (x, y) => x - y,
  );
}

function includes(value: Value, within: Value): boolean {
  if (isList(within)) return within.some((item) => equal(fromJson(item), value));
  if (isMap(within)) return typeof value === "string" && Object.hasOwn(within, value);
  throw noOverload();
}

function toInteger(value: Value): Value {
  if (typeof value === "string" && /^[-+]?\d+$/.test(value)) return BigInt(value);
  if (isNumber(value)) return BigInt(Math.trunc(Number(value)));
  if (value instanceof Timestamp) return BigInt(Math.floor(value.ms / 1000));
  throw new Problem(`type conversion error from '${typeName(value)}' to 'int'`);
}

function toText(value: Value): Value {
  if (value instanceof Timestamp) return formatTime(value.ms);
  if (value instanceof Duration) return `${value.ms / 1000}s`;
  if (typeof value === "string" || typeof value === "boolean" || isNumber(value)) return String(value);
  throw noOverload();
}

function toDouble(value: Value): Value {
  const number = typeof value === "string" || isNumber(value) ? Number(value) : Number.NaN;
  if (Number.isNaN(number)) throw new Problem("type conversion error to 'double'");
  return number;
}

function duration(value: string): Duration {
  const ms = parseDuration(value);
  if (ms === undefined) throw new Problem(`invalid duration '${value}'`);
  return new Duration(ms);
}

function timestamp(value: Value): Timestamp {
  const ms = value instanceof Timestamp ? value.ms : parseTime(text(value));
  if (ms === undefined) throw new Problem(`invalid timestamp '${text(value)}'`);
  return new Timestamp(ms);
}

function amount(value: Value): Amount {
  const quantity = parseQuantity(text(value));
  if (quantity === undefined) throw new Problem(`quantities must match the regular expression, got "${text(value)}"`);
  return new Amount(quantity);
}

function compareAmounts(a: Value, b: Value): number {
  if (!(a instanceof Amount) || !(b instanceof Amount)) throw noOverload();
  return compareQuantities(a.quantity, b.quantity);
}

function best(items: readonly Value[], sign: number): Value {
  const [first, ...others] = items;
  if (first === undefined) throw new Problem("min/max called on empty list");
  return others.reduce((winner, item) => (order(item, winner) * sign > 0 ? item : winner), first);
}

function parsedUrl(value: Value): URL {
  try {
    return new URL(text(value));
  } catch {
    throw new Problem(`URL parse error: ${text(value)}`);
  }
}

/** "%s is %d" with the items of a list. */
function formatted(pattern: string, values: readonly Value[]): string {
  let at = 0;
  return pattern.replaceAll(/%(%|\.?\d*[sdfxXobe])/g, (_, kind: string) => {
    if (kind === "%") return "%";
    const value = values[at] as Value;
    at += 1;
    if (kind.endsWith("f")) return Number(value).toFixed(kind.length > 1 ? Number(/\d+/.exec(kind)?.[0] ?? 6) : 6);
    if (kind === "x" || kind === "X")
      return kind === "x" ? BigInt(whole(value)).toString(16) : BigInt(whole(value)).toString(16).toUpperCase();
    return isList(value) || isMap(value) ? JSON.stringify(value) : String(value);
  });
}

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;
const isIp = (value: string): boolean =>
  ipv4.test(value) || (/^[0-9a-fA-F:.]+$/.test(value) && value.includes(":") && URL.canParse(`http://[${value}]/`));

/** By name and how many arguments they take; what a method is called on is its first. */
export const functions: Readonly<Record<string, Function>> = {
  "!/1": (a) => {
    if (typeof a !== "boolean") throw noOverload();
    return !a;
  },
  "negate/1": (a) => {
    if (typeof a === "bigint") return -a;
    return -whole(a);
  },
  "==/2": (a, b) => equal(a as Value, b as Value),
  "!=/2": (a, b) => !equal(a as Value, b as Value),
  "</2": (a, b) => order(a as Value, b as Value) < 0,
  "<=/2": (a, b) => order(a as Value, b as Value) <= 0,
  ">/2": (a, b) => order(a as Value, b as Value) > 0,
  ">=/2": (a, b) => order(a as Value, b as Value) >= 0,
  "in/2": (a, b) => includes(a as Value, b as Value),
  "+/2": (a, b) => add(a as Value, b as Value),
  "-/2": (a, b) => subtract(a as Value, b as Value),
  "*/2": (a, b) =>
    arithmetic(
      a as Value,
      b as Value,
      (x, y) => x * y,
      (x, y) => x * y,
    ),
  "//2": (a, b) =>
    arithmetic(
      a as Value,
      b as Value,
      (x, y) => x / notZero(y),
      (x, y) => x / y,
    ),
  "%/2": (a, b) =>
    arithmetic(
      a as Value,
      b as Value,
      (x, y) => x % notZero(y),
      () => {
        throw noOverload();
      },
    ),
  "size/1": (a) => size(a as Value),
  "int/1": (a) => toInteger(a as Value),
  "uint/1": (a) => toInteger(a as Value),
  "string/1": (a) => toText(a as Value),
  "double/1": (a) => toDouble(a as Value),
  "bool/1": (a) => a === true || a === "true",
  "dyn/1": (a) => a as Value,
  "type/1": (a) => typeName(a as Value),
  "duration/1": (a) => duration(text(a)),
  "timestamp/1": (a) => timestamp(a as Value),

  "contains/2": (a, b) => text(a).includes(text(b)),
  "startsWith/2": (a, b) => text(a).startsWith(text(b)),
  "endsWith/2": (a, b) => text(a).endsWith(text(b)),
  "matches/2": (a, b) => expression(text(b)).test(text(a)),
  "find/2": (a, b) => expression(text(b)).exec(text(a))?.[0] ?? "",
  "findAll/2": (a, b) => [...text(a).matchAll(new RegExp(expression(text(b)), "gu"))].map(([found]) => found),
  "charAt/2": (a, b) => letters(text(a))[whole(b)] ?? "",
  "indexOf/2": (a, b) => (typeof a === "string" ? count(a.indexOf(text(b))) : count(list(a).findIndex((item) => equal(item, b as Value)))),
  "lastIndexOf/2": (a, b) =>
    typeof a === "string" ? count(a.lastIndexOf(text(b))) : count(list(a).findLastIndex((item) => equal(item, b as Value))),
  "lowerAscii/1": (a) => text(a).replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()),
  "upperAscii/1": (a) => text(a).replaceAll(/[a-z]/g, (letter) => letter.toUpperCase()),
  "replace/3": (a, b, c) => text(a).replaceAll(text(b), () => text(c)),
  "split/2": (a, b) => text(a).split(text(b)),
  "split/3": (a, b, c) => splitAtMost(text(a), text(b), whole(c)),
  "substring/2": (a, b) => letters(text(a)).slice(whole(b)).join(""),
  "substring/3": (a, b, c) => letters(text(a)).slice(whole(b), whole(c)).join(""),
  "trim/1": (a) => text(a).trim(),
  "join/1": (a) => list(a).map(text).join(""),
  "join/2": (a, b) => list(a).map(text).join(text(b)),
  "reverse/1": (a) => (typeof a === "string" ? letters(a).reverse().join("") : list(a).toReversed()),
  "format/2": (a, b) => formatted(text(a), list(b)),

  "isSorted/1": (a) => list(a).every((item, index, all) => index === 0 || order(all[index - 1] as Value, item) <= 0),
  "sum/1": (a) => list(a).reduce((total, item) => add(total, item), 0n),
  "min/1": (a) => best(list(a), -1),
  "max/1": (a) => best(list(a), 1),
  "distinct/1": (a) => list(a).filter((item, index, all) => all.findIndex((other) => equal(other, item)) === index),
  "sort/1": (a) => list(a).toSorted(order),
  "slice/3": (a, b, c) => list(a).slice(whole(b), whole(c)),
  "flatten/1": (a) => list(a).flatMap((item) => (isList(item) ? item : [item])),

  "getSeconds/1": (a) =>
    a instanceof Duration ? BigInt(Math.trunc(a.ms / 1000)) : BigInt(new Date(timestamp(a as Value).ms).getUTCSeconds()),
  "getMinutes/1": (a) =>
    a instanceof Duration ? BigInt(Math.trunc(a.ms / 60_000)) : BigInt(new Date(timestamp(a as Value).ms).getUTCMinutes()),
  "getHours/1": (a) =>
    a instanceof Duration ? BigInt(Math.trunc(a.ms / 3_600_000)) : BigInt(new Date(timestamp(a as Value).ms).getUTCHours()),
  "getFullYear/1": (a) => BigInt(new Date(timestamp(a as Value).ms).getUTCFullYear()),

  "quantity/1": (a) => amount(a as Value),
  "isQuantity/1": (a) => typeof a === "string" && parseQuantity(a) !== undefined,
  "isGreaterThan/2": (a, b) => compareAmounts(a as Value, b as Value) > 0,
  "isLessThan/2": (a, b) => compareAmounts(a as Value, b as Value) < 0,
  "compareTo/2": (a, b) => count(compareAmounts(a as Value, b as Value)),
  "asInteger/1": (a) => (a instanceof Amount ? BigInt(quantityToNumber(a.quantity)) : toInteger(a as Value)),
  "asApproximateFloat/1": (a) => (a instanceof Amount ? quantityToNumber(a.quantity) : toDouble(a as Value)),
  "add/2": (a, b) => {
    if (!(a instanceof Amount) || !(b instanceof Amount)) throw noOverload();
    return new Amount(addQuantities(a.quantity, b.quantity));
  },

  "isURL/1": (a) => typeof a === "string" && URL.canParse(a),
  "url/1": (a) => parsedUrl(a as Value).href,
  "getScheme/1": (a) => parsedUrl(a as Value).protocol.replace(/:$/, ""),
  "getHost/1": (a) => parsedUrl(a as Value).host,
  "getHostname/1": (a) => parsedUrl(a as Value).hostname,
  "getPort/1": (a) => parsedUrl(a as Value).port,
  "isIP/1": (a) => typeof a === "string" && isIp(a),

  "hasValue/1": (a) => a instanceof Optional && a.value !== undefined,
  "value/1": (a) => {
    if (!(a instanceof Optional) || a.value === undefined) throw new Problem("optional.none() dereference");
    return a.value;
  },
  "orValue/2": (a, b) => (a instanceof Optional ? (a.value ?? (b as Value)) : (a as Value)),
  "or/2": (a, b) => (a instanceof Optional && a.value === undefined ? (b as Value) : (a as Value)),
  "optional.of/1": (a) => new Optional(a),
  "optional.none/0": () => new Optional(undefined),
};

function splitAtMost(value: string, by: string, most: number): string[] {
  const parts = value.split(by);
  if (most < 0 || parts.length <= most) return parts;
  return most === 0 ? [] : [...parts.slice(0, most - 1), parts.slice(most - 1).join(by)];
}
