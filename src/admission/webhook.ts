/** What a feature gives the admission server: pure reviews of requests, typed and independent of the wire. */
import type { GateName } from "../api/gates.ts";
import type { Settings } from "../api/settings.ts";
import type { Cancel, Logger } from "../env/env.ts";
import type { Reader, Writer } from "../kube/access.ts";
import type { Ref } from "../kube/kind.ts";
import type { KubeObject, LabelSelector, Pod } from "../kube/types.ts";
import type { PodSource } from "./narrow-scope.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

export interface AdmissionRequest<T = KubeObject> {
  readonly uid: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  /** The version the object was decoded in; the client may have used another. */
  readonly resource: { readonly group: string; readonly version: string; readonly resource: string };
  readonly subResource?: string;
  readonly name: string;
  /** "" for cluster-scoped kinds. */
  readonly namespace: string;
  readonly operation: Operation;
  /** Absent on DELETE. Shared with the frame: never mutated. */
  readonly object?: Readonly<T>;
  readonly oldObject?: Readonly<T>;
  readonly options?: unknown;
  readonly dryRun: boolean;
  readonly userInfo: { readonly username?: string; readonly groups?: readonly string[] };
}

export type JsonPatchOperation =
  | { readonly op: "add" | "replace" | "test"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string };

export type Verdict =
  | {
      readonly allowed: true;
      /** The object as it should be; the frame answers with the difference. Absent: unchanged. */
      readonly object?: unknown;
      /** Instead of `object` where the difference is known already. */
      readonly patch?: readonly JsonPatchOperation[];
      readonly warnings?: readonly string[];
    }
  | {
      readonly allowed: false;
      readonly code: number;
      readonly message: string;
      readonly reason?: string;
      readonly warnings?: readonly string[];
    };

export const allow: Verdict = { allowed: true };
/** 422: the object breaks a rule. 403: it may not be done now. 400: the request cannot be understood. */
export const deny = (code: number, message: string): Verdict => ({ allowed: false, code, message });

export interface AdmissionContext {
  readonly read: Reader;
  readonly settings: Settings;
  /** For the few reviews that must record their decision before they answer. Never used when `request.dryRun`. */
  readonly write: Writer;
  readonly log: Logger;
  nowMs(): number;
  random(): number;
  /** Runs `run` once after `delayMs`, as `Env.after` does: for a pause between two tries. */
  after(delayMs: number, run: () => void): Cancel;
  /**
   * One Event, aggregated and rate-limited; fire and forget.
   * @param component who tells it, as `kubectl describe` shows; default: the manager as a whole
   */
  emit(on: Ref, type: "Normal" | "Warning", reason: string, message: string, component?: string): void;
  /** Counts a refusal in its metric and appends one line to protection.log. */
  refused(refusal: Refusal): void;
}

export interface Refusal {
  readonly event: "PodUnavailableBudget" | "DeletionProtection";
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly userAgent: string;
}

export interface Rule {
  readonly operations: readonly Operation[];
  readonly group: string;
  readonly versions: readonly string[];
  /** "clonesets", "pods/eviction". */
  readonly resources: readonly string[];
}

export interface Webhook {
  /** As in the webhook configuration: "mcloneset.kb.io". */
  readonly name: string;
  readonly type: "mutating" | "validating";
  /** Several webhooks may share one path; they then share one `review`. */
  readonly path: string;
  /** Older paths that installed configurations may still carry. */
  readonly aliases?: readonly string[];
  readonly rules: readonly Rule[];
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  /** Absent in the generated configuration means Fail. */
  readonly failurePolicy?: "Fail" | "Ignore";
  /** Where the Helm chart differs from the plain manifests, as OpenKruise's does. */
  readonly chart?: Pick<Webhook, "failurePolicy" | "namespaceSelector">;
  /**
   * CEL over the request: what does not meet it is allowed whatever `review` would say, so the server need not ask. Only in installed
   * configurations that want it: servers before 1.28 do not know it.
   */
  readonly narrowing?: string;
  /** Inactive: its entry is left out of the live configuration. */
  readonly active?: (settings: Settings) => boolean;
  review(request: AdmissionRequest, context: AdmissionContext): Verdict | Promise<Verdict>;
}

/** One feature's part in the creation of a pod. Parts run in ascending `order`; each sees what those before it made of the pod. */
export interface PodMutation {
  readonly name: string;
  readonly order: number;
  readonly gate?: GateName;
  /**
   * CEL over `object`: pods that it may change or refuse whatever else exists. It must not fail on any pod. Absent: any pod, unless there is
   * a `source`.
   */
  readonly concerns?: (settings: Settings) => string;
  /** Objects each of which brings further pods. */
  readonly source?: PodSource;
  /** Ignore: a pod may go without it, because something else makes up for it; see breaker.ts. Default Fail: an error refuses the pod. */
  readonly failurePolicy?: "Fail" | "Ignore";
  /** The pod as it should be (same reference: unchanged), or a refusal. `pod.metadata.namespace` is always set. */
  mutate(pod: Readonly<Pod>, request: AdmissionRequest<Pod>, context: AdmissionContext): Pod | Verdict | Promise<Pod | Verdict>;
}

/** One feature's say in the update, resize, deletion or eviction of a pod. Guards run in ascending `order`; the first refusal wins. */
export interface PodGuard {
  readonly name: string;
  readonly order: number;
  readonly operations: readonly ("update" | "resize" | "delete" | "evict")[];
  /** CEL over `oldObject`: of other pods it never says anything but yes. Absent: it may of any. Evictions carry no pod: all of them come. */
  readonly concerns?: string;
  /** Objects without which it lets every eviction pass. Absent: it may refuse any. */
  readonly source?: PodSource;
  readonly active: (settings: Settings) => boolean;
  review(request: AdmissionRequest<Pod>, context: AdmissionContext): Verdict | Promise<Verdict>;
}

/** `PodMutation.order`: injected containers take part in launch priority, and the budget sees the final pod. */
export const podMutationOrder = {
  readinessGate: 10,
  workloadSpread: 20,
  sidecarSet: 30,
  launchPriority: 40,
  podUnavailableBudget: 50,
  persistentPodState: 60,
  enhancedLivenessProbe: 70,
  podProbeMarker: 80,
} as const;
