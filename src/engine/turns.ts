/**
 * Planning by turns. Everything that computes for longer than a moment is run from here, one piece after the other, and the event loop
 * gets its turn in between: requests, watches and probes wait for one slice at most (plus the last piece).
 */
import type { Env } from "../env/env.ts";
import { engineLimits } from "./limits.ts";

export class Turns {
  readonly #env: Pick<Env, "after" | "monotonicMs">;
  readonly #sliceMsMax: number;
  #waiting: (() => void)[] = [];
  /** Index of the first that still waits. */
  #next = 0;
  #armed = false;

  constructor(env: Pick<Env, "after" | "monotonicMs">, sliceMsMax: number = engineLimits.sliceMsMax) {
    this.#env = env;
    this.#sliceMsMax = sliceMsMax;
  }

  /** Runs `piece` in one of the next turns, in the order of asking. Rejects with what it throws. */
  run<T>(piece: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(piece());
        } catch (error) {
          reject(error);
        }
      });
      this.#arm();
    });
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#env.after(0, () => {
      void this.#slice();
    });
  }

  async #slice(): Promise<void> {
    const startMs = this.#env.monotonicMs();
    for (;;) {
      const piece = this.#waiting[this.#next];
      if (piece === undefined) break;
      this.#next += 1;
      piece();
      if (this.#env.monotonicMs() - startMs >= this.#sliceMsMax) break;
      // Whoever waited for this piece may have another one, a few promises later: it still fits into this slice.
      for (let hop = 0; hop < hopsMax && this.#next === this.#waiting.length; hop += 1) await undefined;
    }
    this.#waiting = this.#next === this.#waiting.length ? [] : this.#waiting.slice(this.#next);
    this.#next = 0;
    this.#armed = false;
    if (this.#waiting.length > 0) this.#arm();
  }
}

/** Promises between the end of one key and the beginning of the next, with room to spare. */
const hopsMax = 32;
