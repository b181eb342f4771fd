/** The two pod webhooks: each is a composition of what the features want to say about a pod. */
import { workloadSpreads } from "../api/foreign.ts";
import { podUnavailableBudgets } from "../api/podunavailablebudget.ts";
import type { Settings } from "../api/settings.ts";
import { sidecarSets } from "../api/sidecarset.ts";
import { isFields, withFields } from "../kube/json.ts";
import type { LabelSelector, Pod } from "../kube/types.ts";
import type { Breaker } from "./breaker.ts";
import {
  type AdmissionContext,
  type AdmissionRequest,
  allow,
  deny,
  type PodGuard,
  type PodMutation,
  type Rule,
  type Verdict,
  type Webhook,
} from "./webhook.ts";

export interface PodWebhookParts {
  readonly mutations: readonly PodMutation[];
  readonly guards: readonly PodGuard[];
  /** Pods of this namespace never reach the webhooks: the manager must be able to start while it is down. */
  readonly installNamespace: string;
  readonly breaker?: Breaker;
}

/** In the configuration: mpod.kb.io, vpod.kb.io, vpodeviction.kb.io. */
export function podWebhooks(parts: PodWebhookParts): readonly Webhook[] {
  const namespaceSelector = podNamespaceSelector(parts.installNamespace, { operator: "DoesNotExist" });
  // As OpenKruise's chart has it: other people's control planes are pods like any other.
  const chart = { namespaceSelector: podNamespaceSelector(parts.installNamespace, { operator: "NotIn", values: ["openkruise"] }) };
  const guarded = { review: guardPod(parts.guards), active: guardsPods };
  const vpod = { name: "vpod.kb.io", type: "validating", path: "/validate-pod", namespaceSelector, chart, ...guarded } as const;
  return [
    {
      name: "mpod.kb.io",
      type: "mutating",
      path: "/mutate-pod",
      namespaceSelector,
      chart,
      rules: [rule(["CREATE"], "pods")],
      active: (settings) => settings.gates.enabled("PodWebhook") && settings.serves(sidecarSets),
      review: mutatePod(parts.mutations, parts.breaker),
    },
    { ...vpod, rules: [rule(["UPDATE", "DELETE"], "pods"), rule(["UPDATE"], "pods/resize")], ...narrowed(parts.guards) },
    { ...vpod, name: "vpodeviction.kb.io", rules: [rule(["CREATE"], "pods/eviction")] },
  ];
}

/**
 * Not where Kruiser itself runs, by label as installed and by name in case the label is missing; and not where the cluster's own pods
 * run: both must come up while the webhooks are down.
 */
function podNamespaceSelector(installNamespace: string, unless: { operator: string; values?: string[] }): LabelSelector {
  return {
    matchExpressions: [
      { key: "control-plane", ...unless },
      { key: "kubernetes.io/metadata.name", operator: "NotIn", values: [...new Set(["kube-system", installNamespace])].sort() },
    ],
  };
}

/** Pods that some guard has something to say about. A guard that does not tell which may mean any. */
function narrowed(guards: readonly PodGuard[]): Pick<Webhook, "narrowing"> {
  const concerns = guards.map((guard) => guard.concerns);
  return concerns.length > 0 && concerns.every((each) => each !== undefined)
    ? { narrowing: concerns.map((each) => `(${each})`).join(" || ") }
    : {};
}

// Deletions and evictions are counted by WorkloadSpread also where no budget exists.
function guardsPods(settings: Settings): boolean {
  if (!settings.gates.enabled("PodWebhook")) return false;
  if (settings.serves(podUnavailableBudgets)) return true;
  return settings.gates.enabled("WorkloadSpread") && settings.serves(workloadSpreads);
}

function rule(operations: Rule["operations"], resource: string): Rule {
  return { operations, group: "", versions: ["v1"], resources: [resource] };
}

/** A step that fails refuses the pod with 500; one that refuses has the last word. */
export function mutatePod(mutations: readonly PodMutation[], breaker?: Breaker): Webhook["review"] {
  const steps = [...mutations].sort((a, b) => a.order - b.order);
  return (request, context) => {
    if (request.operation !== "CREATE" || request.resource.resource !== "pods" || request.subResource !== undefined) return allow;
    if (!request.object) return deny(400, "request.object: missing in the creation of a pod");
    return runMutations({ steps, breaker }, request as AdmissionRequest<Pod>, request.object as Pod, context);
  };
}

function runMutations(
  { steps, breaker }: { readonly steps: readonly PodMutation[]; readonly breaker: Breaker | undefined },
  request: AdmissionRequest<Pod>,
  original: Readonly<Pod>,
  context: AdmissionContext,
): Verdict | Promise<Verdict> {
  const first = withNamespace(original, request.namespace);
  let pod = first;
  let warnings: readonly string[] = [];
  // Steps that answer at once cost no turn of the event loop.
  const from = (start: number): Verdict | Promise<Verdict> => {
    for (let index = start; index < steps.length; index += 1) {
      const step = steps[index] as PodMutation;
      if (step.gate !== undefined && !context.settings.gates.enabled(step.gate)) continue;
      let result: Pod | Verdict | Promise<Pod | Verdict>;
      try {
        result = step.failurePolicy === "Ignore" ? unlessBroken(breaker, step, pod, request, context) : step.mutate(pod, request, context);
      } catch (error) {
        return failed(step, error, request, context);
      }
      if (result instanceof Promise) {
        return result.then(
          (settled) => take(settled) ?? from(index + 1),
          (error) => failed(step, error, request, context),
        );
      }
      const refusal = take(result);
      if (refusal) return refusal;
    }
    if (pod === first) return warnings.length === 0 ? allow : { allowed: true, warnings };
    // The namespace that the request implies is no change of ours: the difference starts from the pod that carries it.
    const object = first === original ? pod : withFields(pod, { metadata: withFields(pod.metadata, { namespace: undefined }) });
    return { allowed: true, object, warnings };
  };
  const take = (result: Pod | Verdict): Verdict | undefined => {
    if (isPod(result)) {
      pod = result;
      return undefined;
    }
    if (result.warnings) warnings = [...warnings, ...result.warnings];
    if (!result.allowed) return { ...result, warnings };
    if (result.object !== undefined) pod = result.object as Pod;
    return undefined;
  };
  return from(0);
}

/** The pod as it is where the step cannot answer. */
function unlessBroken(
  breaker: Breaker | undefined,
  step: PodMutation,
  pod: Readonly<Pod>,
  request: AdmissionRequest<Pod>,
  context: AdmissionContext,
): ReturnType<PodMutation["mutate"]> {
  const mutate = () => step.mutate(pod, request, context);
  if (breaker === undefined) return mutate();
  const result = breaker.run(step.name, mutate);
  return result instanceof Promise ? result.then((settled) => settled ?? pod) : (result ?? pod);
}

function failed(step: PodMutation, error: unknown, request: AdmissionRequest<Pod>, context: AdmissionContext): Verdict {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const { namespace, name, uid } = request;
  context.log.error({ step: step.name, namespace, name, uid, error: text }, "admission: a step of the pod's creation failed");
  return deny(500, `${step.name}: ${error instanceof Error ? error.message : String(error)}`);
}

function withNamespace(pod: Readonly<Pod>, namespace: string): Readonly<Pod> {
  if (pod.metadata.namespace || namespace === "") return pod;
  return withFields(pod, { metadata: withFields(pod.metadata, { namespace }) });
}

function isPod(result: Pod | Verdict): result is Pod {
  return isFields((result as Partial<Pod>).metadata);
}

/** The first refusal wins; an error counts as one (400). */
export function guardPod(guards: readonly PodGuard[]): Webhook["review"] {
  const ordered = [...guards].sort((a, b) => a.order - b.order);
  return async (request, context) => {
    const operation = guardedOperation(request);
    if (operation === undefined) return allow;
    // Nothing is known of what goes, so nothing can speak for keeping it.
    if (operation === "delete" && !request.oldObject) return allow;
    let warnings: readonly string[] = [];
    for (const guard of ordered) {
      if (!guard.operations.includes(operation) || !guard.active(context.settings)) continue;
      const verdict = await guarded(guard, request as AdmissionRequest<Pod>, context);
      if (verdict.warnings) warnings = [...warnings, ...verdict.warnings];
      if (!verdict.allowed) return { ...verdict, warnings };
    }
    return warnings.length === 0 ? allow : { allowed: true, warnings };
  };
}

async function guarded(guard: PodGuard, request: AdmissionRequest<Pod>, context: AdmissionContext): Promise<Verdict> {
  try {
    return await guard.review(request, context);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const { namespace, name, operation, uid } = request;
    context.log.error({ guard: guard.name, operation, namespace, name, uid, error: text }, "admission: a guard of the pod failed");
    return deny(400, `${guard.name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

type GuardedOperation = PodGuard["operations"][number];

function guardedOperation({ operation, resource, subResource }: AdmissionRequest): GuardedOperation | undefined {
  if (resource.resource !== "pods") return undefined;
  if (operation === "CREATE") return subResource === "eviction" ? "evict" : undefined;
  if (operation === "UPDATE") return subResource === undefined ? "update" : subResource === "resize" ? "resize" : undefined;
  return operation === "DELETE" && subResource === undefined ? "delete" : undefined;
}
