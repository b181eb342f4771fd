/** Creates in batches of 1, 2, 4, 8 …: when the world refuses them (quota, a webhook), a few requests tell, not a thousand. */
import { engineLimits } from "./limits.ts";

/**
 * Runs `perform` for each item: each batch at once, the next only after a batch in which every one succeeded.
 * @returns how many items were tried; those after them were not
 */
export async function inGrowingBatches<T>(
  items: readonly T[],
  perform: (item: T) => Promise<boolean>,
  { first = engineLimits.createBatchFirst, max = engineLimits.createBatchMax }: { readonly first?: number; readonly max?: number } = {},
): Promise<number> {
  let tried = 0;
  for (let size = first; tried < items.length; size = Math.min(max, size * 2)) {
    const batch = items.slice(tried, tried + size);
    tried += batch.length;
    const results = await Promise.all(batch.map(perform));
    if (results.includes(false)) break;
  }
  return tried;
}
