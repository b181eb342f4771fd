/** What admission refuses of a budget, in the shape of v1beta1 whatever version it came in. */
import { int32Of } from "../../api/conversion.ts";
import { annotation } from "../../api/names.ts";
import type { PodUnavailableBudget } from "../../api/podunavailablebudget.ts";
import { protectedOperations } from "../../api/podunavailablebudget-conversion.ts";
import { intOrPercentProblem } from "../../kube/int-or-percent.ts";
import { deepEqual, type Fields, fieldsOf, getOwn, isAbsent, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { isEmptySelector } from "../../kube/selector.ts";
import { selectorsLooselyOverlap } from "../../kube/selector-overlap.ts";
import type { LabelSelector } from "../../kube/types.ts";
import { type FieldError, FieldErrors } from "../../kube/validate/field-error.ts";
import { validateLabelSelector } from "../../kube/validate/label-selector.ts";
import { type Belonging, type Budget, isSame } from "./covers.ts";

/** @param others the budgets of the namespace; the one in question may be among them */
export function validateBudget(object: Fields, old: Fields | undefined, others: readonly Budget[]): readonly FieldError[] {
  const errors = new FieldErrors();
  const spec = fieldsOf(object["spec"]);
  checkTotalReplicas(errors, object, spec);
  checkWhose(errors, spec);
  checkAmount(errors, spec);
  for (const [index, operation] of itemsOf(spec["protectOperations"]).entries()) {
    if ((protectedOperations as readonly unknown[]).includes(operation)) continue;
    errors.notSupported(`spec.protectOperations[${index}]`, operation, protectedOperations);
  }
  if (!isAbsent(spec["ignoredPodSelector"])) checkSelector(errors, spec["ignoredPodSelector"], "spec.ignoredPodSelector");
  if (old !== undefined) checkImmutable(errors, spec, fieldsOf(old["spec"]));
  checkOthers(errors, object, spec, others);
  return errors.list;
}

function checkTotalReplicas(errors: FieldErrors, object: Fields, spec: Fields): void {
  const annotations = fieldsOf(fieldsOf(object["metadata"])["annotations"]);
  const key = annotation.pubProtectTotalReplicas;
  const text = getOwn(annotations, key);
  if (text === undefined) return;
  const total = int32Of(textOf(text));
  const field = spec["protectTotalReplicas"];
  if (total === undefined) errors.invalid(`metadata.annotations[${key}]`, text, "must be a whole number");
  else if (!isAbsent(field) && String(field) !== text)
    errors.invalid(`metadata.annotations[${key}]`, text, `contradicts spec.protectTotalReplicas ${String(field)}: remove the annotation`);
}

const whose = "spec.selector, targetRef";

function checkWhose(errors: FieldErrors, spec: Fields): void {
  const { selector, targetRef } = spec;
  if (isAbsent(selector) && isAbsent(targetRef)) errors.required(whose, "one of selector and targetRef says which pods are protected");
  if (!isAbsent(selector) && !isAbsent(targetRef)) errors.required(whose, "only one of selector and targetRef may be set");
  if (!isAbsent(targetRef)) checkTarget(errors, targetRef);
  if (!isAbsent(selector)) checkSelector(errors, selector, "spec.selector");
}

function checkTarget(errors: FieldErrors, target: unknown): void {
  const { apiVersion, kind, name } = fieldsOf(target);
  if ([apiVersion, kind, name].some((field) => textOf(field) === "")) {
    errors.invalid("spec.targetRef", target, "apiVersion, kind and name must not be empty");
  }
  if (textOf(apiVersion).split("/").length > 2) errors.invalid("spec.targetRef", target, "apiVersion must be VERSION or GROUP/VERSION");
}

function checkSelector(errors: FieldErrors, selector: unknown, path: string): void {
  errors.list.push(...validateLabelSelector(selector, path));
  if (isEmptySelector(selector as LabelSelector))
    errors.invalid(path, selector, "must not be empty: it would select every pod of the namespace");
}

function checkAmount(errors: FieldErrors, spec: Fields): void {
  const path = "spec.maxUnavailable, minAvailable";
  const { maxUnavailable, minAvailable } = spec;
  if (isAbsent(maxUnavailable) === isAbsent(minAvailable)) {
    const detail = isAbsent(maxUnavailable)
      ? "one of maxUnavailable and minAvailable must be set"
      : "only one of maxUnavailable and minAvailable may be set";
    errors.required(path, detail);
    return;
  }
  const [field, value] = isAbsent(minAvailable) ? ["spec.maxUnavailable", maxUnavailable] : ["spec.minAvailable", minAvailable];
  const problem = intOrPercentProblem(value);
  if (problem !== undefined) errors.invalid(field as string, value, problem);
  else if (typeof value === "string" && Number(value.slice(0, -1)) > 100)
    errors.invalid(field as string, value, "must not be greater than 100%");
}

function checkImmutable(errors: FieldErrors, spec: Fields, before: Fields): void {
  const same = (field: string) => (isAbsent(spec[field]) && isAbsent(before[field])) || deepEqual(spec[field], before[field]);
  if (!same("selector") || !same("targetRef"))
    errors.required(whose, "selector and targetRef cannot be changed: create a budget of another name");
}

/** The first conflict only: who has resolved it meets the next. */
function checkOthers(errors: FieldErrors, object: Fields, spec: Fields, others: readonly Budget[]): void {
  const { namespace, name } = fieldsOf(object["metadata"]);
  for (const other of others) {
    if (other.metadata.name === name || other.metadata.namespace !== namespace) continue;
    const theirs: Partial<PodUnavailableBudget["spec"]> = other.spec ?? {};
    if (isFields(spec["targetRef"]) && theirs.targetRef && isSame(spec["targetRef"] as unknown as Belonging, theirs.targetRef)) {
      errors.invalid("spec.targetReference", spec["targetRef"], `is protected by podunavailablebudget ${other.metadata.name} already`);
      return;
    }
    if (isFields(spec["selector"]) && theirs.selector && selectorsLooselyOverlap(spec["selector"] as LabelSelector, theirs.selector)) {
      errors.invalid("spec.selector", spec["selector"], `overlaps with the selector of podunavailablebudget ${other.metadata.name}`);
      return;
    }
  }
}
