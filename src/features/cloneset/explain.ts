/** What would happen next to a CloneSet, and what holds the rest: the very plan that the manager would make, in plain words. */
import { cloneSets } from "../../api/cloneset.ts";
import { podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import type { Context } from "../../engine/controller.ts";
import type { Action } from "../../engine/plan.ts";
import { type Key, keyOf } from "../../kube/kind.ts";
import { controllerRevisions, nodes, persistentVolumeClaims, pods } from "../../kube/kinds.ts";
import type { Explainer, Explanation } from "../feature.ts";
import { observe } from "./observe.ts";
import { plan } from "./plan.ts";
import { reasonText, waiting } from "./reasons.ts";
import { sinceMsOf } from "./since.ts";

export const explainer: Explainer = {
  of: cloneSets,
  aliases: ["cloneset", "clonesets", "clone"],
  reads: [pods, persistentVolumeClaims, controllerRevisions, nodes],
  alsoReads: [podUnavailableBudgets],
  explain,
};

export async function explain(context: Context, key: Key): Promise<Explanation | undefined> {
  const observed = await observe(context, key);
  if (observed === undefined) return undefined;
  const { actions, status, reasons = [] } = plan(observed, context.nowMs());
  const held = reasons.map((reason) => ({ ...reason, text: reasonText(reason), sinceMs: sinceMsOf(reason, observed) }));
  const figures = status?.([]);
  const holding = held.filter(({ code }) => !waiting.has(code));
  const onWay = held.length - holding.length;
  const counts = [
    `${figures?.updatedReplicas ?? 0} of ${observed.cloneSet.spec.replicas ?? 1} pods on revision ${figures?.updateRevision ?? ""}`,
    `${figures?.availableReplicas ?? 0} available`,
    ...(onWay > 0 ? [`${onWay} under way`] : []),
    ...(holding.length > 0 ? [`${holding.length} held`] : []),
  ];
  return {
    state: actions.length > 0 ? "moving" : holding.length > 0 ? "held" : onWay > 0 ? "moving" : "rest",
    summary: `${keyOf(observed.cloneSet).name}: ${counts.join(", ")}`,
    next: nextLines(actions),
    held,
  };
}

const verbs: Readonly<Record<string, string>> = {
  revision: "record revision",
  release: "release pod, which no longer matches the selector:",
  "create-claim": "create claim",
  "delete-claim": "delete claim",
  "give-claim": "hand over to its pod the claim",
  delete: "delete pod",
  hold: "ask for leave to delete (PreparingDelete) pod",
  revive: "take back from deletion pod",
  refresh: "refresh state and readiness of pod",
  prepare: "ask for leave to update (PreparingUpdate) pod",
  update: "update in place pod",
  mark: "mark for recreation pod",
  budget: "charge the update of a pod to podunavailablebudget",
  "forget-deleted-pods": "remove names that are gone from podsToDelete of CloneSet",
};

/** In the order of the plan. New pods have no names before they are created: they are counted. */
function nextLines(actions: readonly Action[]): readonly string[] {
  const lines = new Map<string, number>();
  for (const action of actions) {
    const verb = /^[a-z-]+/.exec(action.id)?.[0] ?? "";
    const line = action.do === "create" && verb !== "revision" ? creationOf(action, verb) : lineOf(action, verb);
    lines.set(line, (lines.get(line) ?? 0) + 1);
  }
  return [...lines].map(([line, count]) => line.replace("#", String(count)));
}

function creationOf(action: Action, verb: string): string {
  return verb === "create" ? `create # pods of revision ${action.move?.revision ?? ""}` : "create # claims for them";
}

function lineOf(action: Action, verb: string): string {
  const name = action.do === "create" ? (action.object.metadata.name ?? "") : action.on.name;
  const isOldRevision = action.do === "delete" && action.on.of.kind === controllerRevisions.kind;
  return isOldRevision ? `delete revision ${name}, which no pod runs` : `${verbs[verb] ?? verb} ${name}`;
}
