/**
 * Memory that equal things share. A pod differs from its last version, and from its siblings, in few places; everything else need
 * exist once.
 */

/**
 * `next` with every subtree that equals the one of `previous` replaced by it, so that unchanged parts are the same reference:
 * `after.spec === before.spec` tells that the spec did not change. `next` itself is changed on the way and must not be used again.
 * @param next,previous JSON values
 */
export function share<T>(next: T, previous: unknown): T {
  return merged(next, previous) as T;
}

type JsonObject = Record<string, unknown>;

/** From the leaves up, so that each value is looked at once. */
function merged(next: unknown, previous: unknown): unknown {
  if (next === previous) return previous;
  if (typeof next !== "object" || typeof previous !== "object" || next === null || previous === null) return next;
  if (!Array.isArray(next)) return Array.isArray(previous) ? next : mergedFields(next as JsonObject, previous as JsonObject);
  return Array.isArray(previous) ? mergedItems(next, previous) : next;
}

function mergedItems(next: unknown[], previous: readonly unknown[]): readonly unknown[] {
  let same = next.length === previous.length;
  const common = Math.min(next.length, previous.length);
  for (let index = 0; index < common; index += 1) {
    const before = previous[index];
    const after = merged(next[index], before);
    if (after !== before) same = false;
    else next[index] = before;
  }
  return same ? previous : next;
}

function mergedFields(next: JsonObject, previous: JsonObject): JsonObject {
  let same = true;
  let count = 0;
  for (const key in next) {
    count += 1;
    const value = next[key];
    const before = previous[key];
    if (typeof value === "object" ? merged(value, before) !== before : value !== before) same = false;
    // Equal text is two strings in memory until one of them is let go.
    else if (typeof value === "object" || typeof value === "string") next[key] = before;
  }
  if (!same) return next;
  for (const _ in previous) count -= 1;
  return count === 0 ? previous : next;
}
