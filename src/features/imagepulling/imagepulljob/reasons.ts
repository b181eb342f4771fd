/** Why a node does not have the image yet: one code for each cause, with its figures, and its words in one place. */
import type { Reason } from "../../../engine/plan.ts";

interface Figures {
  /** As many nodes as spec.parallelism allows are pulling. */
  HeldByParallelism: { used: number; max: number };
  /** spec.parallelism is 0. */
  Paused: Record<never, never>;
  /** The task is written, the node has not begun. */
  WaitingForNode: Record<never, never>;
  Pulling: { progress: number };
  PullFailed: { message: string };
  /** On the job: without its secrets nothing is begun. */
  WaitingForSecrets: { problem: string };
  /** On the job: a secret of this name does not exist, the pull goes on without it. */
  SecretMissing: { secret: string };
}
export type Code = keyof Figures;

export function reason<C extends Code>(on: string, code: C, figures: Figures[C]): Reason {
  return { on, code, figures: figures as Reason["figures"] };
}

/** Codes that say that things are under way, and not that somebody has to act. */
export const waiting: ReadonlySet<string> = new Set<Code>(["WaitingForNode", "Pulling", "HeldByParallelism"]);

const words: { readonly [C in Code]: (figures: Figures[C]) => string } = {
  HeldByParallelism: ({ used, max }) => `waits for its turn: ${used} of ${max} nodes (spec.parallelism) are pulling`,
  Paused: () => "the job is paused: spec.parallelism is 0",
  WaitingForNode: () => "told to pull, waiting for the node agent to begin",
  Pulling: ({ progress }) => (progress > 0 ? `pulling, ${progress}% done` : "pulling"),
  PullFailed: ({ message }) => `the pull failed: ${message}`,
  WaitingForSecrets: ({ problem }) => `waiting for the pull secrets: ${problem}`,
  SecretMissing: ({ secret }) => `pull secret ${secret} does not exist: the image is pulled without it`,
};

/** A reason in plain words; an unknown code stands for itself. */
export function reasonText({ code, figures }: Reason): string {
  const say = (words as Record<string, ((figures: unknown) => string) | undefined>)[code];
  return say === undefined ? code : say(figures ?? {});
}
