/** What else a cluster does by itself: claims, services, budgets, autoscalers, quotas, and where pods go. */
import { expect } from "bun:test";
import type { Case, Json } from "../bench.ts";
import { apps, condition, labels, podsOf, ready, template, workload } from "../workload.ts";

export const clusterCases: readonly Case[] = [
  {
    name: "a claim is bound to the smallest volume that suits",
    async run(b) {
      const volume = (name: string, storage: string) => ({
        metadata: { name: `${b.namespace}-${name}` },
        spec: { capacity: { storage }, accessModes: ["ReadWriteOnce"], storageClassName: b.namespace, hostPath: { path: "/x" } },
      });
      for (const [name, storage] of [
        ["big", "9Gi"],
        ["fits", "3Gi"],
        ["small", "1Gi"],
      ] as const)
        await b.must(b.post("/api/v1/persistentvolumes", volume(name, storage)));
      try {
        await b.eventually(async () => (await b.get(`/api/v1/persistentvolumes/${b.namespace}-fits`)).body.status?.phase === "Available");
        const spec = { storageClassName: b.namespace, accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "2Gi" } } };
        await b.must(b.post(b.core("persistentvolumeclaims"), { metadata: { name: "c" }, spec }));
        await b.eventually(async () => (await b.get(b.core("persistentvolumeclaims/c"))).body.status.phase === "Bound");
        const claim = await b.must(b.get(b.core("persistentvolumeclaims/c")));
        expect([claim.spec.volumeName, claim.status.capacity]).toEqual([`${b.namespace}-fits`, { storage: "3Gi" }]);
        await b.must(b.delete(b.core("persistentvolumeclaims/c")));
        await b.eventually(async () => (await b.get(`/api/v1/persistentvolumes/${b.namespace}-fits`)).body.status.phase === "Released");
      } finally {
        for (const name of ["big", "fits", "small"]) await b.delete(`/api/v1/persistentvolumes/${b.namespace}-${name}`);
      }
    },
  },
  {
    name: "a service has the addresses of its ready pods, with ports by name",
    async run(b) {
      await b.must(
        b.post(b.core("services"), {
          metadata: { name: "s" },
          spec: { selector: labels, ports: [{ name: "web", port: 80, targetPort: "http" }] },
        }),
      );
      const containers = [{ name: "c", image: "x:1", ports: [{ name: "http", containerPort: 8080 }] }];
      await b.must(b.post(apps(b, "replicasets"), workload({ replicas: 2, template: template({ containers }) })));
      const pods = await ready(b, 2);
      let slice: Json;
      await b.eventually(async () => {
        [slice] = (await b.must(b.get(b.in("discovery.k8s.io/v1", "endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Ds")))).items;
        return slice?.endpoints?.filter((e: Json) => e.conditions.ready).length === 2;
      });
      expect(slice.endpoints.map((e: Json) => e.addresses[0]).sort()).toEqual(pods.map((pod) => pod.status.podIP).sort());
      expect([slice.addressType, slice.ports]).toEqual(["IPv4", [{ name: "web", port: 8080, protocol: "TCP" }]]);
      expect(slice.endpoints[0].targetRef).toMatchObject({ kind: "Pod", namespace: b.namespace });
      await b.eventually(async () => (await b.get(b.core("endpoints/s"))).body.subsets?.[0].addresses?.length === 2);
      const { subsets } = await b.must(b.get(b.core("endpoints/s")));
      expect(subsets).toHaveLength(1);
      expect(subsets[0].addresses.map((a: Json) => a.ip).sort()).toEqual(pods.map((pod) => pod.status.podIP).sort());
      await b.must(b.delete(b.core("services/s")));
      await b.eventually(async () => (await b.get(b.core("endpoints/s"))).status === 404);
      expect([subsets[0].ports, subsets[0].addresses[0].targetRef.kind]).toEqual([[{ name: "web", port: 8080, protocol: "TCP" }], "Pod"]);
    },
  },
  {
    name: "a budget counts, and says how many may go",
    async run(b) {
      await b.must(b.post(apps(b, "replicasets"), workload({ replicas: 3 })));
      await b.must(
        b.post(b.in("policy/v1", "poddisruptionbudgets"), {
          metadata: { name: "b" },
          spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
        }),
      );
      await ready(b, 3);
      await b.eventually(async () => (await b.get(b.in("policy/v1", "poddisruptionbudgets/b"))).body.status.disruptionsAllowed === 1);
      const { status } = await b.must(b.get(b.in("policy/v1", "poddisruptionbudgets/b")));
      expect(status).toMatchObject({ currentHealthy: 3, desiredHealthy: 2, expectedPods: 3, disruptionsAllowed: 1, observedGeneration: 1 });
      expect((await condition(b, b.in("policy/v1", "poddisruptionbudgets/b"), "DisruptionAllowed", "True")).reason).toBe("SufficientPods");
    },
  },
  {
    name: "an autoscaler of nothing says so",
    async run(b) {
      await b.must(b.post(b.in("autoscaling/v2", "horizontalpodautoscalers"), scaler()));
      const told = await condition(b, b.in("autoscaling/v2", "horizontalpodautoscalers/h"), "AbleToScale", "False");
      expect([told.reason, told.message]).toEqual([
        "FailedGetScale",
        expect.stringContaining("the HPA controller was unable to get the target's current scale"),
      ]);
    },
  },
  {
    name: "an autoscaler keeps to its bounds, and says when it has no metrics",
    async run(b) {
      await b.must(b.post(apps(b, "deployments"), workload({ replicas: 1 })));
      await b.must(b.post(b.in("autoscaling/v2", "horizontalpodautoscalers"), scaler({ minReplicas: 2 })));
      await b.eventually(async () => (await b.get(apps(b, "deployments/w"))).body.spec.replicas === 2);
      // The next look comes a period later.
      await b.must(b.patch(b.in("autoscaling/v2", "horizontalpodautoscalers/h"), { spec: { maxReplicas: 6 } }));
      const told = await condition(b, b.in("autoscaling/v2", "horizontalpodautoscalers/h"), "ScalingActive", "False");
      expect([told.reason, told.message]).toEqual([
        "FailedGetResourceMetric",
        expect.stringContaining("the HPA was unable to compute the replica count"),
      ]);
    },
  },
  {
    name: "an autoscaler leaves alone what was scaled to zero",
    async run(b) {
      await b.must(b.post(apps(b, "deployments"), workload({ replicas: 0 })));
      await b.must(b.post(b.in("autoscaling/v2", "horizontalpodautoscalers"), scaler()));
      const told = await condition(b, b.in("autoscaling/v2", "horizontalpodautoscalers/h"), "ScalingActive", "False");
      expect([told.reason, told.message]).toEqual(["ScalingDisabled", "scaling is disabled since the replica count of the target is zero"]);
    },
  },
  {
    name: "a quota tells what is used",
    async run(b) {
      await b.must(
        b.post(b.core("resourcequotas"), { metadata: { name: "q" }, spec: { hard: { pods: "5", "requests.cpu": "2", configmaps: "9" } } }),
      );
      const containers = [{ name: "c", image: "x:1", resources: { requests: { cpu: "300m" } } }];
      await b.eventually(async () => (await b.get(b.core("resourcequotas/q"))).body.status?.used !== undefined);
      await b.must(b.post(apps(b, "replicasets"), workload({ replicas: 2, template: template({ containers }) })));
      await ready(b, 2);
      await b.eventually(async () => {
        const { used } = (await b.get(b.core("resourcequotas/q"))).body.status;
        return used.pods === "2" && used["requests.cpu"] === "600m" && used["configmaps"] === "1";
      });
    },
  },
  {
    name: "the default service account and the authority's certificate come back",
    async run(b) {
      const uid = async (path: string) => (await b.get(b.core(path))).body.metadata?.uid;
      for (const path of ["serviceaccounts/default", "configmaps/kube-root-ca.crt"]) {
        const before = await uid(path);
        await b.must(b.delete(b.core(path)));
        await b.eventually(async () => ![undefined, before].includes(await uid(path)));
      }
    },
  },
  {
    name: "a pod that fits nowhere says why",
    async run(b) {
      const pod = (name: string, spec: object) => ({ metadata: { name }, spec: { containers: [{ name: "c", image: "x:1" }], ...spec } });
      const nodes = (await b.must(b.get("/api/v1/nodes"))).items.length;
      await b.must(b.post(b.core("pods"), pod("selected", { nodeSelector: { none: b.namespace } })));
      await b.must(
        b.post(b.core("pods"), pod("huge", { containers: [{ name: "c", image: "x:1", resources: { requests: { cpu: "9999" } } }] })),
      );
      await b.must(b.post(b.core("pods"), pod("gated", { schedulingGates: [{ name: "example.com/wait" }] })));
      const selected = await condition(b, b.core("pods/selected"), "PodScheduled", "False");
      expect([selected.reason, selected.message]).toEqual([
        "Unschedulable",
        expect.stringContaining(`0/${nodes} nodes are available: ${nodes} node(s) didn't match Pod's node affinity/selector.`),
      ]);
      const huge = await condition(b, b.core("pods/huge"), "PodScheduled", "False");
      expect([huge.reason, huge.message]).toEqual(["Unschedulable", expect.stringContaining(`${nodes} Insufficient cpu`)]);
      const gated = await condition(b, b.core("pods/gated"), "PodScheduled", "False");
      expect([gated.reason, gated.message]).toEqual(["SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"]);
      await b.must(b.patch(b.core("pods/gated"), { spec: { schedulingGates: null } }, "strategic"));
      await b.eventually(async () => (await b.get(b.core("pods/gated"))).body.spec.nodeName !== undefined);
    },
  },
  {
    name: "pods keep apart, stay together, and spread as they ask",
    async run(b) {
      const host = "kubernetes.io/hostname";
      const apart = {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: host, labelSelector: { matchLabels: labels } }],
        },
      };
      await b.must(b.post(apps(b, "replicasets"), workload({ replicas: 3, template: template({ affinity: apart }) })));
      const pods = await ready(b, 3);
      expect(new Set(pods.map((pod) => pod.spec.nodeName)).size).toBe(3);
      const together = {
        podAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: host, labelSelector: { matchLabels: { role: "first" } } }],
        },
      };
      await b.must(
        b.post(b.core("pods"), {
          metadata: { name: "first", labels: { role: "first" } },
          spec: { containers: [{ name: "c", image: "x:1" }] },
        }),
      );
      await b.eventually(async () => (await b.get(b.core("pods/first"))).body.spec.nodeName !== undefined);
      await b.must(
        b.post(b.core("pods"), { metadata: { name: "second" }, spec: { affinity: together, containers: [{ name: "c", image: "x:1" }] } }),
      );
      await b.eventually(async () => (await b.get(b.core("pods/second"))).body.spec.nodeName !== undefined);
      const node = async (name: string) => (await b.must(b.get(b.core(`pods/${name}`)))).spec.nodeName;
      expect(await node("second")).toBe(await node("first"));
      const spread = [{ maxSkew: 1, topologyKey: host, whenUnsatisfiable: "DoNotSchedule", labelSelector: { matchLabels: { app: "s" } } }];
      const spreading = {
        metadata: { labels: { app: "s" } },
        spec: { topologySpreadConstraints: spread, containers: [{ name: "c", image: "x:1" }] },
      };
      await b.must(
        b.post(apps(b, "replicasets"), {
          metadata: { name: "s" },
          spec: { replicas: 3, selector: { matchLabels: { app: "s" } }, template: spreading },
        }),
      );
      await b.eventually(async () => {
        const placed = (await podsOf(b, "app%3Ds")).map((pod) => pod.spec.nodeName);
        return placed.length === 3 && !placed.includes(undefined) && new Set(placed).size === 3;
      });
    },
  },
  {
    name: "a running pod: addresses, times, conditions; then it goes",
    async run(b) {
      await b.must(b.post(b.core("pods"), { ...template(), metadata: { name: "p", labels } }));
      const [pod] = await ready(b, 1);
      expect([pod.status.phase, pod.status.qosClass, pod.status.containerStatuses[0].ready]).toEqual(["Running", "BestEffort", true]);
      for (const field of ["hostIP", "podIP", "startTime"]) expect(pod.status[field]).toBeTruthy();
      expect(pod.status.podIPs).toEqual([{ ip: pod.status.podIP }]);
      const types = pod.status.conditions.filter((c: Json) => c.status === "True").map((c: Json) => c.type);
      for (const type of ["PodScheduled", "Initialized", "ContainersReady", "Ready"]) expect(types).toContain(type);
      await b.must(b.delete(b.core("pods/p")));
      await b.eventually(async () => (await b.get(b.core("pods/p"))).status === 404);
    },
  },
];

function scaler(spec: object = {}): object {
  const cpu = { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } } };
  return {
    metadata: { name: "h" },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "w" },
      minReplicas: 1,
      maxReplicas: 5,
      metrics: [cpu],
      ...spec,
    },
  };
}
