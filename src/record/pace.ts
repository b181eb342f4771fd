/** Long work in slices: the event loop gets its turn when a slice is over. */
import type { Env } from "../env/env.ts";
import { recordLimits } from "./limits.ts";

export class Pace {
  readonly #env: Env;
  #sliceStartMs: number;
  #steps = 0;

  constructor(env: Env) {
    this.#env = env;
    this.#sliceStartMs = env.monotonicMs();
  }

  /** After each small piece of work. Awaiting `undefined` costs next to nothing; a promise is returned only when the slice is over. */
  step(): Promise<void> | undefined {
    this.#steps += 1;
    // Reading the clock costs more than most pieces.
    if (this.#steps % 16 !== 0 || this.#env.monotonicMs() - this.#sliceStartMs < recordLimits.sliceMsMax) return undefined;
    return this.rest();
  }

  /** The event loop gets its turn now. */
  rest(): Promise<void> {
    return new Promise((resolve) => {
      this.#env.after(0, () => {
        this.#sliceStartMs = this.#env.monotonicMs();
        resolve();
      });
    });
  }
}
