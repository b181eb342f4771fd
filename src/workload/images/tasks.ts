/** Reading NodeImages: what is wanted on a node, and how far it is. Objects come as the server sent them and are never changed. */
import { imagePullJobs } from "../../api/imagepulljob.ts";
import { type NodeImage, type NodeImageImage, type NodeImageTag, type NodeImageTagStatus, nodeImages } from "../../api/nodeimage.ts";
import type { ObjectReference } from "../../api/schema/common.ts";
import { getOwn, isFields, itemsOf } from "../../kube/json.ts";
import { groupOf, type Index, isOfKind, type Ref } from "../../kube/kind.ts";

export const phase = { waiting: "Waiting", pulling: "Pulling", succeeded: "Succeeded", failed: "Failed" } as const;

/** An absent version means 0, in spec and status. */
export function versionOf({ version }: { readonly version?: number }): number {
  return version ?? 0;
}

/** The images a node should have, by name, in the order of their names. */
export function imagesOf(nodeImage: Readonly<NodeImage>): readonly (readonly [string, Readonly<NodeImageImage>])[] {
  const images: unknown = nodeImage.spec?.images;
  if (!isFields(images)) return [];
  return Object.keys(images)
    .sort()
    .map((name) => [name, images[name] as NodeImageImage] as const);
}

export function imageOf(nodeImage: Readonly<NodeImage>, name: string): Readonly<NodeImageImage> | undefined {
  const images: unknown = nodeImage.spec?.images;
  return isFields(images) ? (getOwn(images, name) as NodeImageImage | undefined) : undefined;
}

export function tagsOf(image: Readonly<NodeImageImage> | undefined): readonly Readonly<NodeImageTag>[] {
  return itemsOf(image?.tags) as readonly NodeImageTag[];
}

export function tagOf(image: Readonly<NodeImageImage> | undefined, tag: string): Readonly<NodeImageTag> | undefined {
  return tagsOf(image).find((task) => task.tag === tag);
}

export function statusTagsOf(nodeImage: Readonly<NodeImage>, name: string): readonly Readonly<NodeImageTagStatus>[] {
  const statuses: unknown = nodeImage.status?.imageStatuses;
  const image = isFields(statuses) ? getOwn(statuses, name) : undefined;
  return isFields(image) ? (itemsOf(image["tags"]) as readonly NodeImageTagStatus[]) : [];
}

/** Whatever round it is about. */
export function anyStatusOf(nodeImage: Readonly<NodeImage>, name: string, tag: string): Readonly<NodeImageTagStatus> | undefined {
  return statusTagsOf(nodeImage, name).find((status) => status.tag === tag);
}

/** What is known of this very round of the task. */
export function statusOf(
  nodeImage: Readonly<NodeImage>,
  name: string,
  task: Readonly<NodeImageTag>,
): Readonly<NodeImageTagStatus> | undefined {
  const status = anyStatusOf(nodeImage, name, task.tag);
  return status !== undefined && versionOf(status) === versionOf(task) ? status : undefined;
}

export function isOver(status: Readonly<NodeImageTagStatus> | undefined): boolean {
  return status?.completionTime !== undefined && status.completionTime !== null;
}

export function isOwnedBy(task: Readonly<NodeImageTag> | undefined, uid: string): boolean {
  return task?.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
}

/** NodeImages by the UIDs of the ImagePullJobs that want something of them. */
export const nodeImagesByJob: Index<NodeImage> = {
  name: "taskOwnerUID",
  of: nodeImages,
  keys: (nodeImage) => {
    const uids = new Set<string>();
    for (const [, image] of imagesOf(nodeImage))
      for (const task of tagsOf(image))
        for (const owner of task.ownerReferences ?? []) if (isOfKind(owner, imagePullJobs) && owner.uid) uids.add(owner.uid);
    return [...uids];
  },
};

/** Of an owner of a task, whatever its kind: for Events, which need no more than is said here. */
export function refOfOwner({ apiVersion = "", kind = "", namespace = "", name = "", uid }: Readonly<ObjectReference>): Ref {
  const version = apiVersion.slice(apiVersion.indexOf("/") + 1);
  return { of: { group: groupOf(apiVersion), version, kind, plural: "", namespaced: namespace !== "" }, namespace, name, uid };
}
