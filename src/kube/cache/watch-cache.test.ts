import { describe, expect, test } from "bun:test";
import { FakeEnv } from "../../env/fake.ts";
import { configMaps, pods, podsByNode, podsByOwner } from "../kinds.ts";
import { anonymousCredentials, createKube, type KubeOptions } from "../kube.ts";
import { FakeApi, status } from "../testing/fake-api.ts";
import type { Pod } from "../types.ts";
import { reflectorLimits } from "./reflection.ts";
import type { Snapshot } from "./watch-cache.ts";

const podsPath = "/api/v1/pods";

function pod(name: string, extra: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}) {
  return { metadata: { name, namespace: "shop", ...metadata }, spec: { containers: [{ name: "app", image: "app:1" }] }, ...extra };
}

interface World {
  readonly env: FakeEnv;
  readonly api: FakeApi;
  readonly kube: ReturnType<typeof createKube>;
  readonly changes: string[];
}

function world(options: Partial<KubeOptions> = {}, api = new FakeApi(podsPath, "/api/v1/configmaps")): World {
  const env = new FakeEnv();
  const kube = createKube(env, anonymousCredentials(), { userAgent: "test", fetch: api.fetch, ...options });
  const changes: string[] = [];
  kube.cache.subscribe(pods, (before, after) => {
    const what = before ? (after ? "~" : "-") : "+";
    changes.push(`${what}${(after ?? before)?.metadata.name}`);
  });
  return { env, api, kube, changes };
}

const names = (list: readonly { metadata: { name: string } }[]) => list.map((object) => object.metadata.name).sort();
const stats = ({ kube }: World) => kube.cache.stats()[0]!;

test("a server that still fills its own cache lists in pages; only its watch has to wait", async () => {
  const { env, api, kube } = world();
  let isReady = false;
  api.intercept = ({ path }) =>
    !isReady && path.includes("watch=1")
      ? status(429, "TooManyRequests", "storage is (re)initializing", { "retry-after": "1" })
      : undefined;
  api.put(podsPath, pod("web-0"));
  kube.cache.ensure(pods);
  await env.advance(50);
  expect(names(kube.read.list(pods))).toEqual(["web-0"]);
  expect(kube.cache.synced([pods])).toBe(true);
  isReady = true;
  api.put(podsPath, pod("web-1"));
  await env.advance(900);
  expect(api.watching).toBe(0);
  await env.advance(200);
  expect(names(kube.read.list(pods))).toEqual(["web-0", "web-1"]);
  expect(api.requests.map(({ path }) => /watch=1|limit=/.exec(path)?.[0])).toEqual(["watch=1", "limit=", "watch=1", "watch=1"]);
});

test("a server that has too much to do is left alone", async () => {
  const { env, api, kube } = world();
  api.intercept = () => status(429, "TooManyRequests", "too many requests", { "retry-after": "1" });
  kube.cache.ensure(pods);
  await env.advance(900);
  expect(api.requests.length).toBe(1);
});

describe.each([
  ["through the watch", true],
  ["in pages", false],
])("listed %s", (_, streaming) => {
  function start(options: Partial<KubeOptions> = {}): World {
    const made = world(options);
    made.api.streamingList = streaming;
    return made;
  }

  test("shows what is there, then what happens", async () => {
    const all = start();
    const { env, api, kube, changes } = all;
    api.put(podsPath, pod("web-0"));
    api.put(podsPath, pod("web-1"));
    kube.cache.ensure(pods);
    await env.advance(10);
    expect(kube.cache.synced([pods])).toBe(true);
    expect(names(kube.read.list(pods))).toEqual(["web-0", "web-1"]);
    const before = kube.read.get(pods, { namespace: "shop", name: "web-0" })!;
    expect(before).toMatchObject({ apiVersion: "v1", kind: "Pod" });
    expect(before.metadata).not.toHaveProperty("managedFields");
    api.put(podsPath, pod("web-0", { status: { phase: "Running" } }));
    api.remove(podsPath, "web-1", "shop");
    api.put(podsPath, pod("web-2"));
    await env.advance(10);
    expect(changes).toEqual(["+web-0", "+web-1", "~web-0", "-web-1", "+web-2"]);
    const after = kube.read.get(pods, { namespace: "shop", name: "web-0" })!;
    expect(after.status?.phase).toBe("Running");
    expect(after.spec).toBe(before.spec);
    expect(api.watching).toBe(1);
  });

  test("takes the watch up where it was, without a list", async () => {
    const all = start();
    const { env, api, kube } = all;
    kube.cache.ensure(pods);
    await env.advance(10_000);
    const lists = api.requests.length;
    api.endWatches();
    api.put(podsPath, pod("web-0"));
    await env.advance(1000);
    expect(names(kube.read.list(pods))).toEqual(["web-0"]);
    expect(api.requests.length).toBe(lists + 1);
    expect(api.requests.at(-1)?.path).toMatch(/watch=1.*&resourceVersion=100$/);
    expect(stats(all)).toMatchObject({ relists: 0, watchRestarts: 1 });
  });

  test("lists again after 410 and counts what had been missed", async () => {
    const all = start();
    const { env, api, kube, changes } = all;
    for (const name of ["a", "b", "c"]) api.put(podsPath, pod(name));
    kube.cache.ensure(pods);
    await env.advance(10_000);
    changes.length = 0;
    api.silently(() => {
      api.put(podsPath, pod("a", { status: { phase: "Running" } }));
      api.remove(podsPath, "b", "shop");
      api.put(podsPath, pod("d"));
    });
    api.compact();
    api.endWatches();
    await env.advance(1000);
    expect(names(kube.read.list(pods))).toEqual(["a", "c", "d"]);
    expect(changes.sort()).toEqual(["+d", "-b", "~a"]);
    expect(stats(all)).toMatchObject({ relists: 1, drift: 3, state: "synced" });
  });

  test("comes through an outage of ten minutes, and asks ever more rarely", async () => {
    const all = start();
    const { env, api, kube } = all;
    kube.cache.ensure(pods);
    await env.advance(10_000);
    api.intercept = () => "drop";
    api.endWatches();
    const before = api.requests.length;
    await env.advance(600_000);
    expect(api.requests.length - before).toBeLessThan(50);
    api.intercept = undefined;
    api.put(podsPath, pod("web-0"));
    await env.advance(reflectorLimits.backoffMsMax + 1000);
    expect(names(kube.read.list(pods))).toEqual(["web-0"]);
    expect(stats(all).relists).toBe(0);
  });

  test("a kind that comes later is found, and one that goes is empty", async () => {
    const all = start();
    const { env, api, kube, changes } = all;
    api.unserve(podsPath);
    kube.cache.ensure(pods);
    const report = await Promise.all([kube.cache.whenSettled([pods], 5000), env.advance(100)]);
    expect(report[0]).toMatchObject({ settled: true, absent: [pods] });
    expect(kube.cache.synced([pods])).toBe(false);
    api.serve(podsPath);
    api.put(podsPath, pod("web-0"));
    kube.cache.nudge(pods);
    await env.advance(100);
    expect(kube.cache.synced([pods])).toBe(true);
    api.unserve(podsPath);
    await env.advance(200_000);
    expect(changes).toEqual(["+web-0", "-web-0"]);
    expect(kube.cache.state(pods)).toBe("absent");
  });

  test("sees only its namespace", async () => {
    const { env, api, kube } = start({ namespace: "shop" });
    api.put(podsPath, pod("mine"));
    api.put(podsPath, pod("other", {}, { namespace: "else" }));
    kube.cache.ensure(pods);
    await env.advance(10);
    kube.cache.put(pods, api.put(podsPath, pod("third", {}, { namespace: "else" })));
    await env.advance(10);
    expect(names(kube.read.list(pods))).toEqual(["mine"]);
  });
});

test("read your writes: what a write returned is there at once, and the watch does not take it back", async () => {
  const all = world();
  const { env, api, kube, changes } = all;
  kube.cache.ensure(pods);
  await env.advance(10);
  const created = await kube.client.create(pods, pod("web-0"));
  expect(created.ok).toBe(true);
  expect(names(kube.read.list(pods))).toEqual(["web-0"]);
  const ref = { of: pods, namespace: "shop", name: "web-0", uid: created.ok ? created.object.metadata.uid : "" };
  await kube.client.patch(ref, "merge", { metadata: { labels: { a: "b" } } });
  expect(kube.read.get(pods, ref)?.metadata.labels).toEqual({ a: "b" });
  await env.advance(100);
  expect(kube.read.get(pods, ref)?.metadata.labels).toEqual({ a: "b" });
  await kube.client.delete(ref);
  expect(kube.read.list(pods)).toEqual([]);
  kube.cache.put(pods, created.ok ? created.object : (undefined as never));
  await env.advance(100);
  expect(kube.read.list(pods)).toEqual([]);
  expect(changes).toEqual(["+web-0", "~web-0", "-web-0"]);
  expect(api.all(podsPath)).toEqual([]);
});

test("a pod of the same name is another pod", async () => {
  const { env, api, kube, changes } = world();
  kube.cache.ensure(pods);
  api.put(podsPath, pod("web-0"));
  await env.advance(10);
  api.remove(podsPath, "web-0", "shop");
  const second = api.put(podsPath, pod("web-0"));
  kube.cache.put(pods, second);
  expect(changes).toEqual(["+web-0", "-web-0", "+web-0"]);
  await env.advance(10);
  expect(changes).toEqual(["+web-0", "-web-0", "+web-0"]);
  expect(kube.read.get(pods, { namespace: "shop", name: "web-0" })?.metadata.uid).toBe(second.metadata.uid);
});

test("indexes follow what happens, from the first question on", async () => {
  const { env, api, kube } = world();
  const owner = { apiVersion: "apps.kruise.io/v1alpha1", kind: "CloneSet", name: "web", uid: "owner-1", controller: true };
  api.put(podsPath, pod("web-0", { spec: { containers: [], nodeName: "n1" } }, { ownerReferences: [owner] }));
  kube.cache.ensure(pods);
  await env.advance(10);
  expect(names(kube.read.find(podsByOwner, "owner-1"))).toEqual(["web-0"]);
  expect(names(kube.read.find(podsByNode, "n1"))).toEqual(["web-0"]);
  api.put(podsPath, pod("web-1", { spec: { containers: [] } }, { ownerReferences: [owner] }));
  api.put(podsPath, pod("web-0", { spec: { containers: [], nodeName: "n2" } }, { ownerReferences: [owner] }));
  await env.advance(10);
  expect(names(kube.read.find(podsByOwner, "owner-1"))).toEqual(["web-0", "web-1"]);
  expect(kube.read.find(podsByNode, "n1")).toEqual([]);
  expect(names(kube.read.find(podsByNode, "n2"))).toEqual(["web-0"]);
  api.remove(podsPath, "web-0", "shop");
  await env.advance(10);
  expect(names(kube.read.find(podsByOwner, "owner-1"))).toEqual(["web-1"]);
  expect(kube.read.list(pods, "shop")).toBe(kube.read.list(pods, "shop"));
  expect(kube.read.list(pods, "nowhere")).toEqual([]);
});

test("metadata only: the content never arrives, nor stays", async () => {
  const { env, api, kube } = world();
  kube.cache.ensure(configMaps, { metadataOnly: true });
  api.put("/api/v1/configmaps", { metadata: { name: "a", namespace: "shop" }, data: { large: "text" } });
  await env.advance(10);
  expect(kube.read.get(configMaps, { namespace: "shop", name: "a" })).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });
  expect(kube.read.get(configMaps, { namespace: "shop", name: "a" })).not.toHaveProperty("data");
  expect(api.requests[0]?.headers.accept).toBe("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
});

test("a connection that says nothing is given up, later each time; a bookmark makes it quick again", async () => {
  const all = world();
  const { env, api, kube } = all;
  kube.cache.ensure(pods);
  await env.advance(reflectorLimits.idleMsMin + 1000);
  expect(stats(all).watchRestarts).toBe(1);
  await env.advance(reflectorLimits.idleMsMin + 1000);
  expect(stats(all).watchRestarts).toBe(1);
  await env.advance(reflectorLimits.idleMsMin);
  expect(stats(all).watchRestarts).toBe(2);
  for (let minute = 0; minute < 10; minute += 1) {
    api.bookmark();
    await env.advance(60_000);
  }
  expect(stats(all).watchRestarts).toBe(2);
});

test("a watch that is refused with an error event is taken up again; one that has no end of errors backs off", async () => {
  const all = world();
  const { env, api, kube } = all;
  kube.cache.ensure(pods);
  await env.advance(10_000);
  api.intercept = (request) => (request.path.includes("watch=1") ? status(500, "InternalError", "etcdserver: leader changed") : undefined);
  api.endWatches();
  const before = api.requests.length;
  await env.advance(60_000);
  expect(api.requests.length - before).toBeLessThan(15);
  expect(kube.cache.synced([pods])).toBe(true);
  api.intercept = undefined;
  api.put(podsPath, pod("web-0"));
  await env.advance(60_000);
  expect(names(kube.read.list(pods))).toEqual(["web-0"]);
});

describe("a snapshot", () => {
  async function snapshotOf(api: FakeApi): Promise<Snapshot<Pod>> {
    const { env, kube } = world({}, api);
    kube.cache.ensure(pods);
    await env.advance(10);
    const snapshot = kube.cache.snapshot(pods)!;
    env.stop();
    await env.advance(10);
    return snapshot;
  }

  test("is taken up without a list, and is up to date before it counts as synced", async () => {
    const api = new FakeApi(podsPath);
    api.put(podsPath, pod("web-0"));
    api.put(podsPath, pod("web-1"));
    const snapshot = await snapshotOf(api);
    api.put(podsPath, pod("web-2"));
    api.remove(podsPath, "web-0", "shop");
    const all = world({}, api);
    await all.kube.cache.restore(pods, snapshot);
    all.kube.cache.ensure(pods);
    api.requests.length = 0;
    let seen: string[] = [];
    all.kube.cache.onState((_, state) => {
      if (state === "synced") seen = names(all.kube.read.list(pods));
    });
    await all.env.advance(1000);
    expect(seen).toEqual(["web-1", "web-2"]);
    expect(api.requests.map(({ path }) => path.includes("watch=1"))).toEqual([false, true]);
    expect(stats(all).relists).toBe(0);
  });

  test("is not up to date while the server is silent about what it has", async () => {
    const api = new FakeApi(podsPath);
    api.put(podsPath, pod("web-0"));
    const snapshot = await snapshotOf(api);
    api.silently(() => api.put(podsPath, pod("web-0", { status: { phase: "Running" } })));
    const all = world({}, api);
    await all.kube.cache.restore(pods, snapshot);
    all.kube.cache.ensure(pods);
    await all.env.advance(4_000);
    expect(all.kube.cache.synced([pods])).toBe(false);
    api.put(podsPath, pod("web-0", { status: { phase: "Running", message: "late" } }));
    await all.env.advance(10);
    expect(all.kube.cache.synced([pods])).toBe(true);
    expect(all.kube.read.list<Pod>(pods)[0]?.status?.phase).toBe("Running");
    expect(stats(all).relists).toBe(0);
  });

  test("that the watch does not bring up to date is listed after all", async () => {
    const api = new FakeApi(podsPath);
    api.put(podsPath, pod("web-0"));
    const snapshot = await snapshotOf(api);
    api.silently(() => api.remove(podsPath, "web-0", "shop"));
    const all = world({}, api);
    await all.kube.cache.restore(pods, snapshot);
    all.kube.cache.ensure(pods);
    await all.env.advance(4_900);
    expect(all.kube.cache.synced([pods])).toBe(false);
    await all.env.advance(1_000);
    expect(all.kube.cache.synced([pods])).toBe(true);
    expect(all.kube.read.list(pods)).toEqual([]);
  });

  test("that nothing has happened to is up to date at once", async () => {
    const api = new FakeApi(podsPath, "/api/v1/configmaps");
    api.put(podsPath, pod("web-0"));
    const snapshot = await snapshotOf(api);
    api.put("/api/v1/configmaps", pod("elsewhere"));
    const all = world({}, api);
    await all.kube.cache.restore(pods, snapshot);
    all.kube.cache.ensure(pods);
    await all.env.advance(10);
    expect(all.kube.cache.synced([pods])).toBe(true);
  });

  test("that the server has forgotten is compared with a list", async () => {
    const api = new FakeApi(podsPath);
    api.put(podsPath, pod("web-0"));
    const snapshot = await snapshotOf(api);
    api.remove(podsPath, "web-0", "shop");
    api.put(podsPath, pod("web-2"));
    api.compact();
    const all = world({}, api);
    await all.kube.cache.restore(pods, snapshot);
    all.kube.cache.ensure(pods);
    await all.env.advance(1000);
    expect(names(all.kube.read.list(pods))).toEqual(["web-2"]);
    expect(stats(all)).toMatchObject({ relists: 1, drift: 2, state: "synced" });
  });
});

test("an older backup in etcd's place: the new world is taken as it is", async () => {
  const all = world();
  const { env, api, kube } = all;
  api.put(podsPath, pod("web-0", { status: { phase: "Running" } }));
  for (let round = 0; round < 50; round += 1) api.put(podsPath, pod("web-1", { status: { message: `${round}` } }));
  kube.cache.ensure(pods);
  await env.advance(10_000);
  api.silently(() => {
    api.remove(podsPath, "web-1", "shop");
    api.version = 20;
    api.put(podsPath, pod("web-0", { status: { phase: "Pending" } }));
  });
  api.intercept = ({ path }) =>
    path.includes("&resourceVersion=15") ? status(504, "Timeout", "Too large resource version: 151, current: 21") : undefined;
  api.endWatches();
  await env.advance(60_000);
  expect(names(kube.read.list(pods))).toEqual(["web-0"]);
  expect(kube.read.get(pods, { namespace: "shop", name: "web-0" })?.status?.phase).toBe("Pending");
});

test("a handler that throws harms nobody else", async () => {
  const { env, api, kube, changes } = world();
  kube.cache.subscribe(pods, () => {
    throw new Error("mine");
  });
  kube.cache.ensure(pods);
  api.put(podsPath, pod("web-0"));
  await env.advance(10);
  expect(changes).toEqual(["+web-0"]);
  expect(env.lines.filter(({ level }) => level === "error")).toHaveLength(1);
});

test("a kind nobody watches cannot be read by mistake", () => {
  const { kube } = world();
  expect(() => kube.read.list(pods)).toThrow("pods is read, so it is watched");
});

test("ends when the process stops", async () => {
  const { env, api, kube } = world();
  kube.cache.ensure(pods);
  await env.advance(10);
  env.stop();
  await env.advance(10);
  expect(api.watching).toBe(0);
  const before = api.requests.length;
  await env.advance(3_600_000);
  expect(api.requests.length).toBe(before);
});
