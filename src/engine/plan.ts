/**
 * A plan is data: what should be done, what the status should say, and why everything else is left alone. Controllers return it,
 * executors carry it out; nothing in a plan does anything by itself.
 */
import type { Draft, PatchType, Subresource } from "../kube/access.ts";
import type { Kind, Ref } from "../kube/kind.ts";
import type { Failure } from "../kube/outcome.ts";
import type { Condition, KubeObject } from "../kube/types.ts";

export interface Plan<S = unknown> {
  /** Different objects in parallel (bounded, slow start for creates); `after` and the steps of one object in order. */
  readonly actions: readonly Action[];
  /**
   * The whole status as it should be. Called at once (the status is not held up by the writes) with what failed in the last round, or
   * with no outcomes where nothing did; and again with the outcomes of this plan when something failed or had failed, so that conditions
   * can say so and do not flicker while it is tried again. Absent: leave the status alone.
   */
  readonly status?: (outcomes: readonly Outcome[]) => S;
  /** For each thing left alone: why. */
  readonly reasons?: readonly Reason[];
  /** Events on the object itself that belong to no single action. */
  readonly events?: readonly EventDraft[];
  /** Plan again after this time even if nothing happens. */
  readonly requeueAfterMs?: number;
  /**
   * Pure. Whether the move of `on` to `revision` has arrived (updated and available). Asked only for moves that the history still has
   * open, so it may look into what was observed. Absent: the history does not say how long moves take.
   */
  readonly landed?: (on: string, revision: string) => boolean;
  /** Something is wrong that no event will heal: plan again with the key's exponential back-off, and log this line. */
  readonly retry?: string;
}

export interface Reason {
  /** What is held: a pod's name, or "" for the object as a whole. */
  readonly on: string;
  /** CamelCase and documented: "HeldByPartition". */
  readonly code: string;
  /** The figures behind it: { kept: 3 }. */
  readonly figures?: Readonly<Record<string, string | number>>;
}

export interface EventDraft {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  /** Default: the object the plan is for. */
  readonly on?: Ref;
}

/** What to say of an action's outcome. Equal reasons of one plan become one Event that names all its subjects. */
export interface Telling {
  /** E.g. { reason: "SuccessfulCreate", text: "created pod" } → "created pod web-1, web-2"; `counted`: "created pod (2) web-1, web-2". */
  readonly done?: { readonly reason: string; readonly text: string; readonly counted?: true };
  /** → "failed to create pod web-1: exceeded quota". `type` is Warning unless said otherwise. */
  readonly failed?: { readonly reason: string; readonly text: string; readonly type?: "Normal" | "Warning" };
  /** One Event on each of the objects, instead of one on the object that the plan is for. */
  readonly onSubject?: true;
}

interface ActionBase {
  /** Unique within its plan. */
  readonly id: string;
  /** Ids of actions that must be done first; if one fails, this one is skipped. */
  readonly after?: readonly string[];
  readonly tell?: Telling;
  /** Shown in the history of a rollout. */
  readonly move?: { readonly revision: string; readonly how: "create" | "inPlace" | "recreate" | "delete" };
}

export interface Create<T extends KubeObject = KubeObject> extends ActionBase {
  readonly do: "create";
  readonly of: Kind<T>;
  /** Named (no generateName): after an unclear answer the name is how we find out whether it happened. */
  readonly object: Draft<T>;
  /** An object of that name that is already there counts as done. */
  readonly existsIsFine?: boolean;
}

export interface Delete<T extends KubeObject = KubeObject> extends ActionBase {
  readonly do: "delete";
  /** Carries the uid: never the successor of the object that was looked at. Gone already counts as done. */
  readonly on: Ref<T>;
  readonly resourceVersion?: string;
  readonly gracePeriodSeconds?: number;
}

/** Asks for a pod to go, which budgets may refuse: that is a failure, and tried again. Gone already counts as done. */
export interface Evict extends ActionBase {
  readonly do: "evict";
  /** Carries the uid. */
  readonly on: Ref;
}

export interface Change<T extends KubeObject = KubeObject> extends ActionBase {
  readonly do: "change";
  readonly on: Ref<T>;
  /** In order; each sees what the one before it made of the object. The first failure ends the action. */
  readonly steps: readonly Step<T>[];
  /** The object being gone counts as done (default), or as a failure. */
  readonly goneIsFine?: boolean;
  /**
   * Only if the object still is exactly this version (the decision was made from it): the first write carries it, and those that follow go on
   * from there. Otherwise nothing is done, and the outcome is a conflict: no news, the next plan decides anew.
   */
  readonly ofVersion?: string;
}

/** One write to one object, computed from its freshest known version, so that it can be computed again after a conflict. */
export type Step<T extends KubeObject = KubeObject> = WriteStep<T> | ConditionStep<T>;

export interface WriteStep<T extends KubeObject = KubeObject> {
  /** A word for logs, traces and tests: "image", "lifecycle". */
  readonly name: string;
  readonly subresource?: Subresource;
  /** Pure. Undefined: nothing to write any more. A string: refuse, with this message. */
  readonly write: (fresh: Readonly<T>) => Write<T> | string | undefined;
  /**
   * "version": the write only happens to exactly the version it was computed from; "uid": to this very object at whatever version.
   * A conflict is met by reading live and computing again (4 tries), or by giving up.
   */
  readonly precondition: "version" | "uid";
  readonly onConflict: "retry" | "giveUp";
  /**
   * It patches only labels and annotations of a pod, which the server takes with conditions as well: right after a condition step both are
   * computed from the same version and travel in one write, or not at all.
   */
  readonly rides?: true;
}

/** Pod conditions. Those of several controllers for one pod that come close together travel in one write, and labels that `ride` with them. */
export interface ConditionStep<T extends KubeObject = KubeObject> {
  readonly name: string;
  /** Pure. The conditions to set, as they should be; undefined or empty: nothing to write any more. */
  readonly conditions: (fresh: Readonly<T>) => readonly Condition[] | undefined;
  /** Only to exactly this version (the conclusion was drawn from it); otherwise a conflict ends the action, the next plan decides anew. */
  readonly ofVersion?: string;
  /** How long this may wait for company; 0 = write at once. */
  readonly gatherMs?: number;
}

export type Write<T extends KubeObject = KubeObject> = { readonly patch: PatchType; readonly body: object } | { readonly put: T };

export type Action = Create | Delete | Evict | Change;

export type Outcome =
  /** `unchanged`: it was so already, nothing was written, and nobody is told. */
  | { readonly action: Action; readonly result: "done"; readonly object?: KubeObject; readonly unchanged?: true }
  /** A dependency failed, or a batch before it did. */
  | { readonly action: Action; readonly result: "skipped" }
  | { readonly action: Action; readonly result: "failed"; readonly failure: Failure };

/** Keeps the type of the object in the steps while the plan holds actions of many kinds. */
export function change<T extends KubeObject>(action: Omit<Change<T>, "do">): Action {
  return { do: "change", ...action } as unknown as Change;
}
export function create<T extends KubeObject>(action: Omit<Create<T>, "do">): Action {
  return { do: "create", ...action } as unknown as Create;
}
export function evict(action: Omit<Evict, "do">): Action {
  return { do: "evict", ...action };
}
export function remove<T extends KubeObject>(action: Omit<Delete<T>, "do">): Action {
  return { do: "delete", ...action } as unknown as Delete;
}
