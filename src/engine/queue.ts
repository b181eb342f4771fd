/**
 * The keyed work queue. It says which key is worked on next, and when:
 * - one key is never in work twice at once; what wakes it meanwhile is remembered and served once, afterwards;
 * - keys that their users changed go before keys that were woken by noise, these before keys that nothing has happened to, and each kind
 *   gets its turn;
 * - a failing key waits longer each time; a success forgets that;
 * - a key is planned again at the earliest after twenty times what its last plan cost, so that a thousand events cost a few plans. After its
 *   first plan, which nothing but the start of the process may have asked for, only noise waits.
 */
import type { Env } from "../env/env.ts";
import { type Key, keyText } from "../kube/kind.ts";
import { type BackoffLimits, defaultBackoff, exponentialMs, TokenBucket } from "./backoff.ts";
import { Delays } from "./delays.ts";
import { engineLimits } from "./limits.ts";
import { type Labels, type Metrics, noMetrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";

/** "fresh": its user changed the object itself. "noise": other news. "round": no news, but every key is looked at, as at start. */
export type Priority = "fresh" | "noise" | "round";
const urgency: Readonly<Record<Priority, number>> = { fresh: 2, noise: 1, round: 0 };
const moreUrgent = (a: Priority, b: Priority): Priority => (urgency[a] > urgency[b] ? a : b);

/** What came of working on a key. */
export interface Worked {
  /**
   * "done": all is well. "soon": somebody was faster, look again. "backOff": something failed. "blocked": it could not be worked on, and
   * somebody will wake it. "gone": there is no such object any more, forget it.
   */
  readonly next: "done" | "soon" | "backOff" | "blocked" | "gone";
  /** Look again after this time even if nothing happens. */
  readonly afterMs?: number;
  /** Until then events are no reason to look again, unless the user changed the object itself. */
  readonly quietMs?: number;
  /** When the plan was made (monotonic), and the ms of computing it took: for the ration. */
  readonly plannedAtMs?: number;
  readonly costMs?: number;
  /** Something was written. A key that never stops writing (somebody undoes it each time) is slowed down. */
  readonly acted?: boolean;
}

export interface QueueOptions {
  readonly name: string;
  readonly workers: number;
  /** Never rejects for what the world may do; a rejection counts as "backOff". */
  readonly work: (key: Key) => Promise<Worked>;
  /** A key in work was woken. */
  readonly wokenInWork?: (key: Key) => void;
  readonly backoff?: BackoffLimits;
  readonly metrics?: Metrics;
  readonly rationFactor?: number;
  /** ms from one plan of a key to the next that noise asks for; the first of its news is heard at once. Default 0. */
  readonly calmMs?: number;
}

interface Entry {
  readonly key: Key;
  readonly text: string;
  state: "idle" | "ready" | "working";
  /** Of its place among the ready. */
  priority: Priority;
  readySinceMs: number;
  workingSinceMs: number;
  /** Woken while in work. */
  again: Priority | undefined;
  /** The earliest delayed add; infinite when there is none. */
  dueAtMs: number;
  duePriority: Priority;
  failures: number;
  /** The ration: not before this, whoever asks. */
  notBeforeMs: number;
  /** A failing key: noise does not wake it before this. */
  quietUntilMs: number;
  /** News after the first wait until this: they come in bursts. What is due by its own clock does not. */
  calmUntilMs: number;
  acts: TokenBucket | undefined;
  hasBeenPlanned: boolean;
}

export class WorkQueue {
  readonly #env: Env;
  readonly #options: QueueOptions;
  readonly #backoff: BackoffLimits;
  readonly #metrics: Metrics;
  readonly #labels: Labels;
  readonly #bucket: TokenBucket;
  readonly #delays: Delays<Entry>;
  readonly #entries = new Map<string, Entry>();
  readonly #ready: Readonly<Record<Priority, Line>> = { fresh: new Line(), noise: new Line(), round: new Line() };
  readonly #working = new Set<Entry>();
  #freshInARow = 0;
  #newsInARow = 0;
  #depth = 0;
  #stopped = false;
  #idle: (() => void) | undefined;
  readonly #uncollect: () => void;

  constructor(env: Env, options: QueueOptions) {
    this.#env = env;
    this.#options = options;
    this.#backoff = options.backoff ?? defaultBackoff;
    this.#metrics = options.metrics ?? noMetrics;
    this.#labels = { name: options.name };
    this.#bucket = new TokenBucket(this.#backoff.retriesPerSecond, this.#backoff.retryBurst);
    this.#delays = new Delays(env, (entry) => this.#due(entry));
    this.#uncollect = this.#metrics.onCollect(() => this.#sample());
  }

  /** Keys that wait for a worker. */
  get depth(): number {
    return this.#depth;
  }

  /** Keys in work. */
  get working(): number {
    return this.#working.size;
  }

  /** Keys the queue knows anything about. */
  get size(): number {
    return this.#entries.size;
  }

  /** Nothing is ready or in work; delayed adds may be pending. */
  get quiet(): boolean {
    return this.#depth === 0 && this.#working.size === 0;
  }

  add(key: Key, priority: Priority = "noise"): void {
    if (this.#stopped) return;
    this.#metrics.add(names.queueAddsTotal, this.#labels);
    this.#wake(this.#entry(key), priority);
  }

  /** Adds the key after a delay, unless it is planned before that. Of several delays the earliest counts. */
  addAfter(key: Key, delayMs: number, priority: Priority = "noise"): void {
    if (this.#stopped) return;
    if (delayMs <= 0) this.add(key, priority);
    else this.#schedule(this.#entry(key), this.#env.monotonicMs() + delayMs, priority);
  }

  /** Adds a key that failed outside of its work, after its back-off. */
  retry(key: Key): void {
    if (!this.#stopped) this.#fail(this.#entry(key), true);
  }

  /** Nothing new starts. Resolves when no key is in work any more. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#delays.clear();
    this.#uncollect();
    if (this.#working.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  #entry(key: Key): Entry {
    const text = keyText(key);
    const known = this.#entries.get(text);
    if (known !== undefined) return known;
    const entry: Entry = {
      key: { namespace: key.namespace, name: key.name },
      text,
      state: "idle",
      priority: "noise",
      readySinceMs: 0,
      workingSinceMs: 0,
      again: undefined,
      dueAtMs: Number.POSITIVE_INFINITY,
      duePriority: "noise",
      failures: 0,
      notBeforeMs: Number.NEGATIVE_INFINITY,
      quietUntilMs: Number.NEGATIVE_INFINITY,
      calmUntilMs: Number.NEGATIVE_INFINITY,
      acts: undefined,
      hasBeenPlanned: false,
    };
    this.#entries.set(text, entry);
    return entry;
  }

  #wake(entry: Entry, priority: Priority, isDue = false): void {
    if (entry.state === "working") {
      entry.again = moreUrgent(priority, entry.again ?? priority);
      this.#options.wokenInWork?.(entry.key);
      return;
    }
    if (entry.state === "ready") {
      if (urgency[priority] > urgency[entry.priority]) {
        // Its place in the other line is left behind; whoever comes to it sees that the entry has moved.
        entry.priority = priority;
        this.#ready[priority].push(entry);
      }
      return;
    }
    const calmUntilMs = isDue ? Number.NEGATIVE_INFINITY : entry.calmUntilMs;
    const earliestMs = priority === "fresh" ? entry.notBeforeMs : Math.max(entry.notBeforeMs, entry.quietUntilMs, calmUntilMs);
    if (this.#env.monotonicMs() < earliestMs) {
      this.#schedule(entry, earliestMs, priority);
      return;
    }
    entry.state = "ready";
    entry.priority = priority;
    entry.readySinceMs = this.#env.monotonicMs();
    this.#ready[priority].push(entry);
    this.#depth += 1;
    this.#metrics.set(names.queueDepth, this.#labels, this.#depth);
    this.#pump();
  }

  #schedule(entry: Entry, atMs: number, priority: Priority): void {
    if (entry.dueAtMs === Number.POSITIVE_INFINITY) entry.duePriority = priority;
    else entry.duePriority = moreUrgent(priority, entry.duePriority);
    if (atMs >= entry.dueAtMs) return;
    entry.dueAtMs = atMs;
    this.#delays.set(entry, atMs);
  }

  #due(entry: Entry): void {
    const atMs = entry.dueAtMs;
    entry.dueAtMs = Number.POSITIVE_INFINITY;
    // The delay was counted from the end of the pause, which must not delay it once more.
    if (entry.quietUntilMs <= atMs) entry.quietUntilMs = Number.NEGATIVE_INFINITY;
    this.#wake(entry, entry.duePriority, true);
  }

  #pump(): void {
    while (!this.#stopped && this.#working.size < this.#options.workers) {
      const entry = this.#next();
      if (entry === undefined) return;
      this.#start(entry);
    }
  }

  #next(): Entry | undefined {
    const isOthersTurn = this.#freshInARow >= engineLimits.freshInARowMax;
    const isRoundsTurn = this.#newsInARow >= engineLimits.newsInARowMax;
    const [first, second] = isOthersTurn ? (["noise", "fresh"] as const) : (["fresh", "noise"] as const);
    let entry = isRoundsTurn ? this.#ready.round.shift("round") : undefined;
    entry ??= this.#ready[first].shift(first) ?? this.#ready[second].shift(second) ?? this.#ready.round.shift("round");
    if (entry === undefined) return undefined;
    this.#freshInARow = entry.priority === "fresh" && !isOthersTurn ? this.#freshInARow + 1 : 0;
    this.#newsInARow = entry.priority !== "round" && !isRoundsTurn ? this.#newsInARow + 1 : 0;
    return entry;
  }

  #start(entry: Entry): void {
    const nowMs = this.#env.monotonicMs();
    entry.state = "working";
    entry.again = undefined;
    entry.workingSinceMs = nowMs;
    // The plan made now says itself when to look again.
    if (entry.dueAtMs !== Number.POSITIVE_INFINITY) {
      entry.dueAtMs = Number.POSITIVE_INFINITY;
      this.#delays.delete(entry);
    }
    this.#depth -= 1;
    this.#working.add(entry);
    this.#metrics.set(names.queueDepth, this.#labels, this.#depth);
    this.#metrics.observe(names.queueDurationSeconds, this.#labels, (nowMs - entry.readySinceMs) / 1000);
    this.#options.work(entry.key).then(
      (worked) => this.#finish(entry, worked),
      (error: unknown) => {
        this.#env.log.error({ queue: this.#options.name, key: entry.text, err: error }, "working on a key threw");
        this.#finish(entry, { next: "backOff" });
      },
    );
  }

  #finish(entry: Entry, worked: Worked): void {
    const nowMs = this.#env.monotonicMs();
    this.#working.delete(entry);
    entry.state = "idle";
    this.#metrics.observe(names.queueWorkSeconds, this.#labels, (nowMs - entry.workingSinceMs) / 1000);
    if (this.#stopped) {
      if (this.#working.size === 0) this.#idle?.();
      return;
    }
    if (worked.plannedAtMs !== undefined) this.#ration(entry, worked.plannedAtMs, worked.costMs ?? 0);
    if (worked.acted) {
      entry.acts ??= new TokenBucket(engineLimits.actsPerSecond, engineLimits.actsBurst);
      entry.notBeforeMs = Math.max(entry.notBeforeMs, nowMs + entry.acts.takeMs(nowMs));
    }
    this.#settle(entry, worked);
    if (worked.afterMs !== undefined) this.#schedule(entry, nowMs + Math.max(0, worked.afterMs), "noise");
    const again = entry.again;
    entry.again = undefined;
    if (again !== undefined) this.#wake(entry, again);
    this.#forgetIdle(entry, worked);
    this.#pump();
  }

  #ration(entry: Entry, plannedAtMs: number, costMs: number): void {
    const { rationFactor = engineLimits.rationFactor, calmMs = 0 } = this.#options;
    const rationMs = Math.min(engineLimits.rationMsMax, costMs * rationFactor);
    // The first plan of a process takes ten times what it will take later, and nobody asked for it: a change that its user makes then does not wait.
    if (entry.hasBeenPlanned) entry.notBeforeMs = plannedAtMs + rationMs;
    entry.calmUntilMs = plannedAtMs + (entry.hasBeenPlanned ? calmMs : Math.max(calmMs, rationMs));
    entry.hasBeenPlanned = true;
  }

  #settle(entry: Entry, worked: Worked): void {
    switch (worked.next) {
      case "backOff":
        this.#fail(entry, true);
        return;
      case "soon":
        this.#fail(entry, false);
        return;
      case "blocked":
        return;
      case "done":
      case "gone":
        entry.failures = 0;
        entry.quietUntilMs = worked.quietMs === undefined ? Number.NEGATIVE_INFINITY : this.#env.monotonicMs() + worked.quietMs;
    }
  }

  #fail(entry: Entry, isFailure: boolean): void {
    const nowMs = this.#env.monotonicMs();
    entry.failures += 1;
    // The bucket is for what went wrong: losing a race is not the world being ill.
    const bucketMs = isFailure ? this.#bucket.takeMs(nowMs) : 0;
    const delayMs = Math.max(exponentialMs(entry.failures, this.#backoff), bucketMs);
    entry.quietUntilMs = nowMs + Math.min(delayMs, engineLimits.failurePauseMsMax);
    this.#metrics.add(names.queueRetriesTotal, this.#labels);
    this.#schedule(entry, nowMs + delayMs, "noise");
  }

  #forgetIdle(entry: Entry, worked: Worked): void {
    const pending = entry.state !== "idle" || entry.dueAtMs !== Number.POSITIVE_INFINITY;
    if (worked.next === "gone" && !pending) this.#entries.delete(entry.text);
  }

  #sample(): void {
    const nowMs = this.#env.monotonicMs();
    let sum = 0;
    let longest = 0;
    for (const entry of this.#working) {
      const seconds = (nowMs - entry.workingSinceMs) / 1000;
      sum += seconds;
      longest = Math.max(longest, seconds);
    }
    this.#metrics.set(names.queueUnfinishedSeconds, this.#labels, sum);
    this.#metrics.set(names.queueLongestSeconds, this.#labels, longest);
  }
}

/** First come, first served; places whose entry moved on are skipped. */
class Line {
  #places: Entry[] = [];
  #head = 0;

  push(entry: Entry): void {
    this.#places.push(entry);
  }

  shift(priority: Priority): Entry | undefined {
    while (this.#head < this.#places.length) {
      const entry = this.#places[this.#head] as Entry;
      this.#head += 1;
      if (this.#head >= 1024) {
        this.#places = this.#places.slice(this.#head);
        this.#head = 0;
      }
      if (entry.state === "ready" && entry.priority === priority) return entry;
    }
    this.#places.length = 0;
    this.#head = 0;
    return undefined;
  }
}
