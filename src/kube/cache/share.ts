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
  if (next === previous) return previous as T;
  if (typeof next !== "object" || typeof previous !== "object" || next === null || previous === null) return next;
  if (Array.isArray(next)) {
    return Array.isArray(previous) ? (shareArray(next, previous) as T) : next;
  }
  if (Array.isArray(previous)) return next;
  return shareObject(next as JsonObject, previous as JsonObject) as T;
}

type JsonObject = Record<string, unknown>;

function shareArray(next: unknown[], previous: readonly unknown[]): readonly unknown[] {
  let equal = next.length === previous.length;
  const common = Math.min(next.length, previous.length);
  for (let index = 0; index < common; index += 1) {
    const shared = share(next[index], previous[index]);
    next[index] = shared;
    if (shared !== previous[index]) equal = false;
  }
  return equal ? previous : next;
}

function shareObject(next: JsonObject, previous: JsonObject): JsonObject {
  let equal = true;
  let count = 0;
  for (const key in next) {
    count += 1;
    const value = next[key];
    const other = previous[key];
    if (value === other) {
      // Equal text is still two strings in memory until one of them is let go.
      if (typeof value === "string") next[key] = other;
      continue;
    }
    if (typeof value === "object" && typeof other === "object") {
      const shared = share(value, other);
      if (shared !== value) next[key] = shared;
      if (shared === other) continue;
    }
    equal = false;
  }
  if (!equal) return next;
  for (const _ in previous) count -= 1;
  return count === 0 ? previous : next;
}
