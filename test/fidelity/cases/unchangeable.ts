/** What never changes, once it is made. */
import { expect } from "bun:test";
import { type Case, pathOf } from "../bench.ts";

const labels = { app: "a" };
const template = (spec: object = {}) => ({ metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }], ...spec } });
const workload = (spec: object = {}) => ({
  metadata: { name: "w" },
  spec: { replicas: 0, selector: { matchLabels: labels }, template: template(), ...spec },
});

interface Changed {
  readonly name: string;
  readonly at: string;
  readonly object: { readonly metadata: { readonly name: string } };
  readonly patch: object;
  readonly says: readonly string[];
}

const idlePod = (spec: object = {}) => ({
  metadata: { name: "p" },
  spec: { schedulerName: "nobody", containers: [{ name: "c", image: "x" }], ...spec },
});
const podText =
  "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

const changed: readonly Changed[] = [
  {
    name: "a Deployment's selector stays",
    at: "apps/v1 deployments",
    object: workload({ paused: true }),
    patch: { spec: { selector: { matchLabels: { app: "b" } }, template: { metadata: { labels: { app: "b" } } } } },
    says: ["spec.selector: Invalid value", "field is immutable"],
  },
  {
    name: "a StatefulSet's service stays",
    at: "apps/v1 statefulsets",
    object: workload({ serviceName: "a" }),
    patch: { spec: { serviceName: "b" } },
    says: ["spec: Forbidden: updates to statefulset spec for fields other than"],
  },
  {
    name: "a pod's command stays",
    at: "pods",
    object: idlePod(),
    patch: { spec: { containers: [{ name: "c", image: "x", command: ["y"] }] } },
    says: [podText],
  },
  { name: "a pod's node selector stays", at: "pods", object: idlePod(), patch: { spec: { nodeSelector: { a: "b" } } }, says: [podText] },
  {
    name: "a pod's containers stay as many",
    at: "pods",
    object: idlePod(),
    patch: {
      spec: {
        containers: [
          { name: "c", image: "x" },
          { name: "d", image: "x" },
        ],
      },
    },
    says: ["spec.containers: Forbidden: pod updates may not add or remove containers"],
  },
  {
    name: "a pod's tolerations only grow",
    at: "pods",
    object: idlePod({ tolerations: [{ key: "a", operator: "Exists" }] }),
    patch: { spec: { tolerations: [{ key: "b", operator: "Exists" }] } },
    says: ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"],
  },
  {
    name: "a ConfigMap that is immutable",
    at: "configmaps",
    object: { metadata: { name: "a" }, data: { k: "v" }, immutable: true } as Changed["object"],
    patch: { data: { k: "w" } },
    says: ["data: Forbidden: field is immutable when `immutable` is set"],
  },
  {
    name: "immutable stays",
    at: "configmaps",
    object: { metadata: { name: "a" }, immutable: true } as Changed["object"],
    patch: { immutable: null },
    says: ["immutable: Forbidden: field is immutable when `immutable` is set"],
  },
  {
    name: "a Secret's type stays",
    at: "secrets",
    object: { metadata: { name: "a" }, type: "example.com/x" } as Changed["object"],
    patch: { type: "example.com/y" },
    says: ["type: Invalid value", "field is immutable"],
  },
  {
    name: "a claim's modes stay",
    at: "persistentvolumeclaims",
    object: {
      metadata: { name: "c" },
      spec: { storageClassName: "none", accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    } as Changed["object"],
    patch: { spec: { accessModes: ["ReadWriteMany"] } },
    says: ["spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"],
  },
  {
    name: "a revision's data stays",
    at: "apps/v1 controllerrevisions",
    object: { metadata: { name: "r" }, data: { a: 1 }, revision: 1 } as Changed["object"],
    patch: { data: { a: 2 } },
    says: ["data: Invalid value", "field is immutable"],
  },
  {
    name: "a Job's completions stay",
    at: "batch/v1 jobs",
    object: {
      metadata: { name: "j" },
      spec: { suspend: true, completions: 2, template: template({ restartPolicy: "Never" }) },
    } as Changed["object"],
    patch: { spec: { completions: 3 } },
    says: ["spec.completions: Invalid value: 3: field is immutable"],
  },
  {
    name: "a name stays",
    at: "configmaps",
    object: { metadata: { name: "a" } },
    patch: { metadata: { namespace: "other" } },
    says: ["namespace"],
  },
];

export const unchangeableCases: readonly Case[] = [
  ...changed.map(
    ({ name, at, object, patch, says }): Case => ({
      name: `unchangeable: ${name}`,
      async run(b) {
        await b.must(b.post(pathOf(b, at), object));
        const { status, body } = await b.patch(`${pathOf(b, at)}/${object.metadata.name}`, patch);
        expect([status, body.message]).toEqual([expect.any(Number), expect.stringContaining(says[0] as string)]);
        expect(status).toBeGreaterThanOrEqual(400);
        for (const part of says) expect(body.message).toContain(part);
      },
    }),
  ),
];
