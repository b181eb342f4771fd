/** Objects as sets of fields: which fields an object has, what differs between two, and how one is merged into another. */
import { deepEqual, type Fields, fieldsOf, isFields, setOwn, sortedKeys } from "../../kube/json.ts";
import type { Schema } from "../schema/schema.ts";
import { anySchema } from "../schema/schema.ts";
import { emptySet, type FieldSet, leaf, node } from "./set.ts";

/** How a field of an object or map is typed, and whether the schema names it. */
function fieldSchema(schema: Schema, name: string): { readonly schema: Schema; readonly named: boolean } {
  const named = schema.properties?.get(name);
  return { schema: named ?? schema.items ?? anySchema, named: named !== undefined };
}

const isGranularObject = (schema: Schema, value: unknown): value is Fields =>
  isFields(value) && schema.atomic !== true && (schema.type === "object" || schema.type === "map" || schema.type === "any");

const isGranularList = (schema: Schema, value: unknown): value is readonly unknown[] =>
  Array.isArray(value) && (schema.listType === "map" || schema.listType === "set");

/** The path element of a list's item. */
function itemElement(schema: Schema, item: unknown): string {
  if (schema.listType === "set") return `v:${JSON.stringify(item)}`;
  const fields = fieldsOf(item);
  const keys = [...(schema.listKeys ?? [])].sort();
  const values: Record<string, unknown> = {};
  for (const key of keys) {
    const value = fields[key] ?? schema.items?.properties?.get(key)?.default;
    if (value !== undefined) values[key] = value;
  }
  return `k:${JSON.stringify(values)}`;
}

/** Every field that the value says something about. */
export function setOf(schema: Schema, value: unknown): FieldSet {
  if (isGranularObject(schema, value)) {
    const names = sortedKeys(value);
    if (names.length === 0) return leaf;
    return node(
      false,
      names.map((name) => {
        const field = fieldSchema(schema, name);
        const child = value[name];
        const set = setOf(field.schema, child);
        const isEmptyValue = child === null || (isFields(child) && Object.keys(child).length === 0);
        return [`f:${name}`, isEmptyValue || !field.named ? { member: true, children: set.children } : set] as const;
      }),
    );
  }
  if (isGranularList(schema, value) && value.length > 0)
    return node(
      false,
      value.map(
        (item) => [itemElement(schema, item), { member: true, children: setOf(schema.items ?? anySchema, item).children }] as const,
      ),
    );
  return leaf;
}

export interface Difference {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

const nothing: Difference = { added: emptySet, modified: emptySet, removed: emptySet };

export function compare(schema: Schema, before: unknown, after: unknown): Difference {
  if (before === after || deepEqual(before, after)) return nothing;
  if (before === undefined) return { ...nothing, added: setOf(schema, after) };
  if (after === undefined) return { ...nothing, removed: setOf(schema, before) };
  if (isGranularObject(schema, before) && isGranularObject(schema, after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return gather([...names].map((name) => [`f:${name}`, compareField(schema, name, before, after)] as const));
  }
  if (isGranularList(schema, before) && isGranularList(schema, after)) {
    const old = new Map(before.map((item) => [itemElement(schema, item), item]));
    const now = new Map(after.map((item) => [itemElement(schema, item), item]));
    const elements = new Set([...old.keys(), ...now.keys()]);
    return gather([...elements].map((element) => [element, compareItem(schema, old.get(element), now.get(element))] as const));
  }
  return { ...nothing, modified: leaf };
}

function compareField(schema: Schema, name: string, before: Fields, after: Fields): Difference {
  const difference = compare(fieldSchema(schema, name).schema, before[name], after[name]);
  if (before[name] === undefined && after[name] !== undefined) return { ...difference, added: { ...difference.added, member: true } };
  if (after[name] === undefined && before[name] !== undefined) return { ...difference, removed: { ...difference.removed, member: true } };
  return difference;
}

function compareItem(schema: Schema, before: unknown, after: unknown): Difference {
  const difference = compare(schema.items ?? anySchema, before, after);
  if (before === undefined) return { ...difference, added: { ...difference.added, member: true } };
  if (after === undefined) return { ...difference, removed: { ...difference.removed, member: true } };
  return difference;
}

function gather(parts: readonly (readonly [string, Difference])[]): Difference {
  const side = (name: keyof Difference) =>
    node(
      false,
      parts.map(([element, difference]) => [element, difference[name]] as const),
    );
  return { added: side("added"), modified: side("modified"), removed: side("removed") };
}

/** What `config` says, on top of `live`. */
export function merge(schema: Schema, live: unknown, config: unknown): unknown {
  if (config === undefined) return live;
  if (isGranularObject(schema, live) && isGranularObject(schema, config)) {
    const result: Record<string, unknown> = { ...live };
    for (const name of Object.keys(config)) setOwn(result, name, merge(fieldSchema(schema, name).schema, live[name], config[name]));
    return result;
  }
  if (isGranularList(schema, live) && isGranularList(schema, config)) return mergeItems(schema, live, config);
  return config;
}

/** Items of both: in the order of `config`, those that only `live` has where they stood. */
function mergeItems(schema: Schema, live: readonly unknown[], config: readonly unknown[]): readonly unknown[] {
  const old = new Map(live.map((item) => [itemElement(schema, item), item]));
  const wanted = new Map(config.map((item) => [itemElement(schema, item), item]));
  const result: unknown[] = [];
  const done = new Set<string>();
  const put = (element: string) => {
    if (done.has(element)) return;
    done.add(element);
    const item = wanted.get(element);
    result.push(item === undefined ? old.get(element) : merge(schema.items ?? anySchema, old.get(element), item));
  };
  const wantedOrder = [...wanted.keys()];
  let at = 0;
  for (const element of old.keys()) {
    if (!wanted.has(element)) {
      put(element);
      continue;
    }
    // Everything that config puts before this one comes first.
    const place = wantedOrder.indexOf(element);
    for (; at <= place; at += 1) if (!old.has(wantedOrder[at] as string) || at <= place) put(wantedOrder[at] as string);
  }
  for (; at < wantedOrder.length; at += 1) put(wantedOrder[at] as string);
  return result;
}

/** The value without the fields of `gone`. A list item goes as a whole when its own path is in it. */
export function removeFields(schema: Schema, value: unknown, gone: FieldSet): unknown {
  if (isGranularObject(schema, value)) {
    const result: Record<string, unknown> = { ...value };
    for (const [element, child] of gone.children) {
      const name = element.slice(2);
      if (!Object.hasOwn(result, name)) continue;
      const field = fieldSchema(schema, name).schema;
      const granular = isGranularObject(field, result[name]) || isGranularList(field, result[name]);
      if (child.member && (!granular || child.children.size === 0 || coversAll(setOf(field, result[name]), child))) delete result[name];
      else setOwn(result, name, removeFields(field, result[name], child));
    }
    return result;
  }
  if (isGranularList(schema, value)) {
    return value.flatMap((item) => {
      const child = gone.children.get(itemElement(schema, item));
      if (child === undefined) return [item];
      return child.member ? [] : [removeFields(schema.items ?? anySchema, item, child)];
    });
  }
  return value;
}

function coversAll(set: FieldSet, by: FieldSet): boolean {
  for (const [element, child] of set.children) {
    const other = by.children.get(element);
    if (other === undefined || !coversAll(child, other)) return false;
  }
  return true;
}
