/** What would happen next to a SidecarSet, and what holds the rest: the very plan that the manager would make, in plain words. */
import { sidecarSets } from "../../api/sidecarset.ts";
import type { Context } from "../../engine/controller.ts";
import type { Action } from "../../engine/plan.ts";
import type { Key } from "../../kube/kind.ts";
import { controllerRevisions, namespaces, pods } from "../../kube/kinds.ts";
import type { Explainer, Explanation } from "../feature.ts";
import { observe } from "./observe.ts";
import { plan } from "./plan.ts";
import { chosenRest, reasonText, waiting } from "./reasons.ts";
import { wantedRevision } from "./resolve.ts";
import { isDeleting } from "./strategy.ts";

export const setExplainer: Explainer = {
  of: sidecarSets,
  aliases: ["sidecarset", "sidecarsets"],
  reads: [pods, controllerRevisions, namespaces],
  explain: explainSet,
};

export async function explainSet(context: Context, key: Key): Promise<Explanation | undefined> {
  const observed = await observe(context, key);
  if (observed === undefined) return undefined;
  if (isDeleting(observed.set))
    return { state: "rest", summary: `${key.name}: is being deleted; pods keep their sidecars`, next: [], held: [] };
  const { actions, status, reasons = [] } = plan(observed, context.nowMs());
  const held = reasons.map((reason) => ({ ...reason, text: reasonText(reason) }));
  const figures = status?.([]);
  const onWay = held.filter(({ code }) => waiting.has(code)).length;
  const holding = held.filter(({ code }) => !waiting.has(code) && !chosenRest.has(code)).length;
  const missed = held.filter(({ code }) => code === "InjectionMissed").length;
  const stuck = held.filter(({ code }) => code === "NeedsRecreate").length;
  const counts = [
    `${figures?.updatedPods ?? 0} of ${figures?.matchedPods ?? 0} pods up to date with revision ${figures?.latestRevision ?? ""}`,
    `${figures?.readyPods ?? 0} ready`,
    ...(onWay > 0 ? [`${onWay} under way`] : []),
    ...(holding > 0 ? [`${holding} held`] : []),
    ...(stuck > 0 ? [`needs recreate: ${stuck} pods`] : []),
    ...(missed > 0 ? [`injection missed: ${missed} pods`] : []),
    ...newPodsText(observed.set),
  ];
  return {
    state: actions.length > 0 ? "moving" : holding > 0 ? "held" : onWay > 0 ? "moving" : "rest",
    summary: `${key.name}: ${counts.join(", ")}`,
    next: actions.map(lineOf),
    held,
  };
}

/** What new pods get, where it is not simply the latest. */
function newPodsText(set: Parameters<typeof wantedRevision>[0]): readonly string[] {
  if (set.spec.injectionStrategy?.paused === true) return ["new pods get nothing: injection is paused"];
  const wanted = wantedRevision(set);
  if (wanted === undefined) return [];
  const which = wanted.revisionName !== "" ? `revision ${wanted.revisionName}` : `custom version ${wanted.customVersion}`;
  return [`new pods get ${which}${set.spec.injectionStrategy?.revision?.policy === "Partial" ? ", or a share of them does" : ""}`];
}

const verbs: Readonly<Record<string, string>> = {
  revision: "record revision",
  update: "update in place the sidecars of pod",
  rest: "put the former worker of a hot-upgraded sidecar to rest in pod",
  upgradable: "tell whether it can be updated in place (condition SidecarSetUpgradable) pod",
};

function lineOf(action: Action): string {
  if (action.do === "delete") return `delete revision ${action.on.name}, which no pod has`;
  if (action.do === "create") return `record revision ${action.object.metadata.name ?? ""}`;
  if (action.do === "evict")
    return `evict pod ${action.on.namespace}/${action.on.name}, so that its successor gets the sidecars as they are now`;
  const verb = /^[a-z]+/.exec(action.id)?.[0] ?? "";
  return `${verbs[verb] ?? verb} ${action.on.namespace}/${action.on.name}`;
}
