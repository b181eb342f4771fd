/** CloneSet: pods without order, that are updated in place or recreated. */
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import { cloneSetConversion } from "./cloneset-conversion.ts";
import type { KindDefinition, PrinterColumn, VersionDefinition } from "./definition.ts";
import {
  inPlaceUpdateStrategy,
  labelSelector,
  lifecycle,
  podTemplate,
  priorityStrategy,
  scatterStrategy,
  volumeClaimTemplates,
  workloadCondition,
} from "./schema/common.ts";
import {
  about,
  fields,
  flag,
  int32,
  int64,
  intOrString,
  known,
  list,
  type Output,
  requiring,
  type Schema,
  text,
  withDefault,
} from "./schema/kit.ts";

const requiredSpec = { selector: about("Which pods belong to it; never changes.", labelSelector), template: podTemplate };
const commonSpec = {
  replicas: about("How many pods; 1 when absent.", int32),
  volumeClaimTemplates,
  revisionHistoryLimit: about("How many revisions that nobody uses are kept; 10 when absent.", int32),
  minReadySeconds: about("Seconds a pod has to be ready before it counts as available.", int32),
  progressDeadlineSeconds: about("Seconds without progress after which condition Progressing turns False.", int32),
  lifecycle,
};
const commonScaleStrategy = {
  podsToDelete: about("Names of pods to delete first when there are fewer replicas.", list(text)),
  maxUnavailable: about("How many pods may be unavailable while more are created.", intOrString),
};
const commonUpdateStrategy = {
  partition: about("How many pods, or what share, keep their old revision.", intOrString),
  maxUnavailable: about("How many pods may be unavailable during an update; 20% when absent.", intOrString),
  maxSurge: about("How many pods may exist beyond replicas during an update.", intOrString),
  paused: about("No pod is updated while this is true.", flag),
  priorityStrategy,
  scatterStrategy,
  inPlaceUpdateStrategy,
};

const aboutScaling = "How pods are added and removed.";
const aboutUpdating = "How pods get another template.";

const specV1Beta1 = requiring(requiredSpec, {
  ...commonSpec,
  scaleStrategy: about(
    aboutScaling,
    fields({
      ...commonScaleStrategy,
      enablePVCReuse: about("New pods take over claims left by pods that were deleted from outside.", withDefault(flag, false)),
      excludePreparingDelete: about("Pods in PreparingDelete do not count as replicas.", flag),
    }),
  ),
  updateStrategy: about(
    aboutUpdating,
    fields({
      type: about("RollingUpdate (the default) or OnDelete.", known("RollingUpdate", "OnDelete")),
      rollingUpdate: about(
        "How a rolling update goes.",
        fields({
          podUpdatePolicy: about(
            "ReCreate (the default), InPlaceIfPossible or InPlaceOnly.",
            known("ReCreate", "InPlaceIfPossible", "InPlaceOnly"),
          ),
          ...commonUpdateStrategy,
        }),
      ),
    }),
  ),
});

const specV1Alpha1 = requiring(requiredSpec, {
  ...commonSpec,
  scaleStrategy: about(
    aboutScaling,
    fields({
      ...commonScaleStrategy,
      disablePVCReuse: about("New pods never take over claims left by pods that were deleted from outside.", flag),
    }),
  ),
  updateStrategy: about(
    aboutUpdating,
    fields({
      type: about(
        "ReCreate (the default), InPlaceIfPossible, InPlaceOnly or OnDelete.",
        known("ReCreate", "InPlaceIfPossible", "InPlaceOnly", "OnDelete"),
      ),
      ...commonUpdateStrategy,
    }),
  ),
});

const status = requiring(
  {
    replicas: about("Pods that belong to it.", int32),
    readyReplicas: about("Pods that are ready.", int32),
    availableReplicas: about("Ready for minReadySeconds.", int32),
    updatedReplicas: about("Pods of the update revision.", int32),
    updatedReadyReplicas: about("Pods of the update revision that are ready.", int32),
  },
  {
    observedGeneration: about("The generation that this status is about.", int64),
    updatedAvailableReplicas: about("Pods of the update revision that are available.", int32),
    expectedUpdatedReplicas: about("Pods that should have the update revision: replicas without partition.", int32),
    updateRevision: about("The ControllerRevision of the present template.", text),
    currentRevision: about("The ControllerRevision that pods are updated from; the update revision once all are.", text),
    collisionCount: about("How often the name of a revision was taken.", int32),
    conditions: about("FailedScale, FailedUpdate, and Progressing where progressDeadlineSeconds is set.", list(workloadCondition)),
    labelSelector: about("The selector as text, for the scale subresource.", text),
  },
);

const schemaOf = <T>(spec: Schema<T>) => fields({ spec: about("What is wanted.", spec), status: about("What is.", status) });

export type CloneSetSpec = Output<typeof specV1Beta1>;
export type CloneSetUpdateStrategy = NonNullable<CloneSetSpec["updateStrategy"]>;
export type CloneSetRollingUpdate = NonNullable<CloneSetUpdateStrategy["rollingUpdate"]>;
export type CloneSetScaleStrategy = NonNullable<CloneSetSpec["scaleStrategy"]>;
export type CloneSetStatus = Output<typeof status>;
export interface CloneSet extends KubeObject {
  spec: CloneSetSpec;
  status?: CloneSetStatus;
}

export type CloneSetSpecV1Alpha1 = Output<typeof specV1Alpha1>;
export interface CloneSetV1Alpha1 extends KubeObject {
  spec: CloneSetSpecV1Alpha1;
  status?: CloneSetStatus;
}

const columns: readonly PrinterColumn[] = [
  { name: "DESIRED", type: "integer", jsonPath: ".spec.replicas", description: "How many pods are wanted." },
  { name: "UPDATED", type: "integer", jsonPath: ".status.updatedReplicas", description: "How many have the update revision." },
  { name: "UPDATED_READY", type: "integer", jsonPath: ".status.updatedReadyReplicas", description: "How many of those are ready." },
  {
    name: "UPDATED_AVAILABLE",
    type: "integer",
    jsonPath: ".status.updatedAvailableReplicas",
    description: "How many of those are available.",
  },
  { name: "READY", type: "integer", jsonPath: ".status.readyReplicas", description: "How many are ready." },
  { name: "TOTAL", type: "integer", jsonPath: ".status.replicas", description: "How many there are." },
  { name: "AGE", type: "date", jsonPath: ".metadata.creationTimestamp" },
  { name: "CONTAINERS", type: "string", jsonPath: ".spec.template.spec.containers[*].name", priority: 1 },
  { name: "IMAGES", type: "string", jsonPath: ".spec.template.spec.containers[*].image", priority: 1 },
  { name: "SELECTOR", type: "string", jsonPath: ".status.labelSelector", priority: 1 },
];
const common: Pick<VersionDefinition, "served" | "columns" | "subresources"> = {
  served: true,
  columns,
  subresources: {
    status: true,
    scale: {
      specReplicasPath: ".spec.replicas",
      statusReplicasPath: ".status.replicas",
      labelSelectorPath: ".status.labelSelector",
    },
  },
};

export const cloneSets: Kind<CloneSet> = {
  group: "apps.kruise.io",
  version: "v1beta1",
  kind: "CloneSet",
  plural: "clonesets",
  namespaced: true,
};

export const cloneSetDefinition: KindDefinition<CloneSet> = {
  kind: cloneSets,
  listKind: "CloneSetList",
  singular: "cloneset",
  shortNames: ["clone"],
  versions: [
    { name: "v1alpha1", storage: false, schema: schemaOf(specV1Alpha1), ...common },
    { name: "v1beta1", storage: true, schema: schemaOf(specV1Beta1), ...common },
  ],
  conversion: { v1alpha1: cloneSetConversion },
};
