/** What admission refuses of priorityStrategy and scatterStrategy, wherever they stand. */
import { type Fields, fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import { isEmptySelector } from "../../kube/selector.ts";
import type { LabelSelector } from "../../kube/types.ts";
import type { FieldErrors } from "../../kube/validate/field-error.ts";
import { validateLabelSelector } from "../../kube/validate/label-selector.ts";

const weightMax = 100;

export function checkPriority(errors: FieldErrors, strategy: unknown, path: string): void {
  const priority: Fields = fieldsOf(strategy);
  const weights = itemsOf(priority["weightPriority"]).map(fieldsOf);
  const orders = itemsOf(priority["orderPriority"]).map(fieldsOf);
  if (weights.length > 0 && orders.length > 0) errors.required(path, "weightPriority and orderPriority cannot be used together");
  for (const { weight, matchSelector } of weights) {
    if (typeof weight !== "number" || weight < 0 || weight > weightMax) {
      errors.required(path, `weight must be a number in the range 0-${weightMax}`);
    } else if (isEmptySelector(fieldsOf(matchSelector) as LabelSelector)) errors.required(path, "matchSelector cannot be empty");
    else if (validateLabelSelector(matchSelector, path).length > 0) errors.required(path, "matchSelector is not a valid selector");
  }
  for (const { orderedKey } of orders) if (textOf(orderedKey) === "") errors.required(path, "orderedKey cannot be empty");
}

export function checkScatter(errors: FieldErrors, terms: unknown, path: string): void {
  const seen = new Set<string>();
  for (const { key, value } of itemsOf(terms).map(fieldsOf)) {
    if (textOf(key) === "") {
      errors.required(path, "key cannot be empty");
      continue;
    }
    const term = JSON.stringify([textOf(key), textOf(value)]);
    if (seen.has(term)) errors.required(path, `key ${textOf(key)} with value ${textOf(value)} occurs twice`);
    seen.add(term);
  }
}
