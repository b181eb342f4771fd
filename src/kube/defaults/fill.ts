/** The small moves that defaulting is made of. All share what they do not change. */
import { type Fields, isAbsent, isFields, mapShared, withFields } from "../json.ts";

/** What a Go field that is no pointer holds when nobody set it. */
export function isZero(value: unknown): boolean {
  return value === undefined || value === null || value === "" || value === 0 || value === false;
}

function fillWhere(object: Fields, defaults: Fields, isMissing: (value: unknown) => boolean): Fields {
  let changes: Record<string, unknown> | undefined;
  for (const field of Object.keys(defaults)) {
    if (!isMissing(object[field])) continue;
    changes ??= {};
    changes[field] = defaults[field];
  }
  return changes === undefined ? object : withFields(object, changes);
}

/** Sets the fields that are missing or zero. */
export function fillZero(object: Fields, defaults: Fields): Fields {
  return fillWhere(object, defaults, isZero);
}

/** Sets the fields that are missing or null: zero was somebody's choice. */
export function fillAbsent(object: Fields, defaults: Fields): Fields {
  return fillWhere(object, defaults, isAbsent);
}

/** Changes the object in a field; anything else there stays as it is. */
export function inField(object: Fields, field: string, change: (child: Fields) => Fields): Fields {
  const child = object[field];
  if (!isFields(child)) return object;
  const changed = change(child);
  return changed === child ? object : withFields(object, { [field]: changed });
}

/** Changes the objects in a list field; anything else there stays as it is. */
export function inItems(object: Fields, field: string, change: (item: Fields) => Fields): Fields {
  const items = object[field];
  if (!Array.isArray(items)) return object;
  const changed = mapShared(items as readonly unknown[], (item) => (isFields(item) ? change(item) : item));
  return changed === items ? object : withFields(object, { [field]: changed });
}
