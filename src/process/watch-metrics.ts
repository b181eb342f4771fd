/** What the watch cache counts, read when somebody asks. */
import type { Metrics } from "../engine/metrics.ts";
import { metrics as names } from "../engine/metrics-names.ts";
import type { WatchCache } from "../kube/cache/watch-cache.ts";

export function collectWatches(metrics: Metrics, cache: Pick<WatchCache, "stats">): void {
  metrics.onCollect(() => {
    for (const { resource, state, objects, silentMs, watchRestarts, drift, bytes } of cache.stats()) {
      const labels = { resource };
      metrics.set(names.cacheObjects, labels, objects);
      metrics.set(names.cacheSynced, labels, state === "synced" ? 1 : 0);
      // A kind that is not served has nothing to say.
      metrics.set(names.watchSilentSeconds, labels, state === "absent" ? 0 : silentMs / 1000);
      metrics.set(names.watchRestartsTotal, labels, watchRestarts);
      metrics.set(names.relistDriftTotal, labels, drift);
      metrics.set(names.watchBytesTotal, labels, bytes);
    }
  });
}
