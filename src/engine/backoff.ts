/** How long a failing key waits. */
import { engineLimits } from "./limits.ts";

export interface BackoffLimits {
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  readonly retriesPerSecond: number;
  readonly retryBurst: number;
}

export const defaultBackoff: BackoffLimits = {
  backoffMsMin: engineLimits.backoffMsMin,
  backoffMsMax: engineLimits.backoffMsMax,
  retriesPerSecond: engineLimits.retriesPerSecond,
  retryBurst: engineLimits.retryBurst,
};

/** ms: min · 2^(failures − 1), at most max. `failures` counts from 1. */
export function exponentialMs(
  failures: number,
  { backoffMsMin, backoffMsMax }: Pick<BackoffLimits, "backoffMsMin" | "backoffMsMax">,
): number {
  // Beyond 2^40 the product would only overflow.
  return Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(40, Math.max(0, failures - 1)));
}

/** A bucket of `burst` tokens, refilled at `perSecond`. Whoever takes one from an empty bucket is told how long to wait for it. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #filledAtMs = 0;

  constructor(perSecond: number, burst: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Takes a token; returns the ms until it is there. */
  takeMs(nowMs: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, nowMs - this.#filledAtMs) * this.#perMs);
    this.#filledAtMs = nowMs;
    this.#tokens -= 1;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }
}
