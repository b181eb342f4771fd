/**
 * The cluster for what guards pods and objects: all its gates on, and two managers behind the webhook Service, among which the API server
 * deals its connections. `Yard` is a namespace with the usual moves.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type PodUnavailableBudget, podUnavailableBudgets } from "../../src/api/podunavailablebudget.ts";
import type { Pod } from "../../src/kube/types.ts";
import { atEnd } from "../lib/at-end.ts";
import { ensurePackages } from "../rig/debian.ts";
import { type Answer, type ApiClient, type Manager, type ObjectLike, type Ran, type Rig, startRig, waitFor } from "../rig/index.ts";
import { run } from "../rig/process.ts";

export interface Guarded {
  readonly rig: Rig;
  readonly managers: readonly [Manager, Manager];
  /** Lines of both protection.log files. */
  protectionLog(): readonly Record<string, string>[];
  /** The sum over both managers of all series of this metric whose labels have this text in them. */
  metric(name: string, labels?: string): Promise<number>;
  /** The same for each of them. */
  metrics(name: string, labels?: string): Promise<readonly number[]>;
}

const gates = [
  "PodUnavailableBudgetUpdateGate",
  "ResourcesDeletionProtection",
  "DeletionProtectionForCRDCascadingGate",
  "SidecarTerminator",
];

let running: Promise<Guarded> | undefined;

/** Started by whoever asks first, ended after the last test file. */
export function guarded(): Promise<Guarded> {
  running ??= startGuarded();
  return running;
}

/** One of its own, with further flags for both managers. */
export async function startGuarded(flags: readonly string[] = []): Promise<Guarded> {
  // Nobody runs kube-proxy here: the API server goes to the endpoints of a Service itself.
  const address = await ownAddress();
  const rig = await startRig({ kwokNodes: 3, apiserverFlags: ["--enable-aggregator-routing=true"] });
  atEnd(() => rig.stop());
  await rig.install();
  const logs = ["a", "b"].map((name) => join(rig.stateDir, `protection-${name}`));
  const startOne = async (name: string, log: string | undefined) => {
    const manager = await rig.startManager({
      name,
      leaderElection: true,
      flags: ["--v=1", `--feature-gates=${gates.map((gate) => `${gate}=true`).join(",")}`, `--protection-log-path=${log}`, ...flags],
      // As in the cluster: reached through the Service, with certificates from the Secret that both share.
      env: { WEBHOOK_HOST: undefined },
    });
    await rig.apply(endpointsOf(manager, name, address));
    return manager;
  };
  const first = await startOne("a", logs[0]);
  const second = await startOne("b", logs[1]);
  const managers = [first, second] as const;
  const metrics: Guarded["metrics"] = (name, labels = "") =>
    Promise.all(
      managers.map(async ({ metricsUrl }) => {
        const lines = (await (await fetch(metricsUrl)).text()).split("\n");
        return lines
          .filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels))
          .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
      }),
    );
  return {
    rig,
    managers,
    metrics,
    metric: async (name, labels) => (await metrics(name, labels)).reduce((sum, value) => sum + value, 0),
    protectionLog: () =>
      logs.flatMap((dir) =>
        readFileSync(join(dir, "protection.log"), "utf8")
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line) as Record<string, string>),
      ),
  };
}

function endpointsOf({ webhookPort }: Manager, name: string, address: string): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `kruise-webhook-${name}`,
      namespace: "kruise-system",
      labels: { "kubernetes.io/service-name": "kruise-webhook-service" },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: "webhook", port: webhookPort, protocol: "TCP" }],
  };
}

const triesMax = 100;

/**
 * An address on the loopback device for as long as the tests run, and for nobody else: of the range for documentation, since endpoints in
 * 127.0.0.0/8 are not allowed, and nothing else leads here.
 *
 * @throws Error where none can be had: without root nobody may add one
 */
async function ownAddress(): Promise<string> {
  if (process.getuid?.() !== 0) throw new Error("these tests need root, to put an address on the loopback device");
  await ensurePackages(["iproute2"]);
  let failure = "";
  for (let tries = 0; tries < triesMax; tries++) {
    const address = `198.51.100.${1 + Math.floor(Math.random() * 254)}`;
    // Refused when somebody has it: other files run at the same time.
    const added = await run(["ip", "address", "add", `${address}/32`, "dev", "lo"]);
    failure = added.stderr.trim();
    if (added.code !== 0) continue;
    atEnd(async () => {
      await run(["ip", "address", "delete", `${address}/32`, "dev", "lo"]);
    });
    return address;
  }
  throw new Error(`no address of 198.51.100.0/24 could be added to the loopback device: ${failure}`);
}

export type Loose = Record<string, unknown>;
type Status = NonNullable<PodUnavailableBudget["status"]>;
export const isReady = (pod: Pod) => pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;

export class Yard {
  private constructor(
    readonly rig: Rig,
    readonly namespace: string,
  ) {}

  static async open(rig: Rig): Promise<Yard> {
    return new Yard(rig, await rig.namespace("guard"));
  }

  get admin(): ApiClient {
    return this.rig.admin;
  }
  readonly pods = (name = "") => `/api/v1/namespaces/${this.namespace}/pods${name && `/${name}`}`;
  readonly apps = (plural: string, name = "") => `/apis/apps/v1/namespaces/${this.namespace}/${plural}${name && `/${name}`}`;
  readonly budgets = (name = "", version = podUnavailableBudgets.version) =>
    `/apis/policy.kruise.io/${version}/namespaces/${this.namespace}/podunavailablebudgets${name && `/${name}`}`;

  /** Pods of nobody, so that nobody replaces them. */
  async bare(count: number, more: Loose = {}, prefix = "p"): Promise<string[]> {
    const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
    await Promise.all(
      names.map((name) =>
        this.admin.create(this.pods(), {
          metadata: { name, labels: { app: "web" }, ...(more["metadata"] as Loose) },
          spec: { containers: [{ name: "main", image: "nginx:v1", ...(more["container"] as Loose) }] },
        }),
      ),
    );
    await waitFor(`${count} ready pods ${prefix} in ${this.namespace}`, async () => {
      const ready = new Set((await this.allPods()).filter(isReady).map(({ metadata }) => metadata.name));
      return names.every((name) => ready.has(name));
    });
    return names;
  }

  /** @param more of its spec, @param annotations of its pods */
  async deployment(replicas: number, name = "web", more: Loose = {}, annotations: Record<string, string> = {}): Promise<void> {
    await this.admin.create(this.apps("deployments"), {
      metadata: { name },
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: { metadata: { labels: { app: name }, annotations }, spec: { containers: [{ name: "main", image: "nginx:v1" }] } },
        ...more,
      },
    });
    await this.untilReady(replicas);
  }

  async allPods(): Promise<Pod[]> {
    return this.admin.list<Pod>(this.pods());
  }

  async untilReady(count: number): Promise<Pod[]> {
    return waitFor(`${count} ready pods in ${this.namespace}`, async () => {
      const ready = (await this.allPods()).filter((pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined);
      return ready.length === count ? ready : undefined;
    });
  }

  async budget(spec: Loose, name = "web", annotations: Record<string, string> = {}): Promise<void> {
    const whose = spec["targetRef"] === undefined ? { selector: { matchLabels: { app: "web" } } } : {};
    await this.admin.create(this.budgets(), {
      apiVersion: "policy.kruise.io/v1beta1",
      kind: "PodUnavailableBudget",
      metadata: { name, annotations },
      spec: { ...whose, ...spec },
    });
  }

  async status(name = "web"): Promise<Status | undefined> {
    return (await this.admin.get<PodUnavailableBudget>(this.budgets(name)))?.status;
  }

  /** Waits until the budget's figures are [total, desired, current, allowed]. */
  async untilCounts(...figures: readonly [number, number, number, number]): Promise<Status> {
    return waitFor(`figures ${figures.join(", ")} of the budget in ${this.namespace}`, async () => {
      const now = await this.status();
      const seen = [now?.totalReplicas, now?.desiredAvailable, now?.currentAvailable, now?.unavailableAllowed];
      if (seen.join() !== figures.join()) throw new Error(`now ${seen.join(", ")}`);
      return now;
    });
  }

  delete(name: string, query = ""): Promise<Answer<ObjectLike & { message?: string; reason?: string }>> {
    return this.admin.request("DELETE", this.pods(name) + query);
  }

  evict(name: string, options: Loose = {}): Promise<Answer<{ message?: string; reason?: string; code?: number }>> {
    return this.admin.request("POST", `${this.pods(name)}/eviction`, {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name, namespace: this.namespace },
      ...options,
    });
  }

  patchPod(name: string, patch: Loose, subresource = ""): Promise<Answer<Pod & { message?: string }>> {
    return this.admin.request("PATCH", this.pods(name) + subresource, patch, "strategic");
  }

  kubectl(...args: string[]): Promise<Ran> {
    return this.rig.kubectl(["-n", this.namespace, ...args]);
  }

  async events(reason: string): Promise<{ message: string; involvedObject: { name: string } }[]> {
    const events = await this.admin.list<ObjectLike & { reason: string; message: string; involvedObject: { name: string } }>(
      `/api/v1/namespaces/${this.namespace}/events`,
    );
    return events.filter((event) => event.reason === reason);
  }
}
