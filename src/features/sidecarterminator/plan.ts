/** How the sidecars of a pod are ended whose main containers are done. */
import { type ContainerRecreateRequest, containerRecreateRequests } from "../../api/containerrecreaterequest.ts";
import { conditionType } from "../../api/names.ts";
import { type Action, change, create, type Plan, remove, type WriteStep } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { containerOf, isFinished } from "../../kube/pod.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import type { Node, Pod } from "../../kube/types.ts";
import { endingImage, groupsOf, isCompleted, isSucceeded, mainsOf, unfinished } from "./classify.ts";
import { isVirtual } from "./node.ts";

export interface Observed {
  readonly pod: Readonly<Pod>;
  /** Where the pod runs; undefined: not known (yet). */
  readonly node: Readonly<Node> | undefined;
  /** What was asked for before. */
  readonly request: Readonly<ContainerRecreateRequest> | undefined;
}

const eventReason = "SidecarTerminator";
const conditionMessage = "Terminated by Sidecar Terminator";
/** On a request of ours: how many came before it for the same pod. */
export const attemptsAnnotation = "apps.kruise.io/sidecar-termination-attempts";
/** ms between the end of a request that did not end its sidecars and the next one; doubled each time. */
export const renewal = { delayMsMin: 10_000, delayMsMax: 300_000 } as const;

export function requestName(pod: Readonly<Pod>): string {
  return `sidecar-termination-${pod.metadata.uid}`;
}

export function plan(observed: Observed, nowMs: number): Plan<never> {
  const { pod, node } = observed;
  if (node === undefined)
    return { actions: [], retry: `node "${pod.spec.nodeName ?? ""}" is not known: who ends the sidecars depends on it` };
  const groups = groupsOf(pod, isVirtual(node));
  const inPlace = unfinished(pod, groups.inPlace);
  const normal = unfinished(pod, groups.normal);
  const isReady = groups.ignored.length > 0 && isCompleted(pod, groups.normal) && isCompleted(pod, groups.inPlace);
  const mark = isReady && !isFinished(pod) ? [markTerminated(pod, nowMs)] : [];
  const asked = ask(observed, [...normal, ...(isReady ? unfinished(pod, groups.ignored) : [])], mark, nowMs);
  return { ...asked, actions: [...(inPlace.length > 0 ? [replaceImages(pod, inPlace)] : []), ...mark, ...asked.actions] };
}

// ---- by another image

function replaceImages(pod: Readonly<Pod>, names: readonly string[]): Action {
  return change<Pod>({
    id: "images",
    on: refOf(pods, pod as Pod),
    tell: { done: { reason: eventReason, text: `terminating sidecars [${names.join(" ")}] through in-place update of pod` } },
    steps: [
      {
        name: "ending-image",
        precondition: "uid",
        onConflict: "retry",
        write: (fresh) => {
          const containers = names.flatMap((name) => {
            const container = containerOf(fresh, name);
            const image = container && endingImage(container);
            return image && image !== container.image ? [{ name, image }] : [];
          });
          return containers.length > 0 ? { patch: "strategic", body: { spec: { containers } } } : undefined;
        },
      },
    ],
  });
}

// ---- by a ContainerRecreateRequest

function ask(
  { pod, request }: Observed,
  names: readonly string[],
  before: readonly Action[],
  nowMs: number,
): Pick<Plan<never>, "actions" | "requeueAfterMs"> {
  if (names.length === 0) return { actions: [] };
  if (request === undefined) return { actions: [newRequest(pod, names, before, 0)] };
  // The kubelet stops what still runs of a pod that has ended; and what was asked for takes its time.
  const endedMs = isFinished(pod) ? undefined : endOf(request);
  if (endedMs === undefined) return { actions: [] };
  const attempts = attemptsOf(request);
  const dueMs = endedMs + Math.min(renewal.delayMsMin * 2 ** attempts, renewal.delayMsMax);
  if (nowMs < dueMs) return { actions: [], requeueAfterMs: dueMs - nowMs };
  const old = remove<ContainerRecreateRequest>({
    id: "old-request",
    on: refOf(containerRecreateRequests, request as ContainerRecreateRequest),
  });
  return { actions: [old, newRequest(pod, names, [...before, old], attempts + 1)] };
}

function newRequest(pod: Readonly<Pod>, names: readonly string[], after: readonly Action[], attempts: number): Action {
  const { name, namespace, uid } = pod.metadata;
  const owner = { apiVersion: "v1", kind: "Pod", name, uid, controller: true, blockOwnerDeletion: true };
  return create<ContainerRecreateRequest>({
    id: "request",
    of: containerRecreateRequests,
    after: after.map(({ id }) => id),
    existsIsFine: attempts === 0,
    tell: { done: { reason: eventReason, text: `terminating sidecars [${names.join(" ")}] through ContainerRecreateRequest` } },
    object: {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "ContainerRecreateRequest",
      metadata: {
        name: requestName(pod),
        namespace,
        ownerReferences: [owner],
        ...(attempts > 0 ? { annotations: { [attemptsAnnotation]: String(attempts) } } : {}),
      },
      spec: {
        podName: name,
        containers: names.map((container) => ({ name: container })),
        strategy: { forceRecreate: true, failurePolicy: "Ignore" },
      },
    },
  });
}

const ended: ReadonlySet<string> = new Set(["Completed", "Succeeded", "Failed"]);

/** When the request came to its end; undefined: it is under way, or being removed. */
function endOf({ metadata, status }: Readonly<ContainerRecreateRequest>): number | undefined {
  if (metadata.deletionTimestamp !== undefined || !ended.has(status?.phase ?? "")) return undefined;
  return parseTime(status?.completionTime) ?? parseTime(metadata.creationTimestamp) ?? 0;
}

function attemptsOf({ metadata }: Readonly<ContainerRecreateRequest>): number {
  const attempts = Number(metadata.annotations?.[attemptsAnnotation] ?? 0);
  return Number.isSafeInteger(attempts) && attempts > 0 ? attempts : 0;
}

// ---- and the pod's phase

/** From here on the exit codes of the sidecars no longer matter: a kubelet never takes a pod back that has ended. */
function markTerminated(pod: Readonly<Pod>, nowMs: number): Action {
  const step: WriteStep<Pod> = {
    name: "terminated",
    subresource: "status",
    precondition: "uid",
    onConflict: "retry",
    write: (fresh) => {
      if (isFinished(fresh)) return undefined;
      const condition = {
        type: conditionType.sidecarTerminated,
        status: "True",
        lastTransitionTime: formatTime(nowMs),
        message: conditionMessage,
      };
      const phase = isSucceeded(fresh, mainsOf(fresh)) ? "Succeeded" : "Failed";
      return { patch: "strategic", body: { status: { phase, conditions: [condition] } } };
    },
  };
  return change<Pod>({ id: "mark", on: refOf(pods, pod as Pod), steps: [step] });
}
