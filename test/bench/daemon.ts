/**
 * The node agent on the rig's real node: what it takes at rest, and what it adds to what the container runtime does by itself. It runs as
 * in the manifest; the other side of each comparison is the same call to the runtime without Kruiser.
 */
import type { ContainerRecreateRequest } from "../../src/api/containerrecreaterequest.ts";
import type { NodeImage } from "../../src/api/nodeimage.ts";
import { CriClient } from "../../src/daemon/cri/client.ts";
import { type Called, GrpcChannel } from "../../src/daemon/cri/grpc.ts";
import { containerState } from "../../src/daemon/cri/messages.ts";
import { silentLogger } from "../../src/env/log.ts";
import { systemEnv } from "../../src/env/system.ts";
import type { Pod } from "../../src/kube/types.ts";
import { type Daemon, type RealNode, waitFor } from "../rig/index.ts";
import { buildImage } from "../rig/oci.ts";
import { AuditLog } from "./audit.ts";
import { type Bench, requestFigures } from "./bench.ts";
import { waitUntilThere } from "./clonesets.ts";
import { cpuSeconds, forgetPeak, load, memoryMiB } from "./processes.ts";
import type { Scenario, Sizes } from "./scenarios.ts";

export const agentScenarios: readonly Scenario[] = [
  { name: "agent-idle", run: idle },
  { name: "agent-pull", run: pull },
  { name: "agent-recreate", run: recreate },
];

const namespace = "agent";
const group = "/apis/apps.kruise.io/v1beta1";
const agentUser = "system:serviceaccount:kruise-system:kruise-daemon";
const layerBytes = 2 * 1024 * 1024;
const layersEach = 4;
const graceSeconds = 5;
const lookMs = 10;
const patienceMs = 300_000;

const agents = new WeakMap<Bench, Daemon>();

/** The node, its agent as the manifest has it, and the namespace. */
async function ready(bench: Bench): Promise<{ node: RealNode; agent: Daemon }> {
  const { rig } = bench;
  await bench.startManager();
  const node = rig.nodes[0];
  if (node === undefined) throw new Error("this scenario needs a real node");
  let agent = agents.get(bench);
  if (agent === undefined) {
    await rig.admin.create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    await waitFor("the default service account", () => rig.admin.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`));
    const flags = [`--record-path=${rig.stateDir}/agent.sqlite`];
    agent = await rig.startDaemon(node, { command: bench.command, flags });
    agents.set(bench, agent);
    await waitFor("the NodeImage", () => rig.admin.get(nodeImagePath(node)), { timeoutMs: 60_000 });
  }
  return { node, agent };
}

const nodeImagePath = ({ name }: RealNode) => `${group}/nodeimages/${name}`;

/** Books what the agent spends while `work` runs. */
async function measureAgent(
  bench: Bench,
  scenario: string,
  work: (agent: Daemon, node: RealNode) => Promise<Readonly<Record<string, number>>>,
): Promise<void> {
  const { node, agent } = await ready(bench);
  const audit = new AuditLog(bench.auditPath, agentUser);
  await bench.quiet();
  const { pid } = agent.process;
  const loadBefore = load();
  forgetPeak(pid);
  audit.begin();
  const cpuBefore = cpuSeconds(pid);
  const startedMs = performance.now();
  const more = await work(agent, node);
  const wallSeconds = (performance.now() - startedMs) / 1000;
  const agentCpuSeconds = cpuSeconds(pid) - cpuBefore;
  const { now, peak } = memoryMiB(pid);
  if (!agent.process.running()) throw new Error(`the node agent ended during ${scenario}; see ${agent.logPath}`);
  bench.book({
    scenario,
    wallSeconds,
    managerCpuSeconds: agentCpuSeconds,
    clusterCpuSeconds: 0,
    peakMiB: peak,
    endMiB: now,
    ...requestFigures(audit.count()),
    loadBefore,
    more: { ...more, millicores: (agentCpuSeconds / wallSeconds) * 1000 },
  });
}

/** At rest, with this many of Kruise's pods on its node. */
async function idle(bench: Bench, { agentPods, idleSeconds }: Sizes): Promise<void> {
  const { rig } = bench;
  await ready(bench);
  const pods = await podsOf(bench, "rest", agentPods);
  await waitFor(
    "every pod to be reported on",
    async () => {
      const seen = await rig.admin.list<Pod>(`/api/v1/namespaces/${namespace}/pods?labelSelector=app=rest`);
      return seen.every(({ metadata }) => metadata.annotations?.["apps.kruise.io/runtime-containers-meta"] !== undefined);
    },
    { timeoutMs: patienceMs, intervalMs: 1_000 },
  );
  await measureAgent(bench, "agent-idle", async () => {
    await Bun.sleep(idleSeconds * 1000);
    return { pods: pods.length };
  });
  await rig.admin.delete(`${group}/namespaces/${namespace}/clonesets/rest`);
  await gone(bench, "rest");
}

/** Images of the same size, in turns by a call to the runtime and by an ImagePullJob. */
async function pull(bench: Bench, { agentPulls }: Sizes): Promise<void> {
  const { rig } = bench;
  await measureAgent(bench, "agent-pull", async (_, node) => {
    const cri = criOf(node);
    const byHand: number[] = [];
    const byJob: number[] = [];
    for (let round = 0; round < agentPulls; round += 1) {
      const direct = push(bench, `direct-${round}`);
      byHand.push(await timed(async () => void must("PullImage", await cri.pullImage({ image: direct }))));
      const image = push(bench, `job-${round}`);
      byJob.push(
        await timed(async () => {
          await rig.admin.create(`${group}/namespaces/${namespace}/imagepulljobs`, {
            apiVersion: "apps.kruise.io/v1beta1",
            kind: "ImagePullJob",
            metadata: { name: `pull-${round}` },
            spec: { image, selector: { names: [node.name] }, completionPolicy: { type: "Always" } },
          });
          await waitFor(`${image} to be told of`, () => isPulled(bench, node, `job-${round}`), {
            timeoutMs: patienceMs,
            intervalMs: lookMs,
          });
        }),
      );
    }
    cri.channel.close();
    return { ...spread("byHand", byHand), ...spread("byJob", byJob), pulls: agentPulls };
  });
}

async function isPulled({ rig }: Bench, node: RealNode, repository: string): Promise<boolean> {
  const { status } = await rig.admin.must<NodeImage>("GET", nodeImagePath(node));
  return status?.imageStatuses?.[`registry.test/${repository}`]?.tags.some(({ phase }) => phase === "Succeeded") ?? false;
}

/** One container restarted in each of so many pods, in turns by a call to the runtime and by a ContainerRecreateRequest. */
async function recreate(bench: Bench, { agentKills }: Sizes): Promise<void> {
  const { rig } = bench;
  await ready(bench);
  // Each pod once: the kubelet waits longer and longer before it starts the same container again.
  const pods = await podsOf(bench, "kill", 2 * agentKills);
  await measureAgent(bench, "agent-recreate", async (_, node) => {
    const cri = criOf(node);
    const byHand: number[] = [];
    const byRequest: number[] = [];
    for (const [index, pod] of pods.entries()) {
      const before = await runningIn(cri, pod);
      if (before === undefined) throw new Error(`${pod.metadata.name} has no container that runs`);
      const isByHand = index % 2 === 0;
      const startMs = Date.now();
      if (isByHand) must("StopContainer", await cri.stopContainer(before.id, graceSeconds));
      else {
        await rig.admin.create<ContainerRecreateRequest>(`${group}/namespaces/${namespace}/containerrecreaterequests`, {
          apiVersion: "apps.kruise.io/v1beta1",
          kind: "ContainerRecreateRequest",
          metadata: { name: `kill-${index}` },
          spec: { podName: pod.metadata.name, containers: [{ name: "main" }] },
        });
      }
      const after = await waitFor(
        "the next container",
        async () => {
          const running = await runningIn(cri, pod);
          return running !== undefined && running.id !== before.id ? running : undefined;
        },
        { timeoutMs: patienceMs, intervalMs: lookMs },
      );
      const { startedAtMs } = must("ContainerStatus", await cri.containerStatus(after.id));
      (isByHand ? byHand : byRequest).push((startedAtMs - startMs) / 1000);
    }
    cri.channel.close();
    return { ...spread("byHand", byHand), ...spread("byRequest", byRequest), kills: agentKills };
  });
  await rig.admin.delete(`${group}/namespaces/${namespace}/clonesets/kill`);
  await gone(bench, "kill");
}

/** Pods of a CloneSet on the real node, all of them ready. */
async function podsOf({ rig }: Bench, name: string, replicas: number): Promise<readonly Pod[]> {
  await rig.admin.create(`${group}/namespaces/${namespace}/clonesets`, {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          nodeSelector: { type: "real" },
          terminationGracePeriodSeconds: graceSeconds,
          containers: [{ name: "main", image: rig.registry.image("app", "v1") }],
        },
      },
    },
  });
  await waitUntilThere(rig, namespace, name, patienceMs);
  return rig.admin.list<Pod>(`/api/v1/namespaces/${namespace}/pods?labelSelector=app=${name}`);
}

function gone({ rig }: Bench, name: string): Promise<boolean> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=app=${name}`;
  return waitFor("the pods to go", async () => (await rig.admin.list(path)).length === 0, { timeoutMs: patienceMs, intervalMs: 1_000 });
}

function criOf({ containerdAddress }: RealNode): CriClient {
  return new CriClient(new GrpcChannel(systemEnv(silentLogger, new AbortController().signal), containerdAddress));
}

async function runningIn(cri: CriClient, { metadata }: Pod) {
  const found = must("ListContainers", await cri.listContainers({ podUid: metadata.uid ?? "" }));
  return found.find(({ state }) => state === containerState.running);
}

/** An image that nobody has, of several layers that do not compress; answers the reference. */
function push({ rig }: Bench, repository: string): string {
  const layers = Array.from({ length: layersEach }, (_, layer) => {
    const content = new Uint8Array(layerBytes);
    for (let at = 0; at < layerBytes; at += 65_536) crypto.getRandomValues(content.subarray(at, at + 65_536));
    return [{ path: `data-${layer}`, content }];
  });
  rig.registry.push(repository, "v1", buildImage({ layers, entrypoint: ["/none"] }));
  return rig.registry.image(repository, "v1");
}

function must<T>(call: string, called: Called<T>): T {
  if (!called.ok) throw new Error(`${call}: ${called.message}`);
  return called.value;
}

/** Seconds. */
async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

function spread(name: string, seconds: readonly number[]): Record<string, number> {
  const sorted = [...seconds].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { [`${name}P50Seconds`]: at(0.5), [`${name}MinSeconds`]: at(0), [`${name}MaxSeconds`]: at(1) };
}
