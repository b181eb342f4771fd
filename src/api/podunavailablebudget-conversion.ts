/** PodUnavailableBudget between v1alpha1 and v1beta1: options are annotations in the one, fields in the other. */
import { type Fields, fieldsOf, isFields, itemsOf, textOf, withFields } from "../kube/json.ts";
import { annotationsOf, ConversionError, filled, int32Of, withMetadata, withPart } from "./conversion.ts";
import type { VersionConversion } from "./definition.ts";
import { annotation } from "./names.ts";

export const protectedOperations = ["DELETE", "UPDATE", "EVICT", "RESIZE"] as const;

/** Ours: what v1alpha1 has no word for, so that a write through v1alpha1 does not lose it. */
const ignoredPodSelectorAnnotation = "pub.kruise.io/ignored-pod-selector";

export const podUnavailableBudgetConversion: VersionConversion = {
  /** An annotation that became a field goes: left behind, it would contradict the field once that changes. */
  toStorage(object) {
    const annotations = annotationsOf(object);
    const protectOperations = operationsOf(filled(annotations[annotation.pubProtectOperations]));
    const protectTotalReplicas = totalReplicasOf(filled(annotations[annotation.pubProtectTotalReplicas]));
    const ignoredPodSelector = selectorOf(filled(annotations[ignoredPodSelectorAnnotation]));
    const promoted: Record<string, unknown> = {};
    if (protectOperations.length > 0) promoted["protectOperations"] = protectOperations;
    if (protectTotalReplicas !== undefined) promoted["protectTotalReplicas"] = protectTotalReplicas;
    if (ignoredPodSelector !== undefined) promoted["ignoredPodSelector"] = ignoredPodSelector;
    const converted = { ...object, apiVersion: "policy.kruise.io/v1beta1" };
    const spec = (object as unknown as Fields)["spec"];
    if (!isFields(spec) || Object.keys(promoted).length === 0) return converted;
    const gone: Record<string, undefined> = {};
    if ("protectOperations" in promoted) gone[annotation.pubProtectOperations] = undefined;
    if ("protectTotalReplicas" in promoted) gone[annotation.pubProtectTotalReplicas] = undefined;
    if ("ignoredPodSelector" in promoted) gone[ignoredPodSelectorAnnotation] = undefined;
    return withMetadata(withFields(converted, { spec: withFields(spec, promoted) }), "annotations", gone);
  },

  fromStorage(object) {
    const spec = fieldsOf((object as unknown as Fields)["spec"]);
    const operations = itemsOf(spec["protectOperations"])
      .map(textOf)
      .filter((operation) => operation !== "");
    const total = spec["protectTotalReplicas"];
    const ignored = spec["ignoredPodSelector"];
    const converted = withPart({ ...object, apiVersion: "policy.kruise.io/v1alpha1" }, "spec", () =>
      withFields(spec, { protectOperations: undefined, protectTotalReplicas: undefined, ignoredPodSelector: undefined }),
    );
    return withMetadata(converted, "annotations", {
      [annotation.pubProtectOperations]: operations.length > 0 ? operations.join(",") : undefined,
      [annotation.pubProtectTotalReplicas]: typeof total === "number" ? String(total) : undefined,
      [ignoredPodSelectorAnnotation]: isFields(ignored) ? JSON.stringify(ignored) : undefined,
    });
  },
};

function operationsOf(text: string | undefined): readonly string[] {
  const items = (text ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
  const unknown = items.find((item) => !(protectedOperations as readonly string[]).includes(item));
  if (unknown === undefined) return items;
  throw new ConversionError(
    `metadata.annotations[${annotation.pubProtectOperations}]: "${unknown}" is not one of ${protectedOperations.join(", ")}`,
  );
}

function totalReplicasOf(text: string | undefined): number | undefined {
  const total = int32Of(text);
  if (text === undefined || total !== undefined) return total;
  throw new ConversionError(`metadata.annotations[${annotation.pubProtectTotalReplicas}]: "${text}" is not a whole number`);
}

function selectorOf(text: string | undefined): Fields | undefined {
  try {
    const selector: unknown = text === undefined ? undefined : JSON.parse(text);
    return isFields(selector) ? selector : undefined;
  } catch {
    return undefined;
  }
}
