/** `kruise sandbox`: flags in, a running cluster until it is asked to stop. */
import { createLogger, silentLogger, textLogger } from "../env/log.ts";
import { systemEnv } from "../env/system.ts";
import { type Flag, flagHelp, parseFlags } from "../process/flags.ts";
import { stopOnSignals } from "../process/shutdown.ts";
import { type ImageFault, type ImageFaults, imageFaults } from "./kubelet/containers.ts";
import { runSandbox } from "./run.ts";

const sandboxFlags = {
  port: { type: "integer", default: 0, help: "HTTPS port; 0: the one it had before, or any free one" },
  address: { type: "string", default: "127.0.0.1", help: "what to listen on; whoever reaches it and has the kubeconfig is admin" },
  "data-dir": { type: "string", default: "", help: "keep the cluster here; empty: it is gone when the command ends" },
  nodes: { type: "integer", default: 3, help: "nodes of a new cluster" },
  image: {
    type: "string",
    default: "",
    help: 'how images fare, as a list of <image>=<fault>: bad (cannot be pulled), broken (crashes) or slow (takes long to pull); an image ending in "*" stands for all that begin so',
  },
  speed: { type: "string", default: "1", help: "how many times faster containers start and stop" },
  v: { type: "integer", default: 0, help: "log verbosity: 0 only what goes wrong, 1 the manager's own lines" },
} as const satisfies Record<string, Flag>;

const usage = `kruise sandbox [flags]

A Kubernetes cluster in this process, with Kruiser's manager in it, behind an HTTPS port on this machine. kubectl works against it.
Nodes and containers are simulated: pods go through their phases, and nothing is run.
`;
const nodesMax = 1000;
const portMax = 65_535;

/** @returns the exit code */
export async function sandboxCommand(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    process.stdout.write(`${usage}\n${flagHelp(sandboxFlags)}\n`);
    return 0;
  }
  const parsed = parseFlags(sandboxFlags, args);
  if (!parsed.ok) return wrong(parsed.message);
  if (parsed.rest.length > 0) return wrong(`unexpected argument "${parsed.rest[0]}"`);
  const { port, address, nodes, v } = parsed.values;
  const speed = Number(parsed.values.speed);
  if (!(speed > 0)) return wrong(`--speed=${parsed.values.speed}: expected a number above 0`);
  if (nodes < 0 || nodes > nodesMax) return wrong(`--nodes=${nodes}: expected 0 to ${nodesMax}`);
  if (port < 0 || port > portMax) return wrong(`--port=${port}: expected 0 to ${portMax}`);
  const faults = faultsOf(parsed.values.image);
  if (typeof faults === "string") return wrong(faults);
  const signals = stopOnSignals();
  const { nowMs } = systemEnv(silentLogger, signals.stopped);
  const quiet = textLogger("error", (line) => process.stderr.write(line), nowMs);
  const log = v > 0 ? await createLogger({ format: "text", verbosity: v }) : quiet;
  const env = systemEnv(log, signals.stopped);
  let code = 0;
  const fatal = (message: string) => {
    process.stderr.write(`error: ${message}\n`);
    code = 1;
    signals.stop();
  };
  try {
    const dataDir = parsed.values["data-dir"] || undefined;
    const running = await runSandbox(env, { hostname: address, port, dataDir, nodes, speed, imageFaults: faults, fatal });
    process.stdout.write(`The sandbox is ready at ${running.url}\nexport KUBECONFIG=${running.kubeconfigPath}\n`);
    if (!signals.stopped.aborted) await new Promise((resolve) => signals.stopped.addEventListener("abort", resolve, { once: true }));
    await running.stop();
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  return code;
}

/** @returns what is wrong, as a text */
function faultsOf(text: string): ImageFaults | string {
  const faults = new Map<string, ImageFault>();
  for (const entry of text.split(",").filter((part) => part !== "")) {
    const at = entry.lastIndexOf("=");
    const fault = imageFaults.find((known) => known === entry.slice(at + 1));
    if (at <= 0 || fault === undefined) return `--image=${entry}: expected <image>=<fault> with one of ${imageFaults.join(", ")}`;
    faults.set(entry.slice(0, at), fault);
  }
  return faults;
}

function wrong(message: string): number {
  process.stderr.write(`error: ${message}; see --help\n`);
  return 2;
}
