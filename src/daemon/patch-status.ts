/** Status writes of objects that others write too: computed from the freshest version, written to exactly that, again after a conflict. */
import type { WatchCache } from "../kube/cache/watch-cache.ts";
import type { KubeClient } from "../kube/client.ts";
import { type Kind, keyOf, refOf } from "../kube/kind.ts";
import type { Failure } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";

const triesMax = 5;

/**
 * @param change pure: the fields of `status` to merge; undefined: nothing to write any more
 * @returns undefined when it is written, or needs not be, or the object is gone; else why not
 */
export async function patchStatus<T extends KubeObject>(
  client: KubeClient,
  cache: WatchCache,
  kind: Kind<T>,
  known: Readonly<T>,
  change: (fresh: Readonly<T>) => object | undefined,
): Promise<Failure | undefined> {
  let fresh = cache.get(kind, keyOf(known)) ?? known;
  for (let tries = 1; ; tries += 1) {
    if (fresh.metadata.uid !== known.metadata.uid) return undefined;
    const status = change(fresh);
    if (status === undefined) return undefined;
    const { uid, resourceVersion } = fresh.metadata;
    const written = await client.patch(
      refOf(kind, fresh as T),
      "merge",
      { metadata: { uid, resourceVersion }, status },
      { subresource: "status" },
    );
    if (written.ok || written.why === "notFound") return undefined;
    if (written.why !== "conflict" || tries >= triesMax) return written;
    const live = await client.get(kind, keyOf(known));
    if (!live.ok) return live.why === "notFound" ? undefined : live;
    cache.put(kind, live.object);
    fresh = live.object;
  }
}
