/** Who works on what: one worker for each task that is wanted and not over. */
import type { NodeImage } from "../../api/nodeimage.ts";
import { isOver, statusOf } from "../../workload/images/tasks.ts";
import type { TaskState } from "./state.ts";
import { roundOf, type Task, tasksOf } from "./tasks.ts";
import { Worker, type WorkerDeps } from "./worker.ts";

export class Crew {
  readonly #deps: WorkerDeps;
  readonly #workers = new Map<string, Worker>();

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
  }

  /**
   * Workers of tasks that are not wanted any more, are over, or are another round, stop; tasks without a worker get one.
   * @returns how many got one
   */
  follow(nodeImage: Readonly<NodeImage> | undefined): number {
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
    const fresh = [...wanted].filter(([key]) => !this.#workers.has(key));
    for (const [key, task] of fresh) this.#workers.set(key, new Worker(this.#deps, task));
    return fresh.length;
  }

  /** Undefined: nobody works on this task. */
  stateOf(task: Task): TaskState | undefined {
    const worker = this.#workers.get(task.key);
    return worker !== undefined && worker.task.version === task.version ? worker.state : undefined;
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
