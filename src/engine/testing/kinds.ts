/** A kind of workload for tests of the engine itself: so many pods, all at one revision. */
import type { Index, Kind, Ref } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { Condition, KubeObject, Pod } from "../../kube/types.ts";

export interface Herd extends KubeObject {
  spec: { replicas: number; revision: string };
  status?: { replicas?: number; updated?: number; ready?: number; message?: string; conditions?: Condition[] };
}

export const herds: Kind<Herd> = { group: "test.kruise.io", version: "v1", kind: "Herd", plural: "herds", namespaced: true };

export const podsOfHerd: Index<Pod> = {
  name: "ownerUID",
  of: pods,
  keys: (pod) => pod.metadata.ownerReferences?.map(({ uid }) => uid) ?? [],
};

export function podDraft(name: string, owner?: Ref, revision = "1"): { metadata: Partial<Pod["metadata"]>; spec: Pod["spec"] } {
  return {
    metadata: {
      namespace: owner?.namespace ?? "shop",
      name,
      labels: { revision },
      ...(owner?.uid === undefined
        ? {}
        : { ownerReferences: [{ apiVersion: "test.kruise.io/v1", kind: "Herd", name: owner.name, uid: owner.uid, controller: true }] }),
    },
    spec: { containers: [{ name: "main", image: `app:${revision}` }] },
  };
}

/** A strategic patch that sets labels. */
export function labelsPatch(labels: Readonly<Record<string, string | null>>): { readonly patch: "merge"; readonly body: object } {
  return { patch: "merge", body: { metadata: { labels } } };
}
