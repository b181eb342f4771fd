/**
 * Sets KruisePodReady to True on pods that have the gate and no such condition yet. Never changes one that is there. New pods of workloads
 * that update in place get it from those, in the write that lets them into service.
 */
import { cloneSets } from "../../api/cloneset.ts";
import { conditionType } from "../../api/names.ts";
import { controller } from "../../engine/controller.ts";
import { change } from "../../engine/plan.ts";
import { isOfKind, refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { hasReadinessGate, isTerminating, podCondition } from "../../kube/pod.ts";
import type { KubeObject, Pod } from "../../kube/types.ts";
import { controllerOf } from "../../workload/owner.ts";
import { goodCondition } from "../../workload/readiness/index.ts";

function needsCondition(pod: Readonly<Pod>): boolean {
  if (isTerminating(pod) || !hasReadinessGate(pod, conditionType.kruisePodReady)) return false;
  return podCondition(pod, conditionType.kruisePodReady) === undefined && !isLetInByItsWorkload(pod);
}

function isLetInByItsWorkload(pod: Readonly<Pod>): boolean {
  const { inPlaceUpdateReady } = conditionType;
  if (!hasReadinessGate(pod, inPlaceUpdateReady) || podCondition(pod, inPlaceUpdateReady) !== undefined) return false;
  return isOfKind(controllerOf(pod), cloneSets);
}

export const podReadinessController = controller<Readonly<Pod>, never>({
  name: "pod-readiness-controller",
  of: pods,
  workers: { count: 3 },
  watches: [],
  concerns: ({ after }) => after !== undefined && needsCondition(after as Readonly<KubeObject> as Readonly<Pod>),
  observe: ({ read }, key) => {
    const pod = read.get(pods, key);
    return pod !== undefined && needsCondition(pod) ? pod : undefined;
  },
  plan: (pod, nowMs) => ({
    actions: [
      change<Pod>({
        id: "ready",
        on: refOf(pods, pod),
        steps: [
          {
            name: "kruise-pod-ready",
            conditions: (fresh) => (needsCondition(fresh) ? [goodCondition(conditionType.kruisePodReady, nowMs)] : undefined),
          },
        ],
      }),
    ],
  }),
});
