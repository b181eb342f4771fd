/** A feature as one value: everything the manager, the CRDs, the RBAC, the docs, `explain` and the simulator need to know about it. */
import type { PodGuard, PodMutation, Webhook } from "../admission/webhook.ts";
import type { KindDefinition } from "../api/definition.ts";
import type { GateName } from "../api/gates.ts";
import type { Context, Controller } from "../engine/controller.ts";
import type { Reason } from "../engine/plan.ts";
import type { Key, Kind } from "../kube/kind.ts";

export interface Feature {
  readonly name: string;
  /** Kinds of ours that this feature owns: their CRDs are generated from here. */
  readonly kinds?: readonly KindDefinition[];
  readonly controllers?: readonly Controller[];
  readonly webhooks?: readonly Webhook[];
  readonly podMutations?: readonly PodMutation[];
  readonly podGuards?: readonly PodGuard[];
  /** Kinds that its webhooks, pod mutations and pod guards read from the cache: watched by every replica, leader or not. */
  readonly reads?: readonly Kind[];
  /** What the manager must be allowed to do for this feature, and nothing more. */
  readonly permissions: readonly Permission[];
  /** What the node agent must be allowed to do for this feature. */
  readonly daemonPermissions?: readonly Permission[];
  readonly explain?: readonly Explainer[];
}

export interface Permission {
  readonly group: string;
  /** "pods", "pods/status". */
  readonly resources: readonly string[];
  readonly verbs: readonly Verb[];
  /** Only in this namespace; default cluster-wide. */
  readonly namespace?: "install" | "daemonConfig";
  readonly resourceNames?: readonly string[];
  /** Too much to give to everybody: the chart gives it together with this gate; the plain manifests, which ask no gates, in a file that can be left out. */
  readonly gate?: GateName;
}
export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

/** Answers "what would you do, and why is nothing happening?" for one object, read-only, with the user's own credentials. */
export interface Explainer {
  readonly of: Kind;
  /** Further names a user may type: "clone". */
  readonly aliases: readonly string[];
  /** Kinds to read besides `of` before asking, with the namespace of the object unless cluster-scoped. */
  readonly reads: readonly Kind[];
  /** Kinds that make the answer better: to a user who may not look at them it is as if there were none. */
  readonly alsoReads?: readonly Kind[];
  explain(context: Context, key: Key): Explanation | undefined | Promise<Explanation | undefined>;
}

export interface Explanation {
  /** "rest": nothing to do. "moving": something would be done next. "held": something should move and may not. */
  readonly state: "rest" | "moving" | "held";
  /** One line: "web: 3 of 5 pods on revision web-6d5f, 2 held". */
  readonly summary: string;
  /** What would be done next, in order. */
  readonly next: readonly string[];
  readonly held: readonly (Reason & { readonly text: string; readonly sinceMs?: number })[];
}
