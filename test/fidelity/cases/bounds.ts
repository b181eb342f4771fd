/** LimitRanges and ResourceQuotas: what pods of a namespace get, and what they may not have. */
import { expect } from "bun:test";
import type { Case } from "../bench.ts";

const labels = { app: "a" };
const template = (spec: object = {}) => ({ metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }], ...spec } });
const idle = (spec: object = {}) => ({
  metadata: { name: "p" },
  spec: { schedulerName: "nobody", containers: [{ name: "c", image: "x:1" }], ...spec },
});

const asking = (name: string, resources: object) => ({ name, image: "x:1", resources });

/** @param refused undefined: none is @param passes a pod that the quota is not about */
function quotaCase(name: string, spec: object, refused: object | undefined, says: string, passes?: object): Case {
  return {
    name: `a quota: ${name}`,
    async run(b) {
      await b.must(b.post(b.core("resourcequotas"), { metadata: { name: "q" }, spec }));
      await b.eventually(async () => (await b.get(b.core("resourcequotas/q"))).body.status?.used !== undefined);
      if (refused !== undefined) {
        let message = "";
        await b.eventually(async () => {
          const { status, body } = await b.post(`${b.core("pods")}?dryRun=All`, refused);
          message = body.message;
          return status === 403;
        });
        expect(message).toBe(`pods "p" is forbidden: ${says}`);
      }
      if (passes !== undefined) {
        await b.must(b.post(b.core("pods"), passes));
        await b.delete(b.core("pods/p"));
      }
    },
  };
}

function limitCase(name: string, limit: object, path: string, object: object, says: string): Case {
  return {
    name: `a limit range: ${name}`,
    async run(b) {
      await b.must(b.post(b.core("limitranges"), { metadata: { name: "l" }, spec: { limits: [limit] } }));
      let message = "";
      await b.eventually(async () => {
        const { status, body } = await b.post(`${b.core(path)}?dryRun=All`, object);
        message = body.message;
        return status === 403;
      });
      expect(message).toContain(says);
    },
  };
}

const limitCases: readonly Case[] = [
  limitCase(
    "all containers of a pod together",
    { type: "Pod", max: { cpu: "1" } },
    "pods",
    idle({ containers: [asking("a", { limits: { cpu: "700m" } }), asking("b", { limits: { cpu: "500m" } })] }),
    "maximum cpu usage per Pod is 1, but limit is 1200m",
  ),
  limitCase(
    "a least amount",
    { type: "Container", min: { cpu: "100m" } },
    "pods",
    idle({ containers: [asking("a", { requests: { cpu: "50m" } })] }),
    "minimum cpu usage per Container is 100m, but request is 50m",
  ),
  limitCase(
    "how far a limit is from its request",
    { type: "Container", maxLimitRequestRatio: { cpu: "2" } },
    "pods",
    idle({ containers: [asking("a", { requests: { cpu: "100m" }, limits: { cpu: "400m" } })] }),
    "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000",
  ),
  limitCase(
    "claims",
    { type: "PersistentVolumeClaim", max: { storage: "1Gi" } },
    "persistentvolumeclaims",
    { metadata: { name: "c" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "2Gi" } } } },
    "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi",
  ),
];

export const boundCases: readonly Case[] = [
  {
    name: "a limit range gives amounts to those that say none",
    async run(b) {
      const limits = [{ type: "Container", default: { cpu: "500m" }, defaultRequest: { cpu: "100m" }, max: { cpu: "1" } }];
      await b.must(b.post(b.core("limitranges"), { metadata: { name: "l" }, spec: { limits } }));
      await b.eventually(async () => {
        const { body } = await b.post(`${b.core("pods")}?dryRun=All`, idle());
        return body.spec?.containers[0].resources.requests?.cpu === "100m";
      });
      const { spec } = await b.must(b.post(b.core("pods"), idle()));
      await b.delete(b.core("pods/p"));
      expect(spec.containers[0].resources).toEqual({ limits: { cpu: "500m" }, requests: { cpu: "100m" } });
      const { status, body } = await b.post(
        b.core("pods"),
        idle({ containers: [{ name: "c", image: "x", resources: { limits: { cpu: "2" } } }] }),
      );
      expect([status, body.message]).toEqual([403, 'pods "p" is forbidden: maximum cpu usage per Container is 1, but limit is 2']);
    },
  },
  {
    name: "a quota refuses what is too much",
    async run(b) {
      await b.must(b.post(b.core("resourcequotas"), { metadata: { name: "q" }, spec: { hard: { pods: "1" } } }));
      await b.eventually(async () => (await b.get(b.core("resourcequotas/q"))).body.status?.hard?.pods === "1");
      await b.must(b.post(b.core("pods"), idle()));
      const { status, body } = await b.post(b.core("pods"), { ...idle(), metadata: { name: "p2" } });
      expect([status, body.reason]).toEqual([403, "Forbidden"]);
      expect(body.message).toBe('pods "p2" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1');
      await b.delete(b.core("pods/p"));
    },
  },
  ...limitCases,
  quotaCase(
    "every container has to say how much it wants",
    { hard: { "requests.cpu": "1", "limits.memory": "1Gi" } },
    idle(),
    "failed quota: q: must specify limits.memory for: c; requests.cpu for: c",
  ),
  quotaCase(
    "amounts are summed",
    { hard: { cpu: "1" } },
    idle({ containers: [asking("a", { requests: { cpu: "700m" } }), asking("b", { requests: { cpu: "400m" } })] }),
    "exceeded quota: q, requested: cpu=1100m, used: cpu=0, limited: cpu=1",
  ),
  quotaCase(
    "a scope: pods that ask for nothing",
    { hard: { pods: "0" }, scopes: ["BestEffort"] },
    idle(),
    "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0",
    idle({ containers: [asking("c", { requests: { cpu: "1" } })] }),
  ),
  quotaCase(
    "a scope: pods of a priority",
    {
      hard: { pods: "0" },
      scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator: "In", values: ["system-node-critical"] }] },
    },
    undefined,
    "",
    idle(),
  ),
  {
    name: "a quota counts any kind",
    async run(b) {
      await b.must(b.post(b.core("resourcequotas"), { metadata: { name: "q" }, spec: { hard: { "count/deployments.apps": "0" } } }));
      await b.eventually(async () => (await b.get(b.core("resourcequotas/q"))).body.status?.used !== undefined);
      const spec = { replicas: 0, selector: { matchLabels: labels }, template: template() };
      let message = "";
      await b.eventually(async () => {
        const { status, body } = await b.post(`${b.in("apps/v1", "deployments")}?dryRun=All`, { metadata: { name: "d" }, spec });
        message = body.message;
        return status === 403;
      });
      expect(message).toEqual(
        'deployments.apps "d" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0',
      );
    },
  },
];
