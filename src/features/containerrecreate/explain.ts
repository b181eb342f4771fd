/** What becomes of a request, and what it waits for, in plain words. */
import { type ContainerRecreateState, containerRecreateRequests } from "../../api/containerrecreaterequest.ts";
import type { Context } from "../../engine/controller.ts";
import type { Key } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { Explainer, Explanation } from "../feature.ts";
import { isOver, observe } from "./observe.ts";
import { plan } from "./plan.ts";
import { reasonText, underWay } from "./reasons.ts";

export const explainer: Explainer = {
  of: containerRecreateRequests,
  aliases: ["containerrecreaterequest", "containerrecreaterequests", "crr"],
  reads: [pods],
  explain,
};

const verbs: Readonly<Record<string, string>> = {
  complete: "end the request early",
  snapshot: "tell the node agent how the pod's containers are",
  finalizer: "remember that the pod is to be let into service again",
  hold: "take the pod out of service",
  grace: "begin the grace period",
  release: "let the pod into service again",
  unfinalize: "let the request go",
  inactive: "hide the request from the node agent",
  expire: "delete the request",
};

export async function explain(context: Context, key: Key): Promise<Explanation | undefined> {
  const observed = await observe(context, key);
  if (observed === undefined) return undefined;
  const { request } = observed;
  const { actions, reasons = [] } = plan(observed, context.nowMs());
  const held = reasons.map((reason) => ({ ...reason, text: reasonText(reason) }));
  const states = request.status?.containerRecreateStates ?? [];
  const phase = request.status?.phase ?? "not taken notice of";
  const counted = (wanted: ContainerRecreateState["phase"]) => states.filter((state) => state.phase === wanted).length;
  const { message } = request.status ?? {};
  const counts = [
    phase,
    `${counted("Succeeded")} of ${request.spec.containers.length} containers recreated`,
    ...(counted("Failed") > 0 ? [`${counted("Failed")} failed`] : []),
    ...(message ? [message] : []),
  ];
  const isWaiting = held.some(({ code }) => !underWay.has(code));
  const state = isOver(request) && actions.length === 0 ? "rest" : isWaiting && actions.length === 0 ? "held" : "moving";
  return {
    state,
    summary: `${request.metadata.name}: pod ${request.spec.podName}, ${counts.join(", ")}`,
    next: actions.map((action) => verbs[action.id] ?? action.id),
    held,
  };
}
