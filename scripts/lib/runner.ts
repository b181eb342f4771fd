/** Runs test files, counts what came of them, and remembers what failed. */
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { constants, setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { addTally, emptyTally, failuresIn, type Tally, tallyOf } from "./tally.ts";

export interface RunOptions {
  /** Of each test. */
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Processes that share the files. Default: one. */
  readonly processes?: number;
  /** For work that computes all the time and that no clock hurries: whatever else runs on the machine goes first. */
  readonly inBackground?: boolean;
}

interface Outcome {
  readonly tally: Tally;
  /** Each failed test with its error; empty when all passed. */
  readonly failed: readonly string[];
}

interface Running {
  readonly title: string;
  readonly child: Bun.Subprocess;
  /** Absent: what it prints is seen anyway. */
  readonly logPath?: string;
}

export class Runner {
  /** Said again before the last line: the log of a whole run is long. */
  readonly failures: string[] = [];
  readonly unsteady: string[] = [];
  /** Others print meanwhile: what a run prints comes in one piece when it ends. */
  inOnePiece = false;
  private repeatsLeft = 4;
  private readonly running = new Set<Running>();
  private readonly logDir = mkdtempSync(join(tmpdir(), "kruiser-tests-"));

  constructor() {
    process.once("exit", () => {
      for (const { child } of this.running) child.kill();
      rmSync(this.logDir, { recursive: true, force: true });
    });
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => this.interrupted(signal));
  }

  /** @param paths files and folders; those that are not there have no tests */
  async once(paths: readonly string[], options: RunOptions): Promise<Tally> {
    const { tally, failed } = await this.run(paths, options);
    this.failures.push(...failed);
    return tally;
  }

  /**
   * For real parts, where a machine's bad moment can be too long for a deadline: a file that failed is run once more, whole, and that it was
   * is told at the end. After a few such files it is no longer a matter of moments.
   */
  async steadied(paths: readonly string[], options: RunOptions): Promise<Tally> {
    const first = await this.run(paths, options);
    if (first.failed.length === 0) return first.tally;
    if (this.repeatsLeft === 0) {
      this.failures.push(...first.failed);
      return first.tally;
    }
    this.repeatsLeft -= 1;
    console.log(`\n${paths.join(" ")}: once more, after ${describe(first.tally)}`);
    const second = await this.run(paths, options);
    (second.failed.length === 0 ? this.unsteady : this.failures).push(...first.failed, ...second.failed);
    return second.tally;
  }

  private async run(paths: readonly string[], options: RunOptions): Promise<Outcome> {
    const present = paths.filter((path) => existsSync(path));
    if (present.length === 0) return { tally: emptyTally, failed: [] };
    const title = present.join(" ");
    const [text, code] = this.inOnePiece ? await this.kept(title, present, options) : await this.shown(title, present, options);
    const tally = tallyOf(text, code);
    if (code === 0) return { tally, failed: [] };
    const failed = failuresIn(text);
    return { tally, failed: [`in ${title}:`, ...(failed.length > 0 ? failed : [`exit code ${code}\n${text.slice(-2_000)}`])] };
  }

  /** Prints as it comes. @returns what the test runner itself said, and its exit code */
  private async shown(title: string, paths: readonly string[], options: RunOptions): Promise<[text: string, code: number]> {
    const child = Bun.spawn(argvOf(paths, options), { env: envOf(options), stdout: "inherit", stderr: "pipe" });
    const running = this.begun({ title, child }, options);
    let text = "";
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
      process.stderr.write(chunk);
      text += chunk;
    }
    const code = await child.exited;
    this.running.delete(running);
    return [text, code];
  }

  /** Prints at the end. Both streams go into one file, so that they stay in order. */
  private async kept(title: string, paths: readonly string[], options: RunOptions): Promise<[text: string, code: number]> {
    const logPath = join(this.logDir, crypto.randomUUID());
    const log = openSync(logPath, "a");
    const startedMs = performance.now();
    const child = Bun.spawn(argvOf(paths, options), { env: envOf(options), stdout: log, stderr: log });
    closeSync(log);
    const running = this.begun({ title, child, logPath }, options);
    const code = await child.exited;
    this.running.delete(running);
    const text = readFileSync(logPath, "utf8");
    rmSync(logPath);
    process.stdout.write(`\n--- ${title}, ${Math.round((performance.now() - startedMs) / 1000)} s\n${text}`);
    return [text, code];
  }

  private begun(running: Running, { inBackground = false }: RunOptions): Running {
    this.running.add(running);
    if (inBackground && running.child.exitCode === null) setPriority(running.child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
    return running;
  }

  /** Whoever waits for a run that does not end learns where it stands. */
  private interrupted(signal: "SIGINT" | "SIGTERM"): never {
    for (const { title, logPath } of this.running) {
      if (logPath !== undefined) console.log(`\n--- ${title}, interrupted\n${readFileSync(logPath, "utf8")}`);
    }
    process.exit(128 + constants.signals[signal]);
  }
}

export function describe(tally: Tally): string {
  return `${tally.passed} passed, ${tally.failed} failed${tally.skipped > 0 ? `, ${tally.skipped} skipped` : ""}`;
}

export function sumOf(tallies: readonly Tally[]): Tally {
  return tallies.reduce(addTally, emptyTally);
}

function argvOf(paths: readonly string[], { timeoutMs, processes = 1 }: RunOptions): string[] {
  return [
    process.execPath,
    "test",
    `--timeout=${timeoutMs}`,
    ...(processes > 1 ? [`--parallel=${processes}`, "--no-isolate"] : []),
    ...paths,
  ];
}

function envOf({ env }: RunOptions): Record<string, string | undefined> {
  return { ...process.env, ...env };
}
