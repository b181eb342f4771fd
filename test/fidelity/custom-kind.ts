/** A custom kind of each case's own. */
import { expect } from "bun:test";
import type { Bench, Case } from "./bench.ts";

export const spec = {
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
export const status = {
  type: "object",
  properties: { replicas: { type: "integer" }, selector: { type: "string" }, note: { type: "string" } },
};

export interface Kind {
  readonly path: string;
  readonly apiVersion: string;
  readonly definition: string;
}

/** Makes the kind, and waits until it is served. */
export async function kindOf(b: Bench, version: object = {}, more: readonly object[] = []): Promise<Kind> {
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

export const widget = (kind: Kind, fields: object = {}, rest: object = {}) => ({
  apiVersion: kind.apiVersion,
  kind: "Widget",
  metadata: { name: "w" },
  spec: { size: 1, ...fields },
  ...rest,
});

/** A case with a kind of its own, which goes afterwards. */
export function custom(
  name: string,
  run: (b: Bench, kind: Kind) => Promise<void>,
  version: object = {},
  more: readonly object[] = [],
): Case {
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

export function invalid(name: string, fields: object, says: string): Case {
  return custom(`refused: ${name}`, async (b, kind) => {
    const { status: code, body } = await b.post(kind.path, widget(kind, fields));
    expect([code, body.reason, body.message]).toEqual([422, "Invalid", expect.stringContaining(says)]);
    expect(body.message).toStartWith(`Widget.${kind.apiVersion.split("/")[0]} "w" is invalid: `);
  });
}

export function definitionRefused(name: string, schema: object, says: string): Case {
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
