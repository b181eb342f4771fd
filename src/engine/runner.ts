/**
 * Runs controllers: fills their caches, routes events to their queues, starts them when their kinds are served and their gates are open,
 * and ends them cleanly. One `Runner` a process: turns, slots, locks, conditions and expectations are shared by all controllers.
 */
import type { Settings } from "../api/settings.ts";
import { type Cancel, type Env, sleep } from "../env/env.ts";
import type { Reader, Writer } from "../kube/access.ts";
import { type Key, type Kind, keyOf, resourceName } from "../kube/kind.ts";
import type { BackoffLimits } from "./backoff.ts";
import { Conditions } from "./conditions.ts";
import type { Context, Controller, ReasonGauge } from "./controller.ts";
import { type Executor, KubeExecutor } from "./executor.ts";
import { Expectations } from "./expectations.ts";
import { engineLimits } from "./limits.ts";
import { ObjectLocks } from "./locks.ts";
import { type Metrics, noMetrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import type { CachePort, EventPort, HistoryPort, ServedPort } from "./ports.ts";
import { WorkQueue } from "./queue.ts";
import { type HeldReason, Reasons } from "./reasons.ts";
import { Reconciler, reconcileResults } from "./reconcile.ts";
import { RolloutMeter } from "./rollouts.ts";
import { Router } from "./routing.ts";
import { Slots } from "./slots.ts";
import { StatusWriter } from "./status.ts";
import { Turns } from "./turns.ts";

export interface RunnerPorts {
  readonly read: Reader;
  readonly write: Writer;
  /** The writer of one controller (its own user agent); default: `write`. */
  readonly writerOf?: (controller: Controller) => Writer;
  readonly cache: CachePort;
  readonly events: EventPort;
  readonly served: ServedPort;
  readonly history?: HistoryPort;
}

export interface RunnerOptions {
  readonly settings: Settings;
  readonly metrics?: Metrics;
  /** Workers a flag asks for; undefined: the controller's own number. */
  readonly workers?: (flag: string) => number | undefined;
  readonly backoff?: BackoffLimits;
  readonly statusIntervalMs?: number;
  readonly writesInFlightMax?: number;
  readonly cacheSyncTimeoutMs?: number;
  /** Every key is looked at again at this pace, event or not; 0 or absent: never. */
  readonly syncPeriodMs?: number;
  /** Who carries out a controller's actions; default: writes to the API server, which `kube` does. */
  readonly executorOf?: (controller: Controller, kube: Executor) => Executor;
  /** A controller that was to start later (its kind appeared) could not: the process should end. */
  readonly fatal?: (error: Error) => void;
}

interface Running {
  readonly controller: Controller;
  readonly queue: WorkQueue;
  readonly status: StatusWriter;
  readonly context: Context;
}

export class Runner {
  readonly reasons: Reasons;
  readonly expectations: Expectations;
  readonly #env: Env;
  readonly #ports: RunnerPorts;
  readonly #options: RunnerOptions;
  readonly #metrics: Metrics;
  readonly #slots: Slots;
  readonly #turns: Turns;
  readonly #locks = new ObjectLocks();
  readonly #conditions: Conditions;
  readonly #router: Router;
  readonly #running = new Map<string, Running>();
  #waiting: Controller[] = [];
  #unwatchServed: Cancel | undefined;
  #resync: Cancel | undefined;
  readonly #rollouts: RolloutMeter;
  readonly #gauges: Cancel[] = [];
  #isStopped = false;

  constructor(env: Env, ports: RunnerPorts, options: RunnerOptions) {
    this.#env = env;
    this.#ports = ports;
    this.#options = options;
    this.#metrics = options.metrics ?? noMetrics;
    this.#slots = new Slots(options.writesInFlightMax);
    this.#turns = new Turns(env);
    this.#router = new Router(ports.cache, env.log, this.#metrics);
    this.reasons = new Reasons(this.#metrics);
    this.#rollouts = new RolloutMeter(env, this.#metrics);
    const { read, write, cache, events } = ports;
    // One for all controllers: whoever's conditions they are, it is the same pod.
    this.#conditions = new Conditions({ env, read, cache, write, slots: this.#slots, locks: this.#locks });
    this.expectations = new Expectations({
      env,
      read,
      cache,
      events,
      metrics: this.#metrics,
      timeoutMs: options.settings.expectationTimeoutMs,
    });
  }

  /**
   * Starts every controller whose gates are open and whose kinds are served; the others start when their kinds appear. Resolves when all
   * of the former work. Rejects with an Error naming the kinds when caches do not fill in time.
   */
  async start(controllers: readonly Controller[]): Promise<void> {
    const enabled = controllers.filter((controller) => controller.enabled?.(this.#options.settings) ?? true);
    const ready = enabled.filter((controller) => this.#missing(controller).length === 0);
    this.#waiting = enabled.filter((controller) => !ready.includes(controller));
    for (const controller of this.#waiting)
      this.#env.log.info({ controller: controller.name, missing: this.#missing(controller) }, "not started: its kinds are not served");
    this.#unwatchServed = this.#ports.served.changed(() => this.#startAppeared());
    await Promise.all(ready.map((controller) => this.#startOne(controller)));
    this.#armResync();
  }

  /** The names of the controllers at work. */
  get names(): readonly string[] {
    return [...this.#running.keys()];
  }

  /** Nothing is ready, in work, or unclear. Delayed adds may be pending. */
  get quiet(): boolean {
    for (const { queue } of this.#running.values()) if (!queue.quiet) return false;
    return this.expectations.openCount === 0 && this.#conditions.waiting === 0;
  }

  /** Why things of this key are left alone, and since when. */
  heldBy(controller: string, key: Key): readonly HeldReason[] {
    return this.reasons.of(controller, key);
  }

  /** Puts a key to work, as an event would. */
  wake(controller: string, key: Key): void {
    this.#running.get(controller)?.queue.add(key);
  }

  /**
   * Nothing new starts; what is in work may end, and the last statuses are written.
   * @returns false when that took longer than `limitMs`
   */
  async stop(limitMs: number = engineLimits.drainMsMax): Promise<boolean> {
    this.#isStopped = true;
    this.#unwatchServed?.();
    this.#resync?.();
    for (const cancel of this.#gauges.splice(0)) cancel();
    this.#router.close();
    this.#conditions.flush();
    const running = [...this.#running.values()];
    const drained = Promise.all(running.map(({ queue }) => queue.stop()))
      .then(() => Promise.all(running.map(({ status }) => status.flush())))
      .then(() => true);
    const timer = new AbortController();
    const ended = await Promise.race([drained, sleep(this.#env, limitMs, timer.signal).then(() => false)]);
    timer.abort();
    return ended;
  }

  #startAppeared(): void {
    const appeared = this.#waiting.filter((controller) => this.#missing(controller).length === 0);
    this.#waiting = this.#waiting.filter((controller) => !appeared.includes(controller));
    for (const controller of appeared) {
      this.#env.log.info({ controller: controller.name }, "its kinds have appeared");
      this.#startOne(controller).catch((error: unknown) => {
        this.#env.log.error({ controller: controller.name, err: error }, "could not start");
        this.#options.fatal?.(error instanceof Error ? error : new Error(String(error)));
      });
    }
  }

  async #startOne(controller: Controller): Promise<void> {
    const { cache, served } = this.#ports;
    const optional = controller.watches.filter((watch) => watch.optional && served.serves(watch.of)).map((watch) => watch.of);
    const kinds = [...kindsOf(controller), ...optional];
    for (const kind of kinds) cache.ensure(kind);
    await this.#synced(controller, kinds);
    if (this.#isStopped) return;
    const { queue, reconciler, status } = this.#assemble(controller);
    this.#running.set(controller.name, { controller, queue, status, context: reconciler.context });
    this.#metrics.set(names.maxConcurrentReconciles, { controller: controller.name }, this.#workers(controller));
    this.#showZeros(controller);
    for (const gauge of controller.gauges ?? []) this.#gauge(controller, gauge);
    const { of, rollout } = controller;
    if (rollout !== undefined) this.#gauges.push(this.#rollouts.follow(of, cache, this.#ports.read.list(of), rollout));
    // Subscribed and listed in one turn: no event falls between.
    this.#router.connect(controller, reconciler.context, queue, (object) => status.isForeign(object));
    this.#enqueueAll(controller, queue, reconciler.context);
    this.#env.log.info({ controller: controller.name, workers: this.#workers(controller) }, "Starting workers");
  }

  /** A series that begins with its first event hides that event from every rate. */
  #showZeros({ name }: Controller): void {
    for (const result of reconcileResults) this.#metrics.add(names.reconcileTotal, { controller: name, result }, 0);
    this.#metrics.add(names.reconcileErrorsTotal, { controller: name }, 0);
    this.#metrics.set(names.activeWorkers, { controller: name }, 0);
    this.#metrics.set(names.queueDepth, { name }, 0);
    this.#metrics.add(names.queueAddsTotal, { name }, 0);
    this.#metrics.add(names.queueRetriesTotal, { name }, 0);
  }

  /** Counted when somebody asks. */
  #gauge({ name }: Controller, { code, metric, label }: ReasonGauge): void {
    let shown: ReadonlySet<string> = new Set();
    const cancel = this.#metrics.onCollect(() => {
      const counts = this.reasons.counts(name, code);
      for (const key of shown) if (!counts.has(key)) this.#metrics.set(metric, { [label]: key }, 0);
      for (const [key, count] of counts) this.#metrics.set(metric, { [label]: key }, count);
      shown = new Set(counts.keys());
    });
    this.#gauges.push(cancel);
  }

  #assemble(controller: Controller): { queue: WorkQueue; reconciler: Reconciler; status: StatusWriter } {
    const env = this.#env;
    const { read, cache, events, history } = this.#ports;
    const write = this.#ports.writerOf?.(controller) ?? this.#ports.write;
    const shared = { env, read, cache, write, slots: this.#slots, locks: this.#locks };
    const kube = new KubeExecutor({ ...shared, conditions: this.#conditions });
    const executor = this.#options.executorOf?.(controller, kube) ?? kube;
    const status = new StatusWriter({ ...shared, intervalMs: this.#options.statusIntervalMs }, controller.of, (key, failure) => {
      if (failure.why !== "conflict")
        env.log.warn({ controller: controller.name, namespace: key.namespace, name: key.name, why: failure.why }, failure.message);
      if (failure.why === "throttled") queue.addAfter(key, failure.retryAfterMs);
      else queue.retry(key);
    });
    const reconciler: Reconciler = new Reconciler(controller, {
      env,
      read,
      settings: this.#options.settings,
      turns: this.#turns,
      executor,
      expectations: this.expectations,
      status,
      events,
      reasons: this.reasons,
      metrics: this.#metrics,
      history,
      wake: (key) => queue.add(key),
    });
    const queue: WorkQueue = new WorkQueue(env, {
      name: controller.name,
      workers: this.#workers(controller),
      work: (key) => reconciler.work(key),
      wokenInWork: (key) => reconciler.wokenInWork(key),
      backoff: this.#options.backoff,
      metrics: this.#metrics,
      calmMs: controller.calmMs,
    });
    return { queue, reconciler, status };
  }

  async #synced(controller: Controller, kinds: readonly Kind[]): Promise<void> {
    const pending = new Set(kinds);
    const limitMs = this.#options.cacheSyncTimeoutMs ?? engineLimits.cacheSyncMsMax;
    const timer = new AbortController();
    const all = Promise.all(
      kinds.map((kind) =>
        this.#ports.cache.synced(kind).then(() => {
          pending.delete(kind);
        }),
      ),
    ).then(() => true);
    const isSynced = await Promise.race([all, sleep(this.#env, limitMs, timer.signal).then(() => false)]);
    timer.abort();
    if (isSynced || this.#env.stopped.aborted) return;
    const missing = [...pending].map(resourceName).join(", ");
    throw new Error(
      `failed to wait for ${controller.name} caches to sync within ${limitMs / 1000}s: ${missing}; is the kind served, and may it be listed and watched?`,
    );
  }

  #missing(controller: Controller): readonly string[] {
    return kindsOf(controller)
      .filter((kind) => !this.#ports.served.serves(kind))
      .map(resourceName);
  }

  #enqueueAll(controller: Controller, queue: WorkQueue, context: Context): void {
    for (const object of this.#ports.read.list(controller.of)) {
      if (controller.concerns?.({ after: object }, context) !== false) queue.add(keyOf(object), "round");
    }
  }

  #armResync(): void {
    const periodMs = this.#options.syncPeriodMs ?? 0;
    if (periodMs <= 0 || this.#isStopped) return;
    // Stretched by up to a tenth, as informers do, so that several processes do not keep step.
    this.#resync = this.#env.after(periodMs * (1 + this.#env.random() / 10), () => {
      for (const { controller, queue, context } of this.#running.values()) this.#enqueueAll(controller, queue, context);
      this.#armResync();
    });
  }

  #workers(controller: Controller): number {
    const { flag, count } = controller.workers;
    const asked = flag === undefined ? undefined : this.#options.workers?.(flag);
    return Math.max(1, asked ?? count);
  }
}

/** Those without which it cannot run. */
function kindsOf(controller: Controller): readonly Kind[] {
  const kinds = new Map<string, Kind>();
  const watched = controller.watches.filter((watch) => !watch.optional).map((watch) => watch.of);
  for (const kind of [controller.of, ...watched, ...(controller.reads ?? [])]) kinds.set(resourceName(kind), kind);
  return [...kinds.values()];
}
