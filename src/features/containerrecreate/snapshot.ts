/** The pod's containers as the node agent should see them: those that were started since the request was made. */
import type { ContainerStatusSnapshot } from "../../api/containerrecreaterequest.ts";
import { deepEqual } from "../../kube/json.ts";
import { anyContainerStatus, isNativeSidecar } from "../../kube/pod.ts";
import { parseTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import type { Request } from "./observe.ts";

/** What is to be written; undefined: it is right as it is. While nothing runs, the last word stands. */
export function snapshotToWrite(request: Request, pod: Readonly<Pod>): readonly ContainerStatusSnapshot[] | undefined {
  const stored = request.status?.containerStatusSnapshot ?? [];
  const snapshot = snapshotOf(pod, parseTime(request.metadata.creationTimestamp) ?? 0);
  return snapshot.length === 0 || deepEqual(snapshot, stored) ? undefined : snapshot;
}

/** @param sinceMs whole seconds, as Kubernetes writes times: a container of the same second counts */
export function snapshotOf(pod: Readonly<Pod>, sinceMs: number): readonly ContainerStatusSnapshot[] {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter(isNativeSidecar)];
  return containers.flatMap(({ name }) => {
    const status = anyContainerStatus(pod, name);
    const startedMs = parseTime(status?.state?.running?.startedAt);
    if (status === undefined || startedMs === undefined || startedMs < sinceMs) return [];
    const { ready, restartCount, containerID } = status;
    return [{ name, ready, restartCount, ...(containerID ? { containerID } : {}) }];
  });
}
