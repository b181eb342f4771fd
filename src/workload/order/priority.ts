/** updateStrategy.priorityStrategy: which of the waiting pods goes first. Ties keep the order they came in. */
import { compileSelector } from "../../kube/selector.ts";
import type { LabelSelector, Pod } from "../../kube/types.ts";

export interface PriorityStrategy {
  /** The first of these keys that a pod has decides, by the number at the end of its value. */
  readonly orderPriority?: readonly { readonly orderedKey: string }[];
  /** The weights of all terms that match a pod are summed up. */
  readonly weightPriority?: readonly { readonly weight: number; readonly matchSelector: LabelSelector }[];
}

/**
 * @param waiting indexes into `pods`, best first so far
 * @returns the same indexes; higher weight first, or: pods without any of the keys, then by key, then by number, larger first
 */
export function byPriority(
  pods: readonly (Readonly<Pod> | undefined)[],
  waiting: readonly number[],
  strategy: PriorityStrategy | undefined,
): readonly number[] {
  const weights = strategy?.weightPriority ?? [];
  const keys = strategy?.orderPriority ?? [];
  if (weights.length > 0) return byWeight(pods, waiting, weights);
  return keys.length > 0 ? byOrder(pods, waiting, keys) : waiting;
}

type Pods = readonly (Readonly<Pod> | undefined)[];

function byWeight(pods: Pods, waiting: readonly number[], terms: NonNullable<PriorityStrategy["weightPriority"]>): readonly number[] {
  const compiled = terms.flatMap(({ weight, matchSelector }) => {
    const selector = compileSelector(matchSelector);
    return selector.ok ? [{ weight, matcher: selector.matcher }] : [];
  });
  const weightOf = (index: number): number => {
    const labels = pods[index]?.metadata.labels;
    return compiled.reduce((sum, { weight, matcher }) => (matcher.matches(labels) ? sum + weight : sum), 0);
  };
  return sortedBy(waiting, weightOf, (a, b) => b - a);
}

function byOrder(pods: Pods, waiting: readonly number[], terms: NonNullable<PriorityStrategy["orderPriority"]>): readonly number[] {
  const rankOf = (index: number): { level: number; value: number } => {
    const labels = pods[index]?.metadata.labels ?? {};
    const level = terms.findIndex(({ orderedKey }) => Object.hasOwn(labels, orderedKey));
    return { level, value: level < 0 ? 0 : numberAtEnd(labels[terms[level]?.orderedKey ?? ""] ?? "") };
  };
  return sortedBy(waiting, rankOf, (a, b) => a.level - b.level || b.value - a.value);
}

/** Each rank is computed once. */
function sortedBy<R>(waiting: readonly number[], rankOf: (index: number) => R, compare: (a: R, b: R) => number): readonly number[] {
  const ranked = waiting.map((index) => ({ index, rank: rankOf(index) }));
  return ranked.sort((a, b) => compare(a.rank, b.rank)).map(({ index }) => index);
}

const int64Max = 2n ** 63n - 1n;

/** "sts-10" → 10; 0 without digits at the end, and for numbers beyond 64 bits. */
function numberAtEnd(text: string): number {
  const digits = /\d+$/.exec(text)?.[0] ?? "0";
  const value = BigInt(digits);
  return value > int64Max ? 0 : Number(value);
}
