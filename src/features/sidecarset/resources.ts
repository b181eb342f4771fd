/** resourcesPolicy: a sidecar's resources, computed from those of the pod's own containers. */
import type { SidecarResourcesPolicy } from "../../api/sidecarset.ts";
import { fieldsOf, textOf } from "../../kube/json.ts";
import { isNativeSidecar } from "../../kube/pod.ts";
import { addQuantities, maxQuantity, parseQuantity, type Quantity, quantityText, zeroQuantity } from "../../kube/quantity.ts";
import type { Container, Pod, ResourceRequirements } from "../../kube/types.ts";
import { isMarkedInjected } from "./content.ts";
import { amountOf, evaluate, parseExpression, type Resource, resourceAmount } from "./expression.ts";
import { compileRe2 } from "./re2.ts";

export type Computed = { readonly ok: true; readonly resources: ResourceRequirements } | { readonly ok: false; readonly problem: string };

const resourceNames = ["cpu", "memory"] as const satisfies readonly Resource[];

/** @param sidecarNames names of the containers that are being injected: they do not count */
export function computeResources(policy: SidecarResourcesPolicy, pod: Readonly<Pod>, sidecarNames: ReadonlySet<string>): Computed {
  const targets = targetsOf(policy, pod, sidecarNames);
  if (typeof targets === "string") return { ok: false, problem: targets };
  if (targets.length === 0)
    return {
      ok: false,
      problem: `resourcesPolicy: no container of the pod matches targetContainersNameRegex ${JSON.stringify(policy.targetContainersNameRegex)}`,
    };
  const combine = policy.targetContainersMode === "max" ? maxQuantity : addQuantities;
  const resources: Record<"limits" | "requests", Record<string, string>> = { limits: {}, requests: {} };
  for (const kind of ["limits", "requests"] as const) {
    for (const resource of resourceNames) {
      const text = textOf(fieldsOf(policy.resourcesExpr?.[kind])[resource]);
      const total = text === "" ? undefined : aggregate(targets, kind, resource, combine);
      // Where a container has no limit, all of them together have none.
      if (total === undefined) continue;
      const amount = compute(text, resource, total);
      if (typeof amount === "string")
        return { ok: false, problem: `resourcesPolicy.resourcesExpr.${kind}.${resource}: ${JSON.stringify(text)}: ${amount}` };
      resources[kind][resource] = quantityText(amount);
    }
  }
  return {
    ok: true,
    resources: {
      ...(Object.keys(resources.limits).length > 0 ? { limits: resources.limits } : {}),
      ...(Object.keys(resources.requests).length > 0 ? { requests: resources.requests } : {}),
    },
  };
}

/** A text: why there are none. */
function targetsOf(policy: SidecarResourcesPolicy, pod: Readonly<Pod>, sidecarNames: ReadonlySet<string>): readonly Container[] | string {
  const compiled = compileRe2(policy.targetContainersNameRegex ?? ".*");
  if (!compiled.ok) return `resourcesPolicy.targetContainersNameRegex: ${compiled.problem}`;
  const running = [...(pod.spec.initContainers ?? []).filter(isNativeSidecar), ...pod.spec.containers];
  return running.filter(
    (container) => !sidecarNames.has(container.name) && !isMarkedInjected(container) && compiled.re2.matches(container.name),
  );
}

/** undefined: unlimited. */
function aggregate(
  targets: readonly Container[],
  kind: "limits" | "requests",
  resource: Resource,
  combine: (a: Quantity, b: Quantity) => Quantity,
): Quantity | undefined {
  let total = zeroQuantity;
  for (const { resources } of targets) {
    const quantity = parseQuantity(fieldsOf(resources?.[kind])[resource]);
    if (quantity === undefined && kind === "limits") return undefined;
    if (quantity !== undefined) total = combine(total, quantity);
  }
  return total;
}

/** A text: why it is none. */
function compute(text: string, resource: Resource, total: Quantity): Quantity | string {
  const parsed = parseExpression(text);
  if (!parsed.ok) return parsed.problem;
  const evaluated = evaluate(parsed.expression, { [resource]: amountOf(total) });
  if (!evaluated.ok) return evaluated.problem;
  const amount = resourceAmount(evaluated.value, resource);
  return amount.ok ? amount.quantity : amount.problem;
}
