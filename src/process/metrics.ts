/** The engine's and the admission rooms' counting, bound to Prometheus under controller-runtime's and OpenKruise's names. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { AdmissionMetrics, RefusalMetric } from "../admission/metrics.ts";
import type { Labels, Metric, Metrics } from "../engine/metrics.ts";
import type { Env } from "../env/env.ts";
import { collectProcessMetrics, observeLag } from "./process-metrics.ts";

/** As controller-runtime's: 5 ms to 60 s. */
const latencySecondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const refusals: Record<RefusalMetric, { help: string; labelNames: string[] }> = {
  pod_unavailable_budget: { help: "Refusals by a PodUnavailableBudget.", labelNames: ["kind_namespace_name", "username"] },
  namespace_deletion_protection: { help: "Refused deletions of namespaces.", labelNames: ["name", "username"] },
  crd_deletion_protection: { help: "Refused deletions of CustomResourceDefinitions.", labelNames: ["name", "username"] },
  workload_deletion_protection: { help: "Refused deletions of workloads.", labelNames: ["kind_namespace_name", "username"] },
};

export class ProcessMetrics implements Metrics, AdmissionMetrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #samplers = new Set<() => void>();
  readonly #refused: Record<RefusalMetric, Counter>;
  readonly #requests: Counter;
  readonly #latency: Histogram;
  readonly #inFlight: Gauge;
  readonly #certificates: Counter;
  readonly #dropped: Gauge;

  constructor(env: Env) {
    const registers = [this.#registry];
    collectProcessMetrics(this.#registry, env.nowMs());
    observeLag(this.#registry, env);
    this.#refused = Object.fromEntries(
      Object.entries(refusals).map(([name, of]) => [name, new Counter({ name, ...of, registers })]),
    ) as Record<RefusalMetric, Counter>;
    this.#requests = new Counter({
      name: "controller_runtime_webhook_requests_total",
      help: "Admission requests by HTTP status code.",
      labelNames: ["webhook", "code"],
      registers,
    });
    this.#latency = new Histogram({
      name: "controller_runtime_webhook_latency_seconds",
      help: "Latency of admission requests.",
      labelNames: ["webhook"],
      buckets: latencySecondsBuckets,
      registers,
    });
    this.#inFlight = new Gauge({
      name: "controller_runtime_webhook_requests_in_flight",
      help: "Admission requests being answered.",
      labelNames: ["webhook"],
      registers,
    });
    this.#certificates = new Counter({ name: "certwatcher_read_certificate_total", help: "Certificates taken into use.", registers });
    this.#dropped = new Gauge({
      name: "kruiser_webhooks_dropped",
      help: "Entries left out of a webhook configuration because this version has no handler for their path.",
      labelNames: ["configuration"],
      registers,
    });
  }

  add(metric: Metric, labels: Labels, by = 1): void {
    if (metric.type === "counter") this.#counter(metric).inc(labels, by);
    else this.#gauge(metric).inc(labels, by);
  }

  set(metric: Metric, labels: Labels, value: number): void {
    this.#gauge(metric).set(labels, value);
  }

  observe(metric: Metric, labels: Labels, value: number): void {
    this.#histogram(metric).observe(labels, value);
  }

  onCollect(sample: () => void): () => void {
    this.#samplers.add(sample);
    return () => this.#samplers.delete(sample);
  }

  webhook(path: string) {
    const labels = { webhook: path };
    const inFlight = this.#inFlight.labels(path);
    const latency = this.#latency.labels(path);
    // A status seldom differs from the last one of its path: keep the child at hand.
    const requests = new Map<number, Counter.Internal>();
    inFlight.set(0);
    return {
      started: () => inFlight.inc(),
      finished: (status: number, seconds: number) => {
        inFlight.dec();
        latency.observe(seconds);
        let counter = requests.get(status);
        if (counter === undefined) {
          counter = this.#requests.labels({ ...labels, code: String(status) });
          requests.set(status, counter);
        }
        counter.inc();
      },
    };
  }

  refused(metric: RefusalMetric, labels: Readonly<Record<string, string>>): void {
    this.#refused[metric].inc(labels);
  }

  droppedWebhooks(configuration: string, count: number): void {
    this.#dropped.set({ configuration }, count);
  }

  certificateRead(): void {
    this.#certificates.inc();
  }

  /** Prometheus' text format. */
  text(): Promise<string> {
    for (const sample of this.#samplers) sample();
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #counter(metric: Metric): Counter {
    return cached(this.#counters, metric, () => new Counter({ ...described(metric), registers: [this.#registry] }));
  }

  #gauge(metric: Metric): Gauge {
    return cached(this.#gauges, metric, () => new Gauge({ ...described(metric), registers: [this.#registry] }));
  }

  #histogram(metric: Metric): Histogram {
    return cached(
      this.#histograms,
      metric,
      () => new Histogram({ ...described(metric), buckets: [...(metric.buckets ?? latencySecondsBuckets)], registers: [this.#registry] }),
    );
  }
}

function described(metric: Metric) {
  return { name: metric.name, help: metric.help, labelNames: [...metric.labels] };
}

function cached<T>(kept: Map<string, T>, metric: Metric, make: () => T): T {
  let found = kept.get(metric.name);
  if (found === undefined) {
    found = make();
    kept.set(metric.name, found);
  }
  return found;
}
