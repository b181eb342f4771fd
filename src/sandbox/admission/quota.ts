/** ResourceQuotas: pods and amounts of a namespace, and counts of any kind. What is used is counted when it is asked. */
import { type Fields, fieldsOf, itemsOf, sortedKeys } from "../../kube/json.ts";
import { resourceName } from "../../kube/kind.ts";
import { addQuantities, compareQuantities, parseQuantity, type Quantity, quantityText, zeroQuantity } from "../../kube/quantity.ts";
import { forbidden } from "../api/refusal.ts";
import type { Store, Stored } from "../storage/store.ts";
import type { Review } from "./admission.ts";

const quotas = "resourcequotas";

export function checkQuota(store: Store, { operation, resource, subresource, namespace, name, object }: Review): void {
  if (operation !== "CREATE" || subresource !== "" || object === undefined || !resource.kind.namespaced) return;
  for (const quota of store.list(quotas, namespace)) {
    const hard = fieldsOf(fieldsOf(quota["spec"])["hard"]);
    const exceeded: { name: string; asked: string; used: string; hard: string }[] = [];
    for (const key of sortedKeys(hard)) {
      const asked = usageOf(key, resourceName(resource.kind), object);
      const limit = parseQuantity(hard[key]);
      if (asked === undefined || asked.nano === 0n || limit === undefined) continue;
      const used = usedOf(store, namespace, key);
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

/** How much of `key` is used now. */
export function usedOf(store: Store, namespace: string, key: string): Quantity {
  const counted = countedResource(key);
  const resource = counted ?? "pods";
  let total = zeroQuantity;
  for (const object of store.list(resource, namespace)) {
    if (resource === "pods" && ["Succeeded", "Failed"].includes(String(fieldsOf(object["status"])["phase"]))) continue;
    const usage = usageOf(key, resource, object);
    if (usage !== undefined) total = addQuantities(total, usage);
  }
  return total;
}

/** The resource that a count is about: "pods", "count/deployments.apps". Undefined: an amount of pods. */
function countedResource(key: string): string | undefined {
  if (key.startsWith("count/")) return key.slice("count/".length);
  return ["pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "replicationcontrollers", quotas].includes(key)
    ? key
    : undefined;
}

const one = parseQuantity("1") as Quantity;

function usageOf(key: string, resource: string, object: Stored): Quantity | undefined {
  const counted = countedResource(key);
  if (counted !== undefined) return counted === resource ? one : undefined;
  if (resource !== "pods") return undefined;
  const match = /^(?:(requests|limits)\.)?(.+)$/.exec(key);
  const side = match?.[1] ?? "requests";
  let total = zeroQuantity;
  for (const container of itemsOf(fieldsOf(object["spec"])["containers"])) {
    const amounts: Fields = fieldsOf(fieldsOf(fieldsOf(container)["resources"])[side]);
    const amount = parseQuantity(amounts[match?.[2] ?? ""]);
    if (amount !== undefined) total = addQuantities(total, amount);
  }
  return total;
}
