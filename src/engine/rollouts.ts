/**
 * How long rollouts take, and how they end: read off the objects as they change, for metrics only. A rollout begins when the revision that
 * an object is to have changes, and ends when every pod is there, or when yet another revision takes its place.
 */
import type { Cancel, Env } from "../env/env.ts";
import { type Kind, keyOf } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Metrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import type { CachePort } from "./ports.ts";

/** How far an object has come with a revision, as its status tells. */
export interface RolloutStage {
  readonly revision: string;
  /** On its way, held where its spec wants it held (paused, partition), all there, or beyond its deadline. */
  readonly at: "moving" | "resting" | "there" | "overdue";
}

interface Following {
  readonly uid: string;
  revision: string;
  /** Undefined: no rollout is under way, or nobody saw it begin. */
  startedMs: number | undefined;
  isOver: boolean;
  isOverdue: boolean;
  restingSinceMs: number | undefined;
  restedMs: number;
}

export class RolloutMeter {
  readonly #env: Env;
  readonly #metrics: Metrics;
  readonly #followed = new Map<string, Following>();

  constructor(env: Env, metrics: Metrics) {
    this.#env = env;
    this.#metrics = metrics;
  }

  /** @param known what is there already: its rollouts have begun unseen */
  follow(of: Kind, cache: CachePort, known: readonly Readonly<KubeObject>[], stageOf: StageOf): Cancel {
    for (const object of known) this.#see(of, object, stageOf);
    return cache.subscribe(of, (before, after) => {
      if (after !== undefined) this.#see(of, after, stageOf);
      else if (before !== undefined) this.#followed.delete(idOf(of, before));
    });
  }

  #see(of: Kind, object: Readonly<KubeObject>, stageOf: StageOf): void {
    const stage = stageOf(object);
    if (stage === undefined) return;
    const nowMs = this.#env.monotonicMs();
    const id = idOf(of, object);
    const uid = object.metadata.uid ?? "";
    let known = this.#followed.get(id);
    if (known?.uid !== uid) {
      // Its first pods are no rollout; and of one under way only the end is seen.
      known = { uid, ...fresh(stage.revision), isOver: stage.at === "there" };
      this.#followed.set(id, known);
    } else if (known.revision !== stage.revision) {
      if (!known.isOver) this.#end(known, "superseded", nowMs);
      Object.assign(known, fresh(stage.revision), { startedMs: nowMs });
    }
    if (known.isOver) return;
    if (stage.at === "resting") known.restingSinceMs ??= nowMs;
    else this.#goOn(known, nowMs);
    if (stage.at === "there") this.#end(known, "completed", nowMs);
    else if (stage.at === "overdue" && !known.isOverdue) {
      known.isOverdue = true;
      this.#metrics.add(names.rolloutOutcomeTotal, { result: "failed" });
    }
  }

  #goOn(known: Following, nowMs: number): void {
    if (known.restingSinceMs !== undefined) known.restedMs += nowMs - known.restingSinceMs;
    known.restingSinceMs = undefined;
  }

  #end(known: Following, result: "completed" | "superseded", nowMs: number): void {
    this.#goOn(known, nowMs);
    known.isOver = true;
    this.#metrics.add(names.rolloutOutcomeTotal, { result });
    if (known.startedMs === undefined) return;
    const seconds = (nowMs - known.startedMs - known.restedMs) / 1000;
    this.#metrics.observe(names.rolloutSeconds, { result, phase: "progressing" }, seconds);
    if (known.restedMs > 0) this.#metrics.observe(names.rolloutSeconds, { result, phase: "paused" }, known.restedMs / 1000);
  }
}

/** Pure; undefined: the status does not tell of the present spec yet. */
export type StageOf = (object: Readonly<KubeObject>) => RolloutStage | undefined;

function fresh(revision: string): Omit<Following, "uid"> {
  return { revision, startedMs: undefined, isOver: false, isOverdue: false, restingSinceMs: undefined, restedMs: 0 };
}

function idOf(of: Kind, object: Readonly<KubeObject>): string {
  const { namespace, name } = keyOf(object);
  return `${of.kind} ${namespace}/${name}`;
}
