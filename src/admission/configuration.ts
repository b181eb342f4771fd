/** The two webhook configurations as they are installed, made from the webhooks that the features register. */
import type { Settings } from "../api/settings.ts";
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Rule, Webhook } from "./webhook.ts";

/** Of admissionregistration.k8s.io/v1; only what Kruiser reads is typed. */
export interface WebhookEntry {
  name: string;
  clientConfig?: ClientConfig;
  [field: string]: unknown;
}
export interface ClientConfig {
  /** Base64 of PEM. */
  caBundle?: string;
  service?: { namespace: string; name: string; path?: string; port?: number };
  url?: string;
}
export interface WebhookConfiguration extends KubeObject {
  webhooks?: WebhookEntry[];
}

const configurationKind = (kind: string, plural: string): Kind<WebhookConfiguration> => ({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind,
  plural,
  namespaced: false,
});
export const mutatingConfigurations = configurationKind("MutatingWebhookConfiguration", "mutatingwebhookconfigurations");
export const validatingConfigurations = configurationKind("ValidatingWebhookConfiguration", "validatingwebhookconfigurations");

/** Fixed: they are in roles, documentation and uninstall tools. */
export const mutatingConfigurationName = "kruise-mutating-webhook-configuration";
export const validatingConfigurationName = "kruise-validating-webhook-configuration";
export const defaultServiceName = "kruise-webhook-service";

/** Holds the list that the manager builds the live one from; empty: the live list is taken as it is, and remembered here. */
export const templateAnnotation = "template";

/** As in OpenKruise's own manifests, so that two installs can be compared line by line. Further names follow, by the alphabet. */
const order: readonly string[] = [
  "mpod.kb.io",
  "madvancedcronjob.kb.io",
  "mbroadcastjob.kb.io",
  "mcloneset.kb.io",
  "mcontainerrecreaterequest.kb.io",
  "mdaemonset.kb.io",
  "mimagelistpulljob-v1beta1.kb.io",
  "mimagepulljob-v1beta1.kb.io",
  "mnodeimage.kb.io",
  "msidecarset.kb.io",
  "mstatefulset.kb.io",
  "muniteddeployment.kb.io",
  "vresourcedistribution.kb.io",
  "vworkloadspread.kb.io",
  "vadvancedcronjob.kb.io",
  "vbroadcastjob.kb.io",
  "vbuiltindeployment.kb.io",
  "vbuiltinreplicaset.kb.io",
  "vbuiltinstatefulset.kb.io",
  "vcloneset.kb.io",
  "vcustomresourcedefinition.kb.io",
  "vdaemonset.kb.io",
  "vephemeraljobs.kb.io",
  "vimagelistpulljob-v1beta1.kb.io",
  "vimagepulljob-v1beta1.kb.io",
  "vingress.kb.io",
  "vnamespace.kb.io",
  "vnodeimage.kb.io",
  "vpersistentpodstate.kb.io",
  "vpod.kb.io",
  "vpodeviction.kb.io",
  "vpodprobemarker.kb.io",
  "vpodunavailablebudget.kb.io",
  "vservice.kb.io",
  "vsidecarset.kb.io",
  "vstatefulset.kb.io",
  "vuniteddeployment.kb.io",
];
const positions = new Map(order.map((name, index) => [name, index]));

/** The mutating and the validating configuration, without certificates: the manager fills those in. */
export function webhookConfigurations(webhooks: readonly Webhook[], installNamespace: string): readonly object[] {
  const names = new Set<string>();
  for (const { name } of webhooks) {
    if (names.has(name)) throw new Error(`two webhooks are named ${name}`);
    names.add(name);
  }
  const entries = (type: Webhook["type"]) =>
    webhooks
      .filter((webhook) => webhook.type === type)
      .sort(byPosition)
      .map((webhook) => entry(webhook, installNamespace));
  return [
    configuration(mutatingConfigurations, mutatingConfigurationName, entries("mutating")),
    configuration(validatingConfigurations, validatingConfigurationName, entries("validating")),
  ];
}

/** The paths, older spellings included, that are handled under these settings: entries that lead elsewhere are left out. */
export function activePaths(webhooks: readonly Webhook[], settings: Settings): ReadonlySet<string> {
  const active = webhooks.filter((webhook) => webhook.active?.(settings) ?? true);
  return new Set(active.flatMap(({ path, aliases = [] }) => [path, ...aliases]));
}

function configuration(kind: Kind, name: string, webhooks: readonly object[]): object {
  return {
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    // Said, not left out: applying a new release then makes the manager take over the new list.
    metadata: { name, annotations: { [templateAnnotation]: "" } },
    webhooks,
  };
}

function byPosition(a: Webhook, b: Webhook): number {
  const left = positions.get(a.name) ?? order.length;
  const right = positions.get(b.name) ?? order.length;
  return left === right ? (a.name < b.name ? -1 : 1) : left - right;
}

function entry(webhook: Webhook, installNamespace: string): object {
  return {
    name: webhook.name,
    admissionReviewVersions: ["v1", "v1beta1"],
    clientConfig: { service: { name: defaultServiceName, namespace: installNamespace, path: webhook.path, port: 443 } },
    failurePolicy: webhook.failurePolicy ?? "Fail",
    ...(webhook.namespaceSelector && { namespaceSelector: webhook.namespaceSelector }),
    ...(webhook.objectSelector && { objectSelector: webhook.objectSelector }),
    rules: webhook.rules.map(ruleOf),
    sideEffects: "None",
  };
}

function ruleOf(rule: Rule): object {
  return { apiGroups: [rule.group], apiVersions: rule.versions, operations: rule.operations, resources: rule.resources };
}
