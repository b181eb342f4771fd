/** One pod on its node: init containers in turn, then all others; what it looks like at a moment is its status. */
import { type Fields, fieldsOf, itemsOf } from "../../kube/json.ts";
import { isNativeSidecar } from "../../kube/pod.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import type { Condition, Container, ContainerStatus, Pod, PodStatus } from "../../kube/types.ts";
import { ContainerRun, type Happening, type Want } from "./container-run.ts";
import { behaviourOf, deadlineOf, endingOf, type ImageFaults, type Timing } from "./containers.ts";

export interface NodeFacts {
  readonly hostIP: string;
  newPodIP(): string;
  newContainerId(): string;
  readonly imageFaults?: ImageFaults;
}

const ephemeralRunMs = 1000;

export class PodRun {
  readonly #runs = new Map<string, ContainerRun>();
  /** Names of containers that lack something of their environment. */
  #unconfigured: ReadonlySet<string> = new Set();
  readonly #ephemeral = new Map<string, number>();
  readonly #startMs: number;
  #podIP: string;
  /** When it was asked to end. */
  #stoppingMs: number | undefined;
  /** Why the kubelet itself ends it. */
  #ending: ReturnType<typeof endingOf>;

  constructor(
    readonly uid: string,
    private readonly timing: Timing,
    private readonly node: NodeFacts,
    pod: Pod,
    nowMs: number,
  ) {
    this.#startMs = parseTime(pod.status?.startTime) ?? nowMs;
    this.#podIP = pod.status?.podIP ?? "";
    const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
    for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
      const status = statuses.find(({ name }) => name === container.name);
      if (status?.containerID !== undefined)
        this.#runs.set(
          container.name,
          ContainerRun.adopt(timing, () => node.newContainerId(), container, status, nowMs),
        );
    }
  }

  /**
   * Everything that is due. @returns when something is next, or infinity
   * @param isConfigured whether what a container's environment refers to is there: it does not start before
   */
  advance(pod: Pod, nowMs: number, isConfigured: (container: Container) => boolean): number {
    this.#unconfigured = new Set(pod.spec.containers.filter((container) => !isConfigured(container)).map(({ name }) => name));
    this.#ending ??= endingOf(pod, this.#startMs, nowMs);
    if (pod.metadata.deletionTimestamp !== undefined || this.#ending !== undefined) this.#stoppingMs ??= nowMs;
    let nextMs = this.#stoppingMs === undefined ? deadlineOf(pod, this.#startMs) : Number.POSITIVE_INFINITY;
    let allowed = true;
    const done = this.#mainsAreDone(pod);
    for (const container of pod.spec.initContainers ?? []) {
      const run = this.#run(container);
      const want = this.#want(pod, container, allowed, true, done);
      nextMs = Math.min(nextMs, run.advance(want, nowMs));
      allowed &&= isNativeSidecar(container) ? run.isRunning : run.endedFor(want) && run.exitCode === 0;
    }
    for (const container of pod.spec.containers) {
      const want = this.#want(pod, container, allowed && !this.#unconfigured.has(container.name), false, false);
      nextMs = Math.min(nextMs, this.#run(container).advance(want, nowMs));
    }
    if (this.#podIP === "" && this.#stoppingMs === undefined) this.#podIP = this.node.newPodIP();
    for (const { name } of pod.spec.ephemeralContainers ?? []) {
      const startedMs = this.#ephemeral.get(name) ?? nowMs;
      this.#ephemeral.set(name, startedMs);
      if (startedMs + ephemeralRunMs > nowMs) nextMs = Math.min(nextMs, startedMs + ephemeralRunMs);
    }
    return nextMs;
  }

  takeHappenings(): readonly Happening[] {
    return [...this.#runs.values()].flatMap((run) => run.happened.splice(0));
  }

  /** Nothing runs any more, after it was asked to end. */
  get isGone(): boolean {
    return this.#stoppingMs !== undefined && [...this.#runs.values()].every((run) => run.isOver);
  }

  /** As the kubelet would write it; conditions of others stay. */
  status(pod: Pod, nowMs: number): PodStatus {
    const initial = this.#initialized(pod);
    const blocked = initial ? "ContainerCreating" : "PodInitializing";
    const containerStatuses = pod.spec.containers.map((container) =>
      this.#run(container).status(
        container,
        nowMs,
        initial && this.#unconfigured.has(container.name) ? "CreateContainerConfigError" : blocked,
      ),
    );
    const initStatuses = (pod.spec.initContainers ?? []).map((container) => this.#initStatus(container, nowMs));
    const phase = this.#phase(pod, initial);
    const draft = { phase, containerStatuses, initStatuses, initial };
    return {
      ...pod.status,
      phase,
      observedGeneration: pod.metadata.generation,
      conditions: this.#conditions(pod, draft, nowMs),
      hostIP: this.node.hostIP,
      ...({ hostIPs: [{ ip: this.node.hostIP }] } as Fields),
      ...(this.#podIP === "" ? {} : { podIP: this.#podIP, podIPs: [{ ip: this.#podIP }] }),
      startTime: formatTime(this.#startMs),
      ...(phase === "Failed" && this.#ending !== undefined ? this.#ending : {}),
      ...(initStatuses.length > 0 ? { initContainerStatuses: initStatuses } : {}),
      containerStatuses,
      ...this.#ephemeralStatuses(pod, nowMs),
    };
  }

  #run(container: Container): ContainerRun {
    let run = this.#runs.get(container.name);
    if (run === undefined) {
      run = new ContainerRun(this.timing, () => this.node.newContainerId());
      this.#runs.set(container.name, run);
    }
    return run;
  }

  #want(pod: Pod, container: Container, allowed: boolean, isInit: boolean, stopNow: boolean): Want {
    const sidecar = isInit && isNativeSidecar(container);
    const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1000;
    const policy = (pod.spec.restartPolicy ?? "Always") as Want["restart"];
    return {
      container,
      behaviour: behaviourOf(pod, container, isInit && !sidecar, this.timing, this.node.imageFaults),
      allowed: allowed && this.#stoppingMs === undefined,
      stopByMs: this.#stoppingMs !== undefined ? this.#stoppingMs + graceMs : sidecar && stopNow ? 0 : undefined,
      restart: sidecar ? "Always" : isInit ? (policy === "Never" ? "Never" : "OnFailure") : policy,
    };
  }

  #initialized(pod: Pod): boolean {
    return (pod.spec.initContainers ?? []).every((container) => {
      const run = this.#run(container);
      return isNativeSidecar(container) ? run.isRunning || run.hasRun : run.isOver && run.hasRun && run.exitCode === 0;
    });
  }

  #mainsAreDone(pod: Pod): boolean {
    return pod.spec.containers.every((container) => this.#run(container).endedFor(this.#want(pod, container, true, false, false)));
  }

  #initStatus(container: Container, nowMs: number): ContainerStatus {
    const run = this.#run(container);
    const status = run.status(container, nowMs, "PodInitializing");
    // One that did its work is ready for good.
    return isNativeSidecar(container) ? status : { ...status, ready: run.isOver && run.hasRun && run.exitCode === 0 };
  }

  #phase(pod: Pod, initial: boolean): string {
    if (this.#ending !== undefined && this.isGone) return "Failed";
    const wants = pod.spec.containers.map((container) => ({
      run: this.#run(container),
      want: this.#want(pod, container, true, false, false),
    }));
    const ended = wants.every(({ run, want }) => run.endedFor(want) || (this.#stoppingMs !== undefined && run.isOver && run.hasRun));
    if (ended && wants.length > 0 && this.#ending === undefined)
      return wants.every(({ run }) => run.exitCode === 0) ? "Succeeded" : "Failed";
    if (!initial) return this.#initHasFailed(pod) ? "Failed" : "Pending";
    return wants.every(({ run }) => run.hasRun) ? "Running" : "Pending";
  }

  /** Whether an init container failed in a pod that never restarts. */
  #initHasFailed(pod: Pod): boolean {
    return (pod.spec.initContainers ?? []).some((container) => {
      const run = this.#run(container);
      return pod.spec.restartPolicy === "Never" && run.isOver && run.hasRun && run.exitCode !== 0;
    });
  }

  #ephemeralStatuses(pod: Pod, nowMs: number): Partial<PodStatus> {
    const containers = pod.spec.ephemeralContainers ?? [];
    if (containers.length === 0) return {};
    return {
      ephemeralContainerStatuses: containers.map(({ name, image = "" }) => {
        const startedMs = this.#ephemeral.get(name) ?? nowMs;
        const over = nowMs >= startedMs + ephemeralRunMs;
        const startedAt = formatTime(startedMs);
        return {
          name,
          state: over
            ? { terminated: { exitCode: 0, reason: "Completed", startedAt, finishedAt: formatTime(startedMs + ephemeralRunMs) } }
            : { running: { startedAt } },
          lastState: {},
          ready: false,
          restartCount: 0,
          image,
          imageID: image,
        };
      }),
    };
  }

  #conditions(pod: Pod, draft: Draft, nowMs: number): Condition[] {
    const over = draft.phase === "Succeeded" || draft.phase === "Failed";
    const notReady = [...draft.initStatuses.filter((status) => isSidecarStatus(pod, status)), ...draft.containerStatuses].filter(
      ({ ready }) => !ready,
    );
    const names = `containers with unready status: [${notReady.map(({ name }) => name).join(" ")}]`;
    const completed = draft.phase === "Succeeded" ? "PodCompleted" : draft.phase === "Failed" ? "PodFailed" : undefined;
    const containersReady = notReady.length === 0 && !over;
    const gates = gateProblem(pod);
    const ready = containersReady && gates === undefined;
    const why = completed ?? (containersReady ? "ReadinessGatesNotReady" : "ContainersNotReady");
    const readyMessage = completed === undefined ? (containersReady ? gates : names) : undefined;
    const wanted: Condition[] = [
      condition("PodReadyToStartContainers", !over && this.#stoppingMs === undefined),
      draft.initial
        ? condition("Initialized", true, completed === "PodCompleted" ? completed : undefined)
        : condition("Initialized", false, "ContainersNotInitialized", initMessage(draft)),
      ready ? condition("Ready", true) : condition("Ready", false, why, readyMessage),
      containersReady
        ? condition("ContainersReady", true)
        : condition("ContainersReady", false, completed ?? "ContainersNotReady", completed === undefined ? names : undefined),
    ];
    if (this.#ending?.reason === "Evicted" && draft.phase === "Failed")
      wanted.push(condition("DisruptionTarget", true, "TerminationByKubelet", this.#ending.message));
    return mergeConditions(pod, wanted, nowMs);
  }
}

interface Draft {
  readonly phase: string;
  readonly initial: boolean;
  readonly containerStatuses: readonly ContainerStatus[];
  readonly initStatuses: readonly ContainerStatus[];
}

function isSidecarStatus(pod: Pod, { name }: ContainerStatus): boolean {
  return (pod.spec.initContainers ?? []).some((container) => container.name === name && isNativeSidecar(container));
}

function condition(type: string, holds: boolean, reason?: string, message?: string): Condition {
  return {
    type,
    status: holds ? "True" : "False",
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
}

function initMessage({ initStatuses }: Draft): string {
  const left = initStatuses.filter(({ ready }) => !ready).map(({ name }) => name);
  return `containers with incomplete status: [${left.join(" ")}]`;
}

function gateProblem(pod: Pod): string | undefined {
  const conditions = pod.status?.conditions ?? [];
  for (const { conditionType } of pod.spec.readinessGates ?? []) {
    const found = conditions.find(({ type }) => type === conditionType);
    if (found === undefined) return `corresponding condition of pod readiness gate "${conditionType}" does not exist.`;
    if (found.status !== "True") return `the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`;
  }
  return undefined;
}

/** Ours in their places, with the time of their last change; those of others as they are. */
function mergeConditions(pod: Pod, wanted: readonly Condition[], nowMs: number): Condition[] {
  const known = itemsOf(fieldsOf(pod.status)["conditions"]) as Condition[];
  const own = wanted.map((next) => {
    const before = known.find(({ type }) => type === next.type);
    const lastTransitionTime = before !== undefined && before.status === next.status ? before.lastTransitionTime : formatTime(nowMs);
    return { ...next, lastProbeTime: null, lastTransitionTime } as Condition;
  });
  const types = new Set(wanted.map(({ type }) => type));
  return [...own, ...known.filter(({ type }) => !types.has(type))];
}
