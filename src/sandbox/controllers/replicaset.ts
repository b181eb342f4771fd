/** ReplicaSets and ReplicationControllers: as many pods as wanted. */
import { fieldsOf, withFields } from "../../kube/json.ts";
import { availableInMs, sortForDisruption } from "../../kube/pod.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { asPod, claimed, keyOf, numberOf, podFrom, selectedBy, specOf, statusOf, tally, writeStatus } from "./pods.ts";
import { type Controller, itself, type MakeController, ownersOf, retryOf } from "./worker.ts";

/** Pods made or deleted in one go. */
const batchMax = 500;

export const replicaSets: MakeController = (inside, env): Controller => {
  const resource = "replicasets.apps";
  const orphans = selectedBy(inside, resource);
  return {
    name: "replicaset-controller",
    watches: { [resource]: itself, pods: (change) => [...ownersOf("ReplicaSet")(change), ...orphans(change)] },
    async reconcile(key) {
      const set = inside.get(resource, key);
      if (set === undefined) return undefined;
      const pods = await claimed(inside, "pods", set);
      const minReadySeconds = numberOf(specOf(set)["minReadySeconds"], 0);
      const { active } = tally(pods, minReadySeconds, env.nowMs());
      const problem = set.metadata.deletionTimestamp === undefined ? await scale(inside, set, active) : undefined;
      const after = tally(await claimed(inside, "pods", set), minReadySeconds, env.nowMs());
      const labels = fieldsOf(fieldsOf(specOf(set)["template"])["metadata"])["labels"];
      const written = await writeStatus(inside, resource, set, {
        ...statusOf(set),
        replicas: after.active.length,
        fullyLabeledReplicas:
          after.active.filter((pod) => Object.entries(fieldsOf(labels)).every(([name, value]) => pod.metadata.labels?.[name] === value))
            .length || undefined,
        readyReplicas: after.ready || undefined,
        availableReplicas: after.available || undefined,
        observedGeneration: set.metadata.generation,
      });
      return problem ?? retryOf(written) ?? soonest(after.active, minReadySeconds, env.nowMs());
    },
  };
};

async function scale(inside: Inside, set: Stored, active: readonly Stored[]): Promise<"again" | undefined> {
  const difference = numberOf(specOf(set)["replicas"], 1) - active.length;
  if (difference > 0) {
    for (let made = 0; made < Math.min(difference, batchMax); made += 1) {
      const created = await inside.create(
        "pods",
        set.metadata.namespace ?? "",
        podFrom(set, specOf(set)["template"], `${set.metadata.name}-`),
      );
      if (!created.ok) {
        await inside.event(set, "Warning", "FailedCreate", `Error creating: ${created.refusal.message}`);
        return "again";
      }
      await inside.event(set, "Normal", "SuccessfulCreate", `Created pod: ${created.object.metadata.name}`);
    }
    return undefined;
  }
  const victims = sortForDisruption(active, asPod).slice(0, Math.min(-difference, batchMax));
  for (const pod of victims) {
    const removed = await inside.remove("pods", pod);
    if (removed.ok) await inside.event(set, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
    else if (removed.refusal.code !== 404) return "again";
  }
  return undefined;
}

/** Until the next pod has been ready for long enough. */
export function soonest(pods: readonly Stored[], minReadySeconds: number, nowMs: number): number | undefined {
  const waits = pods.map((pod) => availableInMs(asPod(pod), minReadySeconds, nowMs)).filter((wait) => wait !== undefined && wait > 0);
  return waits.length === 0 ? undefined : Math.min(...(waits as number[]));
}

/** A ReplicationController is a ReplicaSet with a plain selector. */
export const replicationControllers: MakeController = (inside, env): Controller => {
  const resource = "replicationcontrollers";
  return {
    name: "replication-controller",
    watches: { [resource]: itself, pods: ownersOf("ReplicationController") },
    async reconcile(key) {
      const controller = inside.get(resource, key);
      if (controller === undefined) return undefined;
      const view = withFields(controller, {
        spec: withFields(specOf(controller), { selector: { matchLabels: specOf(controller)["selector"] } }),
      }) as Stored;
      const { active } = tally(await claimed(inside, "pods", view), 0, env.nowMs());
      const problem = controller.metadata.deletionTimestamp === undefined ? await scale(inside, view, active) : undefined;
      const after = tally(await claimed(inside, "pods", view), 0, env.nowMs());
      const written = await writeStatus(inside, resource, inside.get(resource, keyOf(controller)) ?? controller, {
        ...statusOf(controller),
        replicas: after.active.length,
        readyReplicas: after.ready || undefined,
        availableReplicas: after.available || undefined,
        observedGeneration: controller.metadata.generation,
      });
      return problem ?? retryOf(written);
    },
  };
};
