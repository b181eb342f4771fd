/** What came of one step, and how long to wait after a conflict. */
import type { Env } from "../env/env.ts";
import type { Failure } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import { engineLimits } from "./limits.ts";

export type Stepped =
  /** `wrote`: whether a write was needed. */
  { readonly ok: true; readonly object?: Readonly<KubeObject>; readonly wrote: boolean } | Failure;

/** ms before the next try after `tries` tries that met a conflict; undefined when they were the last. */
export function conflictPause(env: Pick<Env, "random">, tries: number): number | undefined {
  const delayMs = engineLimits.conflictDelaysMs[tries - 1];
  return delayMs === undefined ? undefined : delayMs * (1 + env.random() * engineLimits.conflictJitter);
}
