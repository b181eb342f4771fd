/** ControllerRevisions of StatefulSets and DaemonSets: one a template, numbered. */
import { encodeAs } from "../../kube/canonical/encode.ts";
import { revisionHash } from "../../kube/canonical/hash.ts";
import { deepEqual, type Fields, fieldsOf, withFields } from "../../kube/json.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { controllerOf, keyOf, numberOf, ownerReference, specOf } from "./pods.ts";

const resource = "controllerrevisions.apps";

export function ownRevisions(inside: Inside, owner: Stored): readonly Stored[] {
  return inside.list(resource, owner.metadata.namespace).filter((revision) => controllerOf(revision)?.uid === owner.metadata.uid);
}

export const hashOf = (revision: Stored): string => revision.metadata.labels?.["controller-revision-hash"] ?? revision.metadata.name;

/** The revision of the owner's template: found, renumbered, or made. @returns undefined when it could not be written */
export async function revisionFor(inside: Inside, owner: Stored): Promise<Stored | undefined> {
  const template = fieldsOf(specOf(owner)["template"]);
  const data: Fields = { spec: { template: { ...template, $patch: "replace" } } };
  const known = ownRevisions(inside, owner);
  const highest = Math.max(0, ...known.map((revision) => numberOf(revision["revision"], 0)));
  const same = known.find((revision) => deepEqual(revision["data"], data));
  if (same !== undefined) {
    if (same["revision"] === highest) return same;
    const raised = await inside.update(resource, keyOf(same), (current) => withFields(current, { revision: highest + 1 }) as Stored);
    return raised.ok ? raised.object : undefined;
  }
  const hash = revisionHash(encodeAs("PodTemplateSpec", template, { sorted: true }), known.length);
  const created = await inside.create(resource, owner.metadata.namespace ?? "", {
    metadata: {
      name: `${owner.metadata.name}-${hash}`,
      labels: {
        ...fieldsOf(fieldsOf(template["metadata"])["labels"]),
        "controller-revision-hash": owner.kind === "DaemonSet" ? hash : `${owner.metadata.name}-${hash}`,
      },
      ownerReferences: [ownerReference(owner)],
    },
    data,
    revision: highest + 1,
  });
  return created.ok ? created.object : undefined;
}

/** Those that no pod runs go, the oldest first, until the limit holds. @param inUse hashes */
export async function forgetRevisions(inside: Inside, owner: Stored, inUse: ReadonlySet<string>): Promise<void> {
  const limit = numberOf(specOf(owner)["revisionHistoryLimit"], 10);
  const idle = ownRevisions(inside, owner).filter((revision) => !inUse.has(hashOf(revision)));
  const oldest = [...idle].sort((a, b) => numberOf(a["revision"], 0) - numberOf(b["revision"], 0));
  for (const revision of oldest.slice(0, Math.max(0, idle.length - limit))) await inside.remove(resource, revision);
}
