/**
 * Containers of one pod start in the order of their priorities. The webhook makes every container wait for a key of the ConfigMap
 * `<pod>-barrier`, which the kubelet cannot resolve yet; the controller adds the keys from the highest priority down, each
 * when the containers above it are ready. The ConfigMap stays with the pod: restarted containers look for their key again.
 */
import { podMutationOrder } from "../../admission/webhook.ts";
import type { Feature } from "../feature.ts";
import { launchPriorityController } from "./controller.ts";
import { addBarriers, concerns } from "./mutation.ts";

export const launchPriority: Feature = {
  name: "launch-priority",
  controllers: [launchPriorityController],
  podMutations: [{ name: "launch-priority", order: podMutationOrder.launchPriority, concerns, mutate: addBarriers }],
  permissions: [
    { group: "", resources: ["pods"], verbs: ["get", "list", "watch", "patch"] },
    { group: "", resources: ["configmaps"], verbs: ["get", "create", "patch", "delete"] },
  ],
};
