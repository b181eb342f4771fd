/** The processes of an install: the manager's Deployment, the node agent's DaemonSet, and what stands around them. */
import packageJson from "../../package.json";
import type { Names } from "./rbac.ts";

export const repository = "ghcr.io/kruiser/kruise";
export const image = `${repository}:v${packageJson.version}`;

export function namespaceObjects(names: Names): object[] {
  // The label keeps our own namespaces out of our own pod webhooks, also for an install that predates `kubernetes.io/metadata.name`.
  return [names.installNamespace, names.daemonConfigNamespace].map((name) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels: { "control-plane": "controller-manager" } },
  }));
}

export function serviceObjects(names: Names): object[] {
  const namespace = names.installNamespace;
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kruise-webhook-service", namespace },
      spec: { ports: [{ name: "webhook", port: 443, targetPort: 9876 }], selector: { "control-plane": "controller-manager" } },
    },
    // Empty: the first manager fills it in, and all replicas converge on its authority.
    { apiVersion: "v1", kind: "Secret", metadata: { name: "kruise-webhook-certs", namespace } },
  ];
}

const restricted = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

export function managerObject(names: Names): object {
  const labels = { "control-plane": "controller-manager" };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "kruise-controller-manager", namespace: names.installNamespace, labels },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: "100%" } },
      minReadySeconds: 3,
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: "kruise-manager",
          terminationGracePeriodSeconds: 35,
          securityContext: { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 },
          affinity: {
            podAntiAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                {
                  weight: 100,
                  podAffinityTerm: {
                    topologyKey: "kubernetes.io/hostname",
                    labelSelector: { matchExpressions: [{ key: "control-plane", operator: "In", values: ["controller-manager"] }] },
                  },
                },
              ],
            },
          },
          containers: [
            {
              name: "manager",
              image,
              imagePullPolicy: "IfNotPresent",
              args: [
                "--mode=manager",
                "--enable-leader-election",
                "--metrics-addr=:8080",
                "--health-probe-addr=:8000",
                `--leader-election-namespace=${names.installNamespace}`,
                "--record-path=/var/lib/kruise/record.db",
                "--logtostderr=true",
                "--v=1",
              ],
              env: [{ name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } }],
              ports: [
                { name: "webhook-server", containerPort: 9876, protocol: "TCP" },
                { name: "metrics", containerPort: 8080, protocol: "TCP" },
                { name: "health", containerPort: 8000, protocol: "TCP" },
              ],
              readinessProbe: { httpGet: { path: "/readyz", port: 8000 } },
              livenessProbe: { httpGet: { path: "/healthz", port: 8000 }, initialDelaySeconds: 60, periodSeconds: 20 },
              resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: { cpu: "2", memory: "2Gi" } },
              securityContext: restricted,
              volumeMounts: [
                { name: "record", mountPath: "/var/lib/kruise" },
                { name: "tmp", mountPath: "/tmp" },
                { name: "log", mountPath: "/log" },
              ],
            },
          ],
          volumes: [
            { name: "record", emptyDir: { sizeLimit: "1Gi" } },
            { name: "tmp", emptyDir: {} },
            { name: "log", emptyDir: { sizeLimit: "256Mi" } },
          ],
        },
      },
    },
  };
}
