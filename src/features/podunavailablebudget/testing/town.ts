/** Budgets, workloads and pods in a small API server, with admission as the real one calls it: for tests of this folder. */
import { createBreaker } from "../../../admission/breaker.ts";
import { silentMetrics } from "../../../admission/metrics.ts";
import { guardPod, mutatePod } from "../../../admission/pod.ts";
import type { AdmissionContext, AdmissionRequest, Refusal, Verdict } from "../../../admission/webhook.ts";
import { type GateName, gatesWith } from "../../../api/gates.ts";
import {
  type PodUnavailableBudget,
  type PodUnavailableBudgetSpec,
  type PodUnavailableBudgetStatus,
  podUnavailableBudgets,
} from "../../../api/podunavailablebudget.ts";
import { testSettings } from "../../../engine/testing/settings.ts";
import { World, type WorldOptions } from "../../../engine/testing/world.ts";
import { FakeEnv } from "../../../env/fake.ts";
import type { Reader } from "../../../kube/access.ts";
import type { Kind } from "../../../kube/kind.ts";
import { deployments, pods, replicaSets } from "../../../kube/kinds.ts";
import type { Container, KubeObject, OwnerReference, Pod } from "../../../kube/types.ts";
import { guard } from "../guard.ts";
import { mutation, stampOf } from "../mutation.ts";

export type Gates = Partial<Record<GateName, boolean>>;
export const allOn: Gates = { PodUnavailableBudgetDeleteGate: true, PodUnavailableBudgetUpdateGate: true };
export const namespace = "default";

export interface PodParts {
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly owner?: OwnerReference;
  readonly ready?: boolean;
  readonly created?: string;
  readonly containers?: readonly Container[];
  /** The budget whose name it carries; default "web"; "" for none. */
  readonly mark?: string;
}

export function podWith(name: string, parts: PodParts = {}): Pod {
  const { labels = { app: "web" }, annotations, owner, ready = true, mark = "web", created = "2024-12-31T00:00:00Z" } = parts;
  const containers = parts.containers ?? [{ name: "main", image: "nginx:v1" }];
  return {
    metadata: {
      name,
      namespace,
      uid: `uid-${name}`,
      resourceVersion: "1",
      creationTimestamp: created,
      labels,
      annotations: { ...(mark === "" ? {} : stampOf(mark)), ...annotations },
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: { nodeName: "node-1", containers: [...containers] },
    status: {
      phase: "Running",
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
      containerStatuses: containers.map(({ name: container, image = "" }) => ({
        name: container,
        ready,
        restartCount: 0,
        image,
        imageID: `docker.io/library/${image}@sha256:${"0".repeat(64)}`,
      })),
    },
  };
}

export function ownerOf(kind: Pick<Kind, "group" | "version" | "kind">, object: KubeObject): OwnerReference {
  const apiVersion = kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
  return { apiVersion, kind: kind.kind, name: object.metadata.name, uid: object.metadata.uid, controller: true };
}

export const status = (allowed: number, desired: number, more: Partial<PodUnavailableBudgetStatus> = {}): PodUnavailableBudgetStatus => ({
  unavailableAllowed: allowed,
  desiredAvailable: desired,
  currentAvailable: desired + allowed,
  totalReplicas: desired + allowed,
  ...more,
});

export interface Replica {
  readonly context: AdmissionContext;
  readonly refused: Refusal[];
  readonly emitted: { readonly on: string; readonly reason: string; readonly message: string; readonly component: string | undefined }[];
  admit(request: Partial<AdmissionRequest<Pod>>): Promise<Verdict>;
}

export interface TownOptions extends WorldOptions {
  readonly gates?: Gates;
  readonly env?: FakeEnv;
}

export function town(options: TownOptions = {}) {
  const env = options.env ?? new FakeEnv({ seed: 7 });
  const world = new World(env, options);
  const settings = testSettings({ gates: gatesWith(options.gates ?? allOn) });
  const key = (name: string) => ({ namespace, name });

  /** A webhook server of its own: what it knows is what `read` shows. */
  const replica = (read: Reader = readerOf(world)): Replica => {
    const refused: Refusal[] = [];
    const emitted: Replica["emitted"] = [];
    const context: AdmissionContext = {
      read,
      settings,
      write: world,
      log: env.log,
      nowMs: () => env.nowMs(),
      random: () => env.random(),
      after: (delayMs, run) => env.after(delayMs, run),
      emit: (on, _type, reason, message, component) => emitted.push({ on: on.name, reason, message, component }),
      refused: (refusal) => refused.push(refusal),
    };
    const review = guardPod([guard]);
    return {
      context,
      refused,
      emitted,
      admit: async (request) => settle(env, Promise.resolve(review(requestWith(request) as unknown as AdmissionRequest, context))),
    };
  };

  return {
    env,
    world,
    settings,
    replica,
    budget: (
      spec: Partial<PodUnavailableBudgetSpec> = {},
      now?: PodUnavailableBudgetStatus,
      name = "web",
      annotations?: Record<string, string>,
    ) => {
      const selector = spec.targetRef === undefined ? { matchLabels: { app: "web" } } : undefined;
      const amount = spec.minAvailable === undefined ? { maxUnavailable: "30%" } : {};
      return world.add<PodUnavailableBudget>(podUnavailableBudgets, {
        metadata: { name, namespace, ...(annotations ? { annotations } : {}) },
        spec: { ...(selector ? { selector } : {}), ...amount, ...spec },
        ...(now ? { status: now } : {}),
      });
    },
    ledger: (name = "web") => world.now<PodUnavailableBudget>(podUnavailableBudgets, key(name))?.status,
    pod: (name: string, parts: PodParts = {}) => world.add(pods, podWith(name, parts)),
    podNow: (name: string) => world.now<Pod>(pods, key(name)),
    deployment: (replicas: number, name = "web") => {
      const selector = { matchLabels: { app: "web" } };
      const template = { metadata: { labels: { app: "web" } }, spec: { containers: [] } };
      const deployment = world.add(deployments, { metadata: { name, namespace }, spec: { replicas, selector, template } });
      const set = (revision: string) =>
        world.add(replicaSets, {
          metadata: { name: `${name}-${revision}`, namespace, labels: { app: "web" }, ownerReferences: [ownerOf(deployments, deployment)] },
          spec: { replicas, selector, template },
        });
      return { deployment, set };
    },
    stamped: async (draft: Pod) => {
      const { context } = replica();
      const review = mutatePod([mutation], createBreaker({ env, emit: context.emit, metrics: silentMetrics }));
      return settle(
        env,
        Promise.resolve(review(requestWith({ operation: "CREATE", object: draft }) as unknown as AdmissionRequest, context)),
      );
    },
  };
}

/** The world as one process sees it; every process has a reader of its own. */
export function readerOf(world: World): Reader {
  return {
    get: (kind, key) => world.get(kind, key),
    list: (kind, of) => world.list(kind, of),
    find: (index, value) => world.find(index, value),
    live: world.live,
  };
}

export function requestWith(changes: Partial<AdmissionRequest<Pod>>): AdmissionRequest<Pod> {
  const { object, oldObject } = changes;
  return {
    uid: "1",
    kind: { group: "", version: "v1", kind: "Pod" },
    resource: { group: "", version: "v1", resource: "pods" },
    name: (oldObject ?? object)?.metadata?.name ?? "",
    namespace,
    operation: "DELETE",
    dryRun: false,
    userInfo: { username: "alice" },
    ...changes,
  };
}

export const deletion = (pod: Pod, dryRun = false): Partial<AdmissionRequest<Pod>> => ({ operation: "DELETE", oldObject: pod, dryRun });
export const eviction = (name: string, dryRun = false): Partial<AdmissionRequest<Pod>> => ({
  operation: "CREATE",
  subResource: "eviction",
  name,
  object: { metadata: { name } } as Pod,
  dryRun,
});
export const update = (before: Pod, change: (pod: Pod) => void): Partial<AdmissionRequest<Pod>> => {
  const after = structuredClone(before);
  change(after);
  return { operation: "UPDATE", oldObject: before, object: after };
};

/** Lets virtual time pass until the promise has settled. */
export async function settle<T>(env: FakeEnv, promise: Promise<T>): Promise<T> {
  let done = false;
  promise.then(
    () => {
      done = true;
    },
    () => {
      done = true;
    },
  );
  await env.runUntil(() => done, 60_000);
  return promise;
}
