/** One task, from its turn to its end: attempts, pauses between them, and a deadline over all. */
import { type Env, sleep } from "../../env/env.ts";
import type { Memory } from "./memory.ts";
import type { Pool } from "./pool.ts";
import type { Attempt } from "./pull.ts";
import { type Ended, isEnded, type Remembered, type TaskState } from "./state.ts";
import { isSameRound, pauseMs, roundOf, type Task, termsOf } from "./tasks.ts";

export const workerLimits = {
  /** ms between two looks for a runtime or an API server that does not answer. */
  awayPauseMs: 2_000,
  /** ms in all; after that each such look is a failed attempt. */
  awayMsMax: 180_000,
} as const;

export interface WorkerDeps {
  readonly env: Env;
  readonly pool: Pool;
  readonly memory: Memory;
  readonly attempt: (task: Task, limitMs: number, signal: AbortSignal) => Promise<Attempt>;
  /** The state has changed. */
  readonly changed: () => void;
  /** It came to an end by itself, for the first time. */
  readonly over: (task: Task, ended: Ended, how: "present" | "pulled" | "failed") => void;
}

export class Worker {
  readonly #deps: WorkerDeps;
  readonly #abort = new AbortController();
  /** By the monotonic clock. */
  readonly madeMs: number;
  #task: Task;
  #state: TaskState = { phase: "Waiting" };
  /** Resolves when nothing of it is under way any more. */
  readonly ended: Promise<void>;

  constructor(deps: WorkerDeps, task: Task) {
    this.#deps = deps;
    this.#task = task;
    this.madeMs = deps.env.monotonicMs();
    const remembered = deps.memory.recall(roundOf(task));
    if (remembered?.ended !== undefined) {
      this.#state = remembered.ended;
      this.ended = Promise.resolve();
      return;
    }
    this.ended = deps.pool.run(this.#abort.signal, () => this.#work(remembered)).catch((error: unknown) => this.#broken(error));
  }

  get state(): TaskState {
    return this.#state;
  }
  get task(): Task {
    return this.#task;
  }

  /** The same round on other terms: they count from the next attempt on. @returns false when it is another round */
  adapt(task: Task): boolean {
    if (!isSameRound(this.#task, task)) return false;
    this.#task = task;
    return true;
  }

  /** It is not wanted any more: the runtime is told to stop, and nobody hears of it again. */
  stop(): void {
    this.#abort.abort();
  }

  async #work(remembered: Remembered | undefined): Promise<void> {
    const { env } = this.#deps;
    const startMs = remembered?.startMs ?? env.nowMs();
    // A clock that was put back must not make a deadline last for ever.
    const beganMs = env.monotonicMs() - Math.max(0, env.nowMs() - startMs);
    this.#enter({ phase: "Pulling", startMs });
    let failedAttempts = remembered?.failedAttempts ?? 0;
    let awayMs = 0;
    this.#deps.memory.begun(roundOf(this.#task), { startMs, failedAttempts });
    for (;;) {
      const limitMs = this.#limitMs(beganMs);
      if (limitMs <= 0) return this.#fail(startMs, this.#lateMessage());
      const outcome = await this.#deps.attempt(this.#task, limitMs, this.#abort.signal);
      if (this.#abort.signal.aborted || env.stopped.aborted) return;
      if (outcome.ok) return this.#succeed(startMs, outcome);
      this.#log(failedAttempts, outcome.message);
      const isAway = outcome.away && awayMs < workerLimits.awayMsMax;
      if (isAway) awayMs += workerLimits.awayPauseMs;
      else failedAttempts += 1;
      this.#deps.memory.begun(roundOf(this.#task), { startMs, failedAttempts });
      if (failedAttempts >= termsOf(this.#task.spec.pullPolicy).attemptsMax) return this.#fail(startMs, outcome.message);
      await this.#pause(isAway ? workerLimits.awayPauseMs : pauseMs(failedAttempts), beganMs);
      if (this.#abort.signal.aborted || env.stopped.aborted) return;
      if (this.#limitMs(beganMs) <= 0) return this.#fail(startMs, `${this.#lateMessage()}; the last attempt: ${outcome.message}`);
    }
  }

  /** ms that the next attempt may take; 0 or less: the deadline has passed. */
  #limitMs(beganMs: number): number {
    const { timeoutMs, deadlineMs } = termsOf(this.#task.spec.pullPolicy);
    if (deadlineMs === undefined) return timeoutMs;
    return Math.min(timeoutMs, beganMs + deadlineMs - this.#deps.env.monotonicMs());
  }

  #lateMessage(): string {
    return `exceeds the activeDeadlineSeconds (${this.#task.spec.pullPolicy?.activeDeadlineSeconds})`;
  }

  /** Not beyond the deadline: what comes then is known already. */
  #pause(ms: number, beganMs: number): Promise<void> {
    const { deadlineMs } = termsOf(this.#task.spec.pullPolicy);
    const leftMs = deadlineMs === undefined ? ms : Math.max(0, beganMs + deadlineMs - this.#deps.env.monotonicMs());
    const wake = AbortSignal.any([this.#abort.signal, this.#deps.env.stopped]);
    return sleep(this.#deps.env, Math.min(ms, leftMs), wake);
  }

  #succeed(startMs: number, { how, imageId }: Extract<Attempt, { readonly ok: true }>): void {
    const endMs = Math.max(this.#deps.env.nowMs(), startMs);
    this.#end({ phase: "Succeeded", startMs, endMs, ...(imageId === undefined ? {} : { imageId }) }, how);
  }

  #fail(startMs: number, message: string): void {
    this.#end({ phase: "Failed", startMs, endMs: Math.max(this.#deps.env.nowMs(), startMs), message }, "failed");
  }

  #end(ended: Ended, how: "present" | "pulled" | "failed"): void {
    // First the record: if the process ends now, the pull is not done again.
    this.#deps.memory.ended(roundOf(this.#task), { startMs: ended.startMs, failedAttempts: 0, ended });
    this.#enter(ended);
    this.#deps.over(this.#task, ended, how);
  }

  #enter(state: TaskState): void {
    this.#state = state;
    this.#deps.changed();
  }

  #log(failedAttempts: number, problem: string): void {
    const { image, tag } = this.#task;
    this.#deps.env.log.info({ image, tag, attempt: failedAttempts + 1, problem }, "an attempt to pull an image failed");
  }

  #broken(error: unknown): void {
    const { image, tag } = this.#task;
    this.#deps.env.log.error({ image, tag, error }, "pulling an image threw");
    if (!isEnded(this.#state)) this.#fail(this.#deps.env.nowMs(), "internal error: see the log of the node agent");
  }
}
