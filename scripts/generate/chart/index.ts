/**
 * deploy/chart. CRDs, RBAC, webhook configurations, gates, values, alerts and dashboards come from src; the templates of the workloads are written by
 * hand beside them, and a test holds them to deploy/kustomize.
 */
import { stringify } from "yaml";
import packageJson from "../../../package.json";
import { definitions } from "../../../src/api/index.ts";
import { features } from "../../../src/features/index.ts";
import { allWebhooks } from "../../../src/manager/webhooks.ts";
import { daemonPolicyObjects } from "../daemon.ts";
import type { Generator } from "../generator.ts";
import { alerts } from "./alerts.ts";
import { crdTemplates } from "./crds.ts";
import { dashboards } from "./dashboards.ts";
import { gatesTemplate } from "./gates.ts";
import { banner, hole, labelsHole, printTemplate } from "./holes.ts";
import { aggregateTemplate, rbacTemplate } from "./rbac.ts";
import { values } from "./values.ts";
import { valuesSchema, valuesYaml } from "./values-files.ts";
import { installToken, webhooksTemplate } from "./webhooks.ts";

const directory = "deploy/chart";

export const chart: Generator = {
  owns: [
    `${directory}/Chart.yaml`,
    `${directory}/values.yaml`,
    `${directory}/values.schema.json`,
    `${directory}/templates/generated/**/*`,
    `${directory}/files/*`,
    `${directory}/dashboards/*.json`,
  ],
  files: () => ({
    [`${directory}/Chart.yaml`]: chartYaml(),
    [`${directory}/values.yaml`]: valuesYaml(values),
    [`${directory}/values.schema.json`]: valuesSchema(values),
    ...under("templates/generated", {
      ...crdTemplates(features.flatMap((feature) => feature.kinds ?? [])),
      "rbac.yaml": rbacTemplate(features),
      "aggregate-roles.yaml": aggregateTemplate(features),
      "webhooks.yaml": webhooksTemplate(allWebhooks(features, installToken)),
      "uninstall-role.yaml": uninstallRole(),
      "daemon-policy.yaml": daemonPolicy(),
      "_gates.tpl": `${banner}${gatesTemplate()}`,
    }),
    ...under("files", { "alerts.json": `${JSON.stringify(alertRules(), null, 2)}\n` }),
    ...under("dashboards", dashboards()),
  }),
};

function under(folder: string, files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [`${directory}/${folder}/${name}`, content]));
}

function chartYaml(): string {
  return stringify(
    {
      apiVersion: "v2",
      name: "kruise",
      description: packageJson.description,
      type: "application",
      version: packageJson.version,
      appVersion: packageJson.version,
      kubeVersion: ">=1.24.0-0",
      keywords: ["kruise", "openkruise", "cloneset", "sidecarset", "in-place update"],
      annotations: { "artifacthub.io/license": packageJson.license },
    },
    { lineWidth: 0 },
  );
}

/** Where the server knows such policies (Kubernetes 1.30). */
function daemonPolicy(): string {
  const objects = daemonPolicyObjects({
    installNamespace: hole(".Values.installation.namespace"),
    daemonConfigNamespace: hole(".Values.installation.daemonConfigNamespace"),
  }) as { metadata: { name: string } }[];
  const printed = objects.map((object) => `---\n${printTemplate({ ...object, metadata: { ...object.metadata, labels: labelsHole(4) } })}`);
  return `${banner}{{- if eq (include "kruise.daemonPolicy" .) "true" }}\n${printed.join("")}{{- end }}\n`;
}

/** What the guard of `helm uninstall` counts. */
function uninstallRole(): string {
  const kinds = definitions.map(({ kind }) => kind);
  const groups = [...new Set(kinds.map(({ group }) => group))].sort();
  const rules = groups.map((group) => ({
    apiGroups: [group],
    resources: kinds
      .filter((kind) => kind.group === group)
      .map(({ plural }) => plural)
      .sort(),
    verbs: ["list"],
  }));
  const role = printTemplate({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: {
      name: "kruise-helm-hook-role",
      labels: hole('include "kruise.labels" . | nindent 4'),
      annotations: hole('include "kruise.hookAnnotations" 1 | nindent 4'),
    },
    rules,
  });
  return `${banner}{{- if .Values.helmHooks.enabled }}\n${role}{{- end }}\n`;
}

function alertRules(): object[] {
  return alerts.map(({ name, expr, for: hold, severity, summary }) => ({
    alert: name,
    expr,
    for: hold,
    labels: { severity },
    annotations: { summary, runbook: `docs/reference/alerts.md#${name.toLowerCase()}` },
  }));
}
