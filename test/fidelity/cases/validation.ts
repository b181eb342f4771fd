/** What is refused, and in which words. */
import { expect } from "bun:test";
import { type Case, pathOf } from "../bench.ts";

interface Refused {
  readonly name: string;
  /** Below the namespace: "configmaps"; or with its group: "apps/v1 deployments". */
  readonly at: string;
  readonly object: object;
  /** Parts of the message. */
  readonly says: readonly string[];
  readonly code?: number;
}

const labels = { app: "a" };
const template = (spec: object = {}) => ({ metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }], ...spec } });
const workload = (spec: object = {}) => ({
  metadata: { name: "w" },
  spec: { replicas: 0, selector: { matchLabels: labels }, template: template(), ...spec },
});
const pod = (spec: object, metadata: object = {}) => ({
  metadata: { name: "p", ...metadata },
  spec: { containers: [{ name: "c", image: "x" }], ...spec },
});
const container = (fields: object) => pod({ containers: [{ name: "c", image: "x", ...fields }] });

const refused: readonly Refused[] = [
  {
    name: "names are DNS subdomains",
    at: "configmaps",
    object: { metadata: { name: "Not_Valid" } },
    says: ['ConfigMap "Not_Valid" is invalid: metadata.name: Invalid value: "Not_Valid": a lowercase RFC 1123 subdomain must consist of'],
  },
  { name: "a name is needed", at: "configmaps", object: { metadata: {} }, says: ["name or generateName is required"] },
  {
    name: "label values",
    at: "configmaps",
    object: { metadata: { name: "a", labels: { k: "no spaces" } } },
    says: ['metadata.labels: Invalid value: "no spaces"'],
  },
  {
    name: "label keys",
    at: "configmaps",
    object: { metadata: { name: "a", labels: { "a/b/c": "v" } } },
    says: ['metadata.labels: Invalid value: "a/b/c"'],
  },
  {
    name: "annotation keys",
    at: "configmaps",
    object: { metadata: { name: "a", annotations: { "no spaces": "v" } } },
    says: ["metadata.annotations: Invalid value"],
  },
  {
    name: "finalizer names",
    at: "configmaps",
    object: { metadata: { name: "a", finalizers: ["nodomain"] } },
    says: ["metadata.finalizers", "name is neither a standard finalizer name nor is it fully qualified"],
  },
  {
    name: "owner references need a uid",
    at: "configmaps",
    object: { metadata: { name: "a", ownerReferences: [{ apiVersion: "v1", kind: "X", name: "y" }] } },
    says: ["metadata.ownerReferences.uid: Invalid value", "must not be empty"],
  },
  {
    name: "keys of a ConfigMap",
    at: "configmaps",
    object: { metadata: { name: "a" }, data: { "a b": "v" } },
    says: ['data[a b]: Invalid value: "a b"'],
  },
  {
    name: "a selector is needed",
    at: "apps/v1 deployments",
    object: workload({ selector: undefined }),
    says: ["spec.selector: Required value"],
  },
  {
    name: "an empty selector",
    at: "apps/v1 deployments",
    object: workload({ selector: {} }),
    says: ["spec.selector: Invalid value", "empty selector is invalid for deployment"],
  },
  {
    name: "a selector that does not match its template",
    at: "apps/v1 deployments",
    object: workload({ selector: { matchLabels: { app: "b" } } }),
    says: ["spec.template.metadata.labels: Invalid value", "`selector` does not match template `labels`"],
  },
  {
    name: "negative replicas",
    at: "apps/v1 deployments",
    object: workload({ replicas: -1 }),
    says: ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
  },
  {
    name: "a Deployment's restart policy",
    at: "apps/v1 deployments",
    object: workload({ template: template({ restartPolicy: "Never" }) }),
    says: ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
  },
  {
    name: "a template without containers",
    at: "apps/v1 deployments",
    object: workload({ template: template({ containers: [] }) }),
    says: ["spec.template.spec.containers: Required value"],
  },
  {
    name: "an image is needed",
    at: "apps/v1 deployments",
    object: workload({ template: template({ containers: [{ name: "c" }] }) }),
    says: ["spec.template.spec.containers[0].image: Required value"],
  },
  {
    name: "surge and unavailable both zero",
    at: "apps/v1 deployments",
    object: workload({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }),
    says: ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value", "may not be 0 when `maxSurge` is 0"],
  },
  {
    name: "an unknown strategy",
    at: "apps/v1 deployments",
    object: workload({ strategy: { type: "Magic" } }),
    says: ['spec.strategy: Unsupported value: {"Type":"Magic","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"'],
  },
  {
    name: "Recreate has no rolling update",
    at: "apps/v1 deployments",
    object: workload({ strategy: { type: "Recreate", rollingUpdate: {} } }),
    says: ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
  },
  {
    name: "the deadline is later than minReadySeconds",
    at: "apps/v1 deployments",
    object: workload({ minReadySeconds: 700 }),
    says: ["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
  },
  {
    name: "a StatefulSet's pod management",
    at: "apps/v1 statefulsets",
    object: { ...workload({ serviceName: "s", podManagementPolicy: "Chaotic" }) },
    says: ["spec.podManagementPolicy"],
  },
  {
    name: "a Job's restart policy",
    at: "batch/v1 jobs",
    object: { metadata: { name: "j" }, spec: { template: template() } },
    says: ["spec.template.spec.restartPolicy: Required value"],
  },
  {
    name: "a pod needs containers",
    at: "pods",
    object: pod({ containers: [] }),
    says: ['Pod "p" is invalid: spec.containers: Required value'],
  },
  {
    name: "two containers of one name",
    at: "pods",
    object: pod({
      containers: [
        { name: "c", image: "x" },
        { name: "c", image: "y" },
      ],
    }),
    says: ['spec.containers[1].name: Duplicate value: "c"'],
  },
  {
    name: "a container's name",
    at: "pods",
    object: container({ name: "Bad_Name" }),
    says: ['spec.containers[0].name: Invalid value: "Bad_Name"'],
  },
  {
    name: "a port out of range",
    at: "pods",
    object: container({ ports: [{ containerPort: 70000 }] }),
    says: ["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
  },
  {
    name: "a pull policy",
    at: "pods",
    object: container({ imagePullPolicy: "Sometimes" }),
    says: ['spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes"'],
  },
  {
    name: "a mount of no volume",
    at: "pods",
    object: container({ volumeMounts: [{ name: "v", mountPath: "/v" }] }),
    says: ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
  },
  {
    name: "a request above its limit",
    at: "pods",
    object: container({ resources: { requests: { cpu: "2" }, limits: { cpu: "1" } } }),
    says: ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
  },
  {
    name: "an amount that is none",
    at: "pods",
    object: container({ resources: { requests: { cpu: "much" } } }),
    says: ["quantities must match the regular expression"],
    code: 400,
  },
  {
    name: "a restart policy",
    at: "pods",
    object: pod({ restartPolicy: "Maybe" }),
    says: ['spec.restartPolicy: Unsupported value: "Maybe"'],
  },
  {
    name: "an environment variable's name",
    at: "pods",
    object: container({ env: [{ name: "" }] }),
    says: ["spec.containers[0].env[0].name: Required value"],
  },
  {
    name: "a probe of nothing",
    at: "pods",
    object: container({ livenessProbe: {} }),
    says: ["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
  },
  {
    name: "a service account that is not there",
    at: "pods",
    object: pod({ serviceAccountName: "nobody" }),
    says: ['pods "p" is forbidden: error looking up service account', 'serviceaccount "nobody" not found'],
    code: 403,
  },
  {
    name: "a priority class that is not there",
    at: "pods",
    object: pod({ priorityClassName: "none" }),
    says: ['pods "p" is forbidden: no PriorityClass with name none was found'],
    code: 403,
  },
  {
    name: "a priority that is not the class's",
    at: "pods",
    object: pod({ priority: 5 }),
    says: [
      "the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name",
    ],
    code: 403,
  },
  { name: "a service needs ports", at: "services", object: { metadata: { name: "s" }, spec: {} }, says: ["spec.ports: Required value"] },
  {
    name: "a service's name is a label",
    at: "services",
    object: { metadata: { name: "s.t" }, spec: { ports: [{ port: 80 }] } },
    says: ["metadata.name: Invalid value"],
  },
  {
    name: "several ports need names",
    at: "services",
    object: { metadata: { name: "s" }, spec: { ports: [{ port: 80 }, { port: 81 }] } },
    says: ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
  },
  {
    name: "a claim needs modes and an amount",
    at: "persistentvolumeclaims",
    object: { metadata: { name: "c" }, spec: {} },
    says: ["spec.accessModes: Required value: at least 1 access mode is required", "spec.resources[storage]: Required value"],
  },
  {
    name: "both sides of a budget",
    at: "policy/v1 poddisruptionbudgets",
    object: { metadata: { name: "b" }, spec: { minAvailable: 1, maxUnavailable: 1 } },
    says: ["minAvailable and maxUnavailable cannot be both set"],
  },
  {
    name: "a lease's duration",
    at: "coordination.k8s.io/v1 leases",
    object: { metadata: { name: "l" }, spec: { leaseDurationSeconds: 0 } },
    says: ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
  },
  {
    name: "an autoscaler's bounds",
    at: "autoscaling/v2 horizontalpodautoscalers",
    object: {
      metadata: { name: "h" },
      spec: { minReplicas: 3, maxReplicas: 2, scaleTargetRef: { kind: "Deployment", name: "d", apiVersion: "apps/v1" } },
    },
    says: ["spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`"],
  },
  {
    name: "an autoscaler needs a target and a bound",
    at: "autoscaling/v2 horizontalpodautoscalers",
    object: { metadata: { name: "h" }, spec: {} },
    says: [
      "spec.maxReplicas: Invalid value: 0: must be greater than 0",
      "spec.scaleTargetRef.kind: Required value",
      "spec.scaleTargetRef.name: Required value",
    ],
  },
  {
    name: "a schedule",
    at: "batch/v1 cronjobs",
    object: {
      metadata: { name: "c" },
      spec: {
        schedule: "every day",
        jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x" }] } } } },
      },
    },
    says: ['spec.schedule: Invalid value: "every day": expected exactly 5 fields, found 2: [every day]'],
  },
  {
    name: "what happens to runs that overlap",
    at: "batch/v1 cronjobs",
    object: {
      metadata: { name: "c" },
      spec: {
        schedule: "* * * * *",
        concurrencyPolicy: "Maybe",
        jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x" }] } } } },
      },
    },
    says: ['spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"'],
  },
  {
    name: "an ingress leads somewhere",
    at: "networking.k8s.io/v1 ingresses",
    object: { metadata: { name: "i" }, spec: {} },
    says: ["either `defaultBackend` or `rules` must be specified"],
  },
  {
    name: "an ingress's path has a type",
    at: "networking.k8s.io/v1 ingresses",
    object: {
      metadata: { name: "i" },
      spec: { rules: [{ http: { paths: [{ path: "/", backend: { service: { name: "s", port: { number: 80 } } } }] } }] },
    },
    says: ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"],
  },
  {
    name: "an ingress's backend has a port",
    at: "networking.k8s.io/v1 ingresses",
    object: {
      metadata: { name: "i" },
      spec: { rules: [{ http: { paths: [{ path: "x", pathType: "Prefix", backend: { service: { name: "s" } } }] } }] },
    },
    says: ['spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path', "port name or number is required"],
  },
  {
    name: "a role's rules",
    at: "rbac.authorization.k8s.io/v1 roles",
    object: { metadata: { name: "r" }, rules: [{ apiGroups: [""], resources: ["pods"] }, { verbs: ["get"] }] },
    says: [
      "rules[0].verbs: Required value: verbs must contain at least one value",
      "rules[1].apiGroups: Required value",
      "rules[1].resources: Required value",
    ],
  },
  {
    name: "whom a role is for",
    at: "rbac.authorization.k8s.io/v1 rolebindings",
    object: { metadata: { name: "r" }, roleRef: { kind: "Group", name: "x" }, subjects: [{ kind: "Robot", name: "x" }] },
    says: [
      'roleRef.kind: Unsupported value: "Group": supported values: "Role", "ClusterRole"',
      'subjects[0].kind: Unsupported value: "Robot"',
    ],
  },
  {
    name: "a negative revision",
    at: "apps/v1 controllerrevisions",
    object: { metadata: { name: "r" }, data: {}, revision: -1 },
    says: ["revision: Invalid value: -1: must be greater than or equal to 0"],
  },
];

const idlePod = (spec: object = {}) => ({
  metadata: { name: "p" },
  spec: { schedulerName: "nobody", containers: [{ name: "c", image: "x" }], ...spec },
});
export const validationCases: readonly Case[] = [
  ...refused.map(
    ({ name, at, object, says, code = 422 }): Case => ({
      name: `refused: ${name}`,
      async run(b) {
        const { status, body } = await b.post(pathOf(b, at), object);
        expect([status, body.message]).toEqual([code, expect.stringContaining(says[0] as string)]);
        for (const part of says) expect(body.message).toContain(part);
        if (code === 422) expect(body.details.causes.length).toBeGreaterThan(0);
      },
    }),
  ),
  {
    name: "causes name the field and the reason",
    async run(b) {
      const { body } = await b.post(b.in("apps/v1", "deployments"), workload({ replicas: -1 }));
      expect([body.details.name, body.details.group, body.details.kind]).toEqual(["w", "apps", "Deployment"]);
      expect(body.details.causes).toEqual([
        { reason: "FieldValueInvalid", message: "Invalid value: -1: must be greater than or equal to 0", field: "spec.replicas" },
      ]);
    },
  },
  {
    name: "a pod's image may change",
    async run(b) {
      await b.must(b.post(b.core("pods"), idlePod()));
      const next = await b.must(b.patch(b.core("pods/p"), { spec: { containers: [{ name: "c", image: "y" }] } }, "strategic"));
      expect(next.spec.containers[0].image).toBe("y");
      await b.delete(b.core("pods/p"));
    },
  },
  {
    name: "a pod may get further tolerations",
    async run(b) {
      const made = await b.must(b.post(b.core("pods"), idlePod()));
      const next = await b.patch(b.core("pods/p"), { spec: { tolerations: [...made.spec.tolerations, { key: "b", operator: "Exists" }] } });
      expect(next.status).toBe(200);
      await b.delete(b.core("pods/p"));
    },
  },
];
