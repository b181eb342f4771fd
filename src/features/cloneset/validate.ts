/**
 * What admission refuses, in both versions, in Kubernetes' words. Both versions have one set of rules over one set of fields; only where
 * these fields stand differs.
 */
import type { Gates } from "../../api/gates.ts";
import { intOrPercentProblem } from "../../kube/int-or-percent.ts";
import { deepEqual, type Fields, fieldsOf, isAbsent, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { compileSelector, isEmptySelector } from "../../kube/selector.ts";
import type { LabelSelector, Pod } from "../../kube/types.ts";
import { childPath, type FieldError, FieldErrors } from "../../kube/validate/field-error.ts";
import { validateLabelSelector } from "../../kube/validate/label-selector.ts";
import { validateMetadata, validateMetadataUpdate } from "../../kube/validate/metadata.ts";
import { validatePodTemplate, workloadRules } from "../../kube/validate/pod.ts";
import { canUpdateInPlace } from "../../workload/inplace/index.ts";
import type { CloneSetVersion } from "./defaults.ts";
import { noDeadlineSeconds } from "./strategy.ts";
import { checkUpdateStrategy, updateStrategyView } from "./validate-strategy.ts";

export interface ValidationContext {
  readonly version: CloneSetVersion;
  readonly gates: Gates;
  readonly allowPrivileged: boolean;
  /** The pod of that name in the CloneSet's namespace. */
  podNamed(name: string): Readonly<Pod> | undefined;
}

export function validateCreate(object: Fields, context: ValidationContext): readonly FieldError[] {
  return [...validateMetadata(object["metadata"], { namespaced: true }), ...validateSpec(object, undefined, context)];
}

export function validateUpdate(object: Fields, old: Fields, context: ValidationContext): readonly FieldError[] {
  const errors = new FieldErrors();
  errors.list.push(...validateMetadataUpdate(object["metadata"], old["metadata"]));
  const spec = fieldsOf(object["spec"]);
  const oldSpec = fieldsOf(old["spec"]);
  if (!deepEqual(spec["selector"], oldSpec["selector"])) {
    errors.forbidden("spec", "spec.selector cannot be changed: create a CloneSet of another name for other pods");
  }
  checkInPlaceOnly(errors, spec, oldSpec, context);
  return [...errors.list, ...validateSpec(object, old, context)];
}

/** With InPlaceOnly every change of the template must be one that pods can take in place. */
function checkInPlaceOnly(errors: FieldErrors, spec: Fields, oldSpec: Fields, { version, gates }: ValidationContext): void {
  if (updateStrategyView(spec, version).policy !== "InPlaceOnly") return;
  const asRevision = (template: unknown) => ({
    metadata: { name: "", uid: "", resourceVersion: "", creationTimestamp: "" },
    data: { spec: { template } },
    revision: 0,
  });
  if (!isFields(spec["template"]) || !isFields(oldSpec["template"])) return;
  const [before, after] = [asRevision(oldSpec["template"]), asRevision(spec["template"])];
  if (canUpdateInPlace(before, after, { gates, ignoreClaimTemplates: true })) return;
  const also = gates.enabled("InPlaceWorkloadVerticalScaling") ? " and their cpu and memory" : "";
  errors.forbidden("spec", `with InPlaceOnly only container images${also} may change in spec.template.spec`);
}

function validateSpec(object: Fields, old: Fields | undefined, context: ValidationContext): readonly FieldError[] {
  const errors = new FieldErrors();
  if (!isFields(object["spec"])) {
    errors.required("spec");
    return errors.list;
  }
  const spec = object["spec"];
  checkCount(errors, spec["replicas"], "spec.replicas");
  checkCount(errors, spec["minReadySeconds"], "spec.minReadySeconds");
  checkCount(errors, spec["revisionHistoryLimit"], "spec.revisionHistoryLimit");
  checkSelector(errors, spec);
  checkTemplate(errors, spec, context);
  checkScaleStrategy(errors, object, old, context);
  checkUpdateStrategy(errors, spec, context.version);
  checkProgressDeadline(errors, spec);
  return errors.list;
}

function checkCount(errors: FieldErrors, value: unknown, path: string): void {
  if (isAbsent(value)) return;
  if (!Number.isSafeInteger(value)) errors.wrongType(path, value, "an integer");
  else if ((value as number) < 0) errors.invalid(path, value, "must be greater than or equal to 0");
}

function checkSelector(errors: FieldErrors, spec: Fields): void {
  const selector = spec["selector"];
  if (isAbsent(selector)) {
    errors.required("spec.selector");
    return;
  }
  const found = validateLabelSelector(selector, "spec.selector");
  errors.list.push(...found);
  if (found.length > 0) return;
  if (isEmptySelector(selector as LabelSelector)) {
    errors.invalid("spec.selector", selector, "empty selector is invalid for cloneset: it would select every pod of the namespace");
    return;
  }
  if (!isFields(spec["template"])) return;
  const labels = fieldsOf(fieldsOf(spec["template"]["metadata"])["labels"]);
  const compiled = compileSelector(selector as LabelSelector);
  if (compiled.ok && !compiled.matcher.matches(labels as Record<string, string>)) {
    errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
  }
}

function checkTemplate(errors: FieldErrors, spec: Fields, { allowPrivileged }: ValidationContext): void {
  const path = "spec.template";
  const template = spec["template"];
  if (!isFields(template)) {
    if (isAbsent(template)) errors.required(path);
    else errors.wrongType(path, template, "an object");
    return;
  }
  const claimNames = itemsOf(spec["volumeClaimTemplates"]).map((claim) => textOf(fieldsOf(fieldsOf(claim)["metadata"])["name"]));
  errors.list.push(...validatePodTemplate(template, path, { ...workloadRules, claimNames }));
  const podSpec = fieldsOf(template["spec"]);
  if (!allowPrivileged) checkPrivileged(errors, podSpec, `${path}.spec`);
  const restartPolicy = textOf(podSpec["restartPolicy"]);
  if (restartPolicy !== "" && restartPolicy !== "Always") errors.notSupported(`${path}.spec.restartPolicy`, restartPolicy, ["Always"]);
  if (!isAbsent(podSpec["activeDeadlineSeconds"])) {
    errors.forbidden(
      `${path}.spec.activeDeadlineSeconds`,
      "activeDeadlineSeconds in CloneSet is not supported: its pods run until they are deleted",
    );
  }
}

function checkPrivileged(errors: FieldErrors, podSpec: Fields, path: string): void {
  for (const list of ["initContainers", "containers", "ephemeralContainers"]) {
    for (const [index, container] of itemsOf(podSpec[list]).entries()) {
      if (fieldsOf(fieldsOf(container)["securityContext"])["privileged"] !== true) continue;
      errors.forbidden(`${path}.${list}[${index}].securityContext.privileged`, "disallowed by cluster policy (--allow-privileged=false)");
    }
  }
}

function checkScaleStrategy(errors: FieldErrors, object: Fields, old: Fields | undefined, context: ValidationContext): void {
  const scale = fieldsOf(fieldsOf(object["spec"])["scaleStrategy"]);
  const path = "spec.scaleStrategy";
  if (!isAbsent(scale["maxUnavailable"])) {
    const problem = intOrPercentProblem(scale["maxUnavailable"], { decimals: true });
    if (problem !== undefined) errors.invalid(`${path}.maxUnavailable`, scale["maxUnavailable"], problem);
  }
  const names = itemsOf(scale["podsToDelete"]).map(textOf);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) errors.invalid(`${path}.podsToDelete`, names, `duplicated pod name ${repeated}`);
  if (context.version !== "v1alpha1") return;
  const listedBefore = new Set(itemsOf(fieldsOf(fieldsOf(fieldsOf(old)["spec"])["scaleStrategy"])["podsToDelete"]).map(textOf));
  const uid = textOf(fieldsOf(object["metadata"])["uid"]);
  for (const name of names) {
    if (listedBefore.has(name)) continue;
    const problem = podProblem(context.podNamed(name), uid);
    if (problem !== undefined) errors.invalid(`${path}.podsToDelete`, name, problem);
  }
}

function podProblem(pod: Readonly<Pod> | undefined, cloneSetUid: string): string | undefined {
  if (pod === undefined) return "there is no pod of that name";
  if (pod.metadata.deletionTimestamp !== undefined) return "the pod is being deleted already";
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true);
  return owner === undefined || owner.uid !== cloneSetUid ? "the pod does not belong to this CloneSet" : undefined;
}

function checkProgressDeadline(errors: FieldErrors, spec: Fields): void {
  const path = childPath("spec", "progressDeadlineSeconds");
  const deadline = spec["progressDeadlineSeconds"];
  checkCount(errors, deadline, path);
  if (typeof deadline !== "number" || deadline < 0 || deadline === noDeadlineSeconds) return;
  const minReady = typeof spec["minReadySeconds"] === "number" ? spec["minReadySeconds"] : 0;
  if (deadline <= minReady) errors.invalid(path, deadline, `must be greater than minReadySeconds (${minReady})`);
}
