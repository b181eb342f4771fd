/** One container in time: pulled, started, running, ended, started again. It knows no timers; whoever holds it asks when to ask again. */
import { formatTime, parseTime } from "../../kube/time.ts";
import type { Container, ContainerState, ContainerStatus } from "../../kube/types.ts";
import type { Behaviour, Timing } from "./containers.ts";
import { imageIdOf } from "./image.ts";

type Phase = "none" | "pulling" | "pullFailed" | "starting" | "running" | "stopping" | "exited" | "backoff";

export interface Want {
  readonly container: Container;
  readonly behaviour: Behaviour;
  /** It may start, and start again. */
  readonly allowed: boolean;
  /** It has to end, at the latest then. */
  readonly stopByMs: number | undefined;
  readonly restart: "Always" | "OnFailure" | "Never";
}

/** What happened, for Events. */
export interface Happening {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** A container that ran this long is taken for healthy: its next crash is its first. */
const healthyRunMs = 600_000;

/** Of a process that was killed. */
const killedCode = 137;

export class ContainerRun {
  #phase: Phase = "none";
  #sinceMs = 0;
  #untilMs = Number.POSITIVE_INFINITY;
  #image = "";
  #exitCode = 0;
  #startedMs = 0;
  #readyMs = Number.POSITIVE_INFINITY;
  #crashes = 0;
  #restartCount = 0;
  #containerId = "";
  #last: ContainerState["terminated"];
  #neverReady = false;
  /** In a row, of one image. */
  #pullFailures = 0;
  #probes: Behaviour["probes"] = [];
  readonly happened: Happening[] = [];

  constructor(
    private readonly timing: Timing,
    private readonly newId: () => string,
  ) {}

  /** Goes on from what another process wrote into the status. */
  static adopt(timing: Timing, newId: () => string, container: Container, status: ContainerStatus, nowMs: number): ContainerRun {
    const run = new ContainerRun(timing, newId);
    run.#restartCount = status.restartCount;
    run.#last = status.lastState?.terminated;
    const running = status.state?.running;
    if (running !== undefined) {
      run.#phase = "running";
      run.#image = status.image === "" ? (container.image ?? "") : status.image;
      run.#containerId = status.containerID ?? "";
      run.#startedMs = parseTime(running.startedAt) ?? nowMs;
      run.#readyMs = status.ready ? 0 : nowMs;
    } else if (status.state?.terminated !== undefined) {
      run.#phase = "exited";
      run.#exitCode = status.state.terminated.exitCode;
      run.#image = status.image;
      run.#containerId = status.containerID ?? "";
      run.#startedMs = parseTime(status.state.terminated.startedAt) ?? nowMs;
      run.#sinceMs = parseTime(status.state.terminated.finishedAt) ?? nowMs;
    }
    return run;
  }

  get isRunning(): boolean {
    return this.#phase === "running";
  }
  get hasRun(): boolean {
    return this.#containerId !== "";
  }
  get isOver(): boolean {
    return this.#phase === "exited" || this.#phase === "none" || this.#phase === "pullFailed" || this.#phase === "backoff";
  }
  /** It ended and will not start again by itself. */
  endedFor(want: Want): boolean {
    return this.#phase === "exited" && !this.#restarts(want);
  }
  get exitCode(): number {
    return this.#exitCode;
  }
  isReady(nowMs: number): boolean {
    if (this.#phase !== "running" || this.#neverReady || nowMs < this.#readyMs) return false;
    return this.#probes.length === 0 || this.#probed(nowMs) === "ready";
  }

  /** What its probes say now; a script that has not begun leaves it ready. */
  #probed(nowMs: number): Behaviour["probes"][number]["state"] {
    return this.#probes.findLast(({ afterMs }) => this.#startedMs + afterMs <= nowMs)?.state ?? "ready";
  }

  #nextProbeMs(nowMs: number): number {
    if (this.#phase !== "running" || this.#probes.length === 0) return Number.POSITIVE_INFINITY;
    const next = this.#probes.find(({ afterMs }) => this.#startedMs + afterMs > nowMs);
    return next === undefined ? Number.POSITIVE_INFINITY : this.#startedMs + next.afterMs;
  }

  /** Everything that is due. @returns when something is next, or infinity */
  advance(want: Want, nowMs: number): number {
    this.#probes = want.behaviour.probes;
    for (let steps = 0; steps < 32; steps += 1) if (!this.#step(want, nowMs)) break;
    const ready = this.#phase === "running" && !this.#neverReady && this.#readyMs > nowMs ? this.#readyMs : Number.POSITIVE_INFINITY;
    return Math.min(this.#untilMs, ready, this.#nextProbeMs(nowMs));
  }

  /** @returns whether something changed */
  #step(want: Want, nowMs: number): boolean {
    const image = want.container.image ?? "";
    if (want.stopByMs !== undefined) return this.#stopStep(want, nowMs, want.stopByMs);
    if (this.#phase === "none") return want.allowed && this.#pull(image, want.behaviour, nowMs);
    if (this.#phase === "exited") return this.#afterExit(want);
    if (image !== this.#image && this.#phase !== "stopping") return this.#replace(want, nowMs);
    if (this.#phase === "running" && this.#probes.length > 0 && this.#probed(nowMs) === "dead")
      return this.#kill(want.container.name, nowMs);
    return nowMs >= this.#untilMs && this.#due(want);
  }

  /** Its liveness probe failed. */
  #kill(name: string, nowMs: number): boolean {
    this.#tell("Warning", "Unhealthy", "Liveness probe failed: scripted");
    this.#tell("Normal", "Killing", `Container ${name} failed liveness probe, will be restarted`);
    return this.#exit(killedCode, nowMs);
  }

  /** The pod wants another image now. */
  #replace({ container, behaviour }: Want, nowMs: number): boolean {
    const image = container.image ?? "";
    if (this.#phase === "backoff") return this.#again(image, behaviour, nowMs);
    if (this.#phase !== "running") return this.#pull(image, behaviour, nowMs);
    this.#tell("Normal", "Killing", `Container ${container.name} definition changed, will be restarted`);
    return this.#enter("stopping", nowMs, nowMs + behaviour.stopMs);
  }

  /** What the phase waited for has come. */
  #due({ container, behaviour }: Want): boolean {
    const atMs = this.#untilMs;
    switch (this.#phase) {
      case "pulling":
        if (behaviour.unpullable) {
          this.#tell("Warning", "Failed", `Failed to pull image "${this.#image}": not found`);
          return this.#enter("pullFailed", atMs, atMs + this.#pullBackoff());
        }
        this.#pullFailures = 0;
        this.#tell("Normal", "Pulled", `Successfully pulled image "${this.#image}"`);
        return this.#enter("starting", atMs, atMs + behaviour.startMs);
      case "pullFailed":
        return this.#pull(this.#image, behaviour, atMs);
      case "starting":
        return this.#start(behaviour, container.name);
      case "running":
        return this.#exit(behaviour.crashes ? 1 : (behaviour.exit?.code ?? 0), atMs);
      case "stopping":
        return this.#exit(0, atMs);
      case "backoff":
        return this.#again(this.#image, behaviour, atMs);
      default:
        return false;
    }
  }

  #pullBackoff(): number {
    this.#pullFailures += 1;
    return Math.min(this.timing.crashBackoffMsMax, this.timing.crashBackoffMsMin * 2 ** (this.#pullFailures - 1));
  }

  #afterExit(want: Want): boolean {
    const image = want.container.image ?? "";
    const replaced = image !== this.#image;
    if (!want.allowed || (!replaced && !this.#restarts(want))) return false;
    if (replaced) return this.#again(image, want.behaviour, this.#sinceMs);
    this.#crashes = this.#sinceMs - this.#startedMs > healthyRunMs ? 1 : this.#crashes + 1;
    if (this.#crashes === 1) return this.#again(image, want.behaviour, this.#sinceMs);
    const waitMs = Math.min(this.timing.crashBackoffMsMax, this.timing.crashBackoffMsMin * 2 ** (this.#crashes - 2));
    this.#tell("Warning", "BackOff", `Back-off restarting failed container ${want.container.name}`);
    return this.#enter("backoff", this.#sinceMs, this.#sinceMs + waitMs);
  }

  #restarts({ restart }: Want): boolean {
    return restart === "Always" || (restart === "OnFailure" && this.#exitCode !== 0);
  }

  #stopStep({ behaviour, container }: Want, nowMs: number, byMs: number): boolean {
    if (this.#phase === "stopping") return nowMs < this.#untilMs ? false : this.#exit(0, this.#untilMs);
    if (this.#phase === "running") {
      this.#tell("Normal", "Killing", `Stopping container ${container.name}`);
      return this.#enter("stopping", nowMs, Math.min(nowMs + behaviour.stopMs, Math.max(nowMs, byMs)));
    }
    this.#untilMs = Number.POSITIVE_INFINITY;
    if (this.#phase === "pulling" || this.#phase === "starting")
      return this.#enter(this.hasRun ? "exited" : "none", nowMs, Number.POSITIVE_INFINITY);
    return false;
  }

  #pull(image: string, behaviour: Behaviour, fromMs: number): boolean {
    if (image !== this.#image) {
      this.#crashes = 0;
      this.#pullFailures = 0;
    }
    this.#image = image;
    this.#tell("Normal", "Pulling", `Pulling image "${image}"`);
    return this.#enter("pulling", fromMs, fromMs + behaviour.pullMs);
  }

  #start(behaviour: Behaviour, name: string): boolean {
    const atMs = this.#untilMs;
    this.#startedMs = atMs;
    this.#containerId = this.newId();
    this.#neverReady = behaviour.neverReady;
    this.#readyMs = atMs + behaviour.readyMs;
    this.#tell("Normal", "Started", `Started container ${name}`);
    const endMs = behaviour.crashes
      ? atMs + this.timing.crashMs
      : behaviour.exit === undefined
        ? Number.POSITIVE_INFINITY
        : atMs + behaviour.exit.afterMs;
    return this.#enter("running", atMs, endMs);
  }

  #exit(code: number, atMs: number): boolean {
    this.#exitCode = code;
    return this.#enter("exited", atMs, Number.POSITIVE_INFINITY);
  }

  #again(image: string, behaviour: Behaviour, fromMs: number): boolean {
    this.#last = this.#terminated();
    this.#restartCount += 1;
    return this.#pull(image, behaviour, fromMs);
  }

  #enter(phase: Phase, sinceMs: number, untilMs: number): boolean {
    this.#phase = phase;
    this.#sinceMs = sinceMs;
    this.#untilMs = untilMs;
    return true;
  }

  #tell(type: Happening["type"], reason: string, message: string): void {
    this.happened.push({ type, reason, message });
  }

  #terminated(): NonNullable<ContainerState["terminated"]> {
    return {
      exitCode: this.#exitCode,
      reason: this.#exitCode === 0 ? "Completed" : "Error",
      startedAt: formatTime(this.#startedMs),
      finishedAt: formatTime(this.#sinceMs),
      containerID: this.#containerId,
    };
  }

  #waiting(reason: string, message?: string): ContainerState {
    return { waiting: { reason, ...(message === undefined ? {} : { message }) } };
  }

  #state(blocked: string): ContainerState {
    switch (this.#phase) {
      case "running":
      case "stopping":
        return { running: { startedAt: formatTime(this.#startedMs) } };
      case "exited":
        return { terminated: this.#terminated() };
      case "pullFailed":
        return this.#waiting("ImagePullBackOff", `Back-off pulling image "${this.#image}"`);
      case "backoff":
        return this.#waiting("CrashLoopBackOff", "back-off restarting failed container");
      case "none":
        return this.#waiting(blocked);
      default:
        return this.#waiting("ContainerCreating");
    }
  }

  /** @param blocked why it has not begun: "PodInitializing", "ContainerCreating" */
  status(container: Container, nowMs: number, blocked: string): ContainerStatus {
    const up = this.#phase === "running" || this.#phase === "stopping";
    const last = this.#phase === "backoff" ? this.#terminated() : this.#last;
    const { requests, limits } = container.resources ?? {};
    const resources = { ...(limits === undefined ? {} : { limits }), ...(requests === undefined ? {} : { requests }) };
    return {
      name: container.name,
      state: this.#state(blocked),
      lastState: last === undefined ? {} : { terminated: last },
      ready: this.isReady(nowMs),
      restartCount: this.#restartCount,
      image: this.hasRun ? this.#image : (container.image ?? ""),
      imageID: up || this.#phase === "exited" ? imageIdOf(this.#image) : "",
      ...(this.hasRun && (up || this.#phase === "exited" || this.#phase === "backoff") ? { containerID: this.#containerId } : {}),
      started: this.#phase === "running",
      ...(requests === undefined ? {} : { allocatedResources: requests }),
      ...(requests === undefined && limits === undefined ? {} : { resources }),
    };
  }
}
