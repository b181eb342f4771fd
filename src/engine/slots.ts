/**
 * So many writes on their way at once, over all controllers. Who waits is served lane by lane, one job a lane: a workload with a thousand
 * writes does not make another with one write wait for all of them.
 */
import { assert } from "../env/env.ts";
import { engineLimits } from "./limits.ts";

export class Slots {
  #free: number;
  #waiting = 0;
  /** Lanes with jobs; a Map keeps the order in which they get their turn. */
  readonly #lanes = new Map<string, Lane>();

  constructor(slotsMax: number = engineLimits.writesInFlightMax) {
    assert(slotsMax >= 1, "there is at least one slot");
    this.#free = slotsMax;
  }

  /** Jobs that wait for a slot. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Runs `job` as soon as a slot is free and it is the lane's turn; settles as the job does. */
  async run<T>(lane: string, job: () => Promise<T>): Promise<T> {
    await this.#acquire(lane);
    try {
      return await job();
    } finally {
      this.#release();
    }
  }

  #acquire(lane: string): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free -= 1;
      return undefined;
    }
    this.#waiting += 1;
    return new Promise((resolve) => {
      const jobs = this.#lanes.get(lane);
      if (jobs === undefined) this.#lanes.set(lane, { jobs: [resolve], next: 0 });
      else jobs.jobs.push(resolve);
    });
  }

  #release(): void {
    for (const [name, lane] of this.#lanes) {
      const start = lane.jobs[lane.next];
      lane.next += 1;
      this.#lanes.delete(name);
      if (lane.next < lane.jobs.length) this.#lanes.set(name, compact(lane));
      if (start === undefined) continue;
      this.#waiting -= 1;
      start();
      return;
    }
    this.#free += 1;
  }
}

interface Lane {
  readonly jobs: (() => void)[];
  /** Index of the first job that still waits. */
  next: number;
}

function compact(lane: Lane): Lane {
  return lane.next < 256 ? lane : { jobs: lane.jobs.slice(lane.next), next: 0 };
}
