/** CloneSets for scenarios: made, changed, and waited for. */
import type { ObjectLike, Rig } from "../rig/index.ts";
import { waitFor } from "../rig/index.ts";

export interface CloneSetLike extends ObjectLike {
  spec: { replicas: number };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    updatedReplicas?: number;
    updatedReadyReplicas?: number;
    updatedAvailableReplicas?: number;
  };
}

/** As users write them. */
export const pathOf = (namespace: string, name = "") => pathAt("v1alpha1", namespace, name);

/** As they are stored: looking at them asks nobody to convert. */
export const storedPathOf = (namespace: string, name = "") => pathAt("v1beta1", namespace, name);

const pathAt = (version: string, namespace: string, name: string) =>
  `/apis/apps.kruise.io/${version}/namespaces/${namespace}/clonesets${name === "" ? "" : `/${name}`}`;

/** @param type "InPlaceIfPossible" or "ReCreate" */
export function cloneSet(name: string, replicas: number, type = "InPlaceIfPossible", maxUnavailable = "100%"): object {
  return {
    apiVersion: "apps.kruise.io/v1alpha1",
    kind: "CloneSet",
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      updateStrategy: { type, maxUnavailable },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "main", image: imageOf(1), resources: { requests: { cpu: "10m", memory: "16Mi" } } }] },
      },
    },
  };
}

/** In the stored version, with nothing but what it must have. */
export function plainCloneSet(name: string, replicas: number): object {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: imageOf(1) }] } };
  return {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { name },
    spec: { replicas, selector: { matchLabels: labels }, template },
  };
}

const imageOf = (version: number) => `registry.test/app:v${version}`;

export const imagePatch = (version: number) => [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: imageOf(version) }];

/** All pods are of the newest revision and available, and the status says so of this generation. */
export function isThere({ metadata, spec, status }: CloneSetLike): boolean {
  return (
    status?.observedGeneration === metadata.generation &&
    status?.replicas === spec.replicas &&
    status?.updatedReplicas === spec.replicas &&
    status?.updatedAvailableReplicas === spec.replicas &&
    status?.availableReplicas === spec.replicas
  );
}

/** @throws Error after `timeoutMs` */
export async function waitUntilThere(rig: Rig, namespace: string, name: string, timeoutMs = 600_000): Promise<void> {
  await waitFor(
    `CloneSet ${name} to be there`,
    async () => {
      const seen = await rig.admin.get<CloneSetLike>(storedPathOf(namespace, name));
      return seen !== undefined && isThere(seen);
    },
    { timeoutMs, intervalMs: 200 },
  );
}

/** Every CloneSet of the namespace. */
export async function waitUntilAllThere(rig: Rig, namespace: string, count: number, timeoutMs = 900_000): Promise<void> {
  await waitFor(
    `${count} CloneSets to be there`,
    async () => {
      const all = await rig.admin.list<CloneSetLike>(storedPathOf(namespace));
      return all.length === count && all.every(isThere);
    },
    { timeoutMs, intervalMs: 1_000 },
  );
}

/** Runs `perform` for each item, `width` at a time. */
export async function eachOf<T>(items: readonly T[], width: number, perform: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of rest) await perform(item);
    }),
  );
}
