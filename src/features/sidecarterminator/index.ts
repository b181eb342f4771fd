/**
 * SidecarTerminator: a pod that is meant to finish does, though it has sidecars that would run for ever.
 *
 * Sidecars are marked by variables of their containers (classify.ts). When the main containers are done, the sidecars are stopped by a
 * ContainerRecreateRequest, or, on nodes without an agent, by an image that ends at once; and where their exit codes must not tell, the
 * pod's phase is set first (plan.ts).
 */
import type { Feature } from "../feature.ts";
import { sidecarTerminatorController } from "./controller.ts";
import { explainer } from "./explain.ts";

export const sidecarTerminator: Feature = {
  name: "sidecarterminator",
  controllers: [sidecarTerminatorController],
  permissions: [
    { group: "", resources: ["pods"], verbs: ["get", "list", "watch", "patch"] },
    { group: "", resources: ["pods/status"], verbs: ["patch"] },
    { group: "", resources: ["nodes"], verbs: ["get", "list", "watch"] },
    { group: "", resources: ["events"], verbs: ["create", "patch"] },
    // The request blocks the deletion of its pod.
    { group: "", resources: ["pods/finalizers"], verbs: ["update"] },
    { group: "apps.kruise.io", resources: ["containerrecreaterequests"], verbs: ["get", "list", "watch", "create", "delete"] },
  ],
  explain: [explainer],
};
