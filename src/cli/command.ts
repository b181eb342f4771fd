/** What a command is, and how its words become a call. */
import { complain, say } from "../env/stdio.ts";
import { type CliFlag, type CliFlags, type CliValues, flagsHelp, type Parsed, parseArgs } from "./args.ts";
import { globalFlags } from "./globals.ts";
import { Misused, Refused } from "./refused.ts";
import { openSession, type Session } from "./session.ts";

export interface Call<T extends CliFlags> extends Parsed<T & typeof globalFlags> {
  /** "kubectl-kruise set image cloneset/web app=v2": for annotations that tell the cause. */
  readonly line: string;
  readonly args: readonly string[];
  /** Opened once, closed when the command ends. */
  session(): Promise<Session>;
}

export interface Command {
  readonly summary: string;
  /** The commands below it. */
  readonly below?: () => Promise<Readonly<Record<string, Command>> | undefined>;
  /** Its own flags, for who completes what is typed. */
  readonly flags?: () => Promise<CliFlags | undefined>;
  /** @param path the words that led here: "rollout pause" */
  run(args: readonly string[], path: string): Promise<number>;
}

export interface CommandText {
  readonly summary: string;
  /** Behind the name of the command: "(TYPE NAME | TYPE/NAME) [flags]". */
  readonly usage: string;
  readonly examples?: string;
}

/** @param run resolves to the exit code; nothing: 0 */
export function command<T extends CliFlags>(text: CommandText, flags: T, run: (call: Call<T>) => Promise<number | undefined>): Command {
  const all = { ...flags, ...globalFlags };
  return {
    summary: text.summary,
    flags: async () => flags,
    async run(args, path) {
      if (asksForHelp(args)) {
        say(helpOf(text, flags, path));
        return 0;
      }
      const parsed = parseArgs<T & typeof globalFlags>(all as T & typeof globalFlags, args);
      if (typeof parsed === "string") throw new Misused(`error: ${parsed}`);
      let session: Session | undefined;
      try {
        const open = async () => {
          session ??= await openSession(parsed.values as CliValues<typeof globalFlags>);
          return session;
        };
        const code = (await run({ ...parsed, args, line: ["kubectl-kruise", ...path.split(" "), ...args].join(" "), session: open })) ?? 0;
        const warnings = (session as Session | undefined)?.warnings() ?? 0;
        if (parsed.values["warnings-as-errors"] && warnings > 0)
          throw new Refused(`error: ${warnings} ${warnings === 1 ? "warning" : "warnings"} received`);
        return code;
      } finally {
        session?.close();
      }
    },
  };
}

/** Commands below a word: "rollout". Without a further word their help is the answer, and no success. */
export function group(summary: string, commands: Readonly<Record<string, Command>>, options: { readonly helpOn?: "stderr" } = {}): Command {
  return {
    summary,
    below: async () => commands,
    async run(args, path) {
      const { word, rest } = firstWord(args);
      const found = word === undefined ? undefined : named(commands, word);
      if (found !== undefined) return found.command.run(rest, `${path} ${found.name}`);
      if (word !== undefined) throw unknownCommand(word, Object.keys(commands), path);
      const text = groupHelp(summary, commands, path);
      if (asksForHelp(args)) {
        say(text);
        return 0;
      }
      (options.helpOn === "stderr" ? complain : say)(text);
      return 1;
    },
  };
}

/** Global flags that take the next word. */
export const withValue: ReadonlySet<string> = new Set(
  Object.entries(globalFlags).flatMap(([name, flag]) => {
    if ((flag as CliFlag).kind === "boolean") return [];
    const { short } = flag as CliFlag;
    return [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
  }),
);

/** Global flags may come before the command: `-n shop rollout status …`. They are handed on behind its words, before what follows `--`. */
export function firstWord(args: readonly string[]): { readonly word: string | undefined; readonly rest: readonly string[] } {
  let at = 0;
  while (at < args.length && args[at]?.startsWith("-") && args[at] !== "--") at += withValue.has(args[at] ?? "") ? 2 : 1;
  if (at >= args.length || args[at] === "--") return { word: undefined, rest: args };
  const [before, after] = [args.slice(0, at), args.slice(at + 1)];
  const end = after.indexOf("--");
  return { word: args[at], rest: end < 0 ? [...after, ...before] : [...after.slice(0, end), ...before, ...after.slice(end)] };
}

/** Names of commands are written in any case. */
export function named(commands: Readonly<Record<string, Command>>, word: string) {
  const name = Object.keys(commands).find((each) => each.toLowerCase() === word.toLowerCase());
  return name === undefined ? undefined : { name, command: commands[name] as Command };
}

export function unknownCommand(word: string, names: readonly string[], path = ""): Refused {
  const near = names.filter((name) => distance(name.toLowerCase(), word.toLowerCase()) <= 2 || (word.length > 2 && name.startsWith(word)));
  const hint = near.length > 0 ? `\n\nDid you mean this?\n${near.map((name) => `\t${name}`).join("\n")}` : "";
  return new Refused(`error: unknown command "${word}" for "${["kubectl-kruise", path].join(" ").trim()}"${hint}`);
}

export function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === "--help" || arg === "-h");
}

function helpOf({ summary, usage, examples }: CommandText, flags: CliFlags, path: string): string {
  const example = examples === undefined ? "" : `\nExamples:\n${examples}\n`;
  const own = flagsHelp(flags);
  const options = own === "" ? "" : `\nOptions:\n${own}\n`;
  return `${summary}\n${example}${options}\nUsage:\n  kubectl-kruise ${path} ${usage}\n\nUse "kubectl-kruise options" for the flags of all commands.\n`;
}

export function groupHelp(summary: string, commands: Readonly<Record<string, Command>>, path: string): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  const lines = Object.entries(commands).map(([name, { summary: line }]) => `  ${name.padEnd(width)}${line}`);
  const at = ["kubectl-kruise", path].join(" ").trim();
  return `${summary}\n\nAvailable Commands:\n${lines.join("\n")}\n\nUsage:\n  ${at} COMMAND [flags]\n\nUse "${at} COMMAND --help" for more about a command.\n`;
}

/** Edits from one word to the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length] ?? 0;
}
