/** What the rules of several kinds share. */
import { deepEqual, type Fields, fieldsOf, isAbsent, withFields } from "../../../kube/json.ts";
import { selectorMatches } from "../../../kube/selector.ts";
import type { LabelSelector } from "../../../kube/types.ts";
import { type FieldError, FieldErrors } from "../../../kube/validate/field-error.ts";
import { validateLabelSelector } from "../../../kube/validate/label-selector.ts";
import { strictRules, validatePodTemplate } from "../../../kube/validate/pod.ts";
import type { Stored } from "../../storage/store.ts";
import type { Rules } from "../resource.ts";

export const specOf = (object: Stored): Fields => fieldsOf(object["spec"]);
export const statusOf = (object: Stored): Fields => fieldsOf(object["status"]);

/** Changes the spec; the same object when nothing changed. */
export function withSpec(object: Stored, change: (spec: Fields) => Fields): Stored {
  const before = specOf(object);
  const after = change(before);
  return after === before && object["spec"] !== undefined ? object : (withFields(object, { spec: after }) as Stored);
}

export function withMeta(object: Stored, changes: Fields): Stored {
  return withFields(object, { metadata: withFields(object.metadata, changes) }) as Stored;
}

/** Kinds whose status is somebody else's: new ones start with an empty one, and updates leave it alone. */
export const keptStatus: Pick<Rules, "prepareCreate" | "prepareUpdate" | "prepareStatus"> = {
  prepareCreate: (object) => withFields(object, { status: {} }) as Stored,
  prepareUpdate: (object, old) => withFields(object, { status: old["status"] }) as Stored,
  prepareStatus: (object, old) => withFields(object, { spec: old["spec"] }) as Stored,
};

/** metadata.generation counts changes of the spec. */
export const specGeneration: Pick<Rules, "generation"> = { generation: (object) => object["spec"] };

export function immutable(errors: FieldErrors, value: unknown, old: unknown, path: string): void {
  if (!deepEqual(isAbsent(value) ? null : value, isAbsent(old) ? null : old)) errors.invalid(path, value ?? null, "field is immutable");
}

export function checkNonNegative(errors: FieldErrors, spec: Fields, fields: readonly string[], path = "spec"): void {
  for (const field of fields) {
    const value = spec[field];
    if (typeof value === "number" && value < 0) errors.invalid(`${path}.${field}`, value, "must be greater than or equal to 0");
  }
}

/** The selector of a workload: there, not empty, and matching its own template. */
export function checkWorkload(errors: FieldErrors, spec: Fields, what: string): void {
  const { selector, template } = spec;
  if (isAbsent(selector)) errors.required("spec.selector");
  else {
    errors.list.push(...validateLabelSelector(selector, "spec.selector"));
    const chosen = fieldsOf(selector);
    if (Object.keys(fieldsOf(chosen["matchLabels"])).length === 0 && isAbsent(chosen["matchExpressions"]))
      errors.invalid("spec.selector", selector, `empty selector is invalid for ${what}`);
    else {
      const labels = fieldsOf(fieldsOf(template)["metadata"])["labels"] as Record<string, string> | undefined;
      if (!selectorMatches(selector as LabelSelector, labels))
        errors.invalid("spec.template.metadata.labels", labels ?? null, "`selector` does not match template `labels`");
    }
  }
  errors.list.push(...templateErrors(template));
}

/** @param policies restart policies that the workload may have */
export function checkRestartPolicy(errors: FieldErrors, spec: Fields, policies: readonly string[]): void {
  const policy = fieldsOf(fieldsOf(spec["template"])["spec"])["restartPolicy"];
  if (typeof policy === "string" && !policies.includes(policy)) errors.notSupported("spec.template.spec.restartPolicy", policy, policies);
}

export function templateErrors(template: unknown): readonly FieldError[] {
  return validatePodTemplate(template ?? {}, "spec.template", strictRules);
}

export function collect(check: (errors: FieldErrors) => void): readonly FieldError[] {
  const errors = new FieldErrors();
  check(errors);
  return errors.list;
}
