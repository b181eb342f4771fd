/** What a CRD is still needed by: objects of its kind, in any namespace, counted by their metadata and without watching them. */
import type { AdmissionContext, AdmissionRequest, Verdict } from "../../admission/webhook.ts";
import { allow } from "../../admission/webhook.ts";
import { fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import { type Kind, resourceName } from "../../kube/kind.ts";
import { failureText } from "../../kube/outcome.ts";
import { protectionOf, refuseDeletion } from "../../workload/deletion-protection.ts";

/** Objects that are looked at: a deletion waits for the answer, and one that is in use is enough to refuse it. */
export const countedMax = 5_000;
const gate = "DeletionProtectionForCRDCascadingGate";

export async function reviewDefinition(request: AdmissionRequest, context: AdmissionContext): Promise<Verdict> {
  const protection = protectionOf(request, context);
  if (protection === undefined) return allow;
  if (protection === "Always") return refuseDeletion(request, context, protection);
  if (!context.settings.gates.enabled(gate)) return refuseDeletion(request, context, protection, `feature-gate ${gate} is not enabled`);
  const because = await stillNeeded(request.oldObject, context);
  return because === undefined ? allow : refuseDeletion(request, context, protection, because);
}

async function stillNeeded(definition: unknown, { read }: AdmissionContext): Promise<string | undefined> {
  const kind = kindOf(definition);
  const answer = await read.live.list(kind, { metadataOnly: true, itemsMax: countedMax });
  if (!answer.ok) {
    const grant = answer.why === "denied" && answer.code === 403 ? `; grant the manager list on ${resourceName(kind)}` : "";
    return `its CRs cannot be counted: ${failureText(answer)}${grant}`;
  }
  const active = answer.object.filter(({ metadata }) => metadata.deletionTimestamp === undefined).length;
  if (active > 0) return `active CRs ${active}>0`;
  return answer.object.length >= countedMax ? `${countedMax} CRs are being deleted and there are more` : undefined;
}

/** In the version that is stored, if that is served as well. */
function kindOf(definition: unknown): Kind {
  const { group, names, scope, version, versions } = fieldsOf(fieldsOf(definition)["spec"]);
  const { plural, kind } = fieldsOf(names);
  const served = itemsOf(versions)
    .map(fieldsOf)
    .filter((each) => each["served"] !== false);
  const chosen = served.find((each) => each["storage"] === true) ?? served[0];
  return {
    group: textOf(group),
    version: textOf(chosen?.["name"]) || textOf(version),
    kind: textOf(kind),
    plural: textOf(plural),
    namespaced: scope !== "Cluster",
  };
}
