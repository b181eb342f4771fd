/** Custom kinds: versions, subresources, columns. Each case has a kind of its own. */
import { expect } from "bun:test";
import { type Case, type Json, tableAccept } from "../bench.ts";
import { custom, widget } from "../custom-kind.ts";

export const customCases: readonly Case[] = [
  custom("unknown fields are pruned, with a warning", async (b, kind) => {
    const { status: code, body, warnings } = await b.post(kind.path, widget(kind, { unknown: 1 }));
    expect([code, body.spec.unknown, warnings]).toEqual([201, undefined, ['unknown field "spec.unknown"']]);
  }),
  custom("unknown fields stay where that is said", async (b, kind) => {
    const made = await b.must(b.post(kind.path, widget(kind, { free: { any: { thing: [1, 2] } } })));
    expect(made.spec.free).toEqual({ any: { thing: [1, 2] } });
  }),
  custom("unknown fields are refused where that is asked", async (b, kind) => {
    const { status: code, body } = await b.post(`${kind.path}?fieldValidation=Strict`, widget(kind, { unknown: 1 }));
    expect([code, body.message]).toEqual([400, expect.stringContaining('strict decoding error: unknown field "spec.unknown"')]);
  }),
  custom("defaults are filled in, also deep in lists", async (b, kind) => {
    const made = await b.must(b.post(kind.path, widget(kind, { parts: [{ name: "a" }, { name: "b", count: 5 }] })));
    expect([made.spec.color, made.spec.parts]).toEqual([
      "red",
      [
        { name: "a", count: 1 },
        { name: "b", count: 5 },
      ],
    ]);
  }),
  custom("null takes the default where null is not allowed", async (b, kind) => {
    const made = await b.must(b.post(kind.path, widget(kind, { color: null })));
    expect(made.spec.color).toBe("red");
  }),
  custom("numbers or text", async (b, kind) => {
    const made = await b.must(b.post(kind.path, widget(kind, { port: "http" })));
    const next = await b.must(b.patch(`${kind.path}/w`, { spec: { port: 80 } }));
    expect([made.spec.port, next.spec.port]).toEqual(["http", 80]);
  }),
  custom("a body without its kind is refused", async (b, kind) => {
    const { status: code } = await b.post(kind.path, { apiVersion: kind.apiVersion, metadata: { name: "w" }, spec: { size: 1 } });
    expect(code).toBe(400);
  }),
  custom("an update needs a version", async (b, kind) => {
    await b.must(b.post(kind.path, widget(kind)));
    const { status: code, body } = await b.put(`${kind.path}/w`, widget(kind));
    expect([code, body.message]).toEqual([
      422,
      expect.stringContaining("metadata.resourceVersion: Invalid value: 0: must be specified for an update"),
    ]);
  }),
  custom("generation counts all but metadata and status", async (b, kind) => {
    const made = await b.must(b.post(kind.path, widget(kind)));
    const labelled = await b.must(b.patch(`${kind.path}/w`, { metadata: { labels: { x: "y" } } }));
    const told = await b.must(b.patch(`${kind.path}/w/status`, { status: { note: "n" } }));
    const changed = await b.must(b.patch(`${kind.path}/w`, { spec: { size: 2 } }));
    expect([made, labelled, told, changed].map(({ metadata }: Json) => metadata.generation)).toEqual([1, 1, 1, 2]);
  }),
  custom("a status subresource keeps both apart", async (b, kind) => {
    const made = await b.must(b.post(kind.path, widget(kind, {}, { status: { note: "mine" } })));
    expect(made.status).toBeUndefined();
    const told = await b.must(
      b.patch(`${kind.path}/w/status`, { metadata: { labels: { x: "y" } }, spec: { size: 9 }, status: { note: "n" } }),
    );
    expect([told.spec.size, told.metadata.labels, told.status]).toEqual([1, undefined, { note: "n" }]);
    const next = await b.must(b.patch(`${kind.path}/w`, { spec: { size: 2 }, status: { note: "lost" } }));
    expect([next.spec.size, next.status]).toEqual([2, { note: "n" }]);
  }),
  custom(
    "without a status subresource it is a part like any other",
    async (b, kind) => {
      const made = await b.must(b.post(kind.path, widget(kind, {}, { status: { note: "mine" } })));
      expect(made.status).toEqual({ note: "mine" });
      expect((await b.patch(`${kind.path}/w/status`, {})).status).toBe(404);
    },
    { subresources: {} },
  ),
  custom(
    "a scale subresource reads and writes the paths it names",
    async (b, kind) => {
      await b.must(b.post(kind.path, widget(kind, { replicas: 3 })));
      await b.must(b.patch(`${kind.path}/w/status`, { status: { replicas: 2, selector: "app=w" } }));
      const scale = await b.must(b.get(`${kind.path}/w/scale`));
      expect([scale.spec, scale.status]).toEqual([{ replicas: 3 }, { replicas: 2, selector: "app=w" }]);
      await b.must(b.patch(`${kind.path}/w/scale`, { spec: { replicas: 5 } }));
      expect((await b.must(b.get(`${kind.path}/w`))).spec.replicas).toBe(5);
    },
    {
      subresources: {
        status: {},
        scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas", labelSelectorPath: ".status.selector" },
      },
    },
  ),
  custom("strategic patches are not for custom kinds", async (b, kind) => {
    await b.must(b.post(kind.path, widget(kind)));
    expect((await b.patch(`${kind.path}/w`, { spec: { size: 2 } }, "strategic")).status).toBe(415);
  }),
  custom("apply merges lists by the keys of the schema", async (b, kind) => {
    const part = (...names: string[]) => widget(kind, { parts: names.map((name) => ({ name })) });
    await b.must(b.apply(`${kind.path}/w`, "one", part("a")));
    const { spec: _, ...two } = part();
    const both = await b.must(b.apply(`${kind.path}/w`, "two", { ...two, spec: { size: 1, parts: [{ name: "b" }] } }));
    expect(both.spec.parts.map((p: Json) => p.name)).toEqual(["a", "b"]);
  }),
  custom(
    "two versions of one shape show the same object",
    async (b, kind) => {
      await b.must(b.post(kind.path, widget(kind)));
      const other = await b.must(b.get(`${kind.path.replace("/v1/", "/v1beta1/")}/w`));
      expect([other.apiVersion, other.spec.size]).toEqual([kind.apiVersion.replace("/v1", "/v1beta1"), 1]);
      const list = await b.must(b.get(kind.path.replace("/v1/", "/v1beta1/")));
      expect([list.apiVersion, list.items[0].apiVersion]).toEqual([other.apiVersion, other.apiVersion]);
    },
    {},
    [{ name: "v1beta1", served: true, storage: false }],
  ),
  custom(
    "a version that is not served is NotFound",
    async (b, kind) => {
      expect((await b.get(kind.path.replace("/v1/", "/v1alpha1/"))).status).toBe(404);
    },
    {},
    [{ name: "v1alpha1", served: false, storage: false }],
  ),
  custom(
    "a deprecated version warns",
    async (b, kind) => {
      const { warnings } = await b.get(kind.path.replace("/v1/", "/v1beta1/"));
      expect(warnings).toEqual(["use v1"]);
    },
    {},
    [{ name: "v1beta1", served: true, storage: false, deprecated: true, deprecationWarning: "use v1" }],
  ),
  custom(
    "columns are read by their paths",
    async (b, kind) => {
      await b.must(b.post(kind.path, widget(kind, { size: 7, parts: [{ name: "a" }, { name: "b" }] })));
      const table = await b.must(b.get(kind.path, { accept: tableAccept }));
      expect(table.columnDefinitions.map((c: Json) => [c.name, c.type, c.priority])).toEqual([
        ["Name", "string", 0],
        ["Size", "integer", 0],
        ["First", "string", 1],
        ["Note", "string", 0],
      ]);
      expect(table.rows[0].cells).toEqual(["w", 7, "a", null]);
    },
    {
      additionalPrinterColumns: [
        { name: "Size", type: "integer", jsonPath: ".spec.size" },
        { name: "First", type: "string", jsonPath: ".spec.parts[0].name", priority: 1 },
        { name: "Note", type: "string", jsonPath: ".status.note" },
      ],
    },
  ),
  custom("without columns there is the age", async (b, kind) => {
    const table = await b.must(b.get(kind.path, { accept: tableAccept }));
    expect(table.columnDefinitions.map((c: Json) => c.name)).toEqual(["Name", "Age"]);
  }),
  custom("a watch sees custom objects", async (b, kind) => {
    const { metadata } = await b.must(b.get(kind.path));
    const watch = await b.watch(`${kind.path}?resourceVersion=${metadata.resourceVersion}`);
    await b.must(b.post(kind.path, widget(kind)));
    const [event] = await watch.take(1);
    watch.close();
    expect([event?.type, event?.object.kind, event?.object.apiVersion]).toEqual(["ADDED", "Widget", kind.apiVersion]);
  }),
  custom("discovery shows the kind, its short names and subresources", async (b, kind) => {
    await b.eventually(async () => (await b.get(`/apis/${kind.apiVersion}`)).status === 200);
    const { resources } = await b.must(b.get(`/apis/${kind.apiVersion}`));
    expect(resources.map((r: Json) => r.name).sort()).toEqual(["widgets", "widgets/status"]);
    const main = resources.find((r: Json) => r.name === "widgets");
    expect([main.kind, main.singularName, main.shortNames, main.namespaced]).toEqual(["Widget", "widget", ["wd"], true]);
  }),
  custom("the definition tells that it is established", async (b, kind) => {
    const { status: told } = await b.must(b.get(kind.definition));
    expect(
      told.conditions
        .filter((c: Json) => c.status === "True")
        .map((c: Json) => c.type)
        .sort(),
    ).toEqual(["Established", "NamesAccepted"]);
    expect([told.acceptedNames.kind, told.storedVersions]).toEqual(["Widget", ["v1"]]);
  }),
  custom("a definition that goes takes its objects along", async (b, kind) => {
    await b.must(b.post(kind.path, widget(kind)));
    await b.must(b.delete(kind.definition));
    await b.eventually(async () => (await b.get(kind.definition)).status === 404);
    await b.eventually(async () => (await b.get(kind.path)).status === 404);
  }),
  {
    name: "a definition's name is its plural and group",
    async run(b) {
      const { status: code, body } = await b.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
        metadata: { name: "wrong" },
        spec: {
          group: "x.example.com",
          scope: "Namespaced",
          names: { plural: "widgets", kind: "Widget" },
          versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
        },
      });
      expect([code, body.message]).toEqual([
        422,
        expect.stringContaining('metadata.name: Invalid value: "wrong": must be spec.names.plural+"."+spec.group'),
      ]);
    },
  },
];
