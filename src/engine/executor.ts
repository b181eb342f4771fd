/**
 * Carries out the actions of a plan against the API server: different objects in parallel within the slots, creates in growing batches,
 * `after` and the steps of one object in order, one writer an object, each write from the freshest version. Expected failures become
 * outcomes; what a step throws becomes one as well, and is logged: one broken step does not take its neighbours along.
 */
import { assert, type Env, type Logger } from "../env/env.ts";
import type { Writer } from "../kube/access.ts";
import { type Key, type Kind, keyOf, type Ref } from "../kube/kind.ts";
import type { Failure } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Conditions } from "./conditions.ts";
import { freshest, isAnother, isGone, liveRead, type Objects, objectId } from "./freshest.ts";
import type { ObjectLocks } from "./locks.ts";
import type { Action, Change, ConditionStep, Create, Delete, Evict, Outcome, Step, WriteStep } from "./plan.ts";
import { deleteOptions, send } from "./send.ts";
import type { Slots } from "./slots.ts";
import { inGrowingBatches } from "./slow-start.ts";
import { conflictPause, type Stepped } from "./stepped.ts";

/** A write whose answer did not come: it may have happened. */
export interface Unclear {
  readonly did: "create" | "delete" | "change";
  readonly of: Kind;
  readonly key: Key;
  /** Absent for creates. */
  readonly uid?: string;
}

export interface ActContext {
  /** Lanes share the slots evenly: one a key. */
  readonly lane: string;
  /** Made only when there is something to say. */
  readonly log: () => Logger;
  /** Called with each outcome as soon as it is known. */
  readonly settled?: (outcome: Outcome) => void;
  /** Called for each write that may or may not have happened, before its outcome is returned. */
  readonly unclear: (write: Unclear) => void;
}

/** Carries out actions; what is expected to go wrong is in the outcomes, which come in the order of the actions. */
export interface Executor {
  run(actions: readonly Action[], context: ActContext): Promise<readonly Outcome[]>;
}

export interface KubeExecutorDeps extends Objects {
  readonly env: Env;
  readonly write: Writer;
  readonly slots: Slots;
  readonly locks: ObjectLocks;
  readonly conditions: Conditions;
}

export class KubeExecutor implements Executor {
  readonly #deps: KubeExecutorDeps;

  constructor(deps: KubeExecutorDeps) {
    this.#deps = deps;
  }

  async run(actions: readonly Action[], context: ActContext): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = new Array(actions.length);
    const gates = gatesOf(actions);
    const settle = (index: number, outcome: Outcome): boolean => {
      outcomes[index] = outcome;
      const isDone = outcome.result === "done";
      gates.get(outcome.action.id)?.open(isDone);
      context.settled?.(outcome);
      return isDone;
    };
    const perform = async (index: number): Promise<boolean> => {
      const action = actions[index] as Action;
      for (const id of action.after ?? []) if (!(await gates.get(id)?.opened)) return settle(index, { action, result: "skipped" });
      return settle(index, await this.#guarded(action, context));
    };
    const creates: number[] = [];
    const others: Promise<boolean>[] = [];
    for (const [index, action] of actions.entries()) {
      if (action.do === "create") creates.push(index);
      else others.push(perform(index));
    }
    const tried = await inGrowingBatches(creates, perform);
    for (const index of creates.slice(tried)) settle(index, { action: actions[index] as Action, result: "skipped" });
    await Promise.all(others);
    return outcomes;
  }

  async #guarded(action: Action, context: ActContext): Promise<Outcome> {
    // The process ends: its successor plans anew from what has been done.
    if (this.#deps.env.stopped.aborted) return { action, result: "skipped" };
    try {
      switch (action.do) {
        case "create":
          return await this.#create(action, context);
        case "delete":
          return await this.#delete(action, context);
        case "evict":
          return await this.#evict(action, context);
        case "change":
          return await this.#change(action, context);
      }
    } catch (error) {
      context.log().error({ action: action.id, err: error }, "an action threw");
      const message = error instanceof Error ? error.message : String(error);
      return { action, result: "failed", failure: { ok: false, why: "denied", code: 0, reason: "InternalError", message } };
    }
  }

  async #create(action: Create, context: ActContext): Promise<Outcome> {
    const { write, cache, slots } = this.#deps;
    const key: Key = { namespace: action.object.metadata.namespace ?? "", name: action.object.metadata.name ?? "" };
    const answer = await slots.run(context.lane, () => write.create(action.of, action.object));
    if (answer.ok) {
      cache.put(action.of, answer.object);
      return { action, result: "done", object: answer.object };
    }
    if (answer.why === "alreadyExists") {
      const object = await this.#existing({ of: action.of, ...key }, context);
      if (action.existsIsFine) return { action, result: "done", object, unchanged: true };
    }
    return this.#failed(action, answer, { did: "create", of: action.of, key }, context);
  }

  /** Somebody made it before us. When the cache does not know it yet it learns it here, lest the next plan tries the same again. */
  async #existing(ref: Ref, context: ActContext): Promise<KubeObject | undefined> {
    const cached = this.#deps.cache.holds(ref.of) ? this.#deps.read.get(ref.of, ref) : undefined;
    if (cached !== undefined) return cached;
    const live = await this.#deps.slots.run(context.lane, () => liveRead(this.#deps, ref));
    return live.ok ? live.object : undefined;
  }

  #delete(action: Delete, context: ActContext): Promise<Outcome> {
    const { write, cache, slots, locks } = this.#deps;
    return locks.run(objectId(action.on.of, action.on), async () => {
      const answer = await slots.run(context.lane, () => write.delete(action.on, deleteOptions(action)));
      if (answer.ok) {
        // Another uid cannot be: it was a precondition. The answer is the object on its way out, or nothing when it is gone at once.
        if (answer.object === undefined || answer.object.metadata?.deletionTimestamp === undefined) cache.remove(action.on.of, action.on);
        else cache.put(action.on.of, answer.object);
        return { action, result: "done", object: answer.object };
      }
      if (answer.why === "notFound") {
        cache.remove(action.on.of, action.on);
        return { action, result: "done", unchanged: true };
      }
      if (answer.why === "conflict" && action.resourceVersion === undefined) {
        // Only the uid can have been in conflict: ours is gone, its name is taken by a successor.
        const live = await slots.run(context.lane, () => liveRead(this.#deps, action.on));
        if (!live.ok && live.why === "notFound") return { action, result: "done", unchanged: true };
      }
      return this.#failed(action, answer, { did: "delete", of: action.on.of, key: action.on, uid: action.on.uid }, context);
    });
  }

  #evict(action: Evict, context: ActContext): Promise<Outcome> {
    const { write, slots, locks } = this.#deps;
    return locks.run(objectId(action.on.of, action.on), async () => {
      const answer = await slots.run(context.lane, () => write.evict(action.on));
      // The answer does not carry the pod: the watch shows what becomes of it.
      if (answer.ok) return { action, result: "done" };
      // Another uid is a conflict: ours is gone, its name is taken by a successor.
      if (answer.why === "notFound" || answer.why === "conflict") return { action, result: "done", unchanged: true };
      return this.#failed(action, answer, { did: "delete", of: action.on.of, key: action.on, uid: action.on.uid }, context);
    });
  }

  async #change(action: Change, context: ActContext): Promise<Outcome> {
    let known: Readonly<KubeObject> | undefined;
    let wrote = false;
    let { ofVersion } = action;
    for (let next = 0; next < action.steps.length; ) {
      const step = action.steps[next] as Step;
      const ref: Ref = known === undefined ? action.on : { ...action.on, uid: known.metadata.uid };
      let stepped: Stepped;
      next += 1;
      if (isConditionStep(step)) {
        const riders = ridersAfter(action.steps, next);
        next += riders.length;
        stepped = await this.#deps.conditions.set(ref, ofVersion === undefined ? step : { ...step, ofVersion }, riders);
      } else stepped = await this.#step(ref, step, known, ofVersion, context);
      if (!stepped.ok) {
        if (stepped.why === "notFound" && action.goneIsFine !== false) return { action, result: "done", unchanged: true };
        return this.#failed(action, stepped, { did: "change", of: ref.of, key: ref, uid: ref.uid }, context);
      }
      known = stepped.object ?? known;
      wrote ||= stepped.wrote;
      // From here on it is a version of our own making.
      if (stepped.wrote) ofVersion = undefined;
    }
    return wrote ? { action, result: "done", object: known } : { action, result: "done", object: known, unchanged: true };
  }

  #step(
    ref: Ref,
    step: WriteStep,
    known: Readonly<KubeObject> | undefined,
    ofVersion: string | undefined,
    context: ActContext,
  ): Promise<Stepped> {
    const { env, write, slots, locks, cache } = this.#deps;
    const bound: WriteStep = ofVersion === undefined ? step : { ...step, precondition: "version" };
    return locks.run(objectId(ref.of, ref), async (): Promise<Stepped> => {
      let fresh = await freshest(this.#deps, ref, known);
      for (let tries = 1; ; tries += 1) {
        if (!fresh.ok) return fresh;
        const object = fresh.object;
        if (ofVersion !== undefined && ofVersion !== object.metadata.resourceVersion) return isAnother(ref.name, ofVersion);
        const wanted = step.write(object);
        if (wanted === undefined) return { ok: true, object, wrote: false };
        if (typeof wanted === "string") return { ok: false, why: "denied", code: 0, reason: "Refused", message: wanted };
        const answer = await slots.run(context.lane, () => send(write, ref, wanted, bound, object));
        if (answer.ok) {
          if (foreignAnswers.has(step.subresource)) return { ok: true, object, wrote: true };
          cache.put(ref.of, answer.object);
          return { ok: true, object: answer.object, wrote: true };
        }
        if (answer.why === "notFound") {
          cache.remove(ref.of, { ...keyOf(object), uid: object.metadata.uid });
          return isGone(ref.name);
        }
        const pauseMs = conflictPause(env, tries);
        if (answer.why !== "conflict" || step.onConflict === "giveUp" || pauseMs === undefined) return answer;
        await new Promise<void>((resolve) => void env.after(pauseMs, resolve));
        fresh = await slots.run(context.lane, () => liveRead(this.#deps, ref, object.metadata.uid));
      }
    });
  }

  #failed(action: Action, failure: Failure, write: Unclear, context: ActContext): Outcome {
    if (failure.why === "unavailable" && failure.mayHaveHappened) context.unclear(write);
    return { action, result: "failed", failure };
  }
}

/** These subresources answer with something else than the object. */
const foreignAnswers: ReadonlySet<WriteStep["subresource"]> = new Set<WriteStep["subresource"]>(["scale", "eviction", "binding"]);

function isConditionStep(step: Step): step is ConditionStep {
  return "conditions" in step;
}

/** The steps from `next` on that travel with the condition step before them. */
function ridersAfter(steps: readonly Step[], next: number): readonly WriteStep[] {
  const riders: WriteStep[] = [];
  for (const step of steps.slice(next)) {
    if (isConditionStep(step) || !step.rides) break;
    riders.push(step);
  }
  return riders;
}

interface Gate {
  readonly opened: Promise<boolean>;
  open(isDone: boolean): void;
}

/** One gate for each action that another waits for. Actions wait only for earlier ones, so nothing ever waits in a circle. */
function gatesOf(actions: readonly Action[]): Map<string, Gate> {
  const gates = new Map<string, Gate>();
  const seen = new Set<string>();
  for (const action of actions) {
    for (const id of action.after ?? []) {
      assert(seen.has(id), `action ${action.id} waits for ${id}, which comes before it in the plan`);
      if (gates.has(id)) continue;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      gates.set(id, { opened: promise, open: resolve });
    }
    assert(!seen.has(action.id), `the id of action ${action.id} is unique in its plan`);
    seen.add(action.id);
  }
  return gates;
}
