/** Starting an in-place update: out of service first, then the change. */
import type { Gates } from "../../api/gates.ts";
import { annotation, conditionType, label } from "../../api/names.ts";
import type { ConditionStep, Step, Write, WriteStep } from "../../engine/plan.ts";
import type { Fields } from "../../kube/json.ts";
import { hasReadinessGate, podCondition } from "../../kube/pod.ts";
import { formatTime } from "../../kube/time.ts";
import type { ControllerRevision, Pod } from "../../kube/types.ts";
import { withReady } from "../readiness/index.ts";
import { matchesRevision } from "../revision/labels.ts";
import { type Applied, applyBatch, mergeMetadata, type Progress, type UpdateSettings } from "./apply.ts";
import { type EligibilityOptions, eligibility } from "./eligibility.ts";
import { type UpdateSpec, writeSpec, writeState } from "./spec.ts";

export interface UpdateOptions {
  readonly settings: UpdateSettings;
  /** Seconds between "taken out of service" and "changed"; 0 by default. */
  readonly gracePeriodSeconds?: number;
  /** See EligibilityOptions: for pods that are never to be recreated. */
  readonly ignoreClaimTemplates?: boolean;
  /** The labels that say which revision the pod is at: see revision's `revisionLabels`. */
  readonly revisionLabels: Readonly<Record<string, string>>;
  /** What state and grace annotations call the revision; by default the new revision's name. */
  readonly revision?: string;
  /** Labels and annotations for the same write, of the freshest pod: the lifecycle state Updating. */
  readonly alsoWrite?: (fresh: Readonly<Pod>) => MetadataWrite | undefined;
}

export interface MetadataWrite {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export type UpdatePlan =
  | { readonly inPlace: false; readonly why: string }
  | { readonly inPlace: true; readonly spec: UpdateSpec; readonly steps: readonly Step<Pod>[]; readonly delayMs?: number };

/** What changes from one revision to the other; undefined: pods have to be recreated. An absent revision is never in place. */
export function updateSpecBetween(
  before: Readonly<ControllerRevision> | undefined,
  after: Readonly<ControllerRevision> | undefined,
  options: EligibilityOptions & { readonly gracePeriodSeconds?: number; readonly revision?: string },
): UpdateSpec | undefined {
  const found = eligibility(before, after, options);
  if (!found.ok || after === undefined) return undefined;
  return { ...found.change, revision: options.revision ?? after.metadata.name, graceSeconds: Math.max(options.gracePeriodSeconds ?? 0, 0) };
}

export function canUpdateInPlace(
  before: Readonly<ControllerRevision> | undefined,
  after: Readonly<ControllerRevision> | undefined,
  options: EligibilityOptions,
): boolean {
  return eligibility(before, after, options).ok;
}

/** In words for users; undefined when it is possible. */
export function whyNotInPlace(
  before: Readonly<ControllerRevision> | undefined,
  after: Readonly<ControllerRevision> | undefined,
  options: EligibilityOptions,
): string | undefined {
  const found = eligibility(before, after, options);
  return found.ok ? undefined : found.why;
}

/** Whether the pod leaves service for this update: a resize that restarts no container does not need it. */
export function needsUnready(pod: Readonly<Pod>, spec: UpdateSpec, gates: Gates): boolean {
  if (!hasReadinessGate(pod, conditionType.inPlaceUpdateReady)) return false;
  const resizeOnly =
    gates.enabled("InPlaceWorkloadVerticalScaling") && spec.resources.size > 0 && spec.images.size === 0 && !spec.envFromMetadata;
  if (!resizeOnly) return true;
  return pod.spec.containers.some(({ name, resizePolicy }) => {
    const change = spec.resources.get(name);
    if (change === undefined) return false;
    return (resizePolicy ?? []).some(
      ({ resourceName, restartPolicy }) =>
        restartPolicy === "RestartContainer" && (change.limits.has(resourceName) || change.requests.has(resourceName)),
    );
  });
}

export function planUpdate(
  pod: Readonly<Pod>,
  before: Readonly<ControllerRevision> | undefined,
  after: Readonly<ControllerRevision>,
  options: UpdateOptions,
  nowMs: number,
): UpdatePlan {
  const { settings } = options;
  const spec = updateSpecBetween(before, after, { ...options, gates: settings.gates });
  if (spec === undefined) return { inPlace: false, why: whyNotInPlace(before, after, { ...options, gates: settings.gates }) ?? "" };
  const unready = needsUnready(pod, spec, settings.gates);
  const apply = (fresh: Readonly<Pod>): Applied => applyBatch(fresh, spec, progressOf(spec, nowMs), settings, nowMs);
  const steps: Step<Pod>[] = [];
  if (unready) steps.push(unreadyStep(nowMs));
  if (spec.graceSeconds === 0 && spec.resources.size > 0 && settings.resizeSubresource) steps.push(resizeStep(apply));
  steps.push({
    name: "inplace-update",
    precondition: "version",
    onConflict: "retry",
    write: (fresh) => {
      // Somebody with a fresher view was here first: writing again would make the running container the one to be replaced.
      if (isAt(fresh, spec.revision) && !isAt(pod, spec.revision)) return undefined;
      if (unready && podCondition(fresh, conditionType.inPlaceUpdateReady)?.status !== "False") {
        return `pod ${fresh.metadata.name} is in service again: it has to leave before its containers change`;
      }
      const extra = options.alsoWrite?.(fresh);
      const labels = { labels: { ...extra?.labels, ...options.revisionLabels } };
      const marks = {
        annotations: { ...extra?.annotations, ...dropped(fresh, spec.graceSeconds > 0 ? legacyAnnotations : spentAnnotations) },
      };
      if (spec.graceSeconds > 0) {
        const waiting = writeState({ ...progressOf(spec, nowMs), next: noNext });
        const annotations = { [annotation.inPlaceUpdateState]: waiting, [annotation.inPlaceUpdateGrace]: writeSpec(spec) };
        return { patch: "strategic", body: { metadata: mergeMetadata(labels, marks, { annotations }) } };
      }
      return podPatch(apply(fresh), labels, marks);
    },
  });
  return { inPlace: true, spec, steps, ...(spec.graceSeconds > 0 ? { delayMs: spec.graceSeconds * 1000 } : {}) };
}

const noNext = { images: new Map<string, string>(), refMetadata: new Map(), resources: new Map() };

export function progressOf(spec: UpdateSpec, nowMs: number): Progress {
  return {
    revision: spec.revision,
    updateTimestamp: formatTime(nowMs),
    envFromMetadata: spec.envFromMetadata,
    updateResources: spec.resources.size > 0,
    updateImages: spec.images.size > 0,
    lastContainerStatuses: new Map(),
    batches: [],
  };
}

export function isAt(pod: Readonly<Pod>, revision: string): boolean {
  return matchesRevision(pod.metadata.labels?.[label.controllerRevisionHash], revision);
}

/** Annotations as `null` where the pod has them: only what is there needs to go. */
export function dropped(pod: Readonly<Pod>, names: readonly string[]): Readonly<Record<string, null>> {
  const present = names.filter((name) => Object.hasOwn(pod.metadata.annotations ?? {}, name));
  return Object.fromEntries(present.map((name) => [name, null]));
}

export const graceAnnotations = [annotation.inPlaceUpdateGrace, annotation.inPlaceUpdateGraceLegacy];
const legacyAnnotations = [annotation.inPlaceUpdateStateLegacy, annotation.inPlaceUpdateGraceLegacy];
/** What is over once a batch is applied: the grace period, and state under its old name. */
export const spentAnnotations = [annotation.inPlaceUpdateStateLegacy, ...graceAnnotations];

/** The pod's own write. Revision labels and the state come last: no template may overwrite them. */
export function podPatch(applied: Applied, ...marks: readonly Fields[]): Write<Pod> {
  const { annotations, labels, ...metadata } = applied.metadata;
  const merged = mergeMetadata(metadata, { labels, annotations }, ...marks);
  const spec = applied.containers.length > 0 ? { spec: { containers: applied.containers } } : {};
  return { patch: "strategic", body: { metadata: merged, ...spec } };
}

/** Goes before the pod's own write, which carries on from the version that this one answered with. */
export function resizeStep(apply: (fresh: Readonly<Pod>) => Applied | undefined): WriteStep<Pod> {
  return {
    name: "resize",
    subresource: "resize",
    precondition: "version",
    onConflict: "retry",
    write: (fresh) => {
      const containers = apply(fresh)?.resize ?? [];
      return containers.length > 0 ? { patch: "strategic", body: { spec: { containers } } } : undefined;
    },
  };
}

/** Also for a pod that shows False already: the write that follows refuses a pod that shows anything else. */
function unreadyStep(nowMs: number): ConditionStep<Pod> {
  return {
    name: "not-ready",
    gatherMs: 0,
    conditions: (fresh) => {
      const current = podCondition(fresh, conditionType.inPlaceUpdateReady);
      const leaving =
        current?.status === "False"
          ? current
          : ({
              type: conditionType.inPlaceUpdateReady,
              status: "False",
              reason: "StartInPlaceUpdate",
              lastTransitionTime: formatTime(nowMs),
            } as const);
      return withReady(fresh, [leaving], nowMs);
    },
  };
}
