/** The engine over the real rooms of `src/kube`: transport, client and watch cache against an API server in the process. */
import { expect, test } from "bun:test";
import { FakeEnv } from "../env/fake.ts";
import { EventRecorder } from "../kube/events.ts";
import { events, pods } from "../kube/kinds.ts";
import { anonymousCredentials, createKube } from "../kube/kube.ts";
import { FakeApi } from "../kube/testing/fake-api.ts";
import { openRecord } from "../record/index.ts";
import { cachePort, eventPort, ServedKinds } from "./kube-ports.ts";
import { Runner } from "./runner.ts";
import { herdController } from "./testing/herd.ts";
import { type Herd, herds } from "./testing/kinds.ts";
import { testSettings } from "./testing/settings.ts";

const podsPath = "/api/v1/pods";
const herdsPath = "/apis/test.kruise.io/v1/herds";
const herd = (replicas: number, revision: string) => ({
  metadata: { namespace: "shop", name: "web", generation: Number(revision) },
  spec: { replicas, revision },
});

function process(api: FakeApi) {
  const env = new FakeEnv();
  const kube = createKube(env, anonymousCredentials(), { userAgent: "test", fetch: api.fetch });
  const record = openRecord(env, undefined);
  const served = new ServedKinds((resource) => resource !== "herds.test.kruise.io");
  const runner = new Runner(
    env,
    {
      read: kube.read,
      write: kube.client,
      cache: cachePort(kube.cache),
      events: eventPort(EventRecorder.create(env, kube.client, "manager")),
      served,
      history: record.history,
    },
    { settings: testSettings() },
  );
  return { env, kube, served, runner, record };
}

test("starts when its kind appears, creates, updates in place, tells, and rests", async () => {
  const api = new FakeApi(podsPath, herdsPath, "/api/v1/events");
  const { env, kube, served, runner, record } = process(api);
  await runner.start([herdController()]);
  expect(runner.names).toEqual([]);
  api.put(herdsPath, herd(5, "1"));
  served.now(() => true);
  await env.advance(5_000);
  expect(runner.names).toEqual(["herd-controller"]);
  expect(kube.read.list(pods, "shop")).toHaveLength(5);
  expect(kube.read.get<Herd>(herds, { namespace: "shop", name: "web" })?.status).toEqual({ replicas: 5, updated: 5 });

  api.put(herdsPath, { ...herd(5, "2"), status: { replicas: 5, updated: 5 } });
  await env.advance(5_000);
  expect(kube.read.list(pods, "shop").map(({ metadata }) => metadata.labels?.["revision"])).toEqual(Array(5).fill("2"));
  expect(api.requests.filter(({ method, path }) => method === "PATCH" && path.includes("/pods/"))).toHaveLength(10);
  expect(api.requests.filter(({ method, path }) => method === "POST" && path.endsWith("/pods"))).toHaveLength(5);

  const told = api.requests
    .filter(({ method, path }) => method === "POST" && path.includes("/events"))
    .map(({ body }) => JSON.parse(body ?? "{}"));
  expect(told.map(({ reason, source }) => `${source.component} ${reason}`).sort()).toEqual([
    "herd-controller SuccessfulCreate",
    "herd-controller SuccessfulUpdate",
  ]);
  expect(record.history.rollouts(herds, { namespace: "shop", name: "web" }).map(({ revision, moves }) => [revision, moves.length])).toEqual(
    [
      ["2", 5],
      ["1", 5],
    ],
  );
  expect(kube.cache.has(events)).toBe(false);

  const before = api.requests.filter(({ method }) => method !== "GET").length;
  await env.advance(600_000);
  expect(api.requests.filter(({ method }) => method !== "GET")).toHaveLength(before);
  const stopped = runner.stop();
  await env.advance(1_000);
  expect(await stopped).toBe(true);
  env.stop();
  await env.advance(10_000);
});
