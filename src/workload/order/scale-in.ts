/** Which pods go first when there are too many: those that serve least, cost least to lose, and share a place with most others. */
import { annotation } from "../../api/names.ts";
import { isReady, nodeNameOf, podCondition, restartCounts } from "../../kube/pod.ts";
import { parseTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";

export interface ScaleInFacts {
  /** By the workload's own measure: minReadySeconds, lifecycle. */
  readonly isAvailable: (pod: Readonly<Pod>) => boolean;
  /** Of the template's topologySpreadConstraints, in their order. Empty: pods are spread over nodes. */
  readonly topologyKeys: readonly string[];
  /** The value of a node's label; undefined when the node is not known or has no such label. */
  readonly nodeLabel: (node: string, key: string) => string | undefined;
}

/** What is compared, found out once per pod. */
interface Ranked {
  readonly pod: Readonly<Pod>;
  readonly node: string | undefined;
  readonly phase: number;
  readonly available: boolean;
  readonly ready: boolean;
  readonly cost: number;
  readonly readySinceMs: number | undefined;
  readonly restarts: number;
  readonly createdMs: number | undefined;
}
type Spread = ReadonlyMap<Ranked, number>;

/** All of them, first victim first; ties by name. */
export function rankForDeletion(pods: readonly Readonly<Pod>[], facts: ScaleInFacts): readonly Readonly<Pod>[] {
  const ranked = pods.map((pod) => describe(pod, facts));
  const spread = facts.topologyKeys.length > 0 ? topologySpread(ranked, facts) : sameNodeSpread(ranked);
  return ranked.sort((a, b) => compare(a, b, spread, true)).map(({ pod }) => pod);
}

const phases: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** Other phases rank as Pending. */
function phaseRank(pod: Readonly<Pod>): number {
  return phases[pod.status?.phase ?? ""] ?? 0;
}

function describe(pod: Readonly<Pod>, { isAvailable }: ScaleInFacts): Ranked {
  const ready = isReady(pod);
  return {
    pod,
    node: nodeNameOf(pod),
    phase: phaseRank(pod),
    available: isAvailable(pod),
    ready,
    cost: deletionCost(pod),
    readySinceMs: ready ? parseTime(podCondition(pod, "Ready")?.lastTransitionTime) : undefined,
    restarts: restartCounts(pod).containers,
    createdMs: parseTime(pod.metadata.creationTimestamp),
  };
}

const int32Min = -(2 ** 31);
const int32Max = 2 ** 31 - 1;

/** A number that Kubernetes would read; anything else ("+10", "008", "many") costs nothing. */
export function deletionCost(pod: Readonly<Pod>): number {
  const text = pod.metadata.annotations?.[annotation.podDeletionCost] ?? "";
  const cost = /^(?:0|[1-9]\d*|-\d+)$/.test(text) ? Number(text) : 0;
  return cost >= int32Min && cost <= int32Max ? cost : 0;
}

function compare(a: Ranked, b: Ranked, spread: Spread, availability: boolean): number {
  return (
    Number(a.node !== undefined) - Number(b.node !== undefined) ||
    a.phase - b.phase ||
    (availability ? Number(a.available) - Number(b.available) : 0) ||
    Number(a.ready) - Number(b.ready) ||
    a.cost - b.cost ||
    (spread.get(b) ?? 0) - (spread.get(a) ?? 0) ||
    (a.ready && b.ready ? laterFirst(a.readySinceMs, b.readySinceMs) : 0) ||
    b.restarts - a.restarts ||
    laterFirst(a.createdMs, b.createdMs) ||
    (a.pod.metadata.name < b.pod.metadata.name ? -1 : a.pod.metadata.name > b.pod.metadata.name ? 1 : 0)
  );
}

/** An unknown time comes first of all. */
function laterFirst(a: number | undefined, b: number | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return -1;
  return b === undefined ? 1 : b - a;
}

const noSpread: Spread = new Map();

/** Of n pods on one node the first to go gets n−1, the last 0. */
function sameNodeSpread(ranked: readonly Ranked[]): Spread {
  const spread = new Map<Ranked, number>();
  for (const group of Map.groupBy(ranked, ({ node }) => node ?? "").entries()) {
    const [node, members] = group;
    if (node === "" || members.length < 2) continue;
    const sorted = [...members].sort((a, b) => compare(a, b, noSpread, false));
    for (const [index, member] of sorted.entries()) spread.set(member, sorted.length - 1 - index);
  }
  return spread;
}

/** Each constraint adds its part: within a domain the first to go gets most, and domains of constraints with many values weigh more. */
function topologySpread(ranked: readonly Ranked[], { topologyKeys, nodeLabel }: ScaleInFacts): Spread {
  const inner = sameNodeSpread(ranked);
  const spread = new Map<Ranked, number>();
  for (const key of topologyKeys) {
    const domains = Map.groupBy(ranked, ({ node }) => (node === undefined ? undefined : nodeLabel(node, key)));
    domains.delete(undefined);
    const weight = Math.log(domains.size + 2);
    for (const members of domains.values()) {
      const sorted = [...members].sort((a, b) => compare(a, b, key === "kubernetes.io/hostname" ? noSpread : inner, false));
      for (const [index, member] of sorted.entries()) spread.set(member, (spread.get(member) ?? 0) + (sorted.length - index) * weight);
    }
  }
  return spread;
}
