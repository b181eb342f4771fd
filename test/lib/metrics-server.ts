/**
 * What metrics-server is to a cluster, for a rig: `metrics.k8s.io/v1beta1` behind an APIService, with the CPU that a test says its pods use.
 * Work is dealt among the pods of a namespace that are ready, so that an autoscaler sees what its own decisions lead to.
 */
import type { Pod } from "../../src/kube/types.ts";
import type { Rig } from "../rig/index.ts";
import { waitFor } from "../rig/index.ts";
import { isReady } from "./shop.ts";

export interface MetricsServer {
  /** From now on the ready pods of this namespace share so much work, in thousandths of a CPU. Before: none. */
  load(namespace: string, milliCpu: number): void;
  /** The label selectors that usage in this namespace was asked for with. */
  selectorsOf(namespace: string): ReadonlySet<string>;
  stop(): Promise<void>;
}

const groupVersion = "metrics.k8s.io/v1beta1";
const apiServicePath = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io";
const podsPath = new RegExp(`^/apis/${groupVersion}/namespaces/([^/]+)/pods$`);

export async function startMetricsServer(rig: Rig): Promise<MetricsServer> {
  const loads = new Map<string, number>();
  const asked = new Map<string, Set<string>>();
  const pair = await rig.plane.authority.server("metrics", ["localhost"]);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: pair.certPem, key: pair.keyPem },
    fetch: async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === `/apis/${groupVersion}`) return Response.json(resources);
      const namespace = podsPath.exec(pathname)?.[1];
      if (namespace === undefined) return new Response("not found", { status: 404 });
      const selector = searchParams.get("labelSelector") ?? "";
      asked.set(namespace, (asked.get(namespace) ?? new Set()).add(selector));
      return Response.json(await usage(namespace, selector));
    },
  });

  async function usage(namespace: string, selector: string): Promise<object> {
    const pods = await rig.admin.list<Pod>(`/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`);
    const working = pods.filter((pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined);
    const each = Math.round((loads.get(namespace) ?? 0) / Math.max(1, working.length));
    const items = working.map(({ metadata, spec }) => ({
      metadata: { name: metadata.name, namespace, labels: metadata.labels },
      timestamp: new Date().toISOString(),
      // Of a moment: a longer window would hold samples back until the pod has been ready for as long.
      window: "0s",
      containers: spec.containers.map(({ name }, index) => ({ name, usage: { cpu: index === 0 ? `${each}m` : "0", memory: "16Mi" } })),
    }));
    return { kind: "PodMetricsList", apiVersion: groupVersion, metadata: {}, items };
  }

  const namespace = await rig.namespace("metrics");
  await rig.apply(
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "metrics", namespace },
      // The API server resolves such a name itself: nothing routes cluster addresses here.
      spec: { type: "ExternalName", externalName: "localhost" },
    },
    {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: "v1beta1.metrics.k8s.io" },
      spec: {
        group: "metrics.k8s.io",
        version: "v1beta1",
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
        service: { namespace, name: "metrics", port: server.port },
      },
    },
  );
  await waitFor("metrics.k8s.io to be served", async () => (await rig.admin.request("GET", `/apis/${groupVersion}`)).status === 200);
  return {
    load: (of, milliCpu) => void loads.set(of, milliCpu),
    selectorsOf: (of) => asked.get(of) ?? new Set(),
    stop: async () => {
      await rig.admin.delete(apiServicePath);
      await server.stop(true);
    },
  };
}

const resources = {
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion,
  resources: [{ name: "pods", singularName: "", namespaced: true, kind: "PodMetrics", verbs: ["get", "list"] }],
};
