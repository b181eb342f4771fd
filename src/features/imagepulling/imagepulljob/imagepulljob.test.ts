/** Numbers are those of the acceptance scenarios of image pulling. */
import { describe, expect, test } from "bun:test";
import { type CloneSet, cloneSets } from "../../../api/cloneset.ts";
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { type NodeImage, nodeImages } from "../../../api/nodeimage.ts";
import { type House, planOf, World } from "../../../engine/testing/harness.ts";
import { FakeEnv } from "../../../env/fake.ts";
import { pods } from "../../../kube/kinds.ts";
import { formatTime } from "../../../kube/time.ts";
import type { Pod } from "../../../kube/types.ts";
import { Agents, addJob, addReadyNode, inFlight, jobKey, nodeKey, pullSettings, startPulling } from "../testing/agents.ts";
import { jobOf, nodeOf, say, scene, startMs, tagsIn, told } from "../testing/scene.ts";
import { imagePullJobController } from "./controller.ts";

describe("nodes have their turn", () => {
  test("16: the finalizer; 20, 21, 22: one after the other, until all have ended", async () => {
    const house = await scene(["n1", "n2", "n3"], (world) => void addJob(world, "job", { image: "nginx:1.20", parallelism: 1 }));
    await house.rest();
    expect(jobOf(house)?.metadata.finalizers).toEqual(["apps.kruise.io/deletion-protection"]);
    expect(told(house)).toEqual(["n1"]);
    const { uid } = jobOf(house)!.metadata;
    expect(tagsIn(house, "n1")).toMatchObject([
      {
        tag: "1.20",
        createdAt: "2025-01-01T00:00:00Z",
        imagePullPolicy: "IfNotPresent",
        pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 },
        ownerReferences: [{ apiVersion: "apps.kruise.io/v1beta1", kind: "ImagePullJob", namespace: "default", name: "job", uid }],
      },
    ]);
    expect(tagsIn(house, "n1")[0]).not.toHaveProperty("version");
    const ttl = tagsIn(house, "n1")[0]?.pullPolicy?.ttlSecondsAfterFinished ?? 0;
    expect(ttl).toBeGreaterThanOrEqual(600 * 3 + 300);
    expect(ttl).toBeLessThan(600 * 3 + 300 + 300);
    expect(jobOf(house)?.status).toEqual({
      startTime: "2025-01-01T00:00:00Z",
      desired: 3,
      active: 1,
      succeeded: 0,
      failed: 0,
      message: "job is running, progress 0.0%",
    });

    say(house, "n1", { phase: "Succeeded" });
    await house.rest();
    expect(told(house)).toEqual(["n1", "n2"]);
    say(house, "n2", { phase: "Failed", message: "no such tag" });
    await house.rest();
    say(house, "n3", { phase: "Pulling" });
    await house.rest();
    expect(jobOf(house)?.status).toMatchObject({
      active: 1,
      succeeded: 1,
      failed: 1,
      failedNodes: ["n2"],
      message: "job is running, progress 66.7%",
    });

    say(house, "n3", { phase: "Succeeded" });
    await house.rest();
    expect(jobOf(house)?.status).toMatchObject({ active: 0, succeeded: 2, failed: 1, message: "job has completed" });
    expect(jobOf(house)?.status?.completionTime).toBeDefined();
    expect(jobOf(house)?.metadata.finalizers ?? []).toEqual([]);
    expect(told(house)).toEqual(["n1", "n2", "n3"]);
  });

  test("23: five seconds after it has ended it is gone", async () => {
    const house = await scene(
      ["n1"],
      (world) => void addJob(world, "job", { image: "nginx:1.20", completionPolicy: { ttlSecondsAfterFinished: 5 } }),
    );
    await house.rest();
    say(house, "n1", { phase: "Succeeded" });
    await house.env.advance(3_000);
    expect(jobOf(house)?.status?.completionTime).toBeDefined();
    await house.env.advance(3_000);
    expect(jobOf(house)).toBeUndefined();
    await house.rest();
    expect(told(house)).toEqual([]);
  });

  test("a TTL of 0", async () => {
    const house = await scene(
      [],
      (world) => void addJob(world, "job", { image: "nginx:1.20", completionPolicy: { ttlSecondsAfterFinished: 0 } }),
    );
    await house.rest();
    expect(jobOf(house)).toBeUndefined();
  });

  test("24: paused with parallelism 0, going on with 2", async () => {
    const house = await scene(["n1", "n2", "n3"], (world) => void addJob(world, "job", { image: "nginx:1.20", parallelism: 0 }));
    await house.rest();
    expect(told(house)).toEqual([]);
    expect(house.runner.heldBy("imagepulljob-controller", jobKey("job")).map(({ code }) => code)).toEqual(["Paused", "Paused", "Paused"]);
    house.world.edit<ImagePullJob>(imagePullJobs, jobKey("job"), (job) => {
      job.spec.parallelism = "2";
    });
    await house.rest();
    expect(told(house)).toEqual(["n1", "n2"]);
    const held = house.runner.heldBy("imagepulljob-controller", jobKey("job"));
    expect(held.find(({ on }) => on === "n3")).toMatchObject({ code: "HeldByParallelism", figures: { used: 2, max: 2 } });
  });

  test("25: the deadline", async () => {
    const house = await scene(
      ["n2", "n1"],
      (world) =>
        void addJob(world, "job", {
          image: "nginx:1.20",
          pullPolicy: { timeoutSeconds: 30 },
          completionPolicy: { activeDeadlineSeconds: 60 },
        }),
    );
    await house.env.advance(59_000);
    expect(jobOf(house)?.status?.completionTime).toBeUndefined();
    await house.env.advance(3_000);
    expect(jobOf(house)?.status).toMatchObject({ desired: 2, failed: 2, active: 0, failedNodes: ["n1", "n2"] });
    expect(jobOf(house)?.status?.message).toContain("exceeds activeDeadlineSeconds (60)");
    expect(told(house)).toEqual(["n1"]);
  });

  test("26: a job of type Never goes on for new nodes", async () => {
    const house = await scene(["n1"], (world) => void addJob(world, "job", { image: "nginx:1.20", completionPolicy: { type: "Never" } }));
    await house.rest();
    expect(tagsIn(house, "n1")[0]?.pullPolicy).toMatchObject({ activeDeadlineSeconds: 1800 });
    const ttl = tagsIn(house, "n1")[0]?.pullPolicy?.ttlSecondsAfterFinished ?? 0;
    expect(Math.abs(ttl - 86_400)).toBeLessThanOrEqual(600);
    say(house, "n1", { phase: "Succeeded" });
    await house.rest();
    expect(jobOf(house)?.status).toMatchObject({ succeeded: 1, message: "job is running, progress 100.0%" });
    expect(jobOf(house)?.status?.completionTime).toBeUndefined();
    addReadyNode(house.world, "n2");
    await house.rest();
    expect(told(house)).toEqual(["n1", "n2"]);
  });

  test("26: and after about a day it pulls anew", async () => {
    const house = await scene(["n1"], (world) => void addJob(world, "job", { image: "nginx:1.20", completionPolicy: { type: "Never" } }));
    await house.rest();
    say(house, "n1", { phase: "Succeeded" });
    await house.env.advance(90_000_000);
    expect(tagsIn(house, "n1")).toMatchObject([{ tag: "1.20", version: 1 }]);
  });

  test("27: nothing to do is done at once", async () => {
    const house = await scene(["n1"], (world) => void addJob(world, "job", { image: "nginx:1.20", selector: { matchLabels: { a: "b" } } }));
    await house.rest();
    expect(jobOf(house)?.status).toMatchObject({ desired: 0, active: 0, succeeded: 0, failed: 0, message: "job has completed" });
  });

  test("28: a task of another job begins anew, with two owners and its own terms", async () => {
    const house = await scene(["n1", "n2"], (world) => {
      const other = addJob(world, "other", { image: "nginx:1.21", selector: { names: [] } });
      const reference = {
        apiVersion: "apps.kruise.io/v1beta1",
        kind: "ImagePullJob",
        namespace: "default",
        name: "other",
        uid: other.metadata.uid,
      };
      const task = {
        tag: "1.20",
        createdAt: formatTime(startMs - 5000),
        version: 3,
        pullPolicy: { timeoutSeconds: 7, ttlSecondsAfterFinished: 9 },
      };
      world.edit<NodeImage>(nodeImages, nodeKey("n1"), (node) => {
        node.spec = { images: { nginx: { tags: [{ ...task, ownerReferences: [reference] }] } } };
      });
      world.edit<NodeImage>(nodeImages, nodeKey("n2"), (node) => {
        node.status = { desired: 0, imageStatuses: { nginx: { tags: [{ tag: "1.20", phase: "Succeeded", version: 5 }] } } };
      });
      addJob(world, "job", { image: "nginx:1.20", parallelism: 2 });
    });
    await house.rest();
    expect(tagsIn(house, "n1")).toMatchObject([
      {
        version: 4,
        createdAt: formatTime(startMs),
        pullPolicy: { timeoutSeconds: 7, ttlSecondsAfterFinished: 9 },
        imagePullPolicy: "IfNotPresent",
      },
    ]);
    expect(tagsIn(house, "n1")[0]?.ownerReferences?.map(({ name }) => name)).toEqual(["other", "job"]);
    expect(tagsIn(house, "n2")).toMatchObject([{ version: 6 }]);
  });

  test("33: a job that is deleted leaves nothing behind", async () => {
    const house = await scene(["n1"], (world) => void addJob(world, "job", { image: "nginx:1.20" }));
    await house.rest();
    say(house, "n1", { phase: "Pulling" });
    await house.rest();
    house.world.drop(imagePullJobs, jobKey("job"));
    await house.rest();
    expect([jobOf(house), told(house)]).toEqual([undefined, []]);
  });

  test("a node that leaves is not waited for", async () => {
    const house = await scene(["n1", "n2"], (world) => void addJob(world, "job", { image: "nginx:1.20", parallelism: 2 }));
    await house.rest();
    say(house, "n1", { phase: "Succeeded" });
    house.world.drop(nodeImages, nodeKey("n2"));
    await house.rest();
    expect(jobOf(house)?.status).toMatchObject({ desired: 1, succeeded: 1, message: "job has completed" });
  });
});

describe("which nodes", () => {
  const labels = (value: string) => ({ zone: value });
  test("by label, by name, and all of them by an empty selector", async () => {
    const house = await scene([], (world) => {
      addReadyNode(world, "a", labels("x"));
      addReadyNode(world, "b", labels("y"));
      addJob(world, "labels", { image: "one:1", parallelism: 9, selector: { matchLabels: labels("y") } });
      addJob(world, "names", { image: "two:1", parallelism: 9, selector: { names: ["b", "gone", "a"] } });
      addJob(world, "empty", { image: "three:1", parallelism: 9, selector: {} });
    });
    await house.rest();
    expect([told(house, "one"), told(house, "two"), told(house, "three")]).toEqual([["b"], ["a", "b"], ["a", "b"]]);
  });

  test("a node that gets the label gets the image", async () => {
    const house = await scene(["a"], (world) => {
      addReadyNode(world, "b", labels("y"));
      addJob(world, "job", { image: "nginx:1.20", parallelism: 9, selector: { matchLabels: labels("y") } });
    });
    await house.rest();
    house.world.edit(nodeImages, nodeKey("a"), (node) => {
      node.metadata.labels = labels("y");
    });
    // Before nodeimage-controller takes it back, as the node does not have it.
    await house.env.advance(20);
    expect(told(house)).toEqual(["a", "b"]);
  });

  const podOn = (node: string | undefined, name: string, more: Partial<Pod["metadata"]> = {}, phase = "Running"): Pod =>
    ({
      metadata: { namespace: "default", name, labels: { app: "foo" }, ...more },
      spec: { containers: [], ...(node === undefined ? {} : { nodeName: node }) },
      status: { phase },
    }) as unknown as Pod;

  test("32: where the pods run", async () => {
    const house = await scene(["n1", "n2", "n3", "n4"], (world) => {
      world.add<Pod>(pods, podOn("n1", "a"));
      world.add<Pod>(pods, podOn("n2", "b", { namespace: "elsewhere" }));
      world.add<Pod>(pods, podOn("n3", "c", {}, "Succeeded"));
      world.add<Pod>(pods, podOn(undefined, "d"));
      addJob(world, "job", { image: "nginx:1.20", parallelism: 9, podSelector: { matchLabels: { app: "foo" } } });
    });
    await house.rest();
    expect(jobOf(house)?.status?.desired).toBe(1);
    house.world.edit<Pod>(pods, { namespace: "default", name: "d" }, (pod) => {
      pod.spec.nodeName = "n4";
    });
    await house.rest();
    expect(told(house)).toEqual(["n1", "n4"]);
    house.world.edit<Pod>(pods, { namespace: "default", name: "d" }, (pod) => {
      pod.status = { phase: "Succeeded" };
    });
    await house.rest();
    expect(jobOf(house)?.status?.desired).toBe(1);
  });

  test("in the order in which their CloneSet updates the pods", async () => {
    const house = await scene(["n1", "n2", "n3"], (world) => {
      const owner = world.add<CloneSet>(cloneSets, {
        metadata: { namespace: "default", name: "web" },
        spec: {
          selector: { matchLabels: { app: "foo" } },
          template: { spec: { containers: [] } },
          updateStrategy: {
            rollingUpdate: { priorityStrategy: { weightPriority: [{ weight: 9, matchSelector: { matchLabels: { first: "yes" } } }] } },
          },
        },
      });
      world.add<Pod>(pods, podOn("n1", "a"));
      world.add<Pod>(pods, podOn("n2", "b"));
      world.add<Pod>(pods, podOn("n3", "c", { labels: { app: "foo", first: "yes" } }));
      const ownerReferences = [
        { apiVersion: "apps.kruise.io/v1alpha1", kind: "CloneSet", name: "web", uid: owner.metadata.uid, controller: true },
      ];
      addJob(world, "job", { image: "nginx:1.20", podSelector: { matchLabels: { app: "foo" } } }, { ownerReferences });
    });
    await house.rest();
    expect(told(house)).toEqual(["n3"]);
  });

  test("34: another tag of the image is none of its business", async () => {
    const house = await scene(["n1"], (world) => void addJob(world, "job", { image: "nginx:1.20" }));
    await house.rest();
    const before = house.metrics.value(
      { name: "controller_runtime_reconcile_total" },
      { controller: "imagepulljob-controller", result: "success" },
    );
    for (let index = 0; index < 10; index += 1) {
      say(house, "n1", { tag: "1.21", progress: index });
      await house.env.advance(1000);
    }
    const after = house.metrics.value(
      { name: "controller_runtime_reconcile_total" },
      { controller: "imagepulljob-controller", result: "success" },
    );
    expect(after - before).toBe(0);
    say(house, "n1", { tag: "1.20", phase: "Succeeded" });
    await house.rest();
    expect(jobOf(house)?.status?.succeeded).toBe(1);
  });
});

describe("a change of the job reaches what has begun", () => {
  async function running(): Promise<House> {
    const house = await scene(["n1", "n2"], (world) => void addJob(world, "job", { image: "nginx:1.20", parallelism: 1 }));
    await house.rest();
    return house;
  }
  const edit = (house: House, change: (job: ImagePullJob) => void) => house.world.edit<ImagePullJob>(imagePullJobs, jobKey("job"), change);

  test("terms and sandbox of a pull under way, in place", async () => {
    const house = await running();
    edit(house, (job) => {
      job.spec.pullPolicy = { timeoutSeconds: 1200, backoffLimit: 9 };
      job.spec.imagePullPolicy = "Always";
      job.spec.sandboxConfig = { labels: { a: "b" } };
    });
    await house.rest();
    expect(tagsIn(house, "n1")).toMatchObject([{ imagePullPolicy: "Always", pullPolicy: { timeoutSeconds: 1200, backoffLimit: 9 } }]);
    expect(tagsIn(house, "n1")[0]?.version).toBeUndefined();
    expect(nodeOf(house, "n1").spec.images?.["nginx"]?.sandboxConfig).toEqual({ labels: { a: "b" } });
    expect(told(house)).toEqual(["n1"]);
  });
  test("a round that has failed begins anew", async () => {
    const house = await running();
    say(house, "n1", { phase: "Failed" });
    await house.rest();
    expect(told(house)).toEqual(["n1", "n2"]);
    edit(house, (job) => {
      job.spec.pullPolicy = { timeoutSeconds: 1200, backoffLimit: 3 };
    });
    await house.rest();
    // n2 has its turn: parallelism holds for those that try again as well.
    expect(tagsIn(house, "n1")[0]?.version).toBeUndefined();
    say(house, "n2", { phase: "Succeeded" });
    await house.rest();
    expect(tagsIn(house, "n1")).toMatchObject([{ version: 1, pullPolicy: { timeoutSeconds: 1200 } }]);
  });
  test("what another job wants as well stays as it is", async () => {
    const house = await running();
    addJob(house.world, "second", { image: "nginx:1.20", selector: { names: ["n1"] } });
    await house.rest();
    expect(tagsIn(house, "n1")).toMatchObject([{ version: 1 }]);
    edit(house, (job) => {
      job.spec.pullPolicy = { timeoutSeconds: 1200, backoffLimit: 3 };
    });
    await house.rest();
    expect(tagsIn(house, "n1")[0]?.pullPolicy?.timeoutSeconds).toBe(600);
  });
  test("two jobs with different sandboxes for two tags of one image do not fight", async () => {
    const house = await scene(["n1"], (world) => {
      addJob(world, "a", { image: "nginx:1", completionPolicy: { type: "Never" }, sandboxConfig: { labels: { of: "a" } } });
      addJob(world, "b", { image: "nginx:2", completionPolicy: { type: "Never" }, sandboxConfig: { labels: { of: "b" } } });
    });
    await house.rest();
    expect(tagsIn(house, "n1").map(({ tag }) => tag)).toEqual(["1", "2"]);
    expect(house.world.writes().filter(({ kind, key }) => kind === "NodeImage" && key.name === "n1").length).toBeLessThanOrEqual(3);
  });
});

test("what the server refuses is told", async () => {
  const house = await scene(["n1", "n2"], (world) => {
    world.fault = ({ verb, kind, key }) =>
      verb === "patch" && kind === "NodeImage" && key.name === "n1"
        ? { ok: false, why: "denied", code: 400, reason: "BadRequest", message: "spec.images: Too many: 257" }
        : undefined;
    addJob(world, "job", { image: "nginx:1.20", parallelism: 2 });
  });
  await house.env.advance(5_000);
  expect(told(house)).toEqual(["n2"]);
  const said = house.world.events.find(({ reason }) => reason === "FailedUpdateNodeImage");
  expect(said).toMatchObject({ type: "Warning", message: "failed to tell node n1: spec.images: Too many: 257", on: { name: "job" } });
});

test("one plan says what would happen", async () => {
  const env = new FakeEnv({ startMs });
  const world = new World(env);
  addReadyNode(world, "n1");
  addJob(world, "job", { image: "nginx:1.20" });
  const plan = await planOf(imagePullJobController, world, jobKey("job"), { env, settings: pullSettings() });
  expect(plan?.actions.map(({ id }) => id)).toEqual(["finalizer", "node/n1"]);
});

test("with agents: a job over ten nodes, one of which cannot", async () => {
  const env = new FakeEnv({ startMs });
  const world = new World(env);
  for (let index = 0; index < 10; index += 1) addReadyNode(world, `n${index}`);
  new Agents(env, world, { pull: (node) => ({ tookMs: 2_000, ...(node === "n7" ? { failed: "manifest unknown" } : {}) }) });
  const house = await startPulling({ env, world });
  const job = addJob(world, "job", { image: "nginx:1.20", parallelism: 3 });
  let most = 0;
  for (let index = 0; index < 300 && !jobOf(house)?.status?.completionTime; index += 1) {
    await env.advance(100);
    most = Math.max(most, inFlight(world, job, "nginx", "1.20").length);
  }
  expect(most).toBe(3);
  expect(jobOf(house)?.status).toMatchObject({ desired: 10, succeeded: 9, failed: 1, failedNodes: ["n7"], message: "job has completed" });
});
