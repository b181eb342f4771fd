/** Chance by name: each stream of draws depends on the seed and its own name only, so that one fault less leaves all other draws as they were. */
import { seededRandom } from "../../src/env/random.ts";

export class Dice {
  readonly next: () => number;

  constructor(
    readonly seed: string,
    name: string,
  ) {
    this.next = seededRandom(`${seed}/${name}`);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }
  /** An integer in [0, count). */
  upTo(count: number): number {
    return Math.floor(this.next() * count);
  }
  /** An integer in [from, to]. */
  between(from: number, to: number): number {
    return from + this.upTo(to - from + 1);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.upTo(list.length)] as T;
  }
  /** One of the entries, each as often as its weight says. */
  weighted<T extends { readonly weight: number }>(list: readonly T[]): T {
    let left = this.next() * list.reduce((sum, { weight }) => sum + weight, 0);
    for (const entry of list) {
      left -= entry.weight;
      if (left < 0) return entry;
    }
    return list.at(-1) as T;
  }
}
