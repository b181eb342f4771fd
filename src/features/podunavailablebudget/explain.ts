/** How a budget stands, and what it would say to each operation on one of its pods: the same plan and the same decision as for real. */

import { annotation } from "../../api/names.ts";
import { type PodUnavailableBudget, type ProtectedOperation, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { protectedOperations } from "../../api/podunavailablebudget-conversion.ts";
import type { Context } from "../../engine/controller.ts";
import type { Key, Kind } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { Pod } from "../../kube/types.ts";
import { decide, freePass, protectedBy, relatedBudget } from "../../workload/budget/index.ts";
import type { Explainer, Explanation } from "../feature.ts";
import { optionalWorkloads, requiredWorkloads } from "./belongings.ts";
import { type Budget, isLeaving } from "./covers.ts";
import { isGuarded } from "./gates.ts";
import { observe } from "./observe.ts";
import { plan } from "./plan.ts";
import { reasonText } from "./reasons.ts";

const workloads: readonly Kind[] = [...requiredWorkloads, ...optionalWorkloads];

export const budgetExplainer: Explainer = {
  of: podUnavailableBudgets,
  aliases: ["pub", "podunavailablebudget", "podunavailablebudgets"],
  reads: [pods],
  alsoReads: workloads,
  explain: explainBudget,
};

export const podExplainer: Explainer = {
  of: pods,
  aliases: ["pod", "pods", "po"],
  reads: [podUnavailableBudgets],
  explain: explainPod,
};

export async function explainBudget(context: Context, key: Key): Promise<Explanation | undefined> {
  const observed = await observe(context, key);
  if (observed === undefined) return undefined;
  const { budget } = observed;
  const { actions, reasons = [], retry } = plan(observed, context.nowMs());
  const marks = actions.filter(({ id }) => id.startsWith("mark:"));
  const held = reasons.map((reason) => ({ ...reason, text: reasonText(reason) }));
  if (retry !== undefined) held.unshift({ on: "", code: "NotCounted", text: retry });
  const none = held.some(({ on }) => on === "");
  return {
    state: none ? "held" : marks.length > 0 ? "moving" : "rest",
    summary: `${key.name}: ${figuresOf(budget)}`,
    next: marks.map(({ id }) => `mark pod ${id.slice("mark:".length)} as guarded by it`),
    held,
  };
}

function figuresOf({ status, metadata }: Budget): string {
  if (status === undefined) return "not counted yet: it refuses nothing";
  const stale =
    status.observedGeneration !== undefined && status.observedGeneration !== metadata.generation ? ", counted before its last change" : "";
  const { unavailableAllowed: allowed, currentAvailable: current, desiredAvailable: desired, totalReplicas: total } = status;
  return `${current} pods available of ${total} expected, ${desired} have to be, ${allowed} may go now${stale}`;
}

export function explainPod(context: Context, key: Key): Explanation | undefined {
  const { read, settings } = context;
  const pod = read.get(pods, key);
  if (pod === undefined) return undefined;
  const name = relatedBudget(pod);
  const budget = settings.serves(podUnavailableBudgets) ? read.get(podUnavailableBudgets, { namespace: key.namespace, name }) : undefined;
  const free = whyFree(pod, name, budget, context);
  if (free !== undefined) return { state: "rest", summary: `${key.name}: ${free}`, next: [], held: [] };
  const held = refusals(pod, budget as Budget, context);
  const summary = `${key.name}: guarded by podunavailablebudget ${name} (${figuresOf(budget as Budget)})`;
  return { state: held.length > 0 ? "held" : "rest", summary, next: [], held };
}

function whyFree(pod: Readonly<Pod>, name: string, budget: Budget | undefined, { settings }: Context): string | undefined {
  if (name === "") return "no podunavailablebudget guards it";
  if (budget === undefined || isLeaving(budget)) return `its podunavailablebudget ${name} is gone: nothing is refused`;
  switch (freePass(pod, settings.gates)) {
    case "NoProtect":
      return `annotation ${annotation.pubNoProtect} takes it out of podunavailablebudget ${name}`;
    case "NotReady":
      return `not running and ready: podunavailablebudget ${name} lets it go at no charge`;
    case "NotConsistent":
      return `does not run what its spec says yet: podunavailablebudget ${name} lets it go at no charge`;
    case undefined:
      return undefined;
  }
}

function refusals(pod: Readonly<Pod>, budget: Budget, context: Context): Explanation["held"] {
  const { gates } = context.settings;
  const nowMs = context.nowMs();
  const asked = protectedOperations.filter((operation) => isGuarded(operation, { gates }) && protectedBy(budget, gates).has(operation));
  const refused = asked.flatMap((operation): { operation: ProtectedOperation; message: string }[] => {
    const decision = decide(budget, { pod, operation, gates, nowMs });
    return decision.allowed ? [] : [{ operation, message: decision.message }];
  });
  const first = refused[0];
  if (first === undefined) return [];
  const operations = refused.map(({ operation }) => operation).join(", ");
  const why = first.message.slice(first.message.indexOf(": ") + 2);
  return [
    { on: pod.metadata.name, code: "Refused", text: `${operations} would be refused: ${why}` },
    ...remedies(budget, pod, context).map((text) => ({ on: pod.metadata.name, code: "WouldPass", text })),
  ];
}

function remedies(budget: Budget, pod: Readonly<Pod>, { read, settings }: Context): readonly string[] {
  const { desiredAvailable = 0, currentAvailable = 0 } = budget.status ?? {};
  const out = read
    .list(pods, pod.metadata.namespace)
    .filter((other) => relatedBudget(other) === budget.metadata.name && freePass(other, settings.gates) !== undefined)
    .map(({ metadata }) => metadata.name);
  const missing = desiredAvailable + 1 - currentAvailable;
  const waiting = out.length > 0 ? ` (not available: ${out.slice(0, namesMax).join(", ")}${out.length > namesMax ? ", …" : ""})` : "";
  return [
    `would pass when ${missing} more ${missing === 1 ? "pod is" : "pods are"} available${waiting}`,
    `would pass with ${amountFix(budget)}`,
    `would pass with annotation ${annotation.pubNoProtect}=true on the pod`,
  ];
}

const namesMax = 10;

function amountFix({ spec, metadata }: Readonly<PodUnavailableBudget>): string {
  const [field, change] = spec.maxUnavailable === undefined ? ["minAvailable", "lower"] : ["maxUnavailable", "higher"];
  return `a ${change} spec.${field} in podunavailablebudget ${metadata.name}`;
}
