/** Long work in short pieces: nobody holds the event loop, however much arrives at once. */
import type { Env } from "../../env/env.ts";

/** Half of what the loop may be held: the last unit of a slice may take as long again. */
const sliceMs = 5;

/** One for all that works in slices, so that twenty kinds at once take one slice, not twenty. */
export class Slices {
  /** When the work of this turn of the loop began; undefined before any. */
  private startMs: number | undefined;
  private readonly resting: (() => void)[] = [];
  private pumping = false;

  constructor(private readonly env: Env) {}

  /** Asked before each unit of work: has this turn had enough? */
  due(): boolean {
    if (this.startMs === undefined) {
      this.startMs = this.env.monotonicMs();
      this.env.after(0, () => {
        if (!this.pumping) this.startMs = undefined;
      });
      return false;
    }
    return this.env.monotonicMs() - this.startMs >= sliceMs;
  }

  /** Resolves in a later turn, with a slice of its own; in the order of asking. */
  rest(): Promise<void> {
    return new Promise((resolve) => {
      this.resting.push(resolve);
      if (this.pumping) return;
      this.pumping = true;
      this.env.after(0, () => this.pump());
    });
  }

  private pump(): void {
    this.startMs = this.env.monotonicMs();
    this.resting.shift()?.();
    // Again even when nobody rests now: the one that was woken is at work in this turn, and its slice must end.
    this.env.after(0, () => {
      if (this.resting.length > 0) this.pump();
      else {
        this.pumping = false;
        this.startMs = undefined;
      }
    });
  }
}
