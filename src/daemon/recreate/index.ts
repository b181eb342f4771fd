/**
 * The daemon's half of ContainerRecreateRequest: kills the containers of a pod, one request and one kill at a time for each pod, many
 * pods at once. The manager's half tells it what the pod looks like and ends requests that take too long.
 *
 * pick.ts   which of several requests for a pod is next?
 * states.ts how far is each container?
 * plan.ts   what is to be done next?
 */
import {
  type ContainerRecreateRequest,
  type ContainerRecreateState,
  containerRecreateRequests,
} from "../../api/containerrecreaterequest.ts";
import { label } from "../../api/names.ts";
import { type Worked, WorkQueue } from "../../engine/queue.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { Index, Key } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { type Failure, failureText } from "../../kube/outcome.ts";
import { formatTime } from "../../kube/time.ts";
import type { Container, Handler, Pod } from "../../kube/types.ts";
import type { KillOrder } from "../containers/killer.ts";
import { containersOfPod, type PodContainer } from "../containers/read.ts";
import type { RuntimeService } from "../cri/client.ts";
import type { Frame, Part } from "../frame.ts";
import { patchStatus } from "../patch-status.ts";
import { Ages } from "./ages.ts";
import { startsNoOther } from "./ended.ts";
import { GraceClock } from "./grace.ts";
import { isOver, pick, type Request } from "./pick.ts";
import { afterKill, nextStep, noRuntimeMessage, opening } from "./plan.ts";

export const recreateLimits = {
  /** Pods worked on at once. A kill takes as long as its grace period. */
  workers: 32,
  backoffMsMin: 500,
  backoffMsMax: 50_000,
  retriesPerSecond: 10,
  retryBurst: 100,
  /** Seconds a container gets where the request does not say. */
  graceSecondsDefault: 30,
} as const;

const name = "kruise-daemon-crr";

const requestsByPod: Index<ContainerRecreateRequest> = {
  name: "podName",
  of: containerRecreateRequests,
  keys: ({ metadata, spec }) => [podText(metadata.namespace ?? "", spec.podName)],
};

const podText = (namespace: string, podName: string) => `${namespace}/${podName}`;

export function recreatePart(frame: Frame): Part {
  const { env, kube } = frame;
  const worker = new RecreateWorker(frame);
  const queue = new WorkQueue(env, {
    name: "crr",
    workers: recreateLimits.workers,
    work: (key) => worker.work(key),
    backoff: recreateLimits,
    metrics: frame.metrics,
  });
  const wake = (request: Request) => queue.add({ namespace: request.metadata.namespace ?? "", name: request.spec.podName });
  return {
    name,
    start: () => {
      // Also when a request ends or goes: the next one for the same pod has its turn then.
      kube.cache.subscribe(containerRecreateRequests, (before, after) => {
        const request = after ?? before;
        if (request !== undefined) wake(request);
      });
      for (const request of kube.cache.list(containerRecreateRequests)) wake(request);
    },
    stop: () => queue.stop(),
  };
}

class RecreateWorker {
  readonly #frame: Frame;
  readonly #client: KubeClient;
  readonly #grace = new GraceClock();
  readonly #ages = new Ages();

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#client = frame.kube.client.as(`kruise-daemon/${name}`);
  }

  /** The key is a pod's. */
  async work(key: Key): Promise<Worked> {
    const requests = this.#frame.kube.cache.find(requestsByPod, podText(key.namespace, key.name));
    const { current, waiting } = pick(requests);
    for (const request of waiting) {
      const failure = await this.#write(request, (fresh) => (fresh.status?.phase ? undefined : { phase: "Pending" }));
      if (failure !== undefined) return this.#failed(request, failure);
    }
    if (current === undefined) return { next: requests.length === 0 ? "gone" : "done" };
    return this.#manage(current);
  }

  async #manage(request: Request): Promise<Worked> {
    const { env, runtimes } = this.#frame;
    const first = opening(request, env.nowMs(), this.#grace.ageMs(request, env.monotonicMs()));
    switch (first.do) {
      case "begin":
        return this.#written(request, { phase: "Recreating" });
      case "wait":
        return { next: "done", ...(first.afterMs === undefined ? {} : { afterMs: first.afterMs }) };
      case "complete":
        return this.#complete(request, first.message);
      case "look":
        break;
    }
    const runtime = await runtimes.named(first.runtimeName);
    if (runtime === undefined) return this.#complete(request, noRuntimeMessage(first.runtimeName, runtimes.names));
    return this.#step(request, runtime, first.runtimeName);
  }

  async #step(request: Request, runtime: RuntimeService, runtimeName: string): Promise<Worked> {
    const { env, killer, options, machineNowMs } = this.#frame;
    const listed = await containersOfPod(runtime, runtimeName, podUidOf(request));
    if (!listed.ok) {
      env.log.warn({ request: textOf(request), problem: listed.message }, "cannot read the pod's containers");
      return { next: "backOff" };
    }
    const containers = listed.value;
    const podUid = podUidOf(request);
    this.#ages.note(podUid, containers, env.monotonicMs());
    const runningForMs = (container: PodContainer) => this.#ages.runningForMs(podUid, container, machineNowMs(), env.monotonicMs());
    const kills = request.spec.strategy?.forceRecreate ? killer.killsFor(request.metadata.uid) : [];
    const wasKilled = (container: string) =>
      kills.some(({ key, body }) => body.container === container && (body.result === "stopped" || key !== containers.get(container)?.id));
    const pod = options.flags["crr-stopped-is-succeeded"] ? await this.#podOf(request) : undefined;
    const staysEnded = (container: PodContainer) => startsNoOther(pod, container);
    const step = nextStep({ request, containers, wasKilled, staysEnded, runningForMs });
    switch (step.do) {
      case "wait":
        return { next: "done", ...(step.afterMs === undefined ? {} : { afterMs: step.afterMs }) };
      case "store":
        return this.#written(request, { containerRecreateStates: step.states }, step.afterMs);
      case "complete":
        return this.#complete(request, step.message, step.states);
      case "kill":
        return this.#kill(request, runtime, step.container, step.states);
    }
  }

  async #kill(
    request: Request,
    runtime: RuntimeService,
    container: PodContainer,
    states: readonly ContainerRecreateState[],
  ): Promise<Worked> {
    const { env, killer } = this.#frame;
    const pod = await this.#podOf(request);
    const killed = await killer.kill(killOrder(request, runtime, container, pod));
    if (!killed.ok && killed.retry) {
      env.log.warn(
        { request: textOf(request), container: container.name, problem: killed.message },
        "the runtime did not answer; trying again",
      );
      return { next: "backOff" };
    }
    const problem = killed.ok ? undefined : killed.message;
    env.log.info(
      { request: textOf(request), container: container.name, problem },
      killed.ok ? "killed a container" : "cannot kill a container",
    );
    return this.#written(request, { containerRecreateStates: afterKill(states, container.name, problem) });
  }

  /** As watched, else asked for: the gate DaemonWatchingPod may be off. */
  async #podOf(request: Request): Promise<Readonly<Pod> | undefined> {
    const { cache } = this.#frame.kube;
    const key: Key = { namespace: request.metadata.namespace ?? "", name: request.spec.podName };
    let pod = cache.has(pods) ? cache.get(pods, key) : undefined;
    if (pod === undefined) {
      const live = await this.#client.get(pods, key);
      pod = live.ok ? live.object : undefined;
    }
    return pod?.metadata.uid === podUidOf(request) ? pod : undefined;
  }

  #complete(request: Request, message: string, states?: readonly ContainerRecreateState[]): Promise<Worked> {
    this.#frame.env.log.info({ request: textOf(request), message }, "completed");
    const completionTime = formatTime(this.#frame.env.nowMs());
    return this.#written(request, { phase: "Completed", completionTime, message, ...(states && { containerRecreateStates: states }) });
  }

  async #written(request: Request, status: object, afterMs?: number): Promise<Worked> {
    const failure = await this.#write(request, (fresh) => (isOver(fresh) ? undefined : status));
    if (failure !== undefined) return this.#failed(request, failure);
    // The next step follows from what was written, whether or not an event tells of it.
    return afterMs === undefined ? { next: "done", afterMs: 0 } : { next: "done", afterMs };
  }

  #write(request: Request, change: (fresh: Request) => object | undefined): Promise<Failure | undefined> {
    return patchStatus(this.#client, this.#frame.kube.cache, containerRecreateRequests, request, change);
  }

  #failed(request: Request, failure: Failure): Worked {
    if (failure.why !== "conflict")
      this.#frame.env.log.warn({ request: textOf(request), problem: failureText(failure) }, "cannot write the status");
    return { next: failure.why === "conflict" ? "soon" : "backOff" };
  }
}

function textOf(request: Request): string {
  return `${request.metadata.namespace}/${request.metadata.name}`;
}

function podUidOf(request: Request): string {
  return request.metadata.labels?.[label.crrPodUid] ?? "";
}

/** @param pod undefined where it is not known: a hook that needs it fails then, the kill goes on */
export function killOrder(request: Request, runtime: RuntimeService, container: PodContainer, pod: Readonly<Pod> | undefined): KillOrder {
  const { namespace = "", name: requestName, uid } = request.metadata;
  const asked = request.spec.containers.find((candidate) => candidate.name === container.name);
  const specOf = (containers: readonly Container[] | undefined) => containers?.find((candidate) => candidate.name === container.name);
  const isInit = specOf(pod?.spec.containers) === undefined && specOf(pod?.spec.initContainers) !== undefined;
  const spec = specOf(pod?.spec.containers) ?? specOf(pod?.spec.initContainers);
  const preStop = preStopOf(asked?.preStop as Handler | undefined, spec?.lifecycle?.preStop);
  return {
    pod: { namespace, name: request.spec.podName, uid: podUidOf(request) },
    container: container.name,
    fieldPath: `spec.${isInit ? "initContainers" : "containers"}{${container.name}}`,
    runtime,
    containerId: container.id,
    runtimeId: container.runtimeId,
    graceSeconds: request.spec.strategy?.terminationGracePeriodSeconds ?? recreateLimits.graceSecondsDefault,
    ...(preStop === undefined ? {} : { preStop }),
    ports: asked?.ports ?? spec?.ports ?? [],
    podIP: pod?.status?.podIP,
    because: `by ContainerRecreateRequest ${requestName}`,
    by: name,
    purpose: uid,
  };
}

/** The request cannot hold a `sleep` hook: that one is read from the pod. */
function preStopOf(asked: Handler | undefined, inPod: Handler | undefined): Handler | undefined {
  if (asked?.exec || asked?.httpGet || asked?.tcpSocket) return asked;
  return inPod?.sleep ? inPod : asked;
}
