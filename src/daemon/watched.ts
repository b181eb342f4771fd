/** What the daemon watches: its own node's pods, its own NodeImage, and the recreate requests for its node. Nothing else is asked for. */
import { containerRecreateRequests } from "../api/containerrecreaterequest.ts";
import { label } from "../api/names.ts";
import { nodeImages } from "../api/nodeimage.ts";
import type { Scope } from "../kube/cache/watch-cache.ts";
import type { Kind } from "../kube/kind.ts";
import { pods } from "../kube/kinds.ts";
import { trimPod } from "./trim-pod.ts";

export interface Watched {
  readonly of: Kind;
  readonly scope: Scope;
}

export function watchedOn(nodeName: string, withPods: boolean): readonly Watched[] {
  return [
    ...(withPods ? [{ of: pods, scope: { fieldSelector: `spec.nodeName=${nodeName}`, trim: trimPod } }] : []),
    { of: nodeImages, scope: { fieldSelector: `metadata.name=${nodeName}` } },
    { of: containerRecreateRequests, scope: { labelSelector: `${label.crrNodeName}=${nodeName},${label.crrActive}=true` } },
  ];
}
