import { expect, test } from "bun:test";
import { type NodeImage, nodeImages } from "../../api/nodeimage.ts";
import { contextOf, World } from "../../engine/testing/harness.ts";
import { FakeEnv } from "../../env/fake.ts";
import { explainJob, explainList } from "./explain.ts";
import { addJob, addListJob, addReadyNode, jobKey, nodeKey, pullSettings, startPulling } from "./testing/agents.ts";

async function world() {
  const env = new FakeEnv();
  const world = new World(env);
  for (const name of ["n1", "n2", "n3"]) addReadyNode(world, name);
  const house = await startPulling({ env, world });
  return { house, world, explain: async (name: string) => explainJob(contextOf(env, world, pullSettings()), jobKey(name)) };
}

test("a job under way: who pulls, who waits, who failed and why", async () => {
  const { house, world: of, explain } = await world();
  addJob(of, "job", { image: "nginx:1.20" });
  expect(await explain("job")).toMatchObject({
    state: "moving",
    next: ["set or remove the finalizer of job", "tell node n1 to pull the image"],
  });
  await house.rest();
  of.edit<NodeImage>(nodeImages, nodeKey("n1"), (node) => {
    const tag = { tag: "1.20", phase: "Failed", completionTime: "2025-01-01T00:00:00Z", message: "manifest unknown" };
    node.status = { desired: 1, imageStatuses: { nginx: { tags: [tag] } } };
  });
  await house.rest();
  const said = await explain("job");
  expect(said).toMatchObject({
    state: "held",
    summary: "job: 0 of 3 nodes have nginx:1.20, 1 pulling, 1 failed, job is running, progress 33.3%",
  });
  expect(said?.held.map(({ on, text }) => `${on}: ${text}`).sort()).toEqual([
    "n1: the pull failed: manifest unknown",
    "n2: told to pull, waiting for the node agent to begin",
    "n3: waits for its turn: 1 of 1 nodes (spec.parallelism) are pulling",
  ]);
});

test("a paused job, one that is at its end, one that is not there", async () => {
  const { house, world: of, explain } = await world();
  addJob(of, "paused", { image: "nginx:1", parallelism: 0 });
  addJob(of, "done", { image: "nginx:1", selector: { names: [] } });
  await house.rest();
  expect((await explain("paused"))?.held[0]?.text).toBe("the job is paused: spec.parallelism is 0");
  expect(await explain("done")).toMatchObject({ state: "rest", summary: "done: 0 of 0 nodes have nginx:1, 0 pulling, job has completed" });
  expect(await explain("none")).toBeUndefined();
});

test("a list of images", async () => {
  const { house, world: of } = await world();
  addListJob(of, "list", { images: ["a:1", "b:1"] });
  await house.rest();
  const said = explainList(contextOf(house.env, of, pullSettings()), jobKey("list"));
  expect(said).toMatchObject({ state: "moving", summary: "list: 0 of 2 images are everywhere, 0 completed, 2 active" });
  expect(said?.held[0]?.text).toBe("its ImagePullJob is under way: job is running, progress 0.0%");
});
