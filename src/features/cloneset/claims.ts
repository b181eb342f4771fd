/** Volume claims: made with their pod, deleted with it, kept or cleaned up when the pod went another way. */
import type { CloneSet } from "../../api/cloneset.ts";
import { label } from "../../api/names.ts";
import { type Action, change, create, remove } from "../../engine/plan.ts";
import type { Draft } from "../../kube/access.ts";
import { refOf } from "../../kube/kind.ts";
import { persistentVolumeClaims } from "../../kube/kinds.ts";
import type { OwnerReference, PersistentVolumeClaim, PersistentVolumeClaimTemplate, Pod } from "../../kube/types.ts";
import { claimName } from "../../workload/claims.ts";
import { factsOf } from "./facts.ts";
import { ownerReferenceTo } from "./owner.ts";
import type { World } from "./world.ts";

export const instanceIdOf = (claim: Readonly<PersistentVolumeClaim>): string => claim.metadata.labels?.[label.cloneSetInstanceId] ?? "";

export function claimsByInstance(
  claims: readonly Readonly<PersistentVolumeClaim>[],
): ReadonlyMap<string, readonly Readonly<PersistentVolumeClaim>[]> {
  const byId = new Map<string, Readonly<PersistentVolumeClaim>[]>();
  for (const claim of claims) {
    const id = instanceIdOf(claim);
    if (id === "") continue;
    const siblings = byId.get(id);
    if (siblings === undefined) byId.set(id, [claim]);
    else siblings.push(claim);
  }
  return byId;
}

const claimTemplates = (cloneSet: Readonly<CloneSet>): readonly PersistentVolumeClaimTemplate[] => cloneSet.spec.volumeClaimTemplates ?? [];

/** Creates the claims that the pod of this id needs and that are not there yet. */
export function createClaims(
  cloneSet: Readonly<CloneSet>,
  id: string,
  existing: readonly Readonly<PersistentVolumeClaim>[],
): readonly Action[] {
  return claimTemplates(cloneSet)
    .filter((template) => !existing.some((claim) => claim.metadata.name === claimName(template, cloneSet.metadata.name, id)))
    .map((template) => {
      const object = newClaim(template, cloneSet, id);
      return create({
        id: `create-claim:${object.metadata.name}`,
        of: persistentVolumeClaims,
        object,
        tell: { failed: { reason: "FailedCreate", text: "failed to create claim" } },
      });
    });
}

function newClaim(template: PersistentVolumeClaimTemplate, cloneSet: Readonly<CloneSet>, id: string): Draft<PersistentVolumeClaim> {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: claimName(template, cloneSet.metadata.name, id),
      namespace: cloneSet.metadata.namespace,
      labels: { ...template.metadata?.labels, ...cloneSet.spec.selector.matchLabels, [label.cloneSetInstanceId]: id },
      ...(template.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
      ownerReferences: [ownerReferenceTo(cloneSet)],
    },
    spec: template.spec,
  };
}

/** Deletes claims; with `after`, only once that action is done. */
export function deleteClaims(claims: readonly Readonly<PersistentVolumeClaim>[], after: string): readonly Action[] {
  return claims.map((claim) =>
    remove({
      id: `delete-claim:${claim.metadata.name}`,
      on: refOf(persistentVolumeClaims, claim),
      after: [after],
      tell: { failed: { reason: "FailedDelete", text: "failed to delete claim" } },
    }),
  );
}

/**
 * Without reuse: a claim whose pod is finished or terminating goes with that pod; a claim without any pod is deleted.
 * With reuse: nothing, the claims wait for the next pod of their id.
 */
export function cleanUpClaims({ observed, members, strangers, inactive, strategy }: World): readonly Action[] {
  if (strategy.reuseClaims || observed.claims.length === 0) return [];
  const inUse = new Set([...members.map((member) => member.facts.instanceId), ...strangers.map((pod) => factsOf(pod).instanceId)]);
  const leaving = new Map(inactive.map((pod) => [factsOf(pod).instanceId, pod]));
  const actions: Action[] = [];
  for (const claim of observed.claims) {
    const id = instanceIdOf(claim);
    if (id === "" || inUse.has(id)) continue;
    const pod = leaving.get(id);
    if (pod !== undefined) actions.push(giveClaim(claim, pod, observed.cloneSet.metadata.uid));
    else if (!observed.claimsInDoubt.has(claim.metadata.name)) {
      actions.push(
        remove({
          id: `delete-claim:${claim.metadata.name}`,
          on: refOf(persistentVolumeClaims, claim),
          // Somebody may have made a pod for it since: only exactly what was looked at.
          resourceVersion: claim.metadata.resourceVersion,
          tell: { failed: { reason: "FailedDelete", text: "failed to delete claim" } },
        }),
      );
    }
  }
  return actions;
}

/** The claim goes from the CloneSet to its pod, and is collected together with it. */
export function giveClaim(claim: Readonly<PersistentVolumeClaim>, pod: Readonly<Pod>, cloneSetUid: string): Action {
  const owner: OwnerReference = {
    apiVersion: "v1",
    kind: "Pod",
    name: pod.metadata.name,
    uid: pod.metadata.uid,
    controller: true,
  };
  return change<PersistentVolumeClaim>({
    id: `give-claim:${claim.metadata.name}`,
    on: refOf(persistentVolumeClaims, claim),
    tell: { failed: { reason: "FailedUpdate", text: "failed to hand over to its pod the claim" } },
    steps: [
      {
        name: "owner",
        precondition: "version",
        onConflict: "retry",
        write: (fresh) => {
          const owners = fresh.metadata.ownerReferences ?? [];
          if (!owners.some((reference) => reference.uid === cloneSetUid)) return undefined;
          const others = owners.filter((reference) => reference.uid !== cloneSetUid && reference.uid !== owner.uid);
          return { patch: "merge", body: { metadata: { ownerReferences: [...others, owner] } } };
        },
      },
    ],
  });
}
