/**
 * What a PodUnavailableBudget promises: whoever deletes, evicts or updates pods, of what was let through never more is down than allowed.
 * What goes down by itself (nodes, crashes) is nobody's fault, and is taken into account as far as anybody can know of it.
 */
import { annotation } from "../../../src/api/names.ts";
import type { PodUnavailableBudget } from "../../../src/api/podunavailablebudget.ts";
import type { Pod } from "../../../src/kube/types.ts";
import type { Author, Watcher, World } from "../world.ts";
import { countOf, isActive, isServing } from "./pods.ts";

export const budgetResource = "podunavailablebudgets.policy.kruise.io";

/** From a decision to its deed; requests that take longer are rare. */
const decidedMsMax = 6_000;

interface Down {
  readonly voluntary: boolean;
  readonly pod: Pod;
}

/** Serving, with every container as the spec says. */
export function isAvailable(pod: Pod): boolean {
  return (
    isServing(pod) &&
    pod.spec.containers.every(({ name, image }) =>
      (pod.status?.containerStatuses ?? []).some((each) => each.name === name && each.image === image),
    )
  );
}

export function desiredOf({ spec }: PodUnavailableBudget, total: number): number {
  if (spec.minAvailable !== undefined) return countOf(spec.minAvailable, total, "up", 0);
  return Math.max(0, total - countOf(spec.maxUnavailable, total, "up", 0));
}

/** @param replicasOf how many pods the workload wants now */
export function budgetWatchers(world: World, budgetName: string, namespace: string, replicasOf: () => number): readonly Watcher[] {
  const downs = new Map<string, Down>();
  const isVoluntary = ({ manager }: Author, agent: string) => manager !== undefined || /^(user|.*replicaset-controller)/.test(agent);
  const available = () =>
    world.list<Pod>("pods", namespace).filter((pod) => isActive(pod) && isAvailable(pod) && !downs.has(pod.metadata.uid));
  const heal = (pod: Pod) => {
    if (downs.delete(pod.metadata.uid)) return;
    // Another pod in the place of one that went: the oldest first.
    for (const [uid, down] of downs) {
      const there = world.get<Pod>("pods", namespace, down.pod.metadata.name);
      if (there?.metadata.uid === uid && isActive(there)) continue;
      downs.delete(uid);
      return;
    }
  };
  const isNodeDown = ({ spec: { nodeName = "" } }: Pod) =>
    world.get("nodes", "", nodeName)?.metadata.annotations?.["sandbox.kruise.io/down"] !== undefined;
  /** Since when a pod is written down as let through: as long as it is, it counts as down, and may be taken again. */
  const recordedSince = new Map<string, number>();
  /** When its figures last changed for another reason than that pods come and go. */
  let countedMs = 0;
  let counted = "";
  /** Whether everybody who may be asked has seen these figures, and what was decided before has happened. */
  const isKnown = () =>
    world.env.monotonicMs() - countedMs > decidedMsMax &&
    world.alive.every((manager) => countedMs < world.network.freshUntil(manager, "podunavailablebudgets"));
  return [
    {
      name: "figures of a budget",
      wrote({ resource, after }) {
        if (resource.kind.plural !== "podunavailablebudgets") return undefined;
        const { spec, status } = (after ?? {}) as Partial<PodUnavailableBudget>;
        const now = JSON.stringify([spec, status?.observedGeneration, status?.totalReplicas, status?.desiredAvailable]);
        if (now !== counted) countedMs = world.env.monotonicMs();
        counted = now;
        const recorded = new Set([...Object.keys(status?.disruptedPods ?? {}), ...Object.keys(status?.unavailablePods ?? {})]);
        for (const name of recordedSince.keys()) if (!recorded.has(name)) recordedSince.delete(name);
        for (const name of recorded) if (!recordedSince.has(name)) recordedSince.set(name, world.env.monotonicMs());
        return undefined;
      },
    },
    {
      name: "budget",
      wrote(write, author) {
        if (write.resource.kind.plural !== "pods") return undefined;
        const [before, after] = [write.before as unknown as Pod | undefined, write.after as unknown as Pod | undefined];
        if (after !== undefined && isAvailable(after) && (before === undefined || !isAvailable(before))) heal(after);
        if (before === undefined || !isAvailable(before) || downs.has(before.metadata.uid)) return undefined;
        const changes =
          after !== undefined && before.spec.containers.some(({ image }, index) => after.spec.containers[index]?.image !== image);
        if (after !== undefined && isAvailable(after) && !changes) return undefined;
        const voluntary = isVoluntary(author, write.actor.userAgent);
        // An update that a dead node does not carry out is let through as any other, and stays out for as long as its node does.
        downs.set(before.metadata.uid, { voluntary: voluntary && !(changes && isNodeDown(before)), pod: before });
        if (!voluntary || before.metadata.annotations?.[annotation.relatedPub] !== budgetName) return undefined;
        const budget = world.get<PodUnavailableBudget>(budgetResource, namespace, budgetName);
        const total = replicasOf();
        if (budget?.status === undefined || !isKnown() || budget.metadata.deletionTimestamp !== undefined) return undefined;
        const desired = desiredOf(budget, total);
        const { status } = budget;
        if ((recordedSince.get(before.metadata.name) ?? countedMs) < countedMs) return undefined;
        // It has to have been counted since it was changed.
        if (
          status.observedGeneration !== budget.metadata.generation ||
          status.totalReplicas !== total ||
          status.desiredAvailable !== desired
        )
          return undefined;
        const involuntary = [...downs.values()].filter((down) => !down.voluntary && down.pod !== before).length;
        const left = available().length;
        if (left + involuntary >= desired) return undefined;
        return `${write.actor.userAgent} took ${before.metadata.name}: ${left} of ${total} are available, ${involuntary} are down by themselves, ${desired} have to be`;
      },
    },
  ];
}

export function budgetProblems(world: World, budgetName: string, namespace: string, total: number): readonly string[] {
  const budget = world.get<PodUnavailableBudget>(budgetResource, namespace, budgetName);
  if (budget === undefined) return [];
  const pods = world.list<Pod>("pods", namespace).filter((pod) => isActive(pod) && pod.metadata.labels?.["app"] === "web");
  const problems = pods
    .filter((pod) => pod.metadata.annotations?.[annotation.relatedPub] !== budgetName)
    .map((pod) => `${pod.metadata.name} does not carry the name of its budget`);
  const desired = desiredOf(budget, total);
  const count = pods.filter(isAvailable).length;
  const told = {
    observedGeneration: budget.metadata.generation,
    currentAvailable: count,
    totalReplicas: total,
    desiredAvailable: desired,
    unavailableAllowed: Math.max(0, count - desired),
  };
  const shown = (budget.status ?? {}) as unknown as Readonly<Record<string, unknown>>;
  for (const [field, value] of Object.entries(told))
    if (shown[field] !== value) problems.push(`status.${field} is ${String(shown[field])}, and ${String(value)} is true`);
  for (const field of ["disruptedPods", "unavailablePods"])
    if (Object.keys((shown[field] as object | undefined) ?? {}).length > 0) problems.push(`status.${field} still has entries`);
  return problems;
}
