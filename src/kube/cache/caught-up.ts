import type { Env } from "../../env/env.ts";

/** The server holds nothing back once a watch has begun; between its bytes there is no more than this. */
const silenceMs = 50;
/** A timer that is later than this was kept waiting, and so were bytes that have arrived. */
const latenessMsMax = 25;
/** Late timers; a process that is never in time has to begin all the same. */
const lateMax = 40;

/**
 * After a start from a snapshot: the server sends what was missed in one go. Done at the version it had then, or when it falls
 * silent: a kind in which nothing happened has nothing to send.
 */
export class CaughtUp {
  private cancelTimer: () => void;
  private done = false;
  private late = 0;

  constructor(
    private readonly env: Env,
    private readonly version: number,
    private readonly then: () => void,
  ) {
    this.cancelTimer = this.listen();
  }

  /** Bytes have come: there is no silence until `heard` says that they are taken in. */
  reading(): void {
    this.cancelTimer();
  }
  heard(): void {
    if (this.done) return;
    this.cancelTimer();
    this.cancelTimer = this.listen();
  }
  at(seenVersion: number): void {
    if (seenVersion >= this.version) this.finish();
  }
  cancel(): void {
    this.done = true;
    this.cancelTimer();
  }
  private listen(): () => void {
    const dueMs = this.env.monotonicMs() + silenceMs;
    return this.env.after(silenceMs, () => {
      const isLate = this.env.monotonicMs() - dueMs > latenessMsMax;
      if (isLate && ++this.late <= lateMax) this.heard();
      else this.finish();
    });
  }
  private finish(): void {
    if (this.done) return;
    this.cancel();
    this.then();
  }
}
