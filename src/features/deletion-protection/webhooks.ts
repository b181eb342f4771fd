/** The seven webhooks, and who answers each. */
import type { AdmissionContext, AdmissionRequest, Rule, Verdict, Webhook } from "../../admission/webhook.ts";
import { allow } from "../../admission/webhook.ts";
import { label } from "../../api/names.ts";
import { guardDeletion, reviewDeletion } from "../../workload/deletion-protection.ts";
import { reviewDefinition } from "./custom-resources.ts";
import { reviewNamespace } from "./namespace.ts";

type Review = (request: AdmissionRequest, context: AdmissionContext) => Verdict | Promise<Verdict>;

/** Neither has anything that depends on it in a way that could be counted: only `Always` means something to them. */
const reviewAlways: Review = (request, context) => guardDeletion(request, context, () => undefined);

const isOn: Webhook["active"] = (settings) => settings.gates.enabled("ResourcesDeletionProtection");
const apps = (resource: string) => rule("apps", ["v1"], resource);

export const webhooks: readonly Webhook[] = [
  webhook("vbuiltindeployment.kb.io", "/validate-apps-deployment", apps("deployments"), reviewDeletion),
  webhook("vbuiltinreplicaset.kb.io", "/validate-apps-replicaset", apps("replicasets"), reviewDeletion),
  webhook("vbuiltinstatefulset.kb.io", "/validate-apps-statefulset", apps("statefulsets"), reviewDeletion),
  webhook(
    "vcustomresourcedefinition.kb.io",
    "/validate-customresourcedefinition",
    rule("apiextensions.k8s.io", ["v1", "v1beta1"], "customresourcedefinitions"),
    reviewDefinition,
  ),
  webhook("vnamespace.kb.io", "/validate-namespace", rule("", ["v1"], "namespaces"), reviewNamespace),
  { ...webhook("vservice.kb.io", "/validate-service", rule("", ["v1"], "services"), reviewAlways), active: isOn },
  {
    ...webhook("vingress.kb.io", "/validate-ingress", rule("networking.k8s.io", ["v1", "v1beta1"], "ingresses"), reviewAlways),
    active: isOn,
  },
];

function rule(group: string, versions: readonly string[], resource: string): Rule {
  return { operations: ["DELETE"], group, versions, resources: [resource] };
}

function webhook(name: string, path: string, of: Rule, review: Review): Webhook {
  return {
    name,
    type: "validating",
    path,
    rules: [of],
    // On a deletion the server looks at the object as it is: whoever has no such label is not ours to ask about.
    objectSelector: { matchExpressions: [{ key: label.deletionProtection, operator: "Exists" }] },
    // As OpenKruise's chart has it: a manager that is down holds up nobody, and what keeps the cluster itself running is left alone.
    chart: {
      failurePolicy: "Ignore",
      namespaceSelector: { matchExpressions: [{ key: label.namespaceName, operator: "NotIn", values: ["kube-system"] }] },
    },
    review: (request, context) => (request.operation !== "DELETE" || request.subResource !== undefined ? allow : review(request, context)),
  };
}
