/**
 * One node in the process: an API server and a container runtime in memory, a kubelet that restarts what was stopped, the manager's half
 * of recreate requests, and the daemon's parts under test. Time is real.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ContainerRecreateRequest,
  type ContainerRecreateRequestSpec,
  containerRecreateRequests,
} from "../../api/containerrecreaterequest.ts";
import { type GateName, gatesWith } from "../../api/gates.ts";
import { nodeImages } from "../../api/nodeimage.ts";
import { cachePort, eventPort, ServedKinds } from "../../engine/kube-ports.ts";
import { MemoryMetrics } from "../../engine/metrics.ts";
import { Runner } from "../../engine/runner.ts";
import { testSettings } from "../../engine/testing/settings.ts";
import type { Env } from "../../env/env.ts";
import { silentLogger } from "../../env/log.ts";
import { type Fetch, httpFetch } from "../../env/network.ts";
import { withServerClock } from "../../env/server-clock.ts";
import { systemEnv } from "../../env/system.ts";
import { containerRecreateController } from "../../features/containerrecreate/index.ts";
import { EventRecorder } from "../../kube/events.ts";
import { fieldsOf } from "../../kube/json.ts";
import { apiVersion, type Kind } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { anonymousCredentials, createKube, type Kube } from "../../kube/kube.ts";
import { applyMergePatch } from "../../kube/patch/merge.ts";
import { FakeApi, json, type Recorded, status } from "../../kube/testing/fake-api.ts";
import { formatTime } from "../../kube/time.ts";
import type { Container, ContainerStatus, KubeObject, Pod } from "../../kube/types.ts";
import { Killer } from "../containers/killer.ts";
import { detect } from "../cri/detect.ts";
import { Runtimes } from "../cri/runtimes.ts";
import type { Frame, MakePart, Part } from "../frame.ts";
import { daemonOptions } from "../options.ts";
import { DaemonRecord } from "../record.ts";
import { watchedOn } from "../watched.ts";
import { type FakeContainer, FakeCri } from "./fake-cri.ts";

export const namespace = "shop";
export const nodeName = "node-0";
const eventsPath = "/api/v1/events";
const collection = (kind: Kind) => `${kind.group === "" ? "/api" : "/apis"}/${apiVersion(kind)}/${kind.plural}`;
export const podsPath = collection(pods);
export const requestsPath = collection(containerRecreateRequests);

export interface FakeEventObject extends KubeObject {
  readonly reason: string;
  readonly message: string;
  readonly type: string;
  readonly source: { readonly component: string; readonly host?: string };
  readonly involvedObject: { readonly name: string; readonly fieldPath?: string };
}

export interface FakeNodeOptions {
  readonly parts: readonly MakePart[];
  readonly gates?: Partial<Record<GateName, boolean>>;
  /** Further runtimes, by name, on their own sockets. */
  readonly runtimes?: readonly string[];
  /** Of the daemon's command line. */
  readonly flags?: readonly string[];
  /** ms until the kubelet starts what was stopped; default 20. */
  readonly restartMs?: number;
  /** ms that the clock of the node (agent, kubelet, runtime) is ahead of the API server's. */
  readonly nodeAheadMs?: number;
  /** ms that the agent's is ahead of that. */
  readonly agentAheadMs?: number;
  /** ms that the manager's is. */
  readonly managerAheadMs?: number;
}

export class FakeNode {
  readonly api = new FakeApi(podsPath, eventsPath, requestsPath, collection(nodeImages));
  readonly runtimes = new Map<string, FakeCri>();
  readonly metrics = new MemoryMetrics();
  readonly dir = mkdtempSync(join(tmpdir(), "node-"));
  /** The daemon's own. */
  frame!: Frame;
  readonly #options: FakeNodeOptions;
  #daemon = new AbortController();
  #parts: Part[] = [];
  readonly #manager = new AbortController();
  #runner: Runner | undefined;
  #serial = 0;

  private constructor(options: FakeNodeOptions) {
    this.#options = options;
    this.api.intercept = (request) => (request.method === "PATCH" ? this.#patch(request) : undefined);
  }

  static async start(options: FakeNodeOptions): Promise<FakeNode> {
    const node = new FakeNode(options);
    for (const [index, name] of ["containerd", ...(options.runtimes ?? [])].entries()) {
      const cri = await FakeCri.start(join(node.dir, ["containerd.sock", "crio.sock", "cri-dockerd.sock"][index] ?? ""), {
        runtimeName: name,
      });
      cri.stopped = (container) => void node.#restart(name, container);
      node.runtimes.set(name, cri);
    }
    await node.startDaemon();
    await node.#startManager();
    return node;
  }

  get cri(): FakeCri {
    return this.runtimes.get("containerd") as FakeCri;
  }
  get env(): Env {
    return this.frame.env;
  }

  async startDaemon(): Promise<void> {
    this.#daemon = new AbortController();
    const machine = ahead(
      systemEnv(silentLogger, this.#daemon.signal),
      (this.#options.nodeAheadMs ?? 0) + (this.#options.agentAheadMs ?? 0),
    );
    const env = withServerClock(machine);
    const kube = this.#kube(env);
    const sockets = { dir: this.dir, file: "" };
    const parsed = daemonOptions(this.#options.flags ?? [], { NODE_NAME: nodeName });
    if (!parsed.ok) throw new Error(parsed.message);
    const options = { ...parsed.options, gates: gatesWith(this.#options.gates) };
    const detection = await detect(env, sockets);
    const [first, ...others] = detection.runtimes;
    if (first === undefined) throw new Error("the runtime does not answer");
    const events = EventRecorder.create(env, kube.client, "kruise-daemon", nodeName);
    const record = new DaemonRecord(env, join(this.dir, "record.sqlite"));
    const { metrics } = this;
    const killer = new Killer({ env, fetch: httpFetch, events, metrics, record });
    const runtimes = new Runtimes(env, sockets, { ...detection, runtimes: [first, ...others] });
    this.frame = { env, machineNowMs: () => machine.nowMs(), options, kube, runtimes, events, metrics, record, killer };
    const watched = watchedOn(nodeName, options.gates.enabled("DaemonWatchingPod"));
    for (const { of, scope } of watched) kube.cache.ensure(of, scope);
    await kube.cache.whenSettled(
      watched.map(({ of }) => of),
      5000,
    );
    this.#parts = [];
    for (const make of this.#options.parts) {
      const part = await make(this.frame);
      if (part === undefined) continue;
      await part.start();
      this.#parts.push(part);
    }
  }

  /** As SIGKILL: nothing is finished, nothing is written any more. */
  crash(): void {
    this.#daemon.abort();
    this.frame.runtimes.close();
    this.frame.record.close();
  }

  async stopDaemon(): Promise<void> {
    this.#daemon.abort();
    await Promise.all(this.#parts.map((part) => part.stop()));
    this.frame.runtimes.close();
    this.frame.record.close();
  }

  async stop(): Promise<void> {
    await this.stopDaemon();
    this.#manager.abort();
    await this.#runner?.stop(1000);
    for (const cri of this.runtimes.values()) cri.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** A pod whose containers run. */
  pod(
    name: string,
    containers: readonly Container[],
    more: { metadata?: object; spec?: object; status?: object; runtime?: string } = {},
  ): Pod {
    const runtime = more.runtime ?? "containerd";
    const draft = this.api.put(podsPath, {
      metadata: { name, namespace, ...more.metadata },
      spec: { nodeName, containers, ...more.spec },
      status: { phase: "Running", podIP: "127.0.0.1", conditions: [{ type: "Ready", status: "True" }], ...more.status },
    });
    const statuses = containers.map((container) => {
      const env = Object.fromEntries(
        (container.env ?? []).map(({ name: variable, valueFrom, value }) => [
          variable,
          value ?? metadataValue(draft, valueFrom?.fieldRef?.fieldPath),
        ]),
      );
      return this.#statusOf(runtime, this.#run(runtime, draft as Pod, container.name, 0, env));
    });
    return this.#setStatuses(draft as Pod, statuses);
  }

  podNow(name: string): Pod {
    return this.api.object(podsPath, name, namespace) as Pod;
  }

  editPod(name: string, change: (pod: Pod) => void): void {
    const pod = structuredClone(this.podNow(name));
    change(pod);
    this.api.put(podsPath, pod as Pod & Record<string, unknown>);
  }

  /** As the webhook lets it in. */
  request(name: string, podName: string, containers: readonly string[], spec: Partial<ContainerRecreateRequestSpec> = {}): void {
    const pod = this.podNow(podName);
    this.api.put(requestsPath, {
      metadata: {
        name,
        namespace,
        creationTimestamp: formatTime(Date.now()),
        labels: {
          "crr.apps.kruise.io/active": "true",
          "crr.apps.kruise.io/node-name": nodeName,
          "crr.apps.kruise.io/pod-uid": pod.metadata.uid,
        },
      },
      spec: {
        podName,
        ...spec,
        strategy: { failurePolicy: "Fail", terminationGracePeriodSeconds: 5, ...spec.strategy },
        containers: containers.map((container) => {
          const current = pod.status?.containerStatuses?.find((candidate) => candidate.name === container);
          const preStop = pod.spec.containers.find((candidate) => candidate.name === container)?.lifecycle?.preStop;
          return {
            name: container,
            ...(preStop ? { preStop } : {}),
            statusContext: { containerID: current?.containerID ?? "", restartCount: current?.restartCount ?? 0 },
          };
        }),
      },
    });
  }

  requestNow(name: string): ContainerRecreateRequest {
    return this.api.object(requestsPath, name, namespace) as ContainerRecreateRequest;
  }

  events(reason?: string): readonly FakeEventObject[] {
    const all = this.api.all(eventsPath) as readonly FakeEventObject[];
    return reason === undefined ? all : all.filter((event) => event.reason === reason);
  }

  /** Somebody else stops a container. */
  kill(name: string): void {
    for (const [runtime, cri] of this.runtimes)
      for (const container of cri.containers.values())
        if (container.name === name && container.state === 1) {
          container.state = 2;
          void this.#restart(runtime, container);
        }
  }

  #kube(env: Env): Kube {
    return createKube(env, anonymousCredentials(), { userAgent: "kruise-daemon", fetch: dated(this.api.fetch) });
  }

  async #startManager(): Promise<void> {
    const env = withServerClock(ahead(systemEnv(silentLogger, this.#manager.signal), this.#options.managerAheadMs));
    const kube = this.#kube(env);
    const events = eventPort(EventRecorder.create(env, kube.client, "kruise-manager"));
    const ports = { read: kube.read, write: kube.client, cache: cachePort(kube.cache), events, served: new ServedKinds(() => true) };
    this.#runner = new Runner(env, ports, { settings: testSettings() });
    await this.#runner.start([containerRecreateController]);
  }

  #run(runtime: string, pod: Pod, name: string, restartCount: number, env: Record<string, string>): FakeContainer {
    this.#serial += 1;
    const { uid: podUid, name: podName } = pod.metadata;
    const id = `${name}-id-${this.#serial}`;
    return (this.runtimes.get(runtime) as FakeCri).run({
      id,
      name,
      podUid,
      podName,
      namespace,
      restartCount,
      hash: 0xabc,
      env,
      startedAtMs: Date.now() + (this.#options.nodeAheadMs ?? 0),
    });
  }

  async #restart(runtime: string, stopped: FakeContainer): Promise<void> {
    await Bun.sleep(this.#options.restartMs ?? 20);
    const pod = (this.api.all(podsPath) as readonly Pod[]).find(({ metadata }) => metadata.uid === stopped.podUid);
    if (pod === undefined || this.#manager.signal.aborted || pod.spec.restartPolicy === "Never") return;
    const spec = pod.spec.containers.find(({ name }) => name === stopped.name);
    const env = Object.fromEntries(
      (spec?.env ?? []).map(({ name, valueFrom, value }) => [name, value ?? metadataValue(pod, valueFrom?.fieldRef?.fieldPath)]),
    );
    const started = this.#run(runtime, pod, stopped.name, stopped.restartCount + 1, env);
    this.runtimes.get(runtime)?.containers.delete(stopped.id);
    const statuses = (pod.status?.containerStatuses ?? []).map((each) =>
      each.name === stopped.name ? this.#statusOf(runtime, started) : each,
    );
    this.#setStatuses(this.podNow(pod.metadata.name), statuses);
  }

  #statusOf(runtime: string, container: FakeContainer): ContainerStatus {
    return {
      name: container.name,
      containerID: `${runtime}://${container.id}`,
      restartCount: container.restartCount,
      ready: true,
      image: "app:v1",
      imageID: "sha256:1",
      state: { running: { startedAt: formatTime(container.startedAtMs) } },
    };
  }

  #setStatuses(pod: Pod, containerStatuses: readonly ContainerStatus[]): Pod {
    return this.api.put(podsPath, { ...pod, status: { ...pod.status, containerStatuses } } as Pod & Record<string, unknown>) as Pod;
  }

  /** Merge patches as the API server applies them; strategic ones are only used on maps here. */
  #patch({ path, body }: Recorded) {
    const parts = (path.split("?")[0] ?? "").split("/");
    const isStatus = parts.at(-1) === "status";
    const name = (isStatus ? parts.at(-2) : parts.at(-1)) ?? "";
    const at = parts.indexOf("namespaces");
    const plural = parts[at + 2] ?? "";
    const of = `${parts.slice(0, at).join("/")}/${plural}`;
    const before = this.api.object(of, name, parts[at + 1]);
    if (before === undefined) return status(404, "NotFound", `${name} not found`);
    const patch = fieldsOf(JSON.parse(body ?? "{}"));
    const { uid, resourceVersion } = fieldsOf(patch["metadata"]);
    if (
      (uid !== undefined && uid !== before.metadata.uid) ||
      (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion)
    )
      return status(409, "Conflict", "the object has been modified");
    return json(200, this.api.put(of, applyMergePatch(before, patch) as KubeObject & Record<string, unknown>));
  }
}

function ahead(env: Env, byMs = 0): Env {
  return { ...env, nowMs: () => env.nowMs() + byMs };
}

/** Answers say what time it is at the server, as every HTTP server's do. */
function dated(fetch: Fetch): Fetch {
  return async (url, request) => {
    const response = await fetch(url, request);
    const { headers } = response;
    const date = new Date().toUTCString();
    return Object.assign(Object.create(response) as typeof response, {
      headers: { get: (name: string) => (name === "date" ? date : headers.get(name)) },
      text: () => response.text(),
    });
  };
}

function metadataValue(object: KubeObject, path: string | undefined): string {
  const match = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path ?? "");
  return match === null ? "" : (object.metadata[match[1] as "labels"]?.[match[2] ?? ""] ?? "");
}

/** Waits for what real time has to bring. @throws Error naming `what` */
export async function until<T>(what: string, look: () => T, withinMs = 25_000): Promise<Exclude<T, false | undefined | null>> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    const value = look();
    if (value) return value as Exclude<T, false | undefined | null>;
    if (performance.now() > endMs) throw new Error(`waited ${withinMs} ms for ${what}`);
    await Bun.sleep(5);
  }
}
