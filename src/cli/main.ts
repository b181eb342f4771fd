/** The commands for people: `kruise <command>`, or `kubectl kruise <command>` when the binary is installed as kubectl-kruise. */
import { versionInfo } from "../process/version.ts";

/** @returns the exit code: 0 fine, 1 the answer is "no" or "not yet", 2 the question could not be asked */
type Command = { readonly summary: string; run(args: readonly string[]): Promise<number> };

const commands: Readonly<Record<string, Command>> = {
  explain: {
    summary: "what would happen next to an object, and what holds it: explain cloneset/web -n shop",
    run: async (args) => (await import("./explain.ts")).explainCommand(args),
  },
  "uninstall-check": {
    summary: "what would be left behind; the chart asks this before it is uninstalled",
    run: async (args) => (await import("./uninstall-check.ts")).uninstallCheckCommand(args),
  },
  sandbox: {
    summary: "a cluster in this process with Kruiser in it, for kubectl to try: sandbox --nodes=3",
    run: async (args) => (await import("../sandbox/command.ts")).sandboxCommand(args),
  },
  version: { summary: "which kruise this is; -o json for machines", run: async (args) => printVersion(args) },
  help: { summary: "this text", run: async () => print(help()) },
};

export async function cliMain(args: readonly string[]): Promise<number> {
  const [name = "help", ...rest] = args;
  if (name === "--help" || name === "-h") return print(help());
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command !== undefined) return command.run(rest);
  process.stderr.write(`unknown command "${name}": expected ${Object.keys(commands).join(", ")}\n`);
  return 2;
}

function help(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`);
  return `Commands:\n${lines.join("\n")}\n\nEach takes --help.\n`;
}

function printVersion(args: readonly string[]): number {
  if (args.join(" ") === "")
    return print(`kruise ${versionInfo.version} (OpenKruise API ${versionInfo.openKruise}, ${versionInfo.platform})\n`);
  if (/^(-o|--output)[ =]json$/.test(args.join(" "))) return print(`${JSON.stringify(versionInfo, null, 2)}\n`);
  process.stderr.write(`unexpected arguments "${args.join(" ")}": version takes only -o json\n`);
  return 2;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
