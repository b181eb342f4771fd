/**
 * How long pods have been out of service, by our own clock: the server's may be off by an hour, and then the grace period would be
 * skipped, or last for that hour.
 */
import type { Request } from "./pick.ts";
import { awaitsGrace, graceSinceMs } from "./plan.ts";

const watchedMax = 1000;

export class GraceClock {
  /** By the request's uid: monotonic ms of the moment the grace period was seen to begin; undefined while it was not. */
  readonly #seen = new Map<string, number | undefined>();

  /** @returns undefined when nobody here has seen it begin */
  ageMs(request: Request, monotonicMs: number): number | undefined {
    const { uid } = request.metadata;
    if (!awaitsGrace(request)) return undefined;
    if (graceSinceMs(request) === undefined) {
      this.#put(uid, undefined);
      return undefined;
    }
    if (!this.#seen.has(uid)) return undefined;
    const sinceMs = this.#seen.get(uid) ?? monotonicMs;
    this.#put(uid, sinceMs);
    return monotonicMs - sinceMs;
  }

  #put(uid: string, sinceMs: number | undefined): void {
    this.#seen.delete(uid);
    this.#seen.set(uid, sinceMs);
    if (this.#seen.size <= watchedMax) return;
    const [oldest] = this.#seen.keys();
    if (oldest !== undefined) this.#seen.delete(oldest);
  }
}
