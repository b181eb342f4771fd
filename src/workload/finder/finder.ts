/** What a finder is given and what it answers. */
import { cloneSets } from "../../api/cloneset.ts";
import type { Settings } from "../../api/settings.ts";
import type { Reader } from "../../kube/access.ts";
import type { Kind } from "../../kube/kind.ts";
import { deployments, replicaSets, statefulSets } from "../../kube/kinds.ts";
import type { Failure } from "../../kube/outcome.ts";
import type { Matcher } from "../../kube/selector.ts";
import type { ObjectMeta } from "../../kube/types.ts";

export interface Finder {
  readonly read: Reader;
  readonly settings: Pick<Settings, "installNamespace">;
  /** Default: `finderReads`. */
  readonly watched?: readonly Kind[];
}

/** The kinds that a finder reads from the cache, for `Controller.reads`. */
export const finderReads: readonly Kind[] = [deployments, replicaSets, statefulSets, cloneSets] as readonly Kind[];

export interface WorkloadReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Given: exactly this one, not its successor of the same name. */
  readonly uid?: string;
}

export interface Workload {
  readonly reference: Required<WorkloadReference>;
  /** spec.replicas; −1 when the kind has no such thing. */
  readonly scale: number;
  /** Its pods by labels; absent where the kind has no selector or does not tell. */
  readonly matcher?: Matcher;
  /** Advanced StatefulSet: the ordinals that it leaves out. */
  readonly reserveOrdinals?: ReadonlySet<number>;
  readonly metadata: Readonly<ObjectMeta>;
}

export type Found = { readonly ok: true; readonly workload: Workload | undefined } | Failure;
