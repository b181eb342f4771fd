/** Nothing is made where there is no namespace, or where it is going; some namespaces never go. */
import { forbidden, notFound, Refusal } from "../api/refusal.ts";
import type { Store } from "../storage/store.ts";
import type { Review } from "./admission.ts";

const immortal: ReadonlySet<string> = new Set(["default", "kube-system", "kube-public"]);

export function checkNamespace(store: Store, review: Review): void {
  const { resource, operation } = review;
  if (resource.storage === "namespaces") {
    if (operation === "DELETE" && immortal.has(review.name))
      throw forbidden(resource.kind, review.name, "this namespace may not be deleted");
    return;
  }
  if (!resource.kind.namespaced || operation !== "CREATE" || review.subresource !== "") return;
  const namespace = store.get("namespaces", { namespace: "", name: review.namespace });
  if (namespace === undefined) throw notFound({ group: "", plural: "namespaces" }, review.namespace);
  if (namespace.metadata.deletionTimestamp === undefined) return;
  const why = `unable to create new content in namespace ${review.namespace} because it is being terminated`;
  const refusal = forbidden(resource.kind, review.name, why);
  throw new Refusal(refusal.code, refusal.reason, refusal.message, {
    ...refusal.details,
    causes: [{ reason: "NamespaceTerminating", message: `namespace ${review.namespace} is being terminated`, field: "metadata.namespace" }],
  });
}
