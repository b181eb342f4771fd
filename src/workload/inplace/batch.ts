/** Which containers change together: by launch priority, and by the metadata they share. */
import { compareUtf8 } from "../../kube/json.ts";
import type { Container } from "../../kube/types.ts";
import { launchPriorityOf } from "../container-env.ts";
import type { ContainerChanges, RefMetadata } from "./spec.ts";

/**
 * Names of the containers that change now, sorted: those without a priority, those with the highest one, and whoever reads a label or
 * annotation that one of them reads, since a value can change only once for all its readers.
 */
export function nextBatch(containers: readonly Readonly<Container>[], changes: ContainerChanges): readonly string[] {
  const { images, refMetadata, resources } = changes;
  const candidates = containers.filter(({ name }) => images.has(name) || refMetadata.has(name) || resources.has(name));
  const priorities = new Map(candidates.map((container) => [container.name, priorityOf(container)]));
  const highest = Math.max(...[...priorities.values()].filter((priority) => priority !== undefined));
  const batch = new Set<string>();
  for (const [name, priority] of priorities) if (priority === undefined || priority === highest) batch.add(name);
  joinReaders(batch, candidates, refMetadata);
  return [...batch].sort(compareUtf8);
}

/** A barrier without a readable number is one of priority 0. */
function priorityOf(container: Readonly<Container>): number | undefined {
  const priority = launchPriorityOf(container);
  return priority === "unreadable" ? 0 : priority;
}

function joinReaders(batch: Set<string>, candidates: readonly Readonly<Container>[], refMetadata: ContainerChanges["refMetadata"]): void {
  const changed = new Set<string>();
  const waiting = new Set(candidates.map(({ name }) => name).filter((name) => refMetadata.has(name)));
  // Each round takes at least one container out of `waiting`, or is the last.
  for (let grew = true; grew; ) {
    grew = false;
    for (const name of waiting) {
      const keys = keysOf(refMetadata.get(name));
      if (!batch.has(name) && !keys.some((key) => changed.has(key))) continue;
      batch.add(name);
      waiting.delete(name);
      for (const key of keys) changed.add(key);
      grew = true;
    }
  }
}

function keysOf(metadata: RefMetadata | undefined): readonly string[] {
  if (metadata === undefined) return [];
  return [
    ...[...metadata.labels.keys()].map((key) => `labels/${key}`),
    ...[...metadata.annotations.keys()].map((key) => `annotations/${key}`),
  ];
}
