/**
 * A world whose time stands still until a test moves it. Timers fire in order of their time, and in order of their making where the
 * times are equal; between two timers every promise that can run has run. The same seed and the same calls give the same run.
 */
import type { Cancel, Env, Logger, LogLevel } from "./env.ts";
import { seededRandom, uuidFrom } from "./random.ts";

export interface FakeLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface FakeOptions {
  readonly seed?: number | string;
  /** The wall clock at the start; default 2025-01-01T00:00:00Z. */
  readonly startMs?: number;
  readonly log?: Logger;
}

export class FakeEnv implements Env {
  readonly log: Logger;
  readonly stopped: AbortSignal;
  /** The latest lines, oldest first, when no logger was given. */
  readonly lines: FakeLine[] = [];
  readonly random: () => number;
  private readonly abort = new AbortController();
  private readonly timers = new TimerHeap();
  private readonly startMs: number;
  private elapsedMs = 0;
  private sequence = 0;
  private skewMs = 0;

  constructor(options: FakeOptions = {}) {
    this.startMs = options.startMs ?? Date.UTC(2025, 0, 1);
    this.random = seededRandom(options.seed ?? 1);
    this.log = options.log ?? recordingLogger(this.lines, {});
    this.stopped = this.abort.signal;
  }

  nowMs(): number {
    return this.startMs + this.elapsedMs + this.skewMs;
  }
  monotonicMs(): number {
    return this.elapsedMs;
  }
  uuid(): string {
    return uuidFrom(this.random);
  }
  after(delayMs: number, run: () => void): Cancel {
    this.sequence += 1;
    const timer: Timer = { dueMs: this.elapsedMs + Math.max(0, delayMs), sequence: this.sequence, run };
    this.timers.push(timer);
    return () => {
      timer.run = undefined;
    };
  }

  /** Moves the wall clock alone, as an administrator or NTP would. */
  jump(byMs: number): void {
    this.skewMs += byMs;
  }
  /** What SIGTERM does. */
  stop(): void {
    this.abort.abort();
  }
  /** Milliseconds until the next timer, or undefined when none is set. */
  nextTimerMs(): number | undefined {
    const dueMs = this.timers.peekDueMs();
    return dueMs === undefined ? undefined : dueMs - this.elapsedMs;
  }

  /** Lets `byMs` pass: everything that falls due in it happens, at its time. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.elapsedMs + byMs;
    await settle();
    while (await this.step(untilMs));
    this.elapsedMs = untilMs;
    await settle();
  }

  /** Lets time pass until no timer is left. @returns false when that did not happen within `withinMs` */
  async runUntilIdle(withinMs = 3_600_000): Promise<boolean> {
    const untilMs = this.elapsedMs + withinMs;
    await settle();
    while (await this.step(untilMs));
    return this.timers.peekDueMs() === undefined;
  }

  /** Lets time pass until `holds`. @returns false when that did not happen within `withinMs` */
  async runUntil(holds: () => boolean, withinMs = 3_600_000): Promise<boolean> {
    const untilMs = this.elapsedMs + withinMs;
    await settle();
    while (!holds()) if (!(await this.step(untilMs))) return holds();
    return true;
  }

  /** Runs the next timer. @returns false when none is due until `untilMs` */
  private async step(untilMs: number): Promise<boolean> {
    const timer = this.timers.pop(untilMs);
    if (!timer) return false;
    this.elapsedMs = Math.max(this.elapsedMs, timer.dueMs);
    timer.run?.();
    await settle();
    return true;
  }
}

/** Promises that can run have run once the event loop has turned: nothing here waits for the outside. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Timer {
  readonly dueMs: number;
  readonly sequence: number;
  /** Undefined once cancelled. */
  run: (() => void) | undefined;
}

/** A binary heap by (dueMs, sequence). Cancelled timers are dropped when they surface. */
class TimerHeap {
  private readonly items: Timer[] = [];

  push(timer: Timer): void {
    const items = this.items;
    let index = items.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (earlier(items[parent] as Timer, timer)) break;
      items[index] = items[parent] as Timer;
      index = parent;
    }
    items[index] = timer;
  }

  peekDueMs(): number | undefined {
    while (this.items[0] && this.items[0].run === undefined) this.removeFirst();
    return this.items[0]?.dueMs;
  }

  pop(untilMs: number): Timer | undefined {
    const dueMs = this.peekDueMs();
    return dueMs === undefined || dueMs > untilMs ? undefined : this.removeFirst();
  }

  private removeFirst(): Timer | undefined {
    const items = this.items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && earlier(items[child + 1] as Timer, items[child] as Timer)) child += 1;
      if (earlier(last, items[child] as Timer)) break;
      items[index] = items[child] as Timer;
      index = child;
    }
    items[index] = last;
    return first;
  }
}

function earlier(a: Timer, b: Timer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence);
}

function recordingLogger(lines: FakeLine[], bound: object): Logger {
  const linesMax = 10_000;
  const write = (level: LogLevel) => (fields: object, message: string) => {
    lines.push({ level, message, fields: { ...bound, ...fields } });
    if (lines.length > linesMax) lines.splice(0, linesMax / 2);
  };
  return {
    trace: write("trace"),
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (fields) => recordingLogger(lines, { ...bound, ...fields }),
    enabled: () => true,
  };
}
