import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeEnv } from "../env/fake.ts";
import { fieldsOf, itemsOf, textOf } from "../kube/json.ts";
import { issueIdentity } from "./identity.ts";
import { installKruise, managerHost, managerService, startManagerInside } from "./manager-inside.ts";
import { createSandbox } from "./sandbox.ts";
import { until } from "./testing/world.ts";
import { webhooksInside } from "./webhooks-inside.ts";

test("pod webhooks are narrowed to what exists, with the manager's own match conditions, in virtual time", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "sandbox-"));
  const env = new FakeEnv();
  const inside = webhooksInside(managerService, () => Promise.reject(new Error("no network")));
  let asked = 0;
  const fetch: typeof inside.fetch = (url, request) => {
    if (String(url).includes("/mutate-pod")) asked += 1;
    return inside.fetch(url, request);
  };
  const sandbox = createSandbox(env, { fetch, serviceUrl: inside.serviceUrl });
  const call = async (method: string, path: string, body?: unknown) => {
    const headers = { "content-type": "application/json", accept: "application/json", "user-agent": "user" };
    const answer = await until(
      env,
      sandbox.handle({ method, path, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }),
    );
    return { status: answer.status, body: fieldsOf(JSON.parse(String(answer.body))) };
  };
  await sandbox.start();
  await until(env, installKruise(env, sandbox, await issueIdentity([managerHost], env.nowMs())));
  const flags = ["--narrow-pod-webhooks"];
  const fatal = (message: string) => {
    throw new Error(message);
  };
  const manager = await until(env, startManagerInside(env, { sandbox, webhooks: inside, stateDir, fatal, flags }));
  const configuration = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/kruise-mutating-webhook-configuration";
  const conditions = async () => itemsOf(fieldsOf(itemsOf((await call("GET", configuration)).body["webhooks"])[0])["matchConditions"]);
  let serial = 0;
  const create = async (labels: object, spec: object = {}, more: object = {}) => {
    serial += 1;
    const containers = [{ name: "main", image: "web:v1" }];
    const metadata = { name: `pod-${serial}`, labels, ...more };
    const before = asked;
    const { status, body } = await call("POST", "/api/v1/namespaces/default/pods", { metadata, spec: { containers, ...spec } });
    const names = itemsOf(fieldsOf(body["spec"])["containers"]).map((container) => textOf(fieldsOf(container)["name"]));
    return { status, names: names.join(), asked: asked - before, gates: itemsOf(fieldsOf(body["spec"])["readinessGates"]).length };
  };

  await env.advance(2_000);
  expect(await conditions()).toEqual([]);
  expect(await create({ app: "web" })).toMatchObject({ status: 201, asked: 1 });
  await env.advance(95_000);
  expect(await conditions()).toHaveLength(1);
  expect(await create({ app: "web" })).toMatchObject({ status: 201, names: "main", asked: 0 });
  expect(await create({}, { containers: null })).toMatchObject({ status: 422, asked: 0 });
  const owner = { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", name: "web", uid: "u", controller: true };
  expect(await create({}, {}, { ownerReferences: [owner] })).toMatchObject({ asked: 1, gates: 1 });
  const ordered = ["a", "b"].map((name) => ({
    name,
    image: "web:v1",
    env: [{ name: "KRUISE_CONTAINER_PRIORITY", value: name === "a" ? "1" : "0" }],
  }));
  expect(await create({}, { containers: ordered })).toMatchObject({ asked: 1, names: "a,b" });

  const sets = "/apis/apps.kruise.io/v1beta1/sidecarsets";
  const set = (name: string, selector: object) => ({
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "SidecarSet",
    metadata: { name },
    spec: { selector, containers: [{ name, image: "side:v1" }] },
  });
  const startedMs = env.nowMs();
  expect((await call("POST", sets, set("mesh", { matchLabels: { app: "web" } }))).status).toBe(201);
  expect(env.nowMs() - startedMs).toBeGreaterThanOrEqual(1_000);
  expect(await create({ app: "web" })).toMatchObject({ names: "mesh,main", asked: 1 });
  expect(await create({ app: "db" })).toMatchObject({ names: "main", asked: 0 });
  const expressions = [
    { key: "tier", operator: "NotIn", values: ["x"] },
    { key: "zone", operator: "Exists" },
  ];
  expect((await call("POST", sets, set("odd", { matchExpressions: expressions }))).status).toBe(201);
  expect(await create({ zone: "1" })).toMatchObject({ names: "odd,main", asked: 1 });
  expect(await create({ zone: "1", tier: "x" })).toMatchObject({ names: "main", asked: 0 });
  expect(await create({})).toMatchObject({ names: "main", asked: 0 });

  for (const name of ["mesh", "odd"]) await call("DELETE", `${sets}/${name}`);
  await env.advance(95_000);
  expect(await create({ app: "web", zone: "1" })).toMatchObject({ names: "main", asked: 0 });
  env.stop();
  await until(env, manager.stop());
  rmSync(stateDir, { recursive: true, force: true });
}, 120_000);
