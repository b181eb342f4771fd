/** Alerts: what is watched, and what to do. The PrometheusRule and the runbooks of the reference are made from this. */
import { daemonMetrics } from "../../../src/daemon/metrics-names.ts";
import { metrics } from "../../../src/engine/metrics-names.ts";

export interface Alert {
  readonly name: string;
  readonly expr: string;
  /** How long it has to hold. */
  readonly for: string;
  readonly severity: "critical" | "warning" | "info";
  readonly summary: string;
  /** What it means and what to do, for whoever is on call. */
  readonly runbook: readonly string[];
}

const m = metrics;
const manager = 'job="kruise-metrics"';
const ratio = (bad: string, all: string) => `${bad} / (${all} > 0)`;

export const alerts: readonly Alert[] = [
  {
    name: "KruiseManagerDown",
    expr: `absent(up{${manager}} == 1)`,
    for: "5m",
    severity: "critical",
    summary: "no manager answers",
    runbook: [
      "Workloads are not reconciled, and webhooks with failurePolicy Fail refuse what they guard. Pods that run keep running.",
      "`kubectl -n kruise-system get pods -l control-plane=controller-manager`; a pod that restarts says why in its last log line: `kubectl logs --previous`.",
      "If creating pods has to go on meanwhile: set the webhook's failurePolicy to Ignore in the annotation `template` of the two webhook configurations (or `webhookConfiguration.failurePolicies` in the chart).",
    ],
  },
  {
    name: "KruiseNoLeader",
    expr: `max(${m.managerIsLeader.name}{${manager}}) == 0`,
    for: "2m",
    severity: "critical",
    summary: "managers run, and none leads",
    runbook: [
      "The Lease `kruise-system/kruise-manager` is held by nobody who is alive, or cannot be written: `kubectl -n kruise-system get lease kruise-manager -o yaml`.",
      "A change of leader takes at most 17 s. Longer: look for `leases` being refused (RBAC) or timing out in the log.",
    ],
  },
  {
    name: "KruiseReconcileErrors",
    expr: ratio(
      `sum by (controller) (rate(${m.reconcileErrorsTotal.name}[10m]))`,
      `sum by (controller) (rate(${m.reconcileTotal.name}[10m]))`,
    ).concat(" > 0.1"),
    for: "15m",
    severity: "warning",
    summary: "more than a tenth of the reconciles of {{ $labels.controller }} fail",
    runbook: [
      "The log names each key and error: `kubectl -n kruise-system logs deploy/kruise-controller-manager | grep <controller>`.",
      "Most are the API server saying no: a quota, a webhook of somebody else, missing rights. The condition and Events of the object say the same.",
    ],
  },
  {
    name: "KruiseBrokenPromise",
    expr: `increase(${m.reconcilePanicsTotal.name}[15m]) > 0`,
    for: "0m",
    severity: "warning",
    summary: "{{ $labels.controller }} ran into an error of its own",
    runbook: ["This is a bug in Kruiser: other keys go on, this one is retried. Please report the log lines with the stack."],
  },
  {
    name: "KruiseKeyStuck",
    expr: `max by (name) (${m.queueLongestSeconds.name}) > 300`,
    for: "5m",
    severity: "warning",
    summary: "one key of {{ $labels.name }} has been in work for more than five minutes",
    runbook: [
      "Requests to the API server hang, or a plan is far too large. `rest_client_requests_total` by code says which; a restart of the leader is safe at any time.",
    ],
  },
  {
    name: "KruiseQueueLong",
    expr: `max by (name) (${m.queueDepth.name}) > 1000`,
    for: "15m",
    severity: "warning",
    summary: "{{ $labels.name }} does not keep up",
    runbook: [
      "Give it CPU first (`container_cpu_cfs_throttled_periods_total`), then workers: `manager.flags.<kind>-workers`.",
      "A queue that grows only after a restart is the first look at everything; it empties by itself.",
    ],
  },
  {
    name: "KruiseQueueWait",
    expr: `histogram_quantile(0.99, sum by (le, name) (rate(${m.queueDurationSeconds.name}_bucket[10m]))) > 300`,
    for: "10m",
    severity: "warning",
    summary: "keys of {{ $labels.name }} wait for more than five minutes",
    runbook: [
      "All workers are busy with keys that take long (`controller_runtime_reconcile_time_seconds`, alert KruiseKeyStuck), or there is far too much to do for them (alert KruiseQueueLong).",
    ],
  },
  {
    name: "KruiseWebhookErrors",
    expr: ratio(
      `sum by (webhook) (rate(${m.webhookRequestsTotal.name}{code="500"}[5m]))`,
      `sum by (webhook) (rate(${m.webhookRequestsTotal.name}[5m]))`,
    ).concat(" > 0.01"),
    for: "10m",
    severity: "critical",
    summary: "{{ $labels.webhook }} fails: what it guards may be refused",
    runbook: [
      "The log of the manager names the step that failed. `webhookConfiguration.failurePolicies` lets requests pass meanwhile, without what the webhook adds.",
    ],
  },
  {
    name: "KruiseWebhookSlow",
    expr: `histogram_quantile(0.99, sum by (le, webhook) (rate(${m.webhookLatencySeconds.name}_bucket[5m]))) > 1`,
    for: "10m",
    severity: "warning",
    summary: "{{ $labels.webhook }} takes more than a second",
    runbook: [
      "Every pod waits for it. Mostly CPU throttling of the manager: raise `manager.resources.limits.cpu`. All replicas serve webhooks, so more replicas help too.",
    ],
  },
  {
    name: "KruiseFeatureBypassed",
    expr: `max by (feature) (${m.admissionBreakerOpen.name}) > 0`,
    for: "5m",
    severity: "warning",
    summary: "pods are created without {{ $labels.feature }}, because it keeps failing",
    runbook: [
      "Only features that pods may go without are left out: a pod that is not marked with its budget at its creation is marked by the controller a moment later, and guarded from then on.",
      'The log names the error: "a part of the pod\'s creation failed". It is tried again by itself, at first after 10 s, at last every 5 min.',
    ],
  },
  {
    name: "KruiseCertificateEnds",
    expr: `min by (certificate) (${m.certExpirySeconds.name}) < 14 * 86400`,
    for: "1h",
    severity: "critical",
    summary: "the webhooks' certificate ({{ $labels.certificate }}) ends in less than 14 days and was not renewed",
    runbook: [
      'The manager renews its own certificate 180 days ahead. That it did not: it may not write Secret `kruise-webhook-certs` (log: "webhook controller").',
      "With the gate EnableExternalCerts the injector (cert-manager) is the one to look at.",
    ],
  },
  {
    name: "KruiseExpectationTimeouts",
    expr: `increase(${m.expectationTimeoutTotal.name}[30m]) > 3`,
    for: "0m",
    severity: "warning",
    summary: "writes of {{ $labels.controller }} stay unclear for longer than they may",
    runbook: [
      "The watch does not show what was written: look at `kruiser_watch_restarts_total` and at the API server. Kruiser looked the objects up and went on; nothing is stuck.",
    ],
  },
  {
    name: "KruiseRelistDrift",
    expr: `sum by (resource) (increase(${m.relistDriftTotal.name}[1h])) > 0`,
    for: "0m",
    severity: "info",
    summary: "changes of {{ $labels.resource }} were seen late",
    runbook: [
      "The watch could not go on where it was, so everything was listed, and some objects had changed meanwhile. Kruiser goes by the list; nothing is lost but time.",
      "After an outage of the API server or of the network this is as it should be. Again and again without one: something between manager and API server (a proxy, a load balancer) drops events.",
    ],
  },
  {
    name: "KruiseWatchSilent",
    expr: `max by (resource, pod) (${m.watchSilentSeconds.name}) > 900`,
    for: "5m",
    severity: "warning",
    summary: "{{ $labels.pod }} has heard nothing of {{ $labels.resource }} for a quarter of an hour",
    runbook: [
      "A watch ends after ten minutes at the latest and begins again, so this one cannot: the API server refuses it or does not answer. The log of that pod has `watch cache` and the reason.",
      "Until it is back, what is shown and decided for this kind is of the past. A restart of that pod is safe.",
    ],
  },
  {
    name: "KruiseCacheNotSynced",
    expr: `min by (resource, pod) (${m.cacheSynced.name}) == 0 and on (resource) max by (resource) (${m.cacheObjects.name}) > 0`,
    for: "10m",
    severity: "warning",
    summary: "{{ $labels.pod }} cannot list or watch {{ $labels.resource }}",
    runbook: [
      "RBAC, or an API server under load: `rest_client_requests_total` by code. Controllers that need this kind do not start without it.",
    ],
  },
  {
    name: "KruiseWebhookFailOpen",
    expr: 'sum by (name) (increase(apiserver_admission_webhook_fail_open_count{name=~".+[.]kb[.]io"}[15m])) > 0',
    for: "0m",
    severity: "warning",
    summary: "requests passed without {{ $labels.name }}",
    runbook: [
      "The API server could not ask a manager, and the webhook's failurePolicy is Ignore. Pods that were made meanwhile may lack what SidecarSets add: `kruiser_injection_missed` counts them, and the SidecarSet's condition names the first.",
      "Is a manager ready, and can the API server reach it?",
    ],
  },
  {
    name: "KruiseWebhooksLeftOut",
    expr: `max by (configuration) (${m.webhooksDropped.name}) > 0 and on () (max(${m.managerIsLeader.name}) == 1)`,
    for: "30m",
    severity: "info",
    summary: "{{ $value }} entries of {{ $labels.configuration }} are not active",
    runbook: [
      "Their paths are of features whose gates are off, of CRDs that are missing, or of another version. The Event `WebhooksLeftOut` on the configuration names them.",
    ],
  },
  {
    name: "KruiseBudgetBlocks",
    expr: `sum by (kind_namespace_name) (increase(${m.podUnavailableBudget.name}[10m])) > 0`,
    for: "30m",
    severity: "warning",
    summary: "a PodUnavailableBudget has refused to let pods of {{ $labels.kind_namespace_name }} go for half an hour",
    runbook: [
      "Somebody, mostly a node drain, asks again and again. `kubectl get pub -A` shows how many pods may be missing and how many are; pods that are broken for other reasons use the budget up.",
      'To let the drain through: repair those pods, raise `maxUnavailable`, or annotate single pods with `pub.kruise.io/no-protect: "true"`.',
    ],
  },
  {
    name: "KruiseImagePullsFail",
    expr: `sum(increase(${daemonMetrics.pulls.name}{result="failed"}[1h])) > 10`,
    for: "0m",
    severity: "info",
    summary: "{{ $value }} images could not be pulled ahead within an hour",
    runbook: [
      "`kubectl get imagepulljobs -A`; the status of the NodeImage, and the Event `PullImageFailed`, have the words of the registry.",
    ],
  },
  {
    name: "KruiseRolloutsFail",
    expr: `increase(${m.rolloutOutcomeTotal.name}{result="failed"}[1h]) > 0`,
    for: "0m",
    severity: "info",
    summary: "rollouts ran past their deadline",
    runbook: ["`kruise explain <kind>/<name> -n <namespace>` says what holds each pod."],
  },
  {
    name: "KruiseMemoryHigh",
    expr: `max by (pod) (container_memory_working_set_bytes{namespace="kruise-system",container=~"manager|daemon"}) / on (pod) group_left () max by (pod) (kube_pod_container_resource_limits{namespace="kruise-system",resource="memory",container=~"manager|daemon"}) > 0.9`,
    for: "15m",
    severity: "warning",
    summary: "{{ $labels.pod }} uses more than nine tenths of its memory limit",
    runbook: [
      "Memory follows the number of pods in the cluster (docs/operate.md, Sizing). Raise the limit; a steady climb without more pods is a bug, please report it.",
    ],
  },
  {
    name: "KruiseDaemonDown",
    expr: `kube_daemonset_status_number_unavailable{namespace="kruise-system",daemonset="kruise-daemon"} > 0`,
    for: "15m",
    severity: "warning",
    summary: "{{ $value }} nodes are without node agent",
    runbook: [
      "On these nodes images are not pre-pulled, ContainerRecreateRequests wait, and in-place updates are judged by status alone.",
      "`kubectl -n kruise-system logs <pod>` names the runtime sockets that were tried and why each was refused; `daemon.socketLocation` and `daemon.socketFile` say where to look.",
    ],
  },
];
