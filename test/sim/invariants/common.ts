/** What holds for every feature: no hot loops. */
import type { Watcher, World } from "../world.ts";

/**
 * Between two things that happen in the world (a user's or a node's doing, a fault) a manager may write only so much: for each pod a few
 * times, and a little besides.
 */
export function noStorm(world: World, writesMax: () => number): Watcher {
  let alone = 0;
  return {
    name: "no write storm",
    wrote(_write, { manager }) {
      if (manager === undefined) {
        alone = 0;
        return undefined;
      }
      alone += 1;
      const max = writesMax();
      if (alone <= max) return undefined;
      return `${alone} writes of managers in a row, at ${world.env.monotonicMs()} ms, where ${max} are enough`;
    },
  };
}
