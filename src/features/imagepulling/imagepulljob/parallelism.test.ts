/**
 * How many nodes pull at once, and what it costs. Whatever gets lost, late or in the way, and whoever crashes in the middle: never more
 * than spec.parallelism, and in the end every node has had its turn.
 */
import { describe, expect, test } from "bun:test";
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { type NodeImage, nodeImages } from "../../../api/nodeimage.ts";
import type { Change, WriteStep } from "../../../engine/plan.ts";
import { type Call, type Fault, type House, World } from "../../../engine/testing/harness.ts";
import { FakeEnv } from "../../../env/fake.ts";
import { seededRandom } from "../../../env/random.ts";
import { applyMergePatch } from "../../../kube/patch/merge.ts";
import { formatTime } from "../../../kube/time.ts";
import { Agents, addJob, addReadyNode, inFlight, jobKey, nodeKey, startPulling } from "../testing/agents.ts";
import { plan } from "./plan.ts";

const startMs = Date.UTC(2025, 0, 1);

/** Told of every change of a NodeImage, at the very moment at which the server makes it. */
function onNodeImageWrite(world: World, look: (call: "patch" | "replace") => void): void {
  const { store } = world;
  const patch = store.patch.bind(store);
  store.patch = (kind, ...rest) => {
    const answer = patch(kind, ...rest);
    if (kind.kind === "NodeImage" && answer.ok) look("patch");
    return answer;
  };
}

const faultsOf =
  (random: () => number, share: number) =>
  (call: Call): Fault => {
    if (call.verb === "list" || random() >= share) return undefined;
    const dice = Math.floor(random() * 5);
    if (call.verb === "get") return { ok: false, why: "unavailable", mayHaveHappened: false, message: "no" };
    if (dice === 0) return "lost";
    if (dice === 1) return "never";
    if (dice === 2) return { ok: false, why: "conflict", message: "somebody was faster" };
    if (dice === 3) return { ok: false, why: "throttled", retryAfterMs: 300, message: "later" };
    return { ok: false, why: "unavailable", mayHaveHappened: true, message: "no" };
  };

describe("never too many", () => {
  for (let seed = 1; seed <= 25; seed += 1) {
    test(`faults, crashes, nodes that come and go, seed ${seed}`, async () => {
      const random = seededRandom(seed);
      const env = new FakeEnv({ startMs, seed });
      const lagged = random() < 0.7;
      const world = new World(env, { watchLagMs: () => (lagged ? random() * 400 : 0), latencyMs: () => random() * 30 });
      const count = 3 + Math.floor(random() * 10);
      for (let index = 0; index < count; index += 1) addReadyNode(world, `n${index}`);
      new Agents(env, world, { pull: () => ({ tookMs: random() * 4_000, ...(random() < 0.2 ? { failed: "no" } : {}) }), intervalMs: 70 });
      const max = 1 + Math.floor(random() * 4);
      const job = addJob(world, "job", { image: "nginx:1", parallelism: max, pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 } });
      let most = 0;
      onNodeImageWrite(world, () => {
        most = Math.max(most, inFlight(world, job, "nginx", "1").length);
      });
      world.fault = faultsOf(random, 0.2);
      let house: House = await startPulling({ env, world });
      for (let round = 0; round < 6; round += 1) {
        await env.advance(random() * 3_000);
        if (random() < 0.4) {
          // Nothing is waited for: what is on its way may still arrive after the successor has begun.
          void house.runner.stop(0);
          house = await startPulling({ env, world });
        }
        if (random() < 0.3) addReadyNode(world, `m${round}`);
        if (random() < 0.2) world.drop(nodeImages, nodeKey(`n${Math.floor(random() * count)}`));
      }
      world.fault = () => undefined;
      const isDone = () => world.now<ImagePullJob>(imagePullJobs, jobKey("job"))?.status?.completionTime !== undefined;
      for (let waited = 0; waited < 900 && !isDone(); waited += 1) await env.advance(1_000);
      expect(most).toBeLessThanOrEqual(max);
      expect(isDone()).toBe(true);
      const { desired, succeeded = 0, failed = 0 } = world.now<ImagePullJob>(imagePullJobs, jobKey("job"))?.status ?? { desired: -1 };
      expect(succeeded + failed).toBe(desired);
    });
  }

  test("a manager that sees the world as it was some time ago", () => {
    for (let seed = 1; seed <= 400; seed += 1) {
      const random = seededRandom(seed);
      const max = 1 + Math.floor(random() * 4);
      const job = {
        metadata: { namespace: "default", name: "job", uid: "u", finalizers: ["apps.kruise.io/deletion-protection"] },
        spec: { image: "nginx:1", parallelism: max, completionPolicy: {} },
      } as unknown as ImagePullJob;
      let truth: NodeImage[] = Array.from({ length: 8 }, (_, index) => nodeAt(`n${index}`, 1));
      const history = [truth];
      const step = (seen: readonly NodeImage[]) => {
        truth = carryOut(job, seen, truth);
        expect(truth.filter((node) => isInFlight(node)).length).toBeLessThanOrEqual(max);
        history.push(truth);
      };
      for (let round = 0; round < 12; round += 1) {
        step(truth);
        truth = truth.map((node) => (isInFlight(node) && random() < 0.4 ? ended(node) : node));
        history.push(truth);
        // The successor of a manager that has just died knows less than it did.
        if (random() < 0.5) step(history[Math.floor(random() * history.length)]!);
      }
    }
  });
});

function nodeAt(name: string, version: number): NodeImage {
  return { metadata: { name, uid: name, resourceVersion: String(version), creationTimestamp: "" }, spec: {} };
}
function isInFlight(node: NodeImage): boolean {
  return node.spec.images?.["nginx"] !== undefined && node.status === undefined;
}
function ended(node: NodeImage): NodeImage {
  const status = {
    desired: 1,
    imageStatuses: { nginx: { tags: [{ tag: "1", phase: "Succeeded", completionTime: formatTime(startMs) }] } },
  };
  return { ...node, metadata: { ...node.metadata, resourceVersion: String(Number(node.metadata.resourceVersion) + 1) }, status };
}

/** Plans from what was `seen`, and does it to the `truth` as the executor would: after a conflict from the newest version. */
function carryOut(job: ImagePullJob, seen: readonly NodeImage[], truth: readonly NodeImage[]): NodeImage[] {
  const observed = { job, nodes: seen, secrets: { state: "none" }, configNamespace: "c", alwaysPullTtlSeconds: 300, spread: 0.5 } as const;
  const next = [...truth];
  for (const action of plan(observed, startMs).actions as unknown as readonly Change<NodeImage>[]) {
    const index = next.findIndex(({ metadata }) => metadata.name === action.on.name);
    const write = (action.steps[0] as WriteStep<NodeImage>).write;
    const known = seen.find(({ metadata }) => metadata.name === action.on.name)!;
    const now = next[index]!;
    const wanted = write(known);
    if (wanted === undefined) continue;
    const again = known.metadata.resourceVersion === now.metadata.resourceVersion ? wanted : write(now);
    if (typeof again !== "object" || !("patch" in again)) continue;
    const patched = applyMergePatch(now, again.body) as NodeImage;
    next[index] = { ...patched, metadata: { ...now.metadata, resourceVersion: String(Number(now.metadata.resourceVersion) + 1) } };
  }
  return next;
}

// Of the two that come after the job, one is the spec's and one the status's, and neither may wait: what tasks are in the spec, and for how
// long, is told by their TTL and their owners; and an entry that is left in the status would be that of the next task with its tag and version.
test("1,000 nodes, 10 at once: a node is written to twice, three times where it takes long, and twice more when its task goes", async () => {
  const env = new FakeEnv({ startMs });
  const world = new World(env);
  const nodes = 1_000;
  const takesLong = (node: string) => node.endsWith("0");
  for (let index = 0; index < nodes; index += 1) addReadyNode(world, `node-${String(index).padStart(4, "0")}`);
  const agents = new Agents(env, world, { pull: (node) => ({ tookMs: takesLong(node) ? 1_900 : 900 }), intervalMs: 500 });
  const house = await startPulling({ env, world });
  const job = addJob(world, "job", { image: "nginx:1", parallelism: 10 });
  let most = 0;
  let flying = 0;
  const begun = new Set<string>();
  onNodeImageWrite(world, () => {
    flying += 1;
    // Counting all nodes at each write would take the test longer than the job.
    if (flying % 25 === 0) most = Math.max(most, inFlight(world, job, "nginx", "1").length);
  });
  const status = () => world.now<ImagePullJob>(imagePullJobs, jobKey("job"))?.status;
  while (status()?.completionTime === undefined && env.monotonicMs() < 3_600_000) await env.advance(1_000);
  expect(status()).toMatchObject({ desired: nodes, succeeded: nodes, failed: 0 });
  expect(most).toBeGreaterThan(5);
  expect(most).toBeLessThanOrEqual(10);
  const managerWrites = () => world.writes().filter(({ kind }) => kind === "NodeImage").length;
  for (const { key, kind } of world.writes()) if (kind === "NodeImage") begun.add(key.name);
  expect(begun.size).toBe(nodes);
  expect(managerWrites()).toBe(nodes);
  expect(agents.writes.size).toBe(nodes);
  for (const [node, writes] of agents.writes) expect(writes).toBe(takesLong(node) ? 2 : 1);
  // Of the job itself: its status, at most four a second while it runs, and its finalizer.
  const seconds = env.monotonicMs() / 1000;
  expect(world.writes().filter(({ kind }) => kind === "ImagePullJob").length).toBeLessThan(seconds * 4 + 10);

  world.drop(imagePullJobs, jobKey("job"));
  await env.advance(20_000);
  await house.rest();
  expect(managerWrites()).toBe(2 * nodes);
  for (const [node, writes] of agents.writes) expect(writes).toBe(takesLong(node) ? 3 : 2);
  expect(world.all<NodeImage>(nodeImages).every(({ spec }) => Object.keys(spec.images ?? {}).length === 0)).toBe(true);
}, 60_000);
