/** Work that can rest: others get their turn at each `yield`. What it looks at must stay as it is meanwhile. */
export type Parts<T> = Generator<undefined, T, undefined>;

/** Where nobody waits. */
export function atOnce<T>(parts: Parts<T>): T {
  for (;;) {
    const part = parts.next();
    if (part.done) return part.value;
  }
}
