/** The engine's and the admission rooms' counting, in Prometheus' format under controller-runtime's and OpenKruise's names. */
import type { AdmissionMetrics, CertificateEnds, RefusalMetric } from "../admission/metrics.ts";
import type { Labels, Metric, Metrics } from "../engine/metrics.ts";
import { metrics as names } from "../engine/metrics-names.ts";
import type { Env } from "../env/env.ts";
import { collectProcessMetrics, observeLag } from "./process-metrics.ts";
import { type Family, type HistogramSample, Registry, type Sample } from "./prometheus.ts";

/** As controller-runtime's: 5 ms to 60 s. */
const latencySecondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const refusals: Record<RefusalMetric, Metric> = {
  pod_unavailable_budget: names.podUnavailableBudget,
  namespace_deletion_protection: names.namespaceDeletionProtection,
  crd_deletion_protection: names.crdDeletionProtection,
  workload_deletion_protection: names.workloadDeletionProtection,
};

/** Shown from the beginning: a rate of errors needs the errors that there were none of. */
const likelyStatuses = [200, 500] as const;

/** Whatever the engine counts. */
export class EngineMetrics implements Metrics {
  protected readonly registry: Registry;
  readonly #numbers = new Map<string, Family<Sample>>();
  readonly #histograms = new Map<string, Family<HistogramSample>>();

  constructor(samplesMax?: number) {
    this.registry = new Registry(samplesMax);
  }

  add(metric: Metric, labels: Labels, by = 1): void {
    this.#number(metric).of(labels).add(by);
  }

  set(metric: Metric, labels: Labels, value: number): void {
    this.#number(metric).of(labels).value = value;
  }

  observe(metric: Metric, labels: Labels, value: number): void {
    let family = this.#histograms.get(metric.name);
    if (family === undefined) {
      family = this.registry.histogram({ ...metric, buckets: metric.buckets ?? latencySecondsBuckets });
      this.#histograms.set(metric.name, family);
    }
    family.of(labels).observe(value);
  }

  onCollect(sample: () => void): () => void {
    return this.registry.onCollect(sample);
  }

  /** Prometheus' text format. */
  text(): Promise<string> {
    return this.registry.text();
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  #number(metric: Metric): Family<Sample> {
    let family = this.#numbers.get(metric.name);
    if (family === undefined) {
      family = metric.type === "counter" ? this.registry.counter(metric) : this.registry.gauge(metric);
      this.#numbers.set(metric.name, family);
    }
    return family;
  }
}

export class ProcessMetrics extends EngineMetrics implements AdmissionMetrics {
  readonly #refused: Record<RefusalMetric, Family<Sample>>;
  readonly #requests: Family<Sample>;
  readonly #latency: Family<HistogramSample>;
  readonly #inFlight: Family<Sample>;
  readonly #certificates: Family<Sample>;
  readonly #ends: Family<Sample>;
  readonly #endsMs = new Map<string, number>();
  readonly #dropped: Family<Sample>;
  readonly #narrowed: Family<Sample>;
  readonly #bypassed: Family<Sample>;

  constructor(env: Env) {
    super();
    const { registry } = this;
    collectProcessMetrics(registry, env.nowMs());
    observeLag(registry, env);
    this.#refused = Object.fromEntries(Object.entries(refusals).map(([name, metric]) => [name, registry.counter(metric)])) as Record<
      RefusalMetric,
      Family<Sample>
    >;
    this.#requests = registry.counter(names.webhookRequestsTotal);
    this.#latency = registry.histogram({
      ...names.webhookLatencySeconds,
      buckets: names.webhookLatencySeconds.buckets ?? latencySecondsBuckets,
    });
    this.#inFlight = registry.gauge(names.webhookInFlight);
    this.#certificates = registry.counter(names.certwatcherReadCertificateTotal);
    this.#ends = registry.gauge(names.certExpirySeconds);
    this.#dropped = registry.gauge(names.webhooksDropped);
    this.#narrowed = registry.gauge(names.webhookNarrowed);
    this.#bypassed = registry.gauge(names.admissionBreakerOpen);
    registry.onCollect(() => {
      for (const [certificate, endMs] of this.#endsMs) this.#ends.of({ certificate }).value = (endMs - env.nowMs()) / 1000;
    });
  }

  webhook(path: string) {
    const labels = { webhook: path };
    const inFlight = this.#inFlight.of(labels);
    const latency = this.#latency.of(labels);
    // A status seldom differs from the last one of its path: keep the number at hand.
    const requests = new Map<number, Sample>();
    for (const status of likelyStatuses) requests.set(status, this.#requests.of({ ...labels, code: String(status) }));
    return {
      started: () => inFlight.add(),
      finished: (status: number, seconds: number) => {
        inFlight.add(-1);
        latency.observe(seconds);
        let count = requests.get(status);
        if (count === undefined) {
          count = this.#requests.of({ ...labels, code: String(status) });
          requests.set(status, count);
        }
        count.add();
      },
    };
  }

  refused(metric: RefusalMetric, labels: Readonly<Record<string, string>>): void {
    this.#refused[metric].of(labels).add();
  }

  droppedWebhooks(configuration: string, count: number): void {
    this.#dropped.of({ configuration }).value = count;
  }

  bypassed(feature: string, isBypassed: boolean): void {
    this.#bypassed.of({ feature }).value = isBypassed ? 1 : 0;
  }

  narrowed(webhook: string, isNarrowed: boolean): void {
    this.#narrowed.of({ webhook }).value = isNarrowed ? 1 : 0;
  }

  certificateRead(ends: CertificateEnds): void {
    this.#certificates.of({}).add();
    this.#endsMs.set("serving", ends.servingMs);
    this.#endsMs.set("ca", ends.caMs);
  }
}
