/** What a controller is: what it looks at, and what should be done about it. It never writes. */
import type { Settings } from "../api/settings.ts";
import type { Reader } from "../kube/access.ts";
import type { Key, Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Metric } from "./metrics.ts";
import type { Parts } from "./parts.ts";
import type { Plan } from "./plan.ts";
import type { StageOf } from "./rollouts.ts";

export interface Context {
  readonly read: Reader;
  readonly settings: Settings;
  /** For choices that must differ between runs (names of new pods): draw here, in `observe`, so that `plan` stays pure. */
  random(): number;
  nowMs(): number;
  /** Runs a piece of a long `observe` when it is its turn, so that others get theirs in between. Absent where nobody waits. */
  turn?(piece: () => void): Promise<void>;
}

export interface Controller<O = unknown, S = unknown> {
  /** As in logs, metrics and user agents: "cloneset-controller". */
  readonly name: string;
  /** Who tells its Events, as `kubectl describe` shows; default: its name. */
  readonly component?: string;
  /** The kind whose keys are worked on. */
  readonly of: Kind;
  /** The flag that sets the number of workers ("cloneset-workers"), and its default. */
  readonly workers: { readonly flag?: string; readonly count: number };
  /** ms from one plan of a key to the next that other objects' news ask for; the first of them is heard at once. Default 0. */
  readonly calmMs?: number;
  /** Runs only when this holds (gates); its kinds must be served as well. */
  readonly enabled?: (settings: Settings) => boolean;
  /** Which objects wake which keys. `of` itself need not be listed: every change of it wakes its own key. */
  readonly watches: readonly Watch[];
  /**
   * Whether a change of an object of kind `of` concerns this controller; default: every one does. For controllers over pods, most of
   * which need nothing from them. Pure; also asked at start, with `before` absent.
   */
  readonly concerns?: (change: Seen, context: Context) => boolean;
  /** Further kinds that `observe` reads from the cache. */
  readonly reads?: readonly Kind[];
  /** How far an object has come with its revision: its rollouts are timed then. */
  readonly rollout?: StageOf;
  /** Gauges over its reasons. */
  readonly gauges?: readonly ReasonGauge[];
  /** A snapshot for `plan`, or undefined when there is nothing to do (the object is gone). No writes. */
  observe(context: Context, key: Key): O | undefined | Promise<O | undefined>;
  /** Pure: no I/O, no clock, no chance of its own. */
  plan(observed: O, nowMs: number): Plan<S>;
  /** The same for controllers whose plans may be long: in parts, between which the event loop gets its turn. Absent: `plan` is short. */
  planInParts?(observed: O, nowMs: number): Parts<Plan<S>>;
}

/** How many things each object of the controller's kind leaves alone for this reason: one series an object, and 0 once there was one. */
export interface ReasonGauge {
  readonly code: string;
  readonly metric: Metric;
  /** The label of the metric that takes the object: "name", or "namespace/name". */
  readonly label: string;
}

export interface Watch<T extends KubeObject = KubeObject> {
  readonly of: Kind<T>;
  /** The controller runs also while this kind is not served. Who declares it lists the kind in the `reads` of its feature as well. */
  readonly optional?: true;
  /** Pure but for the cache: which keys may see a different world after this change. `before` absent: created; `after` absent: gone. */
  readonly wakes: (change: Seen<T>, context: Context) => Iterable<Key>;
}

export interface Seen<T extends KubeObject = KubeObject> {
  readonly before?: Readonly<T>;
  readonly after?: Readonly<T>;
}

export function controller<O, S>(definition: Controller<O, S>): Controller {
  return definition as unknown as Controller;
}

export function watch<T extends KubeObject>(of: Kind<T>, wakes: Watch<T>["wakes"]): Watch {
  return { of, wakes } as unknown as Watch;
}
