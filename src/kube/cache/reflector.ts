/**
 * Keeps a store like the server: list once, then watch from there for ever. One reflector a kind.
 *
 * Where the server can, the list comes as the first events of the watch (one request instead of two, and no large answer); else it is
 * read page by page. A watch that ends is taken up again where it was; only when the server has forgotten that version (410) everything
 * is listed again and compared with what is held.
 */
import { type Env, sleep } from "../../env/env.ts";
import { failureOf, failureOfStatus } from "../failure.ts";
import { type Kind, resourceName } from "../kind.ts";
import { parseLean } from "../lean.ts";
import { type Failure, failureText, type Written } from "../outcome.ts";
import { collectionPath, withQuery } from "../path.ts";
import type { ByteStream, Transport } from "../transport.ts";
import type { KubeObject } from "../types.ts";
import { allHeld, CaughtUp, type Missed } from "./caught-up.ts";
import type { Keep } from "./keep.ts";
import { knownEvent } from "./known-event.ts";
import { LineSplitter, ListScanner } from "./lines.ts";
import { type KindState, type ReflectorCounters, reflectorLimits } from "./reflection.ts";
import type { Slices } from "./slices.ts";
import { type Store, versionOf } from "./store.ts";

export interface ReflectorOptions {
  readonly kind: Kind;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly metadataOnly: boolean;
  /** Whether the server can list through the watch; shared, since one refusal answers for all kinds. */
  readonly streaming: { supported: boolean };
}

interface WatchEvent {
  readonly type?: string;
  readonly object?: KubeObject;
}

const initialEventsEnd = "k8s.io/initial-events-end";

export class Reflector {
  readonly counters: ReflectorCounters = { watchRestarts: 0, relists: 0, drift: 0, events: 0, bytes: 0, tooLong: 0 };
  state: KindState = "starting";
  /** Why the state is "failing" or "absent". */
  problem: Failure | undefined;
  lastHeardMs: number;
  private everSynced = false;
  /** The store holds everything up to `seenVersion`: the watch can go on from there. */
  private listed = false;
  private absentTries = 0;
  private failures = 0;
  /** The next list comes in pages, though the server could list through the watch. */
  private inPages = false;
  private idleMs: number = reflectorLimits.idleMsMin;
  private stream: ByteStream | undefined;
  private nudged: AbortController | undefined;
  private readonly path: string;
  private readonly name: string;

  constructor(
    private readonly env: Env,
    private readonly transport: Transport,
    private readonly store: Store<KubeObject>,
    private readonly slices: Slices,
    private readonly keep: Keep,
    private readonly options: ReflectorOptions,
    private readonly stateChanged: () => void,
  ) {
    const { kind, labelSelector, fieldSelector } = options;
    this.name = resourceName(kind);
    this.path = withQuery(collectionPath(kind, options.namespace), { labelSelector, fieldSelector });
    this.lastHeardMs = env.monotonicMs();
  }

  /** Ends when the process stops. @param fromVersion of a snapshot that the store holds already */
  async run(fromVersion?: number): Promise<void> {
    const { stopped } = this.env;
    const close = () => this.stream?.close();
    stopped.addEventListener("abort", close, { once: true });
    if (fromVersion !== undefined) {
      this.store.seenVersion = fromVersion;
      this.everSynced = true;
      this.listed = true;
    }
    while (!stopped.aborted) await this.pause(await (this.listed ? this.watch() : this.list()));
    stopped.removeEventListener("abort", close);
  }

  /** Tries again at once, if it was waiting: somebody knows that the kind has come. */
  nudge(): void {
    this.nudged?.abort();
  }

  // The methods below return how long to wait before the next try.

  private list(): Promise<number> {
    if (this.everSynced) {
      this.counters.relists += 1;
      this.env.log.info({ resource: this.name }, "listing again: the watch cannot be taken up where it was");
    }
    const relist = new Relist(this.everSynced);
    if (this.options.streaming.supported && !this.inPages) return this.watch(relist);
    this.inPages = false;
    return this.listPages(relist);
  }

  private async listPages(relist: Relist): Promise<number> {
    let next: string | undefined;
    let version = "";
    do {
      const path = withQuery(this.path, { limit: reflectorLimits.pageSize, continue: next });
      const answer = await this.transport.stream({
        path,
        accept: this.accept("List"),
        counted: true,
        idleMs: () => reflectorLimits.listIdleMs,
      });
      if (!answer.ok) return this.failed(failureOf(answer.answer, "GET"));
      const scanner = new ListScanner();
      try {
        await this.readItems(answer.stream, scanner, relist);
        const { metadata } = scanner.end();
        version = metadata?.resourceVersion ?? version;
        next = metadata?.continue || undefined;
      } catch (error) {
        answer.stream.close();
        return this.failed(broken(`unreadable list: ${(error as Error).message}`));
      }
    } while (next !== undefined && !this.env.stopped.aborted);
    await this.endList(relist, Number(version));
    return 0;
  }

  private async readItems(stream: ByteStream, scanner: ListScanner, relist: Relist): Promise<void> {
    for (;;) {
      const chunk = await stream.read();
      if (!chunk) break;
      this.heard(chunk);
      for (const text of scanner.push(chunk)) {
        if (this.slices.due()) await this.slices.rest();
        this.take(parseLean(text) as KubeObject, relist);
      }
    }
    this.tooLong(scanner.tooLong);
  }

  private take(raw: KubeObject, relist: Relist): void {
    const object = this.keep(raw);
    relist.uids.add(object.metadata.uid);
    if (relist.compare) {
      const known = this.store.get({ namespace: object.metadata.namespace ?? "", name: object.metadata.name });
      if (!known || versionOf(known) < versionOf(object)) this.counters.drift += 1;
    }
    this.store.upsert(object);
  }

  /** @returns false when the list cannot be trusted and must be read again */
  private async endList(relist: Relist, version: number): Promise<boolean> {
    if (version < this.store.seenVersion) {
      // Versions only grow, unless somebody put an old backup in etcd's place. Then what is held is of another world.
      this.env.log.warn(
        { resource: this.name, version, seenVersion: this.store.seenVersion },
        "the server's data went back in time: starting over",
      );
      await this.dropAll(this.store.list());
      this.store.seenVersion = 0;
      return false;
    }
    const missing = this.store.missing(relist.uids, version);
    if (relist.compare) this.counters.drift += missing.length;
    await this.dropAll(missing);
    this.store.seenVersion = version;
    this.listed = true;
    this.synced();
    return true;
  }

  private async dropAll(objects: readonly KubeObject[]): Promise<void> {
    for (const object of objects) {
      if (this.slices.due()) await this.slices.rest();
      this.store.drop(object);
    }
  }

  /**
   * Watches until the connection ends.
   * @param relist given: the server sends everything first, and the watch goes on from there
   */
  private async watch(relist?: Relist): Promise<number> {
    const resumed = relist === undefined && this.state !== "synced";
    const missed = resumed ? await this.askWhatIsMissed() : undefined;
    if (missed && !missed.ok) return this.watchFailed(missed, undefined);
    const { watchSecondsMin, watchSecondsMax } = reflectorLimits;
    const path = withQuery(this.path, {
      watch: 1,
      allowWatchBookmarks: true,
      timeoutSeconds: Math.round(watchSecondsMin + this.env.random() * (watchSecondsMax - watchSecondsMin)),
      ...(relist ? { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" } : { resourceVersion: this.store.seenVersion }),
    });
    const startMs = this.env.monotonicMs();
    const answer = await this.transport.stream({ path, accept: this.accept(""), counted: false, idleMs: () => this.idleMs });
    if (!answer.ok) return this.watchFailed(failureOf(answer.answer, "GET"), relist);
    if (this.env.stopped.aborted) answer.stream.close();
    this.stream = answer.stream;
    this.lastHeardMs = this.env.monotonicMs();
    const caughtUp = missed && new CaughtUp(this.env, missed.object, (isSo) => this.caughtUp(isSo));
    caughtUp?.at(this.store.seenVersion);
    const failure = await this.readEvents(answer.stream, relist, caughtUp);
    caughtUp?.cancel();
    this.stream = undefined;
    answer.stream.close();
    this.counters.watchRestarts += 1;
    const healthy = this.env.monotonicMs() - startMs >= reflectorLimits.watchMsHealthy;
    if (healthy) this.failures = 0;
    if (failure) return this.watchFailed(failure, relist);
    if (answer.stream.ended?.why === "idle") this.wasIdle();
    if (relist && !relist.done) return this.failed(broken("the list broke off"));
    if (healthy) return 0;
    this.failures += 1;
    return this.backoffMs();
  }

  private async readEvents(stream: ByteStream, relist: Relist | undefined, caughtUp: CaughtUp | undefined): Promise<Failure | undefined> {
    const lines = new LineSplitter();
    for (;;) {
      const chunk = await stream.read();
      if (!chunk) break;
      this.heard(chunk);
      caughtUp?.reading();
      for (const line of lines.push(chunk)) {
        if (this.slices.due()) await this.slices.rest();
        const step = this.event(line, relist);
        const failure = step instanceof Promise ? await step : step;
        if (failure) return failure;
      }
      caughtUp?.at(this.store.seenVersion);
      caughtUp?.heard();
    }
    this.tooLong(lines.tooLong);
    return undefined;
  }

  private event(line: string, relist: Relist | undefined): Failure | undefined | Promise<Failure | undefined> {
    if (relist === undefined || relist.done) {
      const known = knownEvent(line, this.store);
      if (known !== undefined) {
        this.counters.events += 1;
        if (known.version > this.store.seenVersion) this.store.seenVersion = known.version;
        if (known.gone !== undefined) this.store.deleted(known.gone);
        return undefined;
      }
    }
    let event: WatchEvent;
    try {
      event = parseLean(line) as WatchEvent;
    } catch (error) {
      return broken(`unreadable watch event: ${(error as Error).message}`);
    }
    const { type, object: raw } = event;
    if (!raw?.metadata || type === "ERROR") return failureOfStatus(raw);
    this.counters.events += 1;
    if (relist && !relist.done) return this.initialEvent(type, raw, relist);
    const version = versionOf(raw);
    // Before the store tells its handlers: what they put from answers of that time is compared with it.
    if (version > this.store.seenVersion) this.store.seenVersion = version;
    if (type === "ADDED" || type === "MODIFIED") this.store.upsert(this.keep(raw));
    else if (type === "DELETED") this.store.deleted(raw);
    else if (type === "BOOKMARK") this.idleMs = reflectorLimits.idleMsMin;
    return undefined;
  }

  private initialEvent(type: string | undefined, raw: KubeObject, relist: Relist): Promise<Failure | undefined> | undefined {
    if (type === "ADDED" || type === "MODIFIED") this.take(raw, relist);
    else if (type === "DELETED") {
      relist.uids.delete(raw.metadata.uid);
      this.store.deleted(raw);
    } else if (type === "BOOKMARK" && raw.metadata.annotations?.[initialEventsEnd] === "true") {
      relist.done = true;
      return this.endList(relist, versionOf(raw)).then((trusted) => (trusted ? undefined : { ok: false, why: "expired", message: "" }));
    }
    return undefined;
  }

  private watchFailed(failure: Failure, relist: Relist | undefined): number {
    if (relist && !relist.done && isAboutStreaming(failure)) {
      this.options.streaming.supported = false;
      return 0;
    }
    if (relist && !relist.done && isAboutServerCache(failure)) {
      this.inPages = true;
      return 0;
    }
    // Only a list helps; most often it succeeds at once.
    if (failure.why === "expired" || failure.why === "notFound" || isAboutVersion(failure)) {
      this.listed = false;
      this.failures += 1;
      if (failure.why === "notFound" && relist) return this.notServed(failure);
      return this.failures === 1 ? 0 : this.backoffMs();
    }
    return this.failed(failure);
  }

  private wasIdle(): void {
    this.env.log.info({ resource: this.name, idleMs: this.idleMs }, "no word from the watch: connecting anew");
    this.idleMs = Math.min(reflectorLimits.idleMsMax, this.idleMs * 2);
  }

  /** What the server has now, so that a start from a snapshot knows when it has caught up. It also waits for the server's own cache. */
  private async askWhatIsMissed(): Promise<Written<Missed>> {
    const { comparedMax } = reflectorLimits;
    const isSmall = this.store.size <= comparedMax;
    const startMs = this.env.monotonicMs();
    const answer = await this.transport.request({
      method: "GET",
      path: withQuery(this.path, { limit: isSmall ? comparedMax + 1 : 1 }),
      accept: `${metadataAs("List")},application/json`,
    });
    if (answer.status !== 200) return failureOf(answer, "GET");
    const { metadata, items } = JSON.parse(answer.text) as { metadata?: ListMetadata; items?: readonly KubeObject[] | null };
    const version = Number(metadata?.resourceVersion ?? 0);
    const isHere = isSmall && !metadata?.continue ? allHeld(items ?? [], version, this.store) : undefined;
    return { ok: true, object: { version, answerMs: this.env.monotonicMs() - startMs, ...(isHere === undefined ? {} : { isHere }) } };
  }

  private caughtUp(isSo: boolean): void {
    if (isSo) {
      this.synced();
      return;
    }
    this.env.log.warn({ resource: this.name }, "the watch does not send what was missed: listing again");
    this.listed = false;
    this.stream?.close();
  }

  private failed(failure: Failure): number {
    if (this.env.stopped.aborted) return 0;
    if (failure.why === "notFound") return this.notServed(failure);
    this.failures += 1;
    this.absentTries = 0;
    this.problem = failure;
    // Once is a hiccup; a kind that stays silent is worth a line, now and then.
    if ((this.failures & (this.failures - 1)) === 0 && this.failures > 1)
      this.env.log.warn({ resource: this.name, error: failureText(failure), failures: this.failures }, "cannot list or watch");
    if (this.state !== "synced") this.become("failing");
    if (failure.why === "expired") this.listed = false;
    return failure.why === "throttled" ? failure.retryAfterMs : this.backoffMs();
  }

  private notServed(failure: Failure): number {
    this.absentTries += 1;
    this.problem = failure;
    if (this.everSynced && this.absentTries < reflectorLimits.absentTriesMin) return reflectorLimits.absentRetryMs / 2;
    this.everSynced = false;
    this.store.seenVersion = 0;
    for (const object of this.store.list()) this.store.drop(object);
    this.become("absent");
    return reflectorLimits.absentRetryMs * (0.75 + 0.5 * this.env.random());
  }

  private synced(): void {
    this.everSynced = true;
    this.absentTries = 0;
    this.problem = undefined;
    this.become("synced");
  }

  private become(state: KindState): void {
    if (this.state === state) return;
    this.state = state;
    this.stateChanged();
  }

  private async pause(waitMs: number): Promise<void> {
    if (waitMs <= 0 || this.env.stopped.aborted) return;
    const nudged = new AbortController();
    this.nudged = nudged;
    const stop = () => nudged.abort();
    this.env.stopped.addEventListener("abort", stop, { once: true });
    await sleep(this.env, waitMs, nudged.signal);
    this.env.stopped.removeEventListener("abort", stop);
    this.nudged = undefined;
  }

  private backoffMs(): number {
    const { backoffMsMin, backoffMsMax } = reflectorLimits;
    return Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(this.failures, 20)) * (0.5 + 0.5 * this.env.random());
  }

  private heard(chunk: Uint8Array): void {
    this.counters.bytes += chunk.length;
    this.lastHeardMs = this.env.monotonicMs();
  }

  private tooLong(count: number): void {
    if (count === 0) return;
    this.counters.tooLong += count;
    this.env.log.error({ resource: this.name, count }, "objects too large to read were left out");
  }

  private accept(list: "List" | ""): string {
    return this.options.metadataOnly ? metadataAs(list) : "application/json";
  }
}

interface ListMetadata {
  readonly resourceVersion?: string;
  readonly continue?: string;
}

const metadataAs = (list: "List" | ""): string => `application/json;as=PartialObjectMetadata${list};g=meta.k8s.io;v=v1`;

/** One listing of everything. */
class Relist {
  readonly uids = new Set<string>();
  done = false;
  /** @param compare count what differs from what was known */
  constructor(readonly compare: boolean) {}
}

/** Asked for a version that the server has not reached: an older backup took etcd's place. */
function isAboutVersion(failure: Failure): boolean {
  return /too large resource version/i.test(failure.message);
}

function broken(message: string): Failure {
  return { ok: false, why: "unavailable", mayHaveHappened: false, message };
}

/**
 * The server still fills its own cache of a kind, as after a change of its definition, and wants to be left alone with watches for a second.
 * Lists in pages do not need that cache.
 */
function isAboutServerCache(failure: Failure): boolean {
  return failure.why === "throttled" && /initializing/i.test(failure.message);
}

/** Servers without the feature forbid the parameter; older ones do not know the match. */
function isAboutStreaming(failure: Failure): boolean {
  return failure.why === "denied" && (failure.code === 422 || failure.code === 400);
}
