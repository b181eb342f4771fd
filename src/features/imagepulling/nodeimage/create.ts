/** Gives every node a NodeImage, once the node has been ready for a while. */
import { label, virtualKubelet } from "../../../api/names.ts";
import { type NodeImage, nodeImages } from "../../../api/nodeimage.ts";
import { controller, type Seen, watch } from "../../../engine/controller.ts";
import { create, type Plan } from "../../../engine/plan.ts";
import { type Key, keyOf } from "../../../kube/kind.ts";
import { nodes } from "../../../kube/kinds.ts";
import { parseTime } from "../../../kube/time.ts";
import type { Node } from "../../../kube/types.ts";

export interface Observed {
  readonly node: Readonly<Node>;
  readonly hasNodeImage: boolean;
  readonly delayMs: number;
}

export const nodeImageCreator = controller<Observed, never>({
  name: "nodeimage-creator",
  of: nodes,
  workers: { flag: "nodeimage-workers", count: 3 },
  enabled: ({ gates }) => gates.enabled("KruiseDaemon"),
  watches: [watch<NodeImage>(nodeImages, (change) => lostOf(change))],
  // Nodes tell of themselves every few seconds; what most of them say concerns nobody here.
  concerns: ({ after }, { read }) =>
    after !== undefined && read.get(nodeImages, keyOf(after)) === undefined && wantsNodeImage(after as Node),
  observe: ({ read, settings }, key) => {
    const node = read.get(nodes, key);
    if (node === undefined) return undefined;
    return { node, hasNodeImage: read.get(nodeImages, key) !== undefined, delayMs: settings.nodeImageCreationDelayMs };
  },
  plan: planCreation,
});

function lostOf({ before, after }: Seen<NodeImage>): readonly Key[] {
  return before !== undefined && after === undefined ? [keyOf(before)] : [];
}

/** Nobody runs a node agent on a virtual node. */
export function wantsNodeImage({ metadata }: Readonly<Node>): boolean {
  return metadata.deletionTimestamp === undefined && metadata.labels?.[label.nodeType] !== virtualKubelet;
}

export function planCreation({ node, hasNodeImage, delayMs }: Observed, nowMs: number): Plan<never> {
  const readySince = readySinceMs(node, nowMs + delayMs);
  if (hasNodeImage || !wantsNodeImage(node) || readySince === undefined) return { actions: [] };
  const leftMs = delayMs - (nowMs - readySince);
  if (leftMs > 0) return { actions: [], requeueAfterMs: leftMs };
  const { name, labels } = node.metadata;
  const object = { metadata: { name, ...(labels === undefined ? {} : { labels: { ...labels } }) }, spec: {} };
  return { actions: [create<NodeImage>({ id: "create", of: nodeImages, object, existsIsFine: true })] };
}

/** By the kubelet's clock; what lies beyond `latestMs` is of a clock that is ahead, and then the server's word on the node's age will do. */
function readySinceMs({ metadata, status }: Readonly<Node>, latestMs: number): number | undefined {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status !== "True") return undefined;
  const readyMs = parseTime(ready.lastTransitionTime) ?? 0;
  return readyMs <= latestMs ? readyMs : (parseTime(metadata.creationTimestamp) ?? 0);
}
