/**
 * One controller at work on one key: observe → plan → act. Observing and planning run by turns, the status is written beside the actions,
 * and while they run it is kept up to date by planning again without acting.
 */
import type { Settings } from "../api/settings.ts";
import type { Cancel, Env, Logger } from "../env/env.ts";
import type { Reader } from "../kube/access.ts";
import { type Key, keyText, type Ref, refOf } from "../kube/kind.ts";
import type { Failure } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Context, Controller } from "./controller.ts";
import type { Executor } from "./executor.ts";
import type { Expectations } from "./expectations.ts";
import { engineLimits } from "./limits.ts";
import type { Metrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import type { Parts } from "./parts.ts";
import type { EventDraft, Outcome, Plan } from "./plan.ts";
import type { EventPort, HistoryPort } from "./ports.ts";
import type { Worked } from "./queue.ts";
import type { Reasons } from "./reasons.ts";
import type { StatusWriter } from "./status.ts";
import { subjectOf, tellings } from "./tellings.ts";
import type { Turns } from "./turns.ts";
import { failuresByText, verdict } from "./verdict.ts";

export interface ReconcileDeps {
  readonly env: Env;
  readonly read: Reader;
  readonly settings: Settings;
  readonly turns: Turns;
  readonly executor: Executor;
  readonly expectations: Expectations;
  readonly status: StatusWriter;
  readonly events: EventPort;
  readonly reasons: Reasons;
  readonly metrics: Metrics;
  readonly history?: HistoryPort;
  /** Puts a key back to work. */
  readonly wake: (key: Key) => void;
}

/** A look at the world, before there is a plan. */
interface Sight {
  /** The object the key stands for; absent for keys that stand for none. */
  readonly subject: Readonly<KubeObject> | undefined;
  readonly startedAtMs: number;
  readonly costMs: number;
}

/** Its plan has not come to an end yet. */
interface Begun extends Sight {
  readonly parts: Parts<Plan>;
}

/** What one look at the world gave. */
interface Look extends Sight {
  readonly plan: Plan;
  readonly status: unknown;
}

/** One round of work on a key. Its log lines share a `reconcileID`, which is made when the first of them is. */
interface Round {
  readonly key: Key;
  log(): Logger;
}

/** A key whose actions are under way. */
interface Acting {
  woken: boolean;
  timer: Cancel | undefined;
  lastLookMs: number;
  costMs: number;
}

export class Reconciler {
  readonly #controller: Controller;
  readonly #deps: ReconcileDeps;
  readonly #context: Context;
  readonly #labels: { readonly controller: string };
  readonly #acting = new Map<string, Acting>();
  /** What failed when a key was last worked on. It stays in the status until a later round went well: else each retry would take it back. */
  readonly #lastFailed = new Map<string, readonly Outcome[]>();

  constructor(controller: Controller, deps: ReconcileDeps) {
    this.#controller = controller;
    this.#deps = deps;
    const { env, turns } = deps;
    this.#context = {
      read: deps.read,
      settings: deps.settings,
      random: () => env.random(),
      nowMs: () => env.nowMs(),
      turn: (piece) => turns.run(piece),
    };
    this.#labels = { controller: controller.name };
  }

  get context(): Context {
    return this.#context;
  }

  /** Works on a key once. Never rejects: what our own code throws is logged, counted and answered with back-off. */
  async work(key: Key): Promise<Worked> {
    const { env, metrics, expectations } = this.#deps;
    if (expectations.blocks(this.#controller.name, key)) return { next: "blocked" };
    const startMs = env.monotonicMs();
    metrics.add(names.activeWorkers, this.#labels, 1);
    const round = this.#round(key);
    let worked: Worked;
    try {
      worked = await this.#work(round);
    } catch (error) {
      metrics.add(names.reconcilePanicsTotal, this.#labels);
      round.log().error({ err: error }, "Reconciler error: our own code threw");
      worked = { next: "backOff" };
    }
    metrics.add(names.activeWorkers, this.#labels, -1);
    metrics.observe(names.reconcileTimeSeconds, this.#labels, (env.monotonicMs() - startMs) / 1000);
    metrics.add(names.reconcileTotal, { controller: this.#controller.name, result: resultLabel(worked) });
    if (worked.next === "backOff") metrics.add(names.reconcileErrorsTotal, this.#labels);
    return worked;
  }

  /** The world of a key changed while its actions run: its status is brought up to date beside them. */
  wokenInWork(key: Key): void {
    const acting = this.#acting.get(keyText(key));
    if (acting === undefined) return;
    acting.woken = true;
    this.#armRefresh(key, acting);
  }

  async #work(round: Round): Promise<Worked> {
    const { key } = round;
    const look = await this.#look(key);
    if (look === "gone") {
      this.#deps.status.forget(key);
      this.#deps.reasons.forget(this.#controller.name, key);
      this.#lastFailed.delete(keyText(key));
      return { next: "gone" };
    }
    if (look === "replaced") return { next: "soon" };
    const { plan, subject } = look;
    const written = this.#submit(subject, look);
    this.#note(key, look);
    for (const event of plan.events ?? []) this.#emit(subject, key, event);
    const outcomes = plan.actions.length === 0 ? [] : await this.#act(round, look);
    const failures: Failure[] = [];
    const early = await written;
    if (early !== undefined) failures.push(early);
    const failed = outcomes.filter((outcome) => outcome.result === "failed");
    const wasFailing = this.#keepFailed(key, failed);
    if (failed.length > 0 || wasFailing) {
      const late = await this.#submitOutcomes(key, plan, outcomes);
      if (late !== undefined) failures.push(late);
    }
    return settle(round, look, outcomes, failures);
  }

  /** Observe and plan, each in its turn; a plan that comes in parts rests between them. */
  async #look(key: Key): Promise<Look | "gone" | "replaced"> {
    const { turns, env, read } = this.#deps;
    const controller = this.#controller;
    const seen = await turns.run(() => {
      const startedAtMs = env.monotonicMs();
      const subject = read.get(controller.of, key);
      const observed = controller.observe(this.#context, key);
      if (observed === undefined) return "gone";
      const sight = { subject, startedAtMs, costMs: env.monotonicMs() - startedAtMs };
      return observed instanceof Promise ? { ...sight, observed } : this.#plan(key, sight, observed);
    });
    if (seen === "gone") return seen;
    let look: Look | Begun;
    if ("observed" in seen) {
      const observed = await seen.observed;
      if (observed === undefined) return "gone";
      const planned = await turns.run(() => {
        // While `observe` waited, the name may have gone to another object: its plan would be made from the other one's world.
        if (read.get(controller.of, key)?.metadata.uid !== seen.subject?.metadata.uid) return "replaced";
        return this.#plan(key, seen, observed);
      });
      if (planned === "replaced") return planned;
      look = planned;
    } else look = seen;
    while ("parts" in look) {
      const begun: Begun = look;
      look = await turns.run(() => this.#goOn(key, begun));
    }
    return look;
  }

  #plan(key: Key, { subject, startedAtMs, costMs }: Sight, observed: unknown): Look | Begun {
    const { env } = this.#deps;
    const parts = this.#controller.planInParts?.(observed, env.nowMs());
    if (parts !== undefined) return this.#goOn(key, { subject, startedAtMs, costMs, parts });
    const planningMs = env.monotonicMs();
    return this.#looked(key, { subject, startedAtMs, costMs }, planningMs, this.#controller.plan(observed, env.nowMs()));
  }

  #goOn(key: Key, begun: Begun): Look | Begun {
    const { env } = this.#deps;
    const planningMs = env.monotonicMs();
    const part = begun.parts.next();
    if (part.done) return this.#looked(key, begun, planningMs, part.value);
    return { ...begun, costMs: begun.costMs + env.monotonicMs() - planningMs };
  }

  #looked(key: Key, { subject, startedAtMs, costMs }: Sight, planningMs: number, plan: Plan): Look {
    const status = plan.status?.(plan.actions.length > 0 ? (this.#lastFailed.get(keyText(key)) ?? []) : []);
    return { subject, plan, status, startedAtMs, costMs: costMs + this.#deps.env.monotonicMs() - planningMs };
  }

  #submit(subject: Look["subject"], { plan, status }: Look): Promise<Failure | undefined> | undefined {
    if (subject === undefined || plan.status === undefined) return undefined;
    return this.#deps.status.submit(subject, status);
  }

  #submitOutcomes(key: Key, plan: Plan, outcomes: readonly Outcome[]): Promise<Failure | undefined> | undefined {
    if (plan.status === undefined) return undefined;
    const subject = this.#deps.read.get(this.#controller.of, key);
    return subject === undefined ? undefined : this.#deps.status.submit(subject, plan.status(outcomes));
  }

  /** Returns whether something had failed in the round before. */
  #keepFailed(key: Key, failed: readonly Outcome[]): boolean {
    const id = keyText(key);
    const wasFailing = this.#lastFailed.has(id);
    if (failed.length > 0) this.#lastFailed.set(id, failed.slice(0, engineLimits.failedKeptMax));
    else if (wasFailing) this.#lastFailed.delete(id);
    return wasFailing;
  }

  /** Reasons, and what the history wants to know of a plan. */
  #note(key: Key, { plan, subject }: Look): void {
    const { env, reasons, history } = this.#deps;
    const { name, of } = this.#controller;
    const nowMs = env.nowMs();
    const hasChanged = reasons.put(name, of, key, plan.reasons, nowMs);
    if (history === undefined || subject === undefined) return;
    const owner = refOf(of, subject);
    if (plan.landed !== undefined) history.landed(owner, plan.landed, nowMs);
    if (hasChanged) history.held(owner, reasons.holds(name, key), nowMs);
  }

  async #act({ key, log }: Round, { plan, subject, startedAtMs, costMs }: Look): Promise<readonly Outcome[]> {
    const { executor, expectations, wake } = this.#deps;
    const controller = this.#controller.name;
    const id = keyText(key);
    const owner = this.#owner(subject, key);
    const acting: Acting = { woken: false, timer: undefined, lastLookMs: startedAtMs, costMs };
    this.#acting.set(id, acting);
    try {
      const outcomes = await executor.run(plan.actions, {
        lane: `${controller}|${id}`,
        log,
        settled: (outcome) => this.#remember(owner, outcome),
        unclear: (write) => void expectations.open(write, { controller, owner, wake }),
      });
      for (const draft of tellings(outcomes)) this.#emit(subject, key, draft);
      return outcomes;
    } finally {
      acting.timer?.();
      this.#acting.delete(id);
    }
  }

  #remember(owner: Ref, outcome: Outcome): void {
    const { history, env } = this.#deps;
    const { move } = outcome.action;
    if (history === undefined || move === undefined || outcome.result !== "done" || outcome.unchanged) return;
    history.moved({ owner, on: subjectOf(outcome.action), revision: move.revision, how: move.how, atMs: env.nowMs() });
  }

  #armRefresh(key: Key, acting: Acting): void {
    if (acting.timer !== undefined) return;
    const { env, status } = this.#deps;
    const dueMs =
      acting.lastLookMs + Math.max(status.intervalMs, Math.min(engineLimits.rationMsMax, acting.costMs * engineLimits.refreshFactor));
    acting.timer = env.after(Math.max(0, dueMs - env.monotonicMs()), () => {
      void this.#refresh(key, acting);
    });
  }

  /** Plans without acting, for the status and the reasons: what the actions of this plan would be is decided when the present ones have ended. */
  async #refresh(key: Key, acting: Acting): Promise<void> {
    acting.woken = false;
    try {
      const look = await this.#look(key);
      if (this.#acting.get(keyText(key)) !== acting || look === "gone" || look === "replaced") return;
      acting.lastLookMs = look.startedAtMs;
      acting.costMs = look.costMs;
      this.#note(key, look);
      await this.#submit(look.subject, look);
    } catch (error) {
      this.#deps.metrics.add(names.reconcilePanicsTotal, this.#labels);
      this.#round(key).log().error({ err: error }, "Reconciler error: our own code threw");
    }
    acting.timer = undefined;
    if (acting.woken && this.#acting.get(keyText(key)) === acting) this.#armRefresh(key, acting);
  }

  #owner(subject: Look["subject"], key: Key): Ref {
    return subject === undefined ? { of: this.#controller.of, ...key } : refOf(this.#controller.of, subject);
  }

  #emit(subject: Look["subject"], key: Key, draft: EventDraft): void {
    const { type, reason, message } = draft;
    const { name, component = name } = this.#controller;
    this.#deps.events.emit(draft.on ?? this.#owner(subject, key), { type, reason, message, component });
  }

  #round(key: Key): Round {
    const { env } = this.#deps;
    const controller = this.#controller.name;
    let logger: Logger | undefined;
    const log = () => {
      logger ??= env.log.child({ controller, namespace: key.namespace, name: key.name, reconcileID: env.uuid() });
      return logger;
    };
    return { key, log };
  }
}

function settle(round: Round, { plan, startedAtMs, costMs }: Look, outcomes: readonly Outcome[], failures: readonly Failure[]): Worked {
  for (const line of failuresByText(outcomes, failures)) round.log().warn(line.fields, line.message);
  if (plan.retry !== undefined) round.log().warn({}, plan.retry);
  const judged = verdict(outcomes, failures, plan.retry !== undefined);
  const afterMs = Math.min(plan.requeueAfterMs ?? Number.POSITIVE_INFINITY, judged.afterMs ?? Number.POSITIVE_INFINITY);
  const worked = { plannedAtMs: startedAtMs, costMs, next: judged.next, quietMs: judged.quietMs, acted: outcomes.length > 0 };
  return Number.isFinite(afterMs) ? { ...worked, afterMs } : worked;
}

/** The label `result` of what is counted of reconciles. */
export const reconcileResults = ["success", "error", "requeue", "requeue_after"] as const;

function resultLabel({ next, afterMs }: Worked): (typeof reconcileResults)[number] {
  if (next === "backOff") return "error";
  if (next === "soon") return "requeue";
  return afterMs === undefined ? "success" : "requeue_after";
}
