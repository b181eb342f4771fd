/** Why a pod is left alone: one code for each cause, with its figures, and its words in one place. */
import type { Reason } from "../../engine/plan.ts";

/** Figures by code. */
interface Figures {
  HeldByPartition: { kept: number };
  HeldByMaxUnavailable: { used: number; max: number };
  Paused: Record<never, never>;
  /** updateStrategy.type is NotUpdate. */
  NotUpdate: Record<never, never>;
  /** updateStrategy.selector leaves it out. */
  NotSelected: Record<never, never>;
  /** More than images differ. */
  NeedsRecreate: Record<never, never>;
  WaitingForContainer: { container: string };
  WaitingForReady: Record<never, never>;
  /** The new twin works, the old one has not come to rest. */
  WaitingForTwin: { container: string };
  UpdateStateUnreadable: Record<never, never>;
  /** This round only puts twins to rest. */
  WaitingForRest: { pods: number };
  /** Created after the SidecarSet, and has none of its containers. */
  InjectionMissed: { created: string };
}
export type Code = keyof Figures;

export function reason<C extends Code>(on: string, code: C, figures: Figures[C]): Reason {
  return { on, code, figures: figures as Reason["figures"] };
}

/** Codes that say that an update is under way, and not that somebody has to act. */
export const waiting: ReadonlySet<string> = new Set<Code>(["WaitingForContainer", "WaitingForReady", "WaitingForTwin", "WaitingForRest"]);

/** Codes of pods that stay as they are because the user said so. */
export const chosenRest: ReadonlySet<string> = new Set<Code>(["NotUpdate"]);

export const words: { readonly [C in Code]: (figures: Figures[C]) => string } = {
  HeldByPartition: ({ kept }) => `held by partition: ${kept} pods keep their version`,
  HeldByMaxUnavailable: ({ used, max }) => `held by maxUnavailable: ${used} of ${max} used`,
  Paused: () => "the update is paused",
  NotUpdate: () => "updateStrategy is NotUpdate: the pod keeps its version until it is recreated",
  NotSelected: () => "updateStrategy.selector does not match the pod",
  NeedsRecreate: () => "not possible in place, since more than images differ: the pod keeps its version until it is recreated",
  WaitingForContainer: ({ container }) => `waiting for container ${container} to run its new image`,
  WaitingForReady: () => "updated, waiting for the pod to become ready",
  WaitingForTwin: ({ container }) => `updated, waiting for container ${container} to come to rest`,
  UpdateStateUnreadable: () => "the record of its last update (annotation kruise.io/sidecarset-inplace-update-state) is not readable",
  WaitingForRest: ({ pods }) => `waits while ${pods} pods put the former worker of a hot-upgraded sidecar to rest`,
  InjectionMissed: ({ created }) => `created ${created}, after the SidecarSet, and has no sidecars: it gets them when it is recreated`,
};

/** A reason in plain words; an unknown code stands for itself. */
export function reasonText({ code, figures }: Reason): string {
  const say = (words as Record<string, ((figures: unknown) => string) | undefined>)[code];
  return say === undefined ? code : say(figures ?? {});
}
