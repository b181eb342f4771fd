/** `pods/eviction`: a deletion that asks the PodDisruptionBudgets first, and uses them up. */
import { type Fields, fieldsOf, isFields, textOf, withFields } from "../../kube/json.ts";
import { podCondition } from "../../kube/pod.ts";
import { selectorMatches } from "../../kube/selector.ts";
import { formatTime } from "../../kube/time.ts";
import type { LabelSelector, Pod } from "../../kube/types.ts";
import type { Stored } from "../storage/store.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { notFound, tooManyRequests } from "./refusal.ts";
import { deleteObject } from "./remove.ts";

const budgets = "poddisruptionbudgets.policy";

/** @param eviction the body */
export async function evictPod(api: Api, call: Call, eviction: Fields): Promise<void> {
  const key = { namespace: call.namespace, name: call.name };
  const pod = api.store.get("pods", key);
  if (pod === undefined) throw notFound(call.resource.kind, call.name);
  const options = { ...fieldsOf(eviction["deleteOptions"]) };
  const body = withFields(eviction, {
    metadata: { ...fieldsOf(eviction["metadata"]), name: call.name, namespace: call.namespace },
  }) as Stored;
  const dryRun = call.dryRun || (Array.isArray(options["dryRun"]) && options["dryRun"].length > 0);
  const review = {
    operation: "CREATE",
    actor: call.actor,
    resource: call.resource,
    version: call.version,
    subresource: "eviction",
    namespace: call.namespace,
    name: call.name,
    object: body,
    oldObject: undefined,
    options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1", ...(dryRun ? { dryRun: ["All"] } : {}) },
    dryRun,
    warnings: call.warnings,
  } as const;
  await api.admission.mutate(review);
  await api.admission.validate(review);
  const deletion = { ...call, subresource: "", verb: "delete", dryRun } as const;
  if (needsBudget(pod as unknown as Pod)) takeFromBudget(api, call, pod, dryRun);
  await deleteObject(api, deletion, options, true);
}

/** A pod that runs nothing, or is on its way out, takes nothing from anybody. */
function needsBudget(pod: Pod): boolean {
  const phase = pod.status?.phase;
  if (phase === "Succeeded" || phase === "Failed" || phase === "Pending") return false;
  return pod.metadata.deletionTimestamp === undefined;
}

function takeFromBudget(api: Api, call: Call, pod: Stored, dryRun: boolean): void {
  const matching = api.store.list(budgets, call.namespace).filter((budget) => {
    const selector = fieldsOf(budget["spec"])["selector"] as LabelSelector | undefined;
    return isFields(selector) && selectorMatches(selector, pod.metadata.labels);
  });
  const [budget] = matching;
  if (matching.length > 1)
    throw tooManyRequests("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.", {});
  if (budget === undefined) return;
  const spec = fieldsOf(budget["spec"]);
  const status = fieldsOf(budget["status"]);
  const ready = podCondition(pod as unknown as Pod, "Ready")?.status === "True";
  const healthyEnough =
    Number(status["currentHealthy"] ?? 0) >= Number(status["desiredHealthy"] ?? 0) && Number(status["desiredHealthy"] ?? 0) > 0;
  if (!ready && (textOf(spec["unhealthyPodEvictionPolicy"]) === "AlwaysAllow" || healthyEnough)) return;
  if (Number(status["observedGeneration"] ?? 0) < (budget.metadata.generation ?? 0))
    throw tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", {
      causes: [
        { reason: "DisruptionBudget", message: `The disruption budget ${budget.metadata.name} is still being processed by the server.` },
      ],
      retryAfterSeconds: 10,
    });
  const allowed = Number(status["disruptionsAllowed"] ?? 0);
  if (allowed <= 0)
    throw tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", {
      causes: [
        {
          reason: "DisruptionBudget",
          message: `The disruption budget ${budget.metadata.name} needs ${status["desiredHealthy"] ?? 0} healthy pods and has ${status["currentHealthy"] ?? 0} currently`,
        },
      ],
    });
  if (dryRun) return;
  const disrupted = { ...fieldsOf(status["disruptedPods"]), [call.name]: formatTime(api.env.nowMs()) };
  api.store.put(
    budgets,
    withFields(budget, { status: { ...status, disruptionsAllowed: allowed - 1, disruptedPods: disrupted } }) as Stored,
  );
}
