/** What keeps the cluster itself running is never held up by what guards everybody else's: each thing here is done in two namespaces. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { features } from "../features/index.ts";
import { type Fields, fieldsOf, itemsOf, textOf } from "../kube/json.ts";
import type { Running } from "../manager/manager.ts";
import { issueIdentity } from "./identity.ts";
import { installKruise, managerHost, managerService, startManagerInside } from "./manager-inside.ts";
import { statusOf, template, until, World } from "./testing/world.ts";
import { webhooksInside } from "./webhooks-inside.ts";

let world: World;
let manager: Running;
const problems: string[] = [];
const stateDir = mkdtempSync(join(tmpdir(), "sandbox-"));

beforeAll(async () => {
  const webhooks = webhooksInside(managerService, () => Promise.reject(new Error("no network")));
  world = await World.start({ fetch: webhooks.fetch, serviceUrl: webhooks.serviceUrl });
  const { env, sandbox } = world;
  await until(env, installKruise(env, sandbox, await issueIdentity([managerHost], env.nowMs())));
  const flags = ["--feature-gates=ResourcesDeletionProtection=true"];
  const fatal = (message: string) => void problems.push(message);
  manager = await until(env, startManagerInside(env, { sandbox, webhooks, stateDir, fatal, flags }));
  await world.pass(1_000);
}, 60_000);

afterAll(async () => {
  world.env.stop();
  await until(world.env, manager.stop());
  rmSync(stateDir, { recursive: true });
  expect(problems).toEqual([]);
});

test.each([
  ["default", 403],
  ["kube-system", 200],
])("a pod in %s whose budget has nothing left is deleted with %i (budgets 31)", async (namespace, status) => {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const budgets = `/apis/policy.kruise.io/v1beta1/namespaces/${namespace}/podunavailablebudgets`;
  await world.create(pods, { metadata: { name: "dns", labels: { app: "dns" } }, spec: template("dns:v1")["spec"] });
  await world.create(budgets, {
    apiVersion: "policy.kruise.io/v1beta1",
    kind: "PodUnavailableBudget",
    metadata: { name: "dns" },
    spec: { selector: { matchLabels: { app: "dns" } }, minAvailable: 1 },
  });
  await world.pass(20_000);
  expect(statusOf(await world.get(`${budgets}/dns`))).toMatchObject({ currentAvailable: 1, desiredAvailable: 1, unavailableAllowed: 0 });
  expect((await world.request("DELETE", `${pods}/dns`)).status).toBe(status);
});

/** The entries as the chart has them, in place of those of the plain manifests. */
async function asTheChartHasThem(): Promise<void> {
  const path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/kruise-validating-webhook-configuration";
  const charted = new Map(features.flatMap(({ webhooks = [] }) => webhooks).map(({ name, chart }) => [name, chart]));
  const live = itemsOf((await world.get(path))["webhooks"]).map(fieldsOf);
  const webhooks: Fields[] = live.map((entry) => ({ ...entry, ...charted.get(textOf(entry["name"])) }));
  await world.patch(path, { metadata: { annotations: { template: "" } }, webhooks });
  // The manager works with files and keys as well, at their own pace.
  const template = async () => fieldsOf(fieldsOf((await world.get(path))["metadata"])["annotations"])["template"];
  for (const deadlineMs = Date.now() + 10_000; Date.now() < deadlineMs && (await template()) === ""; await Bun.sleep(0))
    await world.pass(100);
  expect(await template()).not.toBe("");
}

test("a protected Deployment in kube-system goes, where the chart has installed what protects it (deletion protection 17)", async () => {
  const remove = async (namespace: string, name: string): Promise<number> => {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
    await world.create(path, {
      metadata: { name, labels: { "policy.kruise.io/delete-protection": "Always" } },
      spec: { replicas: 0, selector: { matchLabels: { app: "web" } }, template: template("web:v1") },
    });
    return (await world.request("DELETE", `${path}/${name}`)).status;
  };
  expect([await remove("default", "plain"), await remove("kube-system", "plain")]).toEqual([403, 403]);
  await asTheChartHasThem();
  expect([await remove("default", "charted"), await remove("kube-system", "charted")]).toEqual([403, 200]);
});
