import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeEnv } from "../env/fake.ts";
import { fieldsOf, itemsOf } from "../kube/json.ts";
import { issueIdentity } from "./identity.ts";
import { installKruise, managerHost, managerService, startManagerInside } from "./manager-inside.ts";
import { createSandbox, type Sandbox } from "./sandbox.ts";
import { until } from "./testing/world.ts";
import { webhooksInside } from "./webhooks-inside.ts";

async function call(sandbox: Sandbox, method: string, path: string, body?: unknown, type = "application/json") {
  const headers = { "content-type": type, accept: "application/json", "user-agent": "user" };
  const answer = await sandbox.handle({ method, path, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: answer.status, body: fieldsOf(JSON.parse(String(answer.body))) };
}

const template = (image: string) => ({ metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image }] } });

test("the manager runs a CloneSet in the sandbox, in virtual time, through its webhooks", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "sandbox-"));
  const env = new FakeEnv();
  const webhooks = webhooksInside(managerService, () => Promise.reject(new Error("no network")));
  const sandbox = createSandbox(env, { fetch: webhooks.fetch, serviceUrl: webhooks.serviceUrl });
  await sandbox.start();
  await until(env, installKruise(env, sandbox, await issueIdentity([managerHost], env.nowMs())));
  const problems: string[] = [];
  const manager = await until(env, startManagerInside(env, { sandbox, webhooks, stateDir, fatal: (message) => problems.push(message) }));
  await env.advance(1000);

  const spec = {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    template: template("web:v1"),
    updateStrategy: { type: "InPlaceIfPossible" },
  };
  const path = "/apis/apps.kruise.io/v1alpha1/namespaces/default/clonesets";
  const made = await call(sandbox, "POST", path, {
    apiVersion: "apps.kruise.io/v1alpha1",
    kind: "CloneSet",
    metadata: { name: "web" },
    spec,
  });
  expect([made.status, made.body["message"]]).toEqual([201, undefined]);
  // Filled in by the manager's webhook.
  expect(fieldsOf(made.body["spec"])["revisionHistoryLimit"]).toBe(10);
  await env.advance(20_000);
  const pods = async () => itemsOf((await call(sandbox, "GET", "/api/v1/namespaces/default/pods")).body["items"]).map(fieldsOf);
  const first = await pods();
  expect(first.map((pod) => fieldsOf(itemsOf(fieldsOf(pod["status"])["containerStatuses"])[0])["ready"])).toEqual([true, true, true]);

  const patch = { spec: { template: template("web:v2") } };
  const patched = await call(sandbox, "PATCH", `${path}/web`, patch, "application/merge-patch+json");
  expect([patched.status, patched.body["message"]]).toEqual([200, undefined]);
  await env.advance(60_000);
  const second = await pods();
  const uids = (list: readonly (typeof first)[number][]) => list.map((pod) => fieldsOf(pod["metadata"])["uid"]);
  expect(uids(second)).toEqual(uids(first));
  expect(second.map((pod) => fieldsOf(itemsOf(fieldsOf(pod["status"])["containerStatuses"])[0])["image"])).toEqual([
    "web:v2",
    "web:v2",
    "web:v2",
  ]);
  // Defaults of what a webhook puts in.
  await call(sandbox, "POST", "/apis/apps.kruise.io/v1beta1/sidecarsets", {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "SidecarSet",
    metadata: { name: "mesh" },
    spec: { selector: { matchLabels: { app: "mesh" } }, containers: [{ name: "proxy", image: "proxy:1" }] },
  });
  await env.advance(1000);
  const injected = await call(sandbox, "POST", "/api/v1/namespaces/default/pods", {
    metadata: { name: "mesh", labels: { app: "mesh" } },
    spec: { containers: [{ name: "main", image: "main:1" }] },
  });
  expect(itemsOf(fieldsOf(injected.body["spec"])["containers"])[0]).toMatchObject({
    name: "proxy",
    imagePullPolicy: "IfNotPresent",
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    resources: {},
  });

  const set = await call(sandbox, "GET", `${path}/web`);
  expect(fieldsOf(set.body["status"])).toMatchObject({ replicas: 3, updatedReadyReplicas: 3, readyReplicas: 3 });
  expect(problems).toEqual([]);
  env.stop();
  await until(env, manager.stop());
  rmSync(stateDir, { recursive: true });
}, 60_000);
