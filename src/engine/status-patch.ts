/** The smallest merge patch (RFC 7386) between two statuses. */
import { deepEqual, type Fields, isAbsent, isFields, setOwn } from "../kube/json.ts";

/**
 * What to send so that `before` becomes `after`: only the fields that differ, null for those to remove, lists as a whole. Undefined when
 * nothing differs. Null, undefined and missing mean the same, as they do in a merge patch.
 */
export function statusPatch(before: unknown, after: unknown): Fields | undefined {
  const from = isFields(before) ? before : {};
  const to = isFields(after) ? after : {};
  const patch: Record<string, unknown> = {};
  let differs = false;
  for (const key of Object.keys(to)) {
    const change = fieldChange(Object.hasOwn(from, key) ? from[key] : undefined, to[key]);
    if (change === undefined) continue;
    setOwn(patch, key, change);
    differs = true;
  }
  for (const key of Object.keys(from)) {
    if (isAbsent(from[key]) || Object.hasOwn(to, key)) continue;
    setOwn(patch, key, null);
    differs = true;
  }
  return differs ? patch : undefined;
}

function fieldChange(from: unknown, to: unknown): unknown {
  if (isAbsent(to)) return isAbsent(from) ? undefined : null;
  if (isFields(to) && isFields(from)) return statusPatch(from, to);
  return deepEqual(from, to) ? undefined : to;
}
