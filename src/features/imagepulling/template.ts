/**
 * The part of the spec that ImagePullJob and ImageListPullJob share: what is filled in and what is refused. Written over any JSON, since
 * the mutating webhook comes before the schema's validation.
 */
import { deny, type Verdict } from "../../admission/webhook.ts";
import type { GateName } from "../../api/gates.ts";
import type { Settings } from "../../api/settings.ts";
import { deepEqual, type Fields, fieldsOf, isAbsent, isFields, itemsOf, textOf, withFields } from "../../kube/json.ts";
import type { FieldErrors } from "../../kube/validate/field-error.ts";
import { validateLabelSelector } from "../../kube/validate/label-selector.ts";

export const templateDefaults = {
  completionType: "Always",
  timeoutSeconds: 600,
  backoffLimit: 3,
  imagePullPolicy: "IfNotPresent",
} as const;

/** The spec with type, timeout and back-off limit; the same reference when it has them all. */
export function defaultTemplate(spec: Fields): Fields {
  return withFields(spec, { completionPolicy: completionOf(spec["completionPolicy"]), pullPolicy: pullPolicyOf(spec["pullPolicy"]) });
}

function completionOf(policy: unknown): unknown {
  if (!isFields(policy) && !isAbsent(policy)) return policy;
  const fields = fieldsOf(policy);
  return fields["type"] === undefined || fields["type"] === "" ? { ...fields, type: templateDefaults.completionType } : policy;
}

/** Also of a tag of a NodeImage. */
export function pullPolicyOf(policy: unknown): unknown {
  if (!isFields(policy) && !isAbsent(policy)) return policy;
  const { timeoutSeconds, backoffLimit } = fieldsOf(policy);
  if (!isAbsent(policy) && !isAbsent(timeoutSeconds) && !isAbsent(backoffLimit)) return policy;
  return {
    ...fieldsOf(policy),
    timeoutSeconds: timeoutSeconds ?? templateDefaults.timeoutSeconds,
    backoffLimit: backoffLimit ?? templateDefaults.backoffLimit,
  };
}

/** undefined: all gates are on. Else 403, for the first that is not. */
export function gateRefusal({ gates }: Pick<Settings, "gates">, ...needed: readonly GateName[]): Verdict | undefined {
  const missing = needed.find((gate) => !gates.enabled(gate));
  return missing === undefined ? undefined : deny(403, `feature-gate ${missing} is not enabled`);
}

export function checkTemplate(errors: FieldErrors, spec: Fields): void {
  checkSelectors(errors, spec);
  checkParallelism(errors, spec["parallelism"]);
  checkCompletion(errors, spec);
}

function checkSelectors(errors: FieldErrors, spec: Fields): void {
  const { selector, podSelector } = spec;
  if (!isAbsent(selector)) checkNodeSelector(errors, selector);
  if (isAbsent(podSelector)) return;
  if (!isAbsent(selector)) errors.forbidden("spec.podSelector", "may not be set together with spec.selector");
  errors.list.push(...validateLabelSelector(podSelector, "spec.podSelector"));
}

function checkNodeSelector(errors: FieldErrors, selector: unknown): void {
  const { names, matchLabels, matchExpressions } = fieldsOf(selector);
  if (!isAbsent(names) && !(isAbsent(matchLabels) && isAbsent(matchExpressions)))
    errors.forbidden("spec.selector.names", "may not be set together with matchLabels or matchExpressions");
  const labels = isFields(selector) ? { matchLabels, matchExpressions } : selector;
  errors.list.push(...validateLabelSelector(labels, "spec.selector"));
  const seen = new Set<unknown>();
  for (const [index, name] of itemsOf(names).entries()) {
    if (seen.has(name)) errors.duplicate(`spec.selector.names[${index}]`, name);
    seen.add(name);
  }
}

function checkParallelism(errors: FieldErrors, parallelism: unknown): void {
  if (isAbsent(parallelism) || parallelismOf(parallelism) !== undefined) return;
  const isPercentage = typeof parallelism === "string" && parallelism.endsWith("%");
  const detail = isPercentage ? "must be a number of nodes, not a percentage" : "must be an integer greater than or equal to 0";
  errors.invalid("spec.parallelism", parallelism, detail);
}

/** How many nodes at once; undefined: not readable. Absent is 1. */
export function parallelismOf(parallelism: unknown): number | undefined {
  if (isAbsent(parallelism)) return 1;
  const count = typeof parallelism === "string" && /^\+?\d{1,10}$/.test(parallelism) ? Number(parallelism) : parallelism;
  return typeof count === "number" && Number.isInteger(count) && count >= 0 ? count : undefined;
}

function checkCompletion(errors: FieldErrors, spec: Fields): void {
  const policy = fieldsOf(spec["completionPolicy"]);
  const type = textOf(policy["type"]);
  const deadline = policy["activeDeadlineSeconds"];
  switch (type) {
    case "Always":
      if (typeof deadline === "number" && timeoutOf(spec) > deadline)
        errors.invalid(
          "spec.completionPolicy.activeDeadlineSeconds",
          deadline,
          `must be greater than or equal to spec.pullPolicy.timeoutSeconds (${timeoutOf(spec)})`,
        );
      break;
    case "Never":
      for (const field of ["activeDeadlineSeconds", "ttlSecondsAfterFinished"])
        if (!isAbsent(policy[field])) errors.forbidden(`spec.completionPolicy.${field}`, "may only be set when type is Always");
      break;
    default:
      errors.notSupported("spec.completionPolicy.type", type, ["Always", "Never"]);
  }
}

function timeoutOf(spec: Fields): number {
  const timeout = fieldsOf(spec["pullPolicy"])["timeoutSeconds"];
  return typeof timeout === "number" ? timeout : templateDefaults.timeoutSeconds;
}

/** Absent and empty lists mean the same. */
export function samePullSecrets(a: unknown, b: unknown): boolean {
  return deepEqual(itemsOf(a), itemsOf(b));
}
