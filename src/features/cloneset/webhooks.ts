/** Admission of CloneSets: fill in, refuse, and guard against deletion. */

import { type AdmissionContext, type AdmissionRequest, allow, deny, type Verdict, type Webhook } from "../../admission/webhook.ts";
import { cloneSets } from "../../api/cloneset.ts";
import { type Fields, fieldsOf, isFields } from "../../kube/json.ts";
import { pods } from "../../kube/kinds.ts";
import { aggregateText } from "../../kube/validate/field-error.ts";
import { reviewDeletion } from "../../workload/deletion-protection.ts";
import { type CloneSetVersion, defaultCloneSet } from "./defaults.ts";
import { validateCreate, validateUpdate } from "./validate.ts";

const rules = (operations: Webhook["rules"][number]["operations"]): Webhook["rules"] => [
  { operations, group: cloneSets.group, versions: ["v1alpha1", "v1beta1"], resources: [cloneSets.plural] },
];

export const webhooks: readonly Webhook[] = [
  {
    name: "mcloneset.kb.io",
    type: "mutating",
    path: "/mutate-apps-kruise-io-cloneset",
    aliases: ["/mutate-apps-kruise-io-v1alpha1-cloneset"],
    rules: rules(["CREATE", "UPDATE"]),
    review: mutate,
  },
  {
    name: "vcloneset.kb.io",
    type: "validating",
    path: "/validate-apps-kruise-io-cloneset",
    aliases: ["/validate-apps-kruise-io-v1alpha1-cloneset"],
    rules: rules(["CREATE", "UPDATE", "DELETE"]),
    review: validate,
  },
];

export function mutate(request: AdmissionRequest, { settings }: Pick<AdmissionContext, "settings">): Verdict {
  const version = versionOf(request);
  if (version === undefined) return unknownVersion(request);
  if (!isFields(request.object)) return deny(400, "the request carries no CloneSet");
  const old = request.operation === "UPDATE" ? fieldsOf(request.oldObject) : undefined;
  return { allowed: true, object: defaultCloneSet(request.object, version, settings.gates, old) };
}

export function validate(request: AdmissionRequest, context: AdmissionContext): Verdict {
  if (request.operation === "DELETE") return reviewDeletion(request, context);
  const version = versionOf(request);
  if (version === undefined) return unknownVersion(request);
  if (!isFields(request.object)) return deny(400, "the request carries no CloneSet");
  const { read, settings } = context;
  const rulesContext = {
    version,
    gates: settings.gates,
    allowPrivileged: settings.allowPrivileged,
    podNamed: (name: string) => read.get(pods, { namespace: request.namespace, name }),
  };
  const object: Fields = request.object;
  const errors =
    request.operation === "UPDATE" && isFields(request.oldObject)
      ? validateUpdate(object, request.oldObject, rulesContext)
      : validateCreate(object, rulesContext);
  if (errors.length === 0) return allow;
  // A text where a list has to be is no rule that is broken: nobody can tell what is meant.
  return deny(errors.some(({ type }) => type === "TypeInvalid") ? 400 : 422, aggregateText(errors));
}

function versionOf({ resource, kind }: AdmissionRequest): CloneSetVersion | undefined {
  const version = resource.version || kind.version;
  return version === "v1alpha1" || version === "v1beta1" ? version : undefined;
}

function unknownVersion({ resource }: AdmissionRequest): Verdict {
  return deny(400, `unsupported version ${resource.version} of clonesets: use v1beta1 or v1alpha1`);
}
