/** Who went into a pod, at which version: what injection writes into the pod's annotations, and the controller works from. */
import { annotation, sidecarVersionAltAnnotation, sidecarVersionAnnotation } from "../../api/names.ts";
import { keepText } from "../../kube/kept-text.ts";
import { memo } from "../../kube/memo.ts";
import { formatTime } from "../../kube/time.ts";
import { type HashEntry, injectedNames, mergedHashes, readWorking, workingText } from "./annotations.ts";
import type { Bundle } from "./bundle.ts";
import { type Content, twinNames } from "./content.ts";
import type { Annotations } from "./patch-metadata.ts";

export type Recorded = { readonly annotations: Annotations } | { readonly problem: string };

/** What a pod without annotations has. */
export const noAnnotations: Annotations = Object.freeze({});

/** The annotations with the record of the bundle. Pods into which nothing went before get the same texts for a second. */
export function recordIn(annotations: Annotations, bundle: Bundle, nowMs: number): Recorded {
  const fresh = firstRecord(bundle)(Math.floor(nowMs / 1000));
  if (annotations === noAnnotations) return { annotations: fresh };
  for (const key of Object.keys(fresh)) if (Object.hasOwn(annotations, key)) return record(annotations, bundle.contents, formatTime(nowMs));
  return { annotations: { ...annotations, ...fresh } };
}

/** The record in a pod without annotations, made once for each second. */
const firstRecord = memo(({ contents }: Bundle) => {
  let last: { readonly second: number; readonly annotations: Annotations } | undefined;
  return (second: number): Annotations => {
    if (last?.second === second) return last.annotations;
    const made = record(noAnnotations, contents, formatTime(second * 1000));
    // Only what stands there already can be in the way.
    if ("problem" in made) throw new Error(made.problem);
    last = { second, annotations: keepText(made.annotations) };
    return last.annotations;
  };
});

export function record(annotations: Annotations, contents: readonly Content[], now: string): Recorded {
  const changed: Record<string, string> = { ...annotations };
  for (const [key, withRevision] of [
    [annotation.sidecarSetHash, true],
    [annotation.sidecarSetHashWithoutImage, false],
  ] as const) {
    const text = mergedHashes(
      annotations[key],
      contents.map((content) => entryFor(content, withRevision, now)),
    );
    if (text === undefined)
      return { problem: `the pod's annotation ${key} is not what was once written there: remove it from the pod or its template` };
    changed[key] = text;
  }
  changed[annotation.sidecarSetInjectedList] = [...new Set([...injectedNames(annotations), ...contents.map(({ set }) => set)])]
    .sort()
    .join(",");
  recordTwins(changed, contents);
  return { annotations: changed };
}

function entryFor({ set, hash, withoutImage, revision, parts }: Content, withRevision: boolean, now: string): HashEntry {
  return {
    updateTimestamp: now,
    hash: withRevision ? hash : withoutImage,
    sidecarSetName: set,
    sidecarList: parts.sidecarList,
    ...(withRevision && revision !== "" ? { controllerRevision: revision } : {}),
  };
}

/** The first twin works, and is told that it is the first. */
function recordTwins(annotations: Record<string, string>, contents: readonly Content[]): void {
  const hot = contents
    .flatMap(({ parts }) => [...parts.initContainers, ...parts.containers])
    .filter(({ idleImage }) => idleImage !== undefined);
  if (hot.length === 0) return;
  const working = new Map(readWorking(annotations[annotation.sidecarSetWorkingHotUpgradeContainer]));
  for (const { name } of hot) {
    const [worker, idler] = twinNames(name);
    working.set(name, worker);
    annotations[sidecarVersionAnnotation(worker)] = "1";
    annotations[sidecarVersionAltAnnotation(worker)] = "0";
    annotations[sidecarVersionAnnotation(idler)] = "0";
    annotations[sidecarVersionAltAnnotation(idler)] = "1";
  }
  annotations[annotation.sidecarSetWorkingHotUpgradeContainer] = workingText(working);
}
