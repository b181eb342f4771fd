/** What one plan looks at: the snapshot that observe.ts takes, and the pods as the rules see them. */
import { annotation } from "../../api/names.ts";
import type { Settings } from "../../api/settings.ts";
import type { SidecarSet } from "../../api/sidecarset.ts";
import { containerStatus, isActive, isRunningAndReady } from "../../kube/pod.ts";
import type { Labels } from "../../kube/selector.ts";
import type { ControllerRevision, Pod } from "../../kube/types.ts";
import { recordOf } from "./annotations.ts";
import { pendingContainer } from "./consistency.ts";
import { type Hashes, hashesOf } from "./hash.ts";
import type { Missed } from "./missed.ts";
import { matchesLabels, matchesNamespace, selectionOf } from "./select.ts";
import { type Sidecar, type Strategy, strategyOf } from "./strategy.ts";
import { isResting } from "./twins.ts";

export interface Observed {
  readonly set: Readonly<SidecarSet>;
  readonly settings: Settings;
  /** Every pod whose annotations name the set, in any state. */
  readonly pods: readonly Readonly<Pod>[];
  /** undefined: there is no such namespace. */
  namespaceLabels(namespace: string): Labels | undefined;
  /** Of the set or of nobody, in any order. */
  readonly revisions: readonly Readonly<ControllerRevision>[];
  /** The ControllerRevision of that name, whoever owns it. */
  occupant(name: string): Readonly<ControllerRevision> | undefined;
  /** Pods that should have been injected and were not. */
  readonly missed: Missed;
}

/** A pod that counts. */
export interface Member {
  readonly pod: Readonly<Pod>;
  /** "shop/web-1" */
  readonly name: string;
  /** Carries the latest version. */
  readonly updated: boolean;
  /** Differs from the latest version in nothing but images. */
  readonly upgradable: boolean;
  /** A container that does not run its image yet. */
  readonly pending: string | undefined;
  /** Running, ready, and every twin that should rest does. */
  readonly ready: boolean;
}

export interface World {
  readonly observed: Observed;
  readonly nowMs: number;
  readonly strategy: Strategy;
  readonly hashes: Hashes;
  /** By namespace and name. */
  readonly members: readonly Member[];
}

export function lookAt(observed: Observed, nowMs: number): World {
  const { set } = observed;
  const strategy = strategyOf(set.spec);
  const hashes = setHashes(set);
  const anywhere = selectionOf(set.spec).namespaces === undefined;
  const members: Member[] = [];
  for (const pod of observed.pods) {
    const member = candidateOf(pod, set, strategy, hashes);
    if (member === undefined) continue;
    if (anywhere || matchesNamespace(set, observed.namespaceLabels(pod.metadata.namespace ?? ""))) members.push(member);
  }
  members.sort(
    (a, b) => compare(a.pod.metadata.namespace ?? "", b.pod.metadata.namespace ?? "") || compare(a.pod.metadata.name, b.pod.metadata.name),
  );
  return { observed, nowMs, strategy, hashes, members };
}

/**
 * Finds out of pods what `lookAt` will need, so many at a time: thousands that are new, or new to a version, would take longer than others
 * may be kept waiting. A few are left to `lookAt`.
 */
export function* preparation(set: Readonly<SidecarSet>, pods: readonly Readonly<Pod>[]): Generator<() => void> {
  const strategy = strategyOf(set.spec);
  const hashes = setHashes(set);
  const known = knownMembers(set.metadata.name, strategy, hashes);
  const fresh = pods.filter((pod) => !known.has(pod));
  for (let start = 0; start + preparedAtOnce <= fresh.length; start += preparedAtOnce) {
    yield () => {
      for (const pod of fresh.slice(start, start + preparedAtOnce)) candidateOf(pod, set, strategy, hashes);
    };
  }
}
/** Takes a millisecond or two. */
const preparedAtOnce = 100;

interface Known {
  readonly set: string;
  readonly hashes: Hashes;
  /** null: whatever its namespace, it does not count. */
  readonly members: WeakMap<object, Member | null>;
}
const knownByStrategy = new WeakMap<Strategy, Known>();

/** What was found out of pods that have not changed since, for the same version of the set. */
function knownMembers(set: string, strategy: Strategy, hashes: Hashes): Known["members"] {
  const known = knownByStrategy.get(strategy);
  // Sets with equal specs may share one.
  if (known?.set === set && known.hashes.hash === hashes.hash && known.hashes.withoutImage === hashes.withoutImage) return known.members;
  const fresh: Known = { set, hashes, members: new WeakMap() };
  knownByStrategy.set(strategy, fresh);
  return fresh.members;
}

/** As admission wrote them; computed for a set that never passed it. */
export function setHashes(set: Readonly<SidecarSet>): Hashes {
  const hash = set.metadata.annotations?.[annotation.sidecarSetHash];
  const withoutImage = set.metadata.annotations?.[annotation.sidecarSetHashWithoutImage];
  return hash && withoutImage ? { hash, withoutImage } : hashesOf(set.spec);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** A pod that counts if its namespace is one of the set's. */
function candidateOf(pod: Readonly<Pod>, set: Readonly<SidecarSet>, strategy: Strategy, hashes: Hashes): Member | undefined {
  const { name } = set.metadata;
  const known = knownMembers(name, strategy, hashes);
  let member = known.get(pod);
  if (member === undefined) {
    member = isCandidate(pod, set, strategy) ? memberOf(pod, name, strategy, hashes) : null;
    known.set(pod, member);
  }
  return member ?? undefined;
}

/** Selected now, active, and with all the containers that the set has now. */
function isCandidate(pod: Readonly<Pod>, set: Readonly<SidecarSet>, { sidecars }: Strategy): boolean {
  return isActive(pod) && matchesLabels(set, pod.metadata.labels) && sidecars.every((sidecar) => carries(pod, sidecar));
}

function carries({ spec, metadata }: Readonly<Pod>, { name, idleImage, containerNames }: Sidecar): boolean {
  const has = (wanted: string): boolean =>
    spec.containers.some((container) => container.name === wanted) ||
    (spec.initContainers ?? []).some((container) => container.name === wanted);
  if (!containerNames.every(has)) return false;
  return idleImage === undefined || recordOf({ metadata, spec }).working.has(name);
}

function memberOf(pod: Readonly<Pod>, set: string, strategy: Strategy, { hash, withoutImage }: Hashes): Member {
  const record = recordOf(pod);
  return {
    pod,
    name: `${pod.metadata.namespace ?? ""}/${pod.metadata.name}`,
    updated: record.hashes?.get(set)?.hash === hash,
    upgradable: record.withoutImage?.get(set)?.hash === withoutImage,
    pending: pendingContainer(pod, set, strategy.containerNames),
    ready: isRunningAndReady(pod) && strategy.sidecars.every((sidecar) => sidecar.idleImage === undefined || isResting(pod, sidecar)),
  };
}

/** Serves, at whatever version. */
export function isAvailable({ pending, ready }: Member): boolean {
  return ready && pending === undefined;
}

/** A container of an earlier update that serves already with what is not its image: it has to arrive first. */
export function isUpdating({ pod, pending }: Member, set: string, { containerNames }: Strategy): boolean {
  if (pending === undefined) return false;
  return [...containerNames].some(
    (name) => containerStatus(pod, name)?.ready === true && pendingContainer(pod, set, new Set([name])) !== undefined,
  );
}
