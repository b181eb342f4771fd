/** updateStrategy.scatterStrategy: spreads the waiting pods that carry a label evenly among those that do not. */
import { getOwn, textOf } from "../../kube/json.ts";
import type { Pod } from "../../kube/types.ts";

export interface ScatterTerm {
  readonly key: string;
  readonly value: string;
}

type Pods = readonly (Readonly<Pod> | undefined)[];

/**
 * @param pods all pods, for the shares; holes are passed over
 * @param waiting indexes into `pods`, best first so far
 * @returns the same indexes. Several terms apply one after another, those with the most waiting pods first
 */
export function scatter(pods: Pods, waiting: readonly number[], terms: readonly ScatterTerm[] | undefined): readonly number[] {
  if (terms === undefined || terms.length === 0 || waiting.length <= 1) return waiting;
  return inOrder(pods, waiting, terms).reduce((order, term) => scatterOne(pods, order, term), waiting);
}

function inOrder(pods: Pods, waiting: readonly number[], terms: readonly ScatterTerm[]): readonly ScatterTerm[] {
  if (terms.length === 1) return terms;
  return terms
    .map((term) => ({ term, count: waiting.filter((index) => matches(pods[index], term)).length }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)
    .map(({ term }) => term);
}

/** A missing label equals the value "". */
function matches(pod: Readonly<Pod> | undefined, { key, value }: ScatterTerm): boolean {
  return textOf(getOwn(pod?.metadata.labels ?? {}, key)) === value;
}

function scatterOne(pods: Pods, waiting: readonly number[], term: ScatterTerm): readonly number[] {
  const matched = waiting.filter((index) => matches(pods[index], term));
  const others = waiting.filter((index) => !matches(pods[index], term));
  if (matched.length <= 1 || others.length <= 1) return waiting;
  const present = pods.filter((pod) => pod !== undefined);
  const allMatched = present.filter((pod) => matches(pod, term)).length;
  const last = matched.pop() as number;
  const { groups, matchedSize, othersSize, remainder } = groupsOf(
    { matched: matched.length, others: others.length },
    { matched: allMatched - 1, others: present.length - allMatched },
  );
  const order = others.splice(0, remainder);
  for (let group = 0; group < groups; group += 1) order.push(...matched.splice(0, matchedSize), ...others.splice(0, othersSize));
  return [...order, ...matched, ...others, last];
}

interface Counts {
  readonly matched: number;
  readonly others: number;
}

/**
 * How many of each make a group. When fewer others wait than their share of all pods, earlier updates took them, and the groups are
 * those of all pods, so that the whole rollout is even; what does not fit goes first.
 */
function groupsOf(waiting: Counts, all: Counts): { groups: number; matchedSize: number; othersSize: number; remainder: number } {
  // Single precision, as OpenKruise compares them.
  if (Math.fround(all.others / all.matched) >= Math.fround(waiting.others / waiting.matched)) return { ...sizes(waiting), remainder: 0 };
  const { matchedSize, othersSize } = sizes(all);
  const groups = Math.min(Math.floor(waiting.matched / matchedSize), Math.floor(waiting.others / othersSize));
  return { groups, matchedSize, othersSize, remainder: waiting.others - groups * othersSize };
}

function sizes({ matched, others }: Counts): { groups: number; matchedSize: number; othersSize: number } {
  const groups = Math.min(matched, others);
  return { groups, matchedSize: Math.round(matched / groups), othersSize: Math.round(others / groups) };
}
