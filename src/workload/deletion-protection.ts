/**
 * The label policy.kruise.io/delete-protection: an object that carries it is not deleted. `Always` says never; `Cascading` says not while
 * something depends on it, which each kind counts in its own way.
 */
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Verdict } from "../admission/webhook.ts";
import { label } from "../api/names.ts";
import { fieldsOf, getOwn, isFields } from "../kube/json.ts";

/** What an object may still be needed by. */
export interface Dependants {
  /** As the message has it: "replicas", "active pods". */
  readonly what: string;
  readonly count: number;
}

type Asked = Pick<AdmissionRequest, "operation" | "kind" | "namespace" | "name" | "oldObject" | "userInfo">;
type Asking = Pick<AdmissionContext, "settings" | "refused">;

/** How a request to delete is protected; undefined: it is not. */
export function protectionOf({ operation, oldObject }: Asked, { settings }: Pick<Asking, "settings">): "Always" | "Cascading" | undefined {
  if (operation !== "DELETE" || !settings.gates.enabled("ResourcesDeletionProtection")) return undefined;
  const metadata = fieldsOf(fieldsOf(oldObject)["metadata"]);
  // Deleted already: what follows only lets go of it.
  if (metadata["deletionTimestamp"] !== undefined && metadata["deletionTimestamp"] !== null) return undefined;
  const value = getOwn(fieldsOf(metadata["labels"]), label.deletionProtection);
  return value === "Always" || value === "Cascading" ? value : undefined;
}

/** 403, counted and logged. @param because "replicas 3>0"; absent: the label alone is the reason */
export function refuseDeletion(request: Asked, context: Asking, protection: "Always" | "Cascading", because?: string): Verdict {
  const { kind, namespace, name, userInfo } = request;
  const where = kind.kind === "Namespace" ? "" : namespace;
  context.refused({ event: "DeletionProtection", kind: kind.kind, namespace: where, name, userAgent: userInfo.username ?? "" });
  const reason = because === undefined ? "" : ` and ${because}`;
  return deny(403, `forbidden by ResourcesProtectionDeletion for ${label.deletionProtection}=${protection}${reason}`);
}

/**
 * The verdict on a deletion.
 * @param dependants counted only for `Cascading`; undefined: `Cascading` means nothing to this kind
 */
export function guardDeletion(request: Asked, context: Asking, dependants: (object: unknown) => Dependants | undefined): Verdict {
  if (request.operation === "DELETE" && request.oldObject !== undefined && !isFields(request.oldObject)) {
    return deny(400, `the request carries no ${request.kind.kind} that can be read`);
  }
  const protection = protectionOf(request, context);
  if (protection === undefined) return allow;
  if (protection === "Always") return refuseDeletion(request, context, protection);
  const needed = dependants(request.oldObject);
  if (needed === undefined || needed.count <= 0) return allow;
  return refuseDeletion(request, context, protection, `${needed.what} ${needed.count}>0`);
}

/** For kinds with `spec.replicas`: what the user asked for counts, not the pods there are. Absent replicas are none. */
export function reviewDeletion(request: Asked, context: Asking): Verdict {
  return guardDeletion(request, context, (object) => {
    const replicas = fieldsOf(fieldsOf(object)["spec"])["replicas"];
    return typeof replicas === "number" ? { what: "replicas", count: replicas } : undefined;
  });
}
