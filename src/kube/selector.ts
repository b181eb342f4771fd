/** Label selectors: matching, and the text form that scale subresources and kubectl use. Syntax of keys and values is validate/'s question. */
import { fieldsOf, isAbsent, isFields, itemsOf, sortedKeys, textOf } from "./json.ts";
import type { LabelSelector } from "./types.ts";

export type Labels = Readonly<Record<string, string>>;
export type SelectorOperator = "In" | "NotIn" | "Exists" | "DoesNotExist";

export interface Requirement {
  readonly key: string;
  readonly operator: SelectorOperator;
  readonly values: readonly string[];
  /** From matchLabels: printed as `key=value`. */
  readonly equals?: boolean;
}

export interface Matcher {
  /** undefined: nothing matches. Empty: everything does. */
  readonly requirements: readonly Requirement[] | undefined;
  matches(labels: Labels | undefined): boolean;
}

/** A selector that cannot be used, and why. */
export type Compiled = { readonly ok: true; readonly matcher: Matcher } | { readonly ok: false; readonly problem: string };

const operators: ReadonlySet<string> = new Set<SelectorOperator>(["In", "NotIn", "Exists", "DoesNotExist"]);

export const matchNothing: Matcher = { requirements: undefined, matches: () => false };
export const matchEverything: Matcher = { requirements: [], matches: () => true };

/**
 * @param selector absent matches nothing, an empty one matches everything
 * @returns not ok for an unknown operator
 */
export function compileSelector(selector: LabelSelector | null | undefined): Compiled {
  if (isAbsent(selector)) return { ok: true, matcher: matchNothing };
  if (!isFields(selector)) return { ok: false, problem: "a label selector must be an object" };
  const requirements: Requirement[] = [];
  const labels = fieldsOf(selector["matchLabels"]);
  for (const key of sortedKeys(labels)) requirements.push({ key, operator: "In", values: [textOf(labels[key])], equals: true });
  for (const expression of itemsOf(selector["matchExpressions"])) {
    const { key, operator, values } = fieldsOf(expression);
    if (typeof operator !== "string" || !operators.has(operator))
      return { ok: false, problem: `"${String(operator ?? "")}" is not a valid label selector operator` };
    requirements.push({ key: textOf(key), operator: operator as SelectorOperator, values: itemsOf(values).map(textOf) });
  }
  return { ok: true, matcher: requirements.length === 0 ? matchEverything : matcherOf(requirements) };
}

export function matcherOf(requirements: readonly Requirement[]): Matcher {
  return { requirements, matches: (labels) => requirements.every((requirement) => meets(requirement, labels)) };
}

function meets({ key, operator, values }: Requirement, labels: Labels | undefined): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** Whether a selector matches; one that cannot be compiled matches nothing. */
export function selectorMatches(selector: LabelSelector | null | undefined, labels: Labels | undefined): boolean {
  const compiled = compileSelector(selector);
  return compiled.ok && compiled.matcher.matches(labels);
}

/** Neither labels nor expressions: matches everything, which most kinds refuse. */
export function isEmptySelector(selector: LabelSelector | null | undefined): boolean {
  return Object.keys(fieldsOf(selector?.matchLabels)).length === 0 && itemsOf(selector?.matchExpressions).length === 0;
}

/**
 * The text form, for `status.labelSelector` and list requests: requirements by key, `k=v`, `k in (a,b)`, `k notin (a,b)`, `k`, `!k`.
 * @returns "" for a selector that is empty, absent or unusable
 */
export function selectorText(selector: LabelSelector | null | undefined): string {
  const compiled = compileSelector(selector);
  return compiled.ok ? requirementsText(compiled.matcher.requirements ?? []) : "";
}

export function requirementsText(requirements: readonly Requirement[]): string {
  return [...requirements]
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(requirementText)
    .join(",");
}

function requirementText({ key, operator, values, equals }: Requirement): string {
  if (equals === true) return `${key}=${values[0]}`;
  switch (operator) {
    case "In":
      return `${key} in (${[...values].sort().join(",")})`;
    case "NotIn":
      return `${key} notin (${[...values].sort().join(",")})`;
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
  }
}
