/**
 * The one cluster that the tests of this folder share: a real control plane, a real node with its container runtime, a simulated node
 * without a node agent, Kruiser's manifests as they are generated, one manager and one node agent, each with its own account's rights.
 */
import type {
  ContainerRecreateRequest,
  ContainerRecreateRequestSpec,
  ContainerRecreateState,
} from "../../src/api/containerrecreaterequest.ts";
import type { Pod } from "../../src/kube/types.ts";
import { atEnd } from "../lib/at-end.ts";
import {
  type Daemon,
  type DaemonOptions,
  type Manager,
  type ManagerOptions,
  type RealNode,
  type Rig,
  startRig,
  waitFor,
} from "../rig/index.ts";

export interface House {
  readonly rig: Rig;
  readonly node: RealNode;
  readonly manager: Manager;
  readonly daemon: Daemon;
}

let running: Promise<House> | undefined;

/** Started by whoever asks first; takes some fifteen seconds, and minutes where the programs have to be built first. */
export function house(): Promise<House> {
  running ??= start();
  return running;
}

/** For hooks and tests that may be the first to ask. */
export const startTimeoutMs = 60 * 60_000;

const managerFlags = [
  "--v=1",
  "--feature-gates=ImagePullJobGate=true,InPlaceWorkloadVerticalScaling=true,SidecarTerminator=true",
  "--nodeimage-creation-delay=1s",
];

/** While `work` goes on the agent is another process, with more flags or another environment, over the same node and record. */
export async function withDaemon<T>(
  { rig, node, daemon }: House,
  { flags = [], env = {} }: DaemonOptions,
  work: (agent: Daemon) => Promise<T>,
): Promise<T> {
  await daemon.stop();
  const options = { flags: ["--v=5", `--record-path=${rig.stateDir}/daemon.sqlite`, ...flags], env };
  const agent = await rig.startDaemon(node, options);
  try {
    return await work(agent);
  } finally {
    await agent.stop();
    await daemon.restart();
  }
}

/** While `work` goes on the manager is another process. */
export async function withManager<T>(
  { rig, manager }: House,
  { env = {} }: ManagerOptions,
  work: (manager: Manager) => Promise<T>,
): Promise<T> {
  await manager.stop();
  const other = await rig.startManager({ flags: managerFlags, env });
  try {
    return await work(other);
  } finally {
    await other.stop();
    await manager.restart();
  }
}

async function start(): Promise<House> {
  const rig = await startRig({ kwokNodes: 1, realNodes: 1 });
  atEnd(() => rig.stop());
  await rig.install();
  const node = rig.nodes[0]!;
  const manager = await rig.startManager({ flags: managerFlags });
  const daemon = await rig.startDaemon(node, { flags: ["--v=5", `--record-path=${rig.stateDir}/daemon.sqlite`] });
  return { rig, node, manager, daemon };
}

type Loose = Record<string, unknown>;
export interface KubeEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count?: number;
  readonly source: { readonly component?: string; readonly host?: string };
  readonly involvedObject: { readonly kind: string; readonly name: string; readonly fieldPath?: string };
}

/** One namespace, with pods on the real node. */
export class Room {
  private constructor(
    readonly rig: Rig,
    readonly namespace: string,
  ) {}

  static async open(rig: Rig): Promise<Room> {
    return new Room(rig, await rig.namespace());
  }

  app(name: string, more: Loose = {}): Loose {
    return { name, image: this.rig.registry.image("app", "v1"), ...more };
  }

  podPath(name: string): string {
    return `/api/v1/namespaces/${this.namespace}/pods/${name}`;
  }

  /** Creates a pod on the real node and waits until its containers run; with ports of their own, since they share an address. */
  async pod(name: string, containers: readonly Loose[], spec: Loose = {}, metadata: Loose = {}): Promise<Pod> {
    const withPorts = containers.map((container, index) => ({
      ...container,
      env: [{ name: "PORT", value: String(8080 + index) }, ...((container["env"] as Loose[] | undefined) ?? [])],
    }));
    await this.rig.admin.create(`/api/v1/namespaces/${this.namespace}/pods`, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, ...metadata },
      spec: { nodeSelector: { type: "real" }, terminationGracePeriodSeconds: 5, containers: withPorts, ...spec },
    });
    return this.seePod(
      name,
      "to run",
      // Those that are quick may have ended before the last one begins.
      (pod) =>
        containersOf(pod).length === containers.length && containersOf(pod).every(({ state }) => state?.running ?? state?.terminated),
    );
  }

  async now(name: string): Promise<Pod> {
    return this.rig.admin.must<Pod>("GET", this.podPath(name));
  }

  seePod(name: string, what: string, holds: (pod: Pod) => unknown, timeoutMs = 60_000): Promise<Pod> {
    return waitFor(
      `pod ${name} ${what}`,
      async () => {
        const pod = await this.rig.admin.get<Pod>(this.podPath(name));
        return pod && holds(pod) ? pod : undefined;
      },
      { timeoutMs },
    );
  }

  /** When the container before this one ended, in seconds: told by the kubelet, a moment after the new one is seen to run. */
  async formerEnd(podName: string, name: string): Promise<number> {
    const end = (pod: Pod) => containerOf(pod, name).lastState?.terminated?.finishedAt;
    return secondsOf(end(await this.seePod(podName, `to show how ${name} ended`, end)));
  }

  requestsPath(version = "v1beta1"): string {
    return `/apis/apps.kruise.io/${version}/namespaces/${this.namespace}/containerrecreaterequests`;
  }

  request(
    name: string,
    podName: string,
    containers: readonly string[],
    spec: Partial<ContainerRecreateRequestSpec> = {},
  ): Promise<ContainerRecreateRequest> {
    return this.rig.admin.create<ContainerRecreateRequest>(this.requestsPath(), {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "ContainerRecreateRequest",
      metadata: { name },
      spec: { podName, containers: containers.map((container) => ({ name: container })), ...spec },
    });
  }

  async requestNow(name: string): Promise<ContainerRecreateRequest | undefined> {
    return this.rig.admin.get<ContainerRecreateRequest>(`${this.requestsPath()}/${name}`);
  }

  seeRequest(
    name: string,
    what: string,
    holds: (request: ContainerRecreateRequest) => unknown,
    timeoutMs = 90_000,
  ): Promise<ContainerRecreateRequest> {
    return waitFor(
      `request ${name} ${what}`,
      async () => {
        const request = await this.requestNow(name);
        return request && holds(request) ? request : undefined;
      },
      { timeoutMs },
    );
  }

  completed(name: string, timeoutMs?: number): Promise<ContainerRecreateRequest> {
    return this.seeRequest(name, "to complete", ({ status }) => status?.phase === "Completed", timeoutMs);
  }

  async events(podName: string, reason: string): Promise<readonly KubeEvent[]> {
    const all = await this.rig.admin.list<KubeEvent>(`/api/v1/namespaces/${this.namespace}/events`);
    return all.filter((event) => event.involvedObject.name === podName && event.reason === reason);
  }

  /** Events of the node agent, told and aggregated within moments. */
  seeEvents(podName: string, reason: string, component: string): Promise<readonly KubeEvent[]> {
    return waitFor(`event ${reason} of ${component} on ${podName}`, async () => {
      const events = (await this.events(podName, reason)).filter(({ source }) => source.component === component);
      return events.length > 0 ? events : undefined;
    });
  }
}

export function containersOf(pod: Pod) {
  return pod.status?.containerStatuses ?? [];
}
export function containerOf(pod: Pod, name: string) {
  const status = containersOf(pod).find((candidate) => candidate.name === name);
  if (status === undefined) throw new Error(`pod ${pod.metadata.name} shows no container ${name}`);
  return status;
}
export function conditionOf(pod: Pod, type: string) {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}
export function stateOf(request: ContainerRecreateRequest, name: string): ContainerRecreateState | undefined {
  return request.status?.containerRecreateStates?.find((state) => state.name === name);
}
export const secondsOf = (time: string | null | undefined): number => Date.parse(time ?? "") / 1000;
