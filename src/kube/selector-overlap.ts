/** Whether two label selectors may choose the same object: two rules, each as OpenKruise applies it. */
import { compileSelector, type Requirement } from "./selector.ts";
import type { LabelSelector } from "./types.ts";

const any = Symbol("any value");
type Known = Map<string, Set<string | typeof any>>;

function requirementsOf(selector: LabelSelector | null | undefined): readonly Requirement[] {
  const compiled = compileSelector(selector);
  return compiled.ok ? (compiled.matcher.requirements ?? []) : [];
}

function knownValues(requirements: readonly Requirement[]): Known {
  const known: Known = new Map();
  for (const { key, operator, values } of requirements) {
    if (operator === "Exists") known.set(key, new Set([any]));
    if (operator !== "In") continue;
    const set = known.get(key) ?? new Set();
    for (const value of values) set.add(value);
    known.set(key, set);
  }
  return known;
}

function contradicts({ key, operator, values }: Requirement, known: Known): boolean {
  const set = known.get(key);
  switch (operator) {
    case "In":
      return set !== undefined && !set.has(any) && !values.some((value) => set.has(value));
    case "NotIn":
      return set !== undefined && !set.has(any) && [...set].every((value) => value !== any && values.includes(value));
    case "Exists":
      return set === undefined;
    case "DoesNotExist":
      return set !== undefined;
  }
}

/**
 * SidecarSet's rule: the selectors overlap unless one of them contradicts what the other asks for.
 * Known quirk, kept: `a exists` and `b=c` count as disjoint although one pod can match both.
 */
export function selectorsOverlap(a: LabelSelector | null | undefined, b: LabelSelector | null | undefined): boolean {
  const left = requirementsOf(a);
  const right = requirementsOf(b);
  const disjoint = (known: Known, others: readonly Requirement[]): boolean => others.some((requirement) => contradicts(requirement, known));
  return !disjoint(knownValues(left), right) && !disjoint(knownValues(right), left);
}

/** One requirement a key: of several expressions the last, and a label of matchLabels before any expression. undefined: matches nothing. */
function byKey(selector: LabelSelector | null | undefined): Map<string, Requirement> | undefined {
  const compiled = compileSelector(selector);
  if (!compiled.ok || compiled.matcher.requirements === undefined) return undefined;
  const found = new Map<string, Requirement>();
  for (const requirement of compiled.matcher.requirements) {
    if (found.get(requirement.key)?.equals !== true) found.set(requirement.key, requirement);
  }
  return found;
}

function compatible(a: Requirement, b: Requirement): boolean {
  const pair = `${a.operator} ${b.operator}`;
  switch (pair) {
    case "In In":
      return a.values.some((value) => b.values.includes(value));
    case "In NotIn":
      return a.values.some((value) => !b.values.includes(value));
    case "NotIn In":
      return b.values.some((value) => !a.values.includes(value));
    case "In DoesNotExist":
    case "DoesNotExist In":
    case "Exists DoesNotExist":
    case "DoesNotExist Exists":
      return false;
    default:
      return true;
  }
}

/** PodUnavailableBudget's rule: the same keys on both sides, and operators that one value can satisfy on each. */
export function selectorsLooselyOverlap(a: LabelSelector | null | undefined, b: LabelSelector | null | undefined): boolean {
  const left = byKey(a);
  const right = byKey(b);
  if (left === undefined || right === undefined || left.size !== right.size) return false;
  return [...left].every(([key, requirement]) => {
    const other = right.get(key);
    return other !== undefined && compatible(requirement, other);
  });
}
