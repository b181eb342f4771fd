/** The product's manager, run outside the cluster with its own service account's rights, reachable for the API server's webhooks on loopback. */
import { join } from "node:path";
import type { Rig } from "./index.ts";
import { freePort, type Process, startProcess } from "./process.ts";
import { GiveUp, messageOf, waitFor } from "./wait.ts";

export interface ManagerOptions {
  /** How the product is started. Default `bun src/main.ts`, or what KRUISE_COMMAND says (split at spaces). */
  readonly command?: readonly string[];
  /** Added after the rig's own flags, so these win. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default `kruise-system` / `kruise-manager`: they have to exist (see `rig.install`). */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
  /** Wait until /readyz answers 200. Default true. */
  readonly waitReady?: boolean;
  readonly readyTimeoutMs?: number;
  /** For several managers at once. Default "manager". */
  readonly name?: string;
  /** Default false: with one manager, waiting for a lease is time lost. */
  readonly leaderElection?: boolean;
}

export interface Manager {
  readonly process: Process;
  readonly healthUrl: string;
  readonly metricsUrl: string;
  readonly webhookPort: number;
  readonly logPath: string;
  readonly kubeconfigPath: string;
  ready(): Promise<boolean>;
  waitReady(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL: a crash. */
  kill(): Promise<void>;
  /** Starts again with the same flags, ports and identity; for a manager that has stopped. */
  restart(): Promise<void>;
}

const projectRoot = join(import.meta.dir, "../..");
const readyTimeoutMsDefault = 90_000;

export async function startManager(rig: Rig, options: ManagerOptions = {}): Promise<Manager> {
  const name = options.name ?? "manager";
  const account = options.serviceAccount ?? { namespace: "kruise-system", name: "kruise-manager" };
  const kubeconfigPath = await rig.plane.kubeconfigOf(account.namespace, account.name);
  const [webhookPort, healthPort, metricsPort, pprofPort] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const command = options.command ?? process.env["KRUISE_COMMAND"]?.split(" ") ?? ["bun", "src/main.ts"];
  const logPath = join(rig.stateDir, "logs", `${name}.log`);
  const start = () =>
    startProcess({
      name,
      cwd: projectRoot,
      logPath,
      argv: [
        ...command,
        "--mode=manager",
        `--health-probe-addr=127.0.0.1:${healthPort}`,
        `--metrics-addr=127.0.0.1:${metricsPort}`,
        `--pprof-addr=127.0.0.1:${pprofPort}`,
        `--enable-leader-election=${options.leaderElection ?? false}`,
        `--leader-election-namespace=${account.namespace}`,
        `--protection-log-path=${join(rig.stateDir, `${name}-log`)}`,
        `--record-path=${join(rig.stateDir, `${name}-record.db`)}`,
        ...(options.flags ?? []),
      ],
      env: {
        KUBECONFIG: kubeconfigPath,
        POD_NAMESPACE: account.namespace,
        POD_NAME: name,
        WEBHOOK_HOST: "127.0.0.1",
        WEBHOOK_PORT: String(webhookPort),
        WEBHOOK_CERT_DIR: join(rig.stateDir, `${name}-webhook-certs`),
        ...options.env,
      },
    });
  let child = start();
  const healthUrl = `http://127.0.0.1:${healthPort}`;
  const ready = async () => (await fetch(`${healthUrl}/readyz`, { signal: AbortSignal.timeout(2_000) })).ok;
  const waitReady = async (timeoutMs = options.readyTimeoutMs ?? readyTimeoutMsDefault): Promise<void> => {
    try {
      await waitFor(
        `${name} to be ready`,
        () => {
          if (!child.running()) throw new GiveUp(`${name} ended while starting`);
          return ready();
        },
        { timeoutMs },
      );
    } catch (error) {
      throw new Error(`${messageOf(error)}; the end of ${logPath}:\n${child.tail(40)}`);
    }
  };
  if (options.waitReady ?? true) {
    try {
      await waitReady();
    } catch (error) {
      await child.stop();
      throw error;
    }
  }
  return {
    get process() {
      return child;
    },
    healthUrl,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    webhookPort,
    logPath,
    kubeconfigPath,
    ready: () => ready().catch(() => false),
    waitReady,
    stop: () => child.stop(15_000),
    kill: () => child.kill(),
    restart: async () => {
      if (child.running()) throw new Error(`${name} is still running: stop or kill it before restart()`);
      child = start();
      if (options.waitReady ?? true) await waitReady();
    },
  };
}
