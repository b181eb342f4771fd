/**
 * Kubernetes' strategic merge patch: a merge patch that knows which lists have keys. Applying does what the API server does; making
 * one gives the patch that Kubernetes' own clients would send.
 */
import { deepEqual, type Fields, isAbsent, isFields, setOwn } from "../json.ts";
import { type PatchField, type PatchSchema, type PatchType, type PatchTypeName, patchField } from "./strategic-schema.ts";

export type StrategicPatched<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

const directive = "$patch";
const retainKeys = "$retainKeys";
const deleteList = "$deleteFromPrimitiveList/";
const elementOrder = "$setElementOrder/";

/** Why a patch cannot be applied. Never leaves this file. */
class Unusable extends Error {}

/**
 * @param type of `original`; it decides how lists merge
 * @param original not changed; what the patch leaves alone is shared with the result
 * @returns not ok when the patch itself is wrong: a list item without its key, an unknown directive
 */
export function applyStrategicPatch<T extends object>(type: PatchTypeName | PatchSchema, original: T, patch: unknown): StrategicPatched<T> {
  if (!isFields(patch)) return { ok: false, problem: "a strategic merge patch must be an object" };
  try {
    return { ok: true, value: mergeObject(type, original as Fields, patch) as T };
  } catch (error) {
    if (error instanceof Unusable) return { ok: false, problem: error.message };
    throw error;
  }
}

function mergeObject(type: PatchType, original: Fields, patch: Fields): Fields {
  switch (patch[directive]) {
    case undefined:
    case "merge":
      break;
    case "replace": {
      const { [directive]: _, ...content } = patch;
      return content;
    }
    case "delete":
      return {};
    default:
      throw new Unusable(`unknown patch directive ${JSON.stringify(patch[directive])}`);
  }
  const result: Record<string, unknown> = { ...original };
  retain(result, patch);
  for (const key of Object.keys(patch)) if (key.startsWith(elementOrder)) orderList(type, result, patch, key.slice(elementOrder.length));
  for (const key of Object.keys(patch)) if (key.startsWith(deleteList)) deleteScalars(result, key.slice(deleteList.length), patch[key]);
  for (const key of Object.keys(patch)) {
    if (key === directive || key === retainKeys || key.startsWith(deleteList) || key.startsWith(elementOrder)) continue;
    if (!Object.hasOwn(patch, elementOrder + key)) mergeField(type, result, key, patch[key]);
  }
  return result;
}

function mergeField(type: PatchType, result: Record<string, unknown>, key: string, value: unknown): void {
  if (value === undefined) return;
  if (value === null) {
    delete result[key];
    return;
  }
  const before = Object.hasOwn(result, key) ? result[key] : undefined;
  const field = patchField(type, key);
  if (isFields(before) && isFields(value)) setOwn(result, key, mergeObject(field.typeName, before, value));
  else if (Array.isArray(before) && Array.isArray(value)) setOwn(result, key, mergeList(field, before, value));
  else {
    const clean = withoutDirectives(value);
    if (clean !== undefined) setOwn(result, key, clean);
    else if (before !== undefined) delete result[key];
  }
}

/** A value that enters as it is: without directives, and without nulls, which only say that something is not there. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return withoutListDirectives(value).map(withoutDirectives);
  if (!isFields(value)) return value;
  if (Object.hasOwn(value, directive)) {
    const { [directive]: action, ...content } = value;
    return action === "delete" ? undefined : withoutDirectives(content);
  }
  const clean: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (isAbsent(value[key]) || key === retainKeys || key.startsWith(deleteList) || key.startsWith(elementOrder)) continue;
    const child = withoutDirectives(value[key]);
    if (child !== undefined) setOwn(clean, key, child);
  }
  return clean;
}

function retain(result: Record<string, unknown>, patch: Fields): void {
  const kept = patch[retainKeys];
  if (kept === undefined) return;
  if (!Array.isArray(kept)) throw new Unusable("$retainKeys must be a list of field names");
  const names = new Set<unknown>(kept);
  for (const key of Object.keys(patch)) {
    const special = key === retainKeys || key === directive || key.startsWith(deleteList) || key.startsWith(elementOrder);
    if (!special && !isAbsent(patch[key]) && !names.has(key)) throw new Unusable(`${key} is in the patch but not in its $retainKeys`);
  }
  for (const key of Object.keys(result)) if (!names.has(key)) delete result[key];
}

function deleteScalars(result: Record<string, unknown>, key: string, gone: unknown): void {
  if (!Array.isArray(gone)) throw new Unusable(`${deleteList}${key} must be a list`);
  const list = result[key];
  if (!Array.isArray(list)) return;
  result[key] = list.filter((item) => !gone.includes(item));
}

/** Merges a list that comes with the wanted order of its items. */
function orderList(type: PatchType, result: Record<string, unknown>, patch: Fields, key: string): void {
  const order = patch[elementOrder + key];
  if (!Array.isArray(order)) throw new Unusable(`${elementOrder}${key} must be a list`);
  const field = patchField(type, key);
  const before = Object.hasOwn(result, key) ? result[key] : undefined;
  const change = Object.hasOwn(patch, key) ? patch[key] : undefined;
  if (isAbsent(before) && isAbsent(change)) return;
  if (!isAbsent(before) && !Array.isArray(before)) throw new Unusable(`${key} is not a list`);
  if (!isAbsent(change) && !Array.isArray(change)) throw new Unusable(`${key} must be a list in the patch`);
  const list = (before ?? []) as readonly unknown[];
  if (change !== null && change !== undefined) checkOrder(field, key, change as readonly unknown[], order);
  const merged = isAbsent(change) ? list : mergeItems(field, list, change as readonly unknown[]).merged;
  setOwn(result, key, arranged(field, merged, order, list));
}

/** The patch may only hold items that its own order knows, in that order. */
function checkOrder(field: PatchField, key: string, change: readonly unknown[], order: readonly unknown[]): void {
  let at = 0;
  for (const item of change) {
    if (isFields(item) && Object.hasOwn(item, directive)) continue;
    const found = order.findIndex((entry, index) => index >= at && sameItem(field, entry, item));
    if (found < 0) throw new Unusable(`the order of ${key} in the patch does not match its ${elementOrder}${key}`);
    at = found;
  }
}

function mergeList(field: PatchField, before: readonly unknown[], change: readonly unknown[]): readonly unknown[] {
  if (field.mergeKey === undefined)
    return change.some((item) => isFields(item) && Object.hasOwn(item, directive)) ? withoutListDirectives(change) : change;
  const { merged, base, items } = mergeItems(field, before, change);
  return merged === items ? items : arranged(field, merged, items, base);
}

function withoutListDirectives(change: readonly unknown[]): readonly unknown[] {
  return change.filter((item) => !(isFields(item) && Object.hasOwn(item, directive)));
}

interface MergedItems {
  readonly merged: readonly unknown[];
  /** What the patch was merged into, after its own deletions. */
  readonly base: readonly unknown[];
  /** The patch without its directives. */
  readonly items: readonly unknown[];
}

function mergeItems(field: PatchField, before: readonly unknown[], change: readonly unknown[]): MergedItems {
  if (field.mergeKey === undefined) return { merged: change, base: [], items: change };
  if (field.mergeKey === "" || ![...before, ...change].some(isFields)) {
    return { merged: [...new Set([...before, ...change])], base: before, items: change };
  }
  const mergeKey = field.mergeKey;
  let base = before;
  let replaced = false;
  const items: Fields[] = [];
  for (const item of change) {
    if (!isFields(item)) throw new Unusable(`a list merged by ${mergeKey} has an item that is not an object`);
    const action = item[directive];
    if (action === "delete") {
      keyOf(item, mergeKey);
      base = base.filter((entry) => !sameItem(field, entry, item));
    } else if (action === "replace") replaced = true;
    else if (action === undefined || action === "merge") items.push(item);
    else throw new Unusable(`unknown patch directive ${JSON.stringify(action)}`);
  }
  if (replaced) return { merged: items, base: items, items };
  const merged = [...base];
  for (const item of items) {
    keyOf(item, mergeKey);
    const at = merged.findIndex((entry) => sameItem(field, entry, item));
    const found = merged[at];
    if (isFields(found)) merged[at] = mergeObject(field.typeName, found, item);
    else merged.push(withoutDirectives(item));
  }
  return { merged, base, items };
}

function keyOf(item: Fields, mergeKey: string): unknown {
  if (!Object.hasOwn(item, mergeKey)) throw new Unusable(`an item of a list merged by ${mergeKey} lacks its ${mergeKey}`);
  return item[mergeKey];
}

function sameItem({ mergeKey }: PatchField, a: unknown, b: unknown): boolean {
  if (mergeKey === undefined || mergeKey === "" || !isFields(a) || !isFields(b)) return a === b;
  return Object.hasOwn(a, mergeKey) && Object.hasOwn(b, mergeKey) && a[mergeKey] === b[mergeKey];
}

/** Items that the patch orders, in its order; the others keep theirs, and stay before those that stood behind them. */
function arranged(
  field: PatchField,
  merged: readonly unknown[],
  order: readonly unknown[],
  before: readonly unknown[],
): readonly unknown[] {
  const place = (list: readonly unknown[], item: unknown): number => list.findIndex((entry) => sameItem(field, entry, item));
  const ordered = merged.filter((item) => place(order, item) >= 0).sort((a, b) => place(order, a) - place(order, b));
  const others = merged.filter((item) => place(order, item) < 0).sort((a, b) => place(before, a) - place(before, b));
  const result: unknown[] = [];
  let at = 0;
  for (const item of others) {
    const own = place(before, item);
    while (at < ordered.length) {
      const next = place(before, ordered[at]);
      if (own >= 0 && next >= 0 && own < next) break;
      result.push(ordered[at]);
      at += 1;
    }
    result.push(item);
  }
  return [...result, ...ordered.slice(at)];
}

/**
 * The patch that turns `from` into `to`, as Kubernetes' clients make it; empty when they are equal.
 * Written with sorted keys (canonical/encode.ts, `encodeRaw`) it has the same bytes as theirs. A field that is null in `to` is removed.
 */
export function strategicPatchOf(type: PatchTypeName, from: object, to: object): Fields {
  return diffObject(type, from as Fields, to as Fields, false);
}

function diffObject(type: PatchType, from: Fields, to: Fields, retaining: boolean): Fields {
  const patch: Record<string, unknown> = {};
  let dropped = false;
  for (const key of Object.keys(from)) {
    const before = from[key];
    if (before === undefined) continue;
    const after = Object.hasOwn(to, key) ? to[key] : undefined;
    if (after === undefined) {
      dropped = true;
      setOwn(patch, key, null);
    } else diffField(type, patch, key, before, after);
  }
  const names = Object.keys(to).filter((key) => to[key] !== undefined);
  for (const key of names) if (!Object.hasOwn(from, key) || from[key] === undefined) setOwn(patch, key, to[key]);
  if (retaining && names.length > 0 && (Object.keys(patch).length > 0 || dropped)) patch[retainKeys] = names.sort();
  return patch;
}

function diffField(type: PatchType, patch: Record<string, unknown>, key: string, before: unknown, after: unknown): void {
  if (deepEqual(before, after)) return;
  const field = patchField(type, key);
  if (isFields(before) && isFields(after)) {
    const change = diffObject(field.typeName, before, after, field.retainKeys);
    if (Object.keys(change).length > 0) setOwn(patch, key, change);
  } else if (Array.isArray(before) && Array.isArray(after) && field.mergeKey !== undefined) {
    if (field.mergeKey !== "") diffItems(field, field.mergeKey, patch, key, before, after);
    else if (before.length > 0) diffScalars(patch, key, before, after);
    else patch[key] = after;
  } else setOwn(patch, key, after);
}

function diffScalars(patch: Record<string, unknown>, key: string, before: readonly unknown[], after: readonly unknown[]): void {
  const added = after.filter((item) => !before.includes(item));
  const gone = [...new Set(before.filter((item) => !after.includes(item)))].sort();
  if (added.length > 0) patch[key] = added;
  if (gone.length > 0) patch[deleteList + key] = gone;
  if (after.length > 0) patch[elementOrder + key] = after;
}

/** Every item an object with a key of its own. */
function hasUniqueKeys(list: readonly unknown[], mergeKey: string): list is readonly Fields[] {
  const keys = new Set<unknown>();
  for (const item of list) {
    if (!isFields(item) || isAbsent(item[mergeKey])) return false;
    keys.add(item[mergeKey]);
  }
  return keys.size === list.length;
}

function diffItems(
  field: PatchField,
  mergeKey: string,
  patch: Record<string, unknown>,
  key: string,
  before: readonly unknown[],
  after: readonly unknown[],
): void {
  if (!hasUniqueKeys(before, mergeKey) || !hasUniqueKeys(after, mergeKey)) {
    // Two ports of one number and two protocols, say: items cannot be told apart by their key, so the list goes as a whole.
    patch[key] = [{ [directive]: "replace" }, ...after];
    return;
  }
  if (before.length === 0) {
    patch[key] = after;
    return;
  }
  const earlier = new Map(before.map((item) => [item[mergeKey], item]));
  const later = new Set(after.map((item) => item[mergeKey]));
  const changes: Fields[] = [];
  for (const item of after) {
    const old = earlier.get(item[mergeKey]);
    const change = old === undefined ? item : diffObject(field.typeName, old, item, field.retainKeys);
    if (old === undefined) changes.push(item);
    else if (Object.keys(change).length > 0) changes.push({ ...change, [mergeKey]: item[mergeKey] });
  }
  const gone = before
    .map((item) => item[mergeKey])
    .filter((value) => !later.has(value))
    .sort();
  const list = [...changes, ...gone.map((value) => ({ [directive]: "delete", [mergeKey]: value }))];
  if (list.length > 0) patch[key] = list;
  if (after.length > 0) patch[elementOrder + key] = after.map((item) => ({ [mergeKey]: item[mergeKey] }));
}
