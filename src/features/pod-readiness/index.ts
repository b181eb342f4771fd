/**
 * Pods of our workloads carry the readiness gate KruisePodReady, through which workloads and ContainerRecreateRequests take them out of
 * service. The webhook adds the gate when a pod is created; the controller sets the condition True once. Whoever holds a pod out
 * of service later changes it through workload/readiness.
 */
import { podMutationOrder } from "../../admission/webhook.ts";
import type { Feature } from "../feature.ts";
import { podReadinessController } from "./controller.ts";
import { addGate, concerns } from "./mutation.ts";

export const podReadiness: Feature = {
  name: "pod-readiness",
  controllers: [podReadinessController],
  podMutations: [{ name: "pod-readiness", order: podMutationOrder.readinessGate, concerns, mutate: addGate }],
  permissions: [
    { group: "", resources: ["pods"], verbs: ["get", "list", "watch"] },
    { group: "", resources: ["pods/status"], verbs: ["patch"] },
  ],
};
