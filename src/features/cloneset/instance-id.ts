/** Instance ids: the part of a pod's name that tells it from its siblings, shared with its claims. */

/** Kubernetes' alphabet for generated names: no vowels, so no words; no digits that look like letters. */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";
const idLength = 5; // characters; 14 million ids
const drawsMax = 1000; // for one id; a workload with half of all ids in use still finds one in a few

/**
 * Fresh ids from a seed: the same seed gives the same ids.
 * @param isTaken ids that are in use; those drawn are never drawn again
 */
export function freshIds(seed: number, count: number, isTaken: (id: string) => boolean): string[] {
  const random = generator(seed);
  const drawn = new Set<string>();
  for (let draws = 0; drawn.size < count && draws < count + drawsMax; draws++) {
    let id = "";
    for (let position = 0; position < idLength; position++) id += alphabet[Math.floor(random() * alphabet.length)];
    if (!isTaken(id)) drawn.add(id);
  }
  return [...drawn];
}

/** Mulberry32: small, fast, and well spread over 32 bits. */
function generator(seed: number): () => number {
  let state = Math.floor(seed * 2 ** 32) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
