/** Small adapters between rooms that do not know each other. */
import type { Subscribe } from "../admission/webhook-controller.ts";
import type { CachePort } from "../engine/ports.ts";
import type { Env } from "../env/env.ts";
import { WatchCache } from "../kube/cache/watch-cache.ts";
import { type Kind, keyOf } from "../kube/kind.ts";
import type { Transport } from "../kube/transport.ts";

/** The watch cache as the engine sees it. */
export function cachePort(cache: WatchCache): CachePort {
  const synced = (kind: Kind) =>
    new Promise<void>((resolve) => {
      if (cache.synced([kind])) return resolve();
      const stop = cache.onState((changed, state) => {
        if (state !== "synced" || !cache.synced([kind]) || changed.plural !== kind.plural) return;
        stop();
        resolve();
      });
    });
  return {
    ensure: (kind) => cache.ensure(kind),
    synced,
    holds: (kind) => cache.has(kind) && cache.synced([kind]),
    subscribe: (kind, handler) => cache.subscribe(kind, handler),
    put: (kind, object) => cache.put(kind, object),
    remove: (kind, { namespace, name, uid }) => cache.remove({ of: kind, namespace, name, uid }),
  };
}

/**
 * Watches single objects by their metadata, apart from the big cache: what the webhook controller looks after is a handful of objects of
 * kinds that are large as a whole.
 */
export function metadataWatches(env: Env, transport: Transport, seen: (kind: Kind) => void): Subscribe {
  return ({ of, namespace, name }, changed) => {
    const cache = new WatchCache(env, transport);
    const unsubscribe = cache.subscribe(of, (before, after) => {
      const object = after ?? before;
      seen(of);
      if (object !== undefined) changed(keyOf(object), after?.metadata.resourceVersion);
    });
    cache.ensure(of, {
      metadataOnly: true,
      ...(namespace === undefined ? {} : { namespace }),
      ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }),
    });
    return unsubscribe;
  };
}
