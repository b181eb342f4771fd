/** Kruiser's manager inside the sandbox's process: installed as a user would install it, started as `kruise --mode=manager` starts it. */
import { type Certificates, toFiles } from "../admission/certificates.ts";
import { mutatingConfigurations, validatingConfigurations, webhookConfigurations } from "../admission/configuration.ts";
import { podWebhooks } from "../admission/pod.ts";
import { customResourceDefinition } from "../api/crd.ts";
import { install } from "../api/names.ts";
import { type Env, sleep } from "../env/env.ts";
import type { Fetch } from "../env/network.ts";
import { features } from "../features/index.ts";
import { type Fields, fieldsOf, textOf } from "../kube/json.ts";
import { resourceName } from "../kube/kind.ts";
import { namespaces, secrets } from "../kube/kinds.ts";
import { anonymousCredentials } from "../kube/kube.ts";
import { collectionPath } from "../kube/path.ts";
import { type Outside, type Running, startManager } from "../manager/manager.ts";
import { managerOptions } from "../manager/options.ts";
import type { Sandbox } from "./sandbox.ts";
import type { WebhooksInside } from "./webhooks-inside.ts";

export const managerService = `${install.namespace}/${install.webhookService}`;

export interface ManagerInside {
  readonly sandbox: Sandbox;
  readonly webhooks: WebhooksInside;
  /** Where certificates and logs go. */
  readonly stateDir: string;
  readonly flags?: readonly string[];
  readonly fatal: (message: string) => void;
  /** In place of the sandbox's own: a simulator puts its faults here. */
  readonly fetch?: Fetch;
}

/** How often it is asked whether a new kind is served already. */
const pollMs = 5;

/** What the webhooks' certificate has to be for. */
export const managerHost = `${install.webhookService}.${install.namespace}.svc`;

/**
 * Kinds, namespaces and webhook configurations, as the manifests have them. What is there already stays.
 * @param certificates for the webhooks; absent: the manager makes its own, which takes a while
 */
export async function installKruise(env: Env, sandbox: Sandbox, certificates?: Certificates): Promise<void> {
  const definitions = features.flatMap((feature) => feature.kinds ?? []);
  const parts = {
    mutations: features.flatMap((feature) => feature.podMutations ?? []),
    guards: features.flatMap((feature) => feature.podGuards ?? []),
    installNamespace: install.namespace,
  };
  const webhooks = [...features.flatMap((feature) => feature.webhooks ?? []), ...podWebhooks(parts)];
  for (const name of [install.namespace, "kruise-daemon-config"])
    await make(sandbox, collectionPath(namespaces, undefined), namespaceObject(name));
  if (certificates !== undefined) await make(sandbox, collectionPath(secrets, install.namespace), secretObject(certificates));
  for (const definition of definitions)
    await make(sandbox, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", customResourceDefinition(definition));
  for (const configuration of webhookConfigurations(webhooks, install.namespace)) {
    const kind = fieldsOf(configuration)["kind"] === mutatingConfigurations.kind ? mutatingConfigurations : validatingConfigurations;
    await make(sandbox, collectionPath(kind, undefined), configuration as Fields);
  }
  while (definitions.some(({ kind }) => sandbox.api.registry.get(resourceName(kind)) === undefined) && !env.stopped.aborted)
    await sleep(env, pollMs);
}

const namespaceObject = (name: string): Fields => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: { "control-plane": "controller-manager" } },
});

function secretObject(certificates: Certificates): Fields {
  const data = Object.entries(toFiles(certificates)).map(([name, text]) => [name, Buffer.from(text).toString("base64")]);
  return { apiVersion: "v1", kind: "Secret", metadata: { name: install.webhookSecret }, data: Object.fromEntries(data) };
}

async function make(sandbox: Sandbox, path: string, object: Fields): Promise<void> {
  const headers = { "content-type": "application/json", "user-agent": "kruise-install" };
  const answer = await sandbox.handle({ method: "POST", path, headers, body: JSON.stringify(object) });
  if (answer.status < 300 || answer.status === 409) return;
  const status = fieldsOf(JSON.parse(String(answer.body)));
  throw new Error(
    `the sandbox refused ${textOf(object["kind"])} ${textOf(fieldsOf(object["metadata"])["name"])}: ${textOf(status["message"])}`,
  );
}

/** Resolves when the webhooks are in place and the controllers run. */
export async function startManagerInside(env: Env, inside: ManagerInside): Promise<Running> {
  const flags = [
    "--enable-leader-election=false",
    "--metrics-addr=0",
    "--health-probe-addr=0",
    "--record-path=memory",
    `--protection-log-path=${inside.stateDir}`,
    ...(inside.flags ?? []),
  ];
  const parsed = managerOptions(flags, {
    POD_NAMESPACE: install.namespace,
    SERVICE_NAME: install.webhookService,
    WEBHOOK_CERT_DIR: `${inside.stateDir}/webhook-certs`,
  });
  if (!parsed.ok) throw new Error(parsed.message);
  const { sandbox, webhooks } = inside;
  const api = inside.fetch ?? sandbox.fetch;
  const credentials = anonymousCredentials();
  const outside: Outside = {
    // The manager also asks its own webhook port whether it is ready.
    fetch: (url, request) => (url.startsWith(credentials.server) ? api(url, request) : webhooks.fetch(url, request)),
    serve: webhooks.serve,
    credentials: async () => ({ ok: true, credentials }),
  };
  return startManager(env, parsed.options, inside.fatal, outside);
}
