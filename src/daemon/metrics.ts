/**
 * Counting in Prometheus' text format. The daemon has few series and little memory: the client library alone would cost it a fifth of
 * what it may use.
 */
import { readFileSync } from "node:fs";
import type { Labels, Metric, Metrics } from "../engine/metrics.ts";
import type { MetricsSource } from "../process/endpoints.ts";

interface Histogram {
  readonly counts: number[];
  sum: number;
  count: number;
}

interface Series {
  readonly labels: Labels;
  value: number;
  readonly histogram: Histogram | undefined;
}

const seriesMax = 2000;

export class TextMetrics implements Metrics, MetricsSource {
  readonly contentType = "text/plain; version=0.0.4; charset=utf-8";
  readonly #families = new Map<string, { readonly metric: Metric; readonly series: Map<string, Series> }>();
  readonly #samplers = new Set<() => void>();
  #size = 0;

  add(metric: Metric, labels: Labels, by = 1): void {
    const series = this.#series(metric, labels);
    if (series !== undefined) series.value += by;
  }

  set(metric: Metric, labels: Labels, value: number): void {
    const series = this.#series(metric, labels);
    if (series !== undefined) series.value = value;
  }

  observe(metric: Metric, labels: Labels, value: number): void {
    const histogram = this.#series(metric, labels)?.histogram;
    if (histogram === undefined) return;
    const index = (metric.buckets ?? []).findIndex((bound) => value <= bound);
    if (index >= 0) histogram.counts[index] = (histogram.counts[index] ?? 0) + 1;
    histogram.sum += value;
    histogram.count += 1;
  }

  onCollect(sample: () => void): () => void {
    this.#samplers.add(sample);
    return () => {
      this.#samplers.delete(sample);
    };
  }

  text(): Promise<string> {
    for (const sample of this.#samplers) sample();
    const lines: string[] = [];
    for (const { metric, series } of this.#families.values()) {
      lines.push(`# HELP ${metric.name} ${metric.help}`, `# TYPE ${metric.name} ${metric.type}`);
      for (const each of series.values()) lines.push(...linesOf(metric, each));
    }
    return Promise.resolve(`${lines.join("\n")}\n`);
  }

  /** Undefined once there are too many: a label with endless values must not eat the memory. */
  #series(metric: Metric, labels: Labels): Series | undefined {
    let family = this.#families.get(metric.name);
    if (family === undefined) {
      family = { metric, series: new Map() };
      this.#families.set(metric.name, family);
    }
    const id = metric.labels.map((label) => labels[label] ?? "").join("\n");
    let series = family.series.get(id);
    if (series === undefined && this.#size < seriesMax) {
      const isHistogram = metric.type === "histogram";
      series = { labels, value: 0, histogram: isHistogram ? { counts: (metric.buckets ?? []).map(() => 0), sum: 0, count: 0 } : undefined };
      family.series.set(id, series);
      this.#size += 1;
    }
    return series;
  }
}

function linesOf(metric: Metric, { labels, value, histogram }: Series): string[] {
  const { name, buckets = [] } = metric;
  if (histogram === undefined) return [`${name}${labelText(metric, labels)} ${value}`];
  let below = 0;
  const lines = buckets.map((bound, index) => {
    below += histogram.counts[index] ?? 0;
    return `${name}_bucket${labelText(metric, labels, bound)} ${below}`;
  });
  return [
    ...lines,
    `${name}_bucket${labelText(metric, labels, "+Inf")} ${histogram.count}`,
    `${name}_sum${labelText(metric, labels)} ${histogram.sum}`,
    `${name}_count${labelText(metric, labels)} ${histogram.count}`,
  ];
}

function labelText(metric: Metric, labels: Labels, bound?: number | string): string {
  const pairs = metric.labels.map((label) => `${label}="${escaped(labels[label] ?? "")}"`);
  if (bound !== undefined) pairs.push(`le="${bound}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

const gauge = (name: string, help: string): Metric => ({ name, help, type: "gauge", labels: [] });
const processMetrics = {
  cpu: { name: "process_cpu_seconds_total", help: "User and system CPU time spent, in seconds.", type: "counter", labels: [] } as Metric,
  resident: gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
  start: gauge("process_start_time_seconds", "Start time of the process since 1970 in seconds."),
};

/** What every exporter tells of its process. */
export function collectProcess(metrics: Metrics, startedAtMs: number): void {
  metrics.onCollect(() => {
    const { user, system } = process.cpuUsage();
    metrics.set(processMetrics.cpu, {}, (user + system) / 1e6);
    metrics.set(processMetrics.resident, {}, residentBytes());
    metrics.set(processMetrics.start, {}, startedAtMs / 1000);
  });
}

function residentBytes(): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return process.memoryUsage.rss();
  }
}
