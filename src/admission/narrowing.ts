/**
 * Keeps the API server from asking about pods that nothing concerns, by match conditions on the pod webhooks' entries: an outage, or a slow
 * answer, then only touches pods that something was promised for.
 *
 * What must never happen is that an object exists and its pods are not asked about. So an object is announced in the configuration before it
 * is let through, and stays announced for longer than its request can last; whoever narrows reads the configuration, then lists, then writes
 * on condition that the configuration is still the one that was read. Whatever was let through before the list is in it or announced;
 * whatever is let through later has changed the configuration. No replica trusts what it remembers, and none has to be alive.
 */
import { type Cancel, type Env, sleep } from "../env/env.ts";
import type { LiveReader, Writer } from "../kube/access.ts";
import { type Kind, resourceName } from "../kube/kind.ts";
import { type Failure, failureText } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import type { WebhookConfiguration } from "./configuration.ts";
import type { AdmissionMetrics } from "./metrics.ts";
import { normalised, type PodScope, type PodSource } from "./narrow-scope.ts";
import {
  asksOthers,
  type NarrowedEntry,
  type NarrowingState,
  narrowingOf,
  type Pending,
  stateOf,
  withNarrowing,
  withPending,
} from "./narrow-state.ts";
import type { Subscribe } from "./webhook-controller.ts";

/** The entries of one configuration, and the sources that they name. */
export interface NarrowedConfiguration {
  readonly of: Kind<WebhookConfiguration>;
  readonly name: string;
  readonly entries: readonly NarrowedEntry[];
}

export const narrowingLimits = {
  /**
   * How long a request may last after it was let through: the API server's own limit (`--request-timeout`, 60 s), and 30 s for clocks of
   * two replicas that differ.
   */
  inFlightMs: 90_000,
  /** From writing a configuration until every API server asks by it. */
  propagationMs: 1_000,
  /** Within this an object is announced or its request refused; the API server waits for 10 s. */
  announceMs: 6_000,
  retryMs: 50,
  /** Changes that come together are looked at together. */
  settleMs: 250,
  lookEveryMs: 600_000,
} as const;

export interface NarrowingOptions {
  readonly env: Env;
  readonly live: LiveReader;
  readonly write: Writer;
  readonly subscribe: Subscribe;
  /** Tells of each change of an object of a kind that the process watches anyway. */
  readonly follow: (kind: Kind, changed: () => void) => Cancel;
  /** What the watch shows: only a hint that there is something to narrow. */
  readonly known: (kind: Kind) => readonly Readonly<KubeObject>[];
  readonly serves: (kind: Kind) => boolean;
  readonly sources: readonly PodSource[];
  readonly configurations: readonly NarrowedConfiguration[];
  readonly metrics: Pick<AdmissionMetrics, "narrowed">;
  /** false: what an earlier process has narrowed is opened, and nothing more. */
  readonly enabled: boolean;
}

export interface Narrowing {
  /** Runs until `env.stopped`. */
  start(): void;
  /**
   * Makes sure that every API server asks about the pods of this object, also when it exists only in a minute.
   * @param old the object as it is, when it exists already
   * @returns why that cannot be promised now; undefined: it is
   */
  announce(kind: Kind, object: Readonly<KubeObject>, old: Readonly<KubeObject> | undefined): Promise<string | undefined>;
}

export function createNarrowing(options: NarrowingOptions): Narrowing {
  return new Narrower(options);
}

/** Written, and since when these are the entries, on the monotonic clock. */
type Announced = { readonly sinceMs: number } | { readonly problem: string };

const sameScopes = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

class Narrower implements Narrowing {
  /** Announcements that wait for the write under way to end: they go together. */
  private readonly waiting = new Map<string, { added: Pending[]; done: Promise<string | undefined> }>();
  private readonly writing = new Map<string, Promise<unknown>>();
  /** By configuration: its entries as they were met last, and when they were met first. */
  private readonly met = new Map<string, { readonly entries: string; readonly sinceMs: number }>();
  private wake: () => void = () => {};
  private woken = false;

  constructor(private readonly options: NarrowingOptions) {}

  start(): void {
    const { env, subscribe, follow, sources, configurations, enabled } = this.options;
    const changed = () => {
      this.woken = true;
      this.wake();
    };
    const cancels = !enabled
      ? []
      : [...configurations.map(({ of, name }) => subscribe({ of, name }, changed)), ...sources.map(({ of }) => follow(of, changed))];
    env.stopped.addEventListener("abort", () => {
      for (const cancel of cancels) cancel();
    });
    void this.run();
  }

  async announce(kind: Kind, object: Readonly<KubeObject>, old: Readonly<KubeObject> | undefined): Promise<string | undefined> {
    const source = this.options.sources.find(({ of }) => isSameKind(of, kind));
    const scope = source?.scope(object);
    if (source === undefined || scope === undefined) return undefined;
    const before = old === undefined ? undefined : source.scope(old);
    // The object as it is keeps its own pods asked about.
    if (before !== undefined && sameScopes(normalised([before]), normalised([scope]))) return undefined;
    const name = resourceName(source.of);
    const concerned = this.options.configurations.filter(({ entries }) => entries.some(({ sources }) => sources.includes(name)));
    const problems = await Promise.all(concerned.map((configuration) => this.enqueue(configuration, { source: name, scope })));
    return problems.find((problem) => problem !== undefined);
  }

  private enqueue(configuration: NarrowedConfiguration, announced: Omit<Pending, "untilMs">): Promise<string | undefined> {
    const { name } = configuration;
    const added = { ...announced, untilMs: this.options.env.nowMs() + narrowingLimits.inFlightMs };
    const known = this.waiting.get(name);
    if (known !== undefined) {
      known.added.push(added);
      return known.done;
    }
    const batch = [added];
    const before = this.writing.get(name) ?? Promise.resolve();
    const done = before.then(() => {
      this.waiting.delete(name);
      const written = this.write(configuration, batch);
      this.writing.set(name, written.catch(thrown));
      // Others need not wait until this has reached the API servers.
      return written.then((outcome) => this.settle(outcome));
    });
    this.waiting.set(name, { added: batch, done });
    return done;
  }

  private async settle(outcome: Announced): Promise<string | undefined> {
    if ("problem" in outcome) return outcome.problem;
    const { env } = this.options;
    const leftMs = outcome.sinceMs + narrowingLimits.propagationMs - env.monotonicMs();
    if (leftMs > 0) await sleep(env, leftMs);
    return undefined;
  }

  private async write({ of, name, entries }: NarrowedConfiguration, added: readonly Pending[]): Promise<Announced> {
    const { env, live, write } = this.options;
    const deadlineMs = env.monotonicMs() + narrowingLimits.announceMs;
    for (;;) {
      const found = await live.get(of, { namespace: "", name });
      let failure: Failure;
      if (found.ok) {
        const state = stateOf(found.object);
        // Not narrowed yet: whoever begins to has to wait for this one too.
        const from: NarrowingState = state ?? { scopes: {}, pending: [], openUntilMs: env.nowMs() + narrowingLimits.inFlightMs };
        this.seen(found.object);
        const written = await write.update(of, withNarrowing(found.object, withPending(from, added), entries, true));
        if (written.ok) return { sinceMs: this.seen(written.object) };
        failure = written;
      } else {
        // Without a configuration nobody is asked about anything.
        if (found.why === "notFound") return { sinceMs: Number.NEGATIVE_INFINITY };
        failure = found;
      }
      if (env.monotonicMs() >= deadlineMs || failure.why === "denied" || env.stopped.aborted)
        return { problem: `${of.plural}/${name}: ${failureText(failure)}` };
      await sleep(env, narrowingLimits.retryMs * (1 + env.random()));
    }
  }

  /** Since when its entries are what they are, as far as this process knows: clocks of replicas differ. */
  private seen({ metadata: { name, generation }, webhooks = [] }: WebhookConfiguration): number {
    const entries = JSON.stringify([generation, ...webhooks.map(narrowingOf)]);
    let met = this.met.get(name);
    if (met?.entries !== entries) {
      met = { entries, sinceMs: this.options.env.monotonicMs() };
      this.met.set(name, met);
    }
    return met.sinceMs;
  }

  private async run(): Promise<void> {
    const { env, enabled } = this.options;
    let failures = 0;
    while (!env.stopped.aborted) {
      this.woken = false;
      const looks = await Promise.all(this.options.configurations.map((configuration) => this.look(configuration).catch(thrown)));
      if (env.stopped.aborted) return;
      const problem = looks.find((look) => typeof look === "string");
      if (problem === undefined && !enabled) return;
      failures = problem === undefined ? 0 : failures + 1;
      if (problem !== undefined) env.log.warn({ error: problem, failures }, "narrowing: the pod webhooks stay as they are for now");
      const waits = looks.filter((look): look is number => typeof look === "number");
      await this.pause(problem === undefined ? Math.min(...waits) : Math.min(60_000, narrowingLimits.settleMs * 2 ** failures));
    }
  }

  private async pause(ms: number): Promise<void> {
    const { env } = this.options;
    const woken = new AbortController();
    const end = () => woken.abort();
    this.wake = end;
    env.stopped.addEventListener("abort", end);
    if (!this.woken) await sleep(env, ms, woken.signal);
    env.stopped.removeEventListener("abort", end);
    this.wake = () => {};
    if (!env.stopped.aborted) await sleep(env, narrowingLimits.settleMs);
  }

  /** @returns when to look again at the latest, or what stands in the way */
  private async look({ of, name, entries }: NarrowedConfiguration): Promise<number | string> {
    const { env, live, write, enabled, metrics } = this.options;
    const found = await live.get(of, { namespace: "", name });
    if (!found.ok) return found.why === "notFound" ? narrowingLimits.lookEveryMs : failureText(found);
    this.seen(found.object);
    const state = stateOf(found.object);
    let wanted: NarrowingState | undefined;
    if (enabled) {
      const next = await this.next(state, found.object, entries);
      if (typeof next === "string") return next;
      wanted = next;
    }
    const healed = withNarrowing(found.object, wanted, entries);
    if (healed !== found.object) {
      const written = await write.update(of, healed);
      // Somebody was faster: what is right now is to be found out anew.
      if (!written.ok) return written.why === "conflict" ? 0 : failureText(written);
      if (asksOthers(found.object, healed))
        env.log.info({ configuration: name, enabled }, "narrowing: which pods are asked about has changed");
    }
    for (const entry of healed.webhooks ?? [])
      if (entries.some((each) => each.name === entry.name)) metrics.narrowed(entry.name, narrowingOf(entry) !== undefined);
    if (wanted === undefined) return narrowingLimits.lookEveryMs;
    const ends = [...(wanted.openUntilMs === undefined ? [] : [wanted.openUntilMs]), ...wanted.pending.map(({ untilMs }) => untilMs)];
    return Math.max(0, Math.min(narrowingLimits.lookEveryMs, ...ends.map((end) => end - env.nowMs())));
  }

  /** The same state where the watch gives no reason to list. */
  private async next(
    state: NarrowingState | undefined,
    live: WebhookConfiguration,
    entries: readonly NarrowedEntry[],
  ): Promise<NarrowingState | string> {
    const { env, sources } = this.options;
    const nowMs = env.nowMs();
    const used = sources.filter(({ of }) => entries.some((entry) => entry.sources.includes(resourceName(of))));
    // Replicas of before may let objects through that nobody has announced, until they are gone.
    if (state === undefined) return { scopes: {}, pending: [], openUntilMs: nowMs + narrowingLimits.inFlightMs };
    if (state.openUntilMs !== undefined && nowMs < state.openUntilMs) return state;
    const pending = state.pending.filter(({ untilMs }) => nowMs < untilMs);
    const settled = state.openUntilMs === undefined && pending.length === state.pending.length;
    const shown = Object.fromEntries(used.map((source) => [resourceName(source.of), scopesOf(source, this.options.known(source.of))]));
    if (settled && sameScopes(shown, state.scopes) && withNarrowing(live, state, entries) === live) return state;
    const scopes: Record<string, readonly PodScope[]> = {};
    for (const source of used) {
      const listed = await this.options.live.list(source.of);
      if (listed.ok) scopes[resourceName(source.of)] = scopesOf(source, listed.object);
      else if (listed.why === "notFound" && !this.options.serves(source.of)) scopes[resourceName(source.of)] = [];
      else return `list ${resourceName(source.of)}: ${failureText(listed)}`;
    }
    return { scopes, pending };
  }
}

function scopesOf<T extends KubeObject>({ scope }: PodSource<T>, objects: readonly Readonly<T>[]): readonly PodScope[] {
  return normalised(objects.flatMap((object) => scope(object) ?? []));
}

function isSameKind(a: Kind, b: Kind): boolean {
  return a.group === b.group && a.plural === b.plural;
}

function thrown(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
