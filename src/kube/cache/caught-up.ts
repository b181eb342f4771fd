import type { Env } from "../../env/env.ts";

/** The server holds nothing back once a watch has begun; between its bytes there is no more than this. */
const silenceMs = 50;

/**
 * After a start from a snapshot: the server sends what was missed in one go. Done at the version it had then, or when it falls
 * silent: a kind in which nothing happened has nothing to send.
 */
export class CaughtUp {
  private cancelTimer: () => void;
  private done = false;

  constructor(
    private readonly env: Env,
    private readonly version: number,
    private readonly then: () => void,
  ) {
    this.cancelTimer = env.after(silenceMs, () => this.finish());
  }

  heard(): void {
    if (this.done) return;
    this.cancelTimer();
    this.cancelTimer = this.env.after(silenceMs, () => this.finish());
  }
  at(seenVersion: number): void {
    if (seenVersion >= this.version) this.finish();
  }
  cancel(): void {
    this.done = true;
    this.cancelTimer();
  }
  private finish(): void {
    if (this.done) return;
    this.cancel();
    this.then();
  }
}
