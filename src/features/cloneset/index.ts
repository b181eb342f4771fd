/**
 * CloneSet: pods without order, that are updated in place or recreated.
 *
 * observe.ts says what is looked at, plan.ts what a round decides: scale.ts (create or delete which?), update.ts (move which, and what holds
 * the others?) and refresh.ts (what does each pod need now?), with the arithmetic of calculate.ts; status.ts and progress.ts tell how far it
 * has come. webhooks.ts fills in (defaults.ts) and refuses (validate.ts); explain.ts puts a plan into words. predownload.ts pulls images ahead of an update.
 */
import { type CloneSet, cloneSetDefinition, cloneSets } from "../../api/cloneset.ts";
import { podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { controller, type Seen } from "../../engine/controller.ts";
import { controllerRevisions, nodes, pods } from "../../kube/kinds.ts";
import type { Feature } from "../feature.ts";
import { explainer } from "./explain.ts";
import { observe } from "./observe.ts";
import { plan, planInParts } from "./plan.ts";
import { cloneSetPreDownloader } from "./predownload.ts";
import { rolloutStage } from "./stage.ts";
import { cloneSetConcerns, watches } from "./watches.ts";
import { webhooks } from "./webhooks.ts";

export const cloneSetController = controller({
  name: "cloneset-controller",
  of: cloneSets,
  workers: { flag: "cloneset-workers", count: 3 },
  // Ten pods of a rollout tell of themselves forty times, mostly in the same second.
  calmMs: 100,
  watches,
  concerns: (change) => cloneSetConcerns(change as Seen<CloneSet>),
  reads: [controllerRevisions, nodes],
  rollout: rolloutStage,
  observe,
  plan,
  planInParts,
});

export const cloneSet: Feature = {
  name: "cloneset",
  kinds: [cloneSetDefinition],
  controllers: [cloneSetController, cloneSetPreDownloader],
  webhooks,
  // Names in podsToDelete are looked up by the validating webhook; budgets by the controller, where they are served.
  reads: [pods, podUnavailableBudgets],
  permissions: [
    { group: "apps.kruise.io", resources: ["clonesets"], verbs: ["get", "list", "watch", "patch"] },
    { group: "apps.kruise.io", resources: ["clonesets/status"], verbs: ["patch"] },
    // Pods and claims block the deletion of their owner.
    { group: "apps.kruise.io", resources: ["clonesets/finalizers"], verbs: ["update"] },
    { group: "", resources: ["pods"], verbs: ["get", "list", "watch", "create", "patch", "delete"] },
    { group: "", resources: ["pods/status", "pods/resize"], verbs: ["patch"] },
    { group: "", resources: ["persistentvolumeclaims"], verbs: ["get", "list", "watch", "create", "patch", "delete"] },
    { group: "", resources: ["nodes"], verbs: ["get", "list", "watch"] },
    { group: "", resources: ["events"], verbs: ["create", "patch"] },
    // An update that a budget guards is charged to it before the pod is taken out of service.
    { group: "policy.kruise.io", resources: ["podunavailablebudgets"], verbs: ["get", "list", "watch"] },
    { group: "policy.kruise.io", resources: ["podunavailablebudgets/status"], verbs: ["patch"] },
    { group: "apps", resources: ["controllerrevisions"], verbs: ["get", "list", "watch", "create", "patch", "delete"] },
    // Images pulled ahead of an in-place update.
    { group: "apps.kruise.io", resources: ["imagepulljobs"], verbs: ["get", "list", "watch", "create", "delete"] },
  ],
  explain: [explainer],
};
