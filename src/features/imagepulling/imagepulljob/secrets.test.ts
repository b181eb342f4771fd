/** Numbers are those of the acceptance scenarios of image pulling. */
import { describe, expect, test } from "bun:test";
import { imagePullJobs } from "../../../api/imagepulljob.ts";
import { type House, World } from "../../../engine/testing/harness.ts";
import { FakeEnv } from "../../../env/fake.ts";
import { secrets } from "../../../kube/kinds.ts";
import type { Secret } from "../../../kube/types.ts";
import { addJob, addReadyNode, jobKey, startPulling } from "../testing/agents.ts";
import { jobOf, nodeOf, say, scene, startMs, tagsIn, told } from "../testing/scene.ts";

const config = "kruise-daemon-config";

describe("pull secrets", () => {
  const source = (world: World, name: string, password = "x") =>
    world.add<Secret>(secrets, {
      metadata: {
        namespace: "default",
        name,
        labels: { a: "b" },
        annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" },
      },
      type: "kubernetes.io/dockerconfigjson",
      data: { ".dockerconfigjson": password },
    });
  const copies = (house: House) => house.world.all<Secret>(secrets, config);
  const references = (house: House) => copies(house).map(({ metadata }) => metadata.annotations?.["imagepulljobs.kruise.io/references"]);

  test("29, 30: copied once, shared, given back, deleted by the last", async () => {
    const house = await scene(["n1"], (world) => {
      source(world, "s1");
      addJob(world, "job", { image: "nginx:1.20", pullSecrets: ["s1"] });
    });
    await house.rest();
    const [copy] = copies(house);
    expect(copy?.metadata.name).toMatch(/^s1-[0-9a-f]{6}$/);
    expect(copy).toMatchObject({
      type: "kubernetes.io/dockerconfigjson",
      data: { ".dockerconfigjson": "x" },
      metadata: { labels: { a: "b" } },
    });
    expect(copy?.metadata.annotations).toEqual({
      "imagepulljobs.kruise.io/references": "default/job",
      "imagepulljobs.kruise.io/source-key": "default/s1",
      "imagepulljobs.kruise.io/mode": "batch",
    });
    expect(nodeOf(house, "n1").spec.images?.["nginx"]?.pullSecrets).toEqual([
      { namespace: config, name: copy?.metadata.name, mode: "batch" },
    ]);

    addJob(house.world, "job2", { image: "other:1", pullSecrets: ["s1"] });
    await house.rest();
    expect(references(house)).toEqual(["default/job,default/job2"]);
    say(house, "n1", { phase: "Succeeded" });
    await house.rest();
    expect(references(house)).toEqual(["default/job2"]);
    house.world.drop(imagePullJobs, jobKey("job2"));
    await house.rest();
    expect([copies(house), jobOf(house, "job2")]).toEqual([[], undefined]);
  });

  test("31: the copy follows its source; what comes late is added to a pull under way", async () => {
    const house = await scene(["n1"], (world) => {
      source(world, "s1");
      addJob(world, "job", { image: "nginx:1.20", pullSecrets: ["s2", "s1"] });
    });
    await house.rest();
    expect(told(house)).toEqual(["n1"]);
    expect(house.runner.heldBy("imagepulljob-controller", jobKey("job")).map(({ code }) => code)).toContain("SecretMissing");
    house.world.edit<Secret>(secrets, { namespace: "default", name: "s1" }, (secret) => {
      secret.data = { ".dockerconfigjson": "y" };
    });
    source(house.world, "s2");
    await house.env.advance(10_000);
    expect(
      copies(house)
        .map(({ data }) => data?.[".dockerconfigjson"])
        .sort(),
    ).toEqual(["x", "y"]);
    expect(nodeOf(house, "n1").spec.images?.["nginx"]?.pullSecrets).toHaveLength(2);
    expect(tagsIn(house, "n1")[0]?.version).toBeUndefined();
  });

  test("copies that OpenKruise made are used, whatever their names", async () => {
    const house = await scene(["n1"], (world) => {
      source(world, "s1");
      const copy = (name: string, jobs: string) =>
        world.add<Secret>(secrets, {
          metadata: {
            namespace: config,
            name,
            annotations: { "imagepulljobs.kruise.io/references": jobs, "imagepulljobs.kruise.io/source-key": "default/s1" },
          },
          data: { ".dockerconfigjson": "x" },
        });
      copy("s1-aaaaaa", "default/other");
      copy("s1-bbbbbb", "default/job");
      addJob(world, "job", { image: "nginx:1.20", pullSecrets: ["s1"] });
    });
    await house.rest();
    expect(nodeOf(house, "n1").spec.images?.["nginx"]?.pullSecrets).toEqual([{ namespace: config, name: "s1-bbbbbb" }]);
    expect(copies(house)).toHaveLength(2);
  });

  test("a copy that cannot be changed is left, and another made", async () => {
    const house = await scene(["n1"], (world) => {
      source(world, "s1", "new");
      world.add<Secret>(secrets, {
        metadata: {
          namespace: config,
          name: "s1-aaaaaa",
          annotations: { "imagepulljobs.kruise.io/references": "a/b", "imagepulljobs.kruise.io/source-key": "default/s1" },
        },
        data: { ".dockerconfigjson": "old" },
        immutable: true,
      } as unknown as Secret);
      addJob(world, "job", { image: "nginx:1.20", pullSecrets: ["s1"] });
    });
    await house.rest();
    expect(
      copies(house)
        .map(({ data }) => data?.[".dockerconfigjson"])
        .sort(),
    ).toEqual(["new", "old"]);
    expect(copies(house).some((copy) => (copy as { immutable?: boolean }).immutable && copy.data?.[".dockerconfigjson"] === "new")).toBe(
      false,
    );
  });

  test("a job that lives where node agents read needs no copies", async () => {
    const house = await scene(["n1"], (world) => {
      world.add<Secret>(secrets, { metadata: { namespace: config, name: "s1" } });
      addJob(world, "job", { image: "nginx:1.20", pullSecrets: ["s1"] }, { namespace: config });
    });
    await house.rest();
    expect(nodeOf(house, "n1").spec.images?.["nginx"]?.pullSecrets).toEqual([{ namespace: config, name: "s1" }]);
    expect(copies(house)).toHaveLength(1);
  });

  test("secrets that may not be read hold the job, and not its end", async () => {
    const house = await scene(["n1"], (world) => {
      world.fault = ({ verb, kind, key }) =>
        kind === "Secret" && verb === "get" && key.name === "s1"
          ? { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "no" }
          : undefined;
      addJob(world, "job", { image: "nginx:1.20", pullSecrets: ["s1"] });
    });
    await house.env.advance(5_000);
    expect(told(house)).toEqual([]);
    expect(house.runner.heldBy("imagepulljob-controller", jobKey("job"))).toMatchObject([
      { code: "WaitingForSecrets", figures: { problem: "reading secret default/s1: no" } },
    ]);
    house.world.drop(imagePullJobs, jobKey("job"));
    await house.env.advance(60_000);
    expect(jobOf(house)).toBeUndefined();
  });

  test("two jobs that claim and give back in the same moment lose nothing", async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const env = new FakeEnv({ startMs, seed });
      const world = new World(env, { latencyMs: () => env.random() * 40 });
      for (const name of ["n1", "n2"]) addReadyNode(world, name);
      source(world, "s1");
      const house = await startPulling({ env, world });
      for (const name of ["a", "b", "c", "d"])
        addJob(world, name, { image: `${name}:1`, pullSecrets: ["s1"], completionPolicy: { type: "Never" } });
      await env.advance(20_000);
      expect(references(house)).toEqual(["default/a,default/b,default/c,default/d"]);
      for (const name of ["a", "c", "d"]) world.drop(imagePullJobs, jobKey(name));
      await env.advance(60_000);
      expect(references(house)).toEqual(["default/b"]);
      world.drop(imagePullJobs, jobKey("b"));
      await env.advance(60_000);
      expect(copies(house)).toEqual([]);
    }
  });
});
