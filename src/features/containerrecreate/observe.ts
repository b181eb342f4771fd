/** What the manager looks at: the request, its pod, and the other requests for the same pod. */
import { type ContainerRecreateRequest, containerRecreateRequests } from "../../api/containerrecreaterequest.ts";
import { label } from "../../api/names.ts";
import { type Context, type Seen, type Watch, watch } from "../../engine/controller.ts";
import { type Index, type Key, keyOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { failureText } from "../../kube/outcome.ts";
import { isTerminating } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";

export type Request = Readonly<ContainerRecreateRequest>;

export type SeenPod =
  | { readonly is: "there"; readonly pod: Readonly<Pod> }
  /** Deleted, on its way out, or another pod has its name. */
  | { readonly is: "gone" }
  | { readonly is: "unknown"; readonly why: string };

export interface Observed {
  readonly request: Request;
  readonly pod: SeenPod;
  /** Names of requests for the same pod that come first. */
  readonly before: readonly string[];
}

export const requestsByPodUid: Index<ContainerRecreateRequest> = {
  name: "crrPodUID",
  of: containerRecreateRequests,
  keys: ({ metadata }) => (metadata.labels?.[label.crrPodUid] ? [metadata.labels[label.crrPodUid] as string] : []),
};

/** Whether nothing more is going to be done for it on its node. */
export function isOver(request: Request): boolean {
  return request.metadata.deletionTimestamp !== undefined || request.status?.completionTime !== undefined;
}

export async function observe(context: Context, key: Key): Promise<Observed | undefined> {
  const request = context.read.get(containerRecreateRequests, key);
  if (request === undefined) return undefined;
  return { request, pod: await podOf(context, request), before: before(context, request) };
}

/** The cache may not show a new pod yet, and "gone" ends the request: the server is asked before that is believed. */
async function podOf({ read }: Context, request: Request): Promise<SeenPod> {
  const uid = request.metadata.labels?.[label.crrPodUid];
  const key: Key = { namespace: request.metadata.namespace ?? "", name: request.spec.podName };
  const judged = (pod: Readonly<Pod>): SeenPod => (pod.metadata.uid === uid && !isTerminating(pod) ? { is: "there", pod } : { is: "gone" });
  const cached = read.get(pods, key);
  if (cached?.metadata.uid === uid && cached !== undefined) return judged(cached);
  const live = await read.live.get(pods, key);
  if (live.ok) return judged(live.object);
  return live.why === "notFound" ? { is: "gone" } : { is: "unknown", why: failureText(live) };
}

function before({ read }: Context, request: Request): readonly string[] {
  if (request.status?.phase !== "Pending") return [];
  return read
    .find(requestsByPodUid, request.metadata.labels?.[label.crrPodUid] ?? "")
    .filter((other) => other.metadata.name !== request.metadata.name && !isOver(other) && other.status?.phase === "Recreating")
    .map((other) => other.metadata.name);
}

/** A pod's restarts, and its end, wake the requests for it that still run. */
export const watches: readonly Watch[] = [watch(pods, wakes)];

function wakes({ before: old, after }: Seen<Pod>, { read }: Context): Iterable<Key> {
  const pod = after ?? old;
  if (pod === undefined || (old !== undefined && after !== undefined && !isNews(old, after))) return [];
  return read
    .find(requestsByPodUid, pod.metadata.uid)
    .filter((request) => !isOver(request))
    .map(keyOf);
}

function isNews(before: Readonly<Pod>, after: Readonly<Pod>): boolean {
  if (before.metadata.uid !== after.metadata.uid || before.metadata.deletionTimestamp !== after.metadata.deletionTimestamp) return true;
  // Unchanged parts are the same reference.
  return (
    before.status?.containerStatuses !== after.status?.containerStatuses ||
    before.status?.initContainerStatuses !== after.status?.initContainerStatuses
  );
}
