/** One command over many objects: each has its turn, and what went wrong with one is told after the others. */

import { note } from "./output.ts";
import { Refused } from "./refused.ts";

/** @returns the exit code */
export async function each<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<number> {
  const problems: Refused[] = [];
  for (const item of items) {
    try {
      await act(item);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      problems.push(error);
    }
  }
  const [first, ...more] = problems;
  if (first === undefined) return 0;
  // A single one goes out by the one door, with all that is known of it.
  if (more.length === 0) throw first;
  for (const { message } of problems) note(`${message}\n`);
  return 1;
}
