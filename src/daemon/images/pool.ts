/** So many at once, and the others in the order in which they came. */
export class Pool {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /** @param max 0 or less: no limit */
  constructor(max: number) {
    this.#max = max > 0 ? max : Number.POSITIVE_INFINITY;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Runs `work` when there is room for it, unless `signal` was aborted until then. */
  async run(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    if (!(await this.#enter(signal))) return;
    try {
      await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#taken < this.#max) {
      this.#taken += 1;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const enter = () => resolve(true);
    const giveUp = () => {
      const index = this.#waiting.indexOf(enter);
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      resolve(false);
    };
    this.#waiting.push(enter);
    signal.addEventListener("abort", giveUp, { once: true });
    const entered = await promise;
    signal.removeEventListener("abort", giveUp);
    return entered;
  }

  /** The place goes from hand to hand: nobody overtakes. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next();
    else this.#taken -= 1;
  }
}
