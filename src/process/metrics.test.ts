import { expect, test } from "bun:test";
import { metrics as names } from "../engine/metrics-names.ts";
import { FakeEnv } from "../env/fake.ts";
import { pods } from "../kube/kinds.ts";
import { anonymousCredentials, createKube } from "../kube/kube.ts";
import { FakeApi } from "../kube/testing/fake-api.ts";
import { ProcessMetrics } from "./metrics.ts";
import { collectWatches } from "./watch-metrics.ts";

const podsPath = "/api/v1/pods";
const lines = async (metrics: ProcessMetrics, name: string) =>
  (await metrics.text()).split("\n").filter((line) => line.startsWith(name) && !line.startsWith("#"));

test("what admission counts, under the names of the list", async () => {
  const env = new FakeEnv();
  const metrics = new ProcessMetrics(env);
  const meter = metrics.webhook("/mutate-pod");
  meter.started();
  expect(await lines(metrics, names.webhookInFlight.name)).toEqual([`${names.webhookInFlight.name}{webhook="/mutate-pod"} 1`]);
  meter.finished(200, 0.002);
  metrics.refused("pod_unavailable_budget", { kind_namespace_name: "CloneSet_shop_web", username: "kubectl" });
  metrics.droppedWebhooks("kruise-mutating-webhook-configuration", 2);
  metrics.narrowed("mpod.kb.io", true);
  metrics.bypassed("podunavailablebudget", false);
  expect(await lines(metrics, names.webhookInFlight.name)).toEqual([`${names.webhookInFlight.name}{webhook="/mutate-pod"} 0`]);
  expect(await lines(metrics, names.webhookRequestsTotal.name)).toEqual([
    `${names.webhookRequestsTotal.name}{code="200",webhook="/mutate-pod"} 1`,
    `${names.webhookRequestsTotal.name}{code="500",webhook="/mutate-pod"} 0`,
  ]);
  expect(await lines(metrics, `${names.webhookLatencySeconds.name}_count`)).toEqual([
    `${names.webhookLatencySeconds.name}_count{webhook="/mutate-pod"} 1`,
  ]);
  expect(await lines(metrics, names.podUnavailableBudget.name)).toEqual([
    'pod_unavailable_budget{kind_namespace_name="CloneSet_shop_web",username="kubectl"} 1',
  ]);
  expect(await lines(metrics, names.admissionBreakerOpen.name)).toEqual([
    'kruiser_admission_breaker_open{feature="podunavailablebudget"} 0',
  ]);
  expect(await lines(metrics, names.webhookNarrowed.name)).toEqual(['kruiser_webhook_narrowed{webhook="mpod.kb.io"} 1']);
  expect(await lines(metrics, names.webhooksDropped.name)).toEqual([
    'kruiser_webhooks_dropped{configuration="kruise-mutating-webhook-configuration"} 2',
  ]);
});

test("certificates: how often one was read, and how long each has left, as time goes by", async () => {
  const env = new FakeEnv();
  const metrics = new ProcessMetrics(env);
  expect(await lines(metrics, names.certExpirySeconds.name)).toEqual([]);
  metrics.certificateRead({ servingMs: env.nowMs() + 100_000, caMs: env.nowMs() + 200_000 });
  await env.advance(30_000);
  expect(await lines(metrics, names.certExpirySeconds.name)).toEqual([
    'kruiser_cert_expiry_seconds{certificate="serving"} 70',
    'kruiser_cert_expiry_seconds{certificate="ca"} 170',
  ]);
  expect(await lines(metrics, names.certwatcherReadCertificateTotal.name)).toEqual(["certwatcher_read_certificate_total 1"]);
});

test("the watch cache: what it holds, what it had to do again, what it had missed, and how long it has heard nothing", async () => {
  const env = new FakeEnv();
  const api = new FakeApi(podsPath);
  const metrics = new ProcessMetrics(env);
  const { cache } = createKube(env, anonymousCredentials(), { userAgent: "test", fetch: api.fetch });
  collectWatches(metrics, cache);
  const value = async (name: string) => (await lines(metrics, name)).map((line) => Number(line.split(" ")[1]))[0];
  const pod = (name: string) => ({ metadata: { name, namespace: "shop" }, spec: { containers: [] } });
  api.put(podsPath, pod("a"));
  api.put(podsPath, pod("b"));
  cache.ensure(pods);
  expect(await value(names.cacheSynced.name)).toBe(0);
  await env.advance(1_000);
  expect(await value(names.cacheSynced.name)).toBe(1);
  expect(await value(names.cacheObjects.name)).toBe(2);
  expect(await value(names.watchBytesTotal.name)).toBeGreaterThan(100);
  expect(await value(names.watchRestartsTotal.name)).toBe(0);
  const silent = (await value(names.watchSilentSeconds.name)) ?? -1;
  await env.advance(20_000);
  expect(await value(names.watchSilentSeconds.name)).toBeCloseTo(silent + 20);
  // Something happens unseen, and the server has forgotten it when the watch begins again.
  api.silently(() => api.remove(podsPath, "a", "shop"));
  api.compact();
  api.endWatches();
  await env.advance(10_000);
  expect(await value(names.cacheObjects.name)).toBe(1);
  expect(await value(names.watchRestartsTotal.name)).toBeGreaterThan(0);
  expect(await value(names.relistDriftTotal.name)).toBe(1);
});
