/** The product's node daemon, run on the host against a real node's containerd, with its own service account's rights. */
import { join } from "node:path";
import type { Rig } from "./index.ts";
import type { RealNode } from "./node.ts";
import { freePort, type Process, startProcess } from "./process.ts";
import { GiveUp, messageOf, waitFor } from "./wait.ts";

export interface DaemonOptions {
  /** How the product is started. Default `bun src/main.ts`, or what KRUISE_COMMAND says (split at spaces). */
  readonly command?: readonly string[];
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default `kruise-system` / `kruise-daemon`: they have to exist (see `rig.install`). */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
  /** Wait until /healthz answers 200. Default true. */
  readonly waitReady?: boolean;
}

export interface Daemon {
  readonly process: Process;
  readonly healthUrl: string;
  readonly metricsUrl: string;
  readonly logPath: string;
  readonly kubeconfigPath: string;
  stop(): Promise<void>;
  /** SIGKILL: a crash. */
  kill(): Promise<void>;
  /** Starts again with the same flags, for a daemon that has stopped. */
  restart(): Promise<void>;
}

const projectRoot = join(import.meta.dir, "../..");
const readyTimeoutMs = 60_000;

export async function startDaemon(rig: Rig, node: RealNode, options: DaemonOptions = {}): Promise<Daemon> {
  const account = options.serviceAccount ?? { namespace: "kruise-system", name: "kruise-daemon" };
  const kubeconfigPath = await rig.plane.kubeconfigOf(account.namespace, account.name);
  const [port, pprofPort] = [await freePort(), await freePort()];
  const command = options.command ?? process.env["KRUISE_COMMAND"]?.split(" ") ?? ["bun", "src/main.ts"];
  const name = `daemon-${node.name}`;
  const logPath = join(rig.stateDir, "logs", `${name}.log`);
  const healthUrl = `http://127.0.0.1:${port}`;
  const start = () =>
    startProcess({
      name,
      cwd: projectRoot,
      logPath,
      argv: [
        ...command,
        "--mode=daemon",
        `--addr=127.0.0.1:${port}`,
        `--pprof-addr=127.0.0.1:${pprofPort}`,
        `--kubeconfig=${kubeconfigPath}`,
        `--socket-file=${node.containerdAddress}`,
        ...(options.flags ?? []),
      ],
      env: { KUBECONFIG: kubeconfigPath, NODE_NAME: node.name, POD_NAMESPACE: account.namespace, ...options.env },
    });
  let child = start();
  const waitReady = async (): Promise<void> => {
    if (options.waitReady === false) return;
    try {
      await waitFor(
        `${name} to be healthy`,
        async () => {
          if (!child.running()) throw new GiveUp(`${name} ended while starting`);
          return (await fetch(`${healthUrl}/healthz`, { signal: AbortSignal.timeout(2_000) })).ok;
        },
        { timeoutMs: readyTimeoutMs },
      );
    } catch (error) {
      await child.stop();
      throw new Error(`${messageOf(error)}; the end of ${logPath}:\n${child.tail(40)}`);
    }
  };
  await waitReady();
  return {
    get process() {
      return child;
    },
    healthUrl,
    metricsUrl: `${healthUrl}/metrics`,
    logPath,
    kubeconfigPath,
    stop: () => child.stop(15_000),
    kill: () => child.kill(),
    restart: async () => {
      if (child.running()) throw new Error(`${name} is still running: stop or kill it before restart()`);
      child = start();
      await waitReady();
    },
  };
}
