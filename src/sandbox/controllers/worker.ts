/** The frame of the sandbox's own controllers: what changed wakes keys, each key is looked at again, one after the other. */
import type { Cancel, Env } from "../../env/env.ts";
import type { Key } from "../../kube/kind.ts";
import { keyText } from "../../kube/kind.ts";
import type { Change, Store } from "../storage/store.ts";
import type { Inside, Outcome } from "./inside.ts";

const backoffMsMin = 10;
const backoffMsMax = 30_000;

export interface Controller {
  readonly name: string;
  /** By resource: which keys a change wakes. */
  readonly watches: Readonly<Record<string, (change: Change) => readonly Key[]>>;
  /** @returns ms until the key has to be looked at again, "again" after a failure, or nothing */
  reconcile(key: Key): Promise<number | "again" | undefined>;
}

/** From a change to a reaction; watches of a real cluster take about as long. */
export const reactionMs = 2;

export class Worker {
  readonly #pending = new Map<string, { readonly key: Key; dueMs: number }>();
  readonly #failures = new Map<string, number>();
  #timer: { readonly dueMs: number; readonly cancel: Cancel } | undefined;
  #busy = false;

  constructor(
    private readonly env: Env,
    private readonly controller: Controller,
  ) {}

  /** Starts with everything that is there. */
  start(store: Store): Cancel {
    for (const [resource, wakes] of Object.entries(this.controller.watches))
      for (const after of store.list(resource)) this.#wakeAll(wakes({ version: store.version, resource, before: undefined, after }));
    return store.subscribe((change) => {
      const wakes = this.controller.watches[change.resource];
      if (wakes !== undefined) this.#wakeAll(wakes(change));
    });
  }

  wake(key: Key, delayMs = reactionMs): void {
    const text = keyText(key);
    const dueMs = this.env.monotonicMs() + delayMs;
    const known = this.#pending.get(text);
    if (known !== undefined && known.dueMs <= dueMs) return;
    this.#pending.set(text, { key, dueMs });
    this.#plan();
  }

  #wakeAll(keys: readonly Key[]): void {
    for (const key of keys) this.wake(key);
  }

  #plan(): void {
    if (this.#busy) return;
    let dueMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#pending.values()) dueMs = Math.min(dueMs, entry.dueMs);
    if (dueMs === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.dueMs <= dueMs)) return;
    this.#timer?.cancel();
    const cancel = this.env.after(Math.max(0, dueMs - this.env.monotonicMs()), () => {
      this.#timer = undefined;
      void this.#run();
    });
    this.#timer = { dueMs, cancel };
  }

  async #run(): Promise<void> {
    if (this.#busy || this.env.stopped.aborted) return;
    this.#busy = true;
    const nowMs = this.env.monotonicMs();
    const due = [...this.#pending].filter(([, entry]) => entry.dueMs <= nowMs);
    for (const [text, { key }] of due) {
      this.#pending.delete(text);
      await this.#look(text, key);
    }
    this.#busy = false;
    this.#plan();
  }

  async #look(text: string, key: Key): Promise<void> {
    let next: number | "again" | undefined;
    try {
      next = await this.controller.reconcile(key);
    } catch (error) {
      this.env.log.error({ error, controller: this.controller.name, key: text }, "sandbox: a controller failed");
      next = "again";
    }
    if (next === "again") {
      const failures = (this.#failures.get(text) ?? 0) + 1;
      this.#failures.set(text, failures);
      this.wake(key, Math.min(backoffMsMax, backoffMsMin * 2 ** failures));
      return;
    }
    this.#failures.delete(text);
    if (next !== undefined) this.wake(key, next);
  }
}

/** "again" when any of them was refused for another reason than that the object is gone. */
export function retryOf(...outcomes: readonly Outcome[]): "again" | undefined {
  return outcomes.some((outcome) => !outcome.ok && outcome.refusal.code !== 404) ? "again" : undefined;
}

/** The key of the changed object itself. */
export function itself({ before, after }: Change): readonly Key[] {
  const { namespace = "", name } = (after ?? before)?.metadata ?? { name: "" };
  return [{ namespace, name }];
}

/** The keys of the owners of this kind, before and after. */
export function ownersOf(kind: string): (change: Change) => readonly Key[] {
  return ({ before, after }) =>
    [before, after].flatMap((object) =>
      (object?.metadata.ownerReferences ?? [])
        .filter((reference) => reference.controller === true && reference.kind === kind)
        .map(({ name }) => ({ namespace: object?.metadata.namespace ?? "", name })),
    );
}

export type MakeController = (inside: Inside, env: Env) => Controller;
