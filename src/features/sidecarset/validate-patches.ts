/** The rules of patchPodMetadata, and the white list of annotations that the cluster's administrators allow. */
import { configurationName } from "../../api/names.ts";
import type { SidecarSet } from "../../api/sidecarset.ts";
import { fieldsOf, isAbsent, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { configMaps } from "../../kube/kinds.ts";
import { failureText } from "../../kube/outcome.ts";
import { compileSelector, type Labels } from "../../kube/selector.ts";
import type { ConfigMap, LabelSelector } from "../../kube/types.ts";
import type { FieldErrors } from "../../kube/validate/field-error.ts";
import { validateMetadata } from "../../kube/validate/metadata.ts";
import { compileRe2, type Re2 } from "./re2.ts";
import type { ValidationContext } from "./validate.ts";

export const whiteListKey = "SidecarSet_PatchPodMetadata_WhiteList";
const path = "spec.patchPodMetadata";

export async function checkPatches(errors: FieldErrors, set: Readonly<SidecarSet>, context: ValidationContext): Promise<void> {
  const patches = itemsOf(set.spec.patchPodMetadata).map(fieldsOf);
  if (patches.length === 0) return;
  const keys = patches.flatMap((patch) => Object.keys(fieldsOf(patch["annotations"])));
  const refusal = await whiteListRefusal(set, keys, context);
  if (refusal !== undefined) errors.required(path, refusal);
  for (const [index, patch] of patches.entries()) {
    const annotations = fieldsOf(patch["annotations"]);
    const at = `${path}[${index}]`;
    if (Object.keys(annotations).length === 0) errors.required(path, `${at} has no annotations`);
    errors.list.push(...validateMetadata({ name: "any", annotations }, { namespaced: false }, at));
    if (textOf(patch["patchPolicy"]) === "") errors.required(path, `${at} has no patchPolicy`);
  }
  for (const key of new Set(keys))
    if (keys.filter((other) => other === key).length > 1) errors.required(path, `annotation ${key} occurs twice`);
}

/** Why these annotations may not be patched; undefined when they may. */
async function whiteListRefusal(
  set: Readonly<SidecarSet>,
  keys: readonly string[],
  { read, settings }: ValidationContext,
): Promise<string | undefined> {
  const where = `key ${whiteListKey} of ConfigMap ${settings.installNamespace}/${configurationName}`;
  const answer = await read.live.get(configMaps, { namespace: settings.installNamespace, name: configurationName });
  if (!answer.ok && answer.why !== "notFound") return `could not read ${where}: ${failureText(answer)}`;
  const text = answer.ok ? (answer.object as ConfigMap).data?.[whiteListKey] : undefined;
  const rules = text === undefined ? [] : rulesOf(text, set.metadata.labels);
  if (typeof rules === "string") return `${where}: ${rules}`;
  if (rules.length === 0) {
    if (settings.gates.enabled("SidecarSetPatchPodMetadataDefaultsAllowed")) return undefined;
    return `annotations of pods may be patched only where ${where} allows it, or feature gate SidecarSetPatchPodMetadataDefaultsAllowed`;
  }
  const forbidden = keys.find((key) => !rules.some((rule) => rule.matches(key)));
  return forbidden === undefined ? undefined : `annotation ${forbidden} is not allowed by ${where}`;
}

/** The expressions that apply to a SidecarSet with these labels. A text: what is wrong with the list. */
function rulesOf(text: string, labels: Labels | undefined): readonly Re2[] | string {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    return `not JSON: ${(error as Error).message}`;
  }
  if (!isFields(list)) return "not a JSON object";
  const expressions: Re2[] = [];
  for (const rule of itemsOf(list["rules"]).map(fieldsOf)) {
    const selector = rule["selector"];
    if (!isAbsent(selector)) {
      const compiled = compileSelector(selector as LabelSelector);
      if (!compiled.ok) return compiled.problem;
      if (!compiled.matcher.matches(labels)) continue;
    }
    for (const expression of itemsOf(rule["allowedAnnotationKeyExprs"]).map(textOf)) {
      const compiled = compileRe2(expression);
      if (!compiled.ok) return `${expression}: ${compiled.problem}`;
      expressions.push(compiled.re2);
    }
  }
  return expressions;
}
