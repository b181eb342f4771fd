/** The quality-of-service class of a pod spec, by Kubernetes' rules: over cpu and memory of containers and init containers. */
import { addQuantities, compareQuantities, isZero, parseQuantity, type Quantity, zeroQuantity } from "../../kube/quantity.ts";
import type { Container } from "../../kube/types.ts";

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";
const counted = ["cpu", "memory"] as const;
type Sums = Map<string, Quantity>;

export function qosClassOf(spec: { readonly containers?: readonly Container[]; readonly initContainers?: readonly Container[] }): QosClass {
  const requests: Sums = new Map();
  const limits: Sums = new Map();
  let everyLimited = true;
  for (const { resources } of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    for (const name of counted) {
      add(requests, name, resources?.requests?.[name]);
      if (!add(limits, name, resources?.limits?.[name])) everyLimited = false;
    }
  }
  if (requests.size === 0 && limits.size === 0) return "BestEffort";
  if (!everyLimited || requests.size !== limits.size) return "Burstable";
  const same = [...requests].every(([name, request]) => compareQuantities(request, limits.get(name) ?? zeroQuantity) === 0);
  return same ? "Guaranteed" : "Burstable";
}

/** Whether there was a positive amount to add. */
function add(sums: Sums, name: string, value: unknown): boolean {
  const quantity = parseQuantity(value);
  if (quantity === undefined || isZero(quantity) || quantity.nano < 0n) return false;
  sums.set(name, addQuantities(sums.get(name) ?? zeroQuantity, quantity));
  return true;
}
