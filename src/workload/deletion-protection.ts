/** Label policy.kruise.io/delete-protection: the API server refuses to delete what carries it. */
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Verdict } from "../admission/webhook.ts";
import { label } from "../api/names.ts";
import { fieldsOf, getOwn, isFields } from "../kube/json.ts";

/** How many active dependants an object has, for the value Cascading: `{ what: "replicas", count: 3 }`. */
export interface Dependants {
  readonly what: string;
  readonly count: number;
}

/** @param dependants asked only for objects labelled Cascading; undefined or none of them: the object may go */
export function reviewDeletion(
  request: AdmissionRequest,
  context: Pick<AdmissionContext, "settings" | "refused">,
  dependants: (object: NonNullable<AdmissionRequest["oldObject"]>) => Dependants | undefined = replicasOf,
): Verdict {
  const object = request.oldObject;
  if (object === undefined || !context.settings.gates.enabled("ResourcesDeletionProtection")) return allow;
  const metadata = fieldsOf(object.metadata);
  if (metadata["deletionTimestamp"]) return allow;
  const protection = getOwn(fieldsOf(metadata["labels"]), label.deletionProtection);
  const rule = `${label.deletionProtection}=${String(protection)}`;
  switch (protection) {
    case "Always":
      return refuse(request, context, `forbidden by ResourcesProtectionDeletion for ${rule}`);
    case "Cascading": {
      const active = dependants(object);
      if (active === undefined || active.count <= 0) return allow;
      return refuse(request, context, `forbidden by ResourcesProtectionDeletion for ${rule} and ${active.what} ${active.count}>0`);
    }
    default:
      return allow;
  }
}

/** Of workloads: what is wanted counts, not what is there. */
export function replicasOf(object: object): Dependants | undefined {
  const spec = (object as { spec?: unknown }).spec;
  const replicas = isFields(spec) ? spec["replicas"] : undefined;
  return typeof replicas === "number" ? { what: "replicas", count: replicas } : undefined;
}

function refuse(request: AdmissionRequest, context: Pick<AdmissionContext, "refused">, message: string): Verdict {
  context.refused({
    event: "DeletionProtection",
    kind: request.kind.kind,
    namespace: request.namespace,
    name: request.name,
    userAgent: request.userInfo.username ?? "",
  });
  return deny(403, message);
}
