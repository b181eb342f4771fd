/** Reviews as the API server sends them. */
import { cloneSet } from "./clonesets.ts";

/** A pod of a ReplicaSet as the API server sends it, managedFields and all. */
export const podReview: string = JSON.stringify({
  kind: "AdmissionReview",
  apiVersion: "admission.k8s.io/v1",
  request: {
    uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
    kind: { group: "", version: "v1", kind: "Pod" },
    resource: { group: "", version: "v1", resource: "pods" },
    requestKind: { group: "", version: "v1", kind: "Pod" },
    requestResource: { group: "", version: "v1", resource: "pods" },
    namespace: "shop",
    operation: "CREATE",
    userInfo: {
      username: "system:serviceaccount:kube-system:replicaset-controller",
      uid: "3f4a",
      groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
    },
    object: {
      kind: "Pod",
      apiVersion: "v1",
      metadata: {
        generateName: "web-5d59d67564-",
        namespace: "shop",
        creationTimestamp: null,
        labels: { app: "web", "pod-template-hash": "5d59d67564" },
        ownerReferences: [
          { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-5d59d67564", uid: "a1", controller: true, blockOwnerDeletion: true },
        ],
        managedFields: [
          {
            manager: "kube-controller-manager",
            operation: "Update",
            apiVersion: "v1",
            time: "2025-01-01T00:00:00Z",
            fieldsType: "FieldsV1",
            fieldsV1: {
              "f:metadata": { "f:generateName": {}, "f:labels": { ".": {}, "f:app": {}, "f:pod-template-hash": {} } },
              "f:spec": {
                "f:containers": {
                  'k:{"name":"main"}': { ".": {}, "f:image": {}, "f:name": {}, "f:resources": { ".": {}, "f:limits": {} } },
                },
              },
            },
          },
        ],
      },
      spec: {
        volumes: [
          {
            name: "kube-api-access-x7k2p",
            projected: {
              sources: [
                { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
                { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
              ],
              defaultMode: 420,
            },
          },
        ],
        containers: [
          {
            name: "main",
            image: "registry.example/web:1.25",
            env: [{ name: "MODE", value: "production" }],
            resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "100m", memory: "256Mi" } },
            volumeMounts: [{ name: "kube-api-access-x7k2p", readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" }],
            terminationMessagePath: "/dev/termination-log",
            terminationMessagePolicy: "File",
            imagePullPolicy: "IfNotPresent",
          },
        ],
        restartPolicy: "Always",
        terminationGracePeriodSeconds: 30,
        dnsPolicy: "ClusterFirst",
        serviceAccountName: "default",
        serviceAccount: "default",
        securityContext: {},
        schedulerName: "default-scheduler",
        tolerations: ["not-ready", "unreachable"].map((condition) => ({
          key: `node.kubernetes.io/${condition}`,
          operator: "Exists",
          effect: "NoExecute",
          tolerationSeconds: 300,
        })),
        priority: 0,
        enableServiceLinks: true,
        preemptionPolicy: "PreemptLowerPriority",
      },
      status: {},
    },
    oldObject: null,
    dryRun: false,
    options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
  },
});

/** A new CloneSet as its user wrote it. */
export function cloneSetReview(): string {
  const object = cloneSet("bench", 3) as { metadata: object };
  return JSON.stringify({
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid: "2b4c9c1e-7a3b-4f52-9f0e-0e5f0a6a1d11",
      kind: { group: "apps.kruise.io", version: "v1alpha1", kind: "CloneSet" },
      resource: { group: "apps.kruise.io", version: "v1alpha1", resource: "clonesets" },
      requestKind: { group: "apps.kruise.io", version: "v1alpha1", kind: "CloneSet" },
      requestResource: { group: "apps.kruise.io", version: "v1alpha1", resource: "clonesets" },
      name: "bench",
      namespace: "shop",
      operation: "CREATE",
      userInfo: { username: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] },
      object: {
        ...object,
        metadata: {
          ...object.metadata,
          namespace: "shop",
          uid: "6f0f7f5e-1c6e-4b53-8a6c-5a0a8f2b7c10",
          generation: 1,
          creationTimestamp: "2025-01-01T00:00:00Z",
          managedFields: [
            {
              manager: "kubectl-create",
              operation: "Update",
              apiVersion: "apps.kruise.io/v1alpha1",
              time: "2025-01-01T00:00:00Z",
              fieldsType: "FieldsV1",
              fieldsV1: {
                "f:spec": { "f:replicas": {}, "f:selector": {}, "f:template": { "f:metadata": {}, "f:spec": {} }, "f:updateStrategy": {} },
              },
            },
          ],
        },
      },
      oldObject: null,
      dryRun: false,
      options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1", fieldManager: "kubectl-create" },
    },
  });
}
