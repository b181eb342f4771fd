/**
 * Decisions that are written into an object's status before they are answered: budgets and quotas that several processes grant from at
 * once. The status is the ledger, its resourceVersion the only lock between processes; within one process decisions about one object are
 * made one after the other and written together, so that fifty requests at once cost one write and not fifty conflicts.
 */
import type { AdmissionContext } from "../admission/webhook.ts";
import { isOlder } from "../engine/freshest.ts";
import { mergeBody } from "../engine/send.ts";
import { statusPatch } from "../engine/status-patch.ts";
import type { Reader } from "../kube/access.ts";
import { fieldsOf } from "../kube/json.ts";
import { type Key, type Kind, keyText, type Ref, resourceName } from "../kube/kind.ts";
import type { Failure, Written } from "../kube/outcome.ts";
import { Recent } from "../kube/recent.ts";
import type { KubeObject } from "../kube/types.ts";

export const ledgerLimits = {
  triesMax: 4,
  /** ms before the 2nd, 3rd and 4th try of a write that met a conflict; each stretched by up to a half, so that replicas do not keep step. */
  pausesMs: [20, 100, 400],
  pauseJitter: 0.5,
  /** Decisions that wait for one object; beyond that they are asked to come back. */
  waitingMax: 5_000,
  /** Objects of which the last own write is remembered. */
  rememberedMax: 1_024,
} as const;

export interface Entry<A> {
  readonly answer: A;
  /** The whole status as it should be; absent: nothing to write. */
  readonly status?: object;
  /** Stands only if the server itself says what the copy at hand says. */
  readonly unsure?: boolean;
}

type Decide<T, A> = (fresh: Readonly<T>) => Entry<A>;
export type LedgerContext = Pick<AdmissionContext, "read" | "write" | "after" | "random">;

interface Waiting {
  readonly context: LedgerContext;
  readonly dryRun: boolean;
  readonly decide: Decide<KubeObject, unknown>;
  readonly settle: (answer: Written<unknown>) => void;
  readonly broken: (error: unknown) => void;
}

const ledgers = new WeakMap<Reader, Ledger>();

/**
 * Decides on the freshest version of `ref` and, unless `dryRun`, writes what was decided before it answers.
 * @param decide pure; called again with a newer version when somebody else was faster
 * @returns the answer; "notFound" when the object is gone; another failure when nothing could be written, and so nothing was granted
 */
export function enterInLedger<T extends KubeObject, A>(
  context: LedgerContext,
  ref: Ref<T>,
  decide: Decide<T, A>,
  dryRun: boolean,
): Promise<Written<A>> {
  // One ledger for all that one process knows: its reader stands for that, in real requests and in dry runs.
  let ledger = ledgers.get(context.read);
  if (ledger === undefined) {
    ledger = new Ledger();
    ledgers.set(context.read, ledger);
  }
  return ledger.enter(context, ref as unknown as Ref, decide as unknown as Decide<KubeObject, A>, dryRun);
}

class Ledger {
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #written = new Recent<string, KubeObject>(ledgerLimits.rememberedMax);

  enter<A>(context: LedgerContext, ref: Ref, decide: Decide<KubeObject, A>, dryRun: boolean): Promise<Written<A>> {
    return new Promise((resolve, reject) => {
      const settle = resolve as (answer: Written<unknown>) => void;
      const waiting: Waiting = { context, dryRun, decide, settle, broken: reject };
      const id = `${resourceName(ref.of)} ${keyText(ref)}`;
      const queue = this.#waiting.get(id);
      if (queue === undefined) {
        this.#waiting.set(id, [waiting]);
        void this.#work(id, ref);
      } else if (queue.length < ledgerLimits.waitingMax) queue.push(waiting);
      else resolve({ ok: false, why: "throttled", retryAfterMs: 1_000, message: `too many requests wait for ${ref.of.kind} ${ref.name}` });
    });
  }

  /** Batch after batch: what arrives while one is being written makes the next. */
  async #work(id: string, ref: Ref): Promise<void> {
    for (;;) {
      const queue = this.#waiting.get(id) ?? [];
      const batch = queue.splice(0);
      if (batch.length === 0) break;
      try {
        await this.#decide(id, ref, batch);
      } catch (error) {
        for (const { broken } of batch) broken(error);
      }
    }
    this.#waiting.delete(id);
  }

  async #decide(id: string, ref: Ref, batch: readonly Waiting[]): Promise<void> {
    const { context } = batch[0] as Waiting;
    const known = this.#freshest(context.read, ref, id);
    let isLive = known === undefined;
    let copy: Written<KubeObject> = known === undefined ? await context.read.live.get(ref.of, ref) : { ok: true, object: known };
    for (let tries = 1; ; ) {
      if (!copy.ok) return settleAll(batch, copy);
      const folded = fold(batch, copy.object);
      if (folded.unsure && !isLive) {
        copy = await context.read.live.get(ref.of, ref);
        isLive = true;
        continue;
      }
      if (folded.object === copy.object) return answerAll(batch, folded.entries, undefined);
      const written = await writeStatus(batch, ref, copy.object, folded.object);
      if (written.ok) this.#written.set(id, written.object);
      const pauseMs = ledgerLimits.pausesMs[tries - 1];
      if (written.ok || written.why !== "conflict" || pauseMs === undefined || tries >= ledgerLimits.triesMax)
        return answerAll(batch, folded.entries, written.ok ? undefined : written);
      tries += 1;
      await pause(context, pauseMs);
      copy = await context.read.live.get(ref.of, ref);
      isLive = true;
    }
  }

  /** The cache, or what this process wrote last, whichever is newer. Undefined: nobody here knows the object. */
  #freshest(read: Reader, ref: Ref, id: string): KubeObject | undefined {
    const cached = read.get(ref.of as Kind, ref as Key);
    const written = this.#written.get(id);
    if (cached === undefined || written === undefined) return cached;
    // Another object under the same name: which of the two is the present one is for the server to say.
    if (cached.metadata.uid !== written.metadata.uid) return undefined;
    return isOlder(cached.metadata.resourceVersion, written.metadata.resourceVersion) ? written : cached;
  }
}

interface Folded {
  /** The very object that went in when nothing is to be written. */
  readonly object: KubeObject;
  readonly entries: readonly Entry<unknown>[];
  readonly unsure: boolean;
}

/** One decision after the other, each on what those before it made of the object. Dry runs leave nothing behind. */
function fold(batch: readonly Waiting[], from: KubeObject): Folded {
  let object = from;
  let unsure = false;
  const entries = batch.map(({ decide, dryRun }) => {
    const entry = decide(object);
    if (entry.unsure) unsure = true;
    if (entry.status !== undefined && !dryRun) object = { ...object, status: entry.status } as KubeObject;
    return entry;
  });
  return { object, entries, unsure };
}

function writeStatus(batch: readonly Waiting[], ref: Ref, before: KubeObject, after: KubeObject): Promise<Written<KubeObject>> {
  const { write } = (batch.find(({ dryRun }) => !dryRun) as Waiting).context;
  const { uid, resourceVersion } = before.metadata;
  const status = statusPatch(fieldsOf(before)["status"], fieldsOf(after)["status"]) ?? {};
  return write.patch({ ...ref, uid }, "merge", mergeBody({ status }, uid, resourceVersion), { subresource: "status" });
}

/** With `failure` nothing was written: who wanted something written gets the failure, the others their answers. */
function answerAll(batch: readonly Waiting[], entries: readonly Entry<unknown>[], failure: Failure | undefined): void {
  for (const [index, { settle, dryRun }] of batch.entries()) {
    const { answer, status } = entries[index] as Entry<unknown>;
    settle(failure !== undefined && status !== undefined && !dryRun ? failure : { ok: true, object: answer });
  }
}

function settleAll(batch: readonly Waiting[], failure: Failure): void {
  for (const { settle } of batch) settle(failure);
}

function pause({ after, random }: LedgerContext, pauseMs: number): Promise<void> {
  return new Promise((resolve) => void after(pauseMs * (1 + random() * ledgerLimits.pauseJitter), resolve));
}
