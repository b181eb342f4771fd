/** Admission of SidecarSets: fill in, refuse, and say what an update cannot do in place. */
import * as v from "valibot";
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Verdict, type Webhook } from "../../admission/webhook.ts";
import { type SidecarSet, sidecarSetDefinition, sidecarSets } from "../../api/sidecarset.ts";
import { fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { isActive } from "../../kube/pod.ts";
import type { KubeObject } from "../../kube/types.ts";
import { aggregateText } from "../../kube/validate/field-error.ts";
import { recordOf } from "./annotations.ts";
import { defaultSidecarSet } from "./defaults.ts";
import { hashesOf } from "./hash.ts";
import { podsBySet } from "./observe.ts";
import { validateSidecarSet } from "./validate.ts";

const rules: Webhook["rules"] = [
  { operations: ["CREATE", "UPDATE"], group: sidecarSets.group, versions: ["v1alpha1", "v1beta1"], resources: [sidecarSets.plural] },
];

export const webhooks: readonly Webhook[] = [
  {
    name: "msidecarset.kb.io",
    type: "mutating",
    path: "/mutate-apps-kruise-io-sidecarset",
    aliases: ["/mutate-apps-kruise-io-v1alpha1-sidecarset"],
    rules,
    review: mutate,
  },
  {
    name: "vsidecarset.kb.io",
    type: "validating",
    path: "/validate-apps-kruise-io-sidecarset",
    aliases: ["/validate-apps-kruise-io-v1alpha1-sidecarset"],
    rules,
    review: validate,
  },
];

export function mutate(request: AdmissionRequest): Verdict {
  const problem = undecodable(request, request.object);
  return problem === undefined ? { allowed: true, object: defaultSidecarSet(request.object as KubeObject) } : deny(400, problem);
}

/** A refusal has the code 500, as OpenKruise answers. */
export async function validate(request: AdmissionRequest, context: Pick<AdmissionContext, "read" | "settings">): Promise<Verdict> {
  const problem = undecodable(request, request.object);
  if (problem !== undefined) return deny(400, problem);
  const set = storageVersion(request, request.object as KubeObject);
  const old = request.operation === "UPDATE" && isFields(request.oldObject) ? storageVersion(request, request.oldObject) : undefined;
  const errors = await validateSidecarSet(set, old, context);
  if (errors.length > 0) return deny(500, aggregateText(errors));
  const warnings = warningsFor(set, old, context);
  return warnings.length > 0 ? { ...allow, warnings } : allow;
}

/** Why nobody can read the object; undefined when it can be read. What is missing, or none of the words that are allowed, the server's own schema says (422). */
function undecodable(request: AdmissionRequest, object: unknown): string | undefined {
  const version = sidecarSetDefinition.versions.find(({ name }) => name === versionOf(request));
  if (version === undefined) return `unsupported version ${versionOf(request)} of sidecarsets: use v1beta1 or v1alpha1`;
  if (!isFields(object)) return "the request carries no SidecarSet";
  // The status is the server's: it drops what a user sends.
  const parsed = v.safeParse(version.schema, object["spec"] === undefined ? {} : { spec: object["spec"] });
  const issue = parsed.issues?.find(({ kind, type, input }) => {
    const missing = input === undefined || input === null;
    return kind === "schema" && !missing && !(type === "picklist" && typeof input === "string");
  });
  return issue && `${v.getDotPath(issue) ?? "spec"}: ${issue.message}`;
}

function versionOf({ resource, kind }: AdmissionRequest): string {
  return resource.version || kind.version;
}

function storageVersion(request: AdmissionRequest, object: KubeObject): SidecarSet {
  const convert = sidecarSetDefinition.conversion?.[versionOf(request)];
  const converted = convert === undefined ? object : convert.toStorage(object);
  const { spec } = converted as SidecarSet;
  return isFields(spec) ? (converted as SidecarSet) : ({ ...converted, spec: {} } as SidecarSet);
}

const updateTypes = ["", "RollingUpdate", "NotUpdate"];
const upgradeTypes = ["", "ColdUpgrade", "HotUpgrade"];
const patchPolicies = ["", "Retain", "Overwrite", "MergePatchJson"];

export function warningsFor(set: SidecarSet, old: SidecarSet | undefined, { read }: Pick<AdmissionContext, "read">): readonly string[] {
  const warnings: string[] = [];
  const type = textOf(set.spec.updateStrategy?.type);
  if (!updateTypes.includes(type)) warnings.push(`spec.updateStrategy.type: ${type} is not known and acts as RollingUpdate`);
  for (const field of ["initContainers", "containers"] as const) {
    for (const [index, container] of itemsOf(set.spec[field]).map(fieldsOf).entries()) {
      const upgradeType = textOf(fieldsOf(container["upgradeStrategy"])["upgradeType"]);
      if (!upgradeTypes.includes(upgradeType))
        warnings.push(`spec.${field}[${index}].upgradeStrategy.upgradeType: ${upgradeType} is not known and acts as ColdUpgrade`);
    }
  }
  for (const [index, patch] of itemsOf(set.spec.patchPodMetadata).map(fieldsOf).entries()) {
    const policy = textOf(patch["patchPolicy"]);
    if (!patchPolicies.includes(policy))
      warnings.push(`spec.patchPodMetadata[${index}].patchPolicy: ${policy} is not known, so nothing is patched`);
  }
  const stuck = old === undefined || type === "NotUpdate" ? 0 : podsToRecreate(set, old, read);
  if (stuck > 0) warnings.push(`this change is more than images, and cannot be made in place: needs recreate: ${stuck} pods`);
  return warnings;
}

/** Pods that were injected and differ from the new version in more than images. */
function podsToRecreate(set: SidecarSet, old: SidecarSet, read: AdmissionContext["read"]): number {
  const { withoutImage } = hashesOf(set.spec);
  if (withoutImage === hashesOf(old.spec).withoutImage) return 0;
  const { name } = set.metadata;
  return read.find(podsBySet, name).filter((pod) => isActive(pod) && recordOf(pod).withoutImage?.get(name)?.hash !== withoutImage).length;
}
