/** The rules of updateStrategy; they hold only for RollingUpdate, as its fields mean nothing otherwise. */
import { intOrPercentProblem } from "../../kube/int-or-percent.ts";
import { fieldsOf, isAbsent, isFields } from "../../kube/json.ts";
import { isEmptySelector } from "../../kube/selector.ts";
import type { LabelSelector } from "../../kube/types.ts";
import type { FieldErrors } from "../../kube/validate/field-error.ts";
import { validateLabelSelector } from "../../kube/validate/label-selector.ts";
import { checkPriority, checkScatter } from "../../workload/order/validate.ts";

export function checkUpdateStrategy(errors: FieldErrors, value: unknown): void {
  const strategy = fieldsOf(value);
  const path = "spec.updateStrategy";
  if (strategy["type"] !== "RollingUpdate") return;
  const { partition, selector } = strategy;
  if (!isAbsent(selector)) {
    if (typeof partition === "string" || (typeof partition === "number" && partition !== 0)) {
      errors.invalid(path, strategy, "partition and selector cannot be used together: both say which pods keep their version");
    }
    checkSelector(errors, selector, `${path}.selector`);
  }
  for (const field of ["partition", "maxUnavailable"]) {
    const problem = isAbsent(strategy[field]) ? undefined : intOrPercentProblem(strategy[field]);
    if (problem !== undefined) errors.invalid(`${path}.${field}`, strategy[field], problem);
  }
  checkPriority(errors, strategy["priorityStrategy"], `${path}.priorityStrategy`);
  checkScatter(errors, strategy["scatterStrategy"], `${path}.scatterStrategy`);
}

export function checkSelector(errors: FieldErrors, selector: unknown, path: string): void {
  errors.list.push(...validateLabelSelector(selector, path));
  if (isFields(selector) && isEmptySelector(selector as LabelSelector))
    errors.invalid(path, selector, "an empty selector is not allowed: it would select everything");
}
