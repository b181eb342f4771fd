/**
 * The only door to time, chance and the outside world. Every other room receives an `Env`, so that tests and the simulator can give
 * their own and a run can be replayed from its seed.
 */

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** Structured logging. `fields` come first so that a message is never built by string concatenation. */
export interface Logger {
  trace(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds `fields` to every line. */
  child(fields: object): Logger;
  /** Whether lines of this level are written: ask before computing an expensive field. */
  enabled(level: LogLevel): boolean;
}

/** Ends a timer; calling it twice, or after the timer ran, does nothing. */
export type Cancel = () => void;

export interface Env {
  /** Wall clock, milliseconds since 1970. May jump. */
  nowMs(): number;
  /** Told with each answer of the API server what time it is there, and how long the answer took: see server-clock.ts. */
  readonly serverSaid?: (serverMs: number, roundTripMs: number) => void;
  /** Monotonic clock, milliseconds since an arbitrary start. For durations. */
  monotonicMs(): number;
  /** Runs `run` once after `delayMs` (0 = in the next turn of the event loop), unless cancelled. */
  after(delayMs: number, run: () => void): Cancel;
  /** A number in [0, 1). */
  random(): number;
  uuid(): string;
  readonly log: Logger;
  /** Aborted when the process is asked to stop: loops end, nothing new starts. */
  readonly stopped: AbortSignal;
}

/** Resolves after `delayMs`; resolves early when `signal` (default: `env.stopped`) is aborted. Never rejects. */
export function sleep(env: Env, delayMs: number, signal: AbortSignal = env.stopped): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = env.after(delayMs, done);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** A programmer's promise that was broken: stops at the cause instead of at its consequence. */
export function assert(condition: unknown, promise: string): asserts condition {
  if (!condition) throw new Error(`broken promise: ${promise}`);
}

/** Marks a branch that the compiler has proven impossible: a new variant shows up here at compile time. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
