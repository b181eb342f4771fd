/** Ownership of pods, claims and revisions: by UID. The version in a reference never matters; new ones name the newest. */
import { type CloneSet, cloneSets } from "../../api/cloneset.ts";
import { type Action, change } from "../../engine/plan.ts";
import { apiVersion, refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { Matcher } from "../../kube/selector.ts";
import type { KubeObject, OwnerReference, Pod } from "../../kube/types.ts";

export function ownerReferenceTo(cloneSet: Readonly<CloneSet>): OwnerReference {
  return {
    apiVersion: apiVersion(cloneSets),
    kind: cloneSets.kind,
    name: cloneSet.metadata.name,
    uid: cloneSet.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function controllerOf(object: Readonly<KubeObject>): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

/** Lets a pod go that no longer matches the selector: it runs on, and belongs to nobody. */
export function releasePod(pod: Readonly<Pod>, cloneSetUid: string, selector: Matcher): Action {
  return change<Pod>({
    id: `release:${pod.metadata.name}`,
    on: refOf(pods, pod),
    steps: [
      {
        name: "release",
        precondition: "version",
        onConflict: "retry",
        write: (fresh) => {
          const owners = fresh.metadata.ownerReferences ?? [];
          if (selector.matches(fresh.metadata.labels) || !owners.some((reference) => reference.uid === cloneSetUid)) return undefined;
          return { patch: "merge", body: { metadata: { ownerReferences: owners.filter((reference) => reference.uid !== cloneSetUid) } } };
        },
      },
    ],
  });
}
