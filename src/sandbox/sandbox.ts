/**
 * A Kubernetes cluster inside the process: an API server with its rules, and the controllers and kubelets that make objects move. It needs
 * no network and no clock of its own: with a fake `Env` it runs in virtual time, and the same seed gives the same run.
 */
import type { Cancel, Env } from "../env/env.ts";
import type { Fetch, HttpResponse } from "../env/network.ts";
import { type Fields, fieldsOf, textOf } from "../kube/json.ts";
import { webhookCaller } from "./admission/call-webhook.ts";
import { admissionChain } from "./admission/chain.ts";
import { Converter } from "./admission/conversion.ts";
import type { Api, Write } from "./api/api.ts";
import type { Actor } from "./api/call.ts";
import { type ApiAnswer, type ApiRequest, handle } from "./api/handle.ts";
import { Registry } from "./api/registry.ts";
import { definitions, definitionsResource } from "./controllers/definitions.ts";
import { GarbageCollector } from "./controllers/garbage.ts";
import { Inside } from "./controllers/inside.ts";
import { namespaces } from "./controllers/namespaces.ts";
import { scheduler } from "./controllers/scheduler.ts";
import { type MakeController, reactionMs, Worker } from "./controllers/worker.ts";
import { workloadControllers } from "./controllers/workloads.ts";
import { builtinResources } from "./kinds/builtin.ts";
import { customResource } from "./kinds/custom.ts";
import { timing as defaultTiming, type ImageFaults, type Timing } from "./kubelet/containers.ts";
import { Kubelet } from "./kubelet/kubelet.ts";
import { nodeObject } from "./nodes.ts";
import { Store, type Stored } from "./storage/store.ts";

export interface SandboxOptions {
  /** Nodes to start with; default 3. Those that are there already stay. */
  readonly nodes?: number;
  /** Whether `metadata.managedFields` is kept; costs time with each write. Default true. */
  readonly fieldManagement?: boolean;
  /** Whether containers' lives are told as Events. Default true. */
  readonly events?: boolean;
  readonly timing?: Partial<Timing>;
  /** Images that fare badly, beside those whose tags say so. */
  readonly imageFaults?: ImageFaults;
  /** "v1.34.0" */
  readonly serverVersion?: string;
  /** How webhooks by URL are called; default: not at all. */
  readonly fetch?: Fetch;
  /** Where a webhook's Service is reached: "https://…". */
  readonly serviceUrl?: (namespace: string, name: string, port: number) => string | undefined;
  /** PEM, shown to pods. */
  readonly caCertificate?: string;
  /** What another process kept. */
  readonly kept?: { readonly version: number; readonly objects: Iterable<readonly [string, Stored]> };
  /** Who a request comes from, by its headers; default: the one admin. */
  readonly identify?: (headers: ApiRequest["headers"]) => Actor;
}

export interface Sandbox {
  readonly api: Api;
  readonly store: Store;
  /** One request, for a server that listens. */
  handle(request: Omit<ApiRequest, "actor">): Promise<ApiAnswer>;
  /** The API server in place of the network. */
  readonly fetch: Fetch;
  /** Told of every write, after it. */
  onWrite(handler: (write: Write) => void): Cancel;
  /** Makes what every cluster has, and starts its controllers. */
  start(): Promise<void>;
}

export const admin: Omit<Actor, "userAgent"> = { username: "sandbox-admin", groups: ["system:masters", "system:authenticated"] };

export function createSandbox(env: Env, options: SandboxOptions = {}): Sandbox {
  // What was before the first write is forgotten, as in a cluster that has been there for a while.
  const store = new Store(100);
  if (options.kept !== undefined) store.restore(options.kept.version, options.kept.objects);
  const registry = new Registry(builtinResources());
  for (const definition of store.list(definitionsResource)) registry.set(customResource(definition));
  const writeHandlers = new Set<(write: Write) => void>();
  const callWebhook = webhookCaller({
    env,
    fetch: options.fetch ?? (() => Promise.reject(new Error("connection refused"))),
    serviceUrl: options.serviceUrl ?? (() => undefined),
  });
  const api: Api = {
    env,
    store,
    registry,
    admission: admissionChain({ env, store, registry, callWebhook }),
    converter: new Converter(callWebhook, () => env.uuid()),
    fieldManagement: options.fieldManagement ?? true,
    serverVersion: options.serverVersion ?? "v1.34.0",
    caCertificate: options.caCertificate ?? "",
    wrote: (write) => {
      for (const handler of writeHandlers) handler(write);
    },
    nodes: { log: (pod, container) => kubelet.log(pod, container) },
  };
  const kubelets = new Map<string, Inside>();
  const kubelet = new Kubelet(env, new Inside(api, "kubelet"), {
    timing: { ...defaultTiming, ...options.timing },
    events: options.events ?? true,
    ...(options.imageFaults === undefined ? {} : { imageFaults: options.imageFaults }),
    insideOf: (node) => {
      const known = kubelets.get(node) ?? new Inside(api, `system:node:${node}`);
      kubelets.set(node, known);
      return known;
    },
  });
  const identify = options.identify ?? ((headers) => ({ ...admin, userAgent: headers["user-agent"] ?? "unknown" }));
  const answer = (request: Omit<ApiRequest, "actor">) => handle(api, { ...request, actor: identify(request.headers) });
  return {
    api,
    store,
    handle: answer,
    fetch: async (url, request) => {
      if (request.signal?.aborted) throw request.signal.reason;
      const path = url.replace(/^[a-z]+:\/\/[^/]+/, "");
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]));
      return responseOf(await answer({ method: request.method, path, headers, ...pick(request) }));
    },
    onWrite(handler) {
      writeHandlers.add(handler);
      return () => writeHandlers.delete(handler);
    },
    async start() {
      await furnish(api, options);
      startControllers(env, api, kubelet);
    },
  };
}

function pick({ body, signal }: { readonly body?: string; readonly signal?: AbortSignal }) {
  return { ...(body === undefined ? {} : { body }), ...(signal === undefined ? {} : { signal }) };
}

function responseOf(answer: ApiAnswer): HttpResponse {
  const { body } = answer;
  return {
    status: answer.status,
    headers: { get: (name) => answer.headers[name.toLowerCase()] ?? null },
    body: typeof body === "string" ? once(body) : body,
    text: async () => (typeof body === "string" ? body : collect(body)),
  };
}

async function* once(text: string): AsyncGenerator<Uint8Array, void> {
  yield new TextEncoder().encode(text);
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** What is there before anybody asks. */
async function furnish(api: Api, options: SandboxOptions): Promise<void> {
  const inside = new Inside(api, "bootstrap");
  const make = async (resource: string, namespace: string, object: Fields) => {
    const known = inside.get(resource, { namespace, name: textOf(fieldsOf(object["metadata"])["name"]) });
    if (known === undefined) await inside.create(resource, namespace, object);
  };
  for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"]) await make("namespaces", "", { metadata: { name } });
  const classes = { "system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000 };
  for (const [name, value] of Object.entries(classes)) await make("priorityclasses.scheduling.k8s.io", "", { metadata: { name }, value });
  await make("storageclasses.storage.k8s.io", "", {
    metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: "sandbox.kruise.io/none",
    volumeBindingMode: "Immediate",
    allowVolumeExpansion: true,
  });
  if (inside.list("nodes").length > 0) return;
  for (let index = 0; index < (options.nodes ?? 3); index += 1)
    await make("nodes", "", nodeObject(index, api.env.nowMs(), api.serverVersion));
}

function startControllers(env: Env, api: Api, kubelet: Kubelet): void {
  const { store } = api;
  const made: readonly (readonly [string, MakeController])[] = [
    ["crd-controller", definitions],
    ["namespace-controller", namespaces],
    ["kube-scheduler", scheduler],
    ...workloadControllers,
  ];
  const cancels: Cancel[] = [];
  for (const [name, make] of made) cancels.push(new Worker(env, make(new Inside(api, name), env)).start(store));
  cancels.push(new Worker(env, kubelet).start(store));
  const collector = new GarbageCollector(new Inside(api, "generic-garbage-collector"), store);
  const worker = new Worker(env, collector);
  for (const resource of store.resources())
    for (const after of store.list(resource))
      for (const key of collector.seen({ version: store.version, resource, before: undefined, after })) worker.wake(key);
  cancels.push(
    store.subscribe((change) => {
      for (const key of collector.seen(change)) worker.wake(key, reactionMs);
    }),
  );
  env.stopped.addEventListener("abort", () => {
    for (const cancel of cancels) cancel();
  });
}
