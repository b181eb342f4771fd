/** HorizontalPodAutoscalers: stored in v2, shown in v1 as far as that can say it, which is the share of a CPU. */
import { type Fields, fieldsOf, itemsOf, withFields } from "../../kube/json.ts";
import type { Stored } from "../storage/store.ts";

export function autoscalerToV1(object: Stored): Stored {
  const spec = fieldsOf(object["spec"]);
  const cpu = itemsOf(spec["metrics"])
    .map((metric) => fieldsOf(fieldsOf(metric)["resource"]))
    .find((resource) => resource["name"] === "cpu");
  const share = fieldsOf(cpu?.["target"])["averageUtilization"];
  return withFields(object, {
    apiVersion: "autoscaling/v1",
    spec: withFields(spec, { metrics: undefined, behavior: undefined, targetCPUUtilizationPercentage: share }),
    status: withFields(fieldsOf(object["status"]), { currentMetrics: undefined, conditions: undefined }),
  }) as Stored;
}

export function autoscalerFromV1(object: Stored): Stored {
  const spec = fieldsOf(object["spec"]);
  const share = spec["targetCPUUtilizationPercentage"] ?? defaultShare;
  const metrics: readonly Fields[] = [
    { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: share } } },
  ];
  return withFields(object, {
    apiVersion: "autoscaling/v2",
    spec: withFields(spec, { targetCPUUtilizationPercentage: undefined, metrics }),
  }) as Stored;
}

/** Percent, where nobody says. */
const defaultShare = 80;
