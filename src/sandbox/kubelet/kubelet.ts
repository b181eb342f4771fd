/** The kubelets of all nodes: each pod that is bound to a node that is up goes on as its containers do. */
import type { Env } from "../../env/env.ts";
import { deepEqual, fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import type { Container, Pod } from "../../kube/types.ts";
import type { NodePort } from "../api/api.ts";
import type { Inside } from "../controllers/inside.ts";
import { type Controller, itself, retryOf } from "../controllers/worker.ts";
import type { Change, Stored } from "../storage/store.ts";
import type { ImageFaults, Timing } from "./containers.ts";
import { PodRun } from "./pod-run.ts";

/** A node with it is cut off: its pods go on as they were, and nobody hears of them. */
export const downAnnotation = "sandbox.kruise.io/down";

export interface KubeletOptions {
  readonly timing: Timing;
  readonly imageFaults?: ImageFaults;
  /** Whether what happens to containers is told as Events. */
  readonly events: boolean;
  /** By the node's name. */
  readonly insideOf: (node: string) => Inside;
}

export class Kubelet implements Controller, NodePort {
  readonly name = "kubelet";
  readonly watches: Controller["watches"];
  readonly #runs = new Map<string, PodRun>();
  #nextAddress: number | undefined;

  constructor(
    private readonly env: Env,
    private readonly inside: Inside,
    private readonly options: KubeletOptions,
  ) {
    this.watches = {
      pods: (change) => {
        if (change.after === undefined) this.#runs.delete(change.before?.metadata.uid ?? "");
        return textOf(fieldsOf(change.after?.["spec"])["nodeName"]) === "" ? [] : itself(change);
      },
      configmaps: (change) => this.#podsThatName("configmaps", change),
      secrets: (change) => this.#podsThatName("secrets", change),
      nodes: ({ before, after }) =>
        before !== undefined && after !== undefined && isDown(before) === isDown(after) ? [] : this.#podsOn(after ?? before),
    };
  }

  async reconcile(key: Key): Promise<number | "again" | undefined> {
    const stored = this.inside.get("pods", key);
    if (stored === undefined) return undefined;
    const pod = stored as unknown as Pod;
    const node = this.inside.get("nodes", { namespace: "", name: pod.spec.nodeName ?? "" });
    if (node === undefined || isDown(node)) return undefined;
    if (isOver(pod) && pod.metadata.deletionTimestamp === undefined) return undefined;
    const inside = this.options.insideOf(pod.spec.nodeName as string);
    const nowMs = this.env.nowMs();
    const run = this.#runOf(pod, node, nowMs);
    const nextMs = run.advance(pod, nowMs, (container) =>
      referencesOf(container).every((reference) => this.#isThere(key.namespace, reference)),
    );
    if (this.options.events)
      for (const { type, reason, message } of run.takeHappenings()) await inside.event(stored, type, reason, message);
    const written = await this.#write(inside, key, run, nowMs);
    if (written === "again") return "again";
    if (run.isGone) {
      const current = this.inside.get("pods", key);
      if (current !== undefined && current.metadata.uid === run.uid && (current.metadata.deletionGracePeriodSeconds ?? 0) > 0)
        return retryOf(await inside.remove("pods", current, { gracePeriodSeconds: 0 }));
      return undefined;
    }
    return nextMs === Number.POSITIVE_INFINITY ? undefined : Math.max(0, nextMs - this.env.nowMs());
  }

  #isThere(namespace: string, { resource, name, key }: Reference): boolean {
    const data = fieldsOf(this.inside.get(resource, { namespace, name })?.["data"]);
    return data[key] !== undefined;
  }

  log(pod: Stored, container: string): string {
    const statuses = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"].flatMap((field) =>
      itemsOf(fieldsOf(pod["status"])[field]).map(fieldsOf),
    );
    const status = statuses.find((entry) => entry["name"] === container);
    const { running, terminated } = fieldsOf(status?.["state"]);
    const startedAt = textOf(fieldsOf(running ?? terminated)["startedAt"]);
    return startedAt === "" ? "" : `${startedAt} the sandbox runs no containers: this is ${textOf(status?.["image"])}\n`;
  }

  async #write(inside: Inside, key: Key, run: PodRun, nowMs: number): Promise<"again" | undefined> {
    const next = (current: Stored): Stored => {
      if (current.metadata.uid !== run.uid) return current;
      const status = run.status(current as unknown as Pod, nowMs);
      return deepEqual(status, current["status"]) ? current : (withFields(current, { status }) as Stored);
    };
    const current = this.inside.get("pods", key);
    if (current === undefined || next(current) === current) return undefined;
    return retryOf(await inside.update("pods", key, next, "status"));
  }

  #runOf(pod: Pod, node: Stored, nowMs: number): PodRun {
    let run = this.#runs.get(pod.metadata.uid);
    if (run === undefined) {
      const addresses = itemsOf(fieldsOf(node["status"])["addresses"]).map(fieldsOf);
      const hostIP = textOf(addresses.find((address) => address["type"] === "InternalIP")?.["address"]);
      const facts = {
        hostIP,
        newPodIP: () => (pod.spec.hostNetwork === true ? hostIP : this.#newAddress()),
        newContainerId: () => this.#newContainerId(),
        ...(this.options.imageFaults === undefined ? {} : { imageFaults: this.options.imageFaults }),
      };
      run = new PodRun(pod.metadata.uid, this.options.timing, facts, pod, nowMs);
      this.#runs.set(pod.metadata.uid, run);
    }
    return run;
  }

  #newAddress(): string {
    const number = this.#nextAddress ?? 1 + Math.max(addressMin - 1, ...this.inside.list("pods").map(addressNumber));
    this.#nextAddress = number + 1;
    return `10.244.${(number >> 8) & 255}.${number & 255}`;
  }

  #newContainerId(): string {
    const hex = Array.from({ length: 2 }, () => this.env.uuid().replaceAll("-", "")).join("");
    return `containerd://${hex}`;
  }

  /** Pods with a container that waits for it. */
  #podsThatName(resource: Reference["resource"], { before, after }: Change): readonly Key[] {
    const { namespace = "", name } = (after ?? before)?.metadata ?? { name: "" };
    return this.inside
      .list("pods", namespace)
      .filter((pod) =>
        (pod as unknown as Pod).spec.containers.flatMap(referencesOf).some((each) => each.resource === resource && each.name === name),
      )
      .map((pod) => ({ namespace, name: pod.metadata.name }));
  }

  #podsOn(node: Stored | undefined): readonly Key[] {
    return this.inside
      .list("pods")
      .filter((pod) => fieldsOf(pod["spec"])["nodeName"] === node?.metadata.name)
      .map(({ metadata }) => ({ namespace: metadata.namespace ?? "", name: metadata.name }));
  }
}

const addressMin = 2;

/** Which address a pod of another process's time has; below all when it has none of ours. */
function addressNumber(pod: Stored): number {
  const [, high, low] = /^10\.244\.(\d+)\.(\d+)$/.exec(textOf(fieldsOf(pod["status"])["podIP"])) ?? [];
  return high === undefined || low === undefined ? 0 : Number(high) * 256 + Number(low);
}

/** A value that a container's environment takes from elsewhere, and cannot do without. */
interface Reference {
  readonly resource: "configmaps" | "secrets";
  readonly name: string;
  readonly key: string;
}

function referencesOf({ env = [] }: Container): readonly Reference[] {
  return env.flatMap(({ valueFrom }): readonly Reference[] => {
    const { configMapKeyRef, secretKeyRef } = valueFrom ?? {};
    const [resource, from] =
      configMapKeyRef === undefined ? (["secrets", secretKeyRef] as const) : (["configmaps", configMapKeyRef] as const);
    return from === undefined || from.optional === true ? [] : [{ resource, name: from.name ?? "", key: from.key }];
  });
}

export function isDown(node: Stored): boolean {
  return node.metadata.annotations?.[downAnnotation] === "true";
}

function isOver(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}
