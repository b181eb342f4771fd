/**
 * A budget's say in the deletion, eviction, update or resize of a pod. Who is let through is in the budget's status before the answer
 * leaves: several replicas grant from the same status, and its resourceVersion keeps them from granting the same unit twice.
 */
import { type AdmissionContext, type AdmissionRequest, allow, deny, type PodGuard, type Verdict } from "../../admission/webhook.ts";
import { annotation } from "../../api/names.ts";
import { type PodUnavailableBudget, type ProtectedOperation, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { type Ref, refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { failureText } from "../../kube/outcome.ts";
import type { Pod } from "../../kube/types.ts";
import { type Decision, decide, freePass, relatedBudget } from "../../workload/budget/index.ts";
import { type Entry, enterInLedger } from "../../workload/ledger.ts";
import { controllerOf } from "../../workload/owner.ts";
import { isLeaving, podsOfNamespace } from "./covers.ts";
import { isEnabled, isGuarded } from "./gates.ts";
import { updateOperation } from "./operation.ts";

export const guard: PodGuard = {
  name: "podunavailablebudget",
  // After WorkloadSpread, which only counts.
  order: 20,
  operations: ["update", "resize", "delete", "evict"],
  concerns: `has(oldObject.metadata.annotations) && (${[annotation.relatedPub, annotation.relatedPubLegacy].map((key) => `"${key}" in oldObject.metadata.annotations`).join(" || ")})`,
  source: podsOfNamespace,
  active: (settings) => isEnabled(settings) && settings.serves(podUnavailableBudgets),
  review,
};

interface Asked {
  /** As the server has it now. */
  readonly pod: Readonly<Pod>;
  readonly operation: ProtectedOperation;
}

export function review(request: AdmissionRequest<Pod>, context: AdmissionContext): Verdict | Promise<Verdict> {
  const asked = operationOf(request);
  if (asked === undefined || !isGuarded(asked, context.settings)) return allow;
  if (asked === "EVICT") return reviewEviction(request, context);
  return request.oldObject === undefined ? allow : reviewPod({ pod: request.oldObject, operation: asked }, request, context);
}

/** Undefined: harmless. */
function operationOf({ operation, object, oldObject }: AdmissionRequest<Pod>): ProtectedOperation | undefined {
  switch (operation) {
    case "DELETE":
      return "DELETE";
    case "CREATE":
      return "EVICT";
    case "UPDATE":
      // The pod as it was says whose it is: an update cannot slip out by removing its own mark.
      return object === undefined || oldObject === undefined || relatedBudget(oldObject) === ""
        ? undefined
        : updateOperation(oldObject, object);
    case "CONNECT":
      return undefined;
  }
}

/** The request carries an Eviction, not the pod: whether the pod counts now is for the server to say. */
async function reviewEviction(request: AdmissionRequest<Pod>, context: AdmissionContext): Promise<Verdict> {
  const name = request.name || (request.object?.metadata.name ?? "");
  const answer = await context.read.live.get(pods, { namespace: request.namespace, name });
  if (!answer.ok) return deny(400, `pod ${name} cannot be read: ${failureText(answer)}`);
  return reviewPod({ pod: answer.object, operation: "EVICT" }, request, context);
}

function reviewPod(asked: Asked, request: AdmissionRequest<Pod>, context: AdmissionContext): Verdict | Promise<Verdict> {
  const { gates } = context.settings;
  const name = relatedBudget(asked.pod);
  if (name === "" || freePass(asked.pod, gates) !== undefined) return allow;
  return askBudget({ of: podUnavailableBudgets, namespace: request.namespace, name }, asked, request, context);
}

type Answer = Decision | { readonly allowed: true; readonly because: "BudgetLeaving" };

async function askBudget(
  ref: Ref<PodUnavailableBudget>,
  { pod, operation }: Asked,
  request: AdmissionRequest<Pod>,
  context: AdmissionContext,
): Promise<Verdict> {
  const { gates } = context.settings;
  let evictionCode = 403;
  const answer = await enterInLedger<PodUnavailableBudget, Answer>(
    context,
    ref,
    (budget) => {
      evictionCode = evictionCodeOf(budget);
      if (isLeaving(budget)) return { answer: { allowed: true, because: "BudgetLeaving" } };
      return entryOf(decide(budget, { pod, operation, gates, nowMs: context.nowMs() }));
    },
    request.dryRun,
  );
  if (!answer.ok) {
    if (answer.why === "notFound") return allow;
    return deny(answer.why === "throttled" ? 429 : 403, `podunavailablebudget ${ref.name}: ${failureText(answer)}`);
  }
  const decision = answer.object;
  if (decision.allowed) return allow;
  if (decision.because === "SelectorUnreadable") return deny(400, decision.message);
  tell(pod, decision.message, request, context);
  return deny(operation === "EVICT" ? evictionCode : 403, decision.message);
}

/** A refusal, and a pass because nothing is desired, are not believed of a copy that may be old. */
function entryOf(decision: Decision): Entry<Decision> {
  const unsure = decision.allowed ? decision.because === "NothingDesired" : decision.because !== "SelectorUnreadable";
  return { answer: decision, unsure, ...("status" in decision ? { status: decision.status } : {}) };
}

/** `kubectl drain` tries again after 429, and gives up after 403. */
function evictionCodeOf({ metadata }: Readonly<PodUnavailableBudget>): 403 | 429 {
  return metadata.annotations?.[annotation.pubEvictionResponse] === "TooManyRequests" ? 429 : 403;
}

/** Not the controller's: OpenKruise's refusals come under this name, and people filter by it. */
const eventComponent = "pub-controller";

function tell(pod: Readonly<Pod>, message: string, request: AdmissionRequest<Pod>, context: AdmissionContext): void {
  const owner = controllerOf(pod);
  context.emit(refOf(pods, pod as Pod), "Warning", "PubPreventPodDeletion", message, eventComponent);
  context.refused({
    event: "PodUnavailableBudget",
    kind: owner?.kind ?? "unknown",
    namespace: pod.metadata.namespace || "default",
    name: owner?.name ?? pod.metadata.name,
    userAgent: request.userInfo.username ?? "",
  });
}
