/** StatefulSets: pods with names and claims of their own, one after the other. */
import { type Fields, fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import { isAvailable, isReady } from "../../kube/pod.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { asPod, claimed, isFinishedPod, numberOf, podFrom, specOf, statusOf, writeStatus } from "./pods.ts";
import { soonest } from "./replicaset.ts";
import { forgetRevisions, hashOf, ownRevisions, revisionFor } from "./revisions.ts";
import { type Controller, itself, type MakeController, ownersOf, retryOf } from "./worker.ts";

const resource = "statefulsets.apps";
const hashLabel = "controller-revision-hash";

export const statefulSets: MakeController = (inside, env): Controller => ({
  name: "statefulset-controller",
  watches: { [resource]: itself, pods: ownersOf("StatefulSet") },
  async reconcile(key) {
    const set = inside.get(resource, key);
    if (set === undefined) return undefined;
    const target = await revisionFor(inside, set);
    if (target === undefined) return "again";
    const problem = set.metadata.deletionTimestamp === undefined ? await new Round(inside, set, target, env.nowMs()).run() : undefined;
    const pods = await claimed(inside, "pods", set);
    await forgetRevisions(
      inside,
      set,
      new Set([hashOf(target), textOf(statusOf(set)["currentRevision"]), ...pods.map((pod) => pod.metadata.labels?.[hashLabel] ?? "")]),
    );
    const written = await writeStatus(
      inside,
      resource,
      inside.get(resource, key) ?? set,
      statusFor(set, pods, hashOf(target), env.nowMs()),
    );
    return problem ?? retryOf(written) ?? soonest(pods, numberOf(specOf(set)["minReadySeconds"], 0), env.nowMs());
  },
});

const ordinalOf = (pod: Stored): number => Number(/-(\d+)$/.exec(pod.metadata.name)?.[1] ?? -1);

/** One look at a set. */
class Round {
  readonly #spec: Fields;
  readonly #first: number;
  readonly #replicas: number;
  readonly #ordered: boolean;

  constructor(
    private readonly inside: Inside,
    private readonly set: Stored,
    private readonly target: Stored,
    private readonly nowMs: number,
  ) {
    this.#spec = specOf(set);
    this.#first = numberOf(fieldsOf(this.#spec["ordinals"])["start"], 0);
    this.#replicas = numberOf(this.#spec["replicas"], 1);
    this.#ordered = this.#spec["podManagementPolicy"] !== "Parallel";
  }

  async run(): Promise<"again" | undefined> {
    const pods = await claimed(this.inside, "pods", this.set);
    const byOrdinal = new Map(pods.map((pod) => [ordinalOf(pod), pod]));
    for (let ordinal = this.#first; ordinal < this.#first + this.#replicas; ordinal += 1) {
      const pod = byOrdinal.get(ordinal);
      if (pod !== undefined && isFinishedPod(pod)) await this.inside.remove("pods", pod);
      if (pod === undefined && !(await this.#create(ordinal))) return "again";
      // The next one comes when this one is there.
      if (this.#ordered && (pod === undefined || !this.#isUp(pod))) return undefined;
    }
    const surplus = pods
      .filter((pod) => ordinalOf(pod) >= this.#first + this.#replicas || ordinalOf(pod) < this.#first)
      .sort((a, b) => ordinalOf(b) - ordinalOf(a));
    if (surplus.length > 0) return this.#shrink(surplus);
    return this.#update(pods);
  }

  #isUp(pod: Stored): boolean {
    return pod.metadata.deletionTimestamp === undefined && isAvailable(asPod(pod), numberOf(this.#spec["minReadySeconds"], 0), this.nowMs);
  }

  async #shrink(surplus: readonly Stored[]): Promise<"again" | undefined> {
    for (const pod of surplus) {
      if (pod.metadata.deletionTimestamp === undefined) {
        const removed = await this.inside.remove("pods", pod);
        if (!removed.ok && removed.refusal.code !== 404) return "again";
        if (removed.ok)
          await this.inside.event(
            this.set,
            "Normal",
            "SuccessfulDelete",
            `delete Pod ${pod.metadata.name} in StatefulSet ${this.set.metadata.name} successful`,
          );
      }
      if (this.#ordered) return undefined;
    }
    return undefined;
  }

  /** From the highest ordinal down, one after the other, those that do not run the target. */
  async #update(pods: readonly Stored[]): Promise<"again" | undefined> {
    const strategy = fieldsOf(this.#spec["updateStrategy"]);
    if (strategy["type"] === "OnDelete") return undefined;
    const partition = numberOf(fieldsOf(strategy["rollingUpdate"])["partition"], 0);
    for (const pod of [...pods].sort((a, b) => ordinalOf(b) - ordinalOf(a))) {
      if (ordinalOf(pod) < partition) break;
      if (pod.metadata.labels?.[hashLabel] !== hashOf(this.target))
        return pod.metadata.deletionTimestamp === undefined ? retryOf(await this.inside.remove("pods", pod)) : undefined;
      if (!this.#isUp(pod)) return undefined;
    }
    return undefined;
  }

  async #create(ordinal: number): Promise<boolean> {
    const { name, namespace = "" } = this.set.metadata;
    const partition = numberOf(fieldsOf(fieldsOf(this.#spec["updateStrategy"])["rollingUpdate"])["partition"], 0);
    const current = ownRevisions(this.inside, this.set).find((revision) => hashOf(revision) === statusOf(this.set)["currentRevision"]);
    const revision = ordinal < partition && current !== undefined ? current : this.target;
    const template = fieldsOf(fieldsOf(fieldsOf(revision["data"])["spec"])["template"]);
    const podName = `${name}-${ordinal}`;
    const claims = itemsOf(this.#spec["volumeClaimTemplates"]).map(fieldsOf);
    for (const claim of claims) if (!(await this.#claim(claim, podName))) return false;
    const labels = {
      [hashLabel]: hashOf(revision),
      "statefulset.kubernetes.io/pod-name": podName,
      "apps.kubernetes.io/pod-index": String(ordinal),
    };
    const pod = podFrom(this.set, template, podName, labels);
    const spec = fieldsOf(pod["spec"]);
    const claimNames = claims.map((claim) => textOf(fieldsOf(claim["metadata"])["name"]));
    const volumes = [
      ...itemsOf(spec["volumes"]).filter((volume) => !claimNames.includes(textOf(fieldsOf(volume)["name"]))),
      ...claimNames.map((claim) => ({ name: claim, persistentVolumeClaim: { claimName: `${claim}-${podName}` } })),
    ];
    const wanted = withFields(spec, {
      hostname: podName,
      ...(textOf(this.#spec["serviceName"]) === "" ? {} : { subdomain: this.#spec["serviceName"] }),
      ...(volumes.length > 0 ? { volumes } : {}),
    });
    const created = await this.inside.create("pods", namespace, withFields(pod, { spec: wanted }));
    if (created.ok)
      await this.inside.event(this.set, "Normal", "SuccessfulCreate", `create Pod ${podName} in StatefulSet ${name} successful`);
    else
      await this.inside.event(
        this.set,
        "Warning",
        "FailedCreate",
        `create Pod ${podName} in StatefulSet ${name} failed error: ${created.refusal.message}`,
      );
    return created.ok;
  }

  async #claim(template: Fields, podName: string): Promise<boolean> {
    const metadata = fieldsOf(template["metadata"]);
    const { namespace = "" } = this.set.metadata;
    const name = `${textOf(metadata["name"])}-${podName}`;
    if (this.inside.get("persistentvolumeclaims", { namespace, name }) !== undefined) return true;
    const labels = { ...fieldsOf(fieldsOf(this.#spec["selector"])["matchLabels"]), ...fieldsOf(metadata["labels"]) };
    const created = await this.inside.create("persistentvolumeclaims", namespace, {
      metadata: { ...metadata, name, labels },
      spec: template["spec"],
    });
    return created.ok;
  }
}

function statusFor(set: Stored, pods: readonly Stored[], targetHash: string, nowMs: number): Fields {
  const before = statusOf(set);
  const active = pods.filter((pod) => !isFinishedPod(pod));
  const alive = active.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const ready = alive.filter((pod) => isReady(asPod(pod)));
  const minReadySeconds = numberOf(specOf(set)["minReadySeconds"], 0);
  const replicas = numberOf(specOf(set)["replicas"], 1);
  const onTarget = alive.filter((pod) => pod.metadata.labels?.[hashLabel] === targetHash);
  const finished = onTarget.length === replicas && active.length === replicas && ready.length === replicas;
  const current = finished || textOf(before["currentRevision"]) === "" ? targetHash : textOf(before["currentRevision"]);
  return {
    ...before,
    observedGeneration: set.metadata.generation,
    replicas: active.length,
    readyReplicas: ready.length || undefined,
    availableReplicas: alive.filter((pod) => isAvailable(asPod(pod), minReadySeconds, nowMs)).length,
    currentReplicas: alive.filter((pod) => pod.metadata.labels?.[hashLabel] === current).length || undefined,
    updatedReplicas: onTarget.length || undefined,
    currentRevision: current,
    updateRevision: targetHash,
    collisionCount: 0,
  };
}
