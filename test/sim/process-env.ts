/** The world as one process sees it: the same clock, dice of its own, and an end that may come between any two lines. */
import type { Cancel, Env, Logger } from "../../src/env/env.ts";
import type { FakeEnv } from "../../src/env/fake.ts";
import { uuidFrom } from "../../src/env/random.ts";
import { Dice } from "./dice.ts";

export class ProcessEnv implements Env {
  readonly log: Logger;
  readonly stopped: AbortSignal;
  readonly random: () => number;
  /** False once it was killed: nothing of it runs any more. */
  alive = true;
  readonly #abort = new AbortController();

  /**
   * @param skewMs how far the clock of its machine is off
   * @param complain told of what the process logs as an error: none of it may happen, whatever the world does
   */
  constructor(
    private readonly world: FakeEnv,
    private readonly skewMs: () => number,
    seed: string,
    name: string,
    complain: (message: string, fields: object) => void,
  ) {
    this.random = new Dice(seed, `process/${name}`).next;
    this.stopped = this.#abort.signal;
    this.log = complaining(complain, {});
  }

  nowMs(): number {
    return this.world.nowMs() + this.skewMs();
  }
  monotonicMs(): number {
    return this.world.monotonicMs();
  }
  uuid(): string {
    return uuidFrom(this.random);
  }
  after(delayMs: number, run: () => void): Cancel {
    return this.world.after(delayMs, () => {
      if (this.alive) run();
    });
  }

  kill(): void {
    this.alive = false;
  }
  /** What SIGTERM does. */
  stop(): void {
    this.#abort.abort();
  }
}

function complaining(complain: (message: string, fields: object) => void, bound: object): Logger {
  const nothing = () => {};
  return {
    trace: nothing,
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: (fields, message) => complain(message, { ...bound, ...fields }),
    child: (fields) => complaining(complain, { ...bound, ...fields }),
    enabled: (level) => level === "error",
  };
}
