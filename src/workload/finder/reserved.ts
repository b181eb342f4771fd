/** reserveOrdinals of an Advanced StatefulSet, written as numbers and as ranges. */
const rangeMax = 1_000_000; // ordinals of one range; a wider one would cost memory and reserve nothing that anybody reaches

/** [1, "3-5"] → {1, 3, 4, 5}. One range that cannot be read empties the set, as OpenKruise has it. */
export function reservedOrdinals(entries: readonly unknown[]): ReadonlySet<number> {
  const reserved = new Set<number>();
  for (const entry of entries) {
    if (typeof entry === "number") reserved.add(entry);
    else {
      const match = typeof entry === "string" ? /^(\d+)-(\d+)$/.exec(entry) : null;
      const [first, last] = [Number(match?.[1]), Number(match?.[2])];
      if (match === null || first > last) return new Set();
      for (let ordinal = first; ordinal <= Math.min(last, first + rangeMax); ordinal += 1) reserved.add(ordinal);
    }
  }
  return reserved;
}
