/** The difference between two JSON documents as OpenKruise sees it: which operations there are decides what may be updated in place. */
import { deepEqual, type Fields, isFields } from "../../kube/json.ts";

export interface Operation {
  readonly op: "add" | "remove" | "replace";
  /** Keys and indexes from the root, unescaped. */
  readonly path: readonly string[];
  /** What it becomes; absent for `remove`. */
  readonly value?: unknown;
}

/**
 * Objects by key. Lists by index when any element holds further lists or objects (containers always do); other lists are one operation,
 * since nothing inside them may change in place. A value that changes its JSON type is replaced as a whole.
 */
export function diff(before: unknown, after: unknown): readonly Operation[] {
  const operations: Operation[] = [];
  compare(before, after, [], operations);
  return operations;
}

function compare(before: unknown, after: unknown, path: readonly string[], out: Operation[]): void {
  if (isFields(before) && isFields(after)) compareFields(before, after, path, out);
  else if (Array.isArray(before) && Array.isArray(after)) compareLists(before, after, path, out);
  else if (!deepEqual(before, after)) out.push({ op: before === null ? "add" : "replace", path, value: after });
}

function compareFields(before: Fields, after: Fields, path: readonly string[], out: Operation[]): void {
  for (const key of Object.keys(after)) {
    if (Object.hasOwn(before, key)) compare(before[key], after[key], [...path, key], out);
    else out.push({ op: "add", path: [...path, key], value: after[key] });
  }
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) out.push({ op: "remove", path: [...path, key] });
}

function compareLists(before: readonly unknown[], after: readonly unknown[], path: readonly string[], out: Operation[]): void {
  if (![...before, ...after].some(isNested)) {
    if (!deepEqual(before, after)) out.push({ op: "replace", path, value: after });
    return;
  }
  const common = Math.min(before.length, after.length);
  for (let index = 0; index < common; index += 1) compare(before[index], after[index], [...path, String(index)], out);
  for (let index = common; index < before.length; index += 1) out.push({ op: "remove", path: [...path, String(index)] });
  for (let index = common; index < after.length; index += 1) out.push({ op: "add", path: [...path, String(index)], value: after[index] });
}

function isNested(item: unknown): boolean {
  if (typeof item !== "object" || item === null) return false;
  return Object.values(item).some((value) => typeof value === "object" && value !== null);
}
