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
  // Comparing is cheap where it fails early, and where it does not, most often nothing needs to be written.
  if (equal(next, previous)) return previous as T;
  if (typeof next !== "object" || typeof previous !== "object" || next === null || previous === null) return next;
  if (Array.isArray(next) !== Array.isArray(previous)) return next;
  if (Array.isArray(next)) shareItems(next, previous as readonly unknown[]);
  else shareFields(next as JsonObject, previous as JsonObject);
  return next;
}

type JsonObject = Record<string, unknown>;

function shareItems(next: unknown[], previous: readonly unknown[]): void {
  const common = Math.min(next.length, previous.length);
  for (let index = 0; index < common; index += 1) next[index] = share(next[index], previous[index]);
}

function shareFields(next: JsonObject, previous: JsonObject): void {
  for (const key in next) {
    const value = next[key];
    const other = previous[key];
    if (typeof value === "object") next[key] = share(value, other);
    // Equal text is still two strings in memory until one of them is let go.
    else if (typeof value === "string" && value === other) next[key] = other;
  }
}

function equal(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one)) {
    if (!Array.isArray(other) || one.length !== other.length) return false;
    for (let index = 0; index < one.length; index += 1) if (!equal(one[index], other[index])) return false;
    return true;
  }
  if (Array.isArray(other)) return false;
  let count = 0;
  for (const key in one) {
    count += 1;
    if (!equal((one as JsonObject)[key], (other as JsonObject)[key])) return false;
  }
  for (const _ in other) count -= 1;
  return count === 0;
}
