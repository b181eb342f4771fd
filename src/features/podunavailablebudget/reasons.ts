/** Why a pod does not count, and why nothing may go, in plain words. */
import type { Reason } from "../../engine/plan.ts";

interface Figures {
  /** On the whole: every further request is refused. */
  NoneLeft: { available: number; desired: number };
  /** A deletion or an eviction was let through. */
  Disrupted: { since: string };
  /** An update or a resize was let through. */
  Updated: { since: string };
  NotReady: Record<never, never>;
  NotConsistent: Record<never, never>;
}
export type Code = keyof Figures;

export function reason<C extends Code>(on: string, code: C, figures: Figures[C]): Reason {
  return { on, code, figures: figures as Reason["figures"] };
}

export const words: { readonly [C in Code]: (figures: Figures[C]) => string } = {
  NoneLeft: ({ available, desired }) => `no pod may go now: ${available} are available and ${desired} have to be`,
  Disrupted: ({ since }) => `does not count: its deletion was let through at ${since}, and for 20 s it is taken for gone`,
  Updated: ({ since }) => `does not count: its update was let through at ${since}, and for 10 s it is taken for unavailable`,
  NotReady: () => "does not count: not running and ready; it may be taken at no charge",
  NotConsistent: () => "does not count: it does not run what its spec says yet; it may be taken at no charge",
};

/** An unknown code stands for itself. */
export function reasonText({ code, figures }: Reason): string {
  const say = (words as Record<string, ((figures: unknown) => string) | undefined>)[code];
  return say === undefined ? code : say(figures ?? {});
}
