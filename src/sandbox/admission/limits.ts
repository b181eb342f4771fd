/** LimitRanges: amounts for containers that say none, and bounds for containers, whole pods and claims. */
import { type Fields, fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import { addQuantities, compareQuantityValues, parseQuantity, quantityText, quantityToNumber, zeroQuantity } from "../../kube/quantity.ts";
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

export function checkLimits(store: Store, review: Review): void {
  const { operation, resource, subresource, namespace, name, object } = review;
  const isNew = operation === "CREATE" && subresource === "";
  if (object === undefined || !(isNew || (operation === "UPDATE" && subresource === "resize"))) return;
  const problems: string[] = [];
  const spec = fieldsOf(object["spec"]);
  if (resource.storage === "pods") {
    const containers = itemsOf(spec["containers"]).map((container) => fieldsOf(fieldsOf(container)["resources"]));
    for (const limit of limitsFor(store, namespace, "Container"))
      for (const resources of containers) problems.push(...problemsOf(limit, resources));
    for (const limit of limitsFor(store, namespace, "Pod")) problems.push(...problemsOf(limit, sumOf(containers)));
  } else if (resource.storage === "persistentvolumeclaims")
    for (const limit of limitsFor(store, namespace, "PersistentVolumeClaim"))
      problems.push(...claimProblems(limit, fieldsOf(spec["resources"])));
  if (problems.length > 0)
    throw forbidden(resource.kind, name, problems.length === 1 ? (problems[0] as string) : `[${problems.join(", ")}]`);
}

/** What all containers together say. */
function sumOf(containers: readonly Fields[]): Fields {
  const side = (name: "requests" | "limits"): Fields => {
    const total: Record<string, string> = {};
    for (const resources of containers)
      for (const [amount, value] of Object.entries(fieldsOf(resources[name])))
        total[amount] = quantityText(addQuantities(parseQuantity(total[amount]) ?? zeroQuantity, parseQuantity(value) ?? zeroQuantity));
    return total;
  };
  return { requests: side("requests"), limits: side("limits") };
}

const shown = (value: unknown): string => textOf(value) || String(value);

function problemsOf(limit: Fields, resources: Fields): string[] {
  const problems: string[] = [];
  const type = textOf(limit["type"]);
  const requests = fieldsOf(resources["requests"]);
  const limits = fieldsOf(resources["limits"]);
  for (const [amount, least] of Object.entries(fieldsOf(limit["min"]))) {
    const asked = requests[amount] ?? limits[amount];
    if (asked === undefined) problems.push(`minimum ${amount} usage per ${type} is ${least}.  No request is specified`);
    else if (compareQuantityValues(asked, least) < 0)
      problems.push(`minimum ${amount} usage per ${type} is ${least}, but request is ${shown(asked)}`);
  }
  for (const [amount, most] of Object.entries(fieldsOf(limit["max"]))) {
    const asked = limits[amount];
    if (asked === undefined) problems.push(`maximum ${amount} usage per ${type} is ${most}.  No limit is specified`);
    else if (compareQuantityValues(asked, most) > 0)
      problems.push(`maximum ${amount} usage per ${type} is ${most}, but limit is ${shown(asked)}`);
  }
  for (const [amount, ratio] of Object.entries(fieldsOf(limit["maxLimitRequestRatio"])))
    problems.push(...ratioProblem(`${amount} max limit to request ratio per ${type} is ${ratio}`, ratio, requests[amount], limits[amount]));
  return problems;
}

function ratioProblem(says: string, most: unknown, request: unknown, limit: unknown): string[] {
  const [least, highest] = [parseQuantity(request), parseQuantity(limit)];
  if (least === undefined || least.nano === 0n) return [`${says}, but no request is specified or request is 0`];
  if (highest === undefined || highest.nano === 0n) return [`${says}, but no limit is specified or limit is 0`];
  const ratio = quantityToNumber(highest) / quantityToNumber(least);
  const allowed = parseQuantity(most);
  return allowed !== undefined && ratio > quantityToNumber(allowed) ? [`${says}, but provided ratio is ${ratio.toFixed(6)}`] : [];
}

function claimProblems(limit: Fields, resources: Fields): string[] {
  const problems: string[] = [];
  const requests = fieldsOf(resources["requests"]);
  for (const [amount, least] of Object.entries(fieldsOf(limit["min"])))
    if (requests[amount] !== undefined && compareQuantityValues(requests[amount], least) < 0)
      problems.push(`minimum ${amount} usage per PersistentVolumeClaim is ${least}, but request is ${shown(requests[amount])}`);
  for (const [amount, most] of Object.entries(fieldsOf(limit["max"])))
    if (requests[amount] !== undefined && compareQuantityValues(requests[amount], most) > 0)
      problems.push(`maximum ${amount} usage per PersistentVolumeClaim is ${most}, but request is ${shown(requests[amount])}`);
  return problems;
}
