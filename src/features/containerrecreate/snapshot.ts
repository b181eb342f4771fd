/** The pod's containers as the node agent should see them: those that were started since the request was made. */
import type { ContainerStatusSnapshot } from "../../api/containerrecreaterequest.ts";
import { deepEqual } from "../../kube/json.ts";
import { anyContainerStatus, isNativeSidecar } from "../../kube/pod.ts";
import { parseTime } from "../../kube/time.ts";
import type { ContainerStatus, Pod } from "../../kube/types.ts";
import type { Request } from "./observe.ts";

/** What is to be written; undefined: it is right as it is. While nothing runs, the last word stands. */
export function snapshotToWrite(request: Request, pod: Readonly<Pod>): readonly ContainerStatusSnapshot[] | undefined {
  const stored = request.status?.containerStatusSnapshot ?? [];
  const snapshot = snapshotOf(request, pod);
  return snapshot.length === 0 || deepEqual(snapshot, stored) ? undefined : snapshot;
}

export function snapshotOf(request: Request, pod: Readonly<Pod>): readonly ContainerStatusSnapshot[] {
  const sinceMs = parseTime(request.metadata.creationTimestamp) ?? 0;
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter(isNativeSidecar)];
  return containers.flatMap(({ name }) => {
    const status = anyContainerStatus(pod, name);
    const startedMs = parseTime(status?.state?.running?.startedAt);
    if (status === undefined || startedMs === undefined) return [];
    // Both times in whole seconds, as Kubernetes writes them: the same second counts.
    if (startedMs < sinceMs && !isAnother(request, status)) return [];
    const { ready, restartCount, containerID } = status;
    return [{ name, ready, restartCount, ...(containerID ? { containerID } : {}) }];
  });
}

/** Not the container that was there when the request was made: by that, a node whose clock is behind is not waited for in vain. */
function isAnother(request: Request, { name, containerID, restartCount }: ContainerStatus): boolean {
  const context = request.spec.containers.find((container) => container.name === name)?.statusContext;
  return context !== undefined && (context.containerID !== containerID || restartCount > context.restartCount);
}
