/**
 * Clusters to begin with. Furnishing one and establishing kinds takes longer than most runs, so it is done once for each list of features,
 * and every run takes up what was stored then.
 */
import { mutatingConfigurations, webhookConfigurations } from "../../src/admission/configuration.ts";
import { podWebhooks } from "../../src/admission/pod.ts";
import type { Webhook } from "../../src/admission/webhook.ts";
import { customResourceDefinition } from "../../src/api/crd.ts";
import { install } from "../../src/api/names.ts";
import type { Settings } from "../../src/api/settings.ts";
import { FakeEnv } from "../../src/env/fake.ts";
import type { Fetch } from "../../src/env/network.ts";
import type { Feature } from "../../src/features/feature.ts";
import { type Fields, fieldsOf } from "../../src/kube/json.ts";
import { resourceName } from "../../src/kube/kind.ts";
import { createSandbox, type Sandbox } from "../../src/sandbox/index.ts";
import { admin } from "../../src/sandbox/sandbox.ts";
import type { Stored } from "../../src/sandbox/storage/store.ts";

export const namespace = "shop";
export const nodeCount = 3;
export const webhookUrl = "https://webhook.in-process";

interface Kept {
  readonly version: number;
  readonly objects: readonly (readonly [string, Stored])[];
}

const kept = new Map<string, Promise<Kept>>();

/** All webhooks of these features, the pod webhooks among them. */
export function webhooksOf(features: readonly Feature[]): readonly Webhook[] {
  const mutations = features.flatMap((feature) => feature.podMutations ?? []);
  const guards = features.flatMap((feature) => feature.podGuards ?? []);
  const ofPods = podWebhooks({ mutations, guards, installNamespace: install.namespace });
  return [
    ...features.flatMap((feature) => feature.webhooks ?? []),
    ...ofPods.filter(({ name }) => (name === "mpod.kb.io" ? mutations.length > 0 : guards.length > 0)),
  ];
}

/** A cluster in which `features` are installed. Its API server is at work, its controllers are not started yet. */
export async function cluster(env: FakeEnv, features: readonly Feature[], settings: Settings, fetch: Fetch): Promise<Sandbox> {
  const webhooks = webhooksOf(features).filter((webhook) => webhook.active?.(settings) ?? true);
  const id = [...features.map(({ name }) => name), ...webhooks.map(({ name }) => name)].join(" ");
  const known = kept.get(id) ?? furnish(features, webhooks);
  kept.set(id, known);
  return sandboxOf(env, fetch, await known);
}

function sandboxOf(env: FakeEnv, fetch: Fetch, known?: Kept): Sandbox {
  return createSandbox(env, {
    nodes: nodeCount,
    fieldManagement: false,
    events: false,
    fetch,
    serviceUrl: () => webhookUrl,
    identify: (headers) => ({ ...admin, userAgent: headers["user-agent"] ?? "unknown" }),
    ...(known === undefined ? {} : { kept: known }),
  });
}

async function furnish(features: readonly Feature[], webhooks: readonly Webhook[]): Promise<Kept> {
  const env = new FakeEnv({ seed: "cluster" });
  const sandbox = sandboxOf(env, () => Promise.reject(new Error("no webhooks yet")));
  await sandbox.start();
  const definitions = features.flatMap((feature) => feature.kinds ?? []);
  const labels = { "kubernetes.io/metadata.name": namespace };
  await make(sandbox, "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } });
  const own = { name: install.namespace, labels: { "control-plane": "controller-manager" } };
  await make(sandbox, "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: own });
  for (const definition of definitions)
    await make(sandbox, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", customResourceDefinition(definition));
  await env.advance(1_000);
  for (const { kind } of definitions)
    if (sandbox.api.registry.get(resourceName(kind)) === undefined) throw new Error(`${resourceName(kind)} is not served`);
  for (const configuration of webhookConfigurations(webhooks, install.namespace)) {
    const plural =
      fieldsOf(configuration)["kind"] === mutatingConfigurations.kind ? "mutatingwebhookconfigurations" : "validatingwebhookconfigurations";
    await make(sandbox, `/apis/admissionregistration.k8s.io/v1/${plural}`, configuration as Fields);
  }
  env.stop();
  const { store } = sandbox;
  const objects = store.resources().flatMap((resource) => store.list(resource).map((object) => [resource, object] as const));
  return { version: store.version, objects };
}

async function make(sandbox: Sandbox, path: string, object: Fields): Promise<void> {
  const headers = { "content-type": "application/json", "user-agent": "install" };
  const answer = await sandbox.handle({ method: "POST", path, headers, body: JSON.stringify(object) });
  if (answer.status >= 300 && answer.status !== 409) throw new Error(`${path} answered ${answer.status}: ${String(answer.body)}`);
}
