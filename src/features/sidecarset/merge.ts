/** Putting what is injected into the pod. What the pod has already stays the same object. */
import { deepEqual, itemsOf } from "../../kube/json.ts";
import type { Container, PodSpec, Volume } from "../../kube/types.ts";

export interface Queued {
  readonly container: Container;
  readonly before: boolean;
}

/** A container of the pod with the same name is replaced where it stands; all others come before or after the pod's own, in queue order. */
export function mergeContainers(own: readonly Container[], queue: readonly Queued[]): readonly Container[] {
  if (queue.length === 0) return own;
  const places = new Map(own.map(({ name }, index) => [name, index]));
  const merged = [...own];
  const before: Container[] = [];
  const after: Container[] = [];
  for (const { container, before: first } of queue) {
    const place = places.get(container.name);
    if (place === undefined) (first ? before : after).push(container);
    else if (!deepEqual(merged[place], container)) merged[place] = container;
  }
  return [...before, ...merged, ...after];
}

/** By name; those that were queued first come first. */
export function sortedByName(queue: readonly Queued[]): readonly Queued[] {
  return [...queue].sort((a, b) => (a.container.name < b.container.name ? -1 : a.container.name > b.container.name ? 1 : 0));
}

/** The pod's volume wins where the names are the same. */
export function mergeVolumes(own: readonly Volume[] | undefined, queue: readonly Volume[]): readonly Volume[] | undefined {
  if (queue.length === 0) return own;
  const names = new Set((own ?? []).map(({ name }) => name));
  const added: Volume[] = [];
  for (const volume of queue) {
    if (names.has(volume.name)) continue;
    names.add(volume.name);
    added.push(volume);
  }
  return added.length === 0 ? own : [...(own ?? []), ...added];
}

type PullSecrets = PodSpec["imagePullSecrets"];

/** Each name once, the pod's own first. */
export function mergePullSecrets(own: PullSecrets, queue: readonly { name?: string }[]): PullSecrets {
  if (queue.length === 0) return own;
  const names = new Set<string>();
  const merged = [...itemsOf(own), ...queue].filter((secret) => {
    const { name = "" } = secret as { name?: string };
    if (names.has(name)) return false;
    names.add(name);
    return true;
  }) as { name?: string }[];
  return deepEqual(merged, own ?? []) ? own : merged;
}
