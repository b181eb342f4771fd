/** Numbers are those of the acceptance scenarios of image pulling. */
import { describe, expect, test } from "bun:test";
import { type ImageListPullJob, imageListPullJobs } from "../../../api/imagelistpulljob.ts";
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { type House, World } from "../../../engine/testing/harness.ts";
import { FakeEnv } from "../../../env/fake.ts";
import { Agents, addListJob, addReadyNode, jobKey, startPulling } from "../testing/agents.ts";
import { childName, consistencyOf, templateHash } from "./children.ts";

const startMs = Date.UTC(2025, 0, 1);
const images = ["a:1", "b:1", "c:1"];

async function scene(
  spec: Partial<ImageListPullJob["spec"]>,
  nodes: readonly string[] = ["n1"],
  env = new FakeEnv({ startMs }),
): Promise<House> {
  const world = new World(env);
  for (const name of nodes) addReadyNode(world, name);
  addListJob(world, "list", { images, ...spec });
  return startPulling({ env, world });
}
const listOf = (house: House) => house.world.now<ImageListPullJob>(imageListPullJobs, jobKey("list"));
const children = (house: House) => [...house.world.all<ImagePullJob>(imagePullJobs)].sort((a, b) => (a.spec.image < b.spec.image ? -1 : 1));
const edit = (house: House, change: (spec: ImageListPullJob["spec"]) => void) =>
  house.world.edit<ImageListPullJob>(imageListPullJobs, jobKey("list"), ({ spec }) => change(spec));
const say = (house: House, image: string, status: ImagePullJob["status"]) =>
  house.world.edit<ImagePullJob>(imagePullJobs, jobKey(children(house).find(({ spec }) => spec.image === image)!.metadata.name), (job) => {
    job.status = status;
  });

describe("its jobs", () => {
  test("35: one for each image", async () => {
    const house = await scene({ parallelism: 2 });
    await house.rest();
    const hash = listOf(house)?.metadata.labels?.["controller-revision-hash"];
    expect(hash).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]+$/);
    expect(children(house).map(({ spec }) => spec.image)).toEqual(images);
    for (const { metadata, spec } of children(house)) {
      expect(metadata.name).toMatch(/^list-[a-z0-9]{5}$/);
      expect(metadata.labels).toEqual({ "controller-revision-hash": hash! });
      expect(metadata.ownerReferences).toMatchObject([
        { apiVersion: "apps.kruise.io/v1beta1", kind: "ImageListPullJob", name: "list", controller: true },
      ]);
      expect(spec).toMatchObject({
        parallelism: 2,
        completionPolicy: { type: "Always" },
        pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 },
      });
    }
    const said = house.world.events.filter(({ on }) => on.of.kind === "ImageListPullJob");
    expect(said).toMatchObject([{ type: "Normal", reason: "Successful create ImagePullJob", component: "imagelistpulljob-controller" }]);
    expect(said[0]?.message).toStartWith("created ImagePullJob (3) list-");
  });

  test("37: images come and go", async () => {
    const house = await scene({});
    await house.rest();
    const kept = children(house)[0]?.metadata.uid;
    edit(house, (spec) => {
      spec.images = ["a:1", "c:1", "d:1"];
    });
    await house.rest();
    expect(children(house).map(({ spec }) => spec.image)).toEqual(["a:1", "c:1", "d:1"]);
    expect(children(house)[0]?.metadata.uid).toBe(kept!);
    expect(house.world.events.some(({ reason }) => reason === "Successful delete ImagePullJob")).toBe(true);
  });

  test("38: another template, other jobs", async () => {
    const house = await scene({});
    await house.rest();
    const before = children(house).map(({ metadata }) => metadata.uid);
    edit(house, (spec) => {
      spec.parallelism = 5;
    });
    await house.rest();
    expect(children(house).map(({ spec }) => spec.parallelism)).toEqual([5, 5, 5]);
    expect(children(house).some(({ metadata }) => before.includes(metadata.uid))).toBe(false);
    const hashes = new Set(children(house).map(({ metadata }) => metadata.labels?.["controller-revision-hash"]));
    expect(hashes).toEqual(new Set([listOf(house)?.metadata.labels?.["controller-revision-hash"]]));
  });

  test("jobs with the same template and another program's hash are taken over, not pulled again", async () => {
    const house = await scene({});
    await house.rest();
    const before = children(house).map(({ metadata }) => metadata.uid);
    for (const { metadata } of children(house))
      house.world.edit<ImagePullJob>(imagePullJobs, jobKey(metadata.name), (job) => {
        job.metadata.labels = { "controller-revision-hash": "v2x" };
        job.spec.imagePullPolicy = "IfNotPresent";
      });
    await house.rest();
    expect(children(house).map(({ metadata }) => metadata.uid)).toEqual(before);
    expect(children(house)[0]?.metadata.labels).toEqual(listOf(house)!.metadata.labels!);
  });

  test("while it is being deleted nothing is made anew", async () => {
    const house = await scene({});
    await house.rest();
    house.world.edit<ImageListPullJob>(imageListPullJobs, jobKey("list"), (list) => {
      list.metadata.finalizers = ["foregroundDeletion"];
    });
    house.world.drop(imageListPullJobs, jobKey("list"));
    for (const { metadata } of children(house)) house.world.drop(imagePullJobs, jobKey(metadata.name));
    await house.rest();
    expect(children(house)).toEqual([]);
  });

  test("an answer that gets lost, and a crash after it, make no second job", async () => {
    const env = new FakeEnv({ startMs });
    const world = new World(env, { watchLagMs: 3_000 });
    addReadyNode(world, "n1");
    addListJob(world, "list", { images });
    await env.advance(5_000);
    let lost = 0;
    world.fault = ({ verb, kind }) => (verb === "create" && kind === "ImagePullJob" && lost++ < 2 ? "lost" : undefined);
    const first = await startPulling({ env, world });
    await env.advance(5);
    void first.runner.stop(0);
    const second = await startPulling({ env, world });
    await second.rest();
    expect(children(second).map(({ spec }) => spec.image)).toEqual(images);
  });
});

describe("its status", () => {
  const of = (desired: number, more: Partial<NonNullable<ImagePullJob["status"]>> = {}) => ({
    startTime: "2025-01-01T00:00:00Z",
    desired,
    ...more,
  });

  test("36: one has it everywhere, one failed, one is under way", async () => {
    const house = await scene({}, []);
    await house.env.advance(10);
    house.world.fault = ({ kind, verb }) =>
      kind === "ImagePullJob" && verb === "patch"
        ? { ok: false, why: "denied", code: 403, reason: "", message: "the test speaks for it" }
        : undefined;
    const world = house.world;
    for (const job of children(house))
      world.edit<ImagePullJob>(imagePullJobs, jobKey(job.metadata.name), (each) => {
        each.status = undefined;
      });
    say(house, "a:1", of(2, { succeeded: 2, active: 0, failed: 0 }));
    say(house, "b:1", of(2, { succeeded: 1, active: 0, failed: 1 }));
    say(house, "c:1", of(2, { succeeded: 1, active: 1, failed: 0 }));
    await house.env.advance(2_000);
    const failing = children(house)[1]!.metadata.name;
    expect(listOf(house)?.status).toMatchObject({
      desired: 3,
      active: 1,
      completed: 2,
      succeeded: 1,
      failedImageStatuses: [{ imagePullJob: failing, name: "b:1" }],
    });
    expect(listOf(house)?.status?.failedImageStatuses?.[0]?.message).toContain(`kubectl get imagepulljob ${failing} -n default`);
    expect(listOf(house)?.status?.completionTime).toBeUndefined();
  });

  test("39: completed, and gone after its time, with its jobs", async () => {
    const env = new FakeEnv({ startMs });
    const house = await scene({ completionPolicy: { type: "Always", ttlSecondsAfterFinished: 10 } }, ["n1", "n2"], env);
    new Agents(env, house.world, { pull: () => ({ tookMs: 500 }) });
    await env.advance(8_000);
    expect(listOf(house)?.status).toMatchObject({ desired: 3, completed: 3, succeeded: 3, active: 0 });
    expect(listOf(house)?.status?.completionTime).toBeDefined();
    await env.advance(12_000);
    expect([listOf(house), children(house)]).toEqual([undefined, []]);
  });

  test("type Never never completes", async () => {
    const env = new FakeEnv({ startMs });
    const house = await scene({ completionPolicy: { type: "Never" } }, ["n1"], env);
    new Agents(env, house.world, { pull: () => ({ tookMs: 500 }) });
    await env.advance(20_000);
    expect(listOf(house)?.status).toMatchObject({ desired: 3, completed: 3 });
    expect(listOf(house)?.status?.completionTime).toBeUndefined();
  });
});

test("the hash does not depend on the order of fields", () => {
  expect(templateHash({ a: 1, b: { c: [1, { d: 2, e: 3 }] } })).toBe(templateHash({ b: { c: [1, { e: 3, d: 2 }] }, a: 1 }));
  expect(templateHash({ a: 1 })).not.toBe(templateHash({ a: 2 }));
  const child = { metadata: {}, spec: { image: "a", completionPolicy: {} } } as unknown as ImagePullJob;
  expect(consistencyOf(child, { completionPolicy: { type: "Always" }, pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 } }, "x")).toBe(
    "relabel",
  );
  expect(consistencyOf(child, { completionPolicy: { type: "Never" } }, "x")).toBe("other");
});

test("255 images have 255 names", () => {
  const taken = new Set<string>();
  const list = { metadata: { name: "x".repeat(100), uid: "u" } } as ImageListPullJob;
  for (let index = 0; index < 255; index += 1) expect(childName(list, `app-${index}`, "h", taken)).toHaveLength(63);
  expect(taken.size).toBe(255);
});
