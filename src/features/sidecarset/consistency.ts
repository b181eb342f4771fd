/** Does a pod run the images that its spec asks for? Judged from what the node reports, and from what was recorded before an update. */
import { parseImage, sameImage, withoutScheme } from "../../kube/image-ref.ts";
import { parseTime } from "../../kube/time.ts";
import type { Container, ContainerStatus, Pod } from "../../kube/types.ts";
import { type BeforeUpdate, recordOf, type UpdateState } from "./annotations.ts";

/**
 * The first of these containers that does not run its image yet; undefined when all do. "" stands for the pod as a whole: its record of
 * updates is not readable.
 * @param set whose updates are asked about
 * @param names in the pod; others do not count
 */
export function pendingContainer(pod: Readonly<Pod>, set: string, names: ReadonlySet<string>): string | undefined {
  const statuses = pod.status?.containerStatuses ?? [];
  const { containers } = pod.spec;
  if (containers.length !== statuses.length)
    return containers.find(({ name }) => !statuses.some((status) => status.name === name))?.name ?? "";
  const { updates } = recordOf(pod);
  const state = updates?.get(set);
  let onlyDigests = true;
  for (const container of containers) {
    if (!names.has(container.name)) continue;
    if (parseImage(container.image ?? "")?.digest === undefined) {
      onlyDigests = false;
      break;
    }
    const status = statuses.find(({ name }) => name === container.name);
    if (status === undefined || !(runsDigest(status, container) || isRestarted(pod, status, state))) return container.name;
  }
  if (onlyDigests) return undefined;
  if (updates === undefined) return "";
  if (state === undefined) return undefined;
  return statuses.find((status) => names.has(status.name) && !hasArrived(pod, status, state))?.name;
}

export function isConsistent(pod: Readonly<Pod>, set: string, names: ReadonlySet<string>): boolean {
  return pendingContainer(pod, set, names) === undefined;
}

/** Repository and digest, however either is spelled. */
function runsDigest({ imageID }: ContainerStatus, { image = "" }: Container): boolean {
  return (imageID ?? "") !== "" && sameImage(withoutScheme(imageID), image) && parseImage(withoutScheme(imageID))?.digest !== undefined;
}

function hasArrived(pod: Readonly<Pod>, status: ContainerStatus, state: UpdateState): boolean {
  const before = state.lastContainerStatuses.get(status.name);
  if (before === undefined || before.imageID !== (status.imageID ?? "")) return true;
  const container = pod.spec.containers.find(({ name }) => name === status.name);
  if (container === undefined || runsDigest(status, container)) return true;
  // The same digest under another tag leaves the image ID as it was; then a new container tells.
  return sameImage(status.image, container.image ?? "") || isRestarted(pod, status, state);
}

/** Whether nothing but the container's restart says that it has arrived: what was recorded before its update has served its purpose. */
export function hasServed(pod: Readonly<Pod>, name: string, state: UpdateState): boolean {
  const status = pod.status?.containerStatuses?.find((candidate) => candidate.name === name);
  const before = state.lastContainerStatuses.get(name);
  return status !== undefined && before !== undefined && before.imageID === (status.imageID ?? "") && hasArrived(pod, status, state);
}

/**
 * Whether the container was started since the update. Where the kubelet says which generation of the pod it has seen it must be this one,
 * so that a container that merely crashed does not count.
 */
function isRestarted(pod: Readonly<Pod>, status: ContainerStatus, state: UpdateState | undefined): boolean {
  const before: BeforeUpdate | undefined = state?.lastContainerStatuses.get(status.name);
  const startedMs = parseTime(status.state?.running?.startedAt);
  const sinceMs = parseTime(state?.updateTimestamp);
  if (before === undefined || startedMs === undefined || sinceMs === undefined) return false;
  // Times are of whole seconds: without the old container's ID the same second proves nothing.
  const isNew = before.containerID === "" ? startedMs > sinceMs : before.containerID !== (status.containerID ?? "") && startedMs >= sinceMs;
  if (!isNew) return false;
  const { generation } = pod.metadata;
  const seen = pod.status?.observedGeneration;
  return generation === undefined || !seen || seen >= generation;
}
