/** PodUnavailableBudget: how many pods may be unavailable, whoever deletes, evicts or updates them. */
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { KindDefinition, VersionDefinition } from "./definition.ts";
import { podUnavailableBudgetConversion, protectedOperations } from "./podunavailablebudget-conversion.ts";
import { labelSelector } from "./schema/common.ts";
import {
  about,
  dateTime,
  fields,
  int32,
  int64,
  intOrString,
  list,
  mapOf,
  type Output,
  oneOf,
  requiring,
  text,
  withKeywords,
} from "./schema/kit.ts";

const targetRef = fields({ apiVersion: text, kind: text, name: text });
const commonSpec = {
  selector: about("The pods it protects. Not together with targetRef.", labelSelector),
  targetRef: about("The workload whose pods it protects. Not together with selector.", targetRef),
  maxUnavailable: about("How many pods may be unavailable. Not together with minAvailable.", intOrString),
  minAvailable: about("How many pods have to stay available. Not together with maxUnavailable.", intOrString),
};
const specV1Alpha1 = fields(commonSpec);
const specV1Beta1 = fields({
  ...commonSpec,
  protectOperations: about("What it refuses; DELETE, UPDATE and EVICT when absent.", list(oneOf(...protectedOperations))),
  protectTotalReplicas: about("How many pods to expect, instead of what the workload says.", withKeywords(int32, { minimum: 1 })),
  ignoredPodSelector: about("Pods that are never protected.", labelSelector),
});
const status = requiring(
  {
    unavailableAllowed: about("How many more pods may become unavailable now.", int32),
    currentAvailable: int32,
    desiredAvailable: int32,
    totalReplicas: int32,
  },
  {
    observedGeneration: int64,
    disruptedPods: about("Deletions and evictions that were allowed and have not shown yet, by pod.", mapOf(dateTime)),
    unavailablePods: about("Updates that were allowed and have not shown yet, by pod.", mapOf(dateTime)),
  },
);

export type PodUnavailableBudgetSpec = Output<typeof specV1Beta1>;
export type PodUnavailableBudgetTarget = Output<typeof targetRef>;
export type PodUnavailableBudgetStatus = Output<typeof status>;
export type ProtectedOperation = (typeof protectedOperations)[number];
export interface PodUnavailableBudget extends KubeObject {
  spec: PodUnavailableBudgetSpec;
  status?: PodUnavailableBudgetStatus;
}

export interface PodUnavailableBudgetV1Alpha1 extends KubeObject {
  spec: Output<typeof specV1Alpha1>;
  status?: PodUnavailableBudgetStatus;
}

const common: Pick<VersionDefinition, "served" | "columns" | "subresources"> = {
  served: true,
  columns: [
    { name: "Allowed", type: "integer", jsonPath: ".status.unavailableAllowed", description: "How many more pods may become unavailable." },
    { name: "Current", type: "integer", jsonPath: ".status.currentAvailable", description: "How many are available." },
    { name: "Desired", type: "integer", jsonPath: ".status.desiredAvailable", description: "How many have to stay available." },
    { name: "Total", type: "integer", jsonPath: ".status.totalReplicas", description: "How many are expected." },
  ],
  subresources: { status: true },
};

export const podUnavailableBudgets: Kind<PodUnavailableBudget> = {
  group: "policy.kruise.io",
  version: "v1beta1",
  kind: "PodUnavailableBudget",
  plural: "podunavailablebudgets",
  namespaced: true,
};

export const podUnavailableBudgetDefinition: KindDefinition<PodUnavailableBudget> = {
  kind: podUnavailableBudgets,
  listKind: "PodUnavailableBudgetList",
  singular: "podunavailablebudget",
  shortNames: ["pub"],
  versions: [
    { name: "v1alpha1", storage: false, schema: fields({ spec: specV1Alpha1, status }), ...common },
    { name: "v1beta1", storage: true, schema: fields({ spec: specV1Beta1, status }), ...common },
  ],
  conversion: { v1alpha1: podUnavailableBudgetConversion },
};
