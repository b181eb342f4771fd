/** Deletion protection on a real control plane. Numbers are those of its acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { label } from "../../src/api/names.ts";
import type { Pod } from "../../src/kube/types.ts";
import { collectedMs, type ObjectLike, podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";
import { type Guarded, guarded, type Loose, Yard } from "./guards.ts";

let all: Guarded;
let rig: Rig;
beforeAll(async () => {
  all = await guarded();
  ({ rig } = all);
}, startTimeoutMs);

const protect = (value: string) => ({ [label.deletionProtection]: value });
interface Refused {
  message?: string;
  reason?: string;
}
const remove = async (path: string, body?: unknown) => rig.admin.request<Refused>("DELETE", path, body);
const relabel = (path: string, value: string | null) =>
  rig.admin.patch(path, { metadata: { labels: { [label.deletionProtection]: value } } });
const refusal = (text: string) => ({ status: 403, body: { reason: "Forbidden", message: expect.stringContaining(text) } });
const key = `forbidden by ResourcesProtectionDeletion for ${label.deletionProtection}`;
const isGone = (path: string) =>
  waitFor(`${path} to be gone`, async () => (await rig.admin.get(path)) === undefined, { timeoutMs: collectedMs });

const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx:v1" }] } };
const workload = (replicas: number) => ({ replicas, selector: { matchLabels: { app: "web" } }, template });

/** How often one refusal is counted: where its own cache is behind, the API server asks once more, with what is stored. */
const once = [1, 2];

describe("namespaces", () => {
  const path = (name: string) => `/api/v1/namespaces/${name}`;

  test("1: Always, until the label goes", async () => {
    const { namespace } = await Yard.open(rig);
    await relabel(path(namespace), "Always");
    expect(await remove(path(namespace))).toMatchObject(refusal(`${key}=Always`));
    expect(once).toContain(await all.metric("namespace_deletion_protection", `name="${namespace}"`));
    await relabel(path(namespace), null);
    expect((await remove(path(namespace))).status).toBe(200);
    await isGone(path(namespace));
  }, 90_000);

  test("2, 3: Cascading, while a pod is active; not for one that has finished, or is on its way out", async () => {
    const yard = await Yard.open(rig);
    await relabel(path(yard.namespace), "Cascading");
    await yard.bare(1);
    await rig.admin.create(yard.pods(), {
      metadata: { name: "done", annotations: { [podAnnotations.exitCode]: "0" } },
      spec: { restartPolicy: "Never", containers: [{ name: "main", image: "job:v1" }] },
    });
    await waitFor(
      "the other pod to have finished",
      async () => (await rig.admin.get<Pod>(yard.pods("done")))?.status?.phase === "Succeeded",
    );
    expect(await remove(path(yard.namespace))).toMatchObject(refusal(`${key}=Cascading and active pods 1>0`));
    await yard.admin.patch(yard.pods("p-0"), { metadata: { finalizers: ["test.example/hold"] } });
    await yard.delete("p-0");
    await waitFor("the namespace to be let go", async () => (await remove(path(yard.namespace))).status === 200);
    await yard.admin.patch(yard.pods("p-0"), { metadata: { finalizers: null } });
    await isGone(path(yard.namespace));
  }, 90_000);

  test("4: Cascading, while a claim is bound; not for one that is pending, or on its way out", async () => {
    const yard = await Yard.open(rig);
    await relabel(path(yard.namespace), "Cascading");
    const claims = `${path(yard.namespace)}/persistentvolumeclaims`;
    const claim = (name: string, more: Loose = {}) =>
      rig.admin.create(claims, {
        metadata: { name, finalizers: ["test.example/hold"] },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...more },
      });
    await claim("pending", { storageClassName: "none" });
    const dryRun = () => remove(`${path(yard.namespace)}?dryRun=All`);
    expect((await dryRun()).status).toBe(200);
    await claim("bound");
    // The managers see that it is bound a moment after the server does.
    await waitFor("the refusal", async () => {
      const answer = await dryRun();
      return answer.status === 403 && (answer.body.message?.includes('"Bound" status pvc 1>0') ?? false);
    });
    await remove(`${claims}/bound`);
    expect(await rig.admin.get(`${claims}/bound`)).toMatchObject({
      metadata: { deletionTimestamp: expect.any(String) },
      status: { phase: "Bound" },
    });
    await waitFor("the namespace to be let go", async () => (await dryRun()).status === 200);
    expect((await remove(path(yard.namespace))).status).toBe(200);
    for (const name of ["pending", "bound"]) await rig.admin.patch(`${claims}/${name}`, { metadata: { finalizers: null } });
  }, 90_000);
});

describe("workloads", () => {
  test.each(["deployments", "replicasets", "statefulsets"])("5, 6: %s", async (plural) => {
    const yard = await Yard.open(rig);
    const at = yard.apps(plural, "web");
    await rig.admin.create(yard.apps(plural), { metadata: { name: "web", labels: protect("Always") }, spec: workload(0) });
    expect(await remove(at)).toMatchObject(refusal(`${key}=Always`));
    await relabel(at, "Cascading");
    await rig.admin.patch(at, { spec: { replicas: 2 } });
    expect(await remove(at)).toMatchObject(refusal(`${key}=Cascading and replicas 2>0`));
    await rig.admin.patch(at, { spec: { replicas: 0 } });
    expect((await remove(at)).status).toBe(200);
  });

  test("6, 7: CloneSets, in either version; another value protects nothing", async () => {
    const yard = await Yard.open(rig);
    const at = (version: string, name = "") =>
      `/apis/apps.kruise.io/${version}/namespaces/${yard.namespace}/clonesets${name && `/${name}`}`;
    const create = (name: string, value: string) =>
      rig.admin.create(at("v1beta1"), {
        apiVersion: "apps.kruise.io/v1beta1",
        kind: "CloneSet",
        metadata: { name, labels: protect(value) },
        spec: workload(1),
      });
    await create("web", "Cascading");
    for (const version of ["v1alpha1", "v1beta1"]) {
      expect(await remove(at(version, "web"))).toMatchObject(refusal(`${key}=Cascading and replicas 1>0`));
    }
    await create("other", "cascading");
    expect((await remove(at("v1beta1", "other"))).status).toBe(200);
  }, 60_000);

  test("11, 12: dry run and foreground are refused, and leave no trace", async () => {
    const yard = await Yard.open(rig);
    const at = yard.apps("deployments", "web");
    await rig.admin.create(yard.apps("deployments"), { metadata: { name: "web", labels: protect("Always") }, spec: workload(1) });
    const counted = () => all.metric("workload_deletion_protection", `Deployment_${yard.namespace}_web`);
    expect((await remove(`${at}?dryRun=All`)).status).toBe(403);
    const first = await counted();
    expect(once).toContain(first);
    expect((await remove(at)).status).toBe(403);
    expect(once).toContain((await counted()) - first);
    expect((await remove(at, { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Foreground" })).status).toBe(403);
    expect((await rig.admin.get(at))?.metadata.deletionTimestamp).toBeUndefined();
  }, 60_000);

  test("15: counted and logged with the name of who tried", async () => {
    const yard = await Yard.open(rig);
    await rig.admin.create(yard.apps("deployments"), { metadata: { name: "web", labels: protect("Always") }, spec: workload(1) });
    const user = { apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "alice" };
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "admin" };
    await rig.admin.create(`/apis/rbac.authorization.k8s.io/v1/namespaces/${yard.namespace}/rolebindings`, {
      metadata: { name: "alice" },
      subjects: [user],
      roleRef,
    });
    await waitFor("the refusal", async () =>
      (await yard.kubectl("delete", "deployment", "web", "--as=alice")).stderr.includes("ResourcesProtectionDeletion"),
    );
    const series = `kind_namespace_name="Deployment_${yard.namespace}_web",username="alice"`;
    expect(once).toContain(await all.metric("workload_deletion_protection", series));
    const line = { Event: "DeletionProtection", Kind: "Deployment", Namespace: yard.namespace, Name: "web", UserAgent: "alice" };
    await waitFor("protection.log", () => all.protectionLog().some((each) => Bun.deepEquals(each, line)));
  }, 60_000);

  test("13: labelled after its deletion began", async () => {
    const yard = await Yard.open(rig);
    const at = yard.apps("deployments", "web");
    await rig.admin.create(yard.apps("deployments"), { metadata: { name: "web", finalizers: ["test.example/hold"] }, spec: workload(1) });
    await remove(at);
    await relabel(at, "Always");
    expect((await remove(at)).status).toBe(200);
    await rig.admin.patch(at, { metadata: { finalizers: null } });
    await isGone(at);
  }, 60_000);

  test("14: a collection with one that is protected", async () => {
    const yard = await Yard.open(rig);
    for (const name of ["a", "b", "c"]) {
      await rig.admin.create(yard.apps("deployments"), {
        metadata: { name, labels: name === "b" ? protect("Always") : {} },
        spec: workload(0),
      });
    }
    expect((await remove(yard.apps("deployments"))).status).toBe(403);
    expect(await rig.admin.get(yard.apps("deployments", "b"))).toBeDefined();
  }, 60_000);
});

describe("services, ingresses and what is not supported", () => {
  test("8: Always only", async () => {
    const yard = await Yard.open(rig);
    const services = `/api/v1/namespaces/${yard.namespace}/services`;
    const ingresses = `/apis/networking.k8s.io/v1/namespaces/${yard.namespace}/ingresses`;
    const objects: [string, Loose][] = [
      [services, { ports: [{ port: 80 }], selector: { app: "web" } }],
      [ingresses, { defaultBackend: { service: { name: "x", port: { number: 80 } } } }],
    ];
    for (const [path, spec] of objects) {
      await rig.admin.create(path, { metadata: { name: "x", labels: protect("Always") }, spec });
      expect(await remove(`${path}/x`)).toMatchObject(refusal(`${key}=Always`));
      await relabel(`${path}/x`, "Cascading");
      expect((await remove(`${path}/x`)).status).toBe(200);
    }
  }, 60_000);

  test("18: a ConfigMap and a DaemonSet", async () => {
    const yard = await Yard.open(rig);
    const maps = `/api/v1/namespaces/${yard.namespace}/configmaps`;
    await rig.admin.create(maps, { metadata: { name: "x", labels: protect("Always") } });
    expect((await remove(`${maps}/x`)).status).toBe(200);
    await rig.admin.create(yard.apps("daemonsets"), {
      metadata: { name: "x", labels: protect("Always") },
      spec: { selector: { matchLabels: { app: "web" } }, template },
    });
    expect((await remove(yard.apps("daemonsets", "x"))).status).toBe(200);
  }, 60_000);
});

test("9: CRDs: counted with the right to count, refused without, and let go when empty", async () => {
  const { namespace } = await Yard.open(rig);
  const group = `${namespace}.example.com`;
  const at = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/games.${group}`;
  await rig.apply({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `games.${group}`, labels: protect("Always") },
    spec: {
      group,
      names: { plural: "games", kind: "Game", singular: "game", listKind: "GameList" },
      scope: "Namespaced",
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
        },
      ],
    },
  });
  const games = `/apis/${group}/v1/namespaces/${namespace}/games`;
  await waitFor("the new kind to be served", async () => (await rig.admin.request("GET", games)).status === 200);
  expect(await remove(at)).toMatchObject(refusal(`${key}=Always`));
  expect(once).toContain(await all.metric("crd_deletion_protection", `games.${group}`));
  await relabel(at, "Cascading");
  // Manifests without what can be left out of them.
  const rights = join(import.meta.dir, "../../deploy/kustomize/gates/deletion-protection-for-crd-cascading.yaml");
  expect(await rig.kubectl(["delete", "-f", rights])).toMatchObject({ code: 0 });
  const denied = `grant the manager list on games.${group}`;
  await waitFor("the right to be gone", async () => (await remove(`${at}?dryRun=All`)).body.message?.includes(denied));
  expect(await remove(at)).toMatchObject(refusal(denied));
  expect(await rig.kubectl(["apply", "-f", rights])).toMatchObject({ code: 0, stderr: "" });
  await rig.admin.create<ObjectLike>(games, {
    apiVersion: `${group}/v1`,
    kind: "Game",
    metadata: { name: "chess", finalizers: ["test.example/hold"] },
  });
  await waitFor("the objects to be counted", async () => (await remove(`${at}?dryRun=All`)).body.message?.includes("active CRs 1>0"));
  await remove(`${games}/chess`);
  expect((await remove(at)).status).toBe(200);
  await rig.admin.patch(`${games}/chess`, { metadata: { finalizers: null } });
  await isGone(at);
}, 90_000);

test("16: with no manager, who carries no label is deleted all the same, and who does is not", async () => {
  const yard = await Yard.open(rig);
  for (const [name, labels] of [
    ["plain", {}],
    ["guarded", protect("Always")],
  ] as const)
    await rig.admin.create(yard.apps("deployments"), { metadata: { name, labels }, spec: workload(0) });
  await Promise.all(all.managers.map((manager) => manager.stop()));
  try {
    expect((await remove(yard.apps("deployments", "plain"))).status).toBe(200);
    expect((await remove(yard.apps("deployments", "guarded"))).status).toBe(500);
  } finally {
    await Promise.all(all.managers.map((manager) => manager.restart()));
  }
  await waitFor("the refusal of a manager", async () => (await remove(yard.apps("deployments", "guarded"))).status === 403);
}, 120_000);
