/**
 * How long what was let through stays in the ledger. It may go early only when the pod was seen on its way out. A pod that the cache
 * does not show is gone, or not there yet: only the server itself can tell.
 */
import { isFinished, isTerminating } from "../../kube/pod.ts";
import { parseTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import { budgetLimits } from "../../workload/budget/index.ts";

export const recordLimits = {
  /** ms a record stays when its pod is seen going or has gone: several that go together are forgotten in one write. */
  goingMs: 5_000,
  /** ms by which the clocks of webhooks and API server may differ when it is said which deletion a record stands for. */
  skewMs: 2_000,
  /** Pods that the server is asked for in one round before their records are dropped; the others wait for the next. */
  asksMax: 64,
} as const;

export type Times = Readonly<Record<string, string>>;

export interface Records {
  readonly disruptedPods: Times;
  readonly unavailablePods: Times;
}

export interface Kept extends Records {
  /** Names of pods whose deletion was let through and never came. */
  readonly notDeleted: readonly string[];
  /** When the next record has had its time; undefined: none is left. */
  readonly nextMs?: number;
}

export interface Known {
  /** The pod of that name, as the cache shows it. */
  podNamed(name: string): Readonly<Pod> | undefined;
  /** Whether the pod counts as available, as the cache shows it. */
  counts(pod: Readonly<Pod>): boolean;
  /** Whether the server itself says that the pod is as the cache shows it. */
  isConfirmed(name: string): boolean;
  /** Whether the server itself says that there is no such pod. */
  isGone(name: string): boolean;
}

export function keepRecords(before: Partial<Records>, known: Known, nowMs: number): Kept {
  const notDeleted: string[] = [];
  let nextMs = Number.POSITIVE_INFINITY;
  const keep = (times: Times | undefined, termMs: number, over: (name: string, atMs: number) => boolean): Times => {
    const kept: Record<string, string> = {};
    for (const [name, time] of Object.entries(times ?? {})) {
      const atMs = parseTime(time) ?? 0;
      const pod = known.podNamed(name);
      const isGoing = pod === undefined ? known.isGone(name) : isSeenGoing(pod, atMs) || isSuccessor(pod, atMs);
      const untilMs = atMs + (isGoing ? recordLimits.goingMs : termMs);
      if (nowMs > untilMs && over(name, atMs)) continue;
      kept[name] = time;
      // By then the server is asked whether a pod that the cache does not show is gone.
      const lookMs = pod === undefined && nowMs <= atMs + recordLimits.goingMs ? atMs + recordLimits.goingMs : untilMs;
      // Whole seconds on the wire: one more, so that its time is over when we look again.
      nextMs = Math.min(nextMs, Math.max(lookMs + 1, nowMs + (nowMs > lookMs ? 1_000 : 0)));
    }
    return kept;
  };
  const disruptedPods = keep(before.disruptedPods, budgetLimits.disruptedMs, (name, atMs) => {
    const pod = known.podNamed(name);
    if (!isStill(pod) || isSuccessor(pod, atMs)) return true;
    if (!known.isConfirmed(name)) return false;
    if (bearsNameSinceMs(pod) <= atMs) notDeleted.push(name);
    return true;
  });
  const unavailablePods = keep(before.unavailablePods, budgetLimits.unavailableMs, (name, atMs) => {
    const pod = known.podNamed(name);
    return !isStill(pod) || isSuccessor(pod, atMs) || !known.counts(pod) || known.isConfirmed(name);
  });
  return { disruptedPods, unavailablePods, notDeleted, ...(Number.isFinite(nextMs) ? { nextMs } : {}) };
}

/**
 * Names that the server should be asked for before their records are dropped: what was let through should show in them and does not, and
 * when that is only because the cache is behind, they would be counted though they are gone.
 */
export function overdue(
  records: Partial<Records>,
  { podNamed, counts }: Pick<Known, "podNamed" | "counts">,
  nowMs: number,
): readonly string[] {
  const over = (times: Times | undefined, termMs: number, isWrong: (pod: Readonly<Pod>) => boolean) =>
    Object.entries(times ?? {})
      .filter(([name, time]) => {
        const pod = podNamed(name);
        return nowMs > (parseTime(time) ?? 0) + termMs && isStill(pod) && isWrong(pod);
      })
      .map(([name]) => name);
  const { disruptedPods, unavailablePods } = records;
  return [
    ...new Set([
      ...over(disruptedPods, budgetLimits.disruptedMs, () => true),
      ...over(unavailablePods, budgetLimits.unavailableMs, counts),
    ]),
  ];
}

/** Names that the cache does not show, and whose time has not run out: the server knows whether they are gone. */
export function vanished(records: Partial<Records>, { podNamed }: Pick<Known, "podNamed">, nowMs: number): readonly string[] {
  const over = (times: Times | undefined, termMs: number) =>
    Object.entries(times ?? {})
      .filter(([name, time]) => {
        const ageMs = nowMs - (parseTime(time) ?? 0);
        return ageMs > recordLimits.goingMs && ageMs <= termMs && podNamed(name) === undefined;
      })
      .map(([name]) => name);
  const { disruptedPods, unavailablePods } = records;
  return [...new Set([...over(disruptedPods, budgetLimits.disruptedMs), ...over(unavailablePods, budgetLimits.unavailableMs)])];
}

function isStill(pod: Readonly<Pod> | undefined): pod is Readonly<Pod> {
  return pod !== undefined && !isTerminating(pod) && !isFinished(pod);
}

/** Whether the pod was made after what was recorded, of another pod of that name, which is gone then. */
function isSuccessor(pod: Readonly<Pod>, atMs: number): boolean {
  return bearsNameSinceMs(pod) > atMs + recordLimits.skewMs;
}

/** A ReplicaSet uses no name twice: whatever is recorded of it is of its pod. */
function bearsNameSinceMs({ metadata }: Readonly<Pod>): number {
  const isNamedOnce = metadata.ownerReferences?.some(({ controller, kind }) => controller === true && kind === "ReplicaSet");
  return isNamedOnce ? 0 : (parseTime(metadata.creationTimestamp) ?? 0);
}

/** Whether the pod is going because of what was recorded, and not because of an earlier deletion of a pod of that name. */
function isSeenGoing(pod: Readonly<Pod>, atMs: number): boolean {
  if (isFinished(pod)) return true;
  const endMs = parseTime(pod.metadata.deletionTimestamp);
  if (endMs === undefined) return false;
  const askedMs = endMs - (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1_000;
  return askedMs >= atMs - recordLimits.skewMs;
}
