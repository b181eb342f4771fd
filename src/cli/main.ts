/** The commands for people: `kruise <command>`, or `kubectl kruise <command>` when the binary is installed as kubectl-kruise. */

import { basename } from "node:path";
import { complain, say } from "../env/stdio.ts";
import { versionInfo } from "../process/version.ts";
import type { Command } from "./command.ts";

/** Loaded when asked for: a command should not pay for the others. */
const later = (summary: string, load: () => Promise<Command>): Command => ({
  summary,
  below: async () => (await load()).below?.(),
  flags: async () => (await load()).flags?.(),
  run: async (args, path) => (await load()).run(args, path),
});
/** Done by kubectl, under our name too. */
const byKubectl = (name: string, summary: string): Command => ({
  summary,
  run: async (args) => (await import("./delegate.ts")).kubectl([name, ...args]),
});

/** explain, uninstall-check and sandbox answer 0, 1 ("no", "not yet") or 2 (could not be asked); the others 0 or 1, as kubectl does. */
const commands: Readonly<Record<string, Command>> = {
  explain: {
    summary: "what would happen next to an object, and what holds it: explain cloneset/web -n shop",
    run: async (args) => (await import("./explain.ts")).explainCommand(args),
  },
  rollout: later(
    "an update's course: status, history, undo, pause, resume, restart",
    async () => (await import("./rollout/index.ts")).rollout,
  ),
  restart: later("the same as rollout restart", async () => (await import("./rollout/restart.ts")).restart),
  set: later("images, variables, resources and service account of a workload", async () => (await import("./set/index.ts")).set),
  scale: later("how many pods a workload has", async () => (await import("./scale.ts")).scale),
  scaledown: later("delete chosen pods of a CloneSet", async () => (await import("./scaledown.ts")).scaledown),
  create: later("restart requests, image pulls, budgets; files through kubectl", async () => (await import("./create/index.ts")).create),
  migrate: later("move a Deployment's pods to a CloneSet", async () => (await import("./migrate.ts")).migrate),
  exec: later("run a command in a container, or in the sidecar that works", async () => (await import("./exec.ts")).exec),
  get: later("all objects of Kruise, or of one type", async () => (await import("./get.ts")).get),
  describe: later("what kubectl describes, and what holds an object of Kruise", async () => (await import("./describe.ts")).describe),
  expose: later("make a service for a workload's pods", async () => (await import("./expose.ts")).expose),
  lint: later("whether the server would take the objects of files, without a server", async () => (await import("./lint.ts")).lint),
  protect: later("keep objects from being deleted", async () => (await import("./protect.ts")).protect),
  unprotect: later("let objects be deleted again", async () => (await import("./protect.ts")).unprotect),
  "uninstall-check": {
    summary: "what would be left behind; the chart asks this before it is uninstalled",
    run: async (args) => (await import("./uninstall-check.ts")).uninstallCheckCommand(args),
  },
  sandbox: {
    summary: "a cluster in this process with Kruiser in it, for kubectl to try: sandbox --nodes=3",
    run: async (args) => (await import("../sandbox/command.ts")).sandboxCommand(args),
  },
  version: { summary: "which kruise this is; -o json for machines", run: async (args) => printVersion(args) },
  completion: later(
    "a script that completes what is typed: bash, zsh, fish, powershell",
    async () => (await import("./complete.ts")).completion,
  ),
  options: { summary: "the flags of all commands", run: async () => printOptions() },
  help: { summary: "this text", run: async (args) => (args.length > 0 ? cliMain([...args, "--help"]) : print(help())) },
  apply: byKubectl("apply", "kubectl apply"),
  autoscale: byKubectl("autoscale", "kubectl autoscale"),
  diff: byKubectl("diff", "kubectl diff"),
  patch: byKubectl("patch", "kubectl patch"),
  replace: byKubectl("replace", "kubectl replace"),
  wait: byKubectl("wait", "kubectl wait"),
  kustomize: byKubectl("kustomize", "kubectl kustomize"),
  config: byKubectl("config", "kubectl config"),
  plugin: byKubectl("plugin", "kubectl plugin"),
  "api-resources": byKubectl("api-resources", "kubectl api-resources"),
  "api-versions": byKubectl("api-versions", "kubectl api-versions"),
};

/** @returns the exit code */
export async function cliMain(args: readonly string[]): Promise<number> {
  if (args[0] === "__complete") return print(await (await import("./complete.ts")).complete(commands, args.slice(1)));
  const { firstWord, named, unknownCommand } = await import("./command.ts");
  const { word: name, rest } = firstWord(args);
  if (name === undefined) return print(help());
  const { Refused } = await import("./refused.ts");
  try {
    const found = named(commands, name);
    if (found === undefined) throw unknownCommand(name, Object.keys(commands));
    return await found.command.run(rest, found.name);
  } catch (error) {
    if (error instanceof Refused) return refuse(error, args);
    throw error;
  }
}

async function refuse(error: InstanceType<typeof import("./refused.ts").Refused>, args: readonly string[]): Promise<number> {
  const { Misused } = await import("./refused.ts");
  const { message, reason, code, hint } = error;
  if (args.includes("--error-format=json")) {
    complain(`${JSON.stringify({ reason, code, message, ...(hint === "" ? {} : { hint }) })}\n`);
    return 1;
  }
  const words = args.filter((arg) => !arg.startsWith("-")).slice(0, 2);
  const help = error instanceof Misused ? `\nSee 'kubectl-kruise ${words[0] ?? ""} --help' for help and examples.` : "";
  complain(`${message}${hint === "" ? "" : `\n${hint}`}${help}\n`);
  return 1;
}

function help(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`);
  return `Commands:\n${lines.join("\n")}\n\nEach takes --help.\n`;
}

async function printOptions(): Promise<number> {
  const [{ flagsHelp }, { globalFlags }] = await Promise.all([import("./args.ts"), import("./globals.ts")]);
  return print(`The following options can be passed to any command:\n\n${flagsHelp(globalFlags)}\n`);
}

async function printVersion(args: readonly string[]): Promise<number> {
  if (basename(process.argv0).startsWith("kubectl-")) return (await import("./version.ts")).version.run(args, "version");
  if (args.join(" ") === "")
    return print(`kruise ${versionInfo.version} (OpenKruise API ${versionInfo.openKruise}, ${versionInfo.platform})\n`);
  if (/^(-o|--output)[ =]json$/.test(args.join(" "))) return print(`${JSON.stringify(versionInfo, null, 2)}\n`);
  complain(`unexpected arguments "${args.join(" ")}": version takes only -o json\n`);
  return 2;
}

function print(text: string): number {
  say(text);
  return 0;
}
