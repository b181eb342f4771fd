/** From a failing seed to what it takes: faults, disasters and acts are left out one after the other, as long as the same thing breaks. */
import { type Result, type SimulateOptions, simulate } from "./simulate.ts";

const runsMax = 80;
const linesMax = 70;

export async function shrink(options: SimulateOptions, found: Result): Promise<Result> {
  let best = found;
  let without = new Set(options.without);
  let runs = 0;
  for (let isShorter = true; isShorter && runs < runsMax; ) {
    isShorter = false;
    for (const name of best.happened) {
      if (runs >= runsMax || without.has(name)) continue;
      const fewer = new Set([...without, name]);
      runs += 1;
      const result = await simulate({ ...options, without: fewer });
      if (result.violation === undefined || result.violation.invariant !== best.violation?.invariant) continue;
      best = result;
      without = fewer;
      isShorter = true;
    }
  }
  return best;
}

/** What to show of a failure: how to see it again, what it took, and what happened last. */
export function report(kind: string, first: Result, shrunk: Result): string {
  const { violation } = shrunk;
  const lines = shrunk.trace.slice(0, violation?.at === undefined ? undefined : violation.at + 1).filter((line) => !isNoise(line));
  const shown = lines.length > linesMax ? [`          … ${lines.length - linesMax} lines before`, ...lines.slice(-linesMax)] : lines;
  return [
    `${kind}, seed ${first.seed}: ${first.violation?.invariant}: ${first.violation?.message}`,
    `again: bun run sim --feature=${kind} --seed=${first.seed}`,
    `it takes: ${shrunk.happened.join(", ") || "nothing but the scene"}`,
    ...shown.map((line) => (line.length > 200 ? `${line.slice(0, 199)}…` : line)),
  ].join("\n");
}

/** Steps of containers that nobody acts upon. */
function isNoise(line: string): boolean {
  return /kube-scheduler|status\.conditions: times$|kubelet .*waiting|Event /.test(line);
}
