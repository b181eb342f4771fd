/** The webhook configurations as templates: entries of the features that the gates leave on, with the user's timeouts, policies and selectors. */
import { webhookConfigurations } from "../../../src/admission/configuration.ts";
import type { Webhook } from "../../../src/admission/webhook.ts";
import type { LabelSelector } from "../../../src/kube/types.ts";
import { gateCondition, gatesNeeded } from "./gates.ts";
import { banner, hole, printTemplate, when } from "./holes.ts";

interface Entry {
  name: string;
  clientConfig: { service: { namespace: string } };
  failurePolicy: string;
  namespaceSelector?: LabelSelector;
  objectSelector?: LabelSelector;
  rules: object[];
  [field: string]: unknown;
}

/** Stands in the webhooks for the namespace that is only known when the chart is rendered. */
export const installToken = "INSTALL_NAMESPACE";

/**
 * The list of entries is a template of its own: it is rendered twice, as `webhooks` and, as JSON, into the annotation that the manager builds the
 * live list from. So the manager finds everything as it should be, and what it adds (certificates) is not in the chart: no difference for GitOps.
 */
export function webhooksTemplate(webhooks: readonly Webhook[]): string {
  const charted = webhooks.map((webhook) => ({ ...webhook, ...webhook.chart }));
  const configurations = webhookConfigurations(charted, installToken) as { kind: string; metadata: { name: string }; webhooks: Entry[] }[];
  return (
    banner +
    configurations
      .map(({ kind, metadata, webhooks: entries }) => {
        const list = `kruise.${kind === "MutatingWebhookConfiguration" ? "mutating" : "validating"}`;
        const body = entries.map((entry) => when(conditionsOf(webhooks, entry.name), entryText(webhooks, entry, kind))).join("");
        return `{{- define "${list}" -}}\n${body}{{- end }}\n${configurationText(kind, metadata.name, list)}`;
      })
      .join("")
  );
}

const narrows = 'and .Values.webhookConfiguration.narrowPodValidation (semverCompare ">=1.28-0" .Capabilities.KubeVersion.Version)';

/** Where it can be narrowed the entry is there twice: an empty list would be a difference to what the server keeps. */
function entryText(webhooks: readonly Webhook[], entry: Entry, kind: string): string {
  const plain = printTemplate([complete(entry, kind)]);
  const expression = webhooks.find(({ name }) => name === entry.name)?.narrowing;
  if (expression === undefined) return plain;
  const narrow = printTemplate([complete({ ...entry, matchConditions: [{ name: "concerned", expression }] }, kind)]);
  return `{{- if ${narrows} }}\n${narrow}{{- else }}\n${plain}{{- end }}\n`;
}

function conditionsOf(webhooks: readonly Webhook[], name: string): string[] {
  const webhook = webhooks.find((candidate) => candidate.name === name);
  const active = webhook?.active;
  return active ? gatesNeeded(active).map(gateCondition) : [];
}

/** With every default that the server would fill in, so that the rendered object is the live one. */
function complete(entry: Entry, kind: string): object {
  const { clientConfig, failurePolicy, namespaceSelector, objectSelector, rules, ...others } = entry;
  const expressions = JSON.stringify(namespaceSelector?.matchExpressions ?? []);
  return {
    ...others,
    clientConfig: { service: { ...clientConfig.service, namespace: hole(".Values.installation.namespace") } },
    failurePolicy: hole(`include "kruise.failurePolicy" (list . "${entry.name}" "${failurePolicy}")`),
    matchPolicy: "Equivalent",
    namespaceSelector: hole(`include "kruise.namespaceSelector" (list . \`${expressions}\`) | nindent 4`),
    objectSelector: objectSelector ?? {},
    ...(kind === "MutatingWebhookConfiguration" ? { reinvocationPolicy: "Never" } : {}),
    rules: rules.map((rule) => ({ ...rule, scope: "*" })),
    timeoutSeconds: hole(".Values.webhookConfiguration.timeoutSeconds"),
  };
}

function configurationText(kind: string, name: string, list: string): string {
  return `---
{{- $hooks := include "${list}" . | fromYamlArray }}
apiVersion: admissionregistration.k8s.io/v1
kind: ${kind}
metadata:
  name: ${name}
  labels: {{- include "kruise.labels" . | nindent 4 }}
  annotations:
    template: {{ $hooks | toJson | quote }}
    {{- with .Values.externalCerts.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
webhooks: {{- if $hooks }}{{ toYaml $hooks | nindent 2 }}{{ else }} []{{ end }}
`;
}
