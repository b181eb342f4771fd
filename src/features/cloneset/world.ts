/** What one plan looks at: the snapshot that observe.ts takes, and the pods as the rules see them. */
import type { CloneSet } from "../../api/cloneset.ts";
import { lifecycleState } from "../../api/names.ts";
import type { PodUnavailableBudget } from "../../api/podunavailablebudget.ts";
import type { Settings } from "../../api/settings.ts";
import type { Parts } from "../../engine/parts.ts";
import { compileSelector, type Matcher } from "../../kube/selector.ts";
import type { PersistentVolumeClaim, Pod } from "../../kube/types.ts";
import { matchesRevision, type RevisionChoice } from "../../workload/revision/index.ts";
import type { Limits, Tally } from "./calculate.ts";
import { factsOf, isAvailable, isReadyForDelete, type PodFacts } from "./facts.ts";
import { type Strategy, strategyOf } from "./strategy.ts";

export interface Observed {
  readonly cloneSet: Readonly<CloneSet>;
  readonly settings: Settings;
  /** Every pod that this CloneSet controls, finished and terminating ones too. */
  readonly pods: readonly Readonly<Pod>[];
  /** Claims that it owns, without those being deleted. */
  readonly claims: readonly Readonly<PersistentVolumeClaim>[];
  /** Names of claims without a pod in the cache, for which the server did not confirm that there is none. */
  readonly claimsInDoubt: ReadonlySet<string>;
  readonly revisions: RevisionChoice;
  /** In [0, 1): where the names of new pods come from. */
  readonly seed: number;
  /** The pod of that name in the namespace, whoever owns it. */
  podNamed(name: string): Readonly<Pod> | undefined;
  /** undefined when the node is not known or has no such label. */
  nodeLabel(node: string, key: string): string | undefined;
  /** The PodUnavailableBudget that guards the pod; absent where updates ask no budget. */
  budgetOf?(pod: Readonly<Pod>): Readonly<PodUnavailableBudget> | undefined;
}

/** An active pod that matches the selector: one that counts. */
export interface Member {
  readonly pod: Readonly<Pod>;
  readonly name: string;
  readonly facts: PodFacts;
  readonly available: boolean;
  /** Deleting it takes something from its users. */
  readonly readyForDelete: boolean;
  /** Runs the update revision. */
  readonly updated: boolean;
  readonly preparingDelete: boolean;
  /** To be deleted: by its label, or by its name in podsToDelete. */
  readonly specifiedDelete: boolean;
}

export interface World {
  readonly observed: Observed;
  readonly nowMs: number;
  readonly strategy: Strategy;
  readonly limits: Limits;
  readonly members: readonly Member[];
  /** Finished or terminating. */
  readonly inactive: readonly Readonly<Pod>[];
  /** Active, and no longer matching the selector. */
  readonly strangers: readonly Readonly<Pod>[];
  readonly deleting: boolean;
}

/** Pods that a plan looks at before others get their turn: the first look at each of them is the dear one. */
export const podsAtOnce = 100;

/** Whether a plan rests between its steps. */
export const isLong = ({ members }: Pick<World, "members">): boolean => members.length > podsAtOnce;

export function* lookAt(observed: Observed, nowMs: number): Parts<World> {
  const { cloneSet, settings, revisions } = observed;
  const strategy = strategyOf(cloneSet, settings);
  const matcher = matcherFor(cloneSet);
  const members: Member[] = [];
  const inactive: Readonly<Pod>[] = [];
  const strangers: Readonly<Pod>[] = [];
  for (const [index, pod] of observed.pods.entries()) {
    if (index % podsAtOnce === 0 && index > 0) yield;
    const facts = factsOf(pod);
    if (!facts.active) inactive.push(pod);
    else if (!matcher.matches(pod.metadata.labels)) strangers.push(pod);
    else members.push(memberOf(pod, facts, strategy, revisions.update.name, nowMs));
  }
  const mayMoveBack = revisions.current.name !== revisions.update.name && settings.gates.enabled("CloneSetPartitionRollback");
  return {
    observed,
    nowMs,
    strategy,
    limits: { ...strategy, mayMoveBack },
    members,
    inactive,
    strangers,
    deleting: cloneSet.metadata.deletionTimestamp !== undefined,
  };
}

function memberOf(pod: Readonly<Pod>, facts: PodFacts, strategy: Strategy, updateRevision: string, nowMs: number): Member {
  const { name } = pod.metadata;
  return {
    pod,
    name,
    facts,
    available: isAvailable(facts, strategy.minReadyMs, nowMs),
    readyForDelete: isReadyForDelete(facts),
    updated: matchesRevision(facts.revision, updateRevision),
    preparingDelete: facts.state === lifecycleState.preparingDelete,
    specifiedDelete: facts.marked || strategy.podsToDelete.has(name),
  };
}

const matchers = new WeakMap<object, Matcher>();

/** Compiled once per version of the CloneSet. A selector that cannot be compiled is refused at admission; it matches nothing. */
export function matcherFor({ spec }: Readonly<Pick<CloneSet, "spec">>): Matcher {
  const selector = spec.selector as object | undefined;
  const known = selector === undefined ? undefined : matchers.get(selector);
  if (known !== undefined) return known;
  const compiled = compileSelector(spec.selector);
  const matcher: Matcher = compiled.ok ? compiled.matcher : { requirements: undefined, matches: () => false };
  if (selector !== undefined) matchers.set(selector, matcher);
  return matcher;
}

/** Counts of both sides; `isUpdated` says which side a pod is on. */
export function tally(members: readonly Member[], isUpdated: (member: Member) => boolean): { old: Tally; updated: Tally } {
  const old = { total: 0, preparingDelete: 0, specifiedDelete: 0, unavailable: 0 };
  const updated = { total: 0, preparingDelete: 0, specifiedDelete: 0, unavailable: 0 };
  for (const member of members) {
    const side = isUpdated(member) ? updated : old;
    side.total += 1;
    if (member.preparingDelete) side.preparingDelete += 1;
    else if (member.specifiedDelete) side.specifiedDelete += 1;
    else if (!member.available) side.unavailable += 1;
  }
  return { old, updated };
}
