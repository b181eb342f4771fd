/**
 * Command-line flags as a table, in Go's syntax, which is what existing manifests use: `--name=value`, `--name value`, `-name=value`,
 * booleans as `--x` or `--x=false`, durations as `1m30s`.
 */
import { parseDuration } from "../kube/time.ts";

export type FlagType = "string" | "boolean" | "integer" | "duration";

export interface Flag {
  readonly type: FlagType;
  /** Durations in Go's notation. */
  readonly default: string | number | boolean;
  readonly help: string;
  /** Accepted and ignored: manifests of other versions pass it. */
  readonly ignored?: boolean;
}

export type FlagTable = Readonly<Record<string, Flag>>;

type ValueOf<F extends Flag> = F["type"] extends "boolean" ? boolean : F["type"] extends "string" ? string : number;
/** Durations become milliseconds. */
export type FlagValues<T extends FlagTable> = { readonly [N in keyof T]: ValueOf<T[N]> };

export type ParsedFlags<T extends FlagTable> =
  | { readonly ok: true; readonly values: FlagValues<T>; readonly given: ReadonlySet<string>; readonly rest: readonly string[] }
  | { readonly ok: false; readonly message: string };

/** @returns the values with defaults filled in, or one line that names the flag and the fix */
export function parseFlags<T extends FlagTable>(table: T, args: readonly string[]): ParsedFlags<T> {
  const values: Record<string, string | number | boolean> = {};
  for (const [name, flag] of Object.entries(table)) values[name] = defaultOf(name, flag);
  const given = new Set<string>();
  const rest: string[] = [];

  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? "";
    if (arg === "--") {
      rest.push(...args.slice(index + 1));
      break;
    }
    if (!/^--?[a-zA-Z]/.test(arg)) {
      rest.push(arg);
      continue;
    }
    const { name, inline } = split(arg);
    const flag = table[name];
    if (flag === undefined) return { ok: false, message: unknownFlag(table, name) };
    let text = inline;
    if (text === undefined) {
      if (flag.type === "boolean") text = "true";
      else {
        text = args[++index];
        if (text === undefined) return { ok: false, message: `flag needs a value: --${name}=<${flag.type}>` };
      }
    }
    const value = parseValue(flag.type, text);
    if (value === undefined)
      return { ok: false, message: `invalid value "${text}" for flag --${name}: expected ${expectation[flag.type]}` };
    values[name] = value;
    given.add(name);
  }
  return { ok: true, values: values as FlagValues<T>, given, rest };
}

/** One flag a line, aligned, in the order of the table. */
export function flagHelp(table: FlagTable): string {
  const shown = Object.entries(table).filter(([, flag]) => flag.ignored !== true);
  const width = Math.max(...shown.map(([name]) => name.length)) + 2;
  return shown.map(([name, flag]) => `  --${name.padEnd(width)}${flag.help} (default ${JSON.stringify(flag.default)})`).join("\n");
}

const expectation: Record<FlagType, string> = {
  string: "text",
  boolean: "true or false",
  integer: "a whole number",
  duration: "a duration such as 15s, 2m or 1h30m",
};

function split(arg: string): { name: string; inline: string | undefined } {
  const bare = arg.replace(/^--?/, "");
  const equals = bare.indexOf("=");
  return equals < 0 ? { name: bare, inline: undefined } : { name: bare.slice(0, equals), inline: bare.slice(equals + 1) };
}

function defaultOf(name: string, flag: Flag): string | number | boolean {
  if (flag.type !== "duration") return flag.default;
  const ms = parseDuration(String(flag.default));
  if (ms === undefined) throw new Error(`the default of --${name} is not a duration: ${flag.default}`);
  return ms;
}

function parseValue(type: FlagType, text: string): string | number | boolean | undefined {
  switch (type) {
    case "string":
      return text;
    case "boolean":
      return /^(1|t|true|TRUE|True|T)$/.test(text) ? true : /^(0|f|false|FALSE|False|F)$/.test(text) ? false : undefined;
    case "integer":
      return /^[-+]?\d{1,15}$/.test(text) ? Number(text) : undefined;
    case "duration":
      return parseDuration(text);
  }
}

function unknownFlag(table: FlagTable, name: string): string {
  const near = Object.keys(table).filter(
    (known) => known.includes(name) || name.includes(known) || known.replaceAll("-", "") === name.replaceAll(/[-_]/g, ""),
  );
  const hint = near.length > 0 ? `; did you mean ${near.map((known) => `--${known}`).join(" or ")}?` : "; see --help";
  return `unknown flag: --${name}${hint}`;
}
