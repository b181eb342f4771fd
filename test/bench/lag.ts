/** How long the manager's event loop was held up, from its own metric. */

export interface Lag {
  /** Upper bounds of the buckets, in ms, that the 99th percentile and the longest wait fall into; 0 without a sample. */
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Bucket bound in ms → samples up to it, since the process started. */
export type LagBuckets = ReadonlyMap<number, number>;

const line = /^kruiser_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm;

export async function lagBuckets(metricsUrl: string): Promise<LagBuckets> {
  const text = await (await fetch(metricsUrl)).text();
  const bound = (le: string) => (le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le) * 1000);
  return new Map([...text.matchAll(line)].map(([, le, count]) => [bound(le as string), Number(count)]));
}

/** What happened between two readings. */
export function lagBetween(before: LagBuckets, after: LagBuckets): Lag {
  const bounds = [...after.keys()].sort((a, b) => a - b);
  const countTo = (bound: number) => (after.get(bound) ?? 0) - (before.get(bound) ?? 0);
  const total = countTo(Number.POSITIVE_INFINITY);
  if (total === 0) return { p99Ms: 0, maxMs: 0 };
  return {
    p99Ms: bounds.find((bound) => countTo(bound) >= total * 0.99) ?? 0,
    maxMs: bounds.find((bound) => countTo(bound) >= total) ?? 0,
  };
}
