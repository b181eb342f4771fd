/** How the sandbox's own controllers write: through the API server's rules and admission, each under its own name. */
import { type Fields, fieldsOf } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { formatTime } from "../../kube/time.ts";
import type { Api } from "../api/api.ts";
import type { Actor, Call, Verb } from "../api/call.ts";
import { createObject } from "../api/create.ts";
import { Refusal } from "../api/refusal.ts";
import { deleteObject } from "../api/remove.ts";
import { bindPod, writeScale } from "../api/subresources.ts";
import { type Change, updateObject } from "../api/update.ts";
import { type Resource, storageVersion } from "../kinds/resource.ts";
import type { Stored } from "../storage/store.ts";

export type Outcome = { readonly ok: true; readonly object: Stored } | { readonly ok: false; readonly refusal: Refusal };

/** @param name "replicaset-controller", "kube-scheduler", "system:node:node-0" */
export function actorOf(name: string): Actor {
  if (name.startsWith("system:node:")) return { username: name, groups: ["system:nodes", "system:authenticated"], userAgent: "kubelet" };
  if (name === "kube-scheduler") return { username: "system:kube-scheduler", groups: ["system:authenticated"], userAgent: name };
  const groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
  return { username: `system:serviceaccount:kube-system:${name}`, groups, userAgent: `kube-controller-manager/${name}` };
}

export class Inside {
  readonly #actor: Actor;

  constructor(
    readonly api: Api,
    readonly name: string,
  ) {
    this.#actor = actorOf(name);
  }

  get(resource: string, key: Key): Stored | undefined {
    return this.api.store.get(resource, key);
  }
  list(resource: string, namespace?: string): readonly Stored[] {
    return this.api.store.list(resource, namespace);
  }

  create(resource: string, namespace: string, object: Fields): Promise<Outcome> {
    return settle(createObject(this.api, this.#call("create", resource, { namespace, name: "" }), object));
  }

  /** @param next from the object as it is then; the same object when there is nothing to do */
  update(resource: string, key: Key, next: (current: Stored) => Stored, subresource = "", change: Partial<Change> = {}): Promise<Outcome> {
    return settle(updateObject(this.api, this.#call("update", resource, key, subresource), { ...change, next, mayDecline: true }));
  }

  async remove(resource: string, object: Stored, options: Fields = {}): Promise<Outcome> {
    const key = { namespace: object.metadata.namespace ?? "", name: object.metadata.name };
    const guarded = { preconditions: { uid: object.metadata.uid }, ...options };
    return settle(deleteObject(this.api, this.#call("delete", resource, key), guarded).then((removed) => removed.object));
  }

  bind(pod: Stored, node: string): Promise<Outcome> {
    const key = { namespace: pod.metadata.namespace ?? "", name: pod.metadata.name };
    const body = { apiVersion: "v1", kind: "Binding", metadata: key, target: { kind: "Node", name: node } };
    return settle(bindPod(this.api, this.#call("create", "pods", key, "binding"), body).then(() => pod));
  }

  /** @param resource one with a scale subresource */
  scale(resource: string, key: Key, replicas: number): Promise<Outcome> {
    return settle(writeScale(this.api, this.#call("patch", resource, key, "scale"), "merge", JSON.stringify({ spec: { replicas } })));
  }

  /** Events of one reason about one object are counted, not repeated. */
  async event(on: Stored, type: "Normal" | "Warning", reason: string, message: string): Promise<void> {
    const { env } = this.api;
    const namespace = on.metadata.namespace ?? "default";
    const now = formatTime(env.nowMs());
    const known = this.list("events", namespace).find((event) => {
      const involved = fieldsOf(event["involvedObject"]);
      return involved["uid"] === on.metadata.uid && event["reason"] === reason && event["message"] === message;
    });
    if (known !== undefined) {
      const key = { namespace, name: known.metadata.name };
      await this.update("events", key, (event) => ({ ...event, count: Number(event["count"] ?? 1) + 1, lastTimestamp: now }) as Stored);
      return;
    }
    await this.create("events", namespace, {
      metadata: { name: `${on.metadata.name}.${env.uuid().replaceAll("-", "").slice(0, 16)}`, namespace },
      involvedObject: {
        kind: on.kind,
        apiVersion: on.apiVersion,
        namespace: on.metadata.namespace,
        name: on.metadata.name,
        uid: on.metadata.uid,
        resourceVersion: on.metadata.resourceVersion,
      },
      reason,
      message,
      type,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: this.name },
      reportingComponent: this.name,
    });
  }

  #call(verb: Verb, id: string, key: Key, subresource = ""): Call {
    const resource = this.api.registry.get(id) as Resource;
    return {
      actor: this.#actor,
      verb,
      resource,
      version: storageVersion(resource),
      namespace: key.namespace,
      name: key.name,
      subresource,
      dryRun: false,
      fieldManager: this.#actor.userAgent.split("/")[0] as string,
      fieldValidation: "Ignore",
      warnings: [],
    };
  }
}

async function settle(work: Promise<Stored>): Promise<Outcome> {
  try {
    return { ok: true, object: await work };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, refusal: error };
    throw error;
  }
}
