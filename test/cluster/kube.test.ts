/** `src/kube` against a real kube-apiserver, which it may restart: so this file has a cluster of its own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "../../src/env/log.ts";
import { systemEnv } from "../../src/env/system.ts";
import { type CredentialSources, loadCredentials } from "../../src/kube/credentials.ts";
import { discover, serverInfo } from "../../src/kube/discovery.ts";
import { EventRecorder } from "../../src/kube/events.ts";
import { configMaps, deployments, leases, pods, secrets } from "../../src/kube/kinds.ts";
import { createKube, type Kube, type KubeOptions } from "../../src/kube/kube.ts";
import { Election } from "../../src/kube/lease.ts";
import { type Rig, startRig, waitFor } from "../rig/index.ts";

let rig: Rig;
const stops: AbortController[] = [];

beforeAll(async () => {
  rig = await startRig({ kwokNodes: 1 });
}, 3_600_000);
afterAll(async () => {
  for (const stop of stops) stop.abort();
  await rig?.stop();
}, 60_000);

interface Client extends Kube {
  readonly env: ReturnType<typeof systemEnv>;
  readonly stop: AbortController;
}

async function connect(
  options: Partial<KubeOptions> = {},
  sources: CredentialSources = { kubeconfig: rig.kubeconfigPath },
): Promise<Client> {
  const stop = new AbortController();
  stops.push(stop);
  const env = systemEnv(silentLogger, stop.signal);
  const credentials = await loadCredentials(env, sources);
  if (!credentials.ok) throw new Error(credentials.message);
  return { ...createKube(env, credentials.credentials, { userAgent: "kube-test", ...options }), env, stop };
}

const names = (list: readonly { metadata: { name: string } }[]) => list.map(({ metadata }) => metadata.name).sort();
const configMap = (name: string, data: Record<string, string> = {}) => ({ metadata: { name }, data });

test("read your writes, against the real watch", async () => {
  const namespace = await rig.namespace();
  const { client, cache } = await connect({ namespace });
  cache.ensure(configMaps);
  await cache.whenSettled([configMaps], 30_000);
  const changes: string[] = [];
  cache.subscribe(configMaps, (before, after) =>
    changes.push(`${after?.metadata.resourceVersion ?? "gone"}<${before?.metadata.resourceVersion ?? "none"}`),
  );
  for (let round = 0; round < 20; round += 1) {
    const ref = { of: configMaps, namespace, name: `c-${round}` };
    const created = await client.create(configMaps, { metadata: { name: ref.name, namespace }, data: { round: "0" } });
    if (!created.ok) throw new Error(created.message);
    expect(cache.get(configMaps, ref)?.metadata.uid).toBe(created.object.metadata.uid);
    const patched = await client.patch(ref, "merge", {
      data: { round: "1" },
      metadata: { resourceVersion: created.object.metadata.resourceVersion },
    });
    expect(patched.ok && cache.get(configMaps, ref)?.data?.round).toBe("1");
    expect(await client.delete({ ...ref, uid: created.object.metadata.uid })).toEqual({ ok: true, object: undefined });
    expect(cache.get(configMaps, ref)).toBeUndefined();
  }
  const last = await client.create(configMaps, { metadata: { name: "last", namespace } });
  await waitFor(
    "the watch to have seen it all",
    async () => last.ok && Number(cache.snapshot(configMaps)?.resourceVersion) >= Number(last.object.metadata.resourceVersion),
  );
  // Each change was told once: created, changed, gone.
  expect(changes).toHaveLength(20 * 3 + 1);
  expect(names(cache.list(configMaps))).toEqual(["kube-root-ca.crt", "last"]);
}, 60_000);

test("a snapshot is taken up by the next process without a list", async () => {
  const namespace = await rig.namespace();
  const first = await connect({ namespace });
  for (const name of ["a", "b"]) await first.client.create(configMaps, { metadata: { name, namespace } });
  first.cache.ensure(configMaps);
  await first.cache.whenSettled([configMaps], 30_000);
  await waitFor("both", async () => first.cache.list(configMaps).length === 3);
  const snapshot = first.cache.snapshot(configMaps);
  if (!snapshot) throw new Error("no snapshot");
  first.stop.abort();
  await rig.admin.delete(`/api/v1/namespaces/${namespace}/configmaps/a`);
  await rig.admin.create(`/api/v1/namespaces/${namespace}/configmaps`, configMap("c"));

  const second = await connect({ namespace });
  await second.cache.restore(configMaps, snapshot);
  second.cache.ensure(configMaps);
  await second.cache.whenSettled([configMaps], 30_000);
  expect(names(second.cache.list(configMaps))).toEqual(["b", "c", "kube-root-ca.crt"]);
  expect(second.cache.stats()[0]).toMatchObject({ relists: 0, drift: 0, state: "synced" });
}, 60_000);

test("secrets as metadata only", async () => {
  const namespace = await rig.namespace();
  const { client, cache } = await connect({ namespace });
  await client.create(secrets, { metadata: { name: "s", namespace, labels: { a: "b" } }, data: { key: "dmFsdWU=" } });
  cache.ensure(secrets, { metadataOnly: true });
  await cache.whenSettled([secrets], 30_000);
  const object = cache.get(secrets, { namespace, name: "s" });
  expect(object).toMatchObject({ kind: "Secret", apiVersion: "v1", metadata: { labels: { a: "b" } } });
  expect(object).not.toHaveProperty("data");
}, 60_000);

describe("outcomes of the real server", () => {
  test("each refusal is what it is", async () => {
    const namespace = await rig.namespace();
    const { client } = await connect();
    const ref = { of: configMaps, namespace, name: "c" };
    const made = await client.create(configMaps, { metadata: { name: "c", namespace }, data: { a: "1" } });
    if (!made.ok) throw new Error(made.message);
    const draft = { metadata: { name: "c", namespace } };
    expect(await client.create(configMaps, draft)).toMatchObject({ why: "alreadyExists" });
    expect(await client.create(configMaps, { metadata: { name: "Bad_Name", namespace } })).toMatchObject({
      why: "denied",
      code: 422,
      reason: "Invalid",
    });
    expect(await client.create(configMaps, { metadata: { name: "x", namespace: "nowhere" } })).toMatchObject({ why: "notFound" });
    expect(await client.update(configMaps, { ...made.object, metadata: { ...made.object.metadata, resourceVersion: "1" } })).toMatchObject({
      why: "conflict",
    });
    expect(await client.patch(ref, "merge", { metadata: { uid: "another" } })).toMatchObject({ why: "conflict" });
    expect(await client.patch(ref, "json", [{ op: "test", path: "/data/a", value: "2" }])).toMatchObject({ why: "conflict" });
    expect(await client.delete({ ...ref, uid: "another" })).toMatchObject({ why: "conflict" });
    expect(await client.create(configMaps, { metadata: { name: "dry", namespace } }, { dryRun: true })).toMatchObject({ ok: true });
    expect(await client.get(configMaps, { namespace, name: "dry" })).toMatchObject({ why: "notFound" });
    expect(await client.apply(ref, { data: { b: "2" } }, "kube-test")).toMatchObject({ ok: true, object: { data: { a: "1", b: "2" } } });
    expect(await client.list({ ...configMaps, plural: "nothings" })).toMatchObject({ why: "notFound" });
  }, 60_000);

  test("scale, eviction, a pod that takes its time to go", async () => {
    const namespace = await rig.namespace();
    const { client } = await connect();
    const labels = { app: "web" };
    const spec = {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "app", image: "registry.test/app:v1" }] } },
    };
    await client.create(deployments, { metadata: { name: "web", namespace }, spec });
    expect(await client.scale(deployments, { namespace, name: "web" })).toMatchObject({
      ok: true,
      object: { replicas: 1, selector: "app=web" },
    });
    const pod = await waitFor("a pod on its node", async () => {
      const list = await client.list(pods, { namespace, fieldSelector: "status.phase=Running" });
      return list.ok ? list.object[0] : undefined;
    });
    const ref = { of: pods, namespace, name: pod.metadata.name, uid: pod.metadata.uid };
    expect(await client.evict(ref, { dryRun: true })).toEqual({ ok: true, object: undefined });
    expect(await client.evict({ ...ref, uid: "another" })).toMatchObject({ why: "conflict" });
    const going = await client.delete(ref);
    expect(going.ok && going.object?.metadata.deletionTimestamp).toBeString();
  }, 60_000);

  test("without rights: denied, with the reason", async () => {
    const namespace = await rig.namespace();
    await rig.admin.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: "nobody" } });
    const dir = join(rig.stateDir, "account");
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "token"), await rig.plane.mintToken(namespace, "nobody"));
    writeFileSync(join(dir, "ca.crt"), rig.admin.caPem);
    const { port } = new URL(rig.url);
    const environment = { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: port };
    const { client, cache } = await connect({}, { environment, serviceAccountDir: dir, homeDir: dir });
    expect(await client.get(secrets, { namespace, name: "s" })).toMatchObject({
      why: "denied",
      code: 403,
      message: expect.stringContaining('cannot get resource "secrets"'),
    });
    cache.ensure(secrets);
    const report = await cache.whenSettled([secrets], 1500);
    expect(report).toMatchObject({ settled: false, pending: [{ why: expect.stringContaining("cannot watch resource") }] });
  }, 60_000);
});

test("discovery and version", async () => {
  const { client } = await connect();
  const found = await discover(client);
  if (!found.ok) throw new Error(found.message);
  const { code, stdout } = await rig.kubectl(["api-resources", "--no-headers", "-o", "name"]);
  expect(code).toBe(0);
  for (const name of stdout.trim().split("\n")) expect([name, found.object.serves(name)]).toEqual([name, true]);
  expect(found.object.resource("pods")?.subresources).toContain("resize");
  expect(found.object.lookup("deploy")[0]?.subresources).toContain("scale");
  expect(await serverInfo(client)).toMatchObject({ ok: true, object: { version: { major: 1 } } });
}, 60_000);

test("Events that kubectl describe shows, counted together", async () => {
  const namespace = await rig.namespace();
  const { client, env } = await connect();
  const made = await client.create(configMaps, { metadata: { name: "c", namespace } });
  if (!made.ok) throw new Error(made.message);
  const recorder = EventRecorder.create(env, client, "kube-test");
  const subject = { of: configMaps, namespace, name: "c", uid: made.object.metadata.uid };
  for (let round = 0; round < 3; round += 1) {
    recorder.record(subject, { type: "Warning", reason: "Noticed", message: "something happened" });
    await recorder.flush();
  }
  expect(recorder.dropped).toBe(0);
  const { stdout } = await rig.kubectl([
    "get",
    "events",
    "-n",
    namespace,
    "--no-headers",
    "-o",
    "custom-columns=C:.count,R:.reason,S:.source.component,M:.message",
  ]);
  expect(stdout.trim().split(/\s{2,}/)).toEqual(["3", "Noticed", "kube-test", "something happened"]);
  expect((await rig.kubectl(["events", "-n", namespace, "--for", "configmap/c"])).stdout).toContain("something happened");
}, 60_000);

test("two candidates, one leader, and a quick handover", async () => {
  const namespace = await rig.namespace();
  const candidate = async (identity: string) => {
    const { client, env } = await connect();
    const election = new Election(env, client, { namespace, name: "kruise-manager", identity, onLeading: () => {}, onLost: () => {} });
    election.start();
    return election;
  };
  const first = await candidate("one");
  await waitFor("the first to lead", async () => first.isLeader);
  const second = await candidate("two");
  await first.release();
  await waitFor("the second to lead", async () => second.isLeader, { timeoutMs: 10_000 });
  const { client } = await connect();
  const lease = await client.get(leases, { namespace, name: "kruise-manager" });
  expect(lease).toMatchObject({ ok: true, object: { spec: { holderIdentity: "two", leaseTransitions: 1, leaseDurationSeconds: 15 } } });
  await second.release();
}, 60_000);

// Last, since the controllers of the control plane take a while to come back.
describe.each([
  ["through the watch", true],
  ["in pages", false],
])("a cache that lists %s", (_, streamingList) => {
  test("shows 1,200 objects, then every change, and outlives the API server", async () => {
    const namespace = await rig.namespace();
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const count = 1200;
    const { client, cache, env } = await connect({ namespace, streamingList });
    const made = await Promise.all(
      Array.from({ length: count }, (_entry, index) =>
        client.create(configMaps, { ...configMap(`c-${index}`), metadata: { name: `c-${index}`, namespace } }),
      ),
    );
    expect(made.filter(({ ok }) => !ok)).toEqual([]);
    cache.ensure(configMaps);
    expect(await cache.whenSettled([configMaps], 30_000)).toMatchObject({ settled: true });
    // One is the namespace's own: kube-root-ca.crt.
    await waitFor("all objects", async () => cache.list(configMaps, namespace).length === count + 1);
    expect(cache.get(configMaps, { namespace, name: "c-7" })).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });

    await rig.admin.patch(`${path}/c-0`, { data: { a: "b" } });
    await rig.admin.delete(`${path}/c-1`);
    await waitFor(
      "the changes",
      async () => cache.get(configMaps, { namespace, name: "c-0" })?.data?.a === "b" && cache.list(configMaps).length === count,
    );

    await rig.plane.restartApiserver();
    await rig.admin.patch(`${path}/c-2`, { data: { after: "restart" } });
    await rig.admin.delete(`${path}/c-3`);
    await waitFor("what happened since", async () => cache.get(configMaps, { namespace, name: "c-2" })?.data?.after === "restart", {
      timeoutMs: 60_000,
    });
    await waitFor("what went since", async () => cache.get(configMaps, { namespace, name: "c-3" }) === undefined, { timeoutMs: 60_000 });
    expect(names(cache.list(configMaps))).toEqual(names(await rig.admin.list(path)));
    expect(env.stopped.aborted).toBe(false);
  }, 180_000);
});
