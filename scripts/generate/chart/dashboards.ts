/** Grafana dashboards: few panels, each answering one question. */
import { metrics as m } from "../../../src/engine/metrics-names.ts";

interface Panel {
  readonly title: string;
  readonly unit?: string;
  readonly queries: readonly (readonly [expr: string, legend: string])[];
}

const rate = (name: string, by: string, of = "") => `sum by (${by}) (rate(${name}${of}[$__rate_interval]))`;
const quantile = (q: number, name: string, by: string) =>
  `histogram_quantile(${q}, sum by (le, ${by}) (rate(${name}_bucket[$__rate_interval])))`;

const managerPanels: readonly Panel[] = [
  { title: "Who leads", queries: [[m.managerIsLeader.name, "{{pod}}"]] },
  { title: "Reconciles", unit: "ops", queries: [[rate(m.reconcileTotal.name, "controller"), "{{controller}}"]] },
  { title: "Failed reconciles", unit: "ops", queries: [[rate(m.reconcileErrorsTotal.name, "controller"), "{{controller}}"]] },
  { title: "Time per reconcile, p99", unit: "s", queries: [[quantile(0.99, m.reconcileTimeSeconds.name, "controller"), "{{controller}}"]] },
  { title: "Keys that wait", queries: [[`max by (name) (${m.queueDepth.name})`, "{{name}}"]] },
  { title: "Wait for a worker, p99", unit: "s", queries: [[quantile(0.99, m.queueDurationSeconds.name, "name"), "{{name}}"]] },
  { title: "Admission", unit: "reqps", queries: [[rate(m.webhookRequestsTotal.name, "webhook, code"), "{{webhook}} {{code}}"]] },
  { title: "Time per admission, p99", unit: "s", queries: [[quantile(0.99, m.webhookLatencySeconds.name, "webhook"), "{{webhook}}"]] },
  {
    title: "Requests to the API server",
    unit: "reqps",
    queries: [[rate(m.restClientRequestsTotal.name, "method, code"), "{{method}} {{code}}"]],
  },
  { title: "Memory", unit: "bytes", queries: [["process_resident_memory_bytes", "{{pod}}"]] },
  { title: "CPU", unit: "percentunit", queries: [["rate(process_cpu_seconds_total[$__rate_interval])", "{{pod}}"]] },
  { title: "Event loop lag, p99", unit: "s", queries: [[quantile(0.99, m.eventLoopLagSeconds.name, "pod"), "{{pod}}"]] },
  { title: "Objects in the cache", queries: [[`max by (resource) (${m.cacheObjects.name})`, "{{resource}}"]] },
  { title: "Watches that began again", unit: "ops", queries: [[rate(m.watchRestartsTotal.name, "resource"), "{{resource}}"]] },
  { title: "Until the certificate ends", unit: "s", queries: [[`min by (certificate) (${m.certExpirySeconds.name})`, "{{certificate}}"]] },
];

const rolloutPanels: readonly Panel[] = [
  { title: "Held back, by why", unit: "ops", queries: [[rate(m.blockedTotal.name, "kind, reason"), "{{kind}} {{reason}}"]] },
  { title: "Rollouts by how they ended", queries: [[`sum by (result) (increase(${m.rolloutOutcomeTotal.name}[1h]))`, "{{result}}"]] },
  {
    title: "Time per rollout",
    unit: "s",
    queries: [
      [quantile(0.5, m.rolloutSeconds.name, "result, phase"), "p50 {{result}} {{phase}}"],
      [quantile(0.95, m.rolloutSeconds.name, "result, phase"), "p95 {{result}} {{phase}}"],
    ],
  },
  {
    title: "In-place update, change to ready",
    unit: "s",
    queries: [
      [`histogram_quantile(0.5, sum by (le) (rate(${m.inPlaceUpdateSeconds.name}_bucket[$__rate_interval])))`, "p50"],
      [`histogram_quantile(0.99, sum by (le) (rate(${m.inPlaceUpdateSeconds.name}_bucket[$__rate_interval])))`, "p99"],
    ],
  },
  {
    title: "Refused by a PodUnavailableBudget",
    unit: "ops",
    queries: [[rate(m.podUnavailableBudget.name, "kind_namespace_name"), "{{kind_namespace_name}}"]],
  },
  {
    title: "Refused deletions",
    unit: "ops",
    queries: [
      [rate(m.namespaceDeletionProtection.name, "name"), "namespace {{name}}"],
      [rate(m.crdDeletionProtection.name, "name"), "CRD {{name}}"],
      [rate(m.workloadDeletionProtection.name, "kind_namespace_name"), "{{kind_namespace_name}}"],
    ],
  },
];

export function dashboards(): Record<string, string> {
  return {
    "kruise-manager.json": dashboard("kruise-manager", "Kruise / Manager", managerPanels),
    "kruise-rollouts.json": dashboard("kruise-rollouts", "Kruise / Rollouts", rolloutPanels),
  };
}

function dashboard(uid: string, title: string, panels: readonly Panel[]): string {
  const datasource = { type: "prometheus", uid: `$${"{datasource}"}` };
  const board = {
    uid,
    title,
    tags: ["kruise"],
    schemaVersion: 39,
    time: { from: "now-6h", to: "now" },
    refresh: "1m",
    templating: { list: [{ name: "datasource", type: "datasource", query: "prometheus", current: {} }] },
    panels: panels.map((panel, index) => ({
      id: index + 1,
      title: panel.title,
      type: "timeseries",
      datasource,
      gridPos: { h: 8, w: 8, x: (index % 3) * 8, y: Math.floor(index / 3) * 8 },
      fieldConfig: { defaults: { unit: panel.unit ?? "short", min: 0 }, overrides: [] },
      targets: panel.queries.map(([expr, legendFormat], query) => ({
        refId: String.fromCharCode(65 + query),
        datasource,
        expr,
        legendFormat,
      })),
    })),
  };
  return `${JSON.stringify(board, null, 2)}\n`;
}
