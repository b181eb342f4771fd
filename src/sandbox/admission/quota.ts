/** ResourceQuotas: pods and amounts of a namespace, and counts of any kind. What is used is counted when it is asked. */
import { type Fields, fieldsOf, itemsOf, sortedKeys, textOf } from "../../kube/json.ts";
import { resourceName } from "../../kube/kind.ts";
import { qosClass } from "../../kube/qos.ts";
import {
  addQuantities,
  compareQuantities,
  parseQuantity,
  type Quantity,
  quantityText,
  subtractQuantities,
  zeroQuantity,
} from "../../kube/quantity.ts";
import { forbidden } from "../api/refusal.ts";
import type { Store, Stored } from "../storage/store.ts";
import type { Review } from "./admission.ts";

const quotas = "resourcequotas";
const one = parseQuantity("1") as Quantity;
/** Where a quota bounds one of these, every container has to say how much it wants. */
const computed = /^(?:(?:requests|limits)\.)?(?:cpu|memory)$/;

export function checkQuota(store: Store, review: Review): void {
  const { operation, resource, subresource, namespace, name, object, oldObject } = review;
  const isResize = operation === "UPDATE" && subresource === "resize";
  if ((!isResize && (operation !== "CREATE" || subresource !== "")) || object === undefined || !resource.kind.namespaced) return;
  const id = resourceName(resource.kind);
  for (const quota of store.list(quotas, namespace)) {
    if (!inScope(quota, id, object)) continue;
    const hard = fieldsOf(fieldsOf(quota["spec"])["hard"]);
    if (id === "pods") checkAmountsAreSaid(review, quota, hard, object);
    const exceeded: { name: string; asked: string; used: string; hard: string }[] = [];
    for (const key of sortedKeys(hard)) {
      const before = isResize && oldObject !== undefined ? (usageOf(key, id, oldObject) ?? zeroQuantity) : zeroQuantity;
      const asked = subtractQuantities(usageOf(key, id, object) ?? zeroQuantity, before);
      const limit = parseQuantity(hard[key]);
      if (asked.nano <= 0n || limit === undefined) continue;
      const used = usedOf(store, quota, key);
      if (compareQuantities(addQuantities(used, asked), limit) > 0)
        exceeded.push({ name: key, asked: quantityText(asked), used: quantityText(used), hard: quantityText(limit) });
    }
    if (exceeded.length === 0) continue;
    const list = (field: "asked" | "used" | "hard") => exceeded.map((entry) => `${entry.name}=${entry[field]}`).join(",");
    throw forbidden(
      resource.kind,
      name,
      `exceeded quota: ${quota.metadata.name}, requested: ${list("asked")}, used: ${list("used")}, limited: ${list("hard")}`,
    );
  }
}

function checkAmountsAreSaid(review: Review, quota: Stored, hard: Fields, pod: Stored): void {
  const missing: string[] = [];
  for (const key of sortedKeys(hard).filter((name) => computed.test(name))) {
    const [side, resource] = sideOf(key);
    const silent = containersOf(pod).filter((container) => amountOf(container, side, resource) === undefined);
    if (silent.length > 0)
      missing.push(
        `${key} for: ${silent
          .map((container) => textOf(container["name"]))
          .sort()
          .join(",")}`,
      );
  }
  if (missing.length > 0)
    throw forbidden(review.resource.kind, review.name, `failed quota: ${quota.metadata.name}: must specify ${missing.join("; ")}`);
}

/** How much of `key` is used now. */
export function usedOf(store: Store, quota: Stored, key: string): Quantity {
  const resource = countedResource(key);
  let total = zeroQuantity;
  for (const object of store.list(resource, quota.metadata.namespace)) {
    if (resource === "pods" && ["Succeeded", "Failed"].includes(String(fieldsOf(object["status"])["phase"]))) continue;
    const usage = inScope(quota, resource, object) ? usageOf(key, resource, object) : undefined;
    if (usage !== undefined) total = addQuantities(total, usage);
  }
  return total;
}

const plainCounts = ["pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "replicationcontrollers", quotas];

/** The resource that is counted or summed: of "pods", "count/deployments.apps", "requests.storage", "limits.cpu". */
function countedResource(key: string): string {
  if (key.startsWith("count/")) return key.slice("count/".length);
  if (plainCounts.includes(key)) return key;
  if (key.startsWith("services.")) return "services";
  return key === "requests.storage" ? "persistentvolumeclaims" : "pods";
}

function usageOf(key: string, resource: string, object: Stored): Quantity | undefined {
  if (countedResource(key) !== resource) return undefined;
  if (key.startsWith("count/") || plainCounts.includes(key)) return one;
  const spec = fieldsOf(object["spec"]);
  if (key === "requests.storage") return parseQuantity(fieldsOf(fieldsOf(spec["resources"])["requests"])["storage"]);
  if (resource === "services") {
    const types = key === "services.loadbalancers" ? ["LoadBalancer"] : ["NodePort", "LoadBalancer"];
    return types.includes(textOf(spec["type"])) ? one : undefined;
  }
  const [side, name] = sideOf(key);
  return containersOf(object).reduce(
    (total, container) => addQuantities(total, amountOf(container, side, name) ?? zeroQuantity),
    zeroQuantity,
  );
}

function sideOf(key: string): readonly [side: string, resource: string] {
  const match = /^(?:(requests|limits)\.)?(.+)$/.exec(key);
  return [match?.[1] ?? "requests", match?.[2] ?? ""];
}

const containersOf = (pod: Stored): readonly Fields[] => itemsOf(fieldsOf(pod["spec"])["containers"]).map(fieldsOf);

function amountOf(container: Fields, side: string, resource: string): Quantity | undefined {
  return parseQuantity(fieldsOf(fieldsOf(container["resources"])[side])[resource]);
}

/** Scopes narrow a quota to some pods. */
function inScope(quota: Stored, resource: string, object: Stored): boolean {
  const spec = fieldsOf(quota["spec"]);
  const selector = itemsOf(fieldsOf(spec["scopeSelector"])["matchExpressions"]).map(fieldsOf);
  const scopes = [...itemsOf(spec["scopes"]).map((scopeName) => ({ scopeName, operator: "Exists" })), ...selector];
  return scopes.length === 0 || (resource === "pods" && scopes.every((scope) => scopeHolds(scope, object)));
}

function scopeHolds(scope: Fields, pod: Stored): boolean {
  const spec = fieldsOf(pod["spec"]);
  switch (scope["scopeName"]) {
    case "Terminating":
      return spec["activeDeadlineSeconds"] !== undefined;
    case "NotTerminating":
      return spec["activeDeadlineSeconds"] === undefined;
    case "BestEffort":
      return qosClass(spec) === "BestEffort";
    case "NotBestEffort":
      return qosClass(spec) !== "BestEffort";
    case "PriorityClass": {
      const name = textOf(spec["priorityClassName"]);
      const listed = itemsOf(scope["values"]).includes(name);
      const operator = scope["operator"];
      if (operator === "In" || operator === "NotIn") return listed === (operator === "In");
      return (name !== "") === (operator === "Exists");
    }
    default:
      return false;
  }
}
