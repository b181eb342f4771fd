/** What the admission rooms count. Names and labels on the wire are the business of whoever implements it. */
export interface AdmissionMetrics {
  /** Asked once a path, at start. */
  webhook(path: string): WebhookMeter;
  /**
   * pod_unavailable_budget{kind_namespace_name,username}, namespace_deletion_protection{name,username},
   * crd_deletion_protection{name,username}, workload_deletion_protection{kind_namespace_name,username}: plus one.
   */
  refused(metric: RefusalMetric, labels: Readonly<Record<string, string>>): void;
  /** How many entries of a webhook configuration are left out of it because nobody handles their path. A gauge. */
  droppedWebhooks(configuration: string, count: number): void;
  /** kruiser_admission_breaker_open{feature}: whether a part of the pods' creation is left out, because it keeps failing. A gauge. */
  bypassed(feature: string, isBypassed: boolean): void;
  /** Whether the API server is kept from asking this webhook about pods that nothing concerns. A gauge. */
  narrowed(webhook: string, isNarrowed: boolean): void;
  /** certwatcher_read_certificate_total: a certificate was taken into use. kruiser_cert_expiry_seconds{certificate}: until it ends. */
  certificateRead(ends: CertificateEnds): void;
}

/** ms since 1970. */
export interface CertificateEnds {
  readonly servingMs: number;
  /** Of the authority that ends last: the newest, while two are trusted. */
  readonly caMs: number;
}

/** Of one path: controller_runtime_webhook_requests_total{webhook,code}, …_latency_seconds{webhook}, …_requests_in_flight{webhook}. */
export interface WebhookMeter {
  /** In flight: one more. */
  started(): void;
  /** In flight: one fewer; one request more with this HTTP status; its latency in seconds. */
  finished(status: number, seconds: number): void;
}

export type RefusalMetric =
  | "pod_unavailable_budget"
  | "namespace_deletion_protection"
  | "crd_deletion_protection"
  | "workload_deletion_protection";

const silentMeter: WebhookMeter = { started() {}, finished() {} };
export const silentMetrics: AdmissionMetrics = {
  webhook: () => silentMeter,
  refused() {},
  droppedWebhooks() {},
  bypassed() {},
  narrowed() {},
  certificateRead() {},
};
