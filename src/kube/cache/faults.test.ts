/** The cache under faults: whatever the server and the network do, once they are well again it shows what is there. */
import { expect, test } from "bun:test";
import { FakeEnv } from "../../env/fake.ts";
import { pods } from "../kinds.ts";
import { anonymousCredentials, createKube } from "../kube.ts";
import { FakeApi, status } from "../testing/fake-api.ts";
import type { Pod } from "../types.ts";
import { versionOf } from "./store.ts";

const path = "/api/v1/pods";
const namesMax = 12;

test.each(Array.from({ length: 60 }, (_, seed) => seed))("converges after faults, seed %i", async (seed) => {
  const env = new FakeEnv({ seed });
  const api = new FakeApi(path);
  api.streamingList = seed % 2 === 0;
  const kube = createKube(env, anonymousCredentials(), { userAgent: "t", fetch: api.fetch });
  const shown = new Map<string, Pod>();
  kube.cache.subscribe(pods, (before, after) => {
    const name = (before ?? after)!.metadata.name;
    expect(shown.get(name)).toBe(before as Pod);
    if (before && after) expect(versionOf(after)).toBeGreaterThan(versionOf(before));
    if (after) shown.set(name, after as Pod);
    else shown.delete(name);
  });
  const dice = (sides: number) => Math.floor(env.random() * sides);
  const anyName = () => `web-${dice(namesMax)}`;
  const draft = () => ({ metadata: { name: anyName(), namespace: "shop" }, spec: { containers: [], nodeName: `n${dice(3)}` } });
  let faulty = true;
  api.intercept = async ({ method }) => {
    if (!faulty) return undefined;
    // Slow answers: a write is done at once, and its answer overtaken by the watch.
    if (method === "GET") await new Promise<void>((resolve) => env.after(dice(50), resolve));
    const fate = dice(40);
    if (fate === 0) return "drop";
    if (fate === 1) return status(500, "InternalError", "etcdserver: request timed out");
    if (fate === 2) return status(429, "TooManyRequests", "busy", { "retry-after": "1" });
    if (fate === 3) return status(410, "Expired", "too old resource version");
    if (fate === 4) return status(503, "ServiceUnavailable", "starting");
    return undefined;
  };
  const steps: (() => void)[] = [
    () => api.put(path, draft()),
    () => api.put(path, draft()),
    () => api.remove(path, anyName(), "shop"),
    () => void kube.client.create<Pod>(pods, draft()),
    () => void kube.client.patch({ of: pods, namespace: "shop", name: anyName() }, "merge", { status: { phase: `p${dice(9)}` } }),
    () => void kube.client.delete({ of: pods, namespace: "shop", name: anyName() }),
    () => api.bookmark(),
    () => dice(4) === 0 && api.endWatches(),
    () => dice(6) === 0 && api.compact(),
  ];
  kube.cache.ensure(pods);
  for (let step = 0; step < 300; step += 1) {
    steps[dice(steps.length)]?.();
    if (dice(3) === 0) await env.advance(dice(3000));
  }
  faulty = false;
  await env.advance(120_000);
  const plain = (list: readonly Pod[]) => list.map(({ metadata }) => `${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`).sort();
  expect(plain(kube.cache.list(pods))).toEqual(plain(api.all(path) as Pod[]));
  expect(plain([...shown.values()])).toEqual(plain(kube.cache.list(pods)));
  expect(kube.cache.synced([pods])).toBe(true);
  expect(env.lines.filter(({ level }) => level === "error")).toEqual([]);
});
