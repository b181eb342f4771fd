/**
 * What a write answered is put into the cache at once, so a plan never misses our own doings; unless the answer did not come. Then the
 * write may have happened or not, and its key is not planned until a live read tells. Every such doubt ends: cleared up, or given up after
 * the expectation timeout, loudly, with a fresh list of the owner's objects.
 */
import { type Env, sleep } from "../env/env.ts";
import { type Key, type Kind, keyOf, keyText, type Ref, refOf, resourceName } from "../kube/kind.ts";
import { failureText } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Unclear } from "./executor.ts";
import { isOlder, type Objects } from "./freshest.ts";
import { engineLimits } from "./limits.ts";
import type { Metrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import type { EventPort } from "./ports.ts";

export interface ExpectationDeps extends Objects {
  readonly env: Env;
  readonly events: EventPort;
  readonly metrics: Metrics;
  /** ms after which a doubt is given up. */
  readonly timeoutMs: number;
}

/** Whose doubt it is, and who is to be woken when it has ended. */
export interface Doubter {
  readonly controller: string;
  readonly owner: Ref;
  readonly wake: (key: Key) => void;
}

export class Expectations {
  readonly #deps: ExpectationDeps;
  /** "controller|key" → doubts that are open. */
  readonly #open = new Map<string, number>();

  constructor(deps: ExpectationDeps) {
    this.#deps = deps;
  }

  /** Whether the key must not be planned now. */
  blocks(controller: string, key: Key): boolean {
    return this.#open.has(`${controller}|${keyText(key)}`);
  }

  get openCount(): number {
    let count = 0;
    for (const doubts of this.#open.values()) count += doubts;
    return count;
  }

  /** Opens a doubt and works on it until it ends. Resolves then; never rejects. */
  async open(write: Unclear, doubter: Doubter): Promise<void> {
    const id = `${doubter.controller}|${keyText(doubter.owner)}`;
    this.#open.set(id, (this.#open.get(id) ?? 0) + 1);
    try {
      if (!(await this.#clearUp(write))) await this.#giveUp(write, doubter);
    } catch (error) {
      this.#deps.env.log.error(
        { controller: doubter.controller, key: keyText(doubter.owner), err: error },
        "clearing up an unclear write threw",
      );
    }
    const left = (this.#open.get(id) ?? 1) - 1;
    if (left > 0) this.#open.set(id, left);
    else {
      this.#open.delete(id);
      doubter.wake({ namespace: doubter.owner.namespace, name: doubter.owner.name });
    }
  }

  /** Reads live until the answer is certain. False: not in time. True as well when the process ends: the doubt ends with it. */
  async #clearUp(write: Unclear): Promise<boolean> {
    const { env, timeoutMs } = this.#deps;
    const startMs = env.monotonicMs();
    let backoffMs: number = engineLimits.unclearBackoffMsMin;
    let isSecondLook = false;
    for (;;) {
      const leftMs = startMs + timeoutMs - env.monotonicMs();
      if (env.stopped.aborted) return true;
      if (leftMs <= 0) return false;
      const seen = await within(env, leftMs, this.#look(write));
      if (seen === undefined) return env.stopped.aborted;
      if (seen.known === "happened" || (seen.known === "not" && isSecondLook)) return true;
      // "Not there" may only mean "not there yet": the server may still be at it.
      isSecondLook = seen.known === "not";
      const pauseMs = isSecondLook ? engineLimits.unclearSettleMs : Math.max(backoffMs, seen.retryAfterMs);
      if (!isSecondLook) backoffMs = Math.min(engineLimits.unclearBackoffMsMax, backoffMs * 2);
      await sleep(env, Math.max(1, Math.min(pauseMs, startMs + timeoutMs - env.monotonicMs())));
    }
  }

  async #look({ did, of, key, uid }: Unclear): Promise<{ readonly known: "happened" | "not" | "unknown"; readonly retryAfterMs: number }> {
    const { read, cache } = this.#deps;
    const answer = await read.live.get(of, key);
    if (answer.ok) {
      const isSuccessor = uid !== undefined && answer.object.metadata.uid !== uid;
      if (isSuccessor) cache.remove(of, { namespace: key.namespace, name: key.name, uid });
      cache.put(of, answer.object);
      // A change needs no verdict: its next plan is made from the object as it is now, and its precondition guards what is still on its way.
      const happened = did !== "delete" || isSuccessor || answer.object.metadata.deletionTimestamp !== undefined;
      return { known: happened ? "happened" : "not", retryAfterMs: 0 };
    }
    if (answer.why === "notFound") {
      cache.remove(of, { namespace: key.namespace, name: key.name, uid });
      return { known: did === "create" ? "not" : "happened", retryAfterMs: 0 };
    }
    return { known: "unknown", retryAfterMs: answer.why === "throttled" ? answer.retryAfterMs : 0 };
  }

  async #giveUp(write: Unclear, { controller, owner }: Doubter): Promise<void> {
    const { env, events, metrics, timeoutMs } = this.#deps;
    const what = `${write.did} of ${write.of.kind} ${keyText(write.key)}`;
    metrics.add(names.expectationTimeoutTotal, { controller });
    if (owner.of.kind === "CloneSet") metrics.add(names.scaleExpectationLeakage, { namespace: owner.namespace, name: owner.name });
    env.log.warn({ controller, namespace: owner.namespace, name: owner.name }, `gave up waiting for the ${what}`);
    events.emit(owner, {
      type: "Warning",
      reason: "ExpectationTimeout",
      message: `could not find out within ${Math.round(timeoutMs / 1000)}s whether the ${what} happened; going on from a fresh list`,
      component: controller,
    });
    const outcome = await within(env, engineLimits.relistMsMax, relist(this.#deps, write.of, owner));
    if (outcome !== true)
      env.log.warn({ controller, resource: resourceName(write.of) }, `could not list afresh: ${outcome || "no answer"}`);
  }
}

/** Brings the cache to what the server says of the owner's objects of a kind. True, or why it could not. */
async function relist({ read, cache }: Objects, of: Kind, owner: Ref): Promise<true | string> {
  const isOwned = (object: Readonly<KubeObject>) =>
    object.metadata.ownerReferences?.some((reference) => reference.uid === owner.uid) ?? false;
  if (!cache.holds(of)) return true;
  const before = read.list(of, owner.namespace === "" ? undefined : owner.namespace).filter(isOwned);
  const answer = await read.live.list(of, owner.namespace === "" ? {} : { namespace: owner.namespace });
  if (!answer.ok) return failureText(answer);
  const present = new Set<string>();
  for (const object of answer.object) {
    present.add(object.metadata.uid);
    if (isOwned(object)) cache.put(of, object);
  }
  for (const object of before) {
    if (present.has(object.metadata.uid)) continue;
    const now = read.get(of, keyOf(object));
    // Seen again since, in a newer version: then the list is what is old.
    if (now !== undefined && isOlder(object.metadata.resourceVersion, now.metadata.resourceVersion)) continue;
    cache.remove(of, refOf(of, object));
  }
  return true;
}

/** What `work` resolves to, or undefined when it takes longer than `limitMs` or the process is asked to stop. */
async function within<T>(env: Env, limitMs: number, work: Promise<T>): Promise<T | undefined> {
  const settled = new AbortController();
  const stop = () => settled.abort();
  env.stopped.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, sleep(env, limitMs, settled.signal).then(() => undefined)]);
  } finally {
    env.stopped.removeEventListener("abort", stop);
    settled.abort();
  }
}
