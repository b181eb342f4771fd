/** Why something is left alone: one code for each cause, with its figures, and its words in one place. */
import type { Reason } from "../../engine/plan.ts";
import type { LifecycleHook } from "../../workload/lifecycle/index.ts";

/** Figures by code. */
interface Figures {
  /** The pod belongs to the share that keeps its revision. */
  HeldByPartition: { kept: number };
  HeldByMaxUnavailable: { used: number; max: number };
  /** One plan moves so many pods at most. */
  WaitingForTurn: { max: number };
  /** A PodUnavailableBudget lets no more pods be unavailable. */
  HeldByBudget: { budget: string };
  HeldByUpdateHook: { hook: string };
  Paused: Record<never, never>;
  OnDelete: Record<never, never>;
  /** Not possible in place, and recreating is not allowed. */
  InPlaceImpossible: { why: string };
  /** Its turn has come, and the number of pods has to settle first. */
  HeldByScaling: Record<never, never>;
  InPlaceUpdateGracePeriod: { secondsLeft?: number };
  InPlaceUpdateNextBatch: Record<never, never>;
  InPlaceUpdateStateUnreadable: Record<never, never>;
  ContainerMetaUnreadable: Record<never, never>;
  WaitingForContainer: { container: string };
  WaitingForContainerReady: { container: string };
  WaitingForContainerEnv: Record<never, never>;
  WaitingForResize: Record<never, never>;
  ResizeDeferred: { message?: string };
  ResizeInfeasible: { message?: string };
  WaitingForReady: Record<never, never>;
  WaitingForAvailability: { until: string };
  WaitingForNormalHook: { hook: string };
  WaitingForUpdatedHook: { hook: string };
  /** To be deleted, and ready: deleting it would take too much at once. */
  DeletionHeldByMaxUnavailable: { used: number; max: number };
  DeletionHeldByHook: { hook: string };
  /** On the whole: fewer pods are created than are missing. */
  ScaleUpLimited: { missing: number; now: number };
  /** On the whole: surplus pods wait until those marked for deletion are gone. */
  ScaleInWaits: { marked: number };
  /** Its replacement takes over its claims, and waits until it is gone. */
  ReplacementWaits: { pod: string };
  /** Its state or its annotations cannot be understood. */
  RefreshFailed: { why: string };
  /** Its own refresh comes first. */
  BeingRefreshed: Record<never, never>;
}
export type Code = keyof Figures;

export function reason<C extends Code>(on: string, code: C, figures: Figures[C]): Reason {
  return { on, code, figures: figures as Reason["figures"] };
}

/** Codes that say that a rollout or a scaling is under way, and not that somebody has to act. */
export const waiting: ReadonlySet<string> = new Set<Code>([
  "WaitingForTurn",
  "InPlaceUpdateGracePeriod",
  "InPlaceUpdateNextBatch",
  "WaitingForContainer",
  "WaitingForContainerReady",
  "WaitingForContainerEnv",
  "WaitingForResize",
  "WaitingForReady",
  "WaitingForAvailability",
  "BeingRefreshed",
]);

export const words: { readonly [C in Code]: (figures: Figures[C]) => string } = {
  HeldByPartition: ({ kept }) => `held by partition: ${kept} pods keep their revision`,
  HeldByMaxUnavailable: ({ used, max }) => `held by maxUnavailable: ${used} of ${max} used`,
  WaitingForTurn: ({ max }) => `its turn comes as soon as the ${max} pods before it have been told`,
  HeldByBudget: ({ budget }) => `held by podunavailablebudget ${budget}: no more pods may be unavailable now`,
  HeldByUpdateHook: ({ hook }) => `held by lifecycle hook inPlaceUpdate: ${hook}`,
  Paused: () => "the update is paused",
  OnDelete: () => "updateStrategy is OnDelete: the pod keeps its revision until somebody deletes it",
  InPlaceImpossible: ({ why }) => `podUpdatePolicy is InPlaceOnly, and this change is not possible in place: ${why}`,
  HeldByScaling: () => "waits until the number of pods has settled",
  InPlaceUpdateGracePeriod: ({ secondsLeft }) =>
    secondsLeft === undefined
      ? "waits for the grace period of its in-place update"
      : `waits ${secondsLeft}s for the grace period of its in-place update`,
  InPlaceUpdateNextBatch: () => "the next batch of its in-place update is about to start",
  InPlaceUpdateStateUnreadable: () => "the state annotation of its in-place update is not readable",
  ContainerMetaUnreadable: () => "the node's report of its containers is not readable",
  WaitingForContainer: ({ container }) => `updated in place, waiting for container ${container} to run the new image`,
  WaitingForContainerReady: ({ container }) => `updated in place, waiting for container ${container} to be ready before the next batch`,
  WaitingForContainerEnv: () => "updated in place, waiting for the node agent to restart containers with their new environment",
  WaitingForResize: () => "resized in place, waiting for the kubelet",
  ResizeDeferred: ({ message }) => `resize deferred by the kubelet${message ? `: ${message}` : ""}`,
  ResizeInfeasible: ({ message }) => `resize not possible on its node${message ? `: ${message}` : ""}`,
  WaitingForReady: () => "waiting for the pod to become ready",
  WaitingForAvailability: ({ until }) => `ready, counts as available from ${until}`,
  WaitingForNormalHook: ({ hook }) => `waiting for lifecycle hook preNormal: ${hook}`,
  WaitingForUpdatedHook: ({ hook }) => `updated, waiting for lifecycle hook inPlaceUpdate to be put back: ${hook}`,
  DeletionHeldByMaxUnavailable: ({ used, max }) => `to be deleted, held by maxUnavailable: ${used} of ${max} used`,
  DeletionHeldByHook: ({ hook }) => `to be deleted, held by lifecycle hook preDelete: ${hook}`,
  ScaleUpLimited: ({ missing, now }) => `${missing} pods are missing, ${now} may be created now: held by scaleStrategy.maxUnavailable`,
  ScaleInWaits: ({ marked }) => `scale-in waits until ${marked} pods marked for deletion are gone`,
  ReplacementWaits: ({ pod }) => `the replacement of pod ${pod} takes over its claims and waits until it is gone`,
  RefreshFailed: ({ why }) => `cannot be refreshed: ${why}`,
  BeingRefreshed: () => "chosen for the update, after its own refresh",
};

/** A reason in plain words; an unknown code stands for itself. */
export function reasonText({ code, figures }: Reason): string {
  const say = (words as Record<string, ((figures: unknown) => string) | undefined>)[code];
  return say === undefined ? code : say(figures ?? {});
}

/** What of a hook holds: "label app=web", "finalizer example.com/drain". */
export function hookText(hook: LifecycleHook | undefined): string {
  const labels = Object.entries(hook?.labelsHandler ?? {}).map(([key, value]) => `label ${key}=${value}`);
  const finalizers = (hook?.finalizersHandler ?? []).map((name) => `finalizer ${name}`);
  return [...labels, ...finalizers].join(", ");
}
