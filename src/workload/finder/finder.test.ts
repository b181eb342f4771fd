import { describe, expect, test } from "bun:test";
import { cloneSets } from "../../api/cloneset.ts";
import { advancedStatefulSets } from "../../api/foreign.ts";
import { World } from "../../engine/testing/world.ts";
import { FakeEnv } from "../../env/fake.ts";
import type { Kind } from "../../kube/kind.ts";
import { configMaps, deployments, pods, replicaSets, statefulSets } from "../../kube/kinds.ts";
import type { KubeObject, OwnerReference, Pod } from "../../kube/types.ts";
import { expectedScale, type Finder, findWorkload, podsOf, reservedOrdinals, workloadOf } from "./index.ts";

const games: Kind = { group: "example.com", version: "v1", kind: "Game", plural: "games", namespaced: true };
const crds: Kind = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
};
const env = new FakeEnv({ seed: 1 });

function town() {
  const world = new World(env);
  const finder: Finder = { read: world, settings: { installNamespace: "kruise-system" } };
  const add = (kind: Kind, name: string, spec: object, more: Partial<KubeObject["metadata"]> = {}) =>
    world.add(kind as Kind, { metadata: { name, namespace: "shop", ...more }, spec } as never);
  const ownedBy = (kind: Kind, owner: KubeObject): OwnerReference[] => [
    { apiVersion: `${kind.group}/${kind.version}`, kind: kind.kind, name: owner.metadata.name, uid: owner.metadata.uid, controller: true },
  ];
  const pod = (name: string, owner?: OwnerReference[], more: Partial<Pod> = {}) =>
    world.add(pods, {
      metadata: { name, namespace: "shop", ownerReferences: owner, labels: { app: "web" } },
      spec: { containers: [] },
      ...more,
    });
  const reference = (kind: Kind, name: string) => ({
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    namespace: "shop",
    name,
  });
  return { world, finder, add, ownedBy, pod, reference };
}
/** The world answers in virtual time. */
async function answer<T>(asked: Promise<T>): Promise<T> {
  let done = false;
  asked.finally(() => {
    done = true;
  });
  await env.runUntil(() => done, 1_000);
  return asked;
}
const selector = { matchLabels: { app: "web" } };

describe("findWorkload", () => {
  test("kinds that are known, in any version; recreated or missing ones are not it", async () => {
    const { finder, add, reference } = town();
    const set = add(cloneSets as Kind, "web", { replicas: 3, selector });
    const asked = { ...reference(cloneSets as Kind, "web"), apiVersion: "apps.kruise.io/v1alpha1" };
    const found = await answer(findWorkload(finder, asked));
    expect(found).toMatchObject({ ok: true, workload: { scale: 3, reference: { uid: set.metadata.uid } } });
    expect(found.ok && found.workload?.matcher?.matches({ app: "web" })).toBe(true);
    expect(await answer(findWorkload(finder, { ...asked, uid: "other" }))).toEqual({ ok: true, workload: undefined });
    expect(await answer(findWorkload(finder, { ...asked, name: "missing" }))).toEqual({ ok: true, workload: undefined });
  });

  test("20: a ReplicaSet answers as its Deployment", async () => {
    const { finder, add, ownedBy, reference } = town();
    const deployment = add(deployments as Kind, "web", { replicas: 5, selector });
    add(replicaSets as Kind, "web-1", { replicas: 2, selector }, { ownerReferences: ownedBy(deployments as Kind, deployment) });
    expect(await answer(findWorkload(finder, reference(replicaSets as Kind, "web-1")))).toMatchObject({
      workload: { scale: 5, reference: { kind: "Deployment", uid: deployment.metadata.uid } },
    });
  });

  test("an Advanced StatefulSet tells the ordinals it leaves out; what nobody watches is read live", async () => {
    const { finder, add, reference, world } = town();
    add(advancedStatefulSets as Kind, "db", { replicas: 2, selector, reserveOrdinals: [0, "3-5"] });
    const found = await answer(findWorkload(finder, reference(advancedStatefulSets as Kind, "db")));
    expect(found.ok && [...(found.workload?.reserveOrdinals ?? [])]).toEqual([0, 3, 4, 5]);
    expect(world.calls.map(({ verb }) => verb)).toEqual(["get"]);
  });

  test("22: a custom kind with a scale, without one, on the white list, and recreated", async () => {
    const { finder, add, reference, world } = town();
    const game = add(games, "chess", { replicas: 6 });
    world.edit<KubeObject & { status?: object }>(games, { namespace: "shop", name: "chess" }, (object) => {
      object.status = { labelSelector: "app=web" };
    });
    const asked = reference(games, "chess");
    expect(await answer(findWorkload(finder, asked))).toMatchObject({ workload: { scale: 6 } });
    expect(await answer(findWorkload(finder, { ...asked, uid: "of-before" }))).toEqual({ ok: true, workload: undefined });
    world.fault = ({ subresource }) => (subresource === "scale" ? { ok: false, why: "notFound", message: "no scale" } : undefined);
    expect(await answer(findWorkload(finder, asked))).toMatchObject({ workload: { scale: -1, reference: { uid: game.metadata.uid } } });
    const data = { PPS_Watch_Custom_Workload_WhiteList: '{"workloads":[{"Group":"example.com","version":"v1","KIND":"Game"}]}' };
    world.add(configMaps, { metadata: { name: "kruise-configuration", namespace: "kruise-system" }, data });
    expect(await answer(findWorkload(finder, asked))).toMatchObject({ workload: { scale: 6 } });
  });

  test("a kind that may not be read: by its scale; without one its definition tells it from an object that is gone", async () => {
    const { world, finder, add, reference } = town();
    const game = add(games, "chess", { replicas: 4 });
    const hidden: Finder = { ...finder, watched: [] };
    const denied = { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "may not get games" } as const;
    let hasScale = true;
    world.fault = ({ kind, verb, subresource }) => {
      if (kind !== "Game" || verb !== "get") return undefined;
      if (subresource !== "scale") return denied;
      return hasScale ? undefined : { ok: false, why: "notFound", message: "" };
    };
    const asked = { ...reference(games, "chess"), uid: game.metadata.uid };
    expect(await answer(findWorkload(hidden, asked))).toMatchObject({ ok: true, workload: { scale: 4 } });
    expect(await answer(findWorkload(hidden, { ...asked, name: "gone" }))).toEqual({ ok: true, workload: undefined });
    hasScale = false;
    expect(await answer(findWorkload(hidden, asked))).toEqual({ ok: true, workload: undefined });
    world.add(crds, {
      metadata: { name: "games.example.com" },
      spec: { versions: [{ name: "v1", subresources: { status: {} } }] },
    } as never);
    expect(await answer(findWorkload(hidden, asked))).toMatchObject({
      ok: true,
      workload: { scale: -1, reference: { uid: game.metadata.uid } },
    });
    // Nobody vouches for it being there: who asks by name has to be told what right is missing.
    expect(await answer(findWorkload(hidden, reference(games, "chess")))).toEqual(denied);
  });

  test("a server that does not answer is no empty answer", async () => {
    const { finder, reference, world } = town();
    world.fault = () => ({ ok: false, why: "unavailable", mayHaveHappened: false, message: "down" });
    expect(await answer(findWorkload(finder, reference(games, "chess")))).toMatchObject({ ok: false, why: "unavailable" });
    expect(await answer(podsOf(finder, reference(games, "chess"), true))).toMatchObject({ ok: false });
  });
});

describe("expectedScale", () => {
  test("21: the sum over workloads; orphans, and workloads on their way out, count nothing", async () => {
    const { finder, add, ownedBy, pod, world } = town();
    const a = add(cloneSets as Kind, "a", { replicas: 3, selector });
    const b = add(statefulSets as Kind, "b", { replicas: 4, selector });
    const c = add(cloneSets as Kind, "c", { replicas: 7, selector }, { finalizers: ["keep"] });
    world.drop(cloneSets as Kind, { namespace: "shop", name: "c" });
    const members = [
      pod("a1", ownedBy(cloneSets as Kind, a)),
      pod("a2", ownedBy(cloneSets as Kind, a)),
      pod("b1", ownedBy(statefulSets as Kind, b)),
      pod("c1", ownedBy(cloneSets as Kind, c)),
      pod("orphan"),
    ];
    expect(await answer(expectedScale(finder, members))).toEqual({ ok: true, scale: 7 });
    expect(await answer(workloadOf(finder, members[4]!))).toEqual({ ok: true, workload: undefined });
  });

  test("two ReplicaSets of one Deployment count once; who does not say counts as what there is", async () => {
    const { finder, add, ownedBy, pod, world } = town();
    const deployment = add(deployments as Kind, "web", { replicas: 5, selector });
    const sets = ["r1", "r2"].map((name) =>
      add(replicaSets as Kind, name, { replicas: 3, selector }, { ownerReferences: ownedBy(deployments as Kind, deployment) }),
    );
    const game = add(games, "chess", {});
    world.fault = ({ subresource }) => (subresource === "scale" ? { ok: false, why: "notFound", message: "no scale" } : undefined);
    const members = [
      ...sets.map((set) => pod(`of-${set.metadata.name}`, ownedBy(replicaSets as Kind, set))),
      pod("g1", ownedBy(games, game)),
      pod("g2", ownedBy(games, game)),
    ];
    expect(await answer(expectedScale(finder, members))).toEqual({ ok: true, scale: 7 });
  });
});

describe("podsOf", () => {
  test("23: through all ReplicaSets of a Deployment, also empty ones; none when it is scaled to 0", async () => {
    const { finder, add, ownedBy, pod, reference, world } = town();
    const deployment = add(deployments as Kind, "web", { replicas: 2, selector });
    const owner = ownedBy(deployments as Kind, deployment);
    const [set, old] = ["web-2", "web-1"].map((name, index) =>
      add(replicaSets as Kind, name, { replicas: 2 - 2 * index, selector }, { ownerReferences: owner, labels: { app: "web" } }),
    );
    pod("new", ownedBy(replicaSets as Kind, set!));
    pod("old", ownedBy(replicaSets as Kind, old!));
    pod("done", ownedBy(replicaSets as Kind, set!), { status: { phase: "Succeeded" } });
    const names = async (activeOnly: boolean) => {
      const found = await answer(podsOf(finder, reference(deployments as Kind, "web"), activeOnly));
      return found.ok ? found.pods.map(({ metadata }) => metadata.name).sort() : found;
    };
    expect([await names(false), await names(true)]).toEqual([
      ["done", "new", "old"],
      ["new", "old"],
    ]);
    const alone = await answer(podsOf(finder, reference(replicaSets as Kind, "web-1"), false));
    expect(alone).toEqual({ ok: true, pods: [], replicas: 0 });
    world.edit(deployments, { namespace: "shop", name: "web" }, (object) => {
      object.spec = { replicas: 0, selector };
    });
    expect(await names(false)).toEqual([]);
  });

  test("of a custom kind: by owner, else by its selector", async () => {
    const { finder, add, ownedBy, pod, reference, world } = town();
    const game = add(games, "chess", { replicas: 1 });
    world.edit<KubeObject & { status?: object }>(games, { namespace: "shop", name: "chess" }, (object) => {
      object.status = { labelSelector: "app=web" };
    });
    pod("labelled");
    const names = async () => {
      const found = await answer(podsOf(finder, reference(games, "chess"), true));
      return found.ok ? found.pods.map(({ metadata }) => metadata.name) : found;
    };
    expect(await names()).toEqual(["labelled"]);
    pod("owned", ownedBy(games, game));
    expect(await names()).toEqual(["owned"]);
  });

  test("missing: none", async () => {
    const { finder, reference } = town();
    expect(await answer(podsOf(finder, reference(cloneSets as Kind, "web"), true))).toEqual({ ok: true, pods: [], replicas: 0 });
  });
});

test.each<[unknown[], number[]]>([
  [
    [1, "3-5", 4],
    [1, 3, 4, 5],
  ],
  [["0003-005"], [3, 4, 5]],
  [["5-3"], []],
  [[1, "x"], []],
  [[], []],
])("reserveOrdinals %p", (entries, expected) => {
  expect([...reservedOrdinals(entries)]).toEqual(expected);
});
