/** New claims: the default class, and protection while pods use them. */
import { fieldsOf, withFields } from "../../kube/json.ts";
import type { Store, Stored } from "../storage/store.ts";

const defaultAnnotation = "storageclass.kubernetes.io/is-default-class";
export const claimFinalizer = "kubernetes.io/pvc-protection";

export function withClaimDefaults(store: Store, claim: Stored): Stored {
  const spec = fieldsOf(claim["spec"]);
  const standard =
    spec["storageClassName"] === undefined
      ? store.list("storageclasses.storage.k8s.io").find((candidate) => candidate.metadata.annotations?.[defaultAnnotation] === "true")
      : undefined;
  const finalizers = claim.metadata.finalizers ?? [];
  return withFields(claim, {
    metadata: withFields(claim.metadata, {
      finalizers: finalizers.includes(claimFinalizer) ? finalizers : [...finalizers, claimFinalizer],
    }),
    ...(standard === undefined ? {} : { spec: withFields(spec, { storageClassName: standard.metadata.name }) }),
  }) as Stored;
}
