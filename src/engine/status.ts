/**
 * Writes statuses: only what differs from the cache, as soon as it differs the first time, and from then on at most once an interval. The
 * last word is never lost: what could not be written at once is written by a timer, in its newest form.
 */
import type { Cancel, Env } from "../env/env.ts";
import type { Writer } from "../kube/access.ts";
import { deepEqual, type Fields, fieldsOf, isFields } from "../kube/json.ts";
import { type Key, type Kind, keyText, type Ref } from "../kube/kind.ts";
import type { Failure } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import { type Objects, objectId } from "./freshest.ts";
import { engineLimits } from "./limits.ts";
import type { ObjectLocks } from "./locks.ts";
import type { Slots } from "./slots.ts";
import { statusPatch } from "./status-patch.ts";

export interface StatusDeps extends Objects {
  readonly env: Env;
  readonly write: Writer;
  readonly slots: Slots;
  readonly locks: ObjectLocks;
  readonly intervalMs?: number;
}

interface Entry {
  uid: string;
  generation: number | undefined;
  writtenAtMs: number;
  wanted: { readonly status: unknown } | undefined;
  timer: Cancel | undefined;
  isWriting: boolean;
  /** What was sent last, and what the server made of it. */
  settled: { readonly sent: Fields; readonly became: unknown } | undefined;
  /** As last seen to be what it should be, or as the server answered last. */
  right: unknown;
}

export class StatusWriter {
  readonly #deps: StatusDeps;
  readonly #of: Kind;
  /** For failures of writes that nobody waits for. */
  readonly #failed: (key: Key, failure: Failure) => void;
  readonly #entries = new Map<string, Entry>();

  constructor(deps: StatusDeps, of: Kind, failed: (key: Key, failure: Failure) => void) {
    this.#deps = deps;
    this.#of = of;
    this.#failed = failed;
  }

  /** ms between two writes of one object's status: it grows with the number of writes that wait for a slot. */
  get intervalMs(): number {
    const stretch = 1 + this.#deps.slots.waiting / engineLimits.writesInFlightMax;
    return (this.#deps.intervalMs ?? engineLimits.statusIntervalMs) * Math.min(engineLimits.statusStretchMax, stretch);
  }

  /**
   * Brings the object's status to `status`, now or soon. Returns the write if it was made at once: it resolves to its failure, or to
   * undefined when all is well. The object being gone is no failure.
   */
  submit(object: Readonly<KubeObject>, status: unknown): Promise<Failure | undefined> | undefined {
    const key: Key = { namespace: object.metadata.namespace ?? "", name: object.metadata.name };
    const id = keyText(key);
    const known = this.#entries.get(id);
    if (known?.isWriting) {
      // What is on its way may be another status than this: the newest is compared again afterwards.
      known.wanted = { status };
      return undefined;
    }
    const entry = known ?? newEntry();
    if (known === undefined) this.#entries.set(id, entry);
    if (missing(object, status, known) === undefined) {
      entry.right = statusOf(object);
      this.#drop(entry);
      return undefined;
    }
    entry.wanted = { status };
    const isNew = entry.uid !== object.metadata.uid || entry.generation !== object.metadata.generation;
    const waitMs = isNew ? 0 : entry.writtenAtMs + this.intervalMs - this.#deps.env.monotonicMs();
    if (waitMs <= 0) return this.#write(key, entry);
    this.#arm(key, entry, waitMs);
    return undefined;
  }

  /** Whether somebody else wrote this status: it is neither what this writer made of it nor what it found right. */
  isForeign(object: Readonly<KubeObject>): boolean {
    const entry = this.#entries.get(keyText({ namespace: object.metadata.namespace ?? "", name: object.metadata.name }));
    // Our own write may be seen before it is answered; what others made of it meanwhile is looked at then.
    if (entry === undefined || entry.isWriting) return false;
    const status = statusOf(object);
    return status !== entry.right && !deepEqual(status, entry.right);
  }

  /** The object is gone. */
  forget(key: Key): void {
    const id = keyText(key);
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#drop(entry);
    this.#entries.delete(id);
  }

  /** Writes what still waits, for a clean stop. */
  async flush(): Promise<void> {
    const writes: Promise<unknown>[] = [];
    for (const [id, entry] of this.#entries) {
      if (entry.timer === undefined || entry.isWriting) continue;
      const slash = id.indexOf("/");
      writes.push(this.#write({ namespace: id.slice(0, Math.max(0, slash)), name: id.slice(slash + 1) }, entry));
    }
    await Promise.all(writes);
  }

  #drop(entry: Entry): void {
    entry.timer?.();
    entry.timer = undefined;
    entry.wanted = undefined;
  }

  #arm(key: Key, entry: Entry, waitMs: number): void {
    if (entry.timer !== undefined) return;
    entry.timer = this.#deps.env.after(waitMs, () => {
      void this.#write(key, entry).then((failure) => {
        if (failure !== undefined) this.#failed(key, failure);
      });
    });
  }

  async #write(key: Key, entry: Entry): Promise<Failure | undefined> {
    entry.timer?.();
    entry.timer = undefined;
    const object = this.#deps.read.get(this.#of, key);
    if (object === undefined || entry.wanted === undefined) return undefined;
    const ref: Ref = { of: this.#of, ...key, uid: object.metadata.uid };
    entry.isWriting = true;
    entry.uid = object.metadata.uid;
    entry.generation = object.metadata.generation;
    try {
      return await this.#deps.locks.run(objectId(this.#of, ref), () => this.#deps.slots.run("status", () => this.#send(ref, entry)));
    } catch (error) {
      this.#deps.env.log.error({ kind: this.#of.kind, ...key, err: error }, "writing a status threw");
      return {
        ok: false,
        why: "denied",
        code: 0,
        reason: "InternalError",
        message: error instanceof Error ? error.message : String(error),
      };
    } finally {
      entry.isWriting = false;
      // Something newer came while this was on its way.
      if (entry.wanted !== undefined) this.#arm(key, entry, this.intervalMs);
    }
  }

  async #send(ref: Ref, entry: Entry): Promise<Failure | undefined> {
    const { env, read, write, cache } = this.#deps;
    const object = read.get(this.#of, ref);
    const wanted = entry.wanted?.status;
    entry.wanted = undefined;
    if (object === undefined || object.metadata.uid !== ref.uid) return undefined;
    // Compared once more: while this waited for its turn, the status may have become what it should be.
    const patch = missing(object, wanted, entry);
    if (patch === undefined) return undefined;
    entry.writtenAtMs = env.monotonicMs();
    const answer = await write.patch(ref, "merge", { metadata: { uid: ref.uid }, status: patch }, { subresource: "status" });
    if (answer.ok) {
      cache.put(this.#of, answer.object);
      entry.right = statusOf(answer.object);
      entry.settled = { sent: patch, became: entry.right };
      const now = read.get(this.#of, ref);
      // Somebody else wrote at the same time: what is missing now is sent again.
      if (entry.wanted === undefined && now !== undefined && missing(now, wanted, entry) !== undefined) entry.wanted = { status: wanted };
      if (isPartOf(statusPatch(entry.settled.became, wanted), patch))
        env.log.warn(
          { kind: this.#of.kind, namespace: ref.namespace, name: ref.name, patch },
          "the server keeps this status otherwise than it was sent",
        );
      return undefined;
    }
    if (answer.why === "notFound") cache.remove(this.#of, ref);
    // A conflict may mean another object of this name, or one that too many write at once: whoever looks again will see.
    return answer.why === "notFound" ? undefined : answer;
  }
}

function newEntry(): Entry {
  return {
    uid: "",
    generation: undefined,
    writtenAtMs: 0,
    wanted: undefined,
    timer: undefined,
    isWriting: false,
    settled: undefined,
    right: undefined,
  };
}

const statusOf = (object: Readonly<KubeObject>): unknown => fieldsOf(object)["status"];

/** What to send. A change that the server does not keep (a field its schema does not know) is sent once, not for ever. */
function missing(object: Readonly<KubeObject>, status: unknown, known: Entry | undefined): Fields | undefined {
  const current = fieldsOf(object)["status"];
  const patch = statusPatch(current, status);
  const settled = known?.settled;
  if (patch === undefined || settled === undefined) return patch;
  return isPartOf(patch, settled.sent) && deepEqual(settled.became, current) ? undefined : patch;
}

/** Whether all that `patch` would change was in `sent`, with the same values. */
function isPartOf(patch: Fields | undefined, sent: Fields): boolean {
  if (patch === undefined) return false;
  return Object.keys(patch).every((key) => {
    const value = patch[key];
    const before = Object.hasOwn(sent, key) ? sent[key] : undefined;
    return isFields(value) && isFields(before) ? isPartOf(value, before) : deepEqual(value, before);
  });
}
