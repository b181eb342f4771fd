/** Taints that drive pods away, wishes of pods, and events that are forgotten, in virtual time. */
import { expect, test } from "bun:test";
import { type Fields, fieldsOf } from "../../kube/json.ts";
import { nameOf, World } from "../testing/world.ts";

const core = "/api/v1/namespaces/default";
const pod = (name: string, spec: Fields = {}, labels: Readonly<Record<string, string>> = {}) => ({
  metadata: { name, labels },
  spec: { containers: [{ name: "main", image: "app:1" }], ...spec },
});
const nodeOf = async (world: World, name: string) => fieldsOf((await world.get(`${core}/pods/${name}`))["spec"])["nodeName"];

test("a taint drives away who does not endure it, at once or after a while", async () => {
  const world = await World.start({ nodes: 1 });
  const toleration = { key: "away", operator: "Exists", effect: "NoExecute" };
  await world.create(`${core}/pods`, pod("goes"));
  await world.create(`${core}/pods`, pod("later", { tolerations: [{ ...toleration, tolerationSeconds: 60 }] }));
  await world.create(`${core}/pods`, pod("stays", { tolerations: [toleration] }));
  await world.pass(3000);
  await world.patch("/api/v1/nodes/node-0", { spec: { taints: [{ key: "away", effect: "NoExecute" }] } });
  await world.pass(5000);
  expect((await world.pods()).map(nameOf)).toEqual(["later", "stays"]);
  await world.pass(70_000);
  expect((await world.pods()).map(nameOf)).toEqual(["stays"]);
});

test("pods go where they would rather be", async () => {
  const world = await World.start({ nodes: 3 });
  const host = "kubernetes.io/hostname";
  const wish = (kind: string, term: Fields) => ({
    affinity: { [kind]: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 10, ...term }] } },
  });
  const near = { podAffinityTerm: { topologyKey: host, labelSelector: { matchLabels: { role: "db" } } } };
  await world.create(
    `${core}/pods`,
    pod("db", wish("nodeAffinity", { preference: { matchExpressions: [{ key: host, operator: "In", values: ["node-2"] }] } }), {
      role: "db",
    }),
  );
  await world.pass(500);
  await world.create(`${core}/pods`, pod("together", wish("podAffinity", near)));
  await world.create(`${core}/pods`, pod("apart", wish("podAntiAffinity", near)));
  await world.pass(500);
  expect([await nodeOf(world, "db"), await nodeOf(world, "together")]).toEqual(["node-2", "node-2"]);
  expect(await nodeOf(world, "apart")).not.toBe("node-2");
  for (const node of ["node-0", "node-1"])
    await world.patch(`/api/v1/nodes/${node}`, { spec: { taints: [{ key: "old", effect: "PreferNoSchedule" }] } });
  await world.create(`${core}/pods`, pod("any"));
  await world.pass(500);
  expect(await nodeOf(world, "any")).toBe("node-2");
});

test("each revision spreads by itself where the constraint says so", async () => {
  const world = await World.start({ nodes: 2 });
  const topologySpreadConstraints = [
    {
      maxSkew: 1,
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "DoNotSchedule",
      labelSelector: { matchLabels: { app: "s" } },
      matchLabelKeys: ["rev"],
    },
  ];
  const tolerated = { nodeSelector: { "kubernetes.io/hostname": "node-0" } };
  for (const name of ["a", "b"]) await world.create(`${core}/pods`, pod(name, tolerated, { app: "s", rev: "1" }));
  await world.create(`${core}/pods`, pod("c", { topologySpreadConstraints }, { app: "s", rev: "2" }));
  await world.create(`${core}/pods`, pod("d", { topologySpreadConstraints }, { app: "s", rev: "2" }));
  await world.pass(1000);
  expect(new Set([await nodeOf(world, "c"), await nodeOf(world, "d")]).size).toBe(2);
});

test("events are forgotten after an hour", async () => {
  const world = await World.start();
  await world.create(`${core}/pods`, pod("p"));
  await world.pass(5000);
  expect((await world.list(`${core}/events`)).length).toBeGreaterThan(2);
  await world.pass(3_900_000);
  expect(await world.list(`${core}/events`)).toEqual([]);
});
