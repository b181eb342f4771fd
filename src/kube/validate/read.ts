/** Reading normalised objects: absent means the zero value of the field's type. */
import { type Fields, isFields, textOf } from "../json.ts";

export function text(object: Fields, field: string): string {
  return textOf(object[field]);
}

/** The text, or undefined when the pointer is not set. */
export function optionalText(object: Fields, field: string): string | undefined {
  const value = object[field];
  return typeof value === "string" ? value : undefined;
}

export function integer(object: Fields, field: string): number {
  return optionalInteger(object, field) ?? 0;
}

export function optionalInteger(object: Fields, field: string): number | undefined {
  const value = object[field];
  return typeof value === "number" ? value : undefined;
}

export function child(object: Fields, field: string): Fields | undefined {
  const value = object[field];
  return isFields(value) ? value : undefined;
}

export function children(object: Fields, field: string): readonly Fields[] {
  const value = object[field];
  return Array.isArray(value) ? value.map((item) => (isFields(item) ? item : {})) : [];
}

export function texts(object: Fields, field: string): readonly string[] {
  const value = object[field];
  return Array.isArray(value) ? value.map(textOf) : [];
}

/** A map from text to text, in the order of its keys. */
export function textEntries(object: Fields, field: string): readonly (readonly [string, string])[] {
  const map = child(object, field) ?? {};
  return Object.keys(map)
    .sort()
    .map((key) => [key, textOf(map[key])] as const);
}
