/** Where a pod may run: affinity, tolerations, spreading. */
import type { Fields } from "../json.ts";
import type { FieldErrors } from "./field-error.ts";
import { checkLabelSelector } from "./label-selector.ts";
import { labelProblems, labelValueProblems, qualifiedNameProblems, subdomainProblems } from "./names.ts";
import { child, children, integer, optionalInteger, optionalText, text, texts } from "./read.ts";

export interface SchedulingRules {
  /** Label values that no label can have, in selectors. */
  readonly allowInvalidLabelValues: boolean;
  /** Selectors of spread constraints are not looked at. */
  readonly allowInvalidSpreadSelectors: boolean;
}

function checkNodeRequirement(errors: FieldErrors, requirement: Fields, allowInvalidValues: boolean, path: string): void {
  const operator = text(requirement, "operator");
  const values = texts(requirement, "values");
  const key = text(requirement, "key");
  switch (operator) {
    case "In":
    case "NotIn":
      if (values.length === 0) errors.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
      break;
    case "Exists":
    case "DoesNotExist":
      if (values.length > 0) errors.forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      break;
    case "Gt":
    case "Lt":
      if (values.length !== 1) errors.required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'");
      break;
    default:
      errors.invalid(`${path}.operator`, operator, "not a valid selector operator");
  }
  errors.invalidAll(`${path}.key`, key, qualifiedNameProblems(key));
  if (!allowInvalidValues)
    for (const [index, value] of values.entries()) errors.invalidAll(`${path}.values[${index}]`, value, labelValueProblems(value));
}

function checkNodeField(errors: FieldErrors, requirement: Fields, path: string): void {
  const operator = text(requirement, "operator");
  const values = texts(requirement, "values");
  if (operator !== "In" && operator !== "NotIn") errors.invalid(`${path}.operator`, operator, "not a valid selector operator");
  else if (values.length !== 1)
    errors.required(`${path}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
  if (text(requirement, "key") !== "metadata.name")
    errors.invalid(`${path}.key`, text(requirement, "key"), "not a valid field selector key");
  else for (const [index, value] of values.entries()) errors.invalidAll(`${path}.values[${index}]`, value, subdomainProblems(value));
}

/** @param term of the right shape, normalised */
export function checkNodeSelectorTerm(errors: FieldErrors, term: Fields, allowInvalidValues: boolean, path: string): void {
  for (const [index, requirement] of children(term, "matchExpressions").entries())
    checkNodeRequirement(errors, requirement, allowInvalidValues, `${path}.matchExpressions[${index}]`);
  for (const [index, requirement] of children(term, "matchFields").entries())
    checkNodeField(errors, requirement, `${path}.matchFields[${index}]`);
}

function checkWeight(errors: FieldErrors, term: Fields, path: string): void {
  const weight = integer(term, "weight");
  if (weight <= 0 || weight > 100) errors.invalid(`${path}.weight`, weight, "must be in the range 1-100");
}

function checkNodeAffinity(errors: FieldErrors, affinity: Fields, path: string): void {
  const required = child(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
  if (required !== undefined) {
    const at = `${path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
    const terms = children(required, "nodeSelectorTerms");
    if (terms.length === 0) errors.required(at, "must have at least one node selector term");
    for (const [index, term] of terms.entries()) checkNodeSelectorTerm(errors, term, false, `${at}[${index}]`);
  }
  for (const [index, term] of children(affinity, "preferredDuringSchedulingIgnoredDuringExecution").entries()) {
    const at = `${path}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
    checkWeight(errors, term, at);
    checkNodeSelectorTerm(errors, child(term, "preference") ?? {}, true, `${at}.preference`);
  }
}

/** Keys whose values come from the pod itself. */
function checkLabelKeys(errors: FieldErrors, owner: Fields, path: string): void {
  const selector = child(owner, "labelSelector");
  const match = texts(owner, "matchLabelKeys");
  const mismatch = texts(owner, "mismatchLabelKeys");
  for (const [field, keys] of [
    ["matchLabelKeys", match],
    ["mismatchLabelKeys", mismatch],
  ] as const) {
    if (keys.length > 0 && selector === undefined)
      errors.forbidden(`${path}.${field}`, "must not be specified when labelSelector is not set");
    else for (const [index, key] of keys.entries()) errors.invalidAll(`${path}.${field}[${index}]`, key, qualifiedNameProblems(key));
  }
  if (selector !== undefined) {
    // The server adds its own expression for each of these keys: only a second one was written by hand.
    const seen = new Set(Object.keys(child(selector, "matchLabels") ?? {}));
    for (const expression of children(selector, "matchExpressions")) {
      const key = text(expression, "key");
      if (match.includes(key) && seen.has(key))
        errors.invalid(`${path}[${match.indexOf(key)}]`, key, "exists in both matchLabelKeys and labelSelector");
      seen.add(key);
    }
  }
  for (const [index, key] of match.entries())
    if (mismatch.includes(key))
      errors.invalid(`${path}.matchLabelKeys[${index}]`, key, "exists in both matchLabelKeys and mismatchLabelKeys");
}

function checkPodTerm(errors: FieldErrors, term: Fields, rules: SchedulingRules, path: string): void {
  for (const field of ["labelSelector", "namespaceSelector"]) {
    const selector = child(term, field);
    if (selector !== undefined)
      checkLabelSelector(errors, selector, `${path}.${field}`, { allowInvalidValues: rules.allowInvalidLabelValues });
  }
  for (const namespace of texts(term, "namespaces")) errors.invalidAll(`${path}.namespace`, namespace, labelProblems(namespace));
  checkLabelKeys(errors, term, path);
  const key = text(term, "topologyKey");
  if (key === "") errors.required(`${path}.topologyKey`, "can not be empty");
  errors.invalidAll(`${path}.topologyKey`, key, qualifiedNameProblems(key));
}

function checkPodAffinity(errors: FieldErrors, affinity: Fields, rules: SchedulingRules, path: string): void {
  for (const [index, term] of children(affinity, "requiredDuringSchedulingIgnoredDuringExecution").entries())
    checkPodTerm(errors, term, rules, `${path}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`);
  for (const [index, term] of children(affinity, "preferredDuringSchedulingIgnoredDuringExecution").entries()) {
    const at = `${path}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
    checkWeight(errors, term, at);
    checkPodTerm(errors, child(term, "podAffinityTerm") ?? {}, rules, `${at}.podAffinityTerm`);
  }
}

export function checkAffinity(errors: FieldErrors, spec: Fields, rules: SchedulingRules, path: string): void {
  const affinity = child(spec, "affinity");
  if (affinity === undefined) return;
  const node = child(affinity, "nodeAffinity");
  if (node !== undefined) checkNodeAffinity(errors, node, `${path}.nodeAffinity`);
  for (const field of ["podAffinity", "podAntiAffinity"]) {
    const pod = child(affinity, field);
    if (pod !== undefined) checkPodAffinity(errors, pod, rules, `${path}.${field}`);
  }
}

const taintEffects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

export function checkTolerations(errors: FieldErrors, owner: Fields, path: string): void {
  for (const [index, toleration] of children(owner, "tolerations").entries()) {
    const at = `${path}[${index}]`;
    const key = text(toleration, "key");
    const operator = text(toleration, "operator");
    const value = text(toleration, "value");
    const effect = text(toleration, "effect");
    if (key !== "") errors.invalidAll(`${at}.key`, key, qualifiedNameProblems(key));
    else if (operator !== "Exists")
      errors.invalid(
        `${at}.operator`,
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      );
    if (optionalInteger(toleration, "tolerationSeconds") !== undefined && effect !== "NoExecute")
      errors.invalid(`${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (operator === "Exists") {
      if (value !== "") errors.invalid(`${at}.operator`, value, "value must be empty when `operator` is 'Exists'");
    } else if (operator === "" || operator === "Equal") {
      const problems = labelValueProblems(value);
      if (problems.length > 0) errors.invalid(`${at}.operator`, value, problems.join(";"));
    } else errors.notSupported(`${at}.operator`, operator, ["Equal", "Exists"]);
    if (effect !== "" && !taintEffects.includes(effect)) errors.notSupported(`${at}.effect`, effect, taintEffects);
  }
}

const actions = ["DoNotSchedule", "ScheduleAnyway"];
const inclusionPolicies = ["Honor", "Ignore"];

export function checkSpread(errors: FieldErrors, spec: Fields, rules: SchedulingRules, path: string): void {
  const constraints = children(spec, "topologySpreadConstraints");
  for (const [index, constraint] of constraints.entries()) {
    const at = `${path}[${index}]`;
    const key = text(constraint, "topologyKey");
    const action = text(constraint, "whenUnsatisfiable");
    if (integer(constraint, "maxSkew") <= 0) errors.invalid(`${at}.maxSkew`, integer(constraint, "maxSkew"), "must be greater than zero");
    if (key === "") errors.required(`${at}.topologyKey`, "can not be empty");
    if (!actions.includes(action)) errors.notSupported(`${at}.whenUnsatisfiable`, action, actions);
    const later = constraints.slice(index + 1);
    if (later.some((other) => text(other, "topologyKey") === key && text(other, "whenUnsatisfiable") === action))
      errors.duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, `{${key}, ${action}}`);
    checkMinDomains(errors, constraint, action, `${at}.minDomains`);
    for (const field of ["nodeAffinityPolicy", "nodeTaintsPolicy"]) {
      const policy = optionalText(constraint, field);
      if (policy !== undefined && !inclusionPolicies.includes(policy)) errors.notSupported(`${at}.${field}`, policy, inclusionPolicies);
    }
    checkLabelKeys(errors, constraint, at);
    const selector = child(constraint, "labelSelector");
    if (selector !== undefined && !rules.allowInvalidSpreadSelectors) checkLabelSelector(errors, selector, `${at}.labelSelector`);
  }
}

function checkMinDomains(errors: FieldErrors, constraint: Fields, action: string, path: string): void {
  const domains = optionalInteger(constraint, "minDomains");
  if (domains === undefined) return;
  if (domains <= 0) errors.invalid(path, domains, "must be greater than zero");
  if (action !== "DoNotSchedule")
    errors.invalid(path, domains, `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`);
}
