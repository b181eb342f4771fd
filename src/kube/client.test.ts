import { describe, expect, test } from "bun:test";
import { FakeEnv } from "../env/fake.ts";
import { failureOf, failureOfStatus } from "./failure.ts";
import { leases, nodes, pods } from "./kinds.ts";
import { anonymousCredentials, createKube } from "./kube.ts";
import { objectPath, withQuery } from "./path.ts";
import { FakeApi, json, type Recorded, status } from "./testing/fake-api.ts";
import type { Method } from "./transport.ts";
import type { Pod } from "./types.ts";

const podsPath = "/api/v1/pods";
const ref = { of: pods, namespace: "shop", name: "web-0" };

function setUp() {
  const env = new FakeEnv();
  const api = new FakeApi(podsPath);
  const { client } = createKube(env, anonymousCredentials(), { userAgent: "kruise-manager", fetch: api.fetch });
  const last = () => api.requests.at(-1) as Recorded;
  return { env, api, client, last };
}

const statusText = (reason: string, message = "m", more: object = {}) => JSON.stringify({ kind: "Status", reason, message, ...more });
const row = (code: number, text: string, method: Method, retryAfterMs?: number) =>
  failureOf({ status: code, text, sent: true, retryAfterMs }, method);

test.each([
  [409, statusText("Conflict"), "PUT", { why: "conflict", message: "m" }],
  [409, statusText("AlreadyExists"), "POST", { why: "alreadyExists", message: "m" }],
  [404, statusText("NotFound"), "GET", { why: "notFound", message: "m" }],
  [404, "404 page not found\n", "GET", { why: "notFound", message: "404 page not found" }],
  [410, statusText("Expired"), "GET", { why: "expired" }],
  [403, statusText("Forbidden", "exceeded quota"), "POST", { why: "denied", code: 403, reason: "Forbidden", message: "exceeded quota" }],
  [422, statusText("Invalid", "spec.replicas: Invalid value"), "POST", { why: "denied", code: 422, reason: "Invalid" }],
  [
    422,
    statusText("Invalid", "metadata.uid: field is immutable", { details: { causes: [{ field: "metadata.uid" }] } }),
    "PATCH",
    { why: "conflict" },
  ],
  [401, "", "GET", { why: "denied", code: 401, message: "the API server answered 401" }],
  [429, statusText("TooManyRequests", "m", { details: { retryAfterSeconds: 7 } }), "POST", { why: "throttled", retryAfterMs: 7000 }],
  [
    429,
    "Too many requests, please try again later.\n",
    "POST",
    { why: "throttled", retryAfterMs: 1000, message: "Too many requests, please try again later." },
  ],
  [500, statusText("ServerTimeout", "m", { details: { retryAfterSeconds: 1 } }), "POST", { why: "throttled", retryAfterMs: 1000 }],
  [500, statusText("InternalError", "etcdserver: request timed out"), "PUT", { why: "unavailable", mayHaveHappened: true }],
  [
    500,
    statusText("InternalError", 'Internal error occurred: failed calling webhook "x": refused'),
    "POST",
    { why: "unavailable", mayHaveHappened: false },
  ],
  [504, statusText("Timeout"), "PATCH", { why: "unavailable", mayHaveHappened: true }],
  [502, "<html>bad gateway</html>", "GET", { why: "unavailable", mayHaveHappened: false, message: "<html>bad gateway</html>" }],
] as const)("%i %s to a %s", (code, text, method, expected) => {
  expect(row(code, text, method)).toMatchObject({ ok: false, ...expected });
});

test("what a watch says last", () => {
  expect(failureOfStatus({ kind: "Status", code: 410, reason: "Expired", message: "too old" })).toMatchObject({ why: "expired" });
  expect(failureOfStatus("nonsense")).toMatchObject({ why: "unavailable" });
});

describe("requests as the server sees them", () => {
  test("create, update, patch, apply, delete, evict", async () => {
    const { api, client, last } = setUp();
    const spec = { containers: [] };
    const created = await client
      .as("kruise-manager/cloneset-controller")
      .create<Pod>(pods, { metadata: { name: "web-0", namespace: "shop" }, spec });
    expect(last()).toMatchObject({
      method: "POST",
      path: "/api/v1/namespaces/shop/pods",
      headers: { "user-agent": "kruise-manager/cloneset-controller" },
    });
    expect(JSON.parse(last().body!)).toMatchObject({ apiVersion: "v1", kind: "Pod", metadata: { name: "web-0" } });
    if (!created.ok) throw new Error(created.message);
    const { uid, resourceVersion } = created.object.metadata;

    expect(await client.create<Pod>(pods, { metadata: { name: "web-0", namespace: "shop" }, spec })).toMatchObject({
      ok: false,
      why: "alreadyExists",
    });
    expect(await client.update(pods, { ...created.object, metadata: { ...created.object.metadata, resourceVersion: "1" } })).toMatchObject({
      why: "conflict",
    });

    await client.update(pods, created.object, { subresource: "status", dryRun: true });
    expect(last()).toMatchObject({ method: "PUT", path: "/api/v1/namespaces/shop/pods/web-0/status?dryRun=All" });

    await client.patch(ref, "strategic", { metadata: { labels: { a: "b" }, uid } });
    expect(last()).toMatchObject({ method: "PATCH", headers: { "content-type": "application/strategic-merge-patch+json" } });

    await client.apply(ref, { metadata: { name: "web-0" } }, "kruise", { force: true });
    expect(last()).toMatchObject({
      path: "/api/v1/namespaces/shop/pods/web-0?fieldManager=kruise&force=true",
      headers: { "content-type": "application/apply-patch+yaml" },
    });

    api.intercept = () => json(201, { kind: "Status", status: "Success" });
    expect(await client.evict({ ...ref, uid })).toEqual({ ok: true, object: undefined });
    expect(last().path).toEndWith("/web-0/eviction");
    expect(JSON.parse(last().body!)).toMatchObject({
      kind: "Eviction",
      metadata: { name: "web-0", namespace: "shop" },
      deleteOptions: { preconditions: { uid } },
    });
    api.intercept = undefined;

    expect(await client.delete({ ...ref, uid: "another" })).toMatchObject({ ok: false, why: "conflict" });
    expect(await client.delete({ ...ref, uid }, { gracePeriodSeconds: 0, propagationPolicy: "Background" })).toEqual({
      ok: true,
      object: undefined,
    });
    expect(JSON.parse(last().body!)).toEqual({
      apiVersion: "v1",
      kind: "DeleteOptions",
      preconditions: { uid },
      gracePeriodSeconds: 0,
      propagationPolicy: "Background",
    });
    expect(await client.get(pods, ref)).toMatchObject({ ok: false, why: "notFound" });
    expect(Number(resourceVersion)).toBeGreaterThan(0);
  });

  test("bodies are written as Go writes them: what the server keeps as text stays the same when it is patched", async () => {
    const { client, last } = setUp();
    const command = "a && b <c> \u2028\u2029";
    await client.create<Pod>(pods, {
      metadata: { name: "web-0", namespace: "shop" },
      spec: { containers: [{ name: "c", command: [command] }] },
    });
    expect(last().body).toContain("a \\u0026\\u0026 b \\u003cc\\u003e \\u2028\\u2029");
    expect(JSON.parse(last().body!)).toMatchObject({ spec: { containers: [{ command: [command] }] } });
  });

  test("a JSON patch that does not apply any more is a conflict", async () => {
    const { api, client } = setUp();
    api.intercept = () => status(422, "Invalid", "the server rejected our request due to an error in our request");
    expect(await client.patch(ref, "json", [{ op: "test", path: "/a", value: 1 }])).toMatchObject({ ok: false, why: "conflict" });
    expect(await client.patch(ref, "merge", {})).toMatchObject({ ok: false, why: "denied" });
  });

  test("a budget's no to an eviction comes back at once", async () => {
    const { api, client } = setUp();
    api.intercept = () =>
      status(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", { "retry-after": "10" });
    expect(await client.evict(ref)).toMatchObject({ ok: false, why: "throttled", retryAfterMs: 10_000 });
    expect(api.requests).toHaveLength(1);
  });
});

test.each([
  [{ kind: "Pod", metadata: { name: "web-0", uid: "u", deletionTimestamp: "t", deletionGracePeriodSeconds: 30 } }, false, "still stopping"],
  [{ kind: "Pod", metadata: { name: "web-0", uid: "u", deletionTimestamp: "t", deletionGracePeriodSeconds: 0 } }, true, "removed by force"],
  [
    { kind: "Pod", metadata: { name: "web-0", uid: "u", deletionTimestamp: "t", deletionGracePeriodSeconds: 0, finalizers: ["f"] } },
    false,
    "held by a finalizer",
  ],
  [{ kind: "PersistentVolumeClaim", metadata: { name: "web-0", uid: "u" } }, true, "shown as it was"],
  [{ kind: "Status", status: "Success", details: { uid: "u" } }, true, "only said so"],
])("a delete that answers %j: gone %p (%s)", async (answer, gone) => {
  const { api, client } = setUp();
  api.intercept = () => json(200, answer);
  const deleted = await client.delete(ref);
  expect(deleted.ok && deleted.object === undefined).toBe(gone);
});

describe("lists", () => {
  test("page by page, with the type on each item", async () => {
    const { api, client } = setUp();
    for (let index = 0; index < 7; index += 1) api.put(podsPath, { metadata: { name: `web-${index}`, namespace: "shop" } });
    const list = await client.list(pods, { limit: 3, labelSelector: "a in (b,c)" });
    expect(list.ok && list.object.map(({ metadata, kind, apiVersion }) => `${apiVersion}/${kind}/${metadata.name}`)).toEqual(
      Array.from({ length: 7 }, (_, index) => `v1/Pod/web-${index}`),
    );
    expect(api.requests).toHaveLength(3);
    expect(api.requests[0]!.path).toBe("/api/v1/pods?limit=3&labelSelector=a%20in%20(b%2Cc)");
  });

  test("a continue token that expires begins the list again", async () => {
    const { api, client } = setUp();
    for (let index = 0; index < 5; index += 1) api.put(podsPath, { metadata: { name: `web-${index}`, namespace: "shop" } });
    let expired = 0;
    api.intercept = ({ path }) => {
      if (!path.includes("continue=") || expired > 0) return undefined;
      expired += 1;
      return status(410, "Expired", "too old");
    };
    const list = await client.list(pods, { limit: 2 });
    expect(list.ok && list.object).toHaveLength(5);
  });
});

test("an answer that is no JSON may still have been a write that happened", async () => {
  const { api, client } = setUp();
  api.intercept = () => ({ ...json(200, {}), text: async () => '{"kind":"Pod","meta' });
  expect(await client.create<Pod>(pods, { metadata: { name: "a", namespace: "b" }, spec: { containers: [] } })).toMatchObject({
    why: "unavailable",
    mayHaveHappened: true,
  });
});

test.each([
  [objectPath(nodes, { namespace: "", name: "n1" }), "/api/v1/nodes/n1"],
  [objectPath(leases, { namespace: "a", name: "b" }), "/apis/coordination.k8s.io/v1/namespaces/a/leases/b"],
  [objectPath(nodes, { namespace: "", name: "system:node:a/b" }, "status"), "/api/v1/nodes/system%3Anode%3Aa%2Fb/status"],
  [withQuery("/a?b=c", { d: 1, e: undefined, f: "", g: false }), "/a?b=c&d=1&g=false"],
])("%s", (path, expected) => {
  expect(path).toBe(expected);
});
