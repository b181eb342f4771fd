/**
 * JSON as it comes off the wire, and the few helpers that everything pure in this room leans on. Values are never trusted to have the
 * shape their field promises: whoever reads them asks first.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };
/** Any JSON object, or any typed object of the API: fields are read by name and asked for their type. */
export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value's fields, or none when it is not an object. */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : noFields;
}
const noFields: Fields = Object.freeze({});

/** The value's items, or none when it is not an array. */
export function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : noItems;
}
const noItems: readonly unknown[] = Object.freeze([]);

/** The text, or "" when it is not a string: what a Go string field would hold. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Missing and null mean the same on the wire. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

export function hasOwn(object: object, key: string): boolean {
  return Object.hasOwn(object, key);
}

/** Sets an own property whatever its name: a plain assignment of "__proto__" would change the prototype instead. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  else target[key] = value;
}

/** An own property, never an inherited one. */
export function getOwn(object: Fields, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** A shallow copy with some fields set; fields given as undefined are removed. The same object when nothing would change. */
export function withFields<T extends object>(object: T, changes: Fields): T {
  let copy: Record<string, unknown> | undefined;
  const source: Record<string, unknown> = object as Record<string, unknown>;
  for (const key of Object.keys(changes)) {
    const value = changes[key];
    if (value === undefined ? !Object.hasOwn(source, key) : Object.hasOwn(source, key) && source[key] === value) continue;
    copy ??= { ...source };
    if (value === undefined) delete copy[key];
    else setOwn(copy, key, value);
  }
  return (copy ?? object) as T;
}

/** Applies `change` to each item; the same array when every item came back unchanged. */
export function mapShared<T>(items: readonly T[], change: (item: T, index: number) => T): readonly T[] {
  let copy: T[] | undefined;
  for (let index = 0; index < items.length; index += 1) {
    const before = items[index] as T;
    const after = change(before, index);
    if (after === before) continue;
    copy ??= [...items];
    copy[index] = after;
  }
  return copy ?? items;
}

/** Equal as JSON: key order does not matter, a field set to undefined is a missing one, and null is not missing. */
export function deepEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Number.isNaN(a) && Number.isNaN(b);
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => deepEqual(item, b[index]));
  if (Array.isArray(b)) return false;
  return equalFields(a as Fields, b as Fields);
}

function equalFields(a: Fields, b: Fields): boolean {
  let known = 0;
  for (const key of Object.keys(a)) {
    const value = a[key];
    if (value === undefined) continue;
    known += 1;
    if (!Object.hasOwn(b, key) || !deepEqual(value, b[key])) return false;
  }
  let others = 0;
  for (const key of Object.keys(b)) if (b[key] !== undefined) others += 1;
  return known === others;
}

const beyondAscii = /[\u0080-\uffff]/;
const outsideBasicOrder = /[\ud800-\uffff]/;

/** Orders strings by their UTF-8 bytes. JavaScript's own order differs for characters beyond U+FFFF. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    let x = a.charCodeAt(index);
    let y = b.charCodeAt(index);
    if (x === y) continue;
    // Surrogates stand for characters beyond U+FFFF, so they sort above U+E000…U+FFFF.
    if (x >= 0xd800 && y >= 0xd800) {
      x = x >= 0xe000 ? x - 0x2000 : x + 0x2000;
      y = y >= 0xe000 ? y - 0x2000 : y + 0x2000;
    }
    return x - y;
  }
  return a.length - b.length;
}

/** An object's keys, without those set to undefined, in the order of their UTF-8 bytes. */
export function sortedKeys(object: Fields): string[] {
  const keys = Object.keys(object);
  let kept = 0;
  for (const key of keys) {
    if (object[key] === undefined) continue;
    keys[kept] = key;
    kept += 1;
  }
  keys.length = kept;
  return sortUtf8(keys);
}

/** The texts, in place, in the order of their UTF-8 bytes. */
export function sortUtf8(texts: string[]): string[] {
  if (texts.length < 2) return texts;
  for (const text of texts) if (outsideBasicOrder.test(text)) return texts.sort(compareUtf8);
  return texts.sort();
}

const encoder = new TextEncoder();

/** How many bytes a text has as UTF-8. */
export function utf8Length(text: string): number {
  return beyondAscii.test(text) ? encoder.encode(text).length : text.length;
}

export function utf8Bytes(text: string): Uint8Array {
  return encoder.encode(text);
}
