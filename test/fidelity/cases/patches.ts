/** PATCH of three kinds. */
import { expect } from "bun:test";
import type { Bench, Case } from "../bench.ts";

const pod = (containers: object[] = [{ name: "c", image: "x:1" }]) => ({
  metadata: { name: "p" },
  spec: { containers, nodeName: "fidelity-none" },
});
const deployment = (spec: object) => ({
  metadata: { name: "d" },
  spec: {
    replicas: 0,
    paused: true,
    selector: { matchLabels: { app: "d" } },
    template: { metadata: { labels: { app: "d" } }, spec },
  },
});
const make = (b: Bench, spec: object) => b.must(b.post(b.in("apps/v1", "deployments"), deployment(spec)));
const path = (b: Bench) => b.in("apps/v1", "deployments/d");
const strategic = async (b: Bench, spec: object) =>
  (await b.must(b.patch(path(b), { spec: { template: { spec } } }, "strategic"))).spec.template.spec;

export const patchCases: readonly Case[] = [
  {
    name: "merge: objects are merged, null removes, lists are replaced",
    async run(b) {
      await b.configMap("a", { metadata: { name: "a", labels: { x: "1", y: "2" } }, data: { k: "1", l: "2" } });
      const next = await b.must(b.patch(b.core("configmaps/a"), { metadata: { labels: { x: null } }, data: { k: "3" } }));
      expect([next.metadata.labels, next.data]).toEqual([{ y: "2" }, { k: "3", l: "2" }]);
    },
  },
  {
    name: "merge: a version that is not there any more is a Conflict",
    async run(b) {
      const made = await b.configMap("a");
      await b.must(b.patch(b.core("configmaps/a"), { data: { k: "1" } }));
      const { status, body } = await b.patch(b.core("configmaps/a"), {
        metadata: { resourceVersion: made.metadata.resourceVersion },
        data: { k: "2" },
      });
      expect([status, body.reason]).toEqual([409, "Conflict"]);
    },
  },
  {
    name: "merge: the version that is there lets it pass",
    async run(b) {
      const made = await b.configMap("a");
      const { status } = await b.patch(b.core("configmaps/a"), {
        metadata: { resourceVersion: made.metadata.resourceVersion },
        data: { k: "2" },
      });
      expect(status).toBe(200);
    },
  },
  {
    name: "merge: another uid is refused",
    async run(b) {
      await b.configMap("a");
      const { status, body } = await b.patch(b.core("configmaps/a"), { metadata: { uid: "other" }, data: { k: "2" } });
      expect([status, body.reason, body.details.causes[0].field]).toEqual([422, "Invalid", "metadata.uid"]);
    },
  },
  {
    name: "merge: an empty patch changes nothing",
    async run(b) {
      const made = await b.configMap("a");
      expect((await b.must(b.patch(b.core("configmaps/a"), {}))).metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    },
  },
  {
    name: "merge: what is not there is NotFound",
    async run(b) {
      expect((await b.patch(b.core("configmaps/none"), { data: {} })).status).toBe(404);
    },
  },
  {
    name: "merge: the name cannot change",
    async run(b) {
      await b.configMap("a");
      const { status } = await b.patch(b.core("configmaps/a"), { metadata: { name: "b" } });
      expect(status).toBe(400);
    },
  },
  {
    name: "merge: a list of containers is replaced as a whole",
    async run(b) {
      await make(b, {
        containers: [
          { name: "a", image: "x" },
          { name: "b", image: "y" },
        ],
      });
      const next = await b.must(b.patch(path(b), { spec: { template: { spec: { containers: [{ name: "a", image: "z" }] } } } }));
      expect(next.spec.template.spec.containers.map((c: { name: string; image: string }) => [c.name, c.image])).toEqual([["a", "z"]]);
    },
  },
  {
    name: "an unknown kind of patch is refused",
    async run(b) {
      await b.configMap("a");
      const { status, body } = await b.ask("PATCH", b.core("configmaps/a"), {}, { type: "json" });
      expect([status, body.reason]).toEqual([415, "UnsupportedMediaType"]);
    },
  },
  {
    name: "json: operations are applied in order",
    async run(b) {
      await b.configMap("a", { data: { k: "1" } });
      const next = await b.must(
        b.patch(
          b.core("configmaps/a"),
          [
            { op: "test", path: "/data/k", value: "1" },
            { op: "add", path: "/data/l", value: "2" },
            { op: "copy", from: "/data/l", path: "/data/m" },
            { op: "remove", path: "/data/k" },
          ],
          "jsonPatch",
        ),
      );
      expect(next.data).toEqual({ l: "2", m: "2" });
    },
  },
  {
    name: "json: a test that fails is refused with 422",
    async run(b) {
      await b.configMap("a", { data: { k: "1" } });
      const { status, body } = await b.patch(b.core("configmaps/a"), [{ op: "test", path: "/data/k", value: "2" }], "jsonPatch");
      expect([status, body.reason, body.message]).toEqual([
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
      ]);
    },
  },
  {
    name: "json: removing what is not there is refused",
    async run(b) {
      await b.configMap("a");
      expect((await b.patch(b.core("configmaps/a"), [{ op: "remove", path: "/data/none" }], "jsonPatch")).status).toBe(422);
    },
  },
  {
    name: "json: a test of the version is a precondition",
    async run(b) {
      const made = await b.configMap("a");
      const test = { op: "test", path: "/metadata/resourceVersion", value: made.metadata.resourceVersion };
      const add = (value: string) => [test, { op: "add", path: "/metadata/labels", value: { v: value } }];
      expect((await b.patch(b.core("configmaps/a"), add("1"), "jsonPatch")).status).toBe(200);
      expect((await b.patch(b.core("configmaps/a"), add("2"), "jsonPatch")).status).toBe(422);
    },
  },
  {
    name: "json: a patch that is no list is refused",
    async run(b) {
      await b.configMap("a");
      expect((await b.patch(b.core("configmaps/a"), { op: "add" }, "jsonPatch")).status).toBe(400);
    },
  },
  {
    name: "strategic: containers are merged by name",
    async run(b) {
      await make(b, {
        containers: [
          { name: "a", image: "x" },
          { name: "b", image: "y" },
        ],
      });
      const spec = await strategic(b, { containers: [{ name: "b", image: "z" }] });
      expect(spec.containers.map((c: { name: string; image: string }) => [c.name, c.image])).toEqual([
        ["a", "x"],
        ["b", "z"],
      ]);
    },
  },
  {
    name: "strategic: a new container comes first",
    async run(b) {
      await make(b, { containers: [{ name: "a", image: "x" }] });
      const spec = await strategic(b, { containers: [{ name: "n", image: "z" }] });
      expect(spec.containers.map((c: { name: string }) => c.name)).toEqual(["n", "a"]);
    },
  },
  {
    name: "strategic: $patch delete removes an item",
    async run(b) {
      await make(b, {
        containers: [
          { name: "a", image: "x" },
          { name: "b", image: "y" },
        ],
      });
      const spec = await strategic(b, { containers: [{ $patch: "delete", name: "a" }] });
      expect(spec.containers.map((c: { name: string }) => c.name)).toEqual(["b"]);
    },
  },
  {
    name: "strategic: $patch replace replaces the list",
    async run(b) {
      await make(b, {
        containers: [
          { name: "a", image: "x" },
          { name: "b", image: "y" },
        ],
      });
      const spec = await strategic(b, { containers: [{ $patch: "replace" }, { name: "only", image: "z" }] });
      expect(spec.containers.map((c: { name: string }) => c.name)).toEqual(["only"]);
    },
  },
  {
    name: "strategic: environment variables are merged by name, ports by number",
    async run(b) {
      const container = {
        name: "a",
        image: "x",
        env: [
          { name: "A", value: "1" },
          { name: "B", value: "2" },
        ],
        ports: [{ containerPort: 80 }],
      };
      await make(b, { containers: [container] });
      const spec = await strategic(b, { containers: [{ name: "a", env: [{ name: "B", value: "3" }], ports: [{ containerPort: 81 }] }] });
      expect(spec.containers[0].env).toEqual([
        { name: "A", value: "1" },
        { name: "B", value: "3" },
      ]);
      expect(spec.containers[0].ports.map((p: { containerPort: number }) => p.containerPort)).toEqual([81, 80]);
    },
  },
  {
    name: "strategic: a volume's source is exchanged with retainKeys",
    async run(b) {
      await make(b, { containers: [{ name: "a", image: "x" }], volumes: [{ name: "v", emptyDir: {} }] });
      const spec = await strategic(b, { volumes: [{ name: "v", $retainKeys: ["name", "configMap"], configMap: { name: "c" } }] });
      expect(spec.volumes).toEqual([{ name: "v", configMap: { name: "c", defaultMode: 420 } }]);
    },
  },
  {
    name: "strategic: tolerations are replaced",
    async run(b) {
      await make(b, { containers: [{ name: "a", image: "x" }], tolerations: [{ key: "a", operator: "Exists" }] });
      const spec = await strategic(b, { tolerations: [{ key: "b", operator: "Exists" }] });
      expect(spec.tolerations.map((t: { key: string }) => t.key)).toEqual(["b"]);
    },
  },
  {
    name: "strategic: finalizers are merged as a set",
    async run(b) {
      await b.configMap("a", { metadata: { name: "a", finalizers: ["example.com/a"] } });
      const next = await b.must(b.patch(b.core("configmaps/a"), { metadata: { finalizers: ["example.com/b"] } }, "strategic"));
      expect([...next.metadata.finalizers].sort()).toEqual(["example.com/a", "example.com/b"]);
      await b.patch(b.core("configmaps/a"), { metadata: { finalizers: null } });
    },
  },
  {
    name: "strategic: $deleteFromPrimitiveList takes finalizers out",
    async run(b) {
      await b.configMap("a", { metadata: { name: "a", finalizers: ["example.com/a", "example.com/b"] } });
      const next = await b.must(
        b.patch(b.core("configmaps/a"), { metadata: { "$deleteFromPrimitiveList/finalizers": ["example.com/a"] } }, "strategic"),
      );
      expect(next.metadata.finalizers).toEqual(["example.com/b"]);
      await b.patch(b.core("configmaps/a"), { metadata: { finalizers: null } });
    },
  },
  {
    name: "strategic: conditions of a status are merged by type",
    async run(b) {
      await b.must(b.post(b.core("pods"), pod()));
      const set = (type: string, status: string) =>
        b.must(b.patch(b.core("pods/p/status"), { status: { conditions: [{ type, status }] } }, "strategic"));
      await set("example.com/A", "True");
      await set("example.com/B", "False");
      const next = await set("example.com/A", "False");
      const own = next.status.conditions.filter((c: { type: string }) => c.type.startsWith("example.com/"));
      expect(Object.fromEntries(own.map((c: { type: string; status: string }) => [c.type, c.status]))).toEqual({
        "example.com/A": "False",
        "example.com/B": "False",
      });
    },
  },
  {
    name: "strategic: an item without its key is refused",
    async run(b) {
      await make(b, { containers: [{ name: "a", image: "x" }] });
      const { status } = await b.patch(path(b), { spec: { template: { spec: { containers: [{ image: "z" }] } } } }, "strategic");
      expect([400, 422, 500]).toContain(status);
    },
  },
  {
    name: "strategic: $setElementOrder orders the list",
    async run(b) {
      await make(b, {
        containers: [
          { name: "a", image: "x" },
          { name: "b", image: "y" },
        ],
      });
      const spec = await strategic(b, {
        "$setElementOrder/containers": [{ name: "b" }, { name: "a" }],
        containers: [{ name: "a", image: "z" }],
      });
      expect(spec.containers.map((c: { name: string; image: string }) => [c.name, c.image])).toEqual([
        ["b", "y"],
        ["a", "z"],
      ]);
    },
  },
  {
    name: "patches answer unknown fields with warnings",
    async run(b) {
      await b.configMap("a");
      const { status, warnings } = await b.patch(b.core("configmaps/a"), { datum: "x" });
      expect([status, warnings]).toEqual([200, ['unknown field "datum"']]);
    },
  },
  {
    name: "force is only for apply",
    async run(b) {
      await b.configMap("a");
      const { status, body } = await b.patch(`${b.core("configmaps/a")}?force=true`, {});
      expect([status, body.reason]).toEqual([422, "Invalid"]);
    },
  },
];
