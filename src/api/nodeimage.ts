/** NodeImage: which images one node should hold, and how pulling them goes. One object a node, of the node's name. */
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { KindDefinition, VersionDefinition } from "./definition.ts";
import { objectReference, sandboxConfig } from "./schema/common.ts";
import { about, dateTime, fields, int32, int64, known, list, mapOf, type Output, requiring, text } from "./schema/kit.ts";

const tagPullPolicy = fields({
  timeoutSeconds: about("Seconds one attempt may take; 600 when absent.", int32),
  backoffLimit: about("Further attempts after the first; 3 when absent.", int32),
  ttlSecondsAfterFinished: about("The task is removed so many seconds after it ended.", int32),
  activeDeadlineSeconds: about("Seconds the whole task may take.", int64),
});
const tagTask = requiring(
  { tag: about("A tag, or a digest such as sha256:….", text) },
  {
    createdAt: dateTime,
    pullPolicy: tagPullPolicy,
    ownerReferences: about("Who wants it; a task whose owners are all gone is removed.", list(objectReference)),
    version: about("A greater number means: pull again. Absent is 0.", int64),
    imagePullPolicy: about("IfNotPresent spares a pull; anything else always pulls.", known("IfNotPresent", "Always")),
  },
);
const pullSecret = fields({
  namespace: text,
  name: text,
  // v1alpha1 lacks this field elsewhere, so that whatever passes through v1alpha1 loses it. Here both versions have one shape.
  mode: about("batch: a shared copy, which lives as long as the image does.", known("batch")),
});
const imageTasks = requiring({ tags: list(tagTask) }, { pullSecrets: list(pullSecret), sandboxConfig });
const spec = fields({
  images: about("By image name without tag, in its familiar form: nginx, not docker.io/library/nginx.", mapOf(imageTasks)),
});

const tagStatus = requiring(
  { tag: text, phase: known("Waiting", "Pulling", "Succeeded", "Failed") },
  {
    progress: about("0 to 100.", int32),
    startTime: dateTime,
    completionTime: dateTime,
    version: about("The version of the task that this is about. Absent is 0.", int64),
    imageID: text,
    message: text,
  },
);
const imageStatus = requiring({ tags: list(tagStatus) });
const status = requiring(
  { desired: about("Tags in the spec.", int32) },
  {
    succeeded: int32,
    failed: int32,
    pulling: int32,
    waiting: int32,
    imageStatuses: about("By image name, as in the spec.", mapOf(imageStatus)),
    firstSyncStatus: fields({ syncAt: dateTime, status: known("Succeeded", "Failed"), message: text }),
  },
);

export type NodeImageSpec = Output<typeof spec>;
export type NodeImageImage = Output<typeof imageTasks>;
export type NodeImageTag = Output<typeof tagTask>;
export type NodeImageTagPullPolicy = Output<typeof tagPullPolicy>;
export type NodeImagePullSecret = Output<typeof pullSecret>;
export type NodeImageStatus = Output<typeof status>;
export type NodeImageImageStatus = Output<typeof imageStatus>;
export type NodeImageTagStatus = Output<typeof tagStatus>;
export interface NodeImage extends KubeObject {
  spec: NodeImageSpec;
  status?: NodeImageStatus;
}
export type NodeImageV1Alpha1 = NodeImage;

const common: Omit<VersionDefinition, "name" | "storage"> = {
  served: true,
  schema: fields({ spec, status }),
  columns: [
    { name: "DESIRED", type: "integer", jsonPath: ".status.desired", description: "How many tags are wanted." },
    { name: "PULLING", type: "integer", jsonPath: ".status.pulling", description: "How many are being pulled." },
    { name: "SUCCEED", type: "integer", jsonPath: ".status.succeeded", description: "How many are there." },
    { name: "FAILED", type: "integer", jsonPath: ".status.failed", description: "How many could not be pulled." },
    { name: "AGE", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
  subresources: { status: true },
};

export const nodeImages: Kind<NodeImage> = {
  group: "apps.kruise.io",
  version: "v1beta1",
  kind: "NodeImage",
  plural: "nodeimages",
  namespaced: false,
};

export const nodeImageDefinition: KindDefinition<NodeImage> = {
  kind: nodeImages,
  listKind: "NodeImageList",
  singular: "nodeimage",
  shortNames: [],
  versions: [
    { name: "v1alpha1", storage: false, ...common },
    { name: "v1beta1", storage: true, ...common },
  ],
};
