/** JSON of objects that are written time and again, kept as long as they live. */

const texts = new WeakMap<object, string>();

/**
 * From now on `jsonOf` knows its text.
 * @param object never changes
 */
export function keepText<T extends object>(object: T): T {
  if (!texts.has(object)) texts.set(object, JSON.stringify(object));
  return object;
}

/** `JSON.stringify` of anything that is not undefined. */
export function jsonOf(value: unknown): string {
  return (typeof value === "object" && value !== null ? texts.get(value) : undefined) ?? JSON.stringify(value);
}
