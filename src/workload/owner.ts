/** Who controls an object. Ownership is decided by UID; the version in a reference never matters. */
import type { KubeObject, ObjectMeta, OwnerReference } from "../kube/types.ts";

export function controllerOf(object: { readonly metadata: Pick<ObjectMeta, "ownerReferences"> }): Readonly<OwnerReference> | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

export function isControlledBy(object: Readonly<KubeObject>, ownerUid: string): boolean {
  return controllerOf(object)?.uid === ownerUid;
}
