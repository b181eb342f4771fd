import type { Env } from "../../env/env.ts";
import type { KubeObject } from "../types.ts";
import { type Store, versionOf } from "./store.ts";

export const silenceLimits = {
  /** The server holds nothing back once a watch has begun; between its bytes there is no more than this, on a server that is quick. */
  silenceMsMin: 50,
  /** A server that is slow to answer is slow to send: so many times as long as its answer took. */
  perAnswer: 4,
  silenceMsMax: 2_000,
  /** Where it is known what has to come: if it has not come after this, it will not. */
  patienceMs: 5_000,
} as const;

/** A timer that is later than this was kept waiting, and so were bytes that have arrived. */
const latenessMsMax = 25;
/** Late timers; a process that is never in time has to begin all the same. */
const lateMax = 40;

/** What the server had when the watch was taken up. */
export interface Missed {
  readonly version: number;
  /** Whether all that it had is here; undefined: that is not known, there was too much to ask for. */
  readonly isHere?: () => boolean;
  /** How long its answer took. */
  readonly answerMs: number;
}

/**
 * After a start from a snapshot: the server sends what was missed in one go. Done at the version it had then, or when all is here that it had; where that is not
 * known, when it falls silent: a kind in which nothing happened has nothing to send.
 */
export class CaughtUp {
  private cancelTimer: () => void = () => undefined;
  private done = false;
  private late = 0;
  private readonly silenceMs: number;

  /** @param then with whether it is: not so when what has to come does not */
  constructor(
    private readonly env: Env,
    private readonly missed: Missed,
    private readonly then: (isSo: boolean) => void,
  ) {
    const { silenceMsMin, perAnswer, silenceMsMax, patienceMs } = silenceLimits;
    const silenceMs = Math.min(Math.max(missed.answerMs * perAnswer, silenceMsMin), silenceMsMax);
    this.silenceMs = missed.isHere === undefined ? silenceMs : patienceMs;
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
    if (!this.done && (seenVersion >= this.missed.version || this.missed.isHere?.())) this.finish(true);
  }
  cancel(): void {
    this.done = true;
    this.cancelTimer();
  }
  private listen(): () => void {
    const dueMs = this.env.monotonicMs() + this.silenceMs;
    return this.env.after(this.silenceMs, () => {
      const isLate = this.env.monotonicMs() - dueMs > latenessMsMax;
      if (isLate && ++this.late <= lateMax) this.heard();
      else this.finish(this.missed.isHere === undefined);
    });
  }
  private finish(isSo: boolean): void {
    if (this.done) return;
    this.cancel();
    this.then(isSo);
  }
}

/** Whether the store holds what was listed, or later versions of it, and nothing that had gone by then. */
export function allHeld(items: readonly KubeObject[], version: number, store: Pick<Store<KubeObject>, "get" | "missing">): () => boolean {
  const listed = items.map((item) => ({
    key: { namespace: item.metadata.namespace ?? "", name: item.metadata.name },
    version: versionOf(item),
  }));
  const uids = new Set(items.map(({ metadata }) => metadata.uid));
  return () =>
    listed.every((item) => {
      const held = store.get(item.key);
      return held !== undefined && versionOf(held) >= item.version;
    }) && store.missing(uids, version).length === 0;
}
