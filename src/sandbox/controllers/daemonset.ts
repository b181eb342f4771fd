/** DaemonSets: a pod on every node that suits. */
import { scaledCountOr } from "../../kube/int-or-percent.ts";
import { type Fields, fieldsOf, itemsOf, withFields } from "../../kube/json.ts";
import { isAvailable, isReady } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import type { Stored } from "../storage/store.ts";
import { matchesNode, toleratesAll } from "./fit.ts";
import type { Inside } from "./inside.ts";
import { asPod, claimed, isFinishedPod, numberOf, podFrom, specOf, statusOf, writeStatus } from "./pods.ts";
import { soonest } from "./replicaset.ts";
import { forgetRevisions, hashOf, revisionFor } from "./revisions.ts";
import { type Controller, itself, type MakeController, ownersOf, retryOf } from "./worker.ts";

const resource = "daemonsets.apps";
const hashLabel = "controller-revision-hash";

/** What daemons endure, as Kubernetes adds it. */
const tolerations = [
  { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/disk-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/memory-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/pid-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/unschedulable", operator: "Exists", effect: "NoSchedule" },
];

export const daemonSets: MakeController = (inside, env): Controller => ({
  name: "daemonset-controller",
  watches: {
    [resource]: itself,
    pods: ownersOf("DaemonSet"),
    nodes: () => inside.list(resource).map(({ metadata }) => ({ namespace: metadata.namespace ?? "", name: metadata.name })),
  },
  async reconcile(key) {
    const set = inside.get(resource, key);
    if (set === undefined) return undefined;
    const target = await revisionFor(inside, set);
    if (target === undefined) return "again";
    const nodes = inside.list("nodes").filter((node) => suits(set, node));
    const minReadySeconds = numberOf(specOf(set)["minReadySeconds"], 0);
    const available = (pod: Stored) =>
      pod.metadata.deletionTimestamp === undefined && isAvailable(asPod(pod), minReadySeconds, env.nowMs());
    const problem = set.metadata.deletionTimestamp === undefined ? await manage(inside, set, hashOf(target), nodes, available) : undefined;
    const pods = await claimed(inside, "pods", set);
    await forgetRevisions(inside, set, new Set([hashOf(target), ...pods.map((pod) => pod.metadata.labels?.[hashLabel] ?? "")]));
    const written = await writeStatus(
      inside,
      resource,
      inside.get(resource, key) ?? set,
      statusFor(set, pods, nodes, hashOf(target), available),
    );
    return problem ?? retryOf(written) ?? soonest(pods, minReadySeconds, env.nowMs());
  },
});

function daemonPod(set: Stored, node: string, hash: string): Fields {
  const pod = podFrom(set, specOf(set)["template"], `${set.metadata.name}-`, {
    [hashLabel]: hash,
    "pod-template-generation": String(set.metadata.generation ?? 1),
  });
  const spec = fieldsOf(pod["spec"]);
  const affinity = fieldsOf(spec["affinity"]);
  const here = { matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] };
  const nodeAffinity = withFields(fieldsOf(affinity["nodeAffinity"]), {
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [here] },
  });
  return withFields(pod, {
    spec: withFields(spec, {
      affinity: withFields(affinity, { nodeAffinity }),
      tolerations: [...itemsOf(spec["tolerations"]), ...tolerations],
    }),
  });
}

function suits(set: Stored, node: Stored): boolean {
  const template = fieldsOf(specOf(set)["template"]);
  const spec = fieldsOf(template["spec"]);
  const pod = {
    metadata: { labels: {} },
    spec: { ...spec, tolerations: [...itemsOf(spec["tolerations"]), ...tolerations] },
  } as unknown as Pod;
  return matchesNode(pod, node) && toleratesAll(pod, node);
}

/** The node a pod is for, before and after it is bound. */
function nodeOf(pod: Stored): string {
  const { spec } = asPod(pod);
  if (spec.nodeName) return spec.nodeName;
  const required = fieldsOf(fieldsOf(fieldsOf(spec.affinity)["nodeAffinity"])["requiredDuringSchedulingIgnoredDuringExecution"]);
  const field = fieldsOf(itemsOf(fieldsOf(itemsOf(required["nodeSelectorTerms"])[0])["matchFields"])[0]);
  return String(itemsOf(field["values"])[0] ?? "");
}

async function manage(
  inside: Inside,
  set: Stored,
  hash: string,
  nodes: readonly Stored[],
  available: (pod: Stored) => boolean,
): Promise<"again" | undefined> {
  const pods = await claimed(inside, "pods", set);
  const byNode = new Map<string, Stored[]>();
  for (const pod of pods) byNode.set(nodeOf(pod), [...(byNode.get(nodeOf(pod)) ?? []), pod]);
  const names = new Set(nodes.map(({ metadata }) => metadata.name));
  const doomed = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined && (!names.has(nodeOf(pod)) || isFinishedPod(pod)));
  for (const { metadata } of nodes) {
    if ((byNode.get(metadata.name) ?? []).length > 0) continue;
    const created = await inside.create("pods", set.metadata.namespace ?? "", daemonPod(set, metadata.name, hash));
    if (!created.ok) return "again";
    await inside.event(set, "Normal", "SuccessfulCreate", `Created pod: ${created.object.metadata.name}`);
  }
  for (const pod of [...doomed, ...outdated(set, hash, pods, names.size, available)]) {
    const removed = await inside.remove("pods", pod);
    if (!removed.ok && removed.refusal.code !== 404) return "again";
    if (removed.ok) await inside.event(set, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
  }
  return undefined;
}

/** Those to replace now: as many as may be unavailable. */
function outdated(
  set: Stored,
  hash: string,
  pods: readonly Stored[],
  desired: number,
  available: (pod: Stored) => boolean,
): readonly Stored[] {
  const strategy = fieldsOf(specOf(set)["updateStrategy"]);
  if (strategy["type"] === "OnDelete") return [];
  const budget = Math.max(1, scaledCountOr(fieldsOf(strategy["rollingUpdate"])["maxUnavailable"], desired, "up", 1));
  const old = pods.filter((pod) => pod.metadata.labels?.[hashLabel] !== hash && pod.metadata.deletionTimestamp === undefined);
  const down = old.filter((pod) => !available(pod));
  const up = pods.filter(available).length;
  const room = Math.max(0, budget - (desired - up));
  return [...down, ...old.filter(available).slice(0, room)];
}

function statusFor(
  set: Stored,
  pods: readonly Stored[],
  nodes: readonly Stored[],
  hash: string,
  available: (pod: Stored) => boolean,
): Fields {
  const names = new Set(nodes.map(({ metadata }) => metadata.name));
  const placed = pods.filter((pod) => names.has(nodeOf(pod)) && pod.metadata.deletionTimestamp === undefined);
  const up = placed.filter(available).length;
  return {
    ...statusOf(set),
    observedGeneration: set.metadata.generation,
    currentNumberScheduled: placed.length,
    desiredNumberScheduled: nodes.length,
    numberMisscheduled: pods.filter((pod) => asPod(pod).spec.nodeName && !names.has(nodeOf(pod))).length,
    numberReady: placed.filter((pod) => isReady(asPod(pod))).length,
    updatedNumberScheduled: placed.filter((pod) => pod.metadata.labels?.[hashLabel] === hash).length || undefined,
    numberAvailable: up || undefined,
    numberUnavailable: nodes.length - up || undefined,
  };
}
