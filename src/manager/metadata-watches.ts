/** Watching single objects apart from the big cache. */
import type { Subscribe } from "../admission/webhook-controller.ts";
import type { Env } from "../env/env.ts";
import { WatchCache } from "../kube/cache/watch-cache.ts";
import { type Kind, keyOf } from "../kube/kind.ts";
import type { Transport } from "../kube/transport.ts";

/**
 * What the webhook controller looks after is a handful of objects of kinds that are large as a whole: each is watched by its metadata.
 * @param seen called for every change of every object, before whoever subscribed
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
