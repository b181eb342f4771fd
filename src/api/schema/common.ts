/** Shapes that several kinds share. */
import type {
  ConditionStatus,
  Container,
  LabelSelector,
  PersistentVolumeClaimTemplate,
  PodTemplateSpec,
  Volume,
} from "../../kube/types.ts";
import {
  about,
  atomicList,
  dateTime,
  fields,
  flag,
  int32,
  int64,
  intOrString,
  list,
  mapOf,
  type Output,
  oneOf,
  open,
  preserved,
  requiring,
  type Schema,
  text,
  withDefault,
  withKeywords,
} from "./kit.ts";

const requirement = requiring(
  {
    key: about("The label that is looked at.", text),
    operator: about("In, NotIn, Exists or DoesNotExist.", text),
  },
  { values: about("For In and NotIn: at least one value. For Exists and DoesNotExist: none.", atomicList(text)) },
);
const selectorFields = {
  matchLabels: about("Labels with the values that they must have.", mapOf(text)),
  matchExpressions: about("Further requirements; all of them must hold.", atomicList(requirement)),
};

export const labelSelector: Schema<LabelSelector> = withKeywords(fields(selectorFields), { "x-kubernetes-map-type": "atomic" });

/** A label selector with further fields beside it. */
export function selectorWith<const O extends Readonly<Record<string, Schema>>>(further: O) {
  return withKeywords(fields({ ...selectorFields, ...further }), { "x-kubernetes-map-type": "atomic" });
}

export const podTemplate: Schema<PodTemplateSpec> = about("The pods to make.", preserved<PodTemplateSpec>());
export const volumeClaimTemplates: Schema<PersistentVolumeClaimTemplate[]> = about(
  "One claim for each pod and template.",
  preserved<PersistentVolumeClaimTemplate[]>(),
);
export const volumes: Schema<Volume[]> = preserved<Volume[]>();

/** Core containers with fields of our own. */
export const openContainer = open<Container>();

/** As the schemas of most kinds have it: any text, though only three words mean something. */
export const conditionStatus = text as Schema<ConditionStatus>;

/** The condition of CloneSet and others that were there before Kubernetes settled on one shape. */
export const workloadCondition = requiring(
  { type: about("What it tells of.", text), status: about("True, False or Unknown.", conditionStatus) },
  {
    lastUpdateTime: about("When it was last written.", dateTime),
    lastTransitionTime: about("When its status last changed.", dateTime),
    reason: about("Why, as one word for programs.", text),
    message: about("Why, for people.", text),
  },
);
export type WorkloadCondition = Output<typeof workloadCondition>;

/** Kubernetes' own condition, with the limits it has there. */
export const standardCondition = requiring(
  {
    type: withKeywords(text, {
      maxLength: 316,
      pattern: "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
    }),
    status: oneOf("True", "False", "Unknown"),
    lastTransitionTime: dateTime,
    reason: withKeywords(text, { minLength: 1, maxLength: 1024, pattern: "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" }),
    message: withKeywords(text, { maxLength: 32768 }),
  },
  { observedGeneration: withKeywords(int64, { minimum: 0 }) },
);
export type StandardCondition = Output<typeof standardCondition>;

const lifecycleHook = fields({
  labelsHandler: about(
    "The hook holds while the pod carries any of these labels with its value, and is back once it carries all.",
    mapOf(text),
  ),
  finalizersHandler: about("The hook holds while the pod carries any of these finalizers, and is back once it carries all.", list(text)),
  markPodNotReady: about("Take the pod out of service while the hook holds.", flag),
});
export const lifecycle = about(
  "Hooks that hold a pod before its next step.",
  fields({
    preDelete: about("Holds a pod that is to be deleted.", lifecycleHook),
    inPlaceUpdate: about("Holds a pod before and after it is updated in place.", lifecycleHook),
    preNormal: about("Holds a new pod before it counts as available: until it carries all of the hook.", lifecycleHook),
  }),
);
export type LifecycleHook = Output<typeof lifecycleHook>;
export type Lifecycle = Output<typeof lifecycle>;

export const inPlaceUpdateStrategy = about(
  "How pods are updated in place.",
  fields({
    gracePeriodSeconds: about("Seconds between not-ready and the new image.", int32),
    imagePreDownloadParallelism: about("How many nodes pull the new image ahead at a time.", intOrString),
    imagePreDownloadTimeoutSeconds: about("Seconds one pull may take.", int32),
    imagePreDownloadMinUpdatedReadyPods: about("Pull ahead once so many updated pods are ready.", int32),
  }),
);
export type InPlaceUpdateStrategy = Output<typeof inPlaceUpdateStrategy>;

export const priorityStrategy = about(
  "Which pods are updated first.",
  fields({
    orderPriority: about(
      "Pods with the greater number at the end of this label's value go first.",
      list(requiring({ orderedKey: about("The label whose value ends with the number.", text) })),
    ),
    weightPriority: about(
      "Pods with the greater sum of weights go first.",
      list(
        requiring({
          weight: about("From 0 to 100.", int32),
          matchSelector: about("Which pods get the weight.", labelSelector),
        }),
      ),
    ),
  }),
);
export type PriorityStrategy = Output<typeof priorityStrategy>;

export const scatterStrategy = about(
  "Pods with these labels are spread over the update.",
  list(requiring({ key: about("Of the label.", text), value: about("Of the label.", text) })),
);
export type ScatterStrategy = Output<typeof scatterStrategy>;

export const objectReference = withKeywords(
  fields({ apiVersion: text, fieldPath: text, kind: text, name: text, namespace: text, resourceVersion: text, uid: text }),
  { "x-kubernetes-map-type": "atomic" },
);
export type ObjectReference = Output<typeof objectReference>;

export const localObjectReference = withKeywords(fields({ name: withDefault(text, "") }), { "x-kubernetes-map-type": "atomic" });

/** Labels and annotations of the sandbox that the container runtime is told of. */
export const sandboxConfig = fields({ labels: mapOf(text), annotations: mapOf(text) });
export type SandboxConfig = Output<typeof sandboxConfig>;
