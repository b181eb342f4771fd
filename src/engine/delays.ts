/** Things to do later, each at one time, by one timer for all of them. */
import type { Cancel, Env } from "../env/env.ts";

interface Due<T> {
  readonly item: T;
  atMs: number;
  /** Breaks ties: first added, first due. */
  order: number;
  /** Its place in the heap. */
  index: number;
}

/** `onDue` gets each item once its time has come, in order of time. An item has one time: setting it again moves it. */
export class Delays<T> {
  readonly #env: Pick<Env, "after" | "monotonicMs">;
  readonly #onDue: (item: T) => void;
  readonly #heap: Due<T>[] = [];
  readonly #dues = new Map<T, Due<T>>();
  #order = 0;
  #armedForMs = Number.POSITIVE_INFINITY;
  #cancel: Cancel | undefined;

  constructor(env: Pick<Env, "after" | "monotonicMs">, onDue: (item: T) => void) {
    this.#env = env;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** `atMs` on the monotonic clock. */
  set(item: T, atMs: number): void {
    this.#order += 1;
    const known = this.#dues.get(item);
    if (known === undefined) {
      const due = { item, atMs, order: this.#order, index: this.#heap.length };
      this.#dues.set(item, due);
      this.#heap.push(due);
      this.#rise(due);
    } else {
      known.atMs = atMs;
      known.order = this.#order;
      this.#rise(known);
      this.#sink(known);
    }
    this.#arm();
  }

  delete(item: T): void {
    const due = this.#dues.get(item);
    if (due === undefined) return;
    this.#dues.delete(item);
    const last = this.#heap.pop();
    if (last === undefined || last === due) return;
    this.#place(last, due.index);
    this.#rise(last);
    this.#sink(last);
  }

  clear(): void {
    this.#heap.length = 0;
    this.#dues.clear();
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedForMs = Number.POSITIVE_INFINITY;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.atMs >= this.#armedForMs) return;
    this.#cancel?.();
    this.#armedForMs = first.atMs;
    // Rounded up: a timer that fires a fraction early would only have to be set again.
    this.#cancel = this.#env.after(Math.max(0, Math.ceil(first.atMs - this.#env.monotonicMs())), () => this.#fire());
  }

  #fire(): void {
    this.#cancel = undefined;
    this.#armedForMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#env.monotonicMs();
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= nowMs; first = this.#heap[0]) {
      this.delete(first.item);
      this.#onDue(first.item);
    }
    this.#arm();
  }

  #place(due: Due<T>, index: number): void {
    this.#heap[index] = due;
    due.index = index;
  }

  #rise(due: Due<T>): void {
    while (due.index > 0) {
      const parent = this.#heap[(due.index - 1) >> 1] as Due<T>;
      if (!before(due, parent)) return;
      const index = parent.index;
      this.#place(parent, due.index);
      this.#place(due, index);
    }
  }

  #sink(due: Due<T>): void {
    for (;;) {
      const left = this.#heap[due.index * 2 + 1];
      const right = this.#heap[due.index * 2 + 2];
      const least = right !== undefined && left !== undefined && before(right, left) ? right : left;
      if (least === undefined || !before(least, due)) return;
      const index = least.index;
      this.#place(least, due.index);
      this.#place(due, index);
    }
  }
}

function before<T>(a: Due<T>, b: Due<T>): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
