/**
 * What guards pods and objects, and what ends sidecars, with other feature gates than the rest of the tests: one manager after the other in a
 * cluster of its own. Numbers are those of the acceptance list of PodUnavailableBudget unless another one is named.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { annotation, label } from "../../src/api/names.ts";
import type { Container, Pod } from "../../src/kube/types.ts";
import { render } from "../lib/helm.ts";
import { type Answer, type Manager, type ObjectLike, type Rig, startRig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";
import { type Loose, Yard } from "./guards.ts";
import { ends, Job } from "./jobs.ts";

let rig: Rig;
let manager: Manager | undefined;
/** Made while budgets and protection are at work, for the time when they are not. */
let guardedYard: Yard;
let protectedOnes: readonly string[];
let job: Job;

beforeAll(async () => {
  rig = await startRig({ kwokNodes: 2 });
  await rig.install();
}, startTimeoutMs);
afterAll(async () => {
  await rig?.stop();
}, 60_000);

async function startWith(gates: string): Promise<void> {
  await manager?.stop();
  manager = await rig.startManager({ flags: [`--feature-gates=${gates}`] });
}

interface Told {
  readonly message?: string;
}
const remove = (path: string): Promise<Answer<Told>> => rig.admin.request("DELETE", path);
const protect = (value: string) => ({ [label.deletionProtection]: value });

describe("resizes are free, definitions cannot be counted, nodes have no agents", () => {
  beforeAll(async () => {
    const gates = ["PodUnavailableBudgetUpdateGate", "InPlacePodVerticalScaling", "ResourcesDeletionProtection", "SidecarTerminator"];
    await startWith([...gates.map((gate) => `${gate}=true`), "KruiseDaemon=false"].join(","));
    [guardedYard, protectedOnes, job] = await Promise.all([
      guardOne(),
      protectAll(),
      Job.start(rig, { containers: { main: [], side: [ends] } }),
    ]);
    await job.end({ main: 0 });
  }, 120_000);

  const resources = (cpu: string, more: Loose = {}): Loose => ({ requests: { cpu, memory: "64Mi", ...more } });
  /** A pod that may not be touched. */
  async function sized(container: Loose = {}): Promise<Yard> {
    const yard = await Yard.open(rig);
    await yard.bare(1, { container: { resources: resources("1"), ...container } });
    await yard.budget({ minAvailable: 1 });
    await yard.untilCounts(0, 1, 1, 0);
    return yard;
  }
  const change = (container: Loose): Loose => ({ spec: { containers: [{ name: "main", ...container }] } });
  const restarts = { resizePolicy: [{ resourceName: "cpu", restartPolicy: "RestartContainer" }] };

  test.concurrent("21: with InPlacePodVerticalScaling a resize is free, one that restarts is an update", async () => {
    const free = await sized();
    const resized = await free.patchPod("p-0", change({ resources: resources("3") }), "/resize");
    expect([resized.status, resized.body.spec?.containers[0]?.resources?.requests?.["cpu"]]).toEqual([200, "3"]);
    expect(await free.status()).toMatchObject({ unavailableAllowed: 0 });
    expect((await free.status())?.unavailablePods).toBeUndefined();
    const restarted = await sized(restarts);
    expect((await restarted.patchPod("p-0", change({ resources: resources("3") }), "/resize")).status).toBe(403);
  }, 60_000);

  test.concurrent("22: resizes that are updates: this server refuses or cuts them itself, the manager says so for those that do not", async () => {
    const yard = await sized();
    const pod = await rig.admin.must<Pod>("GET", yard.pods("p-0"));
    const tries: [Loose, number, string?][] = [
      [{ resources: { ...resources("1"), limits: { cpu: "1", memory: "64Mi" } } }, 422, "QOS"],
      [{ resources: resources("1", { "ephemeral-storage": "1Gi" }) }, 422, "only cpu and memory"],
      [{ resources: resources("2"), image: "nginx:v2" }, 200],
    ];
    for (const [container, status, text = ""] of tries) {
      const answer = await yard.patchPod("p-0", change(container), "/resize?dryRun=All");
      expect([container, answer.status]).toEqual([container, status]);
      if (status === 422) expect(answer.body.message).toContain(text);
      else expect(answer.body.spec.containers[0]?.image).toBe("nginx:v1");
    }
    for (const [container] of tries) {
      expect(await ask(pod, container)).toMatchObject({
        allowed: false,
        status: { code: 403, message: expect.stringContaining("no unavailable quota left") },
      });
    }
    expect(await ask(pod, { resources: resources("3") })).toMatchObject({ allowed: true });
  }, 60_000);

  /** As a server asks that does not look at resizes itself. */
  async function ask(pod: Pod, container: Loose): Promise<object> {
    const containers = pod.spec.containers.map((was) => ({ ...was, ...container }) as Container);
    const request = {
      uid: crypto.randomUUID(),
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      name: pod.metadata.name,
      namespace: pod.metadata.namespace,
      operation: "UPDATE",
      userInfo: { username: "kubernetes-admin" },
      object: { ...pod, spec: { ...pod.spec, containers } },
      oldObject: pod,
      dryRun: true,
    };
    const answer = await fetch(`https://127.0.0.1:${manager?.webhookPort}/validate-pod`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request }),
      tls: { rejectUnauthorized: false },
    });
    return ((await answer.json()) as { response: object }).response;
  }

  test.concurrent("deletion protection 9: without its gate a Cascading CRD cannot be deleted at all", async () => {
    const path = definitionPath(await define("Cascading"));
    expect(await remove(path)).toMatchObject({
      status: 403,
      body: { message: expect.stringContaining("feature-gate DeletionProtectionForCRDCascadingGate is not enabled") },
    });
    await rig.admin.patch(path, { metadata: { labels: { [label.deletionProtection]: null } } });
    expect((await remove(path)).status).toBe(200);
  }, 60_000);

  test("30, deletion protection 10, terminator 16: what is refused here", async () => {
    for (const path of protectedOnes) expect([path, (await remove(`${path}?dryRun=All`)).status]).toEqual([path, 403]);
    expect((await guardedYard.delete("p-0")).status).toBe(403);
    expect(await job.request()).toBeUndefined();
  }, 60_000);

  test("deletion protection 17: a protected Deployment in kube-system goes, with the chart's entries", async () => {
    const { namespace } = await Yard.open(rig);
    const tryIn = async (where: string, name: string): Promise<number> => {
      const path = `/apis/apps/v1/namespaces/${where}/deployments`;
      await rig.admin.create(path, { metadata: { name, labels: protect("Always") }, spec: workload(0) });
      return (await remove(`${path}/${name}`)).status;
    };
    expect([await tryIn(namespace, "plain"), await tryIn("kube-system", "plain")]).toEqual([403, 403]);
    await asTheChartHasThem();
    await waitFor(
      "the server to go by them",
      async () => (await tryIn("kube-system", `charted-${crypto.randomUUID().slice(0, 8)}`)) === 200,
    );
    expect(await tryIn(namespace, "charted")).toBe(403);
  }, 60_000);
});

describe("with the gates of budgets, protection and SidecarTerminator off", () => {
  beforeAll(async () => {
    await startWith("PodUnavailableBudgetDeleteGate=false");
  }, 120_000);

  test("30: no budget is accepted, no pod is marked, and none that was is guarded", async () => {
    const yard = guardedYard;
    const spec = { selector: { matchLabels: { app: "web" } }, maxUnavailable: 1 };
    const budget = { apiVersion: "policy.kruise.io/v1beta1", kind: "PodUnavailableBudget", metadata: { name: "other" }, spec };
    const { status, body } = await rig.admin.request<Told>("POST", yard.budgets(), budget);
    expect([status, body.message]).toEqual([400, expect.stringMatching(/PodUnavailableBudgetDeleteGate.*PodUnavailableBudgetUpdateGate/)]);
    await yard.bare(1, {}, "late");
    const marked = (await yard.allPods()).filter(({ metadata }) => metadata.annotations?.[annotation.relatedPub] !== undefined);
    expect(marked.map(({ metadata }) => metadata.name)).toEqual(["p-0"]);
    expect((await yard.delete("p-0")).status).toBe(200);
  }, 60_000);

  test("deletion protection 10: everything that was refused goes", async () => {
    for (const path of protectedOnes) expect([path, (await remove(path)).status]).toEqual([path, 200]);
  }, 60_000);

  test("terminator 16: nothing happens without its gate, nor without agents on the nodes; then the request comes", async () => {
    expect([await job.request(), await job.yard.events("SidecarTerminator")]).toEqual([undefined, []]);
    await startWith("SidecarTerminator=true");
    expect(await job.asked()).toEqual(["side"]);
  }, 120_000);
});

async function guardOne(): Promise<Yard> {
  const yard = await Yard.open(rig);
  await yard.bare(1);
  await yard.budget({ minAvailable: 1 });
  await yard.untilCounts(0, 1, 1, 0);
  return yard;
}

const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx:v1" }] } };
const workload = (replicas: number) => ({ replicas, selector: { matchLabels: { app: "web" } }, template });

/** One of each kind that can be protected, in either way. @returns their paths */
async function protectAll(): Promise<readonly string[]> {
  const yard = await Yard.open(rig);
  const cloneSets = `/apis/apps.kruise.io/v1beta1/namespaces/${yard.namespace}/clonesets`;
  const objects: [string, Loose][] = [
    ...["deployments", "replicasets", "statefulsets"].map((plural): [string, Loose] => [yard.apps(plural), { spec: workload(2) }]),
    [cloneSets, { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", spec: workload(2) }],
  ];
  const alwaysOnly: [string, Loose][] = [
    [`/api/v1/namespaces/${yard.namespace}/services`, { spec: { ports: [{ port: 80 }] } }],
    [
      `/apis/networking.k8s.io/v1/namespaces/${yard.namespace}/ingresses`,
      { spec: { defaultBackend: { service: { name: "x", port: { number: 80 } } } } },
    ],
  ];
  const make = async (value: string, [path, object]: [string, Loose]): Promise<string> => {
    const name = value.toLowerCase();
    await rig.admin.create(path, { ...object, metadata: { name, labels: protect(value) } });
    return `${path}/${name}`;
  };
  const labelled = async (value: string): Promise<string> => {
    const other = await Yard.open(rig);
    await other.bare(1);
    const path = `/api/v1/namespaces/${other.namespace}`;
    await rig.admin.patch(path, { metadata: { labels: protect(value) } });
    return path;
  };
  const values = ["Always", "Cascading"];
  return Promise.all([
    ...values.flatMap((value) => objects.map((object) => make(value, object))),
    ...alwaysOnly.map((object) => make("Always", object)),
    ...values.map(labelled),
    ...values.map(async (value) => definitionPath(await define(value))),
  ]);
}

const definitionPath = (name: string) => `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
async function define(protection: string): Promise<string> {
  const group = `g-${crypto.randomUUID().slice(0, 8)}.example.com`;
  const name = `games.${group}`;
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  await rig.apply({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name, labels: protect(protection) },
    spec: {
      group,
      names: { plural: "games", kind: "Game", singular: "game", listKind: "GameList" },
      scope: "Namespaced",
      versions: [{ name: "v1", served: true, storage: true, schema }],
    },
  });
  return name;
}

interface Configuration extends ObjectLike {
  readonly webhooks: readonly { readonly name: string; readonly namespaceSelector?: object; readonly failurePolicy: string }[];
}
/** The entries of the live configuration get the chart's selectors and policies in place of the plain manifests'. */
async function asTheChartHasThem(): Promise<void> {
  const path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/kruise-validating-webhook-configuration";
  const charted = (await render()).find(({ kind }) => kind === "ValidatingWebhookConfiguration") as Configuration;
  const { webhooks } = await rig.admin.must<Configuration>("GET", path);
  const merged = webhooks.map((entry) => {
    const its = charted.webhooks.find(({ name }) => name === entry.name);
    return its === undefined ? entry : { ...entry, namespaceSelector: its.namespaceSelector, failurePolicy: its.failurePolicy };
  });
  expect(merged).not.toEqual([...webhooks]);
  await rig.admin.patch(path, { metadata: { annotations: { template: "" } }, webhooks: merged });
}
