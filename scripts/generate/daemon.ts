/** The node agent's DaemonSet, and what one node's agent may not do to another node's objects. */

import type { Names } from "./rbac.ts";
import { image } from "./workloads.ts";

export function daemonObject({ installNamespace, daemonConfigNamespace }: Names): object {
  const labels = { "control-plane": "daemon" };
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "kruise-daemon", namespace: installNamespace, labels },
    spec: {
      selector: { matchLabels: labels },
      minReadySeconds: 3,
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "10%" } },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: "kruise-daemon",
          terminationGracePeriodSeconds: 10,
          hostNetwork: true,
          dnsPolicy: "ClusterFirstWithHostNet",
          tolerations: [{ operator: "Exists" }],
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [{ matchExpressions: [{ key: "type", operator: "NotIn", values: ["virtual-kubelet"] }] }],
              },
            },
          },
          containers: [
            {
              name: "daemon",
              image,
              imagePullPolicy: "IfNotPresent",
              args: ["--mode=daemon", "--addr=:10221", "--record-path=/var/lib/kruise/daemon.sqlite", "--logtostderr=true", "--v=1"],
              env: [
                { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
                { name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
                { name: "KRUISE_DAEMON_CONFIG_NS", value: daemonConfigNamespace },
              ],
              ports: [{ name: "health", containerPort: 10221, protocol: "TCP" }],
              livenessProbe: {
                httpGet: { path: "/healthz", port: 10221 },
                initialDelaySeconds: 60,
                periodSeconds: 10,
                failureThreshold: 3,
              },
              resources: { requests: { cpu: "0", memory: "0" }, limits: { cpu: "50m", memory: "128Mi" } },
              // The sockets of container runtimes belong to root; nothing else of root's power is needed.
              securityContext: {
                runAsUser: 0,
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] },
                seccompProfile: { type: "RuntimeDefault" },
              },
              volumeMounts: [
                { name: "runtime-socket", mountPath: "/hostvarrun", readOnly: true },
                { name: "record", mountPath: "/var/lib/kruise" },
                { name: "tmp", mountPath: "/tmp" },
              ],
            },
          ],
          volumes: [
            { name: "runtime-socket", hostPath: { path: "/var/run" } },
            { name: "record", emptyDir: { sizeLimit: "64Mi" } },
            { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
          ],
        },
      },
    },
  };
}

const nodeNameKey = "authentication.kubernetes.io/node-name";

/**
 * All agents have one service account. The token of a pod says which node it is on (Kubernetes 1.30 and later): by that, an agent may
 * write only what is of its node. Tokens that do not say so are left to RBAC.
 */
export function daemonPolicyObjects({ installNamespace }: Names): object[] {
  const name = "kruise-daemon-own-node";
  const apiVersion = "admissionregistration.k8s.io/v1";
  return [
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicy",
      metadata: { name },
      spec: {
        failurePolicy: "Fail",
        matchConstraints: {
          resourceRules: [
            { apiGroups: [""], apiVersions: ["v1"], operations: ["UPDATE"], resources: ["pods/status"] },
            {
              apiGroups: ["apps.kruise.io"],
              apiVersions: ["*"],
              operations: ["UPDATE"],
              resources: ["containerrecreaterequests/status", "nodeimages", "nodeimages/status", "nodepodprobes", "nodepodprobes/status"],
            },
          ],
        },
        matchConditions: [
          {
            name: "by-a-node-agent",
            expression: `request.userInfo.username == "system:serviceaccount:${installNamespace}:kruise-daemon"`,
          },
          { name: "of-a-known-node", expression: `"${nodeNameKey}" in request.userInfo.extra` },
        ],
        variables: [
          { name: "node", expression: `request.userInfo.extra["${nodeNameKey}"][0]` },
          {
            name: "owner",
            expression: [
              `request.resource.resource == "pods" ? oldObject.spec.?nodeName.orValue("")`,
              `: request.resource.resource == "containerrecreaterequests" ? oldObject.metadata.?labels[?"crr.apps.kruise.io/node-name"].orValue("")`,
              ": oldObject.metadata.name",
            ].join(" "),
          },
        ],
        validations: [
          {
            expression: "variables.owner == variables.node",
            messageExpression: '"the node agent of " + variables.node + " may not write objects of " + variables.owner',
            reason: "Forbidden",
          },
        ],
      },
    },
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name },
      spec: { policyName: name, validationActions: ["Deny"] },
    },
  ];
}
