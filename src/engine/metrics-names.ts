/**
 * The metrics of the process, by name: boards and alerts are built on them, so names and labels are public. Those of controller-runtime
 * and OpenKruise keep their names; ours begin with `kruiser_`.
 */
import type { Metric } from "./metrics.ts";

const counter = (name: string, labels: readonly string[], help: string): Metric => ({ name, help, type: "counter", labels });
const gauge = (name: string, labels: readonly string[], help: string): Metric => ({ name, help, type: "gauge", labels });
const histogram = (name: string, labels: readonly string[], buckets: readonly number[], help: string): Metric => ({
  name,
  help,
  type: "histogram",
  labels,
  buckets,
});

// The bounds of controller-runtime, so that quantiles of both managers compare.
const reconcileSeconds = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5,
  5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
const queueSeconds = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000];
const rolloutSeconds = [1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, 86400];

export const metrics = {
  reconcileTotal: counter("controller_runtime_reconcile_total", ["controller", "result"], "Reconciliations per controller."),
  reconcileErrorsTotal: counter("controller_runtime_reconcile_errors_total", ["controller"], "Reconciliations that ended in an error."),
  reconcileTimeSeconds: histogram(
    "controller_runtime_reconcile_time_seconds",
    ["controller"],
    reconcileSeconds,
    "Length of time per reconciliation.",
  ),
  activeWorkers: gauge("controller_runtime_active_workers", ["controller"], "Workers in use."),
  maxConcurrentReconciles: gauge("controller_runtime_max_concurrent_reconciles", ["controller"], "Workers there are."),

  queueDepth: gauge("workqueue_depth", ["name"], "Keys that wait for a worker."),
  queueAddsTotal: counter("workqueue_adds_total", ["name"], "Adds handled by the queue."),
  queueDurationSeconds: histogram("workqueue_queue_duration_seconds", ["name"], queueSeconds, "How long a key waits for a worker."),
  queueWorkSeconds: histogram("workqueue_work_duration_seconds", ["name"], queueSeconds, "How long a key is worked on."),
  queueRetriesTotal: counter("workqueue_retries_total", ["name"], "Retries handled by the queue."),
  queueUnfinishedSeconds: gauge("workqueue_unfinished_work_seconds", ["name"], "Work in progress, summed over the keys in work."),
  queueLongestSeconds: gauge("workqueue_longest_running_processor_seconds", ["name"], "How long the longest key has been in work."),

  webhookRequestsTotal: counter("controller_runtime_webhook_requests_total", ["webhook", "code"], "Admission requests by answer."),
  webhookLatencySeconds: histogram(
    "controller_runtime_webhook_latency_seconds",
    ["webhook"],
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    "How long admission requests take.",
  ),
  webhookInFlight: gauge("controller_runtime_webhook_requests_in_flight", ["webhook"], "Admission requests being served."),
  restClientRequestsTotal: counter("rest_client_requests_total", ["code", "method", "host"], "Requests to the API server."),
  leaderElectionMasterStatus: gauge("leader_election_master_status", ["name"], "1 on the leader."),
  leaderElectionSlowpathTotal: counter("leader_election_slowpath_total", ["name"], "Lease renewals that had to read the Lease first."),
  certwatcherReadCertificateTotal: counter("certwatcher_read_certificate_total", [], "Certificate reads."),

  managerIsLeader: gauge("kruise_manager_is_leader", [], "1 on the leader."),
  podUnavailableBudget: counter("pod_unavailable_budget", ["kind_namespace_name", "username"], "Refusals by a PodUnavailableBudget."),
  scaleExpectationLeakage: counter(
    "cloneset_scale_expectation_leakage",
    ["namespace", "name"],
    "Expectations of a CloneSet that timed out.",
  ),
  namespaceDeletionProtection: counter("namespace_deletion_protection", ["name", "username"], "Refused deletions of namespaces."),
  crdDeletionProtection: counter("crd_deletion_protection", ["name", "username"], "Refused deletions of CRDs."),
  workloadDeletionProtection: counter(
    "workload_deletion_protection",
    ["kind_namespace_name", "username"],
    "Refused deletions of workloads.",
  ),

  blockedTotal: counter("kruiser_blocked_total", ["kind", "reason"], "Times something was held back, by why."),
  expectationTimeoutTotal: counter(
    "kruiser_expectation_timeout_total",
    ["controller"],
    "Unclear writes that could not be cleared up in time.",
  ),
  reconcilePanicsTotal: counter("kruiser_broken_promise_total", ["controller"], "Errors thrown by our own code: please report them."),
  rolloutSeconds: histogram(
    "kruiser_rollout_duration_seconds",
    ["result", "phase"],
    rolloutSeconds,
    "How long rollouts took: on the way (progressing), and held by pause or partition (paused).",
  ),
  rolloutOutcomeTotal: counter(
    "kruiser_rollout_outcome_total",
    ["result"],
    "Rollouts that came to their end (completed), made way for another revision (superseded), or passed their deadline (failed; they go on).",
  ),
  inPlaceUpdateSeconds: histogram(
    "kruiser_inplace_update_seconds",
    [],
    rolloutSeconds,
    "From the change of a pod in place to its readiness.",
  ),
  watchRestartsTotal: counter("kruiser_watch_restarts_total", ["resource"], "Watches that had to begin again."),
  relistDriftTotal: counter("kruiser_relist_drift_total", ["resource"], "Objects that a list showed otherwise than the watch had."),
  watchBytesTotal: counter("kruiser_watch_bytes_total", ["resource"], "Bytes that lists and watches have brought."),
  watchSilentSeconds: gauge(
    "kruiser_watch_silent_seconds",
    ["resource"],
    "Since the API server last said anything of this kind, bookmarks included.",
  ),
  cacheObjects: gauge("kruiser_cache_objects", ["resource"], "Objects in the watch cache."),
  cacheSynced: gauge("kruiser_cache_synced", ["resource"], "1 while the watch cache shows a whole list and follows it."),
  injectionMissed: gauge("kruiser_injection_missed", ["sidecarset"], "Pods that were made without what the SidecarSet should have added."),
  webhooksDropped: gauge(
    "kruiser_webhooks_dropped",
    ["configuration"],
    "Entries left out of a webhook configuration because this version has no handler for their path.",
  ),
  admissionBreakerOpen: gauge(
    "kruiser_admission_breaker_open",
    ["feature"],
    "1 while pods are created without this feature, because it keeps failing. Only of features that pods may go without.",
  ),
  webhookNarrowed: gauge(
    "kruiser_webhook_narrowed",
    ["webhook"],
    "1 while the API server is kept from asking this webhook about pods that nothing concerns.",
  ),
  certExpirySeconds: gauge("kruiser_cert_expiry_seconds", ["certificate"], "Until the serving certificate, or its authority (ca), ends."),
  eventLoopLagSeconds: histogram(
    "kruiser_event_loop_lag_seconds",
    [],
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    "How late timers run because the event loop is held up.",
  ),
} as const satisfies Record<string, Metric>;
