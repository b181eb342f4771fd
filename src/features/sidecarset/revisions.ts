/** The history of a SidecarSet: one ControllerRevision for each content it had, in the install namespace, so that pods can still get it. */
import { label } from "../../api/names.ts";
import { type SidecarSet, type SidecarSetSpec, sidecarSets } from "../../api/sidecarset.ts";
import { type Action, change, create } from "../../engine/plan.ts";
import { assert } from "../../env/env.ts";
import { revisionHash, revisionName } from "../../kube/canonical/hash.ts";
import { sidecarSetRevisionData } from "../../kube/canonical/revision-data.ts";
import { apiVersion, refOf } from "../../kube/kind.ts";
import { controllerRevisions } from "../../kube/kinds.ts";
import { memo } from "../../kube/memo.ts";
import type { ControllerRevision, ObjectMeta } from "../../kube/types.ts";
import { removeRevisions, sortRevisions } from "../../workload/revision/index.ts";
import { specOfRevision } from "./content.ts";
import { chooseFrom, wantedRevision } from "./resolve.ts";

export const revisionActionId = "revision";
const collisionsMax = 100; // tries; two contents sharing a 32-bit hash is rare, a hundred in a row is a broken hash

export interface Registered {
  /** The latest revision's. */
  readonly name: string;
  readonly collisionCount: number;
  /** None, or one with the id `revisionActionId`. */
  readonly actions: readonly Action[];
  /** Oldest first; without one that is yet to be created. */
  readonly history: readonly Readonly<ControllerRevision>[];
}

export interface RegisterRequest {
  readonly set: Readonly<SidecarSet>;
  /** Of the set or of nobody, in any order. */
  readonly existing: readonly Readonly<ControllerRevision>[];
  readonly installNamespace: string;
  /** The ControllerRevision of that name, whoever owns it. */
  readonly occupant: (name: string) => Readonly<ControllerRevision> | undefined;
}

const contentOf: (spec: SidecarSetSpec) => string = memo(sidecarSetRevisionData);
/** Computed anew from what is stored, so that formatting and absent fields make no difference. */
const recordedOf: (spec: SidecarSetSpec) => string = memo(sidecarSetRevisionData);

/** Pure. Known content keeps its revision, and becomes the newest again where it is not; new content gets a new one. */
export function register(request: RegisterRequest): Registered {
  const { set } = request;
  const history = sortRevisions(request.existing);
  const number = (history.at(-1)?.revision ?? 0) + 1;
  const data = contentOf(set.spec);
  const known = history.findLast((revision) => recordedOf(specOfRevision(revision)) === data);
  const collisionCount = set.status?.collisionCount ?? 0;
  if (known !== undefined)
    return {
      name: known.metadata.name,
      collisionCount,
      history,
      actions: makeLatest(known, known === history.at(-1) ? undefined : number, set.spec.customVersion),
    };
  const free = freeName(request, data);
  if (free.occupant !== undefined)
    return {
      name: free.name,
      collisionCount: free.collisionCount,
      history,
      actions: makeLatest(free.occupant, number, set.spec.customVersion),
    };
  const object = newRevision(request, data, free.name, number);
  return {
    name: free.name,
    collisionCount: free.collisionCount,
    history,
    actions: [create({ id: revisionActionId, of: controllerRevisions, object, existsIsFine: true })],
  };
}

/** Whether a name has to be found, so that it is worth looking who has it. */
export function needsName({ set, existing }: Pick<RegisterRequest, "set" | "existing">): boolean {
  const data = contentOf(set.spec);
  return !existing.some((revision) => recordedOf(specOfRevision(revision)) === data);
}

export interface FreeName {
  readonly name: string;
  readonly collisionCount: number;
  /** Has the name, and records the same. */
  readonly occupant?: Readonly<ControllerRevision>;
}

export function freeName({ set, occupant }: Pick<RegisterRequest, "set" | "occupant">, data: string = contentOf(set.spec)): FreeName {
  const first = set.status?.collisionCount ?? 0;
  for (let collisionCount = first; ; collisionCount += 1) {
    assert(collisionCount < first + collisionsMax, "some name is free");
    const name = revisionName(set.metadata.name, revisionHash(data, collisionCount));
    const found = occupant(name);
    if (found === undefined) return { name, collisionCount };
    if (recordedOf(specOfRevision(found)) === data) return { name, collisionCount, occupant: found };
  }
}

function newRevision({ set, installNamespace }: RegisterRequest, data: string, name: string, number: number): ControllerRevision {
  const { metadata, spec, status } = set;
  const meta: Partial<ObjectMeta> = {
    name,
    namespace: installNamespace,
    labels: {
      ...metadata.labels,
      // The first hash, also when a collision changed the name: so OpenKruise has it.
      [label.controllerHash]: revisionHash(data, status?.collisionCount ?? 0),
      [label.sidecarSetName]: metadata.name,
      ...(spec.customVersion ? { [label.sidecarSetCustomVersion]: spec.customVersion } : {}),
    },
    annotations: { ...metadata.annotations },
    ownerReferences: [
      {
        apiVersion: apiVersion(sidecarSets),
        kind: sidecarSets.kind,
        name: metadata.name,
        uid: metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
  return { metadata: meta, data: JSON.parse(data), revision: number } as unknown as ControllerRevision;
}

/** @param number the one to give it; absent: it has the highest */
function makeLatest(
  revision: Readonly<ControllerRevision>,
  number: number | undefined,
  customVersion: string | undefined,
): readonly Action[] {
  const bodyFor = (fresh: Readonly<ControllerRevision>): object | undefined => {
    const older = number !== undefined && fresh.revision < number;
    const relabel = Boolean(customVersion) && fresh.metadata.labels?.[label.sidecarSetCustomVersion] !== customVersion;
    if (!older && !relabel) return undefined;
    return {
      ...(older ? { revision: number } : {}),
      ...(relabel ? { metadata: { labels: { [label.sidecarSetCustomVersion]: customVersion } } } : {}),
    };
  };
  if (bodyFor(revision) === undefined) return [];
  return [
    change<ControllerRevision>({
      id: revisionActionId,
      on: refOf(controllerRevisions, revision),
      steps: [
        {
          name: "latest",
          precondition: "version",
          onConflict: "retry",
          write: (fresh) => {
            const body = bodyFor(fresh);
            return body === undefined ? undefined : { patch: "merge", body };
          },
        },
      ],
    }),
  ];
}

/**
 * Revisions that go: from the oldest on, those that nobody uses, until the rest is within the limit.
 * @param usedByPods names of revisions that pods were injected with
 */
export function surplus(
  { name, history, actions }: Registered,
  set: Readonly<SidecarSet>,
  usedByPods: ReadonlySet<string>,
  max: number,
): readonly Action[] {
  const isNew = actions.some((action) => action.do === "create");
  let excess = history.length + (isNew ? 1 : 0) - max;
  if (excess <= 0) return [];
  const wanted = wantedRevision(set);
  const injected = wanted === undefined ? undefined : chooseFrom(history, wanted)?.metadata.name;
  const going: Readonly<ControllerRevision>[] = [];
  for (const revision of history) {
    if (excess <= 0) break;
    const own = revision.metadata.name;
    if (own === name || own === injected || usedByPods.has(own)) continue;
    going.push(revision);
    excess -= 1;
  }
  return removeRevisions(going);
}
