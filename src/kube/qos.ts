/** A pod's quality-of-service class, computed as the kubelet does. */
import { fieldsOf, isFields, itemsOf } from "./json.ts";
import { addQuantities, compareQuantities, parseQuantity, type Quantity, zeroQuantity } from "./quantity.ts";

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";
type Amounts = Map<string, Quantity>;

const computeResources = ["cpu", "memory"];

/** Adds the positive cpu and memory amounts to `sums`; true when both are there. */
function collect(list: unknown, sums: Amounts): boolean {
  const amounts = fieldsOf(list);
  let both = true;
  for (const name of computeResources) {
    const amount = parseQuantity(amounts[name]);
    if (amount === undefined || compareQuantities(amount, zeroQuantity) <= 0) {
      both = false;
      continue;
    }
    sums.set(name, addQuantities(sums.get(name) ?? zeroQuantity, amount));
  }
  return both;
}

function isNonEmpty(list: unknown): boolean {
  return Object.keys(fieldsOf(list)).length > 0;
}

/**
 * @param spec a pod spec; resources of the pod as a whole count before those of its containers and init containers
 */
export function qosClass(spec: unknown): QosClass {
  const { resources, containers, initContainers } = fieldsOf(spec);
  const requests: Amounts = new Map();
  const limits: Amounts = new Map();
  let guaranteed = true;
  if (isFields(resources)) {
    if (isNonEmpty(resources["requests"])) collect(resources["requests"], requests);
    if (isNonEmpty(resources["limits"])) guaranteed = collect(resources["limits"], limits);
  } else {
    for (const container of [...itemsOf(containers), ...itemsOf(initContainers)]) {
      const own = fieldsOf(fieldsOf(container)["resources"]);
      collect(own["requests"], requests);
      if (!collect(own["limits"], limits)) guaranteed = false;
    }
  }
  if (requests.size === 0 && limits.size === 0) return "BestEffort";
  const same = guaranteed && requests.size === limits.size && [...requests].every(([name, amount]) => isSame(limits.get(name), amount));
  return same ? "Guaranteed" : "Burstable";
}

function isSame(limit: Quantity | undefined, request: Quantity): boolean {
  return limit !== undefined && compareQuantities(limit, request) === 0;
}
