/** Why a request has not ended yet: one code for each cause, and its words in one place. */
import type { Reason } from "../../engine/plan.ts";

interface Figures {
  WaitingForDaemon: { node: string };
  WaitingForEarlierRequest: { request: string };
  UnreadyGracePeriod: { seconds: number };
  /** Of a container: its turn has not come. */
  ContainerWaits: Record<never, never>;
  /** Of a container: stopped, and not ready again. */
  ContainerStarts: Record<never, never>;
}
export type Code = keyof Figures;

export function reason<C extends Code>(on: string, code: C, figures: Figures[C]): Reason {
  return { on, code, figures: figures as Reason["figures"] };
}

/** Codes that say that it goes on by itself. */
export const underWay: ReadonlySet<string> = new Set<Code>(["UnreadyGracePeriod", "ContainerWaits", "ContainerStarts"]);

export const words: { readonly [C in Code]: (figures: Figures[C]) => string } = {
  WaitingForDaemon: ({ node }) => `waiting for the node agent of node ${node} to take notice`,
  WaitingForEarlierRequest: ({ request }) => `waiting for ${request === "" ? "an earlier request" : `request ${request}`} for the same pod`,
  UnreadyGracePeriod: ({ seconds }) => `the pod is held out of service for ${seconds}s before the first container is stopped`,
  ContainerWaits: () => "waits for its turn",
  ContainerStarts: () => "stopped, waiting for it to be ready again",
};

export function reasonText({ code, figures }: Reason): string {
  const say = (words as Record<string, ((figures: unknown) => string) | undefined>)[code];
  return say === undefined ? code : say(figures ?? {});
}
