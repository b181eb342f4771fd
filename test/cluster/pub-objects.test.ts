/** PodUnavailableBudget as an object, as users see it, and pods that none guards. Numbers are those of its acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { podWebhooks } from "../../src/admission/pod.ts";
import { annotation } from "../../src/api/names.ts";
import type { PodUnavailableBudget } from "../../src/api/podunavailablebudget.ts";
import { guard } from "../../src/features/podunavailablebudget/guard.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";
import { type Guarded, guarded, type Loose, Yard } from "./guards.ts";

let all: Guarded;
let rig: Rig;
beforeAll(async () => {
  all = await guarded();
  ({ rig } = all);
}, startTimeoutMs);
const open = () => Yard.open(rig);

describe("budgets as objects", () => {
  const create = (
    yard: Yard,
    spec: Loose,
    version = "v1beta1",
    annotations: Record<string, string> = {},
    name = `b-${crypto.randomUUID().slice(0, 8)}`,
  ) =>
    yard.admin.request<PodUnavailableBudget & { message?: string; code?: number }>("POST", yard.budgets("", version), {
      apiVersion: `policy.kruise.io/${version}`,
      kind: "PodUnavailableBudget",
      metadata: { name, annotations },
      spec,
    });
  const selector = { matchLabels: { app: "none" } };

  test("23, 24, 25: refused with 400", async () => {
    const yard = await open();
    const refused: Loose[] = [
      { selector },
      { selector, maxUnavailable: 1, minAvailable: 1 },
      { maxUnavailable: 1 },
      { selector, maxUnavailable: "5" },
      { selector, maxUnavailable: "101%" },
      { selector, maxUnavailable: -1 },
    ];
    for (const spec of refused) expect([JSON.stringify(spec), (await create(yard, spec)).status]).toEqual([JSON.stringify(spec), 400]);
    expect((await create(yard, { selector, maxUnavailable: "30%" }, "v1beta1", {}, "web")).status).toBe(201);
    expect(
      (await yard.admin.request("PATCH", yard.budgets("web"), { spec: { selector: { matchLabels: { app: "other" } } } }, "merge")).status,
    ).toBe(400);
    expect((await yard.admin.request("PATCH", yard.budgets("web"), { spec: { maxUnavailable: 1 } }, "merge")).status).toBe(200);
    await waitFor("the new generation to be counted", async () => (await yard.status())?.observedGeneration === 2);
    expect((await create(yard, { selector, maxUnavailable: 1 })).status).toBe(400);
    const targetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "d" };
    expect((await create(yard, { targetRef, maxUnavailable: 1 })).status).toBe(201);
    await waitFor(
      "the second budget of one target to be refused",
      async () => (await create(yard, { targetRef: { ...targetRef, apiVersion: "apps/v1beta2" }, maxUnavailable: 1 })).status === 400,
    );
    expect((await (await open()).admin.request("GET", yard.budgets("web"))).status).toBe(200);
  }, 90_000);

  test("26, 27: read and written in both versions", async () => {
    const yard = await open();
    const annotations = { [annotation.pubProtectOperations]: "DELETE, EVICT", [annotation.pubProtectTotalReplicas]: "15" };
    expect((await create(yard, { selector, maxUnavailable: 1 }, "v1alpha1", annotations, "old")).status).toBe(201);
    expect((await yard.admin.get<PodUnavailableBudget>(yard.budgets("old")))?.spec).toMatchObject({
      protectOperations: ["DELETE", "EVICT"],
      protectTotalReplicas: 15,
    });
    expect((await create(yard, { selector, maxUnavailable: 1 }, "v1alpha1", { [annotation.pubProtectOperations]: "BOGUS" })).status).toBe(
      400,
    );
    const spec = {
      selector: { matchLabels: { app: "x" } },
      maxUnavailable: 1,
      protectOperations: ["DELETE", "RESIZE"],
      protectTotalReplicas: 9,
      ignoredPodSelector: selector,
    };
    expect((await create(yard, spec, "v1beta1", { keep: "me" }, "new")).status).toBe(201);
    const old = await yard.admin.get<PodUnavailableBudget>(yard.budgets("new", "v1alpha1"));
    expect(old?.metadata.annotations).toMatchObject({
      keep: "me",
      [annotation.pubProtectOperations]: "DELETE,RESIZE",
      [annotation.pubProtectTotalReplicas]: "9",
    });
    // A write through the old version loses nothing.
    await yard.admin.patch(yard.budgets("new", "v1alpha1"), { spec: { maxUnavailable: 2 } });
    expect((await yard.admin.get<PodUnavailableBudget>(yard.budgets("new")))?.spec).toEqual({ ...spec, maxUnavailable: 2 } as never);
  }, 90_000);

  test("31: pods of the cluster itself are never guarded", async () => {
    const yard = await open();
    const name = yard.namespace;
    const spec = { selector: { matchLabels: { app: name } }, minAvailable: 1 };
    const tryIn = async (namespace: string): Promise<number> => {
      const pods = `/api/v1/namespaces/${namespace}/pods`;
      const budgets = `/apis/policy.kruise.io/v1beta1/namespaces/${namespace}/podunavailablebudgets`;
      await yard.admin.create(budgets, { apiVersion: "policy.kruise.io/v1beta1", kind: "PodUnavailableBudget", metadata: { name }, spec });
      await yard.admin.create(pods, {
        metadata: { name, labels: { app: name } },
        spec: { containers: [{ name: "main", image: "nginx:v1" }] },
      });
      await waitFor(`the pod in ${namespace} to be counted`, async () => {
        const status = (await yard.admin.get<PodUnavailableBudget>(`${budgets}/${name}`))?.status;
        return status?.currentAvailable === 1 && status.unavailableAllowed === 0;
      });
      const { status } = await yard.admin.request("DELETE", `${pods}/${name}`);
      await yard.admin.delete(`${budgets}/${name}`);
      return status;
    };
    expect([await tryIn(yard.namespace), await tryIn("kube-system")]).toEqual([403, 200]);
  }, 90_000);

  test("any kind with a scale counts, without a right to read it", async () => {
    const yard = await open();
    const group = `${yard.namespace}.example.com`;
    await rig.apply({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: `games.${group}` },
      spec: {
        group,
        names: { plural: "games", kind: "Game", singular: "game", listKind: "GameList" },
        scope: "Namespaced",
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            subresources: { scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" }, status: {} },
            schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
          },
        ],
      },
    });
    const games = `/apis/${group}/v1/namespaces/${yard.namespace}/games`;
    await waitFor("the new kind to be served", async () => (await yard.admin.request("GET", games)).status === 200);
    const game = await yard.admin.create(games, {
      apiVersion: `${group}/v1`,
      kind: "Game",
      metadata: { name: "chess" },
      spec: { replicas: 3 },
    });
    const owner = { apiVersion: `${group}/v1`, kind: "Game", name: "chess", uid: game.metadata.uid, controller: true };
    await yard.bare(3, { metadata: { ownerReferences: [owner] } });
    await yard.budget({ maxUnavailable: 1, targetRef: { apiVersion: `${group}/v1`, kind: "Game", name: "chess" } });
    await yard.untilCounts(3, 2, 3, 1);
    await yard.admin.delete(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/games.${group}`);
  }, 90_000);
});

test("explained to a user: how the budget stands, and what would let this pod go", async () => {
  const yard = await open();
  await yard.bare(2);
  await yard.budget({ minAvailable: 2 });
  await yard.untilCounts(0, 2, 2, 0);
  const command = process.env["KRUISE_COMMAND"]?.split(" ") ?? ["bun", "src/main.ts"];
  const explain = async (what: string) => {
    const args = [
      "explain",
      what,
      "-n",
      yard.namespace,
      "--feature-gates=PodUnavailableBudgetUpdateGate=true",
      `--kubeconfig=${rig.kubeconfigPath}`,
    ];
    const child = Bun.spawn([...command, ...args], { stdout: "pipe", stderr: "pipe" });
    return { stdout: await new Response(child.stdout).text(), code: await child.exited };
  };
  const budget = await explain("pub/web");
  expect(budget.stdout).toContain("web: 2 pods available of 0 expected, 2 have to be, 0 may go now");
  const pod = await explain("pod/p-0");
  expect(pod.stdout).toContain("DELETE, UPDATE, EVICT, RESIZE would be refused: no unavailable quota left");
  expect(pod.stdout).toContain("would pass when 1 more pod is available");
  expect([budget.code, pod.code]).toEqual([1, 1]);
}, 60_000);

describe("pods that nothing guards, where the server is told not to ask about them", () => {
  const configuration = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/kruise-validating-webhook-configuration";
  interface Configuration {
    metadata: { name: string; annotations: Record<string, string> };
    webhooks: { name: string; matchConditions?: object[] }[];
  }
  const expression = podWebhooks({ mutations: [], guards: [guard], installNamespace: "x" }).find(
    ({ name }) => name === "vpod.kb.io",
  )?.narrowing;
  const narrowed = async (matchConditions: object[] | undefined) => {
    const live = await rig.admin.must<Configuration>("GET", configuration);
    const webhooks = live.webhooks.map((entry) => (entry.name === "vpod.kb.io" ? { ...entry, matchConditions } : entry));
    await rig.admin.patch(configuration, { metadata: { annotations: { template: "" } }, webhooks });
    await waitFor("the managers to take it over", async () => {
      const { metadata, webhooks: now } = await rig.admin.must<Configuration>("GET", configuration);
      const entry = now.find(({ name }) => name === "vpod.kb.io");
      return metadata.annotations["template"] !== "" && (entry?.matchConditions?.length ?? 0) === (matchConditions?.length ?? 0);
    });
  };

  test("they do not come to us and do not wait for us; those that are guarded still do", async () => {
    const yard = await open();
    await yard.bare(2, { metadata: { labels: { app: "other" } } }, "free");
    await yard.bare(2);
    await yard.budget({ minAvailable: 2 });
    await yard.untilCounts(0, 2, 2, 0);
    await narrowed([{ name: "concerned", expression }]);
    try {
      const image = { spec: { containers: [{ name: "main", image: "nginx:v2" }] } };
      await waitFor("unguarded pods not to be asked about", async () => {
        const before = await all.metric("controller_runtime_webhook_requests_total", "/validate-pod");
        await yard.patchPod("free-0", { metadata: { labels: { at: String(Date.now()) } } });
        return (await all.metric("controller_runtime_webhook_requests_total", "/validate-pod")) === before;
      });
      expect((await yard.patchPod("p-0", image)).status).toBe(403);
      expect((await yard.delete("p-0")).status).toBe(403);
      await Promise.all(all.managers.map((manager) => manager.stop()));
      expect((await yard.patchPod("free-0", image)).status).toBe(200);
      expect((await yard.delete("free-0")).status).toBe(200);
      expect((await yard.delete("p-0")).status).toBe(500);
    } finally {
      await Promise.all(all.managers.map(async (manager) => manager.process.running() || manager.restart()));
      await narrowed(undefined);
    }
    expect((await yard.delete("p-0")).status).toBe(403);
  }, 120_000);
});
