/** SidecarSet: containers that are injected into pods at creation, and updated in place afterwards. */
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { KindDefinition, VersionDefinition } from "./definition.ts";
import { labelSelector, localObjectReference, openContainer, priorityStrategy, scatterStrategy, volumes } from "./schema/common.ts";
import {
  about,
  fields,
  flag,
  int32,
  int64,
  intOrString,
  known,
  list,
  mapOf,
  type Output,
  oneOf,
  requiring,
  text,
  withDefault,
  withKeywords,
} from "./schema/kit.ts";
import { sidecarSetConversion } from "./sidecarset-conversion.ts";

const shareType = known("enabled", "disabled");
const expressions = fields({ cpu: text, memory: text });
const resourcesPolicy = requiring(
  {
    targetContainersMode: about("What the expressions are given: the sum or the maximum of the chosen containers.", oneOf("sum", "max")),
    resourcesExpr: fields({ limits: expressions, requests: expressions }),
  },
  { targetContainersNameRegex: about("Which containers of the pod.", withDefault(text, ".*")) },
);
const transferEnv = fields({
  sourceContainerName: text,
  sourceContainerNameFrom: fields({
    fieldRef: withKeywords(requiring({ fieldPath: text }, { apiVersion: text }), { "x-kubernetes-map-type": "atomic" }),
  }),
  envName: text,
  envNames: list(text),
});
const upgradeStrategy = fields({
  upgradeType: about("ColdUpgrade (the default) or HotUpgrade.", known("ColdUpgrade", "HotUpgrade")),
  hotUpgradeEmptyImage: about("The image of the idle twin of a hot-upgraded container.", text),
});
const sidecarContainer = openContainer(
  fields({
    podInjectPolicy: about("BeforeAppContainer or AfterAppContainer.", known("BeforeAppContainer", "AfterAppContainer")),
    upgradeStrategy,
    shareVolumePolicy: about("Whether it gets the volume mounts of the pod's containers.", fields({ type: shareType })),
    shareVolumeDevicePolicy: about("Whether it gets the volume devices of the pod's containers.", fields({ type: shareType })),
    transferEnv: about("Variables copied from the pod's containers.", list(transferEnv)),
    resourcesPolicy: about("Resources computed from those of the pod's containers.", resourcesPolicy),
  }),
);

const injectionStrategy = fields({
  paused: about("New pods get nothing while this is true.", flag),
  revision: about(
    "Inject this revision instead of the latest.",
    fields({
      customVersion: text,
      revisionName: about("Wins over customVersion.", text),
      policy: about(
        "Always: into every pod. Partial: into those that updateStrategy keeps on their old revision.",
        withDefault(oneOf("Always", "Partial"), "Always"),
      ),
    }),
  ),
});
const updateStrategy = fields({
  type: about("RollingUpdate (the default) or NotUpdate.", known("RollingUpdate", "NotUpdate")),
  paused: about("No pod is updated while this is true.", flag),
  selector: about("Only these pods are updated.", labelSelector),
  partition: about("How many pods, or what share, keep their old version.", intOrString),
  maxUnavailable: about("How many pods may be unavailable during an update; 1 when absent.", intOrString),
  priorityStrategy,
  scatterStrategy,
});
const patchPodMetadata = fields({
  annotations: mapOf(text),
  patchPolicy: about("Retain (the default), Overwrite or MergePatchJson.", known("Retain", "Overwrite", "MergePatchJson")),
});

const commonSpec = {
  selector: about("Pods to inject into.", labelSelector),
  namespaceSelector: about("Only in these namespaces; all when absent.", labelSelector),
  initContainers: list(sidecarContainer),
  containers: list(sidecarContainer),
  volumes,
  updateStrategy,
  injectionStrategy,
  imagePullSecrets: list(localObjectReference),
  revisionHistoryLimit: about("How many revisions that nobody uses are kept; 10 when absent.", int32),
  patchPodMetadata: about("Annotations for the pods.", list(patchPodMetadata)),
};
const specV1Beta1 = fields({ ...commonSpec, customVersion: about("A name for this version.", text) });
const specV1Alpha1 = fields({ ...commonSpec, namespace: about("Only in this namespace.", text) });
const status = requiring(
  {
    matchedPods: about("Pods it has injected into.", int32),
    updatedPods: about("Pods with its latest version.", int32),
    readyPods: int32,
  },
  { observedGeneration: int64, updatedReadyPods: int32, latestRevision: text, collisionCount: int32 },
);

export type SidecarSetSpec = Output<typeof specV1Beta1>;
export type SidecarContainer = Output<typeof sidecarContainer>;
export type SidecarUpgradeStrategy = Output<typeof upgradeStrategy>;
export type SidecarResourcesPolicy = Output<typeof resourcesPolicy>;
export type SidecarTransferEnv = Output<typeof transferEnv>;
export type SidecarSetUpdateStrategy = Output<typeof updateStrategy>;
export type SidecarSetInjectionStrategy = Output<typeof injectionStrategy>;
export type SidecarSetPatchPodMetadata = Output<typeof patchPodMetadata>;
export type SidecarSetStatus = Output<typeof status>;
export interface SidecarSet extends KubeObject {
  spec: SidecarSetSpec;
  status?: SidecarSetStatus;
}

export type SidecarSetSpecV1Alpha1 = Output<typeof specV1Alpha1>;
export interface SidecarSetV1Alpha1 extends KubeObject {
  spec: SidecarSetSpecV1Alpha1;
  status?: SidecarSetStatus;
}

const common: Pick<VersionDefinition, "served" | "columns" | "subresources"> = {
  served: true,
  columns: [
    { name: "MATCHED", type: "integer", jsonPath: ".status.matchedPods", description: "How many pods it has injected into." },
    { name: "UPDATED", type: "integer", jsonPath: ".status.updatedPods", description: "How many have its latest version." },
    { name: "READY", type: "integer", jsonPath: ".status.readyPods", description: "How many are ready." },
    { name: "AGE", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
  subresources: { status: true },
};

export const sidecarSets: Kind<SidecarSet> = {
  group: "apps.kruise.io",
  version: "v1beta1",
  kind: "SidecarSet",
  plural: "sidecarsets",
  namespaced: false,
};

export const sidecarSetDefinition: KindDefinition<SidecarSet> = {
  kind: sidecarSets,
  listKind: "SidecarSetList",
  singular: "sidecarset",
  shortNames: [],
  versions: [
    { name: "v1alpha1", storage: false, schema: fields({ spec: specV1Alpha1, status }), ...common },
    { name: "v1beta1", storage: true, schema: fields({ spec: specV1Beta1, status }), ...common },
  ],
  conversion: { v1alpha1: sidecarSetConversion },
};
