/** Sets KruisePodReady to True on pods that have the gate and no such condition yet. Never changes one that is there. */
import { conditionType } from "../../api/names.ts";
import { controller } from "../../engine/controller.ts";
import { change } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { hasReadinessGate, isTerminating, podCondition } from "../../kube/pod.ts";
import type { KubeObject, Pod } from "../../kube/types.ts";
import { goodCondition, readyGatherMs } from "../../workload/readiness/index.ts";

function needsCondition(pod: Readonly<Pod>): boolean {
  if (isTerminating(pod) || !hasReadinessGate(pod, conditionType.kruisePodReady)) return false;
  return podCondition(pod, conditionType.kruisePodReady) === undefined;
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
            // Its workload lets a new pod into service at the same time.
            gatherMs: readyGatherMs,
            conditions: (fresh) => (needsCondition(fresh) ? [goodCondition(conditionType.kruisePodReady, nowMs)] : undefined),
          },
        ],
      }),
    ],
  }),
});
