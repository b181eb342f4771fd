/** One writer an object: writes to the same object follow each other, whichever controllers they come from. */

export class ObjectLocks {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Runs `work` when everything that was asked for `id` before has settled; settles as the work does. */
  run<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(id);
    const mine = before === undefined ? work() : before.then(work, work);
    this.#tails.set(id, mine);
    const leave = () => {
      if (this.#tails.get(id) === mine) this.#tails.delete(id);
    };
    mine.then(leave, leave);
    return mine;
  }

  busy(id: string): boolean {
    return this.#tails.has(id);
  }
}
