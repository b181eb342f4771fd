/** Every value of the chart: name, default, type and meaning. values.yaml, values.schema.json and the reference page are made from this. */
import { daemonFlags } from "../../../src/daemon/flags.ts";
import { managerFlags } from "../../../src/manager/flags.ts";
import type { Flag } from "../../../src/process/flags.ts";
import { repository } from "../workloads.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

export interface Value {
  readonly default: unknown;
  readonly help: string;
  readonly schema: JsonSchema;
}
export interface Values {
  readonly [name: string]: Value | Values;
}

export const isValue = (node: Value | Values): node is Value => typeof node["help"] === "string";

const text = (byDefault: string, help: string, more: JsonSchema = {}): Value => ({
  default: byDefault,
  help,
  schema: { type: "string", ...more },
});
const flag = (byDefault: boolean, help: string): Value => ({ default: byDefault, help, schema: { type: "boolean" } });
const count = (byDefault: number, help: string, more: JsonSchema = {}): Value => ({
  default: byDefault,
  help,
  schema: { type: "integer", minimum: 0, ...more },
});
const port = (byDefault: number, help: string) => count(byDefault, help, { minimum: 1, maximum: 65535 });
const object = (byDefault: object, help: string, more: JsonSchema = {}): Value => ({
  default: byDefault,
  help,
  schema: { type: "object", ...more },
});
const list = (byDefault: readonly unknown[], help: string, items: JsonSchema = { type: "object" }): Value => ({
  default: byDefault,
  help,
  schema: { type: "array", items },
});
const texts = { additionalProperties: { type: "string" } };
const quantity = { anyOf: [{ type: "string" }, { type: "number" }] };
const resources = (byDefault: object, help: string) =>
  object(byDefault, help, {
    properties: Object.fromEntries(["requests", "limits"].map((name) => [name, { type: "object", additionalProperties: quantity }])),
  });
/** Upstream's values files write log levels as text. */
const level = (help: string): Value => ({
  default: "4",
  help,
  schema: {
    anyOf: [
      { type: "string", pattern: "^[0-9]+$" },
      { type: "integer", minimum: 0 },
    ],
  },
});
const digest = (of: string) =>
  text("", `pin ${of} by digest, "sha256:…"; the tag is then only for people`, { pattern: "^(sha256:[0-9a-f]{64})?$" });
const pullPolicy = (byDefault: string) =>
  text(byDefault, "Always, IfNotPresent or Never", { enum: ["", "Always", "IfNotPresent", "Never"] });

function flagValues(table: Readonly<Record<string, Flag>>, own: readonly string[]): Value {
  const schemaOf: Record<Flag["type"], JsonSchema> = {
    boolean: { type: "boolean" },
    integer: { type: "integer" },
    string: { type: "string" },
    duration: { type: "string", pattern: "^-?([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$" },
  };
  const properties = Object.fromEntries(
    Object.entries(table)
      .filter(([name, { ignored }]) => !own.includes(name) && !ignored)
      .map(([name, { type, help }]) => [name, { ...schemaOf[type], description: help }]),
  );
  return {
    default: {},
    help: "any other flag by its name, e.g. `cloneset-workers: 10` (docs/reference/flags.md lists them); those that other values set are not taken",
    schema: { type: "object", additionalProperties: false, properties },
  };
}

/** Flags of the manager that other values set. */
export const managerOwnFlags = [
  "mode",
  "metrics-addr",
  "health-probe-addr",
  "enable-pprof",
  "pprof-addr",
  "leader-election-namespace",
  "v",
  "feature-gates",
  "sync-period",
  "logging-format",
  "record-path",
  "kubeconfig",
];
export const daemonOwnFlags = [
  "mode",
  "addr",
  "enable-pprof",
  "pprof-addr",
  "socket-file",
  "socket-dir",
  "plugin-config-file",
  "plugin-bin-dir",
  "v",
  "feature-gates",
  "record-path",
  "kubeconfig",
  "logging-format",
];

const pod = (who: string): Values => ({
  podLabels: object({}, `further labels of ${who} pods`, texts),
  podAnnotations: object({}, `annotations of ${who} pods`, texts),
  priorityClassName: text("", `priority class of ${who} pods`),
  extraArgs: list([], "further arguments, as they are", { type: "string" }),
  extraEnvs: list([], "further variables: proxies, KUBERNETES_SERVICE_HOST, KRUISE_…"),
  extraVolumes: list([], "further volumes"),
  extraVolumeMounts: list([], "and where they are mounted"),
});

export const values: Values = {
  crds: {
    managed: flag(true, "render the CustomResourceDefinitions"),
    keep: flag(true, "leave them, and with them every custom resource, when the release is uninstalled"),
  },
  installation: {
    namespace: text("kruise-system", "namespace of everything that has one; it need not be the release's", { minLength: 1 }),
    createNamespace: flag(true, "render that namespace"),
    daemonConfigNamespace: text("kruise-daemon-config", "namespace of copied pull secrets", { minLength: 1 }),
    namespaceLabels: object({}, "further labels of both namespaces", texts),
    roleListGroups: list(
      ["*"],
      "API groups whose objects may be listed, with gate DeletionProtectionForCRDCascadingGate: for the protection of CRDs that still have objects",
      {
        type: "string",
      },
    ),
  },
  featureGates: text(
    "ImagePullJobGate=true",
    "gates of manager and node agent: A=true,B=false; docs/reference/feature-gates.md lists them",
  ),
  externalCerts: {
    annotations: object(
      {},
      "annotations of the webhook configurations and CRDs, for an injector of certificates (gate EnableExternalCerts)",
      texts,
    ),
  },
  enableKubeCacheMutationDetector: flag(false, "accepted for existing values files"),
  imagePullSecrets: list([], "of all pods, the hook's included: `- name: …`"),
  extraLabels: object({}, "labels of every object", texts),
  serviceAccount: { annotations: object({}, "annotations of the service accounts", texts) },
  manager: {
    log: { level: level("verbosity, --v: below 5 info, 5 to 7 debug, 8 and more trace") },
    loggingFormat: text("", "text or json", { enum: ["", "text", "json"] }),
    replicas: count(2, "all serve webhooks, one runs the controllers"),
    image: {
      repository: text(repository, "one image for manager, node agent and hooks", { minLength: 1 }),
      tag: text("", "default: v and the chart's appVersion"),
      digest: digest("it"),
      pullPolicy: pullPolicy("IfNotPresent"),
    },
    webhook: { port: port(9876, "where webhooks are served") },
    metrics: { port: port(8080, "where /metrics is served, plain HTTP") },
    healthProbe: { port: port(8000, "where /healthz and /readyz are served, plain HTTP") },
    enablePprof: flag(false, "--enable-pprof"),
    pprofAddr: text("localhost:8090", "--pprof-addr"),
    resyncPeriod: text("0", "--sync-period: full resync of all keys; 0: never"),
    flags: flagValues(managerFlags, managerOwnFlags),
    resources: resources(
      { requests: { cpu: "100m", memory: "256Mi" }, limits: { cpu: "200m", memory: "512Mi" } },
      "docs/operate.md says how much for how many pods",
    ),
    hostNetwork: flag(false, "for clusters whose API server cannot reach pod addresses"),
    dnsPolicy: text("", "default: ClusterFirst, with hostNetwork ClusterFirstWithHostNet"),
    nodeSelector: object({}, "nodes for the manager", texts),
    nodeAffinity: object({}, "the same, as nodeAffinity"),
    affinity: object({}, "all of affinity, instead of nodeAffinity and one replica a node where possible"),
    tolerations: list([], "taints it tolerates"),
    topologySpreadConstraints: {
      default: [{ maxSkew: 1, topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "ScheduleAnyway" }],
      help: "labelSelector and matchLabelKeys are filled in where they are missing",
      schema: { type: "array", items: { type: "object" } },
    },
    strategy: object({}, "of the Deployment; default: one full set more at first; with hostNetwork, whose ports are taken, one less"),
    minReadySeconds: count(3, "of the Deployment"),
    terminationGracePeriodSeconds: count(35, "work in progress has 30 s to end"),
    livenessProbe: object({ initialDelaySeconds: 60, periodSeconds: 20, timeoutSeconds: 5 }, "numbers of the probe of /healthz"),
    readinessProbe: object({ periodSeconds: 5, timeoutSeconds: 5 }, "numbers of the probe of /readyz"),
    podSecurityContext: object(
      { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: { type: "RuntimeDefault" } },
      "fits the Pod Security Standard `restricted`",
    ),
    securityContext: object(
      { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
      "of the container",
    ),
    record: {
      sizeLimit: text("1Gi", "of the local record, an emptyDir: what makes a restart quick, never a source of truth"),
      volume: object({}, "a volume to use instead of the emptyDir, e.g. `persistentVolumeClaim: …`"),
    },
    podDisruptionBudget: {
      enabled: flag(false, "render a PodDisruptionBudget"),
      minAvailable: { default: 1, help: "number or percentage", schema: { anyOf: [{ type: "integer" }, { type: "string" }] } },
    },
    ...pod("the manager's"),
  },
  webhookConfiguration: {
    timeoutSeconds: count(10, "of every webhook", { minimum: 1, maximum: 30 }),
    failurePolicy: text("", "Fail or Ignore for every webhook; default: each as it is meant", { enum: ["", "Fail", "Ignore"] }),
    failurePolicies: object({}, "the same for single webhooks: `mpod.kb.io: Ignore`", {
      additionalProperties: { type: "string", enum: ["Fail", "Ignore"] },
    }),
    excludedNamespaces: list([], "whose pods are left alone, besides kube-system and the install's own", { type: "string" }),
    aksIntegration: flag(false, "add the selectors that AKS would add"),
    narrowPodValidation: flag(
      false,
      "ask about updates and deletions only of pods that a PodUnavailableBudget guards, so that no others wait for us (matchConditions, from Kubernetes 1.28)",
    ),
  },
  daemon: {
    enabled: flag(true, "render the node agent; the gate KruiseDaemon turns it off too"),
    admissionPolicy: {
      enabled: flag(true, "let an agent write only what is of its own node (a ValidatingAdmissionPolicy, from Kubernetes 1.30)"),
    },
    jit: flag(false, "compile hot code; without, an agent takes 7 MiB less"),
    log: { level: level("verbosity, --v") },
    loggingFormat: text("", "text or json", { enum: ["", "text", "json"] }),
    image: {
      repository: text("", "default: the manager's"),
      tag: text("", "default: the manager's"),
      digest: digest("it"),
      pullPolicy: pullPolicy(""),
    },
    port: port(10221, "where /healthz and /metrics are served, on the node's addresses"),
    enablePprof: flag(true, "accepted for existing values files"),
    pprofAddr: text("localhost:10222", "accepted for existing values files"),
    socketLocation: text(
      "/var/run",
      "directory of the node that is mounted, read-only, for the runtime's socket; better just the runtime's own: /run/containerd, /run/crio; k3s and RKE2: /run/k3s/containerd",
      { minLength: 1 },
    ),
    socketFile: text("", "the socket, if it is none of the known ones: its path below socketLocation, or on the node"),
    flags: flagValues(daemonFlags, daemonOwnFlags),
    resources: resources({ requests: { cpu: "0", memory: "0" }, limits: { cpu: "50m", memory: "64Mi" } }, "of each node's agent"),
    nodeSelector: object({}, "nodes that get an agent", texts),
    affinity: object(
      {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: "type", operator: "NotIn", values: ["virtual-kubelet"] }] }],
          },
        },
      },
      "default: not on virtual nodes",
    ),
    tolerations: list([{ operator: "Exists" }], "default: all taints"),
    hostNetwork: flag(true, "hooks of containers are called from the node's network"),
    updateStrategy: object({ type: "RollingUpdate", rollingUpdate: { maxUnavailable: "10%" } }, "of the DaemonSet"),
    livenessProbe: object(
      { initialDelaySeconds: 60, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3 },
      "numbers of the probe of /healthz",
    ),
    readinessProbe: object({ periodSeconds: 10, timeoutSeconds: 3 }, "numbers of the same probe, for rollouts of the agent"),
    podSecurityContext: object({ runAsUser: 0, runAsGroup: 0 }, "runtime sockets belong to root"),
    securityContext: object(
      {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
        seccompProfile: { type: "RuntimeDefault" },
      },
      "of the container; with SELinux (RKE2, Bottlerocket) `privileged: true` or fitting seLinuxOptions",
    ),
    credentialProvider: {
      enable: flag(false, "take registry credentials from kubelet's credential provider plugins"),
      configmap: text("credential-provider-config", "ConfigMap with CredentialProviderPlugin.yaml"),
      hostPath: text("credential-provider-plugin", "directory of the node with the plugins"),
      awsCredentialsDir: text("", "directory of the node with AWS credentials"),
    },
    ...pod("the agent's"),
  },
  helmHooks: {
    enabled: flag(true, "refuse to uninstall while custom resources are left"),
    image: {
      repository: text("", "default: the manager's"),
      tag: text("", "default: the manager's"),
      digest: digest("it"),
      pullPolicy: pullPolicy(""),
    },
    tolerations: list([{ operator: "Exists" }], "default: all taints, so that it runs on whatever node is left"),
    nodeSelector: object({}, "nodes for the hook", texts),
    resources: resources({ requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "500m", memory: "128Mi" } }, "of the hook"),
    priorityClassName: text("", "of the hook's pod"),
    hostNetwork: flag(false, "for clusters without pod network"),
    extraEnvs: list([], "further variables"),
    activeDeadlineSeconds: count(300, "after which it has failed", { minimum: 1 }),
  },
  monitoring: {
    labels: object({}, "labels of the objects below, by which a Prometheus finds them (`release: prometheus`)", texts),
    annotations: object({}, "annotations of the objects below", texts),
    serviceMonitor: {
      enabled: flag(false, "render a ServiceMonitor for the manager, and its metrics Service"),
      interval: text("30s", "time between two scrapes"),
      scrapeTimeout: text("10s", "longest scrape"),
      metricRelabelings: list([], "of the endpoint"),
    },
    podMonitor: {
      enabled: flag(false, "render a PodMonitor for the node agents"),
      interval: text("60s", "time between two scrapes"),
      scrapeTimeout: text("10s", "longest scrape"),
      metricRelabelings: list([], "of the endpoint"),
    },
    metricsService: { enabled: flag(false, "render the metrics Service without a ServiceMonitor") },
    prometheusRule: {
      enabled: flag(false, "render the alerts of docs/reference/alerts.md"),
      disabled: list([], "names of alerts to leave out", { type: "string" }),
    },
    dashboards: {
      enabled: flag(false, "render ConfigMaps with Grafana dashboards"),
      labels: object({ grafana_dashboard: "1" }, "by which Grafana's sidecar finds them", texts),
      namespace: text("", "default: the install's"),
    },
  },
  networkPolicy: {
    enabled: flag(false, "let only the webhook, health and metrics ports of the manager be reached"),
    metricsFrom: list([], "peers that may scrape; default: everybody"),
    webhookFrom: list([], "peers that may call webhooks, the API server's addresses; default: everybody"),
    egress: list([], "rules; default: everything"),
  },
};
