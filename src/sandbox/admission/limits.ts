/** LimitRanges: amounts for containers that say none, and bounds for those that do. */
import { type Fields, fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import { compareQuantityValues } from "../../kube/quantity.ts";
import { forbidden } from "../api/refusal.ts";
import type { Store, Stored } from "../storage/store.ts";
import type { Review } from "./admission.ts";

function limitsFor(store: Store, namespace: string, type: string): readonly Fields[] {
  return store
    .list("limitranges", namespace)
    .flatMap((range) => itemsOf(fieldsOf(range["spec"])["limits"]).map(fieldsOf))
    .filter((limit) => limit["type"] === type);
}

export function withLimitDefaults(store: Store, review: Review, pod: Stored): Stored {
  const limits = limitsFor(store, review.namespace, "Container");
  if (limits.length === 0) return pod;
  const spec = fieldsOf(pod["spec"]);
  const fill = (container: unknown): Fields => {
    const fields = fieldsOf(container);
    let resources = fieldsOf(fields["resources"]);
    for (const limit of limits) {
      const maximum = { ...fieldsOf(limit["default"]), ...fieldsOf(resources["limits"]) };
      const minimum = { ...fieldsOf(limit["defaultRequest"]), ...fieldsOf(resources["requests"]) };
      resources = withFields(resources, {
        ...(Object.keys(maximum).length > 0 ? { limits: maximum } : {}),
        ...(Object.keys(minimum).length > 0 ? { requests: minimum } : {}),
      });
    }
    return Object.keys(resources).length === 0 ? fields : withFields(fields, { resources });
  };
  return withFields(pod, { spec: withFields(spec, { containers: itemsOf(spec["containers"]).map(fill) }) }) as Stored;
}

export function checkLimits(store: Store, { operation, resource, subresource, namespace, name, object }: Review): void {
  if (resource.storage !== "pods" || subresource !== "" || operation !== "CREATE" || object === undefined) return;
  const problems: string[] = [];
  for (const limit of limitsFor(store, namespace, "Container"))
    for (const container of itemsOf(fieldsOf(object["spec"])["containers"]))
      problems.push(...problemsOf(limit, fieldsOf(fieldsOf(container)["resources"])));
  if (problems.length > 0)
    throw forbidden(resource.kind, name, problems.length === 1 ? (problems[0] as string) : `[${problems.join(", ")}]`);
}

function problemsOf(limit: Fields, resources: Fields): string[] {
  const problems: string[] = [];
  const requests = fieldsOf(resources["requests"]);
  const limits = fieldsOf(resources["limits"]);
  for (const [amount, least] of Object.entries(fieldsOf(limit["min"]))) {
    const asked = requests[amount] ?? limits[amount];
    if (asked === undefined) problems.push(`minimum ${amount} usage per Container is ${least}.  No request is specified`);
    else if (compareQuantityValues(asked, least) < 0)
      problems.push(`minimum ${amount} usage per Container is ${least}, but request is ${textOf(asked) || asked}`);
  }
  for (const [amount, most] of Object.entries(fieldsOf(limit["max"]))) {
    const asked = limits[amount];
    if (asked === undefined) problems.push(`maximum ${amount} usage per Container is ${most}.  No limit is specified`);
    else if (compareQuantityValues(asked, most) > 0)
      problems.push(`maximum ${amount} usage per Container is ${most}, but limit is ${textOf(asked) || asked}`);
  }
  return problems;
}
