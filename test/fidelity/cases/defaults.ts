/** What the server fills in. */
import { expect } from "bun:test";
import { type Bench, type Case, type Json, pathOf } from "../bench.ts";

const labels = { app: "a" };
const template = (spec: object = {}) => ({ metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }], ...spec } });
const workload = (spec: object = {}) => ({
  metadata: { name: "w" },
  spec: { selector: { matchLabels: labels }, template: template(), ...spec },
});
const podDefaults = {
  dnsPolicy: "ClusterFirst",
  restartPolicy: "Always",
  schedulerName: "default-scheduler",
  securityContext: {},
  terminationGracePeriodSeconds: 30,
};
const containerDefaults = { resources: {}, terminationMessagePath: "/dev/termination-log", terminationMessagePolicy: "File" };

interface Filled {
  readonly name: string;
  readonly at: string;
  readonly object: object;
  /** Of the answer. */
  readonly part: (made: Json) => unknown;
  readonly is: unknown;
}

const filled: readonly Filled[] = [
  {
    name: "a Deployment",
    at: "apps/v1 deployments",
    object: workload({ replicas: 0 }),
    part: (made) => made.spec,
    is: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: "c", image: "x", imagePullPolicy: "Always", ...containerDefaults }], ...podDefaults },
      },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
    },
  },
  {
    name: "a Deployment's replicas",
    at: "apps/v1 deployments",
    object: workload({ paused: true }),
    part: (made) => made.spec.replicas,
    is: 1,
  },
  {
    name: "a strategy of Recreate gets nothing",
    at: "apps/v1 deployments",
    object: workload({ replicas: 0, strategy: { type: "Recreate" } }),
    part: (made) => made.spec.strategy,
    is: { type: "Recreate" },
  },
  {
    name: "a ReplicaSet",
    at: "apps/v1 replicasets",
    object: workload({ replicas: 0 }),
    part: (made) => [made.metadata.labels, made.status],
    is: [undefined, { replicas: 0 }],
  },
  {
    name: "a StatefulSet",
    at: "apps/v1 statefulsets",
    object: workload({ replicas: 0, serviceName: "s" }),
    part: ({ spec, status }) => [
      spec.podManagementPolicy,
      spec.updateStrategy,
      spec.revisionHistoryLimit,
      spec.persistentVolumeClaimRetentionPolicy,
      status,
    ],
    is: [
      "OrderedReady",
      { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
      10,
      { whenDeleted: "Retain", whenScaled: "Retain" },
      { replicas: 0, availableReplicas: 0 },
    ],
  },
  {
    name: "a StatefulSet's claim templates",
    at: "apps/v1 statefulsets",
    object: workload({
      replicas: 0,
      serviceName: "s",
      volumeClaimTemplates: [
        { metadata: { name: "d" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } },
      ],
    }),
    part: ({ spec }) => spec.volumeClaimTemplates,
    is: [
      {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name: "d" },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, volumeMode: "Filesystem" },
        status: { phase: "Pending" },
      },
    ],
  },
  {
    name: "a DaemonSet",
    at: "apps/v1 daemonsets",
    object: workload({ template: template({ nodeSelector: { no: "where" } }) }),
    part: ({ spec, status }) => [spec.updateStrategy, spec.revisionHistoryLimit, status],
    is: [
      { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
      10,
      { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 },
    ],
  },
  {
    name: "a Job",
    at: "batch/v1 jobs",
    object: {
      metadata: { name: "j" },
      spec: { suspend: true, template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x" }] } } },
    },
    part: ({ spec }) => [
      spec.parallelism,
      spec.completions,
      spec.backoffLimit,
      spec.completionMode,
      spec.podReplacementPolicy,
      spec.suspend,
    ],
    is: [1, 1, 6, "NonIndexed", "TerminatingOrFailed", true],
  },
  {
    name: "a Job's selector and labels",
    at: "batch/v1 jobs",
    object: {
      metadata: { name: "j" },
      spec: { suspend: true, template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x" }] } } },
    },
    part: ({ metadata, spec }) => [
      Object.keys(spec.selector.matchLabels),
      spec.selector.matchLabels["batch.kubernetes.io/controller-uid"] === metadata.uid,
      Object.keys(spec.template.metadata.labels).sort(),
      spec.template.metadata.labels["job-name"],
    ],
    is: [
      ["batch.kubernetes.io/controller-uid"],
      true,
      ["batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name"],
      "j",
    ],
  },
  {
    name: "a Service",
    at: "services",
    object: { metadata: { name: "s" }, spec: { ports: [{ port: 80 }], selector: labels } },
    part: ({ spec, status }) => [
      spec.type,
      spec.sessionAffinity,
      spec.ports,
      spec.ipFamilies,
      spec.ipFamilyPolicy,
      spec.internalTrafficPolicy,
      spec.clusterIPs[0] === spec.clusterIP,
      /^10\.96\./.test(spec.clusterIP),
      status,
    ],
    is: [
      "ClusterIP",
      "None",
      [{ port: 80, protocol: "TCP", targetPort: 80 }],
      ["IPv4"],
      "SingleStack",
      "Cluster",
      true,
      true,
      { loadBalancer: {} },
    ],
  },
  {
    name: "a headless Service",
    at: "services",
    object: { metadata: { name: "s" }, spec: { clusterIP: "None", ports: [{ port: 80 }] } },
    part: ({ spec }) => [spec.clusterIP, spec.clusterIPs],
    is: ["None", ["None"]],
  },
  {
    name: "an autoscaler",
    at: "autoscaling/v2 horizontalpodautoscalers",
    object: { metadata: { name: "h" }, spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "d" } } },
    part: (made) => [made.spec.minReplicas, made.spec.metrics],
    is: [1, [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } }]],
  },
  {
    name: "a CronJob",
    at: "batch/v1 cronjobs",
    object: {
      metadata: { name: "c" },
      spec: {
        schedule: "@daily",
        suspend: true,
        jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x" }] } } } },
      },
    },
    part: ({ spec }) => [
      spec.concurrencyPolicy,
      spec.successfulJobsHistoryLimit,
      spec.failedJobsHistoryLimit,
      spec.jobTemplate.spec.template.spec.dnsPolicy,
    ],
    is: ["Allow", 3, 1, "ClusterFirst"],
  },
  {
    name: "a binding of a role",
    at: "rbac.authorization.k8s.io/v1 rolebindings",
    object: { metadata: { name: "r" }, roleRef: { kind: "Role", name: "r" }, subjects: [{ kind: "User", name: "u" }] },
    part: ({ roleRef, subjects }) => [roleRef, subjects],
    is: [
      { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
      [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "u" }],
    ],
  },
  {
    name: "a network policy",
    at: "networking.k8s.io/v1 networkpolicies",
    object: { metadata: { name: "n" }, spec: { podSelector: {}, egress: [{ ports: [{ port: 53 }] }] } },
    part: ({ spec }) => [spec.policyTypes, spec.egress],
    is: [["Ingress", "Egress"], [{ ports: [{ port: 53, protocol: "TCP" }] }]],
  },
  {
    name: "a Secret",
    at: "secrets",
    object: { metadata: { name: "s" }, stringData: { k: "v" } },
    part: ({ type, data, stringData }) => [type, data, stringData],
    is: ["Opaque", { k: "dg==" }, undefined],
  },
  {
    name: "a claim",
    at: "persistentvolumeclaims",
    object: {
      metadata: { name: "c" },
      spec: { storageClassName: "none", accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    },
    part: ({ metadata, spec, status }) => [metadata.finalizers, spec.volumeMode, status],
    is: [["kubernetes.io/pvc-protection"], "Filesystem", { phase: "Pending" }],
  },
  {
    name: "a budget",
    at: "policy/v1 poddisruptionbudgets",
    object: { metadata: { name: "b" }, spec: { minAvailable: 1, selector: { matchLabels: labels } } },
    part: ({ metadata, status }) => [metadata.generation, status],
    is: [1, { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 }],
  },
];

const idle = (spec: object = {}) => ({
  metadata: { name: "p" },
  spec: { schedulerName: "nobody", containers: [{ name: "c", image: "x:1" }], ...spec },
});

async function pod(b: Bench, spec: object = {}): Promise<Json> {
  const made = await b.must(b.post(b.core("pods"), idle(spec)));
  await b.delete(b.core("pods/p"));
  return made;
}

export const defaultCases: readonly Case[] = [
  ...filled.map(
    ({ name, at, object, part, is }): Case => ({
      name,
      async run(b) {
        expect(part(await b.must(b.post(pathOf(b, at), object)))).toEqual(is);
      },
    }),
  ),
  {
    name: "a pod: service account, priority, tolerations",
    async run(b) {
      const { spec, status, metadata } = await pod(b);
      expect([spec.serviceAccountName, spec.serviceAccount, spec.priority, spec.preemptionPolicy, spec.enableServiceLinks]).toEqual([
        "default",
        "default",
        0,
        "PreemptLowerPriority",
        true,
      ]);
      expect(spec.tolerations).toEqual([
        { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
        { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
      ]);
      expect([status, metadata.generation]).toEqual([{ phase: "Pending", qosClass: "BestEffort" }, 1]);
    },
  },
  {
    name: "a pod gets its token mounted",
    async run(b) {
      const { spec } = await pod(b);
      const [mount] = spec.containers[0].volumeMounts;
      expect([mount.mountPath, mount.readOnly]).toEqual(["/var/run/secrets/kubernetes.io/serviceaccount", true]);
      expect(mount.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
      expect(spec.volumes).toEqual([
        {
          name: mount.name,
          projected: {
            defaultMode: 420,
            sources: [
              { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
              { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
              { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
            ],
          },
        },
      ]);
    },
  },
  {
    name: "a pod that wants no token gets none",
    async run(b) {
      const { spec } = await pod(b, { automountServiceAccountToken: false });
      expect([spec.volumes, spec.containers[0].volumeMounts]).toEqual([undefined, undefined]);
    },
  },
  {
    name: "pull policies follow the tag",
    async run(b) {
      const images = ["x", "x:latest", "x:1", "x@sha256:0123456789012345678901234567890123456789012345678901234567890123"];
      const { spec } = await pod(b, { containers: images.map((image, index) => ({ name: `c${index}`, image })) });
      expect(spec.containers.map((c: Json) => c.imagePullPolicy)).toEqual(["Always", "Always", "IfNotPresent", "IfNotPresent"]);
    },
  },
  {
    name: "limits are requests as well",
    async run(b) {
      const { spec, status } = await pod(b, {
        containers: [{ name: "c", image: "x:1", resources: { limits: { cpu: "1", memory: "1Gi" } } }],
      });
      expect([spec.containers[0].resources, status.qosClass]).toEqual([
        { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1", memory: "1Gi" } },
        "Guaranteed",
      ]);
    },
  },
  {
    name: "probes are completed",
    async run(b) {
      const { spec } = await pod(b, { containers: [{ name: "c", image: "x:1", readinessProbe: { httpGet: { port: 80 } } }] });
      expect(spec.containers[0].readinessProbe).toEqual({
        httpGet: { path: "/", port: 80, scheme: "HTTP" },
        timeoutSeconds: 1,
        periodSeconds: 10,
        successThreshold: 1,
        failureThreshold: 3,
      });
    },
  },
  {
    name: "the host's network makes ports host ports",
    async run(b) {
      const { spec } = await pod(b, { hostNetwork: true, containers: [{ name: "c", image: "x:1", ports: [{ containerPort: 80 }] }] });
      expect(spec.containers[0].ports).toEqual([{ containerPort: 80, hostPort: 80, protocol: "TCP" }]);
    },
  },
  {
    name: "a priority class gives its value",
    async run(b) {
      const name = `${b.namespace}-high`;
      await b.must(b.post("/apis/scheduling.k8s.io/v1/priorityclasses", { metadata: { name }, value: 1000, preemptionPolicy: "Never" }));
      await b.eventually(async () => (await b.post(`${b.core("pods")}?dryRun=All`, idle({ priorityClassName: name }))).status === 201);
      const { spec } = await pod(b, { priorityClassName: name });
      await b.delete(`/apis/scheduling.k8s.io/v1/priorityclasses/${name}`);
      expect([spec.priority, spec.preemptionPolicy]).toEqual([1000, "Never"]);
    },
  },
  {
    name: "a namespace: service account and authority",
    async run(b) {
      expect((await b.get(b.core("serviceaccounts/default"))).status).toBe(200);
      await b.eventually(async () => (await b.get(b.core("configmaps/kube-root-ca.crt"))).status === 200);
    },
  },
];
