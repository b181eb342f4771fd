/**
 * What the engine needs from the rooms around it, as small as it can be: the watch cache, Events, the list of served kinds and the
 * record are plugged in by the process that starts it.
 */
import type { Cancel } from "../env/env.ts";
import type { Key, Kind, Ref } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Reason } from "./plan.ts";

/** One change of the cache: `before` absent: new; `after` absent: gone. */
export type CacheHandler = (before: Readonly<KubeObject> | undefined, after: Readonly<KubeObject> | undefined) => void;

export interface CachePort {
  /** Begins to watch a kind. Asking again does nothing. */
  ensure(kind: Kind): void;
  /** Resolves once the cache shows the kind as the server had it at some moment after `ensure`. */
  synced(kind: Kind): Promise<void>;
  /** Whether the kind is watched and in sync: then an object that is absent is gone. */
  holds(kind: Kind): boolean;
  /** `handler` runs after each change, in the same turn, and must be quick. Objects already there are not announced. */
  subscribe(kind: Kind, handler: CacheHandler): Cancel;
  /** What a write or a live read answered. Ignored when the cache has this object in a newer version. */
  put(kind: Kind, object: KubeObject): void;
  /** The object is known to be gone: with `uid` only that very one, and late watch events must not bring it back. */
  remove(kind: Kind, ref: Key & { readonly uid?: string }): void;
}

/** Sends Events, aggregated and rate-limited; fire and forget. */
export interface EventPort {
  emit(on: Ref, event: EmittedEvent): void;
}

export interface EmittedEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  /** At most 1024 bytes. */
  readonly message: string;
  /** The controller that speaks. */
  readonly component: string;
}

/** Which kinds the server serves now. */
export interface ServedPort {
  serves(kind: Kind): boolean;
  /** Runs when the answer of `serves` may have changed for any kind. */
  changed(handler: () => void): Cancel;
}

/** Where the story of rollouts goes. Nothing in it is a source of truth, and it never throws. */
export interface HistoryPort {
  moved(move: Moved): void;
  /** Which of the moves of `owner` that are still under way have arrived: asked once a plan, for open moves only. */
  landed(owner: Ref, hasLanded: (on: string, revision: string) => boolean, atMs: number): void;
  held(owner: Ref, holds: readonly Hold[], atMs: number): void;
}

export interface Moved {
  readonly owner: Ref;
  readonly on: string;
  readonly revision: string;
  readonly how: "create" | "inPlace" | "recreate" | "delete";
  readonly atMs: number;
}

/** Everything that one code holds at one moment. */
export interface Hold {
  readonly code: string;
  readonly count: number;
  /** The first few, in plan order. */
  readonly names: readonly string[];
  readonly figures?: Reason["figures"];
  readonly sinceMs: number;
}
