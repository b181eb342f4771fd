/** Deployments: a ReplicaSet a revision, and pods moved from the old ones to the new one within the budget. */
import { encodeAs } from "../../kube/canonical/encode.ts";
import { revisionHash } from "../../kube/canonical/hash.ts";
import { scaledCountOr } from "../../kube/int-or-percent.ts";
import { deepEqual, type Fields, fieldsOf, isFields, withFields } from "../../kube/json.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { claimed, conditionOf, keyOf, numberOf, ownerReference, specOf, statusOf, writeStatus } from "./pods.ts";
import { type Controller, itself, type MakeController, ownersOf, retryOf } from "./worker.ts";

const resource = "deployments.apps";
const sets = "replicasets.apps";
const hashLabel = "pod-template-hash";
const revisionAnnotation = "deployment.kubernetes.io/revision";
const desiredAnnotation = "deployment.kubernetes.io/desired-replicas";
const maxAnnotation = "deployment.kubernetes.io/max-replicas";

export const deployments: MakeController = (inside, env): Controller => ({
  name: "deployment-controller",
  watches: { [resource]: itself, [sets]: ownersOf("Deployment") },
  async reconcile(key) {
    const deployment = inside.get(resource, key);
    if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return undefined;
    const owned = await claimed(inside, sets, deployment);
    const paused = specOf(deployment)["paused"] === true;
    const current = owned.find((set) => sameTemplate(set, deployment));
    const target = current ?? (paused ? undefined : await createSet(inside, deployment, owned));
    if (target === "again") return "again";
    const others = owned.filter((set) => set.metadata.uid !== target?.metadata.uid);
    if (target !== undefined) {
      const number = await stampRevision(inside, deployment, target, owned);
      if (number === "again") return "again";
      if ((await (paused ? scaleOnly(inside, deployment, target) : roll(inside, deployment, target, others))) === "again") return "again";
    }
    // Without a set of its own template, a paused one scales what it has.
    const [active] = owned.filter((set) => numberOf(specOf(set)["replicas"], 0) > 0);
    if (target === undefined && active !== undefined && (await scaleOnly(inside, deployment, active)) === "again") return "again";
    await forget(inside, deployment, others);
    const fresh = await claimed(inside, sets, inside.get(resource, key) ?? deployment);
    return status(inside, inside.get(resource, key) ?? deployment, fresh, target, env.nowMs());
  },
});

function templateOf(object: Stored): Fields {
  const template = fieldsOf(specOf(object)["template"]);
  const metadata = fieldsOf(template["metadata"]);
  const labels = withFields(fieldsOf(metadata["labels"]), { [hashLabel]: undefined });
  return withFields(template, { metadata: withFields(metadata, { labels }) });
}

const sameTemplate = (set: Stored, deployment: Stored): boolean => deepEqual(templateOf(set), templateOf(deployment));
const replicasOf = (object: Stored): number => numberOf(specOf(object)["replicas"], 1);
const sum = (list: readonly Stored[], of: (set: Stored) => number): number => list.reduce((total, set) => total + of(set), 0);
const revisionOf = (object: Stored): number => Number(object.metadata.annotations?.[revisionAnnotation] ?? 0);

interface Budget {
  readonly surge: number;
  readonly unavailable: number;
}

function budgetOf(deployment: Stored): Budget {
  const strategy = fieldsOf(specOf(deployment)["strategy"]);
  if (strategy["type"] === "Recreate") return { surge: 0, unavailable: replicasOf(deployment) };
  const rolling = fieldsOf(strategy["rollingUpdate"]);
  const surge = scaledCountOr(rolling["maxSurge"], replicasOf(deployment), "up", "25%");
  const unavailable = scaledCountOr(rolling["maxUnavailable"], replicasOf(deployment), "down", "25%");
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

async function createSet(inside: Inside, deployment: Stored, owned: readonly Stored[]): Promise<Stored | "again"> {
  const template = templateOf(deployment);
  const collisions = numberOf(statusOf(deployment)["collisionCount"], 0);
  const hash = revisionHash(encodeAs("PodTemplateSpec", template, { sorted: true }), collisions);
  const labels = fieldsOf(fieldsOf(template["metadata"])["labels"]);
  const selector = fieldsOf(specOf(deployment)["selector"]);
  const recreate = fieldsOf(specOf(deployment)["strategy"])["type"] === "Recreate";
  const room = replicasOf(deployment) + budgetOf(deployment).surge - sum(owned, replicasOf);
  const replicas = recreate && sum(owned, replicasOf) > 0 ? 0 : Math.max(0, Math.min(replicasOf(deployment), room));
  const name = `${deployment.metadata.name}-${hash}`;
  const created = await inside.create(sets, deployment.metadata.namespace ?? "", {
    metadata: {
      name,
      labels: { ...labels, [hashLabel]: hash },
      annotations: {
        ...withFields(fieldsOf(deployment.metadata.annotations), {
          "kubectl.kubernetes.io/last-applied-configuration": undefined,
          [revisionAnnotation]: undefined,
        }),
        [revisionAnnotation]: String(Math.max(0, ...owned.map(revisionOf)) + 1),
        [desiredAnnotation]: String(replicasOf(deployment)),
        [maxAnnotation]: String(replicasOf(deployment) + budgetOf(deployment).surge),
      },
      ownerReferences: [ownerReference(deployment)],
    },
    spec: {
      replicas,
      minReadySeconds: specOf(deployment)["minReadySeconds"] ?? 0,
      selector: withFields(selector, { matchLabels: { ...fieldsOf(selector["matchLabels"]), [hashLabel]: hash } }),
      template: withFields(template, {
        metadata: withFields(fieldsOf(template["metadata"]), { labels: { ...labels, [hashLabel]: hash } }),
      }),
    },
  });
  if (created.ok) {
    if (replicas > 0) await scaled(inside, deployment, name, 0, replicas);
    return created.object;
  }
  if (created.refusal.reason !== "AlreadyExists") {
    await inside.event(deployment, "Warning", "ReplicaSetCreateError", created.refusal.message);
    return "again";
  }
  // The name is taken by another template.
  await writeStatus(inside, resource, deployment, { ...statusOf(deployment), collisionCount: collisions + 1 });
  return "again";
}

/** The newest revision has the highest number, also after a roll back. */
async function stampRevision(inside: Inside, deployment: Stored, target: Stored, owned: readonly Stored[]): Promise<"again" | undefined> {
  const highest = Math.max(0, ...owned.filter((set) => set.metadata.uid !== target.metadata.uid).map(revisionOf));
  const revision = String(revisionOf(target) > highest ? revisionOf(target) : highest + 1);
  const stamp = (object: Stored) =>
    object.metadata.annotations?.[revisionAnnotation] === revision
      ? object
      : (withFields(object, {
          metadata: withFields(object.metadata, { annotations: { ...object.metadata.annotations, [revisionAnnotation]: revision } }),
        }) as Stored);
  return retryOf(await inside.update(sets, keyOf(target), stamp), await inside.update(resource, keyOf(deployment), stamp));
}

async function setReplicas(inside: Inside, deployment: Stored, set: Stored, replicas: number): Promise<"again" | undefined> {
  const before = replicasOf(inside.get(sets, keyOf(set)) ?? set);
  if (before === replicas) return undefined;
  const { surge } = budgetOf(deployment);
  const outcome = await inside.update(sets, keyOf(set), (current) => {
    const annotations = {
      ...current.metadata.annotations,
      [desiredAnnotation]: String(replicasOf(deployment)),
      [maxAnnotation]: String(replicasOf(deployment) + surge),
    };
    return withFields(current, {
      metadata: withFields(current.metadata, { annotations }),
      spec: withFields(specOf(current), { replicas }),
    }) as Stored;
  });
  if (outcome.ok) await scaled(inside, deployment, set.metadata.name, before, replicas);
  return retryOf(outcome);
}

function scaled(inside: Inside, deployment: Stored, name: string, from: number, to: number): Promise<void> {
  return inside.event(
    deployment,
    "Normal",
    "ScalingReplicaSet",
    `Scaled ${to > from ? "up" : "down"} replica set ${name} from ${from} to ${to}`,
  );
}

const scaleOnly = (inside: Inside, deployment: Stored, target: Stored) => setReplicas(inside, deployment, target, replicasOf(deployment));

async function roll(inside: Inside, deployment: Stored, target: Stored, others: readonly Stored[]): Promise<"again" | undefined> {
  const wanted = replicasOf(deployment);
  const { surge, unavailable } = budgetOf(deployment);
  const old = others.filter((set) => replicasOf(set) > 0 || numberOf(statusOf(set)["replicas"], 0) > 0);
  if (fieldsOf(specOf(deployment)["strategy"])["type"] === "Recreate") {
    for (const set of old) if ((await setReplicas(inside, deployment, set, 0)) === "again") return "again";
    // The old pods are gone for good before the first new one comes.
    const left = inside
      .list("pods", deployment.metadata.namespace)
      .some((pod) => old.some((set) => pod.metadata.ownerReferences?.some(({ uid }) => uid === set.metadata.uid)));
    return left ? undefined : setReplicas(inside, deployment, target, wanted);
  }
  const present = replicasOf(target) + sum(old, replicasOf);
  const now = replicasOf(target) > wanted ? wanted : Math.min(wanted, replicasOf(target) + Math.max(0, wanted + surge - present));
  if ((await setReplicas(inside, deployment, target, now)) === "again") return "again";
  return shrink(inside, deployment, target, old, wanted - unavailable);
}

/** Old pods go as long as enough stay available; those that are not available go first. */
async function shrink(
  inside: Inside,
  deployment: Stored,
  target: Stored,
  old: readonly Stored[],
  availableMin: number,
): Promise<"again" | undefined> {
  const availableOf = (set: Stored) => numberOf(statusOf(set)["availableReplicas"], 0);
  const fresh = inside.get(sets, keyOf(target)) ?? target;
  const missing = replicasOf(fresh) - availableOf(fresh);
  let room = Math.max(0, replicasOf(fresh) + sum(old, replicasOf) - availableMin - missing);
  const next = new Map(old.map((set) => [set, replicasOf(set)]));
  for (const set of old) {
    const dead = Math.min(room, Math.max(0, replicasOf(set) - availableOf(set)));
    next.set(set, (next.get(set) as number) - dead);
    room -= dead;
  }
  let spare = Math.min(room, Math.max(0, availableOf(fresh) + sum(old, availableOf) - availableMin));
  for (const set of old) {
    const gone = Math.min(spare, next.get(set) as number);
    next.set(set, (next.get(set) as number) - gone);
    spare -= gone;
  }
  for (const [set, replicas] of next) if ((await setReplicas(inside, deployment, set, replicas)) === "again") return "again";
  return undefined;
}

async function forget(inside: Inside, deployment: Stored, others: readonly Stored[]): Promise<void> {
  const limit = numberOf(specOf(deployment)["revisionHistoryLimit"], 10);
  const idle = others.filter(
    (set) => replicasOf(set) === 0 && numberOf(statusOf(set)["replicas"], 0) === 0 && set.metadata.deletionTimestamp === undefined,
  );
  const surplus = [...idle].sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, idle.length - limit));
  for (const set of surplus) await inside.remove(sets, set);
}

async function status(inside: Inside, deployment: Stored, owned: readonly Stored[], target: Stored | undefined, nowMs: number) {
  const count = (field: string, of: readonly Stored[] = owned) => sum(of, (set) => numberOf(statusOf(set)[field], 0));
  const fresh = owned.filter((set) => set.metadata.uid === target?.metadata.uid);
  const wanted = replicasOf(deployment);
  const available = count("availableReplicas");
  const before = statusOf(deployment);
  const now = formatTime(nowMs);
  const enough = available >= wanted - budgetOf(deployment).unavailable;
  const complete = count("replicas", fresh) === wanted && count("replicas") === wanted && count("availableReplicas", fresh) === wanted;
  const progress = progressOf(deployment, target, { complete, moved: progressed(before, fresh, count), nowMs });
  const conditions = [
    conditionOf(before["conditions"], enough ? minimumAvailable : minimumUnavailable, now),
    ...(isFields(progress.condition) ? [progress.condition] : []),
  ];
  const written = await writeStatus(inside, resource, deployment, {
    ...before,
    observedGeneration: deployment.metadata.generation,
    replicas: count("replicas") || undefined,
    updatedReplicas: count("replicas", fresh) || undefined,
    readyReplicas: count("readyReplicas") || undefined,
    availableReplicas: available || undefined,
    unavailableReplicas: Math.max(0, Math.max(wanted, count("replicas")) - available) || undefined,
    conditions,
  });
  return retryOf(written) ?? progress.againMs;
}

const minimumAvailable = {
  type: "Available",
  status: "True",
  reason: "MinimumReplicasAvailable",
  message: "Deployment has minimum availability.",
};
const minimumUnavailable = {
  type: "Available",
  status: "False",
  reason: "MinimumReplicasUnavailable",
  message: "Deployment does not have minimum availability.",
};

function progressed(before: Fields, fresh: readonly Stored[], count: (field: string, of?: readonly Stored[]) => number): boolean {
  return (
    count("replicas", fresh) > numberOf(before["updatedReplicas"], 0) ||
    count("availableReplicas") > numberOf(before["availableReplicas"], 0) ||
    count("readyReplicas") > numberOf(before["readyReplicas"], 0)
  );
}

function progressOf(
  deployment: Stored,
  target: Stored | undefined,
  { complete, moved, nowMs }: { complete: boolean; moved: boolean; nowMs: number },
) {
  const known = (Array.isArray(statusOf(deployment)["conditions"]) ? (statusOf(deployment)["conditions"] as unknown[]) : []).map(fieldsOf);
  const before = known.find((condition) => condition["type"] === "Progressing");
  const now = formatTime(nowMs);
  const name = target?.metadata.name ?? "";
  const make = (state: string, reason: string, message: string) =>
    conditionOf(known, { type: "Progressing", status: state, reason, message }, now);
  if (complete) return { condition: make("True", "NewReplicaSetAvailable", `ReplicaSet "${name}" has successfully progressed.`) };
  const deadlineMs = numberOf(specOf(deployment)["progressDeadlineSeconds"], 600) * 1000;
  const sinceMs = parseTime(before?.["lastUpdateTime"] as string | undefined);
  const fresh =
    before === undefined || moved || before["reason"] === "NewReplicaSetAvailable" || !String(before["message"]).includes(`"${name}"`);
  if (fresh) {
    const condition = { ...make("True", "ReplicaSetUpdated", `ReplicaSet "${name}" is progressing.`), lastUpdateTime: now };
    return { condition, againMs: deadlineMs + 1000 };
  }
  if (before["reason"] === "ProgressDeadlineExceeded") return { condition: before };
  const leftMs = (sinceMs ?? nowMs) + deadlineMs - nowMs;
  if (leftMs > 0) return { condition: before, againMs: leftMs + 1000 };
  return { condition: make("False", "ProgressDeadlineExceeded", `ReplicaSet "${name}" has timed out progressing.`) };
}
