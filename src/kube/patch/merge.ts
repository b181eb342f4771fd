/** JSON merge patches (RFC 7386): objects are merged, null removes, everything else replaces. */
import { deepEqual, type Fields, isFields, setOwn } from "../json.ts";

/** The patched value; parts that the patch leaves alone are shared with `target`. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const result: Record<string, unknown> = { ...(isFields(target) ? target : {}) };
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === undefined) continue;
    if (value === null) delete result[key];
    else setOwn(result, key, applyMergePatch(Object.hasOwn(result, key) ? result[key] : undefined, value));
  }
  return result;
}

/**
 * The smallest patch that turns `from` into `to`; undefined when there is nothing to do.
 * A null inside an object of `to` cannot be said by a merge patch: the field is removed instead.
 */
export function mergePatchOf(from: unknown, to: unknown): unknown {
  if (deepEqual(from, to)) return undefined;
  if (!isFields(from) || !isFields(to)) return to;
  return fieldsPatch(from, to);
}

function fieldsPatch(from: Fields, to: Fields): Fields {
  const patch: Record<string, unknown> = {};
  for (const key of Object.keys(from))
    if (from[key] !== undefined && (!Object.hasOwn(to, key) || to[key] === undefined)) setOwn(patch, key, null);
  for (const key of Object.keys(to)) {
    const value = to[key];
    if (value === undefined) continue;
    const before = Object.hasOwn(from, key) ? from[key] : undefined;
    const change = before === undefined ? value : mergePatchOf(before, value);
    if (change !== undefined) setOwn(patch, key, change);
  }
  return patch;
}
