/** patchPodMetadata: annotations that a SidecarSet gives to its pods. */
import type { SidecarSetPatchPodMetadata } from "../../api/sidecarset.ts";
import { fieldsOf, getOwn, isFields, setOwn, textOf } from "../../kube/json.ts";

export type Annotations = Readonly<Record<string, string>>;
export type Patched = { readonly ok: true; readonly annotations: Annotations } | { readonly ok: false; readonly problem: string };

/** In the order of the list. The same annotations when nothing changes; unknown policies do nothing. */
export function applyPatches(annotations: Annotations, patches: readonly SidecarSetPatchPodMetadata[]): Patched {
  let changed: Record<string, string> | undefined;
  for (const patch of patches) {
    const values = fieldsOf(patch.annotations);
    for (const key of Object.keys(values)) {
      const current = getOwn(changed ?? annotations, key) as string | undefined;
      const next = nextValue(patch.patchPolicy ?? "", current, textOf(values[key]));
      if ("problem" in next) return { ok: false, problem: `annotation ${key}: ${next.problem}` };
      if (next.value === undefined || next.value === current) continue;
      changed ??= { ...annotations };
      setOwn(changed, key, next.value);
    }
  }
  return { ok: true, annotations: changed ?? annotations };
}

type Next = { readonly value: string | undefined } | { readonly problem: string };

/** `value` undefined: leave it alone. */
function nextValue(policy: string, current: string | undefined, patch: string): Next {
  switch (policy) {
    case "":
    case "Retain":
      return { value: current === undefined ? patch : undefined };
    case "Overwrite":
      return { value: patch };
    case "MergePatchJson":
      return current === undefined || current === "" ? { value: patch } : mergedText(current, patch);
    default:
      return { value: undefined };
  }
}

function mergedText(current: string, patch: string): Next {
  // So it stands when this patch was the first: merging it again must not change how it is written.
  if (current === patch) return { value: current };
  const before = parsed(current);
  if (before === undefined) return { problem: `the pod's value is not JSON, so nothing can be merged into it` };
  const merge = parsed(patch);
  if (merge === undefined || typeof merge.value !== "object" || merge.value === null)
    return { problem: "the patch is neither a JSON object nor an array" };
  return { value: JSON.stringify(mergePatch(before.value, merge.value)) };
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** RFC 7386. The keys of what was merged are in order, as OpenKruise writes them; what the patch does not touch stays as it is. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const before = fieldsOf(target);
  const merged: Record<string, unknown> = {};
  for (const key of [...new Set([...Object.keys(before), ...Object.keys(patch)])].sort()) {
    const change = getOwn(patch, key);
    if (change === undefined) setOwn(merged, key, before[key]);
    else if (change !== null) setOwn(merged, key, mergePatch(getOwn(before, key), change));
  }
  return merged;
}
