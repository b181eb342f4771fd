/** What the puller makes of runtimes, API servers and credentials that fail it. Numbers are those of the acceptance scenarios. */
import { describe, expect, test } from "bun:test";
import { ask, config, events, path, type Scene, scene, secretsPath, statusOf, tagOf, task } from "./testing/scene.ts";

describe("when something is away", () => {
  test("the runtime: waiting for it is no attempt", async () => {
    const world = scene();
    world.runtime.isAway = true;
    ask(world, { nginx: { tags: [task("1.20", { pullPolicy: { backoffLimit: 0 } })] } });
    await world.start();
    await world.env.advance(60_000);
    expect(tagOf(world, "1.20")?.phase).toBe("Pulling");
    world.runtime.isAway = false;
    await world.env.advance(10_000);
    expect(tagOf(world, "1.20")?.phase).toBe("Succeeded");
  });
  test("the runtime, for ever: it fails, and says why", async () => {
    const world = scene();
    world.runtime.isAway = true;
    ask(world, { nginx: { tags: [task("1.20", { pullPolicy: { backoffLimit: 1 } })] } });
    await world.start();
    await world.env.advance(300_000);
    expect(tagOf(world, "1.20")).toMatchObject({ phase: "Failed", message: "cannot connect to the runtime: ENOENT" });
  });
  test("the API server, for a minute: the secret is waited for, the end is told afterwards", async () => {
    const world = scene();
    world.api.put(secretsPath, { metadata: { namespace: config, name: "s" }, type: "kubernetes.io/dockercfg", data: {} });
    await world.start();
    ask(world, { nginx: { tags: [task("1.20")], pullSecrets: [{ namespace: config, name: "s" }] } });
    world.api.intercept = ({ path: to }) => (to.includes("watch=") ? undefined : "drop");
    await world.env.advance(60_000);
    expect([tagOf(world, "1.20"), world.runtime.orders.length]).toEqual([undefined, 0]);
    world.api.intercept = undefined;
    await world.env.advance(60_000);
    expect(tagOf(world, "1.20")?.phase).toBe("Succeeded");
  });
  test("somebody else wrote in the same moment: nothing of it is lost", async () => {
    const world = scene();
    ask(world, { nginx: { tags: [task("1.20")] } });
    let isDone = false;
    world.api.intercept = ({ method, path: to }) => {
      if (method !== "PATCH" || !to.includes("/status") || isDone) return undefined;
      isDone = true;
      ask(world, { nginx: { tags: [task("1.20"), task("1.21")] } });
      return undefined;
    };
    await world.start();
    await world.env.advance(20_000);
    expect(statusOf(world)).toMatchObject({ desired: 2, succeeded: 2 });
  });
});

describe("credentials", () => {
  const password = "hunter22-very-secret";
  const auths = (username: string, of = "r.test") => ({
    ".dockerconfigjson": Buffer.from(JSON.stringify({ auths: { [of]: { username, password } } })).toString("base64"),
  });
  const put = ({ api }: Scene, name: string, data: object, type = "kubernetes.io/dockerconfigjson") =>
    api.put(secretsPath, { metadata: { namespace: config, name }, type, data });
  const refs = (...names: string[]) => names.map((name) => ({ namespace: config, name }));
  const image = "r.test/app";

  test("47: of a secret; an Opaque one says nothing", async () => {
    const world = scene();
    put(world, "s", auths("me"));
    put(world, "opaque", auths("you"), "Opaque");
    ask(world, {
      [image]: { tags: [task("1")], pullSecrets: refs("s", "gone") },
      "r.test/other": { tags: [task("1")], pullSecrets: refs("opaque") },
    });
    await world.start();
    const orders = [...world.runtime.orders].sort((a, b) => (a.image < b.image ? -1 : 1));
    expect(orders.map(({ image: of, auth }) => [of, auth])).toEqual([
      ["r.test/app:1", { username: "me", password }],
      ["r.test/other:1", undefined],
    ]);
  });
  test("each in turn, nobody anonymous, and all that was said", async () => {
    const world = scene();
    put(world, "a", auths("a"));
    put(world, "b", auths("b"));
    world.runtime.answer = ({ auth }) => ({ tookMs: 10, problem: `401 for ${auth?.username}` });
    ask(world, { [image]: { tags: [task("1", { pullPolicy: { backoffLimit: 0 } })], pullSecrets: refs("a", "b") } });
    await world.start();
    await world.env.advance(3_000);
    expect(world.runtime.orders.map(({ auth }) => auth?.username)).toEqual(["a", "b"]);
    expect(tagOf(world, "1", image)?.message).toBe("401 for a; 401 for b");
  });
  test("a secret that was changed is used for the next attempt", async () => {
    const world = scene();
    put(world, "s", auths("old"));
    world.runtime.answer = ({ auth }) => ({ tookMs: 10, ...(auth?.username === "old" ? { problem: "401" } : {}) });
    ask(world, { [image]: { tags: [task("1", { pullPolicy: { backoffLimit: 9 } })], pullSecrets: refs("s") } });
    await world.start();
    put(world, "s", auths("new"));
    await world.env.advance(40_000);
    expect(tagOf(world, "1", image)?.phase).toBe("Succeeded");
  });
  test("a secret that cannot be read as what it says it is fails the attempt", async () => {
    const world = scene();
    put(world, "s", { ".dockerconfigjson": Buffer.from("{").toString("base64") });
    ask(world, { [image]: { tags: [task("1", { pullPolicy: { backoffLimit: 0 } })], pullSecrets: refs("s") } });
    await world.start();
    await world.env.advance(3_000);
    expect(tagOf(world, "1", image)?.message).toBe(`pull secret ${config}/s: .dockerconfigjson cannot be read: it is not JSON`);
  });
  test("they go to the runtime and nowhere else", async () => {
    const world = scene();
    put(world, "s", auths("me"));
    world.runtime.answer = () => ({
      tookMs: 10,
      problem: `Get "https://me:${password}@r.test/v2/": denied; tried ${Buffer.from(`me:${password}`).toString("base64")}`,
    });
    ask(world, { [image]: { tags: [task("1", { pullPolicy: { backoffLimit: 2 } })], pullSecrets: refs("s") } });
    await world.start();
    await world.env.advance(30_000);
    expect(tagOf(world, "1", image)?.phase).toBe("Failed");
    const seen = JSON.stringify([world.api.requests, world.api.all(path), events(world), world.env.lines, world.record.all("pull")]);
    expect(seen).toContain("denied");
    for (const secret of [password, Buffer.from(`me:${password}`).toString("base64")]) expect(seen).not.toContain(secret);
  });
});
