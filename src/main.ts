/**
 * One binary, three roles: `kruise --mode=manager`, `kruise --mode=daemon`, and the commands of `kubectl-kruise`. Each role is loaded
 * only when asked for, so that a node agent does not pay for the manager's memory.
 */
import { basename } from "node:path";
import { adoptRuntimeOptions } from "./process/runtime.ts";

const usage = `Kruiser: the OpenKruise API in one binary.

  kruise --mode=manager [flags]   controllers and admission webhooks    (kruise --mode=manager --help)
  kruise --mode=daemon [flags]    node agent                            (kruise --mode=daemon --help)
  kruise <command> [flags]        commands for people                   (kruise help)
  kruise version [-o json]

The same binary under the name kubectl-kruise is the kubectl plugin.
`;

/** Names under which OpenKruise's manifests start the image. */
const namedModes: Readonly<Record<string, string>> = { manager: "manager", "kruise-daemon": "daemon" };

/** @returns the exit code; the long-running roles resolve when they are asked to stop */
async function main(args: readonly string[]): Promise<number> {
  const mode = modeOf(args) ?? namedModes[basename(process.argv0)];
  if (mode === "manager" || mode === "daemon") adoptRuntimeOptions(mode);
  switch (mode) {
    case "manager":
      return (await import("./manager/main.ts")).managerMain(args);
    case "daemon":
      return (await import("./daemon/main.ts")).daemonMain(args);
    case undefined:
      break;
    default:
      process.stderr.write(`invalid value "${mode}" for flag --mode: expected manager or daemon\n`);
      return 2;
  }
  // kubectl asks this name what may come next.
  if (basename(process.argv0).startsWith("kubectl_complete-")) return (await import("./cli/main.ts")).cliMain(["__complete", ...args]);
  const isPlugin = basename(process.argv0).startsWith("kubectl-");
  if (!isPlugin && (args.length === 0 || args[0] === "--help" || args[0] === "-h")) {
    process.stdout.write(usage);
    return args.length === 0 ? 2 : 0;
  }
  return (await import("./cli/main.ts")).cliMain(args);
}

function modeOf(args: readonly string[]): string | undefined {
  for (const [index, arg] of args.entries()) {
    if (arg === "--") return undefined;
    const inline = /^--?mode=(.*)$/.exec(arg);
    if (inline) return inline[1];
    if (arg === "--mode" || arg === "-mode") return args[index + 1] ?? "";
  }
  return undefined;
}

process.exit(await main(process.argv.slice(2)));
