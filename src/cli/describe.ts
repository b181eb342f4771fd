/** `describe`: what kubectl says of an object, and for Kruise's own what would happen next and what holds it. */

import { parseArgs } from "./args.ts";
import type { Command } from "./command.ts";
import { kubectl } from "./delegate.ts";
import { explainCommand, isExplained, targetOf } from "./explain.ts";
import { globalFlags } from "./globals.ts";
import { out } from "./output.ts";

/** Described far more often than they are asked about. */
const kubernetesOwn: ReadonlySet<string> = new Set(["pod", "pods", "po"]);

export const describe: Command = {
  summary: "What kubectl describes, and what holds an object of Kruise",
  async run(args) {
    const code = await kubectl(["describe", ...args]);
    // With flags of kubectl's own it is kubectl's alone.
    const parsed = parseArgs(globalFlags, args);
    if (code !== 0 || typeof parsed === "string") return code;
    const target = targetOf(parsed.words);
    if (typeof target === "string" || kubernetesOwn.has(target.kind.toLowerCase()) || !isExplained(target.kind)) return code;
    out("What holds it:\n");
    await explainCommand(args);
    return code;
  },
};
