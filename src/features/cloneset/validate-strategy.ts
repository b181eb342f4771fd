/** The rules of updateStrategy. v1alpha1 has its fields one level up, and one word for type and policy. */

import { intOrPercentProblem, scaledCount } from "../../kube/int-or-percent.ts";
import { type Fields, fieldsOf, isAbsent, isFields, textOf } from "../../kube/json.ts";
import type { FieldErrors } from "../../kube/validate/field-error.ts";
import { checkPriority, checkScatter } from "../../workload/order/validate.ts";
import type { CloneSetVersion } from "./defaults.ts";

const policies = ["ReCreate", "InPlaceIfPossible", "InPlaceOnly"];
const typesV1Beta1 = ["RollingUpdate", "OnDelete"];

export interface StrategyView {
  /** Where the fields of the rolling update stand; undefined when there are none. */
  readonly rolling?: Fields;
  readonly path: string;
  readonly policy: string;
}

export function updateStrategyView(spec: Fields, version: CloneSetVersion): StrategyView {
  const strategy = fieldsOf(spec["updateStrategy"]);
  if (version === "v1alpha1") return { rolling: strategy, path: "spec.updateStrategy", policy: textOf(strategy["type"]) };
  const rolling = strategy["rollingUpdate"];
  const path = "spec.updateStrategy.rollingUpdate";
  return isFields(rolling) ? { rolling, path, policy: textOf(rolling["podUpdatePolicy"]) } : { path, policy: "" };
}

export function checkUpdateStrategy(errors: FieldErrors, spec: Fields, version: CloneSetVersion): void {
  const { rolling, path, policy } = updateStrategyView(spec, version);
  const type = textOf(fieldsOf(spec["updateStrategy"])["type"]);
  const types = version === "v1alpha1" ? [...policies, "OnDelete"] : typesV1Beta1;
  if (type !== "" && !types.includes(type)) errors.notSupported("spec.updateStrategy.type", type, types);
  if (rolling === undefined) return;
  if (version === "v1beta1") {
    if (policy !== "" && !policies.includes(policy)) errors.notSupported(`${path}.podUpdatePolicy`, policy, policies);
    checkPreDownload(errors, fieldsOf(rolling["inPlaceUpdateStrategy"]), `${path}.inPlaceUpdateStrategy`);
  }
  checkBudgets(errors, rolling, path, policy, Number.isSafeInteger(spec["replicas"]) ? (spec["replicas"] as number) : 1);
  checkPriority(errors, rolling["priorityStrategy"], `${path}.priorityStrategy`);
  checkScatter(errors, rolling["scatterStrategy"], `${path}.scatterStrategy`);
}

/** What is not written means its default: OnDelete gets none, and needs none. */
function checkBudgets(errors: FieldErrors, rolling: Fields, path: string, policy: string, replicas: number): void {
  let readable = true;
  for (const field of ["partition", "maxUnavailable", "maxSurge"]) {
    const problem = isAbsent(rolling[field]) ? undefined : intOrPercentProblem(rolling[field], { decimals: true });
    if (problem === undefined) continue;
    errors.invalid(`${path}.${field}`, rolling[field], problem);
    readable = false;
  }
  if (!readable) return;
  const surge = scaledCount(rolling["maxSurge"] ?? 0, replicas, "up") ?? 0;
  const unavailable = scaledCount(rolling["maxUnavailable"] ?? "20%", replicas, "up") ?? 0;
  if (surge > 0 && policy === "InPlaceOnly") {
    errors.invalid(
      `${path}.maxSurge`,
      rolling["maxSurge"],
      "maxSurge cannot be used with InPlaceOnly: an in-place update makes no further pods",
    );
  }
  if (replicas > 0 && unavailable < 1 && surge < 1) {
    errors.invalid(
      `${path}.maxUnavailable`,
      rolling["maxUnavailable"],
      "maxUnavailable and maxSurge must not both be less than 1: no pod could ever be updated",
    );
  }
}

function checkPreDownload(errors: FieldErrors, strategy: Fields, path: string): void {
  const parallelism = strategy["imagePreDownloadParallelism"];
  const at = `${path}.imagePreDownloadParallelism`;
  if (typeof parallelism === "number" ? !Number.isSafeInteger(parallelism) : !isAbsent(parallelism)) {
    if (typeof parallelism !== "string" || !/^[+-]?\d+$/.test(parallelism))
      errors.invalid(at, parallelism, "must be an integer, percentages are not supported");
    else if (Number(parallelism) < 0) errors.invalid(at, parallelism, "must be greater than or equal to 0");
  } else if (typeof parallelism === "number" && parallelism < 0) errors.invalid(at, parallelism, "must be greater than or equal to 0");
  for (const field of ["imagePreDownloadTimeoutSeconds", "imagePreDownloadMinUpdatedReadyPods"]) {
    const value = strategy[field];
    if (typeof value === "number" && value < 0) errors.invalid(`${path}.${field}`, value, "must be greater than or equal to 0");
  }
}
