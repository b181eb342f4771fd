/**
 * The command line as kubectl's users type it: `--x=v`, `--x v`, `-n v`, `-nv`, `-n=v`, grouped booleans (`-it`), flags and words in any
 * order, `--` before what belongs to another program. `_` in names is read as `-`.
 */
import { parseDuration } from "../kube/time.ts";

export type FlagKind = "string" | "boolean" | "integer" | "duration" | "list" | "array";

export interface CliFlag {
  readonly kind: FlagKind;
  readonly short?: string;
  /** Durations in Go's notation. Absent: "", false, 0 or nothing. */
  readonly default?: string | number | boolean;
  /** The value of a flag that is given without one. */
  readonly bare?: string;
  readonly help: string;
  readonly hidden?: true;
}
export type CliFlags = Readonly<Record<string, CliFlag>>;

type ValueOf<F extends CliFlag> = F["kind"] extends "boolean"
  ? boolean
  : F["kind"] extends "integer" | "duration"
    ? number
    : F["kind"] extends "list" | "array"
      ? readonly string[]
      : string;
/** Durations are milliseconds. */
export type CliValues<T extends CliFlags> = { readonly [N in keyof T]: ValueOf<T[N]> };

export interface Parsed<T extends CliFlags> {
  readonly values: CliValues<T>;
  readonly given: ReadonlySet<string>;
  readonly words: readonly string[];
  /** After `--`; undefined: there is none. */
  readonly rest: readonly string[] | undefined;
}

type Value = string | number | boolean | readonly string[];

/** @returns what was typed, or one line that says what is wrong */
export function parseArgs<T extends CliFlags>(flags: T, args: readonly string[]): Parsed<T> | string {
  const values: Record<string, Value> = {};
  for (const [name, flag] of Object.entries(flags)) values[name] = initial(flag);
  const shorts = new Map(Object.entries(flags).flatMap(([name, { short }]) => (short ? [[short, name] as const] : [])));
  const given = new Set<string>();
  const words: string[] = [];
  const take = (name: string, text: string): string | undefined => {
    const flag = flags[name] as CliFlag;
    const value = read(flag.kind, text);
    if (value === undefined) return `invalid argument "${text}" for "--${name}" flag: expected ${expected[flag.kind]}`;
    values[name] = Array.isArray(value) && given.has(name) ? [...(values[name] as readonly string[]), ...value] : value;
    given.add(name);
    return undefined;
  };
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    if (arg === "--") return { values: values as CliValues<T>, given, words, rest: args.slice(at + 1) };
    if (arg === "-" || !arg.startsWith("-")) {
      words.push(arg);
      continue;
    }
    const found = arg.startsWith("--") ? longFlag(flags, arg) : shortFlags(flags, shorts, arg);
    if (typeof found === "string") return found;
    for (const { name, text } of found) {
      const flag = flags[name] as CliFlag;
      const bare = flag.bare ?? (flag.kind === "boolean" ? "true" : undefined);
      if (text === undefined && bare === undefined) at += 1;
      const value = text ?? bare ?? args[at];
      if (value === undefined) return `flag needs an argument: --${name}`;
      const problem = take(name, value);
      if (problem !== undefined) return problem;
    }
  }
  return { values: values as CliValues<T>, given, words, rest: undefined };
}

interface Found {
  readonly name: string;
  /** Undefined: the value is the next argument. */
  readonly text: string | undefined;
}

function longFlag(flags: CliFlags, arg: string): readonly Found[] | string {
  const equals = arg.indexOf("=");
  const typed = equals < 0 ? arg.slice(2) : arg.slice(2, equals);
  const name = Object.hasOwn(flags, typed) ? typed : typed.replaceAll("_", "-");
  if (!Object.hasOwn(flags, name)) return `unknown flag: --${typed}`;
  return [{ name, text: equals < 0 ? undefined : arg.slice(equals + 1) }];
}

function shortFlags(flags: CliFlags, shorts: ReadonlyMap<string, string>, arg: string): readonly Found[] | string {
  const found: Found[] = [];
  for (let at = 1; at < arg.length; at += 1) {
    const letter = arg[at] as string;
    const name = shorts.get(letter);
    if (name === undefined) return `unknown shorthand flag: '${letter}' in ${arg}`;
    const rest = arg.slice(at + 1);
    if (rest.startsWith("=")) return [...found, { name, text: rest.slice(1) }];
    if (flags[name]?.kind !== "boolean") return [...found, { name, text: rest === "" ? undefined : rest }];
    found.push({ name, text: undefined });
  }
  return found;
}

const expected: Readonly<Record<FlagKind, string>> = {
  string: "text",
  boolean: "true or false",
  integer: "a whole number",
  duration: "a duration such as 15s, 2m or 1h30m",
  list: "values with commas between them",
  array: "text",
};

function initial({ kind, default: value }: CliFlag): Value {
  switch (kind) {
    case "boolean":
      return value ?? false;
    case "integer":
      return value ?? 0;
    case "duration":
      return parseDuration(String(value ?? "0s")) ?? 0;
    case "list":
    case "array":
      return value === undefined ? [] : [String(value)];
    case "string":
      return value ?? "";
  }
}

function read(kind: FlagKind, text: string): Value | undefined {
  switch (kind) {
    case "boolean":
      return /^(1|t|true)$/i.test(text) ? true : /^(0|f|false)$/i.test(text) ? false : undefined;
    case "integer":
      return /^[-+]?\d{1,15}$/.test(text) ? Number(text) : undefined;
    case "duration":
      return text === "0" ? 0 : parseDuration(/^\d+$/.test(text) ? `${text}s` : text);
    case "list":
      return text.split(",").map((part) => part.trim());
    case "array":
      return [text];
    case "string":
      return text;
  }
}

/** One flag a line, aligned. */
export function flagsHelp(flags: CliFlags): string {
  const shown = Object.entries(flags).filter(([, flag]) => flag.hidden !== true);
  const heads = shown.map(([name, { short, kind }]) => `${short ? `-${short}, ` : "    "}--${name}${kind === "boolean" ? "" : ` ${kind}`}`);
  const width = Math.max(0, ...heads.map((head) => head.length)) + 2;
  return shown.map(([, { help }], index) => `  ${(heads[index] as string).padEnd(width)}${help}`).join("\n");
}
