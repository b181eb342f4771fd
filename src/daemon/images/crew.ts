/** Who works on what: one worker for each task that is wanted and not over. */
import type { NodeImage } from "../../api/nodeimage.ts";
import { isOver, statusOf } from "../../workload/images/tasks.ts";
import { isEnded, type TaskState } from "./state.ts";
import { roundOf, type Task, tasksOf } from "./tasks.ts";
import { Worker, type WorkerDeps } from "./worker.ts";

export const crewLimits = {
  /** ms that a pull lasts before its beginning is told: one that has ended by then is told of once. */
  youngMs: 1_000,
} as const;

export class Crew {
  readonly #deps: WorkerDeps;
  readonly #workers = new Map<string, Worker>();

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
  }

  /** Workers of tasks that are not wanted any more, are over, or are another round, stop; tasks without a worker get one. */
  follow(nodeImage: Readonly<NodeImage> | undefined): void {
    const wanted = new Map<string, Task>();
    const rounds = new Set<string>();
    for (const task of nodeImage === undefined ? [] : tasksOf(nodeImage)) {
      // What is over, whoever says so, is over: a controller ends tasks that take too long.
      if (nodeImage !== undefined && isOver(statusOf(nodeImage, task.image, task.spec))) continue;
      wanted.set(task.key, task);
      rounds.add(roundOf(task));
    }
    for (const [key, worker] of this.#workers) {
      const task = wanted.get(key);
      if (task !== undefined && worker.adapt(task)) continue;
      worker.stop();
      this.#workers.delete(key);
    }
    for (const round of this.#deps.memory.rounds()) if (!rounds.has(round)) this.#deps.memory.forget(round);
    for (const [key, task] of wanted) if (!this.#workers.has(key)) this.#workers.set(key, new Worker(this.#deps, task));
  }

  /** Undefined: nobody works on this task. "young": it has only just begun, which is not worth a write: most such pulls end in a moment. */
  stateOf(task: Task): TaskState | "young" | undefined {
    const worker = this.#workers.get(task.key);
    if (worker === undefined || worker.task.version !== task.version) return undefined;
    return this.#youngForMs(worker) > 0 ? "young" : worker.state;
  }

  /** ms until the next young one has something to tell; undefined: there is none. */
  get tellsAfterMs(): number | undefined {
    const waits = [...this.#workers.values()].map((worker) => this.#youngForMs(worker)).filter((ms) => ms > 0);
    return waits.length > 0 ? Math.min(...waits) : undefined;
  }

  #youngForMs({ madeMs, state }: Worker): number {
    return isEnded(state) ? 0 : crewLimits.youngMs - (this.#deps.env.monotonicMs() - madeMs);
  }

  get pulling(): number {
    return [...this.#workers.values()].filter(({ state }) => state.phase === "Pulling").length;
  }

  async stop(): Promise<void> {
    const workers = [...this.#workers.values()];
    for (const worker of workers) worker.stop();
    await Promise.all(workers.map((worker) => worker.ended));
  }
}
