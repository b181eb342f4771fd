/**
 * What a manager takes in a cluster of so many pods that others have made: its cache, and its start. The pods are as large as those of a
 * usual service, lie on a node that nobody simulates, and do nothing.
 */
import { waitFor } from "../rig/index.ts";
import { type Bench, requestFigures } from "./bench.ts";
import { eachOf } from "./clonesets.ts";
import { cpuSeconds, forgetPeak, load, memoryMiB } from "./processes.ts";
import type { Scenario, Sizes } from "./scenarios.ts";

export const sizingScenarios: readonly Scenario[] = [{ name: "sizing", run: sizing }];

const namespace = "crowd";
const node = "parked";
const clientsAtOnce = 16;
const patienceMs = 120_000;

async function sizing(bench: Bench, { crowd }: Sizes): Promise<void> {
  const { rig } = bench;
  await bench.startManager();
  await rig.admin.create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  await waitFor("the default service account", () => rig.admin.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`));
  await rig.admin.create("/api/v1/nodes", { apiVersion: "v1", kind: "Node", metadata: { name: node } });
  let made = 0;
  for (const pods of crowd) {
    await bench.startManager();
    const names = Array.from({ length: pods - made }, (_, index) => `pod-${made + index}`);
    await eachOf(names, clientsAtOnce, (name) => rig.admin.create(`/api/v1/namespaces/${namespace}/pods`, podNamed(name)));
    made = pods;
    await measureStart(bench, pods);
  }
}

/** A start from nothing, and the rest after it. */
async function measureStart(bench: Bench, pods: number): Promise<void> {
  await bench.quiet();
  await bench.manager.stop();
  for (const suffix of ["", "-wal", "-shm"])
    await Bun.file(bench.recordPath + suffix)
      .delete()
      .catch(() => {});
  bench.audit.begin();
  const loadBefore = load();
  const startedMs = performance.now();
  const { process, metricsUrl } = await bench.startManager();
  const cached = async () => {
    const text = await (await fetch(metricsUrl)).text();
    return Number(/^kruiser_cache_objects\{resource="pods"\} (\d+)$/m.exec(text)?.[1] ?? 0) >= pods;
  };
  await waitFor("every pod to be in the cache", cached, { timeoutMs: patienceMs, intervalMs: 100 });
  const wallSeconds = (performance.now() - startedMs) / 1000;
  const managerCpuSeconds = cpuSeconds(process.pid);
  const { peak } = memoryMiB(process.pid);
  await bench.quiet();
  forgetPeak(process.pid);
  const before = cpuSeconds(process.pid);
  const restMs = 10_000;
  await Bun.sleep(restMs);
  bench.book({
    scenario: `sizing-${pods}`,
    wallSeconds,
    managerCpuSeconds,
    clusterCpuSeconds: 0,
    peakMiB: peak,
    endMiB: memoryMiB(process.pid).now,
    ...requestFigures(bench.audit.count()),
    loadBefore,
    more: { restMiB: memoryMiB(process.pid).now, restMillicores: ((cpuSeconds(process.pid) - before) / restMs) * 1_000_000 },
  });
}

/** Some 4 KB without what the server adds. */
function podNamed(name: string): object {
  const variables = Array.from({ length: 12 }, (_, index) => ({ name: `SETTING_${index}`, value: `value-${index}-of-a-usual-length` }));
  const probe = { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 10, failureThreshold: 3 };
  const container = (of: string) => ({
    name: of,
    image: `registry.test/team/${of}:2025.11.21-1`,
    args: ["--listen=:8080", "--log-format=json", "--config=/etc/app/config.yaml"],
    env: [...variables, { name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
    ports: [{ name: "http", containerPort: 8080 }],
    resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "1", memory: "512Mi" } },
    readinessProbe: probe,
    livenessProbe: probe,
    volumeMounts: [{ name: "config", mountPath: "/etc/app" }],
  });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      labels: { app: `app-${Number(name.split("-")[1]) % 200}`, "app.kubernetes.io/part-of": "crowd", team: "platform", version: "v1" },
      annotations: {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "example.com/config-hash": "0123456789abcdef".repeat(4),
      },
    },
    spec: {
      nodeName: node,
      // Nobody reports on this node: its pods are to stay.
      tolerations: [{ operator: "Exists" }],
      containers: [container("main"), container("proxy")],
      volumes: [{ name: "config", configMap: { name: "app-config" } }],
    },
  };
}
