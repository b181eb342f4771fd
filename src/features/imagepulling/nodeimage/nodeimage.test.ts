/** Numbers are those of the acceptance scenarios of image pulling. */
import { describe, expect, test } from "bun:test";
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { type NodeImage, type NodeImageTag, nodeImages } from "../../../api/nodeimage.ts";
import { World } from "../../../engine/testing/harness.ts";
import { FakeEnv } from "../../../env/fake.ts";
import { nodes, secrets } from "../../../kube/kinds.ts";
import { formatTime } from "../../../kube/time.ts";
import type { Node, Secret } from "../../../kube/types.ts";
import { addJob, addNode, addReadyNode, nodeKey, startPulling } from "../testing/agents.ts";

const startMs = Date.UTC(2025, 0, 1);
const at = (secondsAgo: number) => formatTime(startMs - secondsAgo * 1000);

interface Scene {
  readonly tags: readonly Partial<NodeImageTag>[];
  readonly status?: NodeImage["status"];
  readonly pullSecrets?: { namespace: string; name: string; mode?: string }[];
}

async function settled(scene: (world: World) => void, withinMs = 20_000) {
  const env = new FakeEnv({ startMs });
  const world = new World(env);
  scene(world);
  const house = await startPulling({ env, world });
  await env.advance(withinMs);
  return house;
}

function addTasks(
  world: World,
  { tags, status, pullSecrets }: Scene,
  labels: Record<string, string> = { "apps.kruise.io/fake-nodeimage": "true" },
): void {
  world.add<NodeImage>(nodeImages, {
    metadata: { name: "n1", labels },
    spec: {
      images: {
        nginx: {
          tags: tags.map((tag) => ({ tag: "1", createdAt: at(0), pullPolicy: {}, ...tag })),
          ...(pullSecrets ? { pullSecrets } : {}),
        },
      },
    },
    ...(status === undefined ? {} : { status }),
  });
}

const now = (world: World, name = "n1") => world.now<NodeImage>(nodeImages, nodeKey(name));
const owner = (job: Pick<ImagePullJob, "metadata">, uid = job.metadata.uid) => ({
  apiVersion: "apps.kruise.io/v1alpha1",
  kind: "ImagePullJob",
  namespace: "default",
  name: job.metadata.name,
  uid,
});

describe("a NodeImage follows its node", () => {
  test("1: ready for 40 s: it is there, with the node's labels", async () => {
    const { world } = await settled((world) => addNode(world, "n1", { labels: { a: "1" } }, startMs - 40_000));
    expect(now(world)).toMatchObject({ metadata: { labels: { a: "1" } }, spec: {} });
  });
  test("2: ready for 10 s: not before it has been ready for 30 s", async () => {
    const house = await settled((world) => addNode(world, "n1", {}, startMs - 10_000), 19_000);
    expect(now(house.world)).toBeUndefined();
    await house.env.advance(2_000);
    expect(now(house.world)).toBeDefined();
  });
  test("its clock is an hour ahead: not an hour later", async () => {
    const { world } = await settled((world) => addNode(world, "n1", {}, startMs + 3_600_000), 61_000);
    expect(now(world)).toBeDefined();
  });
  test("not ready: none, until it is", async () => {
    const house = await settled((world) => {
      addNode(world, "n1");
      world.edit<Node>(nodes, nodeKey("n1"), (node) => {
        node.status = { conditions: [{ type: "Ready", status: "False", lastTransitionTime: at(100) }] };
      });
    }, 100_000);
    expect(now(house.world)).toBeUndefined();
    house.world.edit<Node>(nodes, nodeKey("n1"), (node) => {
      node.status = { conditions: [{ type: "Ready", status: "True", lastTransitionTime: formatTime(house.env.nowMs()) }] };
    });
    await house.env.advance(31_000);
    expect(now(house.world)).toBeDefined();
  });
  test("3: labels follow; what was added by hand goes", async () => {
    const house = await settled((world) => addReadyNode(world, "n1", { a: "1" }));
    house.world.edit<Node>(nodes, nodeKey("n1"), (node) => {
      node.metadata.labels = { a: "2" };
    });
    house.world.edit<NodeImage>(nodeImages, nodeKey("n1"), (nodeImage) => {
      nodeImage.metadata.labels = { a: "1", mine: "yes" };
    });
    await house.rest();
    expect(now(house.world)?.metadata.labels).toEqual({ a: "2" });
    expect(house.world.writes()).toHaveLength(1);
  });
  test("4: it goes with its node; a fake one stays", async () => {
    const house = await settled((world) => {
      addReadyNode(world, "n1");
      world.add<NodeImage>(nodeImages, { metadata: { name: "fake", labels: { "apps.kruise.io/fake-nodeimage": "true" } }, spec: {} });
      world.add<NodeImage>(nodeImages, { metadata: { name: "orphan" }, spec: {} });
    });
    expect(now(house.world, "orphan")).toBeUndefined();
    house.world.drop(nodes, nodeKey("n1"));
    await house.rest();
    expect([now(house.world), now(house.world, "fake")?.metadata.name]).toEqual([undefined, "fake"]);
  });
  test("5: virtual nodes get none", async () => {
    const { world } = await settled((world) => addNode(world, "n1", { labels: { type: "virtual-kubelet" } }));
    expect(now(world)).toBeUndefined();
  });
  test("without labels on either side, nothing is written", async () => {
    const { world } = await settled((world) => addReadyNode(world, "n1"));
    expect(world.writes()).toEqual([]);
  });
  test("deleted by hand, it comes back", async () => {
    const house = await settled((world) => addReadyNode(world, "n1", { a: "1" }));
    house.world.drop(nodeImages, nodeKey("n1"));
    await house.rest();
    expect(now(house.world)?.metadata.labels).toEqual({ a: "1" });
  });
});

describe("tasks have their time", () => {
  const done = (version: number | undefined, secondsAgo: number): NodeImage["status"] => ({
    desired: 1,
    imageStatuses: { nginx: { tags: [{ tag: "1", phase: "Succeeded", completionTime: at(secondsAgo), ...(version ? { version } : {}) }] } },
  });
  test("8: 61 s after it ended a task with a TTL of 60 s is gone, and its image with it", async () => {
    const { world } = await settled((world) =>
      addTasks(world, { tags: [{ pullPolicy: { ttlSecondsAfterFinished: 60 }, createdAt: at(100) }], status: done(undefined, 61) }),
    );
    expect(now(world)?.spec).toEqual({ images: {} });
  });
  test("9: what ended was another round: it stays", async () => {
    const { world } = await settled((world) =>
      addTasks(world, { tags: [{ pullPolicy: { ttlSecondsAfterFinished: 60 }, createdAt: at(100), version: 2 }], status: done(1, 61) }),
    );
    expect(now(world)?.spec.images?.["nginx"]?.tags).toHaveLength(1);
  });
  test("it is taken away when its time comes", async () => {
    const house = await settled((world) =>
      addTasks(world, { tags: [{ pullPolicy: { ttlSecondsAfterFinished: 60 }, createdAt: at(100) }], status: done(undefined, 30) }),
    );
    expect(now(house.world)?.spec.images?.["nginx"]).toBeDefined();
    await house.env.advance(15_000);
    expect(now(house.world)?.spec.images?.["nginx"]).toBeUndefined();
  });
  test("8: also where the task was written down after its end was", async () => {
    const { world } = await settled((world) =>
      addTasks(world, { tags: [{ pullPolicy: { ttlSecondsAfterFinished: 60 }, createdAt: at(5) }], status: done(undefined, 61) }),
    );
    expect(now(world)?.spec).toEqual({ images: {} });
  });
  test("a node whose clock is an hour behind does not lose a job's task at once", async () => {
    const { world } = await settled((world) => {
      const job = addJob(world, "b", { image: "other:1", selector: { names: ["nobody"] }, completionPolicy: { type: "Never" } });
      const task = { pullPolicy: { ttlSecondsAfterFinished: 60 }, createdAt: at(5), ownerReferences: [owner(job)] };
      addTasks(world, { tags: [task], status: done(undefined, 3600) });
    });
    expect(now(world)?.spec.images?.["nginx"]).toBeDefined();
  });
  test("a task without createdAt is dropped", async () => {
    const { world } = await settled((world) => addTasks(world, { tags: [{ createdAt: undefined } as Partial<NodeImageTag>] }));
    expect(now(world)?.spec).toEqual({ images: {} });
  });
});

describe("tasks have owners", () => {
  test("10: the job that is gone leaves the list; with the last one the task goes", async () => {
    const house = await settled((world) => {
      const b = addJob(world, "b", { image: "other:1", selector: { names: ["nobody"] }, completionPolicy: { type: "Never" } });
      addTasks(world, { tags: [{ ownerReferences: [owner({ metadata: { name: "a", uid: "gone" } } as ImagePullJob), owner(b)] }] });
    });
    expect(now(house.world)?.spec.images?.["nginx"]?.tags[0]?.ownerReferences).toHaveLength(1);
    house.world.drop(imagePullJobs, { namespace: "default", name: "b" });
    await house.rest();
    expect(now(house.world)?.spec).toEqual({ images: {} });
  });
  test("11: the right name and another UID is another job", async () => {
    const { world } = await settled((world) => {
      const a = addJob(world, "a", { image: "other:1", selector: { names: [] } });
      const b = addJob(world, "b", { image: "other:1", selector: { names: [] } });
      addTasks(world, { tags: [{ ownerReferences: [owner(a, "another"), owner(b)] }] });
    });
    expect(now(world)?.spec.images?.["nginx"]?.tags[0]?.ownerReferences?.map(({ name }) => name)).toEqual(["b"]);
  });
  test("12: owners of other kinds are not looked for", async () => {
    const { world } = await settled((world) =>
      addTasks(world, {
        tags: [{ ownerReferences: [{ apiVersion: "apps/v1", kind: "Deployment", namespace: "default", name: "x", uid: "u" }] }],
      }),
    );
    expect(now(world)?.spec.images?.["nginx"]?.tags).toHaveLength(1);
  });
  test("a task that never had an owner stays", async () => {
    const { world } = await settled((world) => addTasks(world, { tags: [{}] }));
    expect(now(world)?.spec.images?.["nginx"]?.tags).toHaveLength(1);
  });
  test("a job that the cache does not show yet is asked for: its task is not taken away", async () => {
    const env = new FakeEnv({ startMs });
    const world = new World(env, { watchLagMs: () => (isLate ? 60_000 : 0) });
    let isLate = false;
    const house = await startPulling({ env, world });
    isLate = true;
    const job = world.add<ImagePullJob>(imagePullJobs, {
      metadata: { namespace: "default", name: "late" },
      spec: { image: "nginx:1", completionPolicy: {}, selector: { names: [] } },
    });
    isLate = false;
    addTasks(world, { tags: [{ ownerReferences: [owner(job)] }] });
    await env.advance(10_000);
    expect(now(house.world)?.spec.images?.["nginx"]?.tags).toHaveLength(1);
    expect(world.calls.filter(({ verb, kind }) => verb === "get" && kind === "ImagePullJob").length).toBeGreaterThan(0);
  });
});

describe("nothing is pending for ever", () => {
  test("13: eleven minutes without a word", async () => {
    const { world } = await settled((world) => {
      const job = addJob(world, "job", { image: "other:1", selector: { names: [] } });
      addTasks(world, { tags: [{ createdAt: at(660), version: 3, ownerReferences: [owner(job)] }] });
    });
    const status = now(world)?.status;
    expect(status).toMatchObject({ desired: 1, failed: 1, succeeded: 0, pulling: 0 });
    expect(status?.imageStatuses?.["nginx"]?.tags).toMatchObject([{ tag: "1", phase: "Failed", version: 3, completionTime: at(0) }]);
    const told = world.events.filter(({ reason, type }) => reason === "PullImageFailed" && type === "Warning");
    expect(told.map(({ on }) => [on.of.kind, on.name]).sort()).toEqual([
      ["ImagePullJob", "job"],
      ["NodeImage", "n1"],
    ]);
    expect(told[0]?.message).toContain("image nginx:1 on node n1");
    expect(told[0]?.component).toBe("nodeimage-controller");
  });
  test("not before ten minutes have passed", async () => {
    const house = await settled((world) => addTasks(world, { tags: [{ createdAt: at(0) }] }), 599_000);
    expect(now(house.world)?.status).toBeUndefined();
    await house.env.advance(5_000);
    expect(now(house.world)?.status?.failed).toBe(1);
  });
  test("14: pulling, twelve minutes after it was asked for within one", async () => {
    const { world } = await settled((world) =>
      addTasks(world, {
        tags: [{ createdAt: at(720), pullPolicy: { activeDeadlineSeconds: 60 } }],
        status: {
          desired: 1,
          pulling: 1,
          imageStatuses: {
            nginx: {
              tags: [
                { tag: "1", phase: "Pulling", startTime: at(719) },
                { tag: "old", phase: "Succeeded" },
              ],
            },
          },
        },
      }),
    );
    expect(now(world)?.status).toMatchObject({ desired: 1, failed: 1, pulling: 0 });
    expect(now(world)?.status?.imageStatuses?.["nginx"]?.tags).toHaveLength(1);
    expect(now(world)?.status?.imageStatuses?.["nginx"]?.tags[0]).toMatchObject({ phase: "Failed", startTime: at(719) });
  });
  test("pulling without a deadline is left alone", async () => {
    const { world } = await settled((world) =>
      addTasks(world, {
        tags: [{ createdAt: at(7200) }],
        status: { desired: 1, imageStatuses: { nginx: { tags: [{ tag: "1", phase: "Pulling", startTime: at(7199) }] } } },
      }),
    );
    expect(world.writes()).toEqual([]);
  });
});

test("15: secrets that are gone leave the list, but for shared copies", async () => {
  const { world } = await settled((world) => {
    world.add<Secret>(secrets, { metadata: { namespace: "kruise-daemon-config", name: "s1" } });
    const namespace = "kruise-daemon-config";
    addTasks(world, {
      tags: [{}],
      pullSecrets: [
        { namespace, name: "s1" },
        { namespace, name: "s2" },
        { namespace, name: "s3", mode: "batch" },
      ],
    });
  });
  expect(now(world)?.spec.images?.["nginx"]?.pullSecrets?.map(({ name }) => name)).toEqual(["s1", "s3"]);
});

test("a write of somebody else in the same moment is not lost", async () => {
  const env = new FakeEnv({ startMs });
  const world = new World(env, { watchLagMs: 500 });
  addTasks(world, { tags: [{ createdAt: undefined } as Partial<NodeImageTag>, { tag: "2" }] });
  let isDone = false;
  world.fault = ({ verb, kind }) => {
    if (verb !== "patch" || kind !== "NodeImage" || isDone) return undefined;
    isDone = true;
    world.edit<NodeImage>(nodeImages, nodeKey("n1"), (nodeImage) => {
      nodeImage.spec.images!["nginx"]!.tags.push({ tag: "3", createdAt: at(0), pullPolicy: {} });
    });
    return undefined;
  };
  await startPulling({ env, world });
  await env.advance(10_000);
  expect(isDone).toBe(true);
  expect(now(world)?.spec.images?.["nginx"]?.tags.map(({ tag }) => tag)).toEqual(["2", "3"]);
});
