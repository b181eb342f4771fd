/** PodDisruptionBudgets: how many of their pods may go just now. */
import { scaledCount } from "../../kube/int-or-percent.ts";
import { type Fields, fieldsOf, isAbsent, isFields } from "../../kube/json.ts";
import { groupOf } from "../../kube/kind.ts";
import { isReady } from "../../kube/pod.ts";
import { selectorMatches } from "../../kube/selector.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import type { LabelSelector } from "../../kube/types.ts";
import { compilePath, readPath } from "../kinds/columns.ts";
import { storageVersion } from "../kinds/resource.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { asPod, controllerOf, isFinishedPod, keyOf, specOf, statusOf, writeStatus } from "./pods.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

const resource = "poddisruptionbudgets.policy";
/** An eviction that was allowed and did not lead to a deletion is forgotten after this. */
const disruptedMsMax = 120_000;

export const budgets: MakeController = (inside, env): Controller => {
  const ofNamespace = ({ before, after }: { before: Stored | undefined; after: Stored | undefined }) =>
    inside.list(resource, (after ?? before)?.metadata.namespace).map(keyOf);
  return {
    name: "disruption-controller",
    watches: {
      [resource]: itself,
      pods: ofNamespace,
      "replicasets.apps": ofNamespace,
      "deployments.apps": ofNamespace,
      "statefulsets.apps": ofNamespace,
      "clonesets.apps.kruise.io": ofNamespace,
    },
    async reconcile(key) {
      const budget = inside.get(resource, key);
      if (budget === undefined || budget.metadata.deletionTimestamp !== undefined) return undefined;
      const selector = specOf(budget)["selector"];
      const pods = isFields(selector)
        ? inside
            .list("pods", key.namespace)
            .filter((pod) => !isFinishedPod(pod) && selectorMatches(selector as LabelSelector, pod.metadata.labels))
        : [];
      const nowMs = env.nowMs();
      const disrupted = stillDisrupted(budget, pods, nowMs);
      const healthy = pods.filter(
        (pod) => isReady(asPod(pod)) && pod.metadata.deletionTimestamp === undefined && disrupted[pod.metadata.name] === undefined,
      ).length;
      const { expected, desired } = expectations(inside, budget, pods);
      const allowed = expected > 0 ? Math.max(0, healthy - desired) : 0;
      const written = await writeStatus(inside, resource, budget, {
        ...statusOf(budget),
        currentHealthy: healthy,
        desiredHealthy: desired,
        expectedPods: expected,
        disruptionsAllowed: allowed,
        observedGeneration: budget.metadata.generation,
        disruptedPods: Object.keys(disrupted).length === 0 ? undefined : disrupted,
        conditions: conditions(budget, allowed, nowMs),
      });
      return retryOf(written) ?? (Object.keys(disrupted).length === 0 ? undefined : disruptedMsMax);
    },
  };
};

function stillDisrupted(budget: Stored, pods: readonly Stored[], nowMs: number): Fields {
  const known = Object.entries(fieldsOf(statusOf(budget)["disruptedPods"]));
  return Object.fromEntries(
    known.filter(([name, time]) => {
      const pod = pods.find(({ metadata }) => metadata.name === name);
      return pod !== undefined && pod.metadata.deletionTimestamp === undefined && nowMs - (parseTime(String(time)) ?? 0) < disruptedMsMax;
    }),
  );
}

function expectations(inside: Inside, budget: Stored, pods: readonly Stored[]): { readonly expected: number; readonly desired: number } {
  const { minAvailable, maxUnavailable } = specOf(budget);
  if (!isAbsent(maxUnavailable)) {
    const expected = expectedOf(inside, pods);
    return { expected, desired: Math.max(0, expected - (scaledCount(maxUnavailable, expected, "up") ?? 0)) };
  }
  if (typeof minAvailable === "number") return { expected: pods.length, desired: minAvailable };
  const expected = expectedOf(inside, pods);
  return { expected, desired: scaledCount(minAvailable ?? 1, expected, "up") ?? 1 };
}

/** What the owners of these pods want in sum. */
function expectedOf(inside: Inside, pods: readonly Stored[]): number {
  const counts = new Map<string, number>();
  let loose = 0;
  for (const pod of pods) {
    const scaled = scaledOwner(inside, pod);
    if (scaled === undefined) loose += 1;
    else counts.set(scaled.uid, scaled.replicas);
  }
  return loose + [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** The topmost owner with a scale. */
function scaledOwner(inside: Inside, object: Stored): { readonly uid: string; readonly replicas: number } | undefined {
  const reference = controllerOf(object);
  if (reference === undefined) return undefined;
  const known = inside.api.registry.byKind(groupOf(reference.apiVersion), reference.kind);
  const found = inside.api.store.byUid(reference.uid);
  if (known === undefined || found === undefined) return undefined;
  const above = scaledOwner(inside, found.object);
  if (above !== undefined) return above;
  const path = storageVersion(known).scale?.specReplicasPath;
  if (path === undefined) return undefined;
  const [replicas] = readPath(compilePath(path), found.object);
  return { uid: reference.uid, replicas: typeof replicas === "number" ? replicas : 0 };
}

function conditions(budget: Stored, allowed: number, nowMs: number): readonly Fields[] {
  const known = statusOf(budget)["conditions"];
  const before = (Array.isArray(known) ? known : []).map(fieldsOf).find((condition) => condition["type"] === "DisruptionAllowed");
  const next = {
    type: "DisruptionAllowed",
    status: allowed > 0 ? "True" : "False",
    reason: allowed > 0 ? "SufficientPods" : "InsufficientPods",
  };
  const lastTransitionTime = before !== undefined && before["status"] === next.status ? before["lastTransitionTime"] : formatTime(nowMs);
  return [{ ...next, message: "", observedGeneration: budget.metadata.generation, lastTransitionTime }];
}
