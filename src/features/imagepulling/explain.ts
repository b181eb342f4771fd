/** What would happen next to a job, and what holds the rest: the very plan that the manager would make, in plain words. */
import { imageListPullJobs } from "../../api/imagelistpulljob.ts";
import { imagePullJobs } from "../../api/imagepulljob.ts";
import { nodeImages } from "../../api/nodeimage.ts";
import type { Context } from "../../engine/controller.ts";
import type { Action, Reason } from "../../engine/plan.ts";
import type { Key } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { Explainer, Explanation } from "../feature.ts";
import { observe as observeList, plan as planList } from "./imagelistpulljob/plan.ts";
import { observe } from "./imagepulljob/observe.ts";
import { plan } from "./imagepulljob/plan.ts";
import { reasonText, waiting } from "./imagepulljob/reasons.ts";

export const explainers: readonly Explainer[] = [
  {
    of: imagePullJobs,
    aliases: ["imagepulljob", "imagepulljobs"],
    reads: [nodeImages, pods],
    explain: explainJob,
  },
  {
    of: imageListPullJobs,
    aliases: ["imagelistpulljob", "imagelistpulljobs"],
    reads: [imagePullJobs],
    explain: explainList,
  },
];

export async function explainJob(context: Context, key: Key): Promise<Explanation | undefined> {
  const observed = await observe(context, key);
  if (observed === undefined) return undefined;
  const { actions, status, reasons = [], retry } = plan(observed, context.nowMs());
  const held = reasons.map((reason) => ({ ...reason, text: reasonText(reason) }));
  const { desired = 0, active = 0, succeeded = 0, failed = 0, message = "", completionTime } = status?.([]) ?? observed.job.status ?? {};
  const isHeld = retry !== undefined || held.some(({ code }) => !waiting.has(code));
  const parts = [
    `${succeeded} of ${desired} nodes have ${observed.job.spec.image}`,
    `${active} pulling`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    message,
  ];
  return {
    state: completionTime !== undefined ? "rest" : actions.length > 0 || (active > 0 && !isHeld) ? "moving" : isHeld ? "held" : "rest",
    summary: `${key.name}: ${parts.filter((part) => part !== "").join(", ")}`,
    next: actions.map(nextLine),
    held: [...(retry === undefined ? [] : [{ on: "", code: "Problem", text: retry }]), ...held],
  };
}

export function explainList(context: Context, key: Key): Explanation | undefined {
  const observed = observeList(context, key);
  if (observed === undefined) return undefined;
  const { actions, status, reasons = [] } = planList(observed, context.nowMs());
  const { desired = 0, active = 0, completed = 0, succeeded = 0, completionTime } = status?.([]) ?? observed.list.status ?? {};
  return {
    state: completionTime !== undefined ? "rest" : "moving",
    summary: `${key.name}: ${succeeded} of ${desired} images are everywhere, ${completed} completed, ${active} active`,
    next: actions.map(nextLine),
    held: reasons.map((reason) => ({ ...reason, text: listText(reason) })),
  };
}

function listText({ figures }: Reason): string {
  return `its ImagePullJob is under way: ${figures?.["message"]}`;
}

const verbs: Readonly<Record<string, string>> = {
  finalizer: "set or remove the finalizer of",
  secret: "copy the pull secret",
  release: "give back the copy of pull secret",
  node: "tell node",
  label: "label with the hash of the template",
  create: "create ImagePullJob",
  delete: "delete",
};

function nextLine(action: Action): string {
  const word = action.id.split("/", 1)[0] ?? "";
  const name = action.do === "create" ? (action.object.metadata.name ?? "") : action.on.name;
  return `${verbs[word] ?? word} ${name}${word === "node" ? " to pull the image" : ""}`;
}
