/**
 * SidecarSet: containers that are injected into pods at their creation, and updated in place afterwards.
 *
 * Injection (inject.ts): select.ts finds the sets, resolve.ts the version, content.ts has it ready, build.ts and merge.ts put it into the
 * pod, annotations.ts records it. The controller: observe.ts says what is looked at, plan.ts what a round decides: revisions.ts (the history),
 * choose.ts (who is updated now?), update.ts and twins.ts (how?), condition.ts (what is the pod told?); missed.ts finds pods that injection
 * has passed by, evict-missed.ts has them replaced, and evict-outdated.ts those that cannot follow. webhooks.ts fills in (defaults.ts, hash.ts) and refuses (validate*.ts, clashes.ts); explain*.ts put it into words.
 */
import { configurationName } from "../../api/names.ts";
import { sidecarSetDefinition, sidecarSets } from "../../api/sidecarset.ts";
import { controllerRevisions, namespaces, pods } from "../../kube/kinds.ts";
import type { Feature } from "../feature.ts";
import { sidecarSetController } from "./controller.ts";
import { setExplainer } from "./explain.ts";
import { podExplainer } from "./explain-pod.ts";
import { injection } from "./inject.ts";
import { webhooks } from "./webhooks.ts";

export const sidecarSet: Feature = {
  name: "sidecarset",
  kinds: [sidecarSetDefinition],
  controllers: [sidecarSetController],
  webhooks,
  podMutations: [injection],
  // Injection asks for the sets, past versions and namespaces; an update of a set is told how many of its pods it cannot reach.
  reads: [sidecarSets, controllerRevisions, namespaces, pods],
  permissions: [
    { group: "apps.kruise.io", resources: ["sidecarsets"], verbs: ["get", "list", "watch"] },
    { group: "apps.kruise.io", resources: ["sidecarsets/status"], verbs: ["patch"] },
    // Revisions block the deletion of their owner.
    { group: "apps.kruise.io", resources: ["sidecarsets/finalizers"], verbs: ["update"] },
    { group: "", resources: ["pods"], verbs: ["get", "list", "watch", "patch"] },
    { group: "", resources: ["pods/status"], verbs: ["patch"] },
    { group: "", resources: ["pods/eviction"], verbs: ["create"] },
    { group: "", resources: ["namespaces"], verbs: ["get", "list", "watch"] },
    { group: "", resources: ["events"], verbs: ["create", "patch"] },
    { group: "", resources: ["configmaps"], verbs: ["get"], namespace: "install", resourceNames: [configurationName] },
    { group: "apps", resources: ["controllerrevisions"], verbs: ["get", "list", "watch"] },
    { group: "apps", resources: ["controllerrevisions"], verbs: ["create", "patch", "delete"], namespace: "install" },
  ],
  explain: [setExplainer, podExplainer],
};
