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
  const merged = [...own];
  const before: Container[] = [];
  const after: Container[] = [];
  for (const { container, before: first } of queue) {
    const place = lastNamed(own, container.name);
    if (place < 0) (first ? before : after).push(container);
    else if (!deepEqual(merged[place], container)) merged[place] = container;
  }
  return [...before, ...merged, ...after];
}

/** The index of the last one with this name, or -1. Lists of a pod are short: looking through them is cheaper than a map of their names. */
function lastNamed(list: readonly { readonly name: string }[], name: string): number {
  for (let index = list.length - 1; index >= 0; index -= 1) if (list[index]?.name === name) return index;
  return -1;
}

/** By name; those that were queued first come first. */
export function sortedByName(queue: readonly Queued[]): readonly Queued[] {
  return [...queue].sort((a, b) => (a.container.name < b.container.name ? -1 : a.container.name > b.container.name ? 1 : 0));
}

/** The pod's volume wins where the names are the same. */
export function mergeVolumes(own: readonly Volume[] | undefined, queue: readonly Volume[]): readonly Volume[] | undefined {
  const merged = [...(own ?? [])];
  for (const volume of queue) if (lastNamed(merged, volume.name) < 0) merged.push(volume);
  return merged.length === (own ?? []).length ? own : merged;
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
