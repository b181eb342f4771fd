/** Whether the daemon works: each kind it lives from has been listed once. Later troubles with the server are not cured by a restart. */
import { containerRecreateRequests } from "../api/containerrecreaterequest.ts";
import { nodeImages } from "../api/nodeimage.ts";
import type { WatchCache } from "../kube/cache/watch-cache.ts";
import type { Kind } from "../kube/kind.ts";
import type { Check } from "../process/endpoints.ts";

export function listChecks(cache: WatchCache): Readonly<Record<string, Check>> {
  return {
    nodeImageInformerSynced: listedOnce(cache, nodeImages),
    crrInformerSynced: listedOnce(cache, containerRecreateRequests),
  };
}

function listedOnce(cache: WatchCache, kind: Kind): Check {
  let wasListed = false;
  return () => {
    // A kind that the server does not serve has nothing to list.
    wasListed ||= cache.has(kind) && (cache.synced([kind]) || cache.state(kind) === "absent");
    return wasListed ? undefined : `${kind.plural} are not listed yet`;
  };
}
