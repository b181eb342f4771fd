/** ImagePullJob: pull one image on many nodes. */
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { KindDefinition, PrinterColumn, VersionDefinition } from "./definition.ts";
import { about, dateTime, fields, int32, list, type Output, requiring, text } from "./schema/kit.ts";
import { pullJobOptional, pullJobRequired } from "./schema/pulljob.ts";

const spec = requiring({ image: about("The image, with tag or digest.", text), ...pullJobRequired }, pullJobOptional);
const status = requiring(
  { desired: about("Nodes that should have it.", int32) },
  {
    active: about("Nodes that are pulling it.", int32),
    succeeded: int32,
    failed: int32,
    failedNodes: about("Names of the nodes that could not pull it.", list(text)),
    message: text,
    startTime: dateTime,
    completionTime: dateTime,
  },
);

export type ImagePullJobSpec = Output<typeof spec>;
export type ImagePullJobStatus = Output<typeof status>;
export interface ImagePullJob extends KubeObject {
  spec: ImagePullJobSpec;
  status?: ImagePullJobStatus;
}
export type ImagePullJobV1Alpha1 = ImagePullJob;

const columns: readonly PrinterColumn[] = [
  { name: "TOTAL", type: "integer", jsonPath: ".status.desired", description: "How many nodes should have the image." },
  { name: "ACTIVE", type: "integer", jsonPath: ".status.active", description: "How many are pulling it." },
  { name: "SUCCEED", type: "integer", jsonPath: ".status.succeeded", description: "How many have it." },
  { name: "FAILED", type: "integer", jsonPath: ".status.failed", description: "How many could not pull it." },
  { name: "AGE", type: "date", jsonPath: ".metadata.creationTimestamp" },
  { name: "MESSAGE", type: "string", jsonPath: ".status.message", description: "How far it is, or why it ended." },
];
const common: Omit<VersionDefinition, "name" | "storage"> = {
  served: true,
  columns,
  schema: fields({ spec, status }),
  subresources: { status: true },
};

export const imagePullJobs: Kind<ImagePullJob> = {
  group: "apps.kruise.io",
  version: "v1beta1",
  kind: "ImagePullJob",
  plural: "imagepulljobs",
  namespaced: true,
};

export const imagePullJobDefinition: KindDefinition<ImagePullJob> = {
  kind: imagePullJobs,
  listKind: "ImagePullJobList",
  singular: "imagepulljob",
  shortNames: [],
  versions: [
    { name: "v1alpha1", storage: false, ...common },
    { name: "v1beta1", storage: true, ...common },
  ],
};
