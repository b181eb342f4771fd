/** The flags of commands that ask how things are: those of all commands, with more patience of their own. */
import type { CliFlags } from "./args.ts";
import { globalFlags } from "./globals.ts";

export const askFlags = {
  ...globalFlags,
  output: { kind: "string", short: "o", help: "json for machines" },
  "feature-gates": { kind: "string", help: "the gates that the manager runs with, where they matter for the answer" },
  "request-timeout": { kind: "duration", default: "15s", help: "how long to wait for the API server" },
} as const satisfies CliFlags;
