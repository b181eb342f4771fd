/** Who is updated now: first who may be at all and in what order, then how far partition and maxUnavailable reach. */
import { getOwn, textOf } from "../../kube/json.ts";
import { byDefault, byPriority, type ScatterTerm, scatter } from "../../workload/order/index.ts";
import { keptCount, unavailableMaxOf } from "./strategy.ts";
import { isAvailable, isUpdating, type Member, type World } from "./world.ts";

export interface Choice {
  /** In the order in which they are updated. */
  readonly chosen: readonly Member[];
  /** Differ in more than images: nothing can be done to them in place. */
  readonly notUpgradable: readonly Member[];
  /** Their last update has not arrived. */
  readonly updating: readonly Member[];
  /** The update strategy's selector leaves them out. */
  readonly unselected: readonly Member[];
  readonly heldByPartition: readonly Member[];
  readonly heldByMaxUnavailable: readonly Member[];
  readonly kept: number;
  /** Updated pods that are not available, with those chosen now. */
  readonly unavailable: number;
  readonly unavailableMax: number;
}

export function choose(world: World): Choice {
  const { members, strategy, observed } = world;
  const set = observed.set.metadata.name;
  const notUpgradable: Member[] = [];
  const updating: Member[] = [];
  const unselected: Member[] = [];
  const candidates: Member[] = [];
  for (const member of members) {
    if (member.updated) continue;
    if (!strategy.selector.matches(member.pod.metadata.labels)) unselected.push(member);
    else if (!member.upgradable) notUpgradable.push(member);
    else if (isUpdating(member, set, strategy)) updating.push(member);
    else candidates.push(member);
  }
  const ranked = rank(world, candidates);
  const kept = keptCount(strategy, members.length);
  const reachable = Math.max(0, ranked.length - kept);
  const unavailableMax = unavailableMaxOf(strategy, members.length);
  const budget = withinBudget(ranked.slice(0, reachable), members, unavailableMax);
  return {
    ...budget,
    notUpgradable,
    updating,
    unselected,
    heldByPartition: ranked.slice(reachable),
    kept,
    unavailableMax,
  };
}

/** A pod that does not serve is updated for free; the first that serves and finds the budget spent ends the round. */
export function withinBudget(
  ranked: readonly Member[],
  members: readonly Member[],
  unavailableMax: number,
): Pick<Choice, "chosen" | "heldByMaxUnavailable" | "unavailable"> {
  let unavailable = members.filter((member) => member.updated && !isAvailable(member)).length;
  let count = 0;
  for (const member of ranked) {
    if (member.ready) {
      if (unavailable >= unavailableMax) break;
      unavailable += 1;
    }
    count += 1;
  }
  return { chosen: ranked.slice(0, count), heldByMaxUnavailable: ranked.slice(count), unavailable };
}

/** In the order in which they would be updated. */
export function rank({ members, strategy }: World, candidates: readonly Member[]): readonly Member[] {
  if (candidates.length === 0) return candidates;
  const all = members.map(({ pod }) => pod);
  const waits = new Set(candidates);
  const waiting = members.flatMap((member, index) => (waits.has(member) ? [index] : []));
  const terms = expanded(strategy.scatter, members);
  return scatter(all, byPriority(all, byDefault(all, waiting), strategy.priority), terms).map((index) => members[index] as Member);
}

const everyValue = "*";

/** A term for each value of a label that any pod has, where the strategy asks for every value. */
function expanded(terms: readonly ScatterTerm[], members: readonly Member[]): readonly ScatterTerm[] {
  if (!terms.some(({ value }) => value === everyValue)) return terms;
  const found = new Map<string, ScatterTerm>();
  for (const { key, value } of terms) {
    const values =
      value === everyValue
        ? members.flatMap(({ pod }) =>
            Object.hasOwn(pod.metadata.labels ?? {}, key) ? [textOf(getOwn(pod.metadata.labels ?? {}, key))] : [],
          )
        : [value];
    for (const each of values) found.set(`${key}=${each}`, found.get(`${key}=${each}`) ?? { key, value: each });
  }
  return [...found.values()];
}
