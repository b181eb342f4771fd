/** ImagePullJobs by what one looks for them by. */
import { type ImagePullJob, imagePullJobs } from "../../api/imagepulljob.ts";
import type { Index } from "../../kube/kind.ts";
import { controllerOf } from "../owner.ts";
import { familiarImage } from "./reference.ts";

export const jobsByController: Index<ImagePullJob> = {
  name: "controllerUID",
  of: imagePullJobs,
  keys: (job) => {
    const owner = controllerOf(job);
    return owner === undefined ? [] : [owner.uid];
  },
};

/** Neither on its way out nor completed. */
export function isActiveJob({ metadata, status }: Readonly<ImagePullJob>): boolean {
  return metadata.deletionTimestamp === undefined && (status?.completionTime ?? undefined) === undefined;
}

/** Values of `activeJobs`. */
export const activeJobKey = {
  all: "*",
  withPodSelector: (namespace: string) => `pods ${namespace}`,
  image: (name: string) => `image ${name}`,
  tag: (name: string, tag: string) => `tag ${name} ${tag}`,
} as const;

/** Active jobs: all of them, by image, by image and tag, and those that follow pods by namespace. */
export const activeJobs: Index<ImagePullJob> = {
  name: "active",
  of: imagePullJobs,
  keys: (job) => {
    if (!isActiveJob(job)) return [];
    const keys: string[] = [activeJobKey.all];
    const image = familiarImage(job.spec?.image ?? "");
    if (image !== undefined) keys.push(activeJobKey.image(image.name), activeJobKey.tag(image.name, image.tag));
    if (job.spec?.podSelector) keys.push(activeJobKey.withPodSelector(job.metadata.namespace ?? ""));
    return keys;
  },
};
