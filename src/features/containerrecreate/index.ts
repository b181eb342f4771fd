/**
 * ContainerRecreateRequest: restart some containers of a running pod.
 *
 * The webhook (admission.ts) fills in what the pod is like, and refuses what cannot be. The controller watches over time limits and the
 * pod's readiness (plan.ts), and tells the node agent what the pod looks like (snapshot.ts). The node agent, in src/daemon/recreate,
 * stops the containers.
 */
import { containerRecreateRequestDefinition, containerRecreateRequests } from "../../api/containerrecreaterequest.ts";
import { controller } from "../../engine/controller.ts";
import type { Feature } from "../feature.ts";
import { webhooks } from "./admission.ts";
import { explainer } from "./explain.ts";
import { observe, watches } from "./observe.ts";
import { plan } from "./plan.ts";

export const containerRecreateController = controller({
  name: "containerrecreaterequest-controller",
  of: containerRecreateRequests,
  workers: { flag: "crr-workers", count: 3 },
  enabled: ({ gates }) => gates.enabled("KruiseDaemon"),
  watches,
  observe,
  plan,
});

export const containerRecreate: Feature = {
  name: "containerrecreate",
  kinds: [containerRecreateRequestDefinition],
  controllers: [containerRecreateController],
  webhooks,
  permissions: [
    { group: "apps.kruise.io", resources: ["containerrecreaterequests"], verbs: ["get", "list", "watch", "patch", "delete"] },
    { group: "apps.kruise.io", resources: ["containerrecreaterequests/status"], verbs: ["patch"] },
    { group: "", resources: ["pods"], verbs: ["get", "list", "watch"] },
    { group: "", resources: ["pods/status"], verbs: ["patch"] },
    { group: "", resources: ["nodes"], verbs: ["get"] },
  ],
  daemonPermissions: [
    { group: "apps.kruise.io", resources: ["containerrecreaterequests"], verbs: ["get", "list", "watch"] },
    { group: "apps.kruise.io", resources: ["containerrecreaterequests/status"], verbs: ["patch"] },
    { group: "", resources: ["pods"], verbs: ["get", "list", "watch"] },
    // The report of a pod's containers, an annotation, is written through the status: nothing else of a pod may be changed.
    { group: "", resources: ["pods/status"], verbs: ["patch"] },
    { group: "", resources: ["events"], verbs: ["create", "patch"] },
  ],
  explain: [explainer],
};
