/** How much may be asked of the API server at once: slots for requests in flight, and a token bucket where the user wants one. */
import type { Env } from "../env/env.ts";
import { assert } from "../env/env.ts";

export const flowLimits = {
  /** Requests in flight. Each costs a connection here and a seat in the server's fair queues; 32 keep a two-core server busy. */
  inFlightMax: 32,
  /** However much the server throttles, a little goes through: it is how we notice that it has recovered. */
  inFlightMin: 2,
  /** Requests that wait for a slot. More means that nobody waits for answers any more. */
  waitingMax: 100_000,
} as const;
assert(flowLimits.inFlightMin <= flowLimits.inFlightMax, "the limit can shrink");

/** Halved at most this often: one burst of refusals is one message. */
const shrinkEveryMs = 1000;

/** Slots in order of arrival. The number of slots halves when the server throttles and grows by one for each full round without. */
export class Slots {
  private limit: number;
  private taken = 0;
  private sinceGrowth = 0;
  private lastShrinkMs = Number.NEGATIVE_INFINITY;
  private readonly waiting: (() => void)[] = [];
  private head = 0;

  constructor(
    private readonly env: Env,
    private readonly limitMax: number = flowLimits.inFlightMax,
  ) {
    this.limit = limitMax;
  }

  get inFlight(): number {
    return this.taken;
  }
  get queued(): number {
    return this.waiting.length - this.head;
  }
  get limitNow(): number {
    return this.limit;
  }

  /** Undefined: a slot is taken, go ahead. A promise: wait for it. "full": too many wait already. Each slot must be given back. */
  take(): Promise<void> | "full" | undefined {
    if (this.taken < this.limit && this.queued === 0) {
      this.taken += 1;
      return undefined;
    }
    if (this.queued >= flowLimits.waitingMax) return "full";
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  giveBack(): void {
    this.taken -= 1;
    this.wake();
  }

  succeeded(): void {
    if (this.limit >= this.limitMax) return;
    this.sinceGrowth += 1;
    if (this.sinceGrowth < this.limit) return;
    this.sinceGrowth = 0;
    this.limit += 1;
    this.wake();
  }

  throttled(): void {
    const nowMs = this.env.monotonicMs();
    if (nowMs - this.lastShrinkMs < shrinkEveryMs) return;
    this.lastShrinkMs = nowMs;
    this.sinceGrowth = 0;
    this.limit = Math.max(Math.min(flowLimits.inFlightMin, this.limitMax), this.limit >> 1);
  }

  private wake(): void {
    while (this.taken < this.limit && this.head < this.waiting.length) {
      const next = this.waiting[this.head] as () => void;
      this.head += 1;
      this.taken += 1;
      next();
    }
    if (this.head === this.waiting.length) {
      this.waiting.length = 0;
      this.head = 0;
    } else if (this.head > 1024) {
      this.waiting.splice(0, this.head);
      this.head = 0;
    }
  }
}

export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** A token bucket that knows when the token it hands out is good: tokens may be reserved ahead of time. */
export class TokenBucket {
  private tokens: number;
  private filledMs: number;

  constructor(
    private readonly env: Env,
    private readonly rate: RateLimit,
  ) {
    assert(rate.perSecond > 0 && rate.burst > 0, "a rate limit lets something through");
    this.tokens = rate.burst;
    this.filledMs = env.monotonicMs();
  }

  /** Takes a token now or in advance. @returns how long to wait before using it */
  reserveMs(): number {
    this.refill();
    this.tokens -= 1;
    return this.tokens >= 0 ? 0 : (-this.tokens / this.rate.perSecond) * 1000;
  }

  /** Takes a token only if one is there. */
  tryTake(): boolean {
    this.refill();
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }

  private refill(): void {
    const nowMs = this.env.monotonicMs();
    this.tokens = Math.min(this.rate.burst, this.tokens + ((nowMs - this.filledMs) / 1000) * this.rate.perSecond);
    this.filledMs = nowMs;
  }
}
