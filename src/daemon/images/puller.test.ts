/** The puller over a small API server and a runtime in memory, in virtual time. Numbers are those of the acceptance scenarios. */
import { describe, expect, test } from "bun:test";
import type { NodeImage, NodeImageImage, NodeImageTag, NodeImageTagStatus } from "../../api/nodeimage.ts";
import { nodeImages } from "../../api/nodeimage.ts";
import { MemoryMetrics } from "../../engine/metrics.ts";
import { sleep } from "../../env/env.ts";
import { FakeEnv } from "../../env/fake.ts";
import { EventRecorder } from "../../kube/events.ts";
import { anonymousCredentials, createKube } from "../../kube/kube.ts";
import { FakeApi } from "../../kube/testing/fake-api.ts";
import { formatTime } from "../../kube/time.ts";
import type { ImageService, PullOrder } from "../cri/client.ts";
import type { Called, CallOptions } from "../cri/grpc.ts";
import type { Frame } from "../frame.ts";
import { daemonOptions } from "../options.ts";
import { DaemonRecord } from "../record.ts";
import { watchedOn } from "../watched.ts";
import { Credentials } from "./credentials/index.ts";
import { Keyring } from "./credentials/keyring.ts";
import { Secrets } from "./credentials/secrets.ts";
import { Puller } from "./index.ts";
import { attempt } from "./pull.ts";

const path = "/apis/apps.kruise.io/v1beta1/nodeimages";
const secretsPath = "/api/v1/secrets";
const startMs = Date.UTC(2025, 0, 1);
const config = "kruise-daemon-config";

/** A runtime: what it has, what it was asked, and how it answers. */
class Runtime implements ImageService {
  readonly has = new Map<string, string>();
  readonly orders: PullOrder[] = [];
  pulling = 0;
  most = 0;
  cancelled = 0;
  isAway = false;
  /** ms, and what goes wrong. */
  answer: (order: PullOrder) => { readonly tookMs: number; readonly problem?: string } = () => ({ tookMs: 1_000 });

  constructor(private readonly env: FakeEnv) {}

  #away(): Called<never> | undefined {
    return this.isAway ? { ok: false, code: 14, message: "cannot connect to the runtime: ENOENT" } : undefined;
  }
  async imageFsInfo(): Promise<Called<[]>> {
    return this.#away() ?? { ok: true, value: [] };
  }
  async listImages(): Promise<Called<[]>> {
    return this.#away() ?? { ok: true, value: [] };
  }
  async imageStatus(image: string): ReturnType<ImageService["imageStatus"]> {
    const id = this.has.get(image);
    return (
      this.#away() ?? { ok: true, value: id === undefined ? undefined : { id, repoTags: [image], repoDigests: [], size: 1, pinned: false } }
    );
  }
  async pullImage(order: PullOrder, { deadlineMs = Number.POSITIVE_INFINITY, signal }: CallOptions = {}): Promise<Called<string>> {
    const away = this.#away();
    if (away !== undefined) return away;
    this.orders.push(order);
    const { tookMs, problem } = this.answer(order);
    this.pulling += 1;
    this.most = Math.max(this.most, this.pulling);
    const over = AbortSignal.any([this.env.stopped, ...(signal ? [signal] : [])]);
    await sleep(this.env, Math.min(tookMs, deadlineMs), over);
    this.pulling -= 1;
    if (over.aborted) {
      this.cancelled += 1;
      return { ok: false, code: 1, message: "the call was cancelled" };
    }
    if (tookMs > deadlineMs) return { ok: false, code: 4, message: "no answer" };
    if (problem !== undefined) return { ok: false, code: 2, message: problem };
    this.has.set(order.image, `sha256:${order.image.length}`);
    return { ok: true, value: "ref" };
  }
}

interface Scene {
  readonly env: FakeEnv;
  readonly api: FakeApi;
  readonly runtime: Runtime;
  readonly record: DaemonRecord;
  readonly metrics: MemoryMetrics;
  puller: Puller;
  start(): Promise<void>;
}

function scene(flags: readonly string[] = [], env = new FakeEnv({ startMs })): Scene {
  const api = new FakeApi(path, secretsPath, "/api/v1/events");
  const runtime = new Runtime(env);
  const record = new DaemonRecord(env);
  const metrics = new MemoryMetrics();
  const parsed = daemonOptions(["--mode=daemon", ...flags], { NODE_NAME: "n1" });
  if (!parsed.ok) throw new Error(parsed.message);
  const build = (world: FakeEnv): Puller => {
    const kube = createKube(world, anonymousCredentials(), { userAgent: "kruise-daemon", fetch: api.fetch });
    const watched = watchedOn("n1", false).find(({ of }) => of === nodeImages);
    kube.cache.ensure(nodeImages, watched?.scope);
    const client = kube.client.as("kruise-daemon/kruise-daemon-imagepuller");
    const events = EventRecorder.create(world, kube.client, "kruise-daemon", "n1");
    const frame = { env: world, options: parsed.options, kube, events, metrics, record } as unknown as Frame;
    const credentials = new Credentials({
      secrets: new Secrets(world, client),
      files: { keyring: () => new Keyring() },
      plugins: { lookup: async () => [] },
    });
    return new Puller(frame, client, { images: runtime, credentials, headroom: async () => undefined, qualified: false });
  };
  const self: Scene = {
    env,
    api,
    runtime,
    record,
    metrics,
    puller: build(env),
    async start() {
      self.puller.start();
      await env.advance(1_000);
    },
  };
  Object.assign(self, { build });
  return self;
}

/** What the process that comes after a crash is: a new puller over the same record. */
async function crash(of: Scene): Promise<void> {
  await of.puller.stop();
  of.puller = (of as Scene & { build(env: FakeEnv): Puller }).build(of.env);
  await of.start();
}

const task = (tag: string, more: Partial<NodeImageTag> = {}): NodeImageTag => ({
  tag,
  createdAt: formatTime(startMs),
  pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 },
  imagePullPolicy: "IfNotPresent",
  ...more,
});
function ask({ api }: Scene, images: Record<string, Omit<NodeImageImage, "tags"> & { tags: NodeImageTag[] }>): void {
  const known = api.object(path, "n1") as NodeImage | undefined;
  api.put(path, { ...(known as unknown as Record<string, unknown>), metadata: known?.metadata ?? { name: "n1" }, spec: { images } });
}
const statusOf = ({ api }: Scene) => (api.object(path, "n1") as NodeImage | undefined)?.status;
const tagOf = (of: Scene, tag: string, image = "nginx"): NodeImageTagStatus | undefined =>
  statusOf(of)?.imageStatuses?.[image]?.tags.find((each) => each.tag === tag);
const writes = ({ api }: Scene) => api.requests.filter(({ method, path: to }) => method === "PATCH" && to.startsWith(`${path}/n1/status`));
const events = ({ api }: Scene) =>
  api.all("/api/v1/events").map(
    (event) =>
      event as unknown as {
        type: string;
        reason: string;
        message: string;
        involvedObject: { kind: string };
        source: { component: string };
      },
  );

describe("a task", () => {
  test("41: an image that is not there: Pulling, then Succeeded", async () => {
    const world = scene();
    ask(world, { nginx: { tags: [task("1.20")] } });
    world.runtime.answer = () => ({ tookMs: 5_000 });
    await world.start();
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

  test("45: two at once, the third waits", async () => {
    const world = scene(["--max-workers-for-pull-image=2"]);
    world.runtime.answer = ({ image }) => ({ tookMs: image === "a:1" ? 4_000 : 20_000 });
    ask(world, { a: { tags: [task("1")] }, b: { tags: [task("1")] }, c: { tags: [task("1")] } });
    await world.start();
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
  test("46: after the end nothing is pulled again", async () => {
    const world = scene();
    ask(world, { nginx: { tags: [task("1.20", { imagePullPolicy: "Always" })] } });
    await world.start();
    await world.env.advance(5_000);
    await crash(world);
    await world.env.advance(5_000);
    expect([world.runtime.orders.length, writes(world).length, events(world).length]).toEqual([1, 2, 1]);
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
