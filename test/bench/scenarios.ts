/**
 * What is measured. Scenarios of one suite share a cluster and follow each other: what one leaves behind, the next one works on.
 * Sizes are those of the reference figures; the smoke test asks for small ones.
 */
import { rmSync, statSync } from "node:fs";
import { waitFor } from "../rig/index.ts";
import { admissionScenarios } from "./admission.ts";
import { type Bench, type BenchOptions, requestFigures } from "./bench.ts";
import {
  type CloneSetLike,
  cloneSet,
  eachOf,
  imagePatch,
  pathOf,
  plainCloneSet,
  storedPathOf,
  waitUntilAllThere,
  waitUntilThere,
} from "./clonesets.ts";
import { agentScenarios } from "./daemon.ts";
import { cpuSeconds, load, memoryMiB } from "./processes.ts";
import { sidecarSetScenarios } from "./sidecarset.ts";
import { sizingScenarios } from "./sizing.ts";

export interface Sizes {
  /** Pods of the one large CloneSet. */
  readonly one: number;
  readonly recreate: number;
  /** CloneSets, of `podsEach` pods each. */
  readonly many: number;
  readonly podsEach: number;
  readonly idleSeconds: number;
  readonly churnRounds: number;
  readonly churnPods: number;
  /** Pods of one CloneSet, one after the other. */
  readonly growth: readonly number[];
  readonly admissionSeconds: number;
  /** Pods of others in the cluster, one after the other. */
  readonly crowd: readonly number[];
  /** Pods on the real node of a node agent at rest. */
  readonly agentPods: number;
  /** Images pulled each way. */
  readonly agentPulls: number;
  /** Containers restarted each way. */
  readonly agentKills: number;
}

export const fullSizes: Sizes = {
  one: 1_000,
  recreate: 300,
  many: 500,
  podsEach: 10,
  idleSeconds: 30,
  churnRounds: 20,
  churnPods: 100,
  growth: [1_000, 5_000, 10_000],
  admissionSeconds: 20,
  crowd: [1_000, 5_000, 10_000, 20_000],
  agentPods: 60,
  agentPulls: 10,
  agentKills: 12,
};

export interface Scenario {
  readonly name: string;
  readonly run: (bench: Bench, sizes: Sizes) => Promise<void>;
}

export interface Suite {
  readonly name: string;
  /** What its cluster needs beyond the usual. */
  readonly needs?: Pick<BenchOptions, "nodes" | "realNodes" | "managerFlags">;
  readonly scenarios: readonly Scenario[];
}

export const suites: readonly Suite[] = [
  {
    name: "small",
    scenarios: [
      { name: "start", run: start },
      { name: "idle-empty", run: (bench, sizes) => idle(bench, "idle-empty", sizes) },
      ...admissionScenarios,
    ],
  },
  {
    name: "one",
    scenarios: [
      { name: "create-one", run: createOne },
      { name: "in-place-all", run: (bench, { one }) => inPlaceOne(bench, "in-place-all", one, "100%", 2) },
      { name: "in-place-tenth", run: (bench, { one }) => inPlaceOne(bench, "in-place-tenth", one, "10%", 3) },
    ],
  },
  { name: "recreate", scenarios: [{ name: "recreate", run: recreate }] },
  {
    name: "many",
    scenarios: [
      { name: "create-many", run: createMany },
      { name: "idle-full", run: (bench, sizes) => idle(bench, "idle-full", sizes) },
      { name: "in-place-many", run: inPlaceMany },
      { name: "restart-with-record", run: (bench) => restart(bench, true) },
      { name: "restart-without-record", run: (bench) => restart(bench, false) },
      { name: "scale-to-zero", run: scaleToZero },
    ],
  },
  { name: "sidecarsets", scenarios: sidecarSetScenarios },
  { name: "churn", scenarios: [{ name: "churn", run: churn }] },
  { name: "growth", scenarios: [{ name: "growth", run: growth }] },
  { name: "sizing", scenarios: sizingScenarios },
  {
    name: "agent",
    needs: { nodes: 1, realNodes: 1, managerFlags: ["--feature-gates=ImagePullJobGate=true", "--nodeimage-creation-delay=1s"] },
    scenarios: agentScenarios,
  },
];

const namespace = "bench";

async function ensureNamespace({ rig }: Bench): Promise<void> {
  if (await rig.admin.get(`/api/v1/namespaces/${namespace}`)) return;
  await rig.admin.create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  await waitFor("the default service account", () => rig.admin.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`));
}

async function ready(bench: Bench): Promise<void> {
  await bench.startManager();
  await ensureNamespace(bench);
}

/** From the start of the process to the first reconciled CloneSet. The process ends with it, so that its watches are counted. */
/** ms: for this long after a definition is established the API server lets everybody wait who creates an object of it. */
const youngDefinitionMs = 2_000;

async function definitionsOfAge({ rig }: Bench): Promise<boolean> {
  interface Definition {
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly lastTransitionTime: string }[] };
  }
  const definitions = await rig.admin.list<Definition>("/apis/apiextensions.k8s.io/v1/customresourcedefinitions");
  const since = definitions.map(({ status }) => status?.conditions?.find(({ type }) => type === "Established")?.lastTransitionTime);
  // Its times have whole seconds.
  return since.every((time) => time !== undefined && Date.now() - Date.parse(time) > youngDefinitionMs + 1_000);
}

async function start(bench: Bench): Promise<void> {
  await ensureNamespace(bench);
  await waitFor("the definitions to be of age", () => definitionsOfAge(bench));
  bench.audit.begin();
  const loadBefore = load();
  const startedMs = performance.now();
  const { process } = await bench.startManager(false);
  // Refused until the webhooks are there.
  await waitFor("a CloneSet to be accepted", () => created(bench, "first"), { timeoutMs: 60_000, intervalMs: 20 });
  await waitFor("it to be reconciled", () => isReconciled(bench, "first"), { timeoutMs: 60_000, intervalMs: 20 });
  const wallSeconds = (performance.now() - startedMs) / 1000;
  const managerCpuSeconds = cpuSeconds(process.pid);
  const { now, peak } = memoryMiB(process.pid);
  await bench.manager.stop();
  bench.book({
    scenario: "start",
    wallSeconds,
    managerCpuSeconds,
    clusterCpuSeconds: 0,
    peakMiB: peak,
    endMiB: now,
    ...requestFigures(bench.audit.count()),
    loadBefore,
  });
}

/** Asked for as it is stored: a conversion that nobody answers yet is tried again by the API server itself, with seconds in between. */
async function created({ rig }: Bench, name: string): Promise<boolean> {
  const answer = await rig.admin.request("POST", storedPathOf(namespace), plainCloneSet(name, 1));
  return answer.status === 201 || answer.status === 409;
}

async function isReconciled({ rig }: Bench, name: string): Promise<boolean> {
  const seen = await rig.admin.get<CloneSetLike>(storedPathOf(namespace, name));
  return seen?.status?.observedGeneration === seen?.metadata.generation && seen?.status?.replicas === seen?.spec.replicas;
}

/** Below, a measurement of rest says nothing, and nothing is waited for. */
const idleSecondsMin = 10;
/** ms: longer than the record waits for rest, and from one look at what it has to write to the next. */
const recordRestMs = 42_000;

/**
 * What is still to come of earlier work is nobody's rest: each node gets its NodeImage half a minute after it is ready, and the record is
 * written when its kinds have been quiet for a while.
 */
async function settled({ rig, recordPath }: Bench): Promise<void> {
  const nodes = await rig.admin.list("/api/v1/nodes");
  const path = "/apis/apps.kruise.io/v1beta1/nodeimages";
  await waitFor("each node's NodeImage", async () => (await rig.admin.list(path)).length >= nodes.length, { timeoutMs: 90_000 });
  const isAtRest = () => Date.now() - lastWriteMs(recordPath) >= recordRestMs;
  await waitFor("the record to rest", isAtRest, { timeoutMs: 180_000, intervalMs: 1_000 }).catch(() =>
    console.log("the record is still being written: that is part of the figure"),
  );
}

function lastWriteMs(recordPath: string): number {
  return Math.max(...["", "-wal"].map((suffix) => statSync(recordPath + suffix, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}

async function idle(bench: Bench, name: string, { idleSeconds }: Sizes): Promise<void> {
  await ready(bench);
  const { pid } = bench.manager.process;
  const before = cpuSeconds(pid);
  // The harness's own test looks for a moment only.
  if (idleSeconds >= idleSecondsMin) await settled(bench);
  const cpuSecondsUntilRest = cpuSeconds(pid) - before;
  await bench.measure(name, { more: () => ({ cpuSecondsUntilRest }) }, () => Bun.sleep(idleSeconds * 1000));
}

async function createOne(bench: Bench, { one }: Sizes): Promise<void> {
  await ready(bench);
  await bench.measure("create-one", { pods: one }, async () => {
    await bench.rig.admin.create(pathOf(namespace), cloneSet("one", one));
    await waitUntilThere(bench.rig, namespace, "one");
  });
}

async function inPlaceOne(bench: Bench, scenario: string, pods: number, maxUnavailable: string, version: number): Promise<void> {
  const patch = [{ op: "replace", path: "/spec/updateStrategy/maxUnavailable", value: maxUnavailable }];
  await bench.rig.admin.patch(pathOf(namespace, "one"), patch, "jsonPatch");
  await bench.measure(scenario, { pods }, async () => {
    await bench.rig.admin.patch(pathOf(namespace, "one"), imagePatch(version), "jsonPatch");
    await waitUntilThere(bench.rig, namespace, "one");
  });
}

async function recreate(bench: Bench, { recreate: pods }: Sizes): Promise<void> {
  await ready(bench);
  await bench.rig.admin.create(pathOf(namespace), cloneSet("recreate", pods, "ReCreate", "20%"));
  await waitUntilThere(bench.rig, namespace, "recreate");
  await bench.measure("recreate", { pods }, async () => {
    await bench.rig.admin.patch(pathOf(namespace, "recreate"), imagePatch(2), "jsonPatch");
    await waitUntilThere(bench.rig, namespace, "recreate");
  });
}

const namesOf = ({ many }: Sizes) => Array.from({ length: many }, (_, index) => `many-${index}`);
const clientsAtOnce = 8;

async function createMany(bench: Bench, sizes: Sizes): Promise<void> {
  await ready(bench);
  await bench.measure("create-many", { pods: sizes.many * sizes.podsEach }, async () => {
    await eachOf(namesOf(sizes), clientsAtOnce, (name) => bench.rig.admin.create(pathOf(namespace), cloneSet(name, sizes.podsEach)));
    await waitUntilAllThere(bench.rig, namespace, sizes.many);
  });
}

async function inPlaceMany(bench: Bench, sizes: Sizes): Promise<void> {
  await bench.measure("in-place-many", { pods: sizes.many * sizes.podsEach }, async () => {
    await eachOf(namesOf(sizes), clientsAtOnce, (name) => bench.rig.admin.patch(pathOf(namespace, name), imagePatch(2), "jsonPatch"));
    await waitUntilAllThere(bench.rig, namespace, sizes.many);
  });
}

async function scaleToZero(bench: Bench, sizes: Sizes): Promise<void> {
  await bench.measure("scale-to-zero", { pods: sizes.many * sizes.podsEach }, async () => {
    await eachOf(namesOf(sizes), clientsAtOnce, (name) => bench.rig.admin.patch(pathOf(namespace, name), { spec: { replicas: 0 } }));
    await waitUntilAllThere(bench.rig, namespace, sizes.many);
  });
}

/** A change that was made while nobody was there is reconciled by the next process. */
async function restart(bench: Bench, withRecord: boolean): Promise<void> {
  const scenario = withRecord ? "restart-with-record" : "restart-without-record";
  const { rig, audit } = bench;
  await bench.quiet();
  await bench.manager.stop();
  if (!withRecord) for (const suffix of ["", "-wal", "-shm"]) rmSync(bench.recordPath + suffix, { force: true });
  const name = "many-0";
  audit.begin();
  const loadBefore = load();
  const startedMs = performance.now();
  const { process } = await bench.startManager(false);
  const { spec } = (await rig.admin.get<CloneSetLike>(storedPathOf(namespace, name))) as CloneSetLike;
  const scaled = async () => {
    const answer = await rig.admin.request("PATCH", storedPathOf(namespace, name), { spec: { replicas: spec.replicas + 1 } }, "merge");
    return answer.status === 200;
  };
  await waitFor("the change to be accepted", scaled, { timeoutMs: 60_000, intervalMs: 20 });
  await waitFor("it to be reconciled", () => isReconciled(bench, name), { timeoutMs: 60_000, intervalMs: 20 });
  const wallSeconds = (performance.now() - startedMs) / 1000;
  const managerCpuSeconds = cpuSeconds(process.pid);
  const { now, peak } = memoryMiB(process.pid);
  const requests = requestFigures(audit.count());
  bench.book({ scenario, wallSeconds, managerCpuSeconds, clusterCpuSeconds: 0, peakMiB: peak, endMiB: now, ...requests, loadBefore });
  await bench.manager.waitReady();
  await rig.admin.patch(pathOf(namespace, name), { spec: { replicas: spec.replicas } });
  await bench.quiet();
}

/** Memory after round 5 and after the last one. */
async function churn(bench: Bench, { churnRounds, churnPods }: Sizes): Promise<void> {
  await ready(bench);
  const { rig } = bench;
  const early = Math.min(5, churnRounds);
  const more: Record<string, number> = {};
  await bench.measure("churn", { pods: churnRounds * churnPods, more: () => more }, async () => {
    for (let round = 1; round <= churnRounds; round += 1) {
      await rig.admin.create(pathOf(namespace), cloneSet("churn", churnPods));
      await waitUntilThere(rig, namespace, "churn");
      await rig.admin.patch(pathOf(namespace, "churn"), imagePatch(2), "jsonPatch");
      await waitUntilThere(rig, namespace, "churn");
      await rig.admin.delete(pathOf(namespace, "churn"));
      await waitFor("the pods to go", async () => (await rig.admin.list(`/api/v1/namespaces/${namespace}/pods?limit=1`)).length === 0, {
        timeoutMs: 120_000,
      });
      if (round === early || round === churnRounds) more[`rssMiBAfterRound${round}`] = memoryMiB(bench.manager.process.pid).now;
    }
  });
}

/** CPU a pod in one CloneSet of growing size: planning must not cost the square of it. */
async function growth(bench: Bench, { growth: sizes }: Sizes): Promise<void> {
  await ready(bench);
  for (const pods of sizes) {
    await bench.measure(`growth-${pods}`, { pods }, async () => {
      await bench.rig.admin.create(pathOf(namespace), cloneSet("growth", pods));
      await waitUntilThere(bench.rig, namespace, "growth", 1_800_000);
    });
    await bench.rig.admin.delete(pathOf(namespace, "growth"));
    await waitFor("the pods to go", async () => (await bench.rig.admin.list(`/api/v1/namespaces/${namespace}/pods?limit=1`)).length === 0, {
      timeoutMs: 1_800_000,
      intervalMs: 1_000,
    });
  }
}
