/**
 * Pod conditions of several controllers, in one write. Steps for one pod that come close together, or while another write to that pod is
 * on its way, travel in one patch of `status`, and with them the labels and annotations that say the same: the server takes those there too.
 */
import { assert, type Cancel, type Env } from "../env/env.ts";
import type { Writer } from "../kube/access.ts";
import { deepEqual, type Fields, fieldsOf, itemsOf } from "../kube/json.ts";
import type { Ref } from "../kube/kind.ts";
import { type Failure, failureText } from "../kube/outcome.ts";
import type { Condition, KubeObject } from "../kube/types.ts";
import { type Fresh, freshest, isAnother, liveRead, type Objects, objectId } from "./freshest.ts";
import type { ObjectLocks } from "./locks.ts";
import type { ConditionStep, WriteStep } from "./plan.ts";
import { mergeBody } from "./send.ts";
import type { Slots } from "./slots.ts";
import { conflictPause, type Stepped } from "./stepped.ts";

export interface ConditionDeps extends Objects {
  readonly env: Env;
  readonly write: Writer;
  readonly locks: ObjectLocks;
  readonly slots: Slots;
}

interface Wish {
  readonly step: ConditionStep;
  /** What travels along. */
  readonly riders: readonly WriteStep[];
  readonly settle: (result: Stepped) => void;
}

interface Gathering {
  readonly ref: Ref;
  readonly wishes: Wish[];
  /** When it leaves at the latest, on the monotonic clock. */
  leavesAtMs: number;
  timer: Cancel | undefined;
}

export class Conditions {
  readonly #deps: ConditionDeps;
  readonly #gatherings = new Map<string, Gathering>();

  constructor(deps: ConditionDeps) {
    this.#deps = deps;
  }

  /** Pods whose conditions wait for company or for their turn. */
  get waiting(): number {
    return this.#gatherings.size;
  }

  /**
   * Settles when the patch that carried the step and its riders did; "notFound" when the object is gone, "conflict" when it is not at the
   * version that the step holds of.
   */
  set(ref: Ref, step: ConditionStep, riders: readonly WriteStep[] = []): Promise<Stepped> {
    return new Promise((settle) => {
      const id = objectId(ref.of, ref);
      const leavesAtMs = this.#deps.env.monotonicMs() + (step.gatherMs ?? 0);
      const gathering = this.#gatherings.get(id);
      if (gathering === undefined) {
        const fresh: Gathering = { ref, wishes: [{ step, riders, settle }], leavesAtMs, timer: undefined };
        this.#gatherings.set(id, fresh);
        this.#arm(id, fresh);
        return;
      }
      gathering.wishes.push({ step, riders, settle });
      if (gathering.timer === undefined || leavesAtMs >= gathering.leavesAtMs) return;
      gathering.timer();
      gathering.leavesAtMs = leavesAtMs;
      this.#arm(id, gathering);
    });
  }

  /** Everything that waits for company leaves now. */
  flush(): void {
    for (const [id, gathering] of this.#gatherings) {
      if (gathering.timer === undefined) continue;
      gathering.timer();
      this.#leave(id, gathering);
    }
  }

  #arm(id: string, gathering: Gathering): void {
    const waitMs = gathering.leavesAtMs - this.#deps.env.monotonicMs();
    if (waitMs <= 0) this.#leave(id, gathering);
    else gathering.timer = this.#deps.env.after(waitMs, () => this.#leave(id, gathering));
  }

  #leave(id: string, gathering: Gathering): void {
    gathering.timer = undefined;
    void this.#deps.locks
      .run(id, () =>
        this.#deps.slots.run("conditions", () => {
          // Only now nobody can join any more: who came while this waited for its turn travels along.
          this.#gatherings.delete(id);
          return this.#write(gathering.ref, gathering.wishes);
        }),
      )
      .catch((error: unknown) => {
        this.#gatherings.delete(id);
        this.#deps.env.log.error({ pod: gathering.ref.name, err: error }, "setting conditions threw");
        const message = error instanceof Error ? error.message : String(error);
        settleAll(gathering.wishes, { ok: false, why: "denied", code: 0, reason: "InternalError", message });
      });
  }

  async #write(ref: Ref, wishes: readonly Wish[]): Promise<void> {
    let open = wishes;
    let fresh: Fresh = await freshest(this.#deps, ref, undefined);
    for (let tries = 1; ; tries += 1) {
      if (!fresh.ok) return settleAll(open, fresh);
      const object = fresh.object;
      open = stillOpen(open, object);
      const body = merge(open, object);
      if (body === undefined) return settleAll(open, { ok: true, object, wrote: false });
      const answer = await this.#deps.write.patch(
        { of: ref.of, namespace: ref.namespace, name: ref.name, uid: object.metadata.uid },
        "strategic",
        mergeBody(body, object.metadata.uid, open.find(({ step }) => step.ofVersion !== undefined)?.step.ofVersion),
        { subresource: "status" },
      );
      if (answer.ok) {
        this.#deps.cache.put(ref.of, answer.object);
        return settleAll(open, { ok: true, object: answer.object, wrote: true });
      }
      const pauseMs = conflictPause(this.#deps.env, tries);
      if (answer.why !== "conflict" || pauseMs === undefined) return settleAll(open, this.#explained(ref, answer));
      await pause(this.#deps.env, pauseMs);
      fresh = await liveRead(this.#deps, ref);
    }
  }

  #explained(ref: Ref, failure: Failure): Failure {
    if (failure.why === "notFound") this.#deps.cache.remove(ref.of, ref);
    else this.#deps.env.log.debug({ pod: ref.name, why: failure.why }, failureText(failure));
    return failure;
  }
}

/** Those that hold of this version; who came with another one hears of it. */
function stillOpen(wishes: readonly Wish[], { metadata }: Readonly<KubeObject>): readonly Wish[] {
  return wishes.filter(({ step: { ofVersion }, settle }) => {
    const holds = ofVersion === undefined || ofVersion === metadata.resourceVersion;
    if (!holds) settle(isAnother(metadata.name, ofVersion));
    return holds;
  });
}

/**
 * The strategic merge patch that changes `object`; undefined when nothing has to change. Each wish sees what those before it made of it, so
 * that none undoes another.
 */
function merge(wishes: readonly Wish[], object: Readonly<KubeObject>): object | undefined {
  const current = new Map<string, unknown>();
  for (const condition of itemsOf(fieldsOf(fieldsOf(object)["status"])["conditions"]))
    current.set(String(fieldsOf(condition)["type"]), condition);
  const wanted = new Map<string, Condition>();
  let metadata: MetadataPatch = {};
  let seen = object;
  for (const wish of wishes) {
    const changed = (wish.step.conditions(seen) ?? []).filter((condition) => !deepEqual(condition, current.get(condition.type)));
    for (const condition of changed) {
      wanted.set(condition.type, condition);
      current.set(condition.type, condition);
    }
    if (changed.length > 0) seen = withConditions(seen, [...current.values()]);
    for (const rider of wish.riders) {
      const patch = metadataOf(rider, seen);
      if (patch === undefined) continue;
      metadata = { labels: { ...metadata.labels, ...patch.labels }, annotations: { ...metadata.annotations, ...patch.annotations } };
      seen = withMetadata(seen, patch);
    }
  }
  if (seen === object) return undefined;
  const status = wanted.size > 0 ? { status: { conditions: [...wanted.values()] } } : {};
  return { ...status, metadata };
}

/** `null` takes one away. */
interface MetadataPatch {
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly annotations?: Readonly<Record<string, string | null>>;
}

function metadataOf(rider: WriteStep, object: Readonly<KubeObject>): MetadataPatch | undefined {
  const wanted = rider.write(object);
  if (wanted === undefined) return undefined;
  assert(typeof wanted === "object" && "patch" in wanted && wanted.patch !== "json", `step ${rider.name} rides, so it is a merge patch`);
  const { metadata, ...rest } = wanted.body as Fields;
  const { labels, annotations, ...others } = fieldsOf(metadata);
  assert(Object.keys(rest).length + Object.keys(others).length === 0, `step ${rider.name} rides, so it says labels and annotations only`);
  return { labels, annotations } as MetadataPatch;
}

function withConditions(object: Readonly<KubeObject>, conditions: readonly unknown[]): Readonly<KubeObject> {
  return { ...object, status: { ...fieldsOf(fieldsOf(object)["status"]), conditions } } as KubeObject;
}

function withMetadata(object: Readonly<KubeObject>, { labels, annotations }: MetadataPatch): Readonly<KubeObject> {
  const { metadata } = object;
  return {
    ...object,
    metadata: { ...metadata, labels: merged(metadata.labels, labels), annotations: merged(metadata.annotations, annotations) },
  };
}

function merged(before: Readonly<Record<string, string>> | undefined, patch: MetadataPatch["labels"]): Record<string, string> {
  const entries = Object.entries({ ...before, ...patch }).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(entries);
}

function settleAll(wishes: readonly Wish[], result: Stepped): void {
  for (const wish of wishes) wish.settle(result);
}

function pause(env: Env, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    env.after(delayMs, resolve);
  });
}
