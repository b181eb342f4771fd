/** ImageListPullJob: pull several images on many nodes, with one ImagePullJob for each. */
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { KindDefinition, VersionDefinition } from "./definition.ts";
import { about, dateTime, fields, int32, list, type Output, requiring, text } from "./schema/kit.ts";
import { pullJobOptional, pullJobRequired } from "./schema/pulljob.ts";

const spec = requiring({ images: about("The images, with tag or digest.", list(text)), ...pullJobRequired }, pullJobOptional);
const failedImageStatus = fields({ imagePullJob: text, name: about("The image.", text), message: text });
const status = requiring(
  { desired: about("Images to pull.", int32) },
  {
    active: about("Images that are being pulled.", int32),
    completed: about("Images whose job has ended, well or not.", int32),
    succeeded: about("Images that every node has.", int32),
    failedImageStatuses: list(failedImageStatus),
    startTime: dateTime,
    completionTime: dateTime,
  },
);

export type ImageListPullJobSpec = Output<typeof spec>;
export type FailedImageStatus = Output<typeof failedImageStatus>;
export type ImageListPullJobStatus = Output<typeof status>;
export interface ImageListPullJob extends KubeObject {
  spec: ImageListPullJobSpec;
  status?: ImageListPullJobStatus;
}
export type ImageListPullJobV1Alpha1 = ImageListPullJob;

const common: Omit<VersionDefinition, "name" | "storage"> = {
  served: true,
  schema: fields({ spec, status }),
  columns: [
    { name: "TOTAL", type: "integer", jsonPath: ".status.desired", description: "How many images." },
    { name: "SUCCEEDED", type: "integer", jsonPath: ".status.succeeded", description: "How many of them every node has." },
    { name: "COMPLETED", type: "integer", jsonPath: ".status.completed", description: "For how many of them the job has ended." },
    { name: "AGE", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
  subresources: { status: true },
};

export const imageListPullJobs: Kind<ImageListPullJob> = {
  group: "apps.kruise.io",
  version: "v1beta1",
  kind: "ImageListPullJob",
  plural: "imagelistpulljobs",
  namespaced: true,
};

export const imageListPullJobDefinition: KindDefinition<ImageListPullJob> = {
  kind: imageListPullJobs,
  listKind: "ImageListPullJobList",
  singular: "imagelistpulljob",
  shortNames: [],
  versions: [
    { name: "v1alpha1", storage: false, ...common },
    { name: "v1beta1", storage: true, ...common },
  ],
};
