/** A workload's revisions as a list: which are its own, in what order, and which are no longer needed. */
import { type Action, remove } from "../../engine/plan.ts";
import type { Reader } from "../../kube/access.ts";
import { type Index, refOf } from "../../kube/kind.ts";
import { controllerRevisions, revisionsByOwner } from "../../kube/kinds.ts";
import type { Matcher } from "../../kube/selector.ts";
import { parseTime } from "../../kube/time.ts";
import type { ControllerRevision, ObjectMeta } from "../../kube/types.ts";

/** Oldest first: by number, then by age, then by name. */
export function sortRevisions(revisions: readonly Readonly<ControllerRevision>[]): readonly Readonly<ControllerRevision>[] {
  return [...revisions].sort(
    (a, b) =>
      a.revision - b.revision ||
      (parseTime(a.metadata.creationTimestamp) ?? 0) - (parseTime(b.metadata.creationTimestamp) ?? 0) ||
      (a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0),
  );
}

const hasController = (revision: Readonly<ControllerRevision>): boolean =>
  revision.metadata.ownerReferences?.some(({ controller }) => controller === true) ?? false;

/** Revisions without a controller, by namespace: a workload may have left them for its successor. */
export const orphanRevisions: Index<ControllerRevision> = {
  name: "orphan",
  of: controllerRevisions,
  keys: (revision) => (hasController(revision) ? [] : [revision.metadata.namespace ?? ""]),
};

/** Those that match the workload's selector and belong to it or to nobody, from the cache, unsorted. */
export function revisionsOf(
  read: Pick<Reader, "find">,
  owner: Pick<ObjectMeta, "namespace" | "uid">,
  matcher: Matcher,
): readonly Readonly<ControllerRevision>[] {
  const own = read
    .find(revisionsByOwner, owner.uid)
    .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid, controller }) => uid === owner.uid && controller === true));
  const orphans = read.find(orphanRevisions, owner.namespace ?? "");
  return [...own, ...orphans].filter(({ metadata }) => matcher.matches(metadata.labels));
}

/**
 * Revisions beyond the limit that nothing needs, oldest first.
 * @param history sorted, oldest first
 * @param isLive some pod is at it, or it is the current or update revision
 * @param limit how many that are not live may stay; below 0 counts as 0
 */
export function surplusRevisions(
  history: readonly Readonly<ControllerRevision>[],
  isLive: (name: string) => boolean,
  limit: number,
): readonly Readonly<ControllerRevision>[] {
  const spare = history.filter(({ metadata }) => !isLive(metadata.name));
  return spare.slice(0, Math.max(spare.length - Math.max(limit, 0), 0));
}

export function removeRevisions(revisions: readonly Readonly<ControllerRevision>[]): readonly Action[] {
  return revisions.map((revision) => remove({ id: `revision/${revision.metadata.name}`, on: refOf(controllerRevisions, revision) }));
}
