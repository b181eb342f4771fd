/** Metrics, alerts and dashboards go together: what is named is counted, and what is asked for is named. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { daemonMetrics } from "../../src/daemon/metrics-names.ts";
import type { Metric } from "../../src/engine/metrics.ts";
import { metrics } from "../../src/engine/metrics-names.ts";
import { alerts } from "./chart/alerts.ts";
import { dashboards } from "./chart/dashboards.ts";

const src = join(import.meta.dir, "../../src");
const sources = [...new Bun.Glob("**/*.ts").scanSync({ cwd: src })]
  .filter((path) => !path.endsWith(".test.ts") && !path.includes("testing/") && !path.endsWith("metrics-names.ts"))
  .map((path) => readFileSync(join(src, path), "utf8"))
  .join("\n");
const all: Readonly<Record<string, Metric>> = { ...metrics, ...daemonMetrics };

test.each(Object.entries(all))("%s is counted somewhere", (key) => {
  expect(new RegExp(`(names|Names|metrics|daemonMetrics)\\.${key}\\b`).test(sources)).toBe(true);
});

test("no two have one name", () => {
  expect(new Set(Object.values(all).map(({ name }) => name)).size).toBe(Object.keys(all).length);
});

/** Of other programs: Prometheus itself, the API server, the kubelet, kube-state-metrics; and what every process tells. */
const foreign = /^(up|apiserver_|container_|kube_|process_)/;
const words = /\b[a-z]+(?:_[a-z0-9]+)+\b/g;
const plain = (expr: string) => expr.replace(/"[^"]*"/g, "").replace(/\b(by|on) ?\([^)]*\)|\bgroup_left ?\([^)]*\)/g, "");
const known = new Set(Object.values(all).map(({ name }) => name));
const asked = (expr: string) => [...plain(expr).matchAll(words)].map(([word]) => word.replace(/_(bucket|sum|count)$/, ""));
const functions = new Set(["histogram_quantile", "kind_namespace_name"]);

const queries = [
  ...alerts.map(({ name, expr }) => [name, expr] as const),
  ...Object.values(dashboards()).flatMap((board) =>
    (JSON.parse(board) as { panels: { title: string; targets: { expr: string }[] }[] }).panels.flatMap(({ title, targets }) =>
      targets.map(({ expr }) => [title, expr] as const),
    ),
  ),
];
test.each(queries)("%s asks for what there is", (_, expr) => {
  const names = asked(expr).filter((word) => !functions.has(word) && !foreign.test(word));
  expect(names.filter((name) => !known.has(name) && !known.has(name.replace(/_total$/, "")))).toEqual([]);
});

test("every alert says what to do", () => {
  for (const { name, runbook, summary } of alerts) {
    expect(name).toMatch(/^Kruise[A-Z]/);
    expect(summary).not.toBe("");
    expect(runbook.length).toBeGreaterThan(0);
  }
});
