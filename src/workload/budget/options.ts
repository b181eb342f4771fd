/** What a budget protects. Options are fields in v1beta1; objects that were stored before still carry them as annotations. */
import { int32Of } from "../../api/conversion.ts";
import type { Gates } from "../../api/gates.ts";
import { annotation } from "../../api/names.ts";
import type { PodUnavailableBudget, ProtectedOperation } from "../../api/podunavailablebudget.ts";
import { protectedOperations } from "../../api/podunavailablebudget-conversion.ts";

const byDefault: readonly ProtectedOperation[] = ["DELETE", "UPDATE", "EVICT"];

/** RESIZE never implies UPDATE; without gate InPlacePodVerticalScaling a resize is an update like any other. */
export function protectedBy(budget: Readonly<PodUnavailableBudget>, gates: Gates): ReadonlySet<ProtectedOperation> {
  const listed = budget.spec?.protectOperations ?? [];
  const operations = new Set(listed.length > 0 ? listed : annotated(budget));
  if (operations.has("UPDATE") && !gates.enabled("InPlacePodVerticalScaling")) operations.add("RESIZE");
  return operations;
}

function annotated({ metadata }: Readonly<PodUnavailableBudget>): readonly ProtectedOperation[] {
  const words = (metadata.annotations?.[annotation.pubProtectOperations] ?? "").split(",").map((word) => word.trim());
  const known = words.filter((word): word is ProtectedOperation => (protectedOperations as readonly string[]).includes(word));
  return known.length > 0 ? known : byDefault;
}

/** How many pods to expect whatever the workload says; undefined: ask the workload. */
export function totalReplicasOverride({ metadata, spec }: Readonly<PodUnavailableBudget>): number | undefined {
  return spec?.protectTotalReplicas ?? int32Of(metadata.annotations?.[annotation.pubProtectTotalReplicas]);
}
