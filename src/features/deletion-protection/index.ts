/**
 * Deletion protection: the label policy.kruise.io/delete-protection on an object makes the API server refuse its deletion. `Always` says
 * never, `Cascading` not while something depends on it. No CRD, no controller, no finalizer: webhooks, each with an objectSelector, so that
 * nobody else's deletion ever comes here.
 *
 * Here are the kinds of Kubernetes itself; our own workloads ask workload/deletion-protection.ts in their webhooks. namespace.ts and
 * custom-resources.ts count what depends on a namespace and on a CRD.
 */
import { pods } from "../../kube/kinds.ts";
import type { Feature } from "../feature.ts";
import { webhooks } from "./webhooks.ts";

export const deletionProtection: Feature = {
  name: "deletion-protection",
  webhooks,
  reads: [pods],
  permissions: [
    { group: "", resources: ["pods"], verbs: ["get", "list", "watch"] },
    { group: "", resources: ["persistentvolumeclaims"], verbs: ["list"] },
    // Whatever custom resources there are. It would show the manager every Secret as well, so nobody gets it who does not ask for it.
    { group: "*", resources: ["*"], verbs: ["list"], gate: "DeletionProtectionForCRDCascadingGate" },
  ],
};
