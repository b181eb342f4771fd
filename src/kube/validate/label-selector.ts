/** The syntax of label selectors. */

import { normaliseAs } from "../canonical/encode.ts";
import { type Fields, isAbsent } from "../json.ts";
import { type FieldError, FieldErrors } from "./field-error.ts";
import { checkLabels } from "./metadata.ts";
import { labelValueProblems, qualifiedNameProblems } from "./names.ts";
import { children, text, texts } from "./read.ts";
import { checkShape } from "./shape.ts";

export interface SelectorRules {
  /** Values that could never be a label's, kept for objects that have them already. */
  readonly allowInvalidValues?: boolean;
}

/** An absent selector is somebody else's question. */
export function validateLabelSelector(selector: unknown, path: string, rules: SelectorRules = {}): readonly FieldError[] {
  const errors = new FieldErrors();
  checkShape(errors, "LabelSelector", selector, path);
  if (!errors.any && !isAbsent(selector)) checkLabelSelector(errors, normaliseAs("LabelSelector", selector) as Fields, path, rules);
  return errors.list;
}

/** @param selector of the right shape, normalised */
export function checkLabelSelector(
  errors: FieldErrors,
  selector: Fields,
  path: string,
  { allowInvalidValues = false }: SelectorRules = {},
): void {
  checkLabels(errors, selector, "matchLabels", `${path}.matchLabels`);
  for (const [index, requirement] of children(selector, "matchExpressions").entries()) {
    const at = `${path}.matchExpressions[${index}]`;
    const values = texts(requirement, "values");
    checkOperator(errors, text(requirement, "operator"), values, at);
    const key = text(requirement, "key");
    errors.invalidAll(`${at}.key`, key, qualifiedNameProblems(key));
    if (allowInvalidValues) continue;
    for (const [valueIndex, value] of values.entries()) errors.invalidAll(`${at}.values[${valueIndex}]`, value, labelValueProblems(value));
  }
}

function checkOperator(errors: FieldErrors, operator: string, values: readonly string[], path: string): void {
  switch (operator) {
    case "In":
    case "NotIn":
      if (values.length === 0) errors.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
      break;
    case "Exists":
    case "DoesNotExist":
      if (values.length > 0) errors.forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      break;
    default:
      errors.invalid(`${path}.operator`, operator, "not a valid selector operator");
  }
}
