/** The puller over a small API server and a runtime in memory, in virtual time. Numbers are those of the acceptance scenarios. */
import { describe, expect, test } from "bun:test";
import { FakeEnv } from "../../env/fake.ts";
import { formatTime } from "../../kube/time.ts";
import { attempt } from "./pull.ts";
import { ask, crash, events, path, Runtime, scene, startMs, statusOf, tagOf, task, writes } from "./testing/scene.ts";

describe("a task", () => {
  test("41: an image that is not there: Pulling, then Succeeded", async () => {
    const world = scene();
    ask(world, { nginx: { tags: [task("1.20")] } });
    world.runtime.answer = () => ({ tookMs: 5_000 });
    await world.start();
    await world.env.advance(1_000);
    expect(tagOf(world, "1.20")).toEqual({ tag: "1.20", phase: "Pulling", startTime: "2025-01-01T00:00:00Z" });
    expect(statusOf(world)).toMatchObject({ desired: 1, pulling: 1, waiting: 0, succeeded: 0, failed: 0 });
    await world.env.advance(10_000);
    expect(tagOf(world, "1.20")).toMatchObject({
      phase: "Succeeded",
      progress: 100,
      imageID: "nginx@sha256:10",
      completionTime: "2025-01-01T00:00:05Z",
    });
    expect(events(world)).toMatchObject([
      {
        type: "Normal",
        reason: "PullImageSucceed",
        involvedObject: { kind: "NodeImage" },
        source: { component: "kruise-daemon-imagepuller" },
      },
    ]);
    expect(writes(world)).toHaveLength(2);
    expect(world.metrics.value({ name: "kruiser_daemon_image_pulls_total" }, { result: "pulled" })).toBe(1);
  });

  test("42: one that is there is not pulled, and told in one write; with Always it is", async () => {
    const world = scene();
    world.runtime.has.set("nginx:1.20", "sha256:x");
    ask(world, { nginx: { tags: [task("1.20")] } });
    await world.start();
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Succeeded", imageID: "nginx@sha256:x" });
    expect([world.runtime.orders.length, writes(world).length]).toEqual([0, 1]);
    ask(world, { nginx: { tags: [task("1.20", { imagePullPolicy: "Always", version: 1 })] } });
    await world.env.advance(3_000);
    expect(world.runtime.orders).toHaveLength(1);
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Succeeded", version: 1 });
  });

  test("43: a tag that is not there: as many attempts as it may have, and the words of the registry", async () => {
    const world = scene();
    world.runtime.answer = () => ({ tookMs: 100, problem: "manifest for nginx:no not found: manifest unknown" });
    const ownerReferences = [{ apiVersion: "apps.kruise.io/v1beta1", kind: "ImagePullJob", namespace: "default", name: "job", uid: "u" }];
    ask(world, { nginx: { tags: [task("no", { pullPolicy: { backoffLimit: 1 }, ownerReferences })] } });
    await world.start();
    await world.env.advance(10_000);
    expect(world.runtime.orders).toHaveLength(2);
    expect(tagOf(world, "no")).toMatchObject({ phase: "Failed", message: "manifest for nginx:no not found: manifest unknown" });
    expect(
      events(world)
        .map(({ type, reason, involvedObject }) => [type, reason, involvedObject.kind])
        .sort(),
    ).toEqual([
      ["Warning", "PullImageFailed", "ImagePullJob"],
      ["Warning", "PullImageFailed", "NodeImage"],
    ]);
  });

  test("44: an attempt takes no longer than it may", async () => {
    const world = scene();
    world.runtime.answer = () => ({ tookMs: 60_000 });
    ask(world, { nginx: { tags: [task("big", { pullPolicy: { timeoutSeconds: 1, backoffLimit: 2 } })] } });
    await world.start();
    await world.env.advance(10_000);
    expect(world.runtime.orders).toHaveLength(3);
    expect(tagOf(world, "big")).toMatchObject({
      phase: "Failed",
      message: "canceled: the pull took too long",
      completionTime: "2025-01-01T00:00:06Z",
    });
  });

  test("the deadline holds for all attempts together", async () => {
    const world = scene();
    world.runtime.answer = () => ({ tookMs: 10_000, problem: "502 Bad Gateway" });
    ask(world, { nginx: { tags: [task("x", { pullPolicy: { timeoutSeconds: 60, backoffLimit: 100, activeDeadlineSeconds: 30 } })] } });
    await world.start();
    await world.env.advance(60_000);
    expect(world.runtime.orders).toHaveLength(3);
    expect(tagOf(world, "x")?.message).toStartWith("exceeds the activeDeadlineSeconds (30)");
    expect(tagOf(world, "x")?.completionTime).toBe("2025-01-01T00:00:30Z");
  });

  test.each([
    [800, 1],
    [1_500, 2],
  ])("a pull of %i ms is told in %i writes", async (tookMs, count) => {
    const world = scene();
    ask(world, { nginx: { tags: [task("1.20")] } });
    world.runtime.answer = () => ({ tookMs });
    await world.start();
    await world.env.advance(2_000);
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Succeeded", startTime: "2025-01-01T00:00:00Z" });
    expect(writes(world).length).toBe(count);
  });

  test("what has just begun keeps nothing from being told", async () => {
    const world = scene();
    world.runtime.answer = ({ image }) => ({ tookMs: image === "a:1" ? 1_200 : 20_000 });
    ask(world, { a: { tags: [task("1")] } });
    await world.start();
    ask(world, { a: { tags: [task("1")] }, b: { tags: [task("1")] } });
    await world.env.advance(900);
    expect([tagOf(world, "1", "a")?.phase, tagOf(world, "1", "b")?.phase]).toEqual(["Succeeded", undefined]);
    await world.env.advance(600);
    expect([tagOf(world, "1", "a")?.phase, tagOf(world, "1", "b")?.phase]).toEqual(["Succeeded", "Pulling"]);
  });

  test("45: two at once, the third waits", async () => {
    const world = scene(["--max-workers-for-pull-image=2"]);
    world.runtime.answer = ({ image }) => ({ tookMs: image === "a:1" ? 4_000 : 20_000 });
    ask(world, { a: { tags: [task("1")] }, b: { tags: [task("1")] }, c: { tags: [task("1")] } });
    await world.start();
    await world.env.advance(1_000);
    expect(["a", "b", "c"].map((image) => tagOf(world, "1", image)?.phase)).toEqual(["Pulling", "Pulling", "Waiting"]);
    expect(statusOf(world)).toMatchObject({ pulling: 2, waiting: 1 });
    await world.env.advance(5_000);
    expect(["a", "b", "c"].map((image) => tagOf(world, "1", image)?.phase)).toEqual(["Succeeded", "Pulling", "Pulling"]);
    await world.env.advance(60_000);
    expect(world.runtime.most).toBe(2);
    expect(statusOf(world)).toMatchObject({ succeeded: 3 });
  });

  test("48: what the runtime is told", async () => {
    const world = scene();
    const digest = `sha256:${"a".repeat(64)}`;
    ask(world, {
      nginx: { tags: [task("1.20"), task(digest)], sandboxConfig: { labels: { a: "b" }, annotations: { c: "d" } } },
      other: { tags: [task("1")] },
    });
    await world.start();
    expect(world.runtime.orders).toEqual([
      {
        image: "nginx:1.20",
        sandboxLabels: { a: "b" },
        sandboxAnnotations: { c: "d", "apps.kruise.io/pulling-image-by": "kruise-daemon" },
      },
      {
        image: `nginx@${digest}`,
        sandboxLabels: { a: "b" },
        sandboxAnnotations: { c: "d", "apps.kruise.io/pulling-image-by": "kruise-daemon" },
      },
      { image: "other:1", sandboxLabels: {}, sandboxAnnotations: { "apps.kruise.io/pulling-image-by": "kruise-daemon" } },
    ]);
  });
});

describe("what is not wanted any more", () => {
  test("46: a task that goes is cancelled, and nobody hears of it", async () => {
    const world = scene();
    world.runtime.answer = () => ({ tookMs: 60_000 });
    ask(world, { nginx: { tags: [task("1.20")] } });
    await world.start();
    await world.env.advance(1_000);
    ask(world, {});
    await world.env.advance(5_000);
    expect([world.runtime.cancelled, world.runtime.pulling, events(world).length]).toEqual([1, 0, 0]);
    expect(statusOf(world)).toEqual({ desired: 0, succeeded: 0, failed: 0, pulling: 0, waiting: 0 });
  });
  test("one that waited for its turn never begins", async () => {
    const world = scene(["--max-workers-for-pull-image=1"]);
    world.runtime.answer = () => ({ tookMs: 5_000 });
    ask(world, { a: { tags: [task("1")] }, b: { tags: [task("1")] } });
    await world.start();
    ask(world, { a: { tags: [task("1")] } });
    await world.env.advance(20_000);
    expect(world.runtime.orders.map(({ image }) => image)).toEqual(["a:1"]);
  });
  // This is why the status is cleaned at once, and not together with later news: entries are known by tag and version alone.
  test("its entry goes at once: who asks anew, by hand and so with the same version, is not told of what was before", async () => {
    const world = scene();
    const asked = { nginx: { tags: [task("1.20", { imagePullPolicy: "Always" })] } };
    ask(world, asked);
    await world.start();
    await world.env.advance(3_000);
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Succeeded" });
    ask(world, {});
    await world.env.advance(1_000);
    expect(statusOf(world)).toEqual({ desired: 0, succeeded: 0, failed: 0, pulling: 0, waiting: 0 });
    const told = writes(world).length;
    world.runtime.answer = () => ({ tookMs: 20_000 });
    ask(world, { nginx: { tags: [task("1.20", { imagePullPolicy: "Always", createdAt: formatTime(world.env.nowMs()) })] } });
    await world.env.advance(900);
    expect([world.runtime.orders.length, tagOf(world, "1.20"), writes(world).length]).toEqual([2, undefined, told]);
    await world.env.advance(5_000);
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Pulling" });
  });

  test("what a controller has given up is given up here as well", async () => {
    const world = scene();
    world.runtime.answer = () => ({ tookMs: 60_000 });
    ask(world, { nginx: { tags: [task("1.20")] } });
    await world.start();
    const status = {
      desired: 1,
      failed: 1,
      imageStatuses: { nginx: { tags: [{ tag: "1.20", phase: "Failed", completionTime: formatTime(startMs + 500), message: "late" }] } },
    };
    world.api.put(path, { ...(world.api.object(path, "n1") as unknown as Record<string, unknown>), metadata: { name: "n1" }, status });
    await world.env.advance(5_000);
    expect(world.runtime.cancelled).toBe(1);
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Failed", message: "late" });
  });
  test("a new round begins anew", async () => {
    const world = scene();
    world.runtime.answer = () => ({ tookMs: 60_000 });
    ask(world, { nginx: { tags: [task("1.20")] } });
    await world.start();
    world.runtime.answer = () => ({ tookMs: 1_000 });
    ask(world, { nginx: { tags: [task("1.20", { version: 1 })] } });
    await world.env.advance(10_000);
    expect([world.runtime.cancelled, world.runtime.orders.length]).toEqual([1, 2]);
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Succeeded", version: 1 });
  });
  test("other terms for the same round count from the next attempt on", async () => {
    const world = scene();
    world.runtime.answer = () => ({ tookMs: 100, problem: "no" });
    ask(world, { nginx: { tags: [task("1.20", { pullPolicy: { backoffLimit: 100 } })] } });
    await world.start();
    ask(world, { nginx: { tags: [task("1.20", { pullPolicy: { backoffLimit: 1 } })] } });
    await world.env.advance(10_000);
    expect(world.runtime.orders.length).toBeLessThanOrEqual(3);
    expect(tagOf(world, "1.20")?.phase).toBe("Failed");
  });
});

describe("a restart", () => {
  test("46: in the middle: what was told stands until there is news", async () => {
    const world = scene();
    world.runtime.answer = () => ({ tookMs: 10_000 });
    ask(world, { nginx: { tags: [task("1.20")] } });
    await world.start();
    await world.env.advance(3_000);
    await crash(world);
    await world.env.advance(3_000);
    expect([tagOf(world, "1.20")?.phase, writes(world).length]).toEqual(["Pulling", 1]);
    await world.env.advance(20_000);
    expect([tagOf(world, "1.20")?.phase, writes(world).length]).toEqual(["Succeeded", 2]);
    expect(tagOf(world, "1.20")?.startTime).toBe("2025-01-01T00:00:00Z");
  });

  test("46: after the end nothing is pulled again", async () => {
    const world = scene();
    ask(world, { nginx: { tags: [task("1.20", { imagePullPolicy: "Always" })] } });
    await world.start();
    await world.env.advance(5_000);
    await crash(world);
    await world.env.advance(5_000);
    expect([world.runtime.orders.length, writes(world).length, events(world).length]).toEqual([1, 1, 1]);
  });
  test("an end that could not be told is told by the next process, and not pulled again", async () => {
    const world = scene();
    ask(world, { nginx: { tags: [task("1.20", { imagePullPolicy: "Always" })] } });
    world.api.intercept = ({ method, path: to }) => (method === "PATCH" && to.includes("/status") ? "drop" : undefined);
    await world.start();
    await world.env.advance(3_000);
    expect(tagOf(world, "1.20")).toBeUndefined();
    await crash(world);
    world.api.intercept = undefined;
    await world.env.advance(60_000);
    expect(world.runtime.orders).toHaveLength(1);
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Succeeded", completionTime: "2025-01-01T00:00:01Z" });
  });
  test("in the middle: it goes on, with the attempts and the time that are left", async () => {
    const world = scene();
    world.runtime.answer = () => ({ tookMs: 100, problem: "no" });
    ask(world, { nginx: { tags: [task("1.20", { pullPolicy: { backoffLimit: 3, activeDeadlineSeconds: 600 } })] } });
    await world.start();
    await world.env.advance(1_000);
    expect(world.runtime.orders).toHaveLength(2);
    await crash(world);
    await world.env.advance(30_000);
    expect(world.runtime.orders).toHaveLength(4);
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Failed", startTime: "2025-01-01T00:00:00Z" });
  });
  test("the same tag asked for later is another round", async () => {
    const world = scene();
    ask(world, { nginx: { tags: [task("1.20", { imagePullPolicy: "Always" })] } });
    await world.start();
    await world.env.advance(5_000);
    await world.puller.stop();
    ask(world, {});
    ask(world, { nginx: { tags: [task("1.20", { imagePullPolicy: "Always", createdAt: formatTime(startMs + 60_000) })] } });
    world.api.put(path, {
      ...(world.api.object(path, "n1") as unknown as Record<string, unknown>),
      metadata: { name: "n1" },
      status: { desired: 0 },
    });
    await crash(world);
    await world.env.advance(5_000);
    expect(world.runtime.orders).toHaveLength(2);
    expect(world.record.all("pull")).toEqual([]);
  });
});

test("many tasks, few writes", async () => {
  const world = scene();
  let at = 0;
  world.runtime.answer = () => {
    at += 370;
    return { tookMs: at };
  };
  ask(world, { nginx: { tags: Array.from({ length: 100 }, (_, index) => task(`v${index}`)) } });
  await world.start();
  await world.env.advance(120_000);
  expect(statusOf(world)).toMatchObject({ desired: 100, succeeded: 100 });
  // A burst of five, then one in two seconds, over 37 seconds.
  expect(writes(world).length).toBeLessThan(5 + 37 / 2 + 3);
});

test("no room: nothing is pulled", async () => {
  const runtime = new Runtime(new FakeEnv());
  const deps = {
    images: runtime,
    credentials: { lookup: async () => ({ ok: true as const, credentials: [] }) },
    headroom: async () => "full",
    qualified: true,
  };
  const spec = task("1");
  const given = { key: "", image: "nginx", tag: "1", version: 0, entry: { tags: [spec] }, spec, nodeImageUid: "" };
  expect(await attempt(deps, given, 1_000, new AbortController().signal)).toEqual({ ok: false, away: false, message: "full" });
  runtime.has.set("docker.io/library/nginx:1", "sha256:x");
  expect(await attempt(deps, given, 1_000, new AbortController().signal)).toMatchObject({ ok: true, how: "present" });
});
