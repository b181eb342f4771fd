/** What two SidecarSets that may meet in one pod cannot both bring along. */
import type { SidecarSet } from "../../api/sidecarset.ts";
import { deepEqual, fieldsOf, getOwn, itemsOf, textOf } from "../../kube/json.ts";
import { selectorsOverlap } from "../../kube/selector-overlap.ts";
import type { FieldErrors } from "../../kube/validate/field-error.ts";
import { baseOf } from "./select.ts";

export function checkClashes(errors: FieldErrors, set: Readonly<SidecarSet>, others: readonly Readonly<SidecarSet>[]): void {
  const { name } = set.metadata;
  for (const other of others) {
    // A canary brings what its base brings; they never meet in one pod.
    if (other.metadata.name === name || other.metadata.name === baseOf(set) || baseOf(other) === name) continue;
    if (other.spec === undefined || !mayMeet(set, other)) continue;
    checkContainers(errors, set, other);
    checkVolumes(errors, set, other);
    checkAnnotations(errors, set, other);
  }
}

function mayMeet({ spec: a }: Readonly<SidecarSet>, { spec: b }: Readonly<SidecarSet>): boolean {
  if (a.namespaceSelector && b.namespaceSelector && !selectorsOverlap(a.namespaceSelector, b.namespaceSelector)) return false;
  return selectorsOverlap(a.selector, b.selector);
}

const namesOf = (list: unknown): readonly string[] => itemsOf(list).map((item) => textOf(fieldsOf(item)["name"]));

function checkContainers(errors: FieldErrors, { spec }: Readonly<SidecarSet>, other: Readonly<SidecarSet>): void {
  for (const field of ["initContainers", "containers"] as const) {
    const taken = new Set(namesOf(other.spec[field]));
    for (const name of namesOf(spec[field])) {
      if (taken.has(name))
        errors.invalid(
          "spec.containers",
          name,
          `container ${name} is in SidecarSet ${other.metadata.name} as well, which selects some of the same pods: rename it`,
        );
    }
  }
}

function checkVolumes(errors: FieldErrors, { spec }: Readonly<SidecarSet>, other: Readonly<SidecarSet>): void {
  const taken = new Map(itemsOf(other.spec.volumes).map((volume) => [textOf(fieldsOf(volume)["name"]), volume]));
  for (const volume of itemsOf(spec.volumes)) {
    const name = textOf(fieldsOf(volume)["name"]);
    const there = taken.get(name);
    if (there !== undefined && !deepEqual(there, volume)) {
      errors.invalid(
        "spec.volumes",
        name,
        `volume ${name} is another one in SidecarSet ${other.metadata.name}, which selects some of the same pods: rename it`,
      );
    }
  }
}

/** Annotation → whether it is overwritten; those that only stay what they are clash with nothing. */
function patched({ spec }: Readonly<SidecarSet>): ReadonlyMap<string, boolean> {
  const keys = new Map<string, boolean>();
  for (const patch of itemsOf(spec.patchPodMetadata).map(fieldsOf)) {
    const policy = textOf(patch["patchPolicy"]);
    if (policy === "Retain" || policy === "") continue;
    const annotations = fieldsOf(patch["annotations"]);
    for (const key of Object.keys(annotations))
      if (getOwn(annotations, key) !== undefined) keys.set(key, (keys.get(key) ?? false) || policy === "Overwrite");
  }
  return keys;
}

function checkAnnotations(errors: FieldErrors, set: Readonly<SidecarSet>, other: Readonly<SidecarSet>): void {
  const theirs = patched(other);
  for (const [key, overwrites] of patched(set)) {
    const there = theirs.get(key);
    if (there !== undefined && (overwrites || there)) {
      errors.invalid(
        "spec.patchPodMetadata",
        key,
        `annotation ${key} is patched by SidecarSet ${other.metadata.name} as well, which selects some of the same pods, and one of the two overwrites it`,
      );
    }
  }
}
