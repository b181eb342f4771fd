/** `kruise --mode=manager`: from the command line to a running manager, and from a signal to its end. */
import { createLogger } from "../env/log.ts";
import { withServerClock } from "../env/server-clock.ts";
import { systemEnv } from "../env/system.ts";
import { flagHelp } from "../process/flags.ts";
import { stopOnSignals } from "../process/shutdown.ts";
import { versionInfo } from "../process/version.ts";
import { managerFlags } from "./flags.ts";
import { runManager } from "./manager.ts";
import { managerOptions } from "./options.ts";

/** @returns the exit code: 0 after a clean stop, 1 when the manager cannot run or lost its lease, 2 for a wrong command line */
export async function managerMain(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg === "--help" || arg === "-h" || arg === "-help")) {
    process.stdout.write(`kruise --mode=manager runs controllers and admission webhooks.\n\n${flagHelp(managerFlags)}\n`);
    return 0;
  }
  const parsed = managerOptions(args, process.env);
  if (!parsed.ok) {
    process.stderr.write(`${parsed.message}\n`);
    return parsed.code;
  }
  const { options } = parsed;
  const log = await createLogger({ format: options.flags["logging-format"] === "json" ? "json" : "text", verbosity: options.flags.v });
  const signals = stopOnSignals();
  log.info({ version: versionInfo.version, commit: versionInfo.commit }, "starting kruise manager");
  for (const warning of options.warnings) log.warn({}, warning);
  return runManager(withServerClock(systemEnv(log, signals.stopped)), options, signals.stop);
}
