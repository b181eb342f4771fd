/** Sums of test outcomes, read from the closing lines that `bun test` prints. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const emptyTally: Tally = { passed: 0, failed: 0, skipped: 0 };

export function addTally(a: Tally, b: Tally): Tally {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/**
 * @param output everything the runner wrote
 * @param exitCode of the runner: a run that failed without naming a failed test (a crash, a file that does not load) counts one failure
 */
export function tallyOf(output: string, exitCode: number): Tally {
  const count = (word: string) => Number(new RegExp(`^\\s*(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
  const tally = { passed: count("pass"), failed: count("fail"), skipped: count("skip") + count("todo") };
  return exitCode !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}

const linesBeforeMax = 30;

/**
 * What failed, to be said again at the end of a long run: each test with the error printed before it.
 *
 * @param output everything the runner wrote
 */
export function failuresIn(output: string): string[] {
  const lines = output.split("\n");
  const failures = lines.flatMap((line, at) => (line.startsWith("(fail)") ? [at] : []));
  const summary = lines.findIndex((line) => /^\d+ tests failed:$/.test(line));
  return failures
    .filter((at) => summary === -1 || at < summary)
    .map((at) => {
      const from = lines.findLastIndex((line, index) => index < at && /^\((pass|fail|skip|todo)\)/.test(line)) + 1;
      return lines.slice(Math.max(from, at - linesBeforeMax), at + 1).join("\n");
    });
}
