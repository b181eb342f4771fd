/** Which new pods get the readiness gate. */
import type { PodMutation } from "../../admission/webhook.ts";
import { conditionType } from "../../api/names.ts";
import { groupOf } from "../../kube/kind.ts";
import { hasReadinessGate } from "../../kube/pod.ts";
import { controllerOf } from "../../workload/owner.ts";

const ourGroup = "apps.kruise.io";

const ownedByUs = `has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(owner, owner.apiVersion.startsWith("${ourGroup}/"))`;

export const concerns: PodMutation["concerns"] = ({ gates }) => (gates.enabled("KruisePodReadinessGate") ? "true" : ownedByUs);

/** Pods of workloads of ours; with gate KruisePodReadinessGate every pod. */
export const addGate: PodMutation["mutate"] = (pod, _request, { settings }) => {
  const ours = groupOf(controllerOf(pod)?.apiVersion) === ourGroup;
  if (!ours && !settings.gates.enabled("KruisePodReadinessGate")) return pod;
  if (hasReadinessGate(pod, conditionType.kruisePodReady)) return pod;
  const readinessGates = [...(pod.spec.readinessGates ?? []), { conditionType: conditionType.kruisePodReady }];
  return { ...pod, spec: { ...pod.spec, readinessGates } };
};
