/** Which revisions does a workload run: is its template known already, is it a return to an older one, or is it new? */

import { annotation, label } from "../../api/names.ts";
import type { Action } from "../../engine/plan.ts";
import { change, create } from "../../engine/plan.ts";
import { assert } from "../../env/env.ts";
import { revisionHash, revisionName } from "../../kube/canonical/hash.ts";
import { apiVersion, type Kind, refOf } from "../../kube/kind.ts";
import { controllerRevisions } from "../../kube/kinds.ts";
import type { ControllerRevision, ObjectMeta, PodTemplateSpec } from "../../kube/types.ts";
import { isRecordOf, templateData, templateOf } from "./data.ts";
import { sortRevisions } from "./history.ts";

export interface RevisionRequest {
  readonly owner: { readonly of: Kind; readonly metadata: Pick<ObjectMeta, "name" | "namespace" | "uid"> };
  readonly template: PodTemplateSpec;
  /** For a new revision, beside its hash. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** CloneSet: the hash of its volume claim templates. Recorded with the revision; a difference makes no new revision. */
  readonly claimTemplatesHash?: string;
  /** The workload's revisions and orphans that match its selector, in any order. */
  readonly existing: readonly Readonly<ControllerRevision>[];
  /** status.currentRevision */
  readonly currentName?: string;
  /** status.collisionCount */
  readonly collisionCount?: number;
  /** The revision object of that name in the namespace, whoever owns it: cached or read live. */
  readonly occupant?: (name: string) => Readonly<ControllerRevision> | undefined;
  /** Hash and name of data; Advanced DaemonSet has its own. */
  readonly hash?: (data: string, collisionCount: number) => string;
  /** The label that carries the hash; by default controller.kubernetes.io/hash. */
  readonly hashLabel?: string;
}

export interface Revision {
  readonly name: string;
  /** As stored, or as it will be created. */
  readonly object: Readonly<ControllerRevision>;
  /** What pods of this revision are made of. */
  readonly template: PodTemplateSpec;
}

export interface RevisionChoice {
  readonly current: Revision;
  readonly update: Revision;
  /** All of them in order, oldest first; without one that is yet to be created. */
  readonly history: readonly Readonly<ControllerRevision>[];
  /** For status.collisionCount. */
  readonly collisionCount: number;
  /** None, or one: create the update revision, or make it the newest again. Pods of the update revision come `after` it. */
  readonly actions: readonly Action[];
}

const actionId = "revision";
const collisionsMax = 100; // tries; two templates sharing a 32-bit hash is rare, a hundred in a row is a broken hash

/** Pure. After a create that failed because the name was taken, ask again with an `occupant` that sees the object in its way. */
export function chooseRevisions(request: RevisionRequest): RevisionChoice {
  const history = sortRevisions(request.existing);
  const data = templateData(request.template);
  const number = (history.at(-1)?.revision ?? 0) + 1;
  const equal = history.filter((revision) => isRecordOf(revision, data));
  const newest = equal.at(-1);
  if (newest !== undefined) {
    const action = newest === history.at(-1) ? undefined : makeNewest(newest, number, request.claimTemplatesHash);
    return chosen(request, history, newest, request.collisionCount ?? 0, action);
  }
  const { name, collisionCount, occupant } = resolveName(request, data);
  if (occupant !== undefined) return chosen(request, history, occupant, collisionCount);
  const object = newRevision(request, data, name, number);
  const action = create({ id: actionId, of: controllerRevisions, object });
  return chosen(request, history, object, collisionCount, action);
}

function chosen(
  { currentName }: RevisionRequest,
  history: readonly Readonly<ControllerRevision>[],
  object: Readonly<ControllerRevision>,
  collisionCount: number,
  action?: Action,
): RevisionChoice {
  const update = asRevision(object);
  const current = history.find((revision) => revision.metadata.name === currentName);
  return {
    update,
    current: current === undefined ? update : asRevision(current),
    history,
    collisionCount,
    actions: action === undefined ? [] : [action],
  };
}

const bare: PodTemplateSpec = { spec: { containers: [] } };

export function asRevision(object: Readonly<ControllerRevision>): Revision {
  return { name: object.metadata.name, object, template: templateOf(object) ?? bare };
}

/** Whether some revision other than those listed may stand in the way, so that it is worth looking for occupants. */
export function needsNewRevision({ existing, template }: Pick<RevisionRequest, "existing" | "template">): boolean {
  const data = templateData(template);
  return !existing.some((revision) => isRecordOf(revision, data));
}

/**
 * The first name that is free, or taken by the same data (which is then used as it is). Other data in the way raises the count.
 * @returns the occupant only when it records the same data
 */
export function resolveName(
  { owner, collisionCount = 0, occupant, hash = revisionHash }: RevisionRequest,
  data: string,
): { readonly name: string; readonly collisionCount: number; readonly occupant?: Readonly<ControllerRevision> } {
  for (let count = collisionCount; ; count += 1) {
    assert(count < collisionCount + collisionsMax, "some name is free");
    const name = revisionName(owner.metadata.name, hash(data, count));
    const found = occupant?.(name);
    if (found === undefined) return { name, collisionCount: count };
    if (isRecordOf(found, data)) return { name, collisionCount: count, occupant: found };
  }
}

function newRevision(request: RevisionRequest, data: string, name: string, number: number): ControllerRevision {
  const { owner, labels, annotations, claimTemplatesHash, collisionCount = 0, hash = revisionHash } = request;
  const { hashLabel = label.controllerHash } = request;
  const metadata = {
    name,
    ...(owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace }),
    // The first hash, also when a collision changed the name: so OpenKruise has it.
    labels: { ...labels, [hashLabel]: hash(data, collisionCount) },
    annotations: {
      ...annotations,
      ...(claimTemplatesHash === undefined ? {} : { [annotation.cloneSetVolumeClaimTemplateHash]: claimTemplatesHash }),
    },
    ownerReferences: [
      {
        apiVersion: apiVersion(owner.of),
        kind: owner.of.kind,
        name: owner.metadata.name,
        uid: owner.metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
  return { metadata, data: JSON.parse(data), revision: number } as unknown as ControllerRevision;
}

/** A return to an older template: its revision keeps its name and becomes the newest again. */
function makeNewest(revision: Readonly<ControllerRevision>, number: number, claimTemplatesHash: string | undefined): Action {
  return change<ControllerRevision>({
    id: actionId,
    on: refOf(controllerRevisions, revision),
    steps: [
      {
        name: "rollback",
        precondition: "version",
        onConflict: "retry",
        write: (fresh) => {
          const stale =
            claimTemplatesHash !== undefined &&
            fresh.metadata.annotations?.[annotation.cloneSetVolumeClaimTemplateHash] !== claimTemplatesHash;
          if (fresh.revision >= number && !stale) return undefined;
          const annotations = stale ? { [annotation.cloneSetVolumeClaimTemplateHash]: claimTemplatesHash } : undefined;
          return { patch: "merge", body: { revision: number, ...(annotations === undefined ? {} : { metadata: { annotations } }) } };
        },
      },
    ],
  });
}
