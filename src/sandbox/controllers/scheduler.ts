/** Binds pods to nodes, or says why it cannot. */
import { fieldsOf, itemsOf, withFields } from "../../kube/json.ts";
import { isFinished } from "../../kube/pod.ts";
import { formatTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import type { Stored } from "../storage/store.ts";
import { bestOf, misfit, type NodeView } from "./fit.ts";
import type { Inside } from "./inside.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

/** A pod that fits nowhere is tried again when something changes, and now and then. */
const retryMs = 30_000;

export const scheduler: MakeController = (inside, env): Controller => {
  const waiting = () =>
    inside
      .list("pods")
      .filter((pod) => isWaiting(pod as unknown as Pod))
      .map(({ metadata }) => ({ namespace: metadata.namespace ?? "", name: metadata.name }));
  return {
    name: "kube-scheduler",
    watches: {
      pods: (change) => {
        if (
          change.after === undefined ||
          (change.before !== undefined && !isFinished(change.before as unknown as Pod) && isFinished(change.after as unknown as Pod))
        )
          return waiting();
        return isWaiting(change.after as unknown as Pod) ? itself(change) : [];
      },
      nodes: waiting,
    },
    async reconcile(key) {
      const stored = inside.get("pods", key);
      if (stored === undefined || !isWaiting(stored as unknown as Pod)) return undefined;
      const pod = stored as unknown as Pod;
      if (itemsOf(pod.spec["schedulingGates"]).length > 0)
        return retryOf(
          await refuse(inside, stored, env.nowMs(), "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"),
        );
      const missing = missingClaim(inside, pod);
      const views = missing === undefined ? viewsOf(inside) : [];
      const reasons = new Map<string, number>();
      const fitting = views.filter((view) => {
        const why = misfit(pod, view, views);
        if (why !== undefined) reasons.set(why, (reasons.get(why) ?? 0) + 1);
        return why === undefined;
      });
      const best = bestOf(pod, fitting, views);
      if (best !== undefined) {
        const bound = await inside.bind(stored, best.node.metadata.name);
        if (bound.ok)
          await inside.event(
            stored,
            "Normal",
            "Scheduled",
            `Successfully assigned ${key.namespace}/${key.name} to ${best.node.metadata.name}`,
          );
        return retryOf(bound);
      }
      const total = inside.list("nodes").length;
      const texts = [...reasons].map(([why, count]) => `${count} ${why}`).sort();
      const message = missing ?? `0/${total} nodes are available: ${texts.length === 0 ? "no nodes" : texts.join(", ")}.`;
      return retryOf(await refuse(inside, stored, env.nowMs(), "Unschedulable", message)) ?? retryMs;
    },
  };
};

function isWaiting(pod: Pod): boolean {
  const { schedulerName, nodeName } = pod.spec;
  if (nodeName || pod.metadata.deletionTimestamp !== undefined) return false;
  return (schedulerName ?? "default-scheduler") === "default-scheduler" && !isFinished(pod);
}

export function viewsOf(inside: Inside): readonly NodeView[] {
  const byNode = new Map<string, Pod[]>();
  for (const stored of inside.list("pods")) {
    const pod = stored as unknown as Pod;
    if (!pod.spec.nodeName || isFinished(pod)) continue;
    byNode.set(pod.spec.nodeName, [...(byNode.get(pod.spec.nodeName) ?? []), pod]);
  }
  return inside.list("nodes").map((node) => ({ node, pods: byNode.get(node.metadata.name) ?? [] }));
}

function missingClaim(inside: Inside, pod: Pod): string | undefined {
  for (const volume of pod.spec.volumes ?? []) {
    const name = volume.persistentVolumeClaim?.claimName;
    if (name !== undefined && inside.get("persistentvolumeclaims", { namespace: pod.metadata.namespace ?? "", name }) === undefined)
      return `0/${inside.list("nodes").length} nodes are available: persistentvolumeclaim "${name}" not found.`;
  }
  return undefined;
}

async function refuse(inside: Inside, stored: Stored, nowMs: number, reason: string, message: string) {
  const key = { namespace: stored.metadata.namespace ?? "", name: stored.metadata.name };
  const outcome = await inside.update(
    "pods",
    key,
    (current) => {
      const status = fieldsOf(current["status"]);
      const known = itemsOf(status["conditions"]).map(fieldsOf);
      const before = known.find((condition) => condition["type"] === "PodScheduled");
      if (before !== undefined && before["reason"] === reason && before["message"] === message) return current;
      const condition = {
        type: "PodScheduled",
        status: "False",
        reason,
        message,
        lastProbeTime: null,
        lastTransitionTime: before?.["lastTransitionTime"] ?? formatTime(nowMs),
      };
      const conditions = [...known.filter((other) => other["type"] !== "PodScheduled"), condition];
      return withFields(current, { status: withFields(status, { conditions }) }) as Stored;
    },
    "status",
  );
  if (outcome.ok && outcome.object !== stored && reason === "Unschedulable")
    await inside.event(stored, "Warning", "FailedScheduling", message);
  return outcome;
}
