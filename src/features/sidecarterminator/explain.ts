/** What becomes of the sidecars of a pod that is meant to finish. */
import { containerRecreateRequests } from "../../api/containerrecreaterequest.ts";
import type { Context } from "../../engine/controller.ts";
import type { Key } from "../../kube/kind.ts";
import { nodes, pods } from "../../kube/kinds.ts";
import type { Pod } from "../../kube/types.ts";
import type { Explainer, Explanation } from "../feature.ts";
import { isCompleted, isDue, mainsOf, sidecarsOf, unfinished } from "./classify.ts";
import { plan, requestName } from "./plan.ts";

export const explainer: Explainer = {
  of: pods,
  aliases: ["pod", "pods", "po"],
  reads: [containerRecreateRequests, nodes],
  explain,
};

const steps: Readonly<Record<string, string>> = {
  images: "replace the images of the sidecars by ones that end at once",
  mark: "set the pod's phase, so that the sidecars' exit codes do not tell",
  "old-request": "remove the ContainerRecreateRequest that did not end them",
  request: "make a ContainerRecreateRequest for the sidecars",
};

/** Undefined: nothing to say about this pod. */
export function explain({ read, settings, nowMs }: Context, key: Key): Explanation | undefined {
  const pod = read.get(pods, key);
  if (pod === undefined || !settings.gates.enabled("SidecarTerminator")) return undefined;
  const sidecars = sidecarsOf(pod);
  if (sidecars.length === 0 || pod.spec.restartPolicy === "Always") return undefined;
  const named = `${key.name}: sidecars ${sidecars.join(", ")}`;
  if (isCompleted(pod, sidecars)) return { state: "rest", summary: `${named} have ended`, next: [], held: [] };
  if (!isDue(pod)) return { state: "rest", summary: `${named} run until ${waitsFor(pod)}`, next: [], held: [] };
  const node = read.get(nodes, { namespace: "", name: pod.spec.nodeName ?? "" });
  const request = read.get(containerRecreateRequests, { namespace: key.namespace, name: requestName(pod) });
  const { actions, retry } = plan({ pod, node, request }, nowMs());
  const held = retry === undefined ? [] : [{ on: key.name, code: "NodeUnknown", text: retry }];
  const under =
    request === undefined ? "" : `, asked for by ContainerRecreateRequest ${request.metadata.name} (${request.status?.phase ?? "Pending"})`;
  return {
    state: held.length > 0 ? "held" : "moving",
    summary: `${named} are to end${under}`,
    next: actions.map(({ id }) => steps[id] ?? id),
    held,
  };
}

function waitsFor(pod: Readonly<Pod>): string {
  const open = unfinished(pod, mainsOf(pod));
  if (open.length > 0) return `${open.join(", ")} ${open.length === 1 ? "has" : "have"} ended`;
  return pod.spec.restartPolicy === "OnFailure" ? "the main containers have succeeded" : "the kubelet has reported on all containers";
}
