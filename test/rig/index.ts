/**
 * A real Kubernetes cluster for tests, on this machine: `const rig = await startRig({ kwokNodes: 5 })`, and `await rig.stop()` at the end.
 *
 * control-plane.ts  etcd, kube-apiserver, kube-controller-manager, kube-scheduler
 * kwok.ts           simulated nodes; kwok-stages.ts says how their pods behave
 * node.ts           real nodes: kubelet, containerd, a bridge; images.ts: the registry and what is in it
 * manager.ts        the product under test, running outside the cluster against it; daemon.ts: its node daemon
 * binaries.ts       where all these programs come from
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary } from "./binaries.ts";
import type { ApiClient } from "./client.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";
import { type Daemon, type DaemonOptions, startDaemon } from "./daemon.ts";

import { type Installed, installManifests } from "./install.ts";
import { type Kwok, startKwok } from "./kwok.ts";
import { type Manager, type ManagerOptions, startManager } from "./manager.ts";
import type { RealNode } from "./node.ts";
import { type Ran, type RunOptions, run } from "./process.ts";
import type { Registry } from "./registry.ts";
import { waitFor } from "./wait.ts";

export { type Answer, ApiClient, type ContentType, type ObjectLike } from "./client.ts";
export { countAudited } from "./control-plane.ts";
export type { Daemon, DaemonOptions } from "./daemon.ts";
export { nodeDownAnnotation, podAnnotations } from "./kwok-stages.ts";
export type { Manager, ManagerOptions } from "./manager.ts";
export type { RealNode } from "./node.ts";
export type { Process, Ran } from "./process.ts";
export type { Registry } from "./registry.ts";
export { collectedMs, GiveUp, waitFor } from "./wait.ts";

export interface RigOptions {
  /** Simulated nodes, `kwok-0` …. Default 3. */
  readonly kwokNodes?: number;
  /** Real nodes, `node-0` …: needs root and Debian packages. Default 0. */
  readonly realNodes?: number;
  /** Where the API server's audit log goes. Default: none is kept. */
  readonly audit?: string;
  /** Default: a fresh one under the system's temporary directory, removed when the rig stops (kept with KRUISER_KEEP=1). */
  readonly stateDir?: string;
  readonly apiserverFlags?: readonly string[];
  readonly controllerManagerFlags?: readonly string[];
}

export interface Rig {
  readonly stateDir: string;
  readonly url: string;
  readonly kubeconfigPath: string;
  /** As a member of system:masters. */
  readonly admin: ApiClient;
  readonly plane: ControlPlane;
  readonly kwok: Kwok;
  readonly nodes: readonly RealNode[];
  /** The local registry; only with real nodes. @throws Error without */
  readonly registry: Registry;
  /** Runs kubectl as admin. */
  kubectl(args: readonly string[], stdin?: string, options?: RunOptions): Promise<Ran>;
  /** Server-side apply of objects, in order. @throws Error with kubectl's message */
  apply(...objects: readonly unknown[]): Promise<void>;
  /** Creates a fresh namespace with a random name, its default service account included; answers the name. */
  namespace(prefix?: string): Promise<string>;
  /** Applies a kustomize directory without its workloads: the manager runs outside the cluster. */
  install(dir?: string): Promise<Installed>;
  /** Starts the product's manager against this cluster; stopped with the rig at the latest. */
  startManager(options?: ManagerOptions): Promise<Manager>;
  /** Starts the product's daemon for a real node; stopped with the rig at the latest. */
  startDaemon(node: RealNode, options?: DaemonOptions): Promise<Daemon>;
  stop(): Promise<void>;
}

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), "kruiser-rig-"));
  mkdirSync(stateDir, { recursive: true });
  /** What has been started, to be stopped in the opposite order. */
  const started: { stop(): Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const part of started.splice(0).reverse()) await part.stop().catch((error) => failures.push(error));
    if (options.stateDir === undefined && process.env["KRUISER_KEEP"] !== "1" && failures.length === 0)
      rmSync(stateDir, { recursive: true, force: true });
    if (failures.length > 0) throw new AggregateError(failures, `the rig did not stop cleanly: ${failures.join("; ")}`);
  };
  try {
    const plane = await startControlPlane({
      stateDir,
      ...(options.audit === undefined ? {} : { auditPath: options.audit }),
      ...(options.apiserverFlags === undefined ? {} : { apiserverFlags: options.apiserverFlags }),
      ...(options.controllerManagerFlags === undefined ? {} : { controllerManagerFlags: options.controllerManagerFlags }),
    });
    started.push(plane);
    const kwok = await startKwok(plane, options.kwokNodes ?? 3);
    started.push(kwok);
    const { registry, nodes } = await startNodes(plane, options.realNodes ?? 0, started);
    const kubectlPath = await binary("kubectl");
    const kubectl: Rig["kubectl"] = (args, stdin, runOptions = {}) =>
      run([kubectlPath, `--kubeconfig=${plane.kubeconfigPath}`, ...args], { ...runOptions, ...(stdin === undefined ? {} : { stdin }) });
    const rig: Rig = {
      stateDir,
      url: plane.url,
      kubeconfigPath: plane.kubeconfigPath,
      admin: plane.admin,
      plane,
      kwok,
      nodes,
      get registry() {
        if (!registry) throw new Error("this rig has no registry: start it with realNodes ≥ 1");
        return registry;
      },
      kubectl,
      apply: async (...objects) => {
        const ran = await kubectl(
          ["apply", "--server-side", "--force-conflicts", "-f", "-"],
          objects.map((object) => JSON.stringify(object)).join("\n"),
        );
        if (ran.code !== 0) throw new Error(`kubectl apply: ${ran.stderr.trim()}`);
      },
      namespace: (prefix = "test") => createNamespace(plane.admin, prefix),
      install: (dir) => installManifests(rig, dir),
      startManager: async (managerOptions) => {
        const manager = await startManager(rig, managerOptions);
        started.push(manager);
        return manager;
      },
      startDaemon: async (node, daemonOptions) => {
        const daemon = await startDaemon(rig, node, daemonOptions);
        started.push(daemon);
        return daemon;
      },
      stop,
    };
    return rig;
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

async function startNodes(
  plane: ControlPlane,
  count: number,
  started: { stop(): Promise<void> }[],
): Promise<{ registry?: Registry; nodes: RealNode[] }> {
  if (count === 0) return { nodes: [] };
  // Loaded late: a rig without real nodes needs none of it.
  const { startRegistry } = await import("./images.ts");
  const { startNode } = await import("./node.ts");
  const registry = await startRegistry();
  started.push(registry);
  const nodes: RealNode[] = [];
  for (let index = 0; index < count; index++) {
    const node = await startNode(plane, registry, `node-${index}`);
    started.push(node);
    nodes.push(node);
  }
  return { registry, nodes };
}

async function createNamespace(admin: ApiClient, prefix: string): Promise<string> {
  const name = `${prefix}-${crypto.randomUUID().slice(0, 8)}`;
  await admin.create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  // No pod is admitted before its service account exists.
  await waitFor(`service account ${name}/default`, () => admin.get(`/api/v1/namespaces/${name}/serviceaccounts/default`));
  return name;
}
