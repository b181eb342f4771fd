/**
 * Live reads that plans made shortly after one another share: of kinds nobody watches, because that would cost more than it saves, or
 * because nobody may see all of them.
 */
import type { Context } from "../engine/controller.ts";
import { type Key, type Kind, keyText, resourceName } from "../kube/kind.ts";
import type { Written } from "../kube/outcome.ts";
import { Recent } from "../kube/recent.ts";
import type { KubeObject } from "../kube/types.ts";

const answersMax = 1000; // answers kept for one reader

interface Answer {
  readonly atMs: number;
  readonly read: Promise<Written<unknown>>;
}

export class LiveMemo {
  readonly #ageMsMax: number;
  readonly #byReader = new WeakMap<object, Recent<string, Answer>>();

  /** @param ageMsMax how old an answer may be. Failures other than "not found" are never kept. */
  constructor(ageMsMax: number) {
    this.#ageMsMax = ageMsMax;
  }

  get<T extends KubeObject>(context: Context, kind: Kind<T>, key: Key): Promise<Written<T>> {
    return this.#ask(context, `${resourceName(kind)} ${keyText(key)}`, () => context.read.live.get(kind, key), false);
  }

  /** All of a namespace. @param fresh asks again whatever is known */
  list<T extends KubeObject>(context: Context, kind: Kind<T>, namespace: string, fresh = false): Promise<Written<readonly T[]>> {
    return this.#ask(context, `${resourceName(kind)} ${namespace}/`, () => context.read.live.list(kind, { namespace }), fresh);
  }

  #ask<A>(context: Context, id: string, read: () => Promise<Written<A>>, fresh: boolean): Promise<Written<A>> {
    let answers = this.#byReader.get(context.read);
    if (answers === undefined) {
      answers = new Recent(answersMax);
      this.#byReader.set(context.read, answers);
    }
    const nowMs = context.nowMs();
    const known = answers.get(id);
    if (!fresh && known !== undefined && Math.abs(nowMs - known.atMs) < this.#ageMsMax) return known.read as Promise<Written<A>>;
    const asked = { atMs: nowMs, read: read() };
    answers.set(id, asked);
    const kept = answers;
    void asked.read.then((answer) => {
      if (!answer.ok && answer.why !== "notFound" && kept.get(id) === asked) kept.delete(id);
    });
    return asked.read;
  }
}
