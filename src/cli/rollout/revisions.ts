/** The recorded revisions of a workload, oldest first. */
import { install, label } from "../../api/names.ts";
import { templateOfRevisionData } from "../../kube/canonical/revision-data.ts";
import { type Fields, fieldsOf, isFields } from "../../kube/json.ts";
import { controllerRevisions } from "../../kube/kinds.ts";
import { selectorText } from "../../kube/selector.ts";
import type { ControllerRevision, LabelSelector } from "../../kube/types.ts";
import { sortRevisions } from "../../workload/revision/index.ts";
import { quotedName, type Target } from "../objects.ts";
import { Refused } from "../refused.ts";
import { must, type Session } from "../session.ts";

export type Revision = Readonly<ControllerRevision>;

export function hasRevisions({ of }: Target): boolean {
  return of.group === "apps.kruise.io" && (of.kind === "CloneSet" || of.kind === "SidecarSet");
}

export async function revisionsOf(session: Session, target: Target): Promise<readonly Revision[]> {
  const { metadata } = target.object;
  const where =
    target.of.kind === "SidecarSet"
      ? { namespace: install.namespace, labelSelector: `${label.sidecarSetName}=${metadata.name}` }
      : { namespace: metadata.namespace ?? "", labelSelector: selectorOf(target) };
  const listed = must(await session.client.list(controllerRevisions, where));
  return sortRevisions(
    listed.filter((revision) =>
      revision.metadata.ownerReferences?.some(({ uid, controller }) => controller === true && uid === metadata.uid),
    ),
  );
}

function selectorOf(target: Target): string {
  const { selector } = fieldsOf(fieldsOf(target.object)["spec"]);
  if (!isFields(selector)) throw new Refused(`error: ${quotedName(target)} has no selector`);
  return selectorText(selector as LabelSelector);
}

export function numbered(revisions: readonly Revision[], number: number): Revision {
  // Two may have one number for a moment: the younger one is meant.
  const found = revisions.findLast(({ revision }) => revision === number);
  if (found === undefined) throw new Refused(`error: unable to find specified revision ${number} in history`);
  return found;
}

/** What a revision of this workload says, as fields of its spec. */
export function recordedSpec(target: Target, revision: Revision): Fields {
  const template = templateOfRevisionData(revision.data);
  if (template !== undefined) return { template };
  const { $patch: _, ...recorded } = fieldsOf(fieldsOf(revision.data)["spec"]);
  if (Object.keys(recorded).length === 0) throw new Refused(`error: revision ${revision.revision} of ${quotedName(target)} cannot be read`);
  return recorded;
}
