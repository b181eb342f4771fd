/** What custom objects and their definitions are refused for. */
import { expect } from "bun:test";
import type { Case, Json } from "../bench.ts";
import { custom, definitionRefused, invalid, widget } from "../custom-kind.ts";

export const customRuleCases: readonly Case[] = [
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
];
