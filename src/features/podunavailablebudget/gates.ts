/** Which of the two gates let budgets do what. */
import type { ProtectedOperation } from "../../api/podunavailablebudget.ts";
import type { Settings } from "../../api/settings.ts";

export function isEnabled({ gates }: Pick<Settings, "gates">): boolean {
  return gates.enabled("PodUnavailableBudgetDeleteGate") || gates.enabled("PodUnavailableBudgetUpdateGate");
}

export function isGuarded(operation: ProtectedOperation, { gates }: Pick<Settings, "gates">): boolean {
  const isUpdate = operation === "UPDATE" || operation === "RESIZE";
  return gates.enabled(isUpdate ? "PodUnavailableBudgetUpdateGate" : "PodUnavailableBudgetDeleteGate");
}
