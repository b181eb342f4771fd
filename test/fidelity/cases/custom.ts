/** Custom kinds: schemas, versions, subresources, columns. Each case has a kind of its own. */
import { expect } from "bun:test";
import { type Bench, type Case, type Json, tableAccept } from "../bench.ts";

const spec = {
  type: "object",
  required: ["size"],
  properties: {
    size: { type: "integer", minimum: 1, maximum: 10 },
    color: { type: "string", enum: ["red", "blue"], default: "red" },
    code: { type: "string", pattern: "^[a-z]+$", maxLength: 5 },
    port: { "x-kubernetes-int-or-string": true },
    free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    tags: { type: "array", items: { type: "string" }, maxItems: 3 },
    parts: {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      items: { type: "object", required: ["name"], properties: { name: { type: "string" }, count: { type: "integer", default: 1 } } },
    },
    replicas: { type: "integer" },
    selector: { type: "string" },
    time: { type: "string", format: "date-time" },
    address: { type: "string", format: "ipv4" },
    range: {
      type: "object",
      properties: { min: { type: "integer" }, max: { type: "integer" } },
      "x-kubernetes-validations": [
        { rule: "!has(self.min) || !has(self.max) || self.min <= self.max", message: "min has to be at most max" },
        { rule: "self.?max.orValue(0) < 100" },
        {
          rule: "self.?min.orValue(0) >= 0",
          messageExpression: "self.min < -9 ? 'min is far below zero' : 'min is below zero'",
          reason: "FieldValueForbidden",
          fieldPath: ".min",
        },
      ],
    },
    fixed: { type: "string", "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "it stays" }] },
  },
};
const status = { type: "object", properties: { replicas: { type: "integer" }, selector: { type: "string" }, note: { type: "string" } } };

interface Kind {
  readonly path: string;
  readonly apiVersion: string;
  readonly definition: string;
}

/** Makes the kind, and waits until it is served. */
async function kindOf(b: Bench, version: object = {}, more: readonly object[] = []): Promise<Kind> {
  const suffix = b.namespace.replace("fidelity-", "");
  const group = `${suffix}.example.com`;
  const schema = { openAPIV3Schema: { type: "object", properties: { spec, status } } };
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList", shortNames: ["wd"] },
      versions: [
        { name: "v1", served: true, storage: true, schema, subresources: { status: {} }, ...version },
        ...more.map((entry) => ({ schema, ...entry })),
      ],
    },
  };
  await b.must(b.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition));
  const path = `/apis/${group}/v1/namespaces/${b.namespace}/widgets`;
  await b.eventually(async () => (await b.get(path)).status === 200);
  return { path, apiVersion: `${group}/v1`, definition: `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.${group}` };
}

const widget = (kind: Kind, fields: object = {}, rest: object = {}) => ({
  apiVersion: kind.apiVersion,
  kind: "Widget",
  metadata: { name: "w" },
  spec: { size: 1, ...fields },
  ...rest,
});

/** A case with a kind of its own, which goes afterwards. */
function custom(name: string, run: (b: Bench, kind: Kind) => Promise<void>, version: object = {}, more: readonly object[] = []): Case {
  return {
    name,
    async run(b) {
      const kind = await kindOf(b, version, more);
      try {
        await run(b, kind);
      } finally {
        await b.delete(kind.definition);
      }
    },
  };
}

function invalid(name: string, fields: object, says: string): Case {
  return custom(`refused: ${name}`, async (b, kind) => {
    const { status: code, body } = await b.post(kind.path, widget(kind, fields));
    expect([code, body.reason, body.message]).toEqual([422, "Invalid", expect.stringContaining(says)]);
    expect(body.message).toStartWith(`Widget.${kind.apiVersion.split("/")[0]} "w" is invalid: `);
  });
}

function definitionRefused(name: string, schema: object, says: string): Case {
  return {
    name: `a definition is refused: ${name}`,
    async run(b) {
      const group = `${b.namespace.replace("fidelity-", "")}.example.com`;
      const { status: code, body } = await b.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
        metadata: { name: `widgets.${group}` },
        spec: {
          group,
          scope: "Namespaced",
          names: { plural: "widgets", kind: "Widget" },
          versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", ...schema } } }],
        },
      });
      expect([code, body.message]).toEqual([422, expect.stringContaining(says)]);
    },
  };
}

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
  invalid("a required field", { size: undefined }, "spec.size: Required value"),
  invalid("a type", { size: "big" }, 'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'),
  invalid("a minimum", { size: 0 }, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
  invalid("a maximum", { size: 11 }, "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"),
  invalid("a choice", { color: "green" }, 'spec.color: Unsupported value: "green": supported values: "red", "blue"'),
  invalid("a pattern", { code: "ABC" }, "spec.code: Invalid value: \"ABC\": spec.code in body should match '^[a-z]+$'"),
  invalid("a length", { code: "abcdef" }, "spec.code: Too long: may not be more than 5 bytes"),
  invalid("a number of items", { tags: ["a", "b", "c", "d"] }, "spec.tags: Too many: 4: must have at most 3 items"),
  invalid("a key twice", { parts: [{ name: "a" }, { name: "a" }] }, 'spec.parts[1]: Duplicate value: {"name":"a"}'),
  invalid("a time", { time: "soon" }, 'spec.time: Invalid value: "soon": spec.time in body must be of type date-time: "soon"'),
  invalid("an address", { address: "1.2.3" }, 'spec.address: Invalid value: "1.2.3": spec.address in body must be of type ipv4: "1.2.3"'),
  invalid("a rule, with its message", { range: { min: 2, max: 1 } }, 'spec.range: Invalid value: "object": min has to be at most max'),
  invalid(
    "a rule without a message",
    { range: { max: 100 } },
    'spec.range: Invalid value: "object": failed rule: self.?max.orValue(0) < 100',
  ),
  invalid("a rule with a message made for it", { range: { min: -3 } }, "spec.range.min: Forbidden: min is below zero"),
  invalid(
    "rules are not asked of what is broken otherwise",
    { size: "big", range: { min: 2, max: 1 } },
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
  ),
  custom("a rule about what was before is for updates", async (b, kind) => {
    await b.must(b.post(kind.path, widget(kind, { fixed: "a" })));
    const { status: code, body } = await b.patch(`${kind.path}/w`, { spec: { fixed: "b" } });
    expect([code, body.message]).toEqual([422, expect.stringContaining('spec.fixed: Invalid value: "string": it stays')]);
    await b.must(b.patch(`${kind.path}/w`, { spec: { size: 3 } }));
    // Taken away and given anew, it is not the same any more.
    await b.must(b.patch(`${kind.path}/w`, { spec: { fixed: null } }));
    expect((await b.must(b.patch(`${kind.path}/w`, { spec: { fixed: "b" } }))).spec.fixed).toBe("b");
  }),
  custom("what was there before a definition became stricter stays until it changes", async (b, kind) => {
    await b.must(b.post(kind.path, widget(kind, { size: 9, code: "abc" })));
    await b.must(
      b.patch(
        kind.definition,
        [{ op: "replace", path: "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/maximum", value: 5 }],
        "jsonPatch",
      ),
    );
    await b.eventually(
      async () => (await b.post(`${kind.path}?dryRun=All`, { ...widget(kind, { size: 9 }), metadata: { name: "v" } })).status === 422,
    );
    expect((await b.must(b.patch(`${kind.path}/w`, { spec: { code: "abd" } }))).spec.code).toBe("abd");
    expect((await b.patch(`${kind.path}/w`, { spec: { size: 8 } })).status).toBe(422);
  }),
  custom(
    "field selectors by the fields that the definition names",
    async (b, kind) => {
      await b.must(b.post(kind.path, widget(kind, { color: "blue" })));
      await b.must(b.post(kind.path, { ...widget(kind), metadata: { name: "v" } }));
      const found = async (query: string) =>
        (await b.must(b.get(`${kind.path}?fieldSelector=${query}`))).items.map((item: Json) => item.metadata.name);
      expect([await found("spec.color%3Dblue"), await found("spec.color!%3Dblue")]).toEqual([["w"], ["v"]]);
      expect((await b.get(`${kind.path}?fieldSelector=spec.size%3D1`)).status).toBe(400);
    },
    { selectableFields: [{ jsonPath: ".spec.color" }] },
  ),
  custom("a watch from before everything is Gone", async (b, kind) => {
    await b.must(b.post(kind.path, widget(kind)));
    const watch = await b.watch(`${kind.path}?resourceVersion=1`);
    const [event] = await watch.take(1);
    expect([watch.status, event?.type, event?.object.code, event?.object.reason]).toEqual([200, "ERROR", 410, "Expired"]);
    expect(await watch.next()).toBe("end");
  }),
  custom("two kinds of a group cannot have the same name", async (b, kind) => {
    const group = kind.apiVersion.split("/")[0];
    const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const made = await b.must(
      b.post(path, {
        metadata: { name: `others.${group}` },
        spec: {
          group,
          scope: "Namespaced",
          names: { plural: "others", singular: "other", kind: "Widget" },
          versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
        },
      }),
    );
    try {
      await b.eventually(async () => {
        const { body } = await b.get(`${path}/${made.metadata.name}`);
        return body.status?.conditions?.some((c: Json) => c.type === "NamesAccepted" && c.status === "False");
      });
      const { status: told } = await b.must(b.get(`${path}/${made.metadata.name}`));
      const accepted = told.conditions.find((c: Json) => c.type === "NamesAccepted");
      expect([accepted.reason, accepted.message]).toEqual(["ListKindConflict", '"WidgetList" is already in use']);
      expect((await b.get(`/apis/${group}/v1/namespaces/${b.namespace}/others`)).status).toBe(404);
    } finally {
      await b.delete(`${path}/${made.metadata.name}`);
    }
  }),
  definitionRefused(
    "a part without a type",
    { properties: { spec: { properties: {} } } },
    "openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
  ),
  definitionRefused(
    "a rule that is no expression",
    { properties: { spec: { type: "object", "x-kubernetes-validations": [{ rule: "self +" }] } } },
    "x-kubernetes-validations[0].rule: Invalid value",
  ),
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
    expect((await b.get(kind.path)).status).toBe(404);
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
