/** JSON patches (RFC 6902): what admission answers, and writes with a precondition, are made of. */
import { deepEqual, type Fields, isFields, setOwn, sortUtf8 } from "../json.ts";
import { jsonOf } from "../kept-text.ts";

export type JsonPatchOperation =
  | { readonly op: "add" | "replace" | "test"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "move" | "copy"; readonly from: string; readonly path: string };

export type JsonPatched = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string };

export const limits = {
  jsonPatchOperationsMax: 10_000, // as the API server has it
} as const;

export function escapePointer(key: string): string {
  const tilded = key.includes("~") ? key.replaceAll("~", "~0") : key;
  return tilded.includes("/") ? tilded.replaceAll("/", "~1") : tilded;
}

export function unescapePointer(part: string): string {
  return part.replaceAll("~1", "/").replaceAll("~0", "~");
}

/** `pointer("metadata", "labels", "a/b")` → "/metadata/labels/a~1b" */
export function pointer(...path: readonly (string | number)[]): string {
  return path.map((part) => `/${escapePointer(String(part))}`).join("");
}

/** The keys of a pointer; undefined when it is none. */
export function splitPointer(path: string): readonly string[] | undefined {
  if (path === "") return [];
  return path.startsWith("/") ? path.slice(1).split("/").map(unescapePointer) : undefined;
}

/** Why a patch does not fit. Never leaves this file. */
class Misfit extends Error {}

/**
 * @param document not changed; what the patch leaves alone is shared with the result
 * @returns not ok when an operation does not fit or a test fails; then nothing of the patch counts
 */
export function applyJsonPatch(document: unknown, patch: readonly JsonPatchOperation[]): JsonPatched {
  if (patch.length > limits.jsonPatchOperationsMax)
    return { ok: false, problem: `the patch has more than ${limits.jsonPatchOperationsMax} operations` };
  let value = document;
  try {
    for (const operation of patch) value = applyOne(value, operation);
  } catch (error) {
    if (error instanceof Misfit) return { ok: false, problem: error.message };
    throw error;
  }
  return { ok: true, value };
}

function keysOf(path: unknown): readonly string[] {
  const keys = typeof path === "string" ? splitPointer(path) : undefined;
  if (keys === undefined) throw new Misfit(`not a JSON pointer: ${JSON.stringify(path)}`);
  return keys;
}

function applyOne(document: unknown, operation: JsonPatchOperation): unknown {
  const keys = keysOf(operation.path);
  switch (operation.op) {
    case "add":
      return insert(document, keys, 0, operation.value);
    case "replace":
      valueAt(document, keys);
      return replaceAt(document, keys, 0, operation.value);
    case "remove":
      valueAt(document, keys);
      return remove(document, keys, 0);
    case "test":
      if (!deepEqual(valueAt(document, keys), operation.value)) throw new Misfit(`test failed: ${operation.path} has another value`);
      return document;
    case "copy":
      return insert(document, keys, 0, valueAt(document, keysOf(operation.from)));
    case "move": {
      const from = keysOf(operation.from);
      if (keys.length > from.length && from.every((key, index) => key === keys[index]))
        throw new Misfit(`cannot move ${operation.from} into itself`);
      const value = valueAt(document, from);
      return insert(remove(document, from, 0), keys, 0, value);
    }
    default:
      throw new Misfit(`unknown operation ${JSON.stringify((operation as Fields)["op"])}`);
  }
}

function indexIn(list: readonly unknown[], key: string, lengthMax: number): number {
  const index = /^(?:0|[1-9]\d{0,8})$/.test(key) ? Number(key) : -1;
  if (index < 0 || index > lengthMax) throw new Misfit(`no index ${JSON.stringify(key)} in a list of ${list.length}`);
  return index;
}

function valueAt(document: unknown, keys: readonly string[]): unknown {
  let value = document;
  for (const key of keys) value = childOf(value, key);
  return value;
}

function childOf(value: unknown, key: string): unknown {
  if (Array.isArray(value)) return value[indexIn(value, key, value.length - 1)];
  if (!isFields(value) || !Object.hasOwn(value, key) || value[key] === undefined) throw new Misfit(`no value at ${JSON.stringify(key)}`);
  return value[key];
}

/** A copy of the container with its child at `key` exchanged. */
function withChild(container: unknown, key: string, child: unknown): unknown {
  if (Array.isArray(container)) {
    const copy = [...container];
    copy[indexIn(container, key, container.length - 1)] = child;
    return copy;
  }
  const copy: Record<string, unknown> = { ...(container as Fields) };
  setOwn(copy, key, child);
  return copy;
}

function replaceAt(document: unknown, keys: readonly string[], depth: number, value: unknown): unknown {
  if (depth === keys.length) return value;
  const key = keys[depth] as string;
  return withChild(document, key, replaceAt(childOf(document, key), keys, depth + 1, value));
}

function insert(document: unknown, keys: readonly string[], depth: number, value: unknown): unknown {
  if (depth === keys.length) return value;
  const key = keys[depth] as string;
  if (depth < keys.length - 1) return withChild(document, key, insert(childOf(document, key), keys, depth + 1, value));
  if (Array.isArray(document)) {
    const index = key === "-" ? document.length : indexIn(document, key, document.length);
    return [...document.slice(0, index), value, ...document.slice(index)];
  }
  if (!isFields(document)) throw new Misfit(`nothing can be added at ${JSON.stringify(key)}: not an object or list`);
  return withChild(document, key, value);
}

function remove(document: unknown, keys: readonly string[], depth: number): unknown {
  const key = keys[depth];
  if (key === undefined) return null;
  if (depth < keys.length - 1) return withChild(document, key, remove(childOf(document, key), keys, depth + 1));
  if (Array.isArray(document)) {
    const index = indexIn(document, key, document.length - 1);
    return [...document.slice(0, index), ...document.slice(index + 1)];
  }
  const copy: Record<string, unknown> = { ...(document as Fields) };
  delete copy[key];
  return copy;
}

/** As JSON. */
export function jsonPatchText(patch: readonly JsonPatchOperation[]): string {
  let text = "";
  for (const operation of patch) text += `${text === "" ? "[" : ","}${operationText(operation)}`;
  return text === "" ? "[]" : `${text}]`;
}

function operationText(operation: JsonPatchOperation): string {
  if (!("value" in operation) || operation.value === undefined) return JSON.stringify(operation);
  return `{"op":"${operation.op}","path":${JSON.stringify(operation.path)},"value":${jsonOf(operation.value)}}`;
}

/** Operations that turn `from` into `to`: few, though not always the fewest. */
export function jsonPatchOf(from: unknown, to: unknown): JsonPatchOperation[] {
  const operations: JsonPatchOperation[] = [];
  compare(from, to, "", operations);
  return operations;
}

/** What is the same object on both sides, as most of it is, is not looked into. */
function compare(from: unknown, to: unknown, path: string, operations: JsonPatchOperation[]): void {
  if (from === to) return;
  if (Array.isArray(from) && Array.isArray(to)) compareLists(from, to, path, operations);
  else if (isFields(from) && isFields(to)) compareFields(from, to, path, operations);
  else if (!deepEqual(from, to)) operations.push({ op: "replace", path, value: to });
}

function compareFields(from: Fields, to: Fields, path: string, operations: JsonPatchOperation[]): void {
  const before: string[] = [];
  for (const key of Object.keys(from)) if (from[key] !== to[key] && from[key] !== undefined) before.push(key);
  for (const key of sortUtf8(before)) {
    const childPath = `${path}/${escapePointer(key)}`;
    if (!Object.hasOwn(to, key) || to[key] === undefined) operations.push({ op: "remove", path: childPath });
    else compare(from[key], to[key], childPath, operations);
  }
  const added: string[] = [];
  for (const key of Object.keys(to))
    if (from[key] !== to[key] && to[key] !== undefined && (from[key] === undefined || !Object.hasOwn(from, key))) added.push(key);
  for (const key of sortUtf8(added)) operations.push({ op: "add", path: `${path}/${escapePointer(key)}`, value: to[key] });
}

function compareLists(from: readonly unknown[], to: readonly unknown[], path: string, operations: JsonPatchOperation[]): void {
  let start = 0;
  while (start < from.length && start < to.length && deepEqual(from[start], to[start])) start += 1;
  let fromEnd = from.length;
  let toEnd = to.length;
  while (fromEnd > start && toEnd > start && deepEqual(from[fromEnd - 1], to[toEnd - 1])) {
    fromEnd -= 1;
    toEnd -= 1;
  }
  const common = Math.min(fromEnd, toEnd);
  for (let index = start; index < common; index += 1) compare(from[index], to[index], `${path}/${index}`, operations);
  // From the back, so that the indexes of those still to go stay right.
  for (let index = fromEnd - 1; index >= common; index -= 1) operations.push({ op: "remove", path: `${path}/${index}` });
  for (let index = common; index < toEnd; index += 1) operations.push({ op: "add", path: `${path}/${index}`, value: to[index] });
}
