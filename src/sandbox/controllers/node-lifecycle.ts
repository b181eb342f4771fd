/**
 * Nodes that are cut off: noticed after a while, tainted, and in the end without their pods. Pods of nodes that are gone go too, and those
 * that do not endure what their node is tainted with.
 */
import { type Fields, fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import { isDown } from "../kubelet/kubelet.ts";
import type { Stored } from "../storage/store.ts";
import { tolerates } from "./fit.ts";
import type { Inside } from "./inside.ts";
import { asPod, keyOf, specOf, statusOf } from "./pods.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

/** As Kubernetes' own default. */
const graceMs = 40_000;
const unreachable = "node.kubernetes.io/unreachable";

export const nodeLifecycle: MakeController = (inside, env): Controller => {
  /** When each node fell silent. */
  const silentSince = new Map<string, number>();
  /** When pods were first seen on a node that is not there. */
  const missingSince = new Map<string, number>();
  /** When a taint that does not tell its time was first seen: by the node's uid and the taint. */
  const taintedSince = new Map<string, number>();
  return {
    name: "node-controller",
    watches: { nodes: itself, pods: ({ after }) => (after === undefined ? [] : nodeKey(after)) },
    async reconcile(key) {
      const node = inside.get("nodes", key);
      const nowMs = env.nowMs();
      if (node === undefined) {
        // It may only be late.
        const sinceMs = missingSince.get(key.name) ?? nowMs;
        missingSince.set(key.name, sinceMs);
        return nowMs - sinceMs < graceMs ? graceMs - (nowMs - sinceMs) : removeAll(inside, key.name);
      }
      missingSince.delete(key.name);
      if (!isDown(node)) {
        silentSince.delete(key.name);
        if (!isReady(node) || isTainted(node)) return retryOf(await revive(inside, node, nowMs), await untaint(inside, node));
        return repelling(node).length === 0 ? undefined : evict(inside, node, taintedSince, nowMs);
      }
      const sinceMs = silentSince.get(key.name) ?? nowMs;
      silentSince.set(key.name, sinceMs);
      if (nowMs - sinceMs < graceMs) return graceMs - (nowMs - sinceMs);
      if (isReady(node)) {
        const outcomes = [await silence(inside, node, nowMs), await taint(inside, node, nowMs)];
        for (const pod of podsOn(inside, key.name)) outcomes.push(await markNotReady(inside, pod, nowMs));
        return retryOf(...outcomes) ?? 1;
      }
      return evict(inside, node, taintedSince, nowMs);
    },
  };
};

function nodeKey(pod: Stored) {
  const name = asPod(pod).spec.nodeName;
  return name ? [{ namespace: "", name }] : [];
}

const podsOn = (inside: Inside, node: string): readonly Stored[] => inside.list("pods").filter((pod) => asPod(pod).spec.nodeName === node);
const readyOf = (node: Stored): Fields | undefined =>
  itemsOf(statusOf(node)["conditions"])
    .map(fieldsOf)
    .find((condition) => condition["type"] === "Ready");
const isReady = (node: Stored): boolean => readyOf(node)?.["status"] === "True";
const isTainted = (node: Stored): boolean => itemsOf(specOf(node)["taints"]).some((entry) => fieldsOf(entry)["key"] === unreachable);

function withReady(node: Stored, status: string, reason: string, message: string, nowMs: number): Stored {
  const conditions = itemsOf(statusOf(node)["conditions"])
    .map(fieldsOf)
    .map((condition) =>
      condition["type"] === "Ready" ? { ...condition, status, reason, message, lastTransitionTime: formatTime(nowMs) } : condition,
    );
  return withFields(node, { status: withFields(statusOf(node), { conditions }) }) as Stored;
}

function silence(inside: Inside, node: Stored, nowMs: number) {
  const next = (current: Stored) => withReady(current, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", nowMs);
  return inside.update("nodes", keyOf(node), next, "status");
}

function revive(inside: Inside, node: Stored, nowMs: number) {
  const next = (current: Stored) =>
    isReady(current) ? current : withReady(current, "True", "KubeletReady", "kubelet is posting ready status", nowMs);
  return inside.update("nodes", keyOf(node), next, "status");
}

function taint(inside: Inside, node: Stored, nowMs: number) {
  return inside.update("nodes", keyOf(node), (current) => {
    if (isTainted(current)) return current;
    const added = ["NoSchedule", "NoExecute"].map((effect) => ({ key: unreachable, effect, timeAdded: formatTime(nowMs) }));
    return withFields(current, {
      spec: withFields(specOf(current), { taints: [...itemsOf(specOf(current)["taints"]), ...added] }),
    }) as Stored;
  });
}

function untaint(inside: Inside, node: Stored) {
  return inside.update("nodes", keyOf(node), (current) => {
    if (!isTainted(current)) return current;
    const kept = itemsOf(specOf(current)["taints"]).filter((entry) => fieldsOf(entry)["key"] !== unreachable);
    return withFields(current, { spec: withFields(specOf(current), { taints: kept.length === 0 ? undefined : kept }) }) as Stored;
  });
}

function markNotReady(inside: Inside, pod: Stored, nowMs: number) {
  return inside.update(
    "pods",
    keyOf(pod),
    (current) => {
      const conditions = itemsOf(statusOf(current)["conditions"])
        .map(fieldsOf)
        .map((condition) =>
          condition["type"] === "Ready" && condition["status"] === "True"
            ? { ...condition, status: "False", lastTransitionTime: formatTime(nowMs) }
            : condition,
        );
      return withFields(current, { status: withFields(statusOf(current), { conditions }) }) as Stored;
    },
    "status",
  );
}

const repelling = (node: Stored): readonly Fields[] =>
  itemsOf(specOf(node)["taints"])
    .map(fieldsOf)
    .filter((entry) => entry["effect"] === "NoExecute");

/** Pods leave when they no longer tolerate a taint. */
async function evict(inside: Inside, node: Stored, since: Map<string, number>, nowMs: number): Promise<number | "again" | undefined> {
  const taints = repelling(node).map((entry) => {
    const id = `${node.metadata.uid} ${textOf(entry["key"])}=${textOf(entry["value"])}`;
    const sinceMs = parseTime(textOf(entry["timeAdded"])) ?? since.get(id) ?? nowMs;
    since.set(id, sinceMs);
    return { entry, sinceMs };
  });
  let nextMs = Number.POSITIVE_INFINITY;
  for (const pod of podsOn(inside, node.metadata.name)) {
    if (pod.metadata.deletionTimestamp !== undefined) continue;
    const leftMs = Math.min(...taints.map(({ entry, sinceMs }) => sinceMs + toleratedMs(pod, entry) - nowMs));
    if (leftMs > 0) nextMs = Math.min(nextMs, leftMs);
    else if (retryOf(await inside.remove("pods", pod)) === "again") return "again";
  }
  return nextMs === Number.POSITIVE_INFINITY ? undefined : nextMs;
}

/** How long the pod endures a taint; of several tolerations the shortest counts. */
function toleratedMs(pod: Stored, entry: Fields): number {
  const matching = (asPod(pod).spec.tolerations ?? []).filter((toleration) => tolerates([toleration], entry));
  if (matching.length === 0) return 0;
  const seconds = matching.flatMap((toleration) => (toleration.tolerationSeconds === undefined ? [] : [toleration.tolerationSeconds]));
  return seconds.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...seconds) * 1000;
}

/** Nobody is left who could end them. */
async function removeAll(inside: Inside, node: string): Promise<"again" | undefined> {
  const outcomes = [];
  for (const pod of podsOn(inside, node)) outcomes.push(await inside.remove("pods", pod, { gracePeriodSeconds: 0 }));
  return retryOf(...outcomes);
}
