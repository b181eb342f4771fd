/**
 * Revisions: what a workload's template was, by name, so that pods can be told apart and made again.
 *
 * A workload uses it so:
 * - `existing = revisionsOf(read, metadata, matcher)`, then `await observeRevisions(read, request)` in its observe, or the pure
 *   `chooseRevisions(request)` → { current, update, history, collisionCount, actions }. `actions` (none, or one: create the
 *   update revision, or make it the newest again) go into the plan; whatever needs the update revision comes `after` them. `current.template` and
 *   `update.template` are what pods are made of;
 * - `matchesRevision(podLabel, name)` (both label styles), `revisionOf(pod)`, `shortHash(name)`, `cloneSetRevisionLabels`, `revisionLabels`;
 * - `removeRevisions(surplusRevisions(history, isLive, limit))` at the end of a plan.
 * Revisions are found by what they say, not by their bytes or names: those of OpenKruise are recognised.
 */
import type { Reader } from "../../kube/access.ts";
import { controllerRevisions } from "../../kube/kinds.ts";
import type { ControllerRevision } from "../../kube/types.ts";
import { chooseRevisions, needsNewRevision, type RevisionChoice, type RevisionRequest, resolveName } from "./choose.ts";
import { canonicalDataOf, templateData } from "./data.ts";

export {
  asRevision,
  chooseRevisions,
  type Revision,
  type RevisionChoice,
  type RevisionRequest,
  resolveName,
} from "./choose.ts";
export { canonicalDataOf, normalisedTemplateOf, templateData, templateOf } from "./data.ts";
export { orphanRevisions, removeRevisions, revisionsOf, sortRevisions, surplusRevisions } from "./history.ts";
export {
  cloneSetRevisionLabels,
  isPodAtRevision,
  isPodExactlyAtRevision,
  matchesRevision,
  revisionLabels,
  revisionOf,
  shortHash,
} from "./labels.ts";

/** Whether two revisions record the same, however either was written. */
export function isEqualRevision(a: Readonly<ControllerRevision>, b: Readonly<ControllerRevision>): boolean {
  return canonicalDataOf(a) === canonicalDataOf(b);
}

/**
 * `chooseRevisions` that knows who occupies the new revision's name. Only when a new revision is needed, which is rare, it reads that
 * name live: a cache that is behind, or does not hold others' revisions, would make the create fail.
 */
export async function observeRevisions(read: Reader, request: RevisionRequest): Promise<RevisionChoice> {
  if (!needsNewRevision(request)) return chooseRevisions(request);
  const data = templateData(request.template);
  const namespace = request.owner.metadata.namespace ?? "";
  const seen = new Map<string, Readonly<ControllerRevision> | undefined>();
  const occupant = (name: string) => seen.get(name);
  // Each round reads the name that the occupants so far lead to, until that one is free or records the same.
  for (;;) {
    const { name } = resolveName({ ...request, occupant }, data);
    if (seen.has(name)) return chooseRevisions({ ...request, occupant });
    const cached = read.get(controllerRevisions, { namespace, name });
    const answer = cached === undefined ? await read.live.get(controllerRevisions, { namespace, name }) : undefined;
    seen.set(name, cached ?? (answer?.ok === true ? answer.object : undefined));
  }
}
