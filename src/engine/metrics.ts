/** Counting, as little of it as the engine needs: the manager binds it to Prometheus, tests read it back. */
import type { Cancel } from "../env/env.ts";

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  /** Upper bounds; histograms only. */
  readonly buckets?: readonly number[];
}

export type Labels = Readonly<Record<string, string>>;

export interface Metrics {
  /** Counters and gauges; `by` may be negative for gauges. */
  add(metric: Metric, labels: Labels, by?: number): void;
  set(metric: Metric, labels: Labels, value: number): void;
  observe(metric: Metric, labels: Labels, value: number): void;
  /** Runs before the metrics are read: for gauges that cost something to know. */
  onCollect(sample: () => void): Cancel;
}

export const noMetrics: Metrics = {
  add() {},
  set() {},
  observe() {},
  onCollect: () => () => {},
};

/** Keeps everything in memory. */
export class MemoryMetrics implements Metrics {
  readonly #values = new Map<string, number>();
  readonly #observations = new Map<string, number[]>();
  readonly #samplers = new Set<() => void>();

  add(metric: Metric, labels: Labels, by = 1): void {
    const id = series(metric.name, labels);
    this.#values.set(id, (this.#values.get(id) ?? 0) + by);
  }

  set(metric: Metric, labels: Labels, value: number): void {
    this.#values.set(series(metric.name, labels), value);
  }

  observe(metric: Metric, labels: Labels, value: number): void {
    const id = series(metric.name, labels);
    const values = this.#observations.get(id);
    if (values === undefined) this.#observations.set(id, [value]);
    else values.push(value);
  }

  onCollect(sample: () => void): Cancel {
    this.#samplers.add(sample);
    return () => {
      this.#samplers.delete(sample);
    };
  }

  /** Counters and gauges; 0 when never touched. */
  value(metric: Pick<Metric, "name">, labels: Labels = {}): number {
    for (const sample of this.#samplers) sample();
    return this.#values.get(series(metric.name, labels)) ?? 0;
  }

  has(metric: Pick<Metric, "name">, labels: Labels = {}): boolean {
    return this.#values.has(series(metric.name, labels));
  }

  observed(metric: Pick<Metric, "name">, labels: Labels = {}): readonly number[] {
    return this.#observations.get(series(metric.name, labels)) ?? [];
  }
}

function series(name: string, labels: Labels): string {
  return `${name}{${Object.keys(labels)
    .sort()
    .map((label) => `${label}=${labels[label]}`)
    .join(",")}}`;
}
