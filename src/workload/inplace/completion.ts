/** Has the node done what an in-place update asked for? Judged from what it reports: hashes, image IDs, container IDs, resources. */
import type { Gates } from "../../api/gates.ts";
import { annotation } from "../../api/names.ts";
import type { Reason } from "../../engine/plan.ts";
import { isPlainContainerHash } from "../../kube/canonical/hash.ts";
import { parseImage, sameImage, withoutScheme } from "../../kube/image-ref.ts";
import { fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { compareQuantityValues } from "../../kube/quantity.ts";
import { parseTime } from "../../kube/time.ts";
import type { Container, ContainerStatus, Pod } from "../../kube/types.ts";
import { expectedEnvHash } from "../container-env.ts";
import { graceText, hasChanges, type LastContainerStatus, stateOf, type UpdateState } from "./spec.ts";

/** Why something is not done yet; undefined: it is. */
export type Pending = Pick<Reason, "code" | "figures"> | undefined;

/** Whether nothing of an in-place update is outstanding on the pod. A pod that was never updated in place is complete. */
export function isUpdateCompleted(pod: Readonly<Pod>, gates: Gates): boolean {
  return updatePending(pod, gates) === undefined;
}

export function updatePending(pod: Readonly<Pod>, gates: Gates): Pending {
  if (graceText(pod) !== undefined) return { code: "InPlaceUpdateGracePeriod" };
  const state = stateOf(pod);
  if (state === undefined) return undefined;
  if (state === "unreadable") return { code: "InPlaceUpdateStateUnreadable" };
  return hasChanges(state.next) ? { code: "InPlaceUpdateNextBatch" } : containersPending(pod, state, gates);
}

const judged = new WeakMap<object, { readonly state: UpdateState; readonly gates: Gates; readonly pending: Pending }>();

/** The containers of the batches so far. Judged once per version of the pod. */
export function containersPending(pod: Readonly<Pod>, state: UpdateState, gates: Gates): Pending {
  const known = judged.get(pod);
  if (known !== undefined && known.state === state && known.gates === gates) return known.pending;
  const pending = judge(pod, state, gates);
  judged.set(pod, { state, gates, pending });
  return pending;
}

function judge(pod: Readonly<Pod>, state: UpdateState, gates: Gates): Pending {
  const meta = runtimeMetaOf(pod);
  if (meta === "unreadable") return { code: "ContainerMetaUnreadable" };
  if (state.envFromMetadata && !isConsistent(pod, meta, ({ envHash }, container) => envHash === expectedEnvHash(container, pod))) {
    return { code: "WaitingForContainerEnv" };
  }
  if (state.updateResources && gates.enabled("InPlaceWorkloadVerticalScaling") && !resourcesArrived(pod)) return resizePending(pod);
  if (meta !== undefined && isConsistent(pod, meta, ({ plainHash }, container) => isPlainContainerHash(plainHash, container)))
    return undefined;
  return imagesPending(pod, state);
}

// ---- what the node agent reports

interface ContainerMeta {
  readonly containerID: string;
  readonly plainHash: number;
  readonly envHash: number;
}
type RuntimeMeta = ReadonlyMap<string, ContainerMeta>;

function runtimeMetaOf(pod: Readonly<Pod>): RuntimeMeta | "unreadable" | undefined {
  const text = pod.metadata.annotations?.[annotation.runtimeContainersMeta];
  if (text === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    if (!isFields(parsed)) return "unreadable";
    const number = (value: unknown): number => (typeof value === "number" ? value : 0);
    return new Map(
      itemsOf(parsed["containers"]).map((entry) => {
        const { name, containerID, hashes } = fieldsOf(entry);
        const { plainHash, extractedEnvFromMetadataHash } = fieldsOf(hashes);
        return [
          textOf(name),
          { containerID: textOf(containerID), plainHash: number(plainHash), envHash: number(extractedEnvFromMetadataHash) },
        ];
      }),
    );
  } catch {
    return "unreadable";
  }
}

/** Whether every container runs as reported, and the report agrees with the pod. */
function isConsistent(
  pod: Readonly<Pod>,
  meta: RuntimeMeta | undefined,
  agrees: (meta: ContainerMeta, container: Readonly<Container>) => boolean,
): boolean {
  if (meta === undefined) return false;
  return pod.spec.containers.every((container) => {
    const reported = meta.get(container.name);
    const status = statusOf(pod, container.name);
    return (
      reported !== undefined && status !== undefined && reported.containerID === (status.containerID ?? "") && agrees(reported, container)
    );
  });
}

function statusOf(pod: Readonly<Pod>, name: string): ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find((status) => status.name === name);
}

// ---- resources

function resourcesArrived(pod: Readonly<Pod>): boolean {
  const statuses = pod.status?.containerStatuses ?? [];
  if (statuses.length !== pod.spec.containers.length) return false;
  return pod.spec.containers.every(({ name, resources }) => {
    const reported = statusOf(pod, name)?.resources;
    if (reported === undefined) return false;
    return sameQuantities(reported.limits, resources?.limits) && sameQuantities(reported.requests, resources?.requests);
  });
}

function sameQuantities(a: unknown, b: unknown): boolean {
  const [left, right] = [fieldsOf(a), fieldsOf(b)];
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every((name) => Object.hasOwn(right, name) && compareQuantityValues(left[name], right[name]) === 0);
}

/** What the kubelet says of a resize: in `status.resize` up to Kubernetes 1.32, in conditions since 1.33. */
export function resizePending(pod: Readonly<Pod>): { readonly code: string; readonly figures?: Readonly<Record<string, string>> } {
  const pending = pod.status?.conditions?.find(({ type, status }) => type === "PodResizePending" && status === "True");
  const word = pending?.reason ?? pod.status?.resize ?? "";
  if (word !== "Deferred" && word !== "Infeasible") return { code: "WaitingForResize" };
  return { code: `Resize${word}`, ...(pending?.message ? { figures: { message: pending.message } } : {}) };
}

// ---- images

function imagesPending(pod: Readonly<Pod>, state: UpdateState): Pending {
  for (const [name, last] of state.lastContainerStatuses) {
    const status = statusOf(pod, name);
    const container = pod.spec.containers.find((candidate) => candidate.name === name);
    if (status === undefined) return { code: "WaitingForContainer", figures: { container: name } };
    if (container === undefined || (status.imageID ?? "") !== last.imageID) continue;
    const showsImage = last.mustRestart !== true && runsImage(status, container.image ?? "");
    if (showsImage || isRestarted(pod, status, last, batchTimeOf(state, name))) continue;
    return { code: "WaitingForContainer", figures: { container: name } };
  }
  return undefined;
}

/** The runtime may report another spelling of the image, or only what the digest says. */
function runsImage(status: ContainerStatus, image: string): boolean {
  if (sameImage(status.image, image)) return true;
  const wanted = parseImage(image)?.digest;
  return wanted !== undefined && withoutScheme(status.imageID).endsWith(wanted);
}

/**
 * Another tag of the same digest: image ID and reported image may both stay as they were, but the container is a new one. When the
 * kubelet says which generation of the pod it has seen, it must be this one: a container that merely crashed does not count then.
 */
function isRestarted(pod: Readonly<Pod>, status: ContainerStatus, last: LastContainerStatus, sinceMs: number | undefined): boolean {
  if (!last.containerID || !status.containerID || last.containerID === status.containerID) return false;
  const startedMs = parseTime(status.state?.running?.startedAt);
  if (startedMs === undefined || sinceMs === undefined || startedMs < sinceMs) return false;
  const { generation } = pod.metadata;
  const seen = pod.status?.observedGeneration;
  return generation === undefined || !seen || seen >= generation;
}

/** When the container's image was changed: at its batch, which after a grace period is later than the start of the update. */
function batchTimeOf(state: UpdateState, name: string): number | undefined {
  const batch = state.batches.findLast(({ containers }) => containers.includes(name));
  return parseTime(batch?.timestamp ?? state.updateTimestamp);
}
