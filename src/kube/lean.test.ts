import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseLean } from "./lean.ts";

const entry = {
  manager: "kubelet",
  operation: "Update",
  apiVersion: "v1",
  time: "2025-01-01T00:00:00Z",
  fieldsType: "FieldsV1",
  fieldsV1: { "f:status": { "f:conditions": { 'k:{"type":"Ready"}': { ".": {}, "f:status": {} } } } },
  subresource: "status",
};
const pod = {
  kind: "Pod",
  metadata: { name: "web-1", labels: { a: "b" }, managedFields: [entry, entry] },
  spec: { containers: [{ name: "main" }] },
};

/** What is to come of it, found the slow way. */
function expected(text: string): unknown {
  return JSON.parse(text, (_, value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const { managedFields, ...rest } = value as Record<string, unknown>;
    return Array.isArray(managedFields) && managedFields.length > 0 ? rest : value;
  });
}

describe("managedFields are left out", () => {
  test.each<[string, unknown]>([
    ["last in the metadata", pod],
    ["first, as custom resources have them", { metadata: { managedFields: [entry], name: "web" }, spec: {} }],
    ["in the middle", { metadata: { generation: 1, managedFields: [entry], name: "web" } }],
    ["of several objects", { request: { object: pod, oldObject: pod } }],
    ["none of them", { metadata: { generation: 1, managedFields: [], name: "web" }, list: [{ a: 1 }], b: 2 }],
    ["a field of that name with lists in it", { a: 1, managedFields: [{ x: [{ y: 1 }], z: 3 }], b: [{ c: 1 }] }],
    ["not there", { metadata: { name: "web" } }],
    ["said in a text", { metadata: { name: "web", annotations: { note: '"managedFields":[{"a":1}]' } } }],
    [
      "a field name with the end of a list in it",
      { metadata: { name: "web", managedFields: [{ ...entry, fieldsV1: { 'v:"}]"': {} } }], uid: "u" } },
    ],
    [
      "a value with the end of a list and more in it",
      { metadata: { managedFields: [{ ...entry, manager: 'x}],"name":"evil' }], name: "web" } },
    ],
  ])("%s", (_, value) => {
    const text = JSON.stringify(value);
    // Where the cut fails the whole is read: right as well, only longer.
    expect([expected(text), JSON.parse(text)]).toContainEqual(parseLean(text));
  });
  test("and really are", () => {
    expect(parseLean(JSON.stringify(pod))).toEqual({ ...pod, metadata: { name: "web-1", labels: { a: "b" } } });
  });
  test.each(["", "{", '{"managedFields":[', '{"metadata":{"managedFields":[{}]}'])("%j is no JSON", (text) => {
    expect(() => parseLean(text)).toThrow(SyntaxError);
  });
});

test("whatever is in the texts of an object, nothing else is lost", () => {
  const nasty = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "}]",
      '}],"name":"evil"',
      '"managedFields":[',
      ',"managedFields":[{"a":"}]"}]',
      "}]}",
      '\\"}]',
      "}],",
      '":{}}],"uid":"',
    ),
  );
  const managed = fc.array(fc.record({ manager: nasty, fieldsV1: fc.dictionary(nasty, fc.dictionary(nasty, fc.constant({}))) }), {
    maxLength: 3,
  });
  const object = fc.record(
    { name: nasty, annotations: fc.dictionary(nasty, nasty), managedFields: managed, uid: nasty, labels: fc.dictionary(nasty, nasty) },
    { requiredKeys: ["name"] },
  );
  fc.assert(
    fc.property(object, nasty, (metadata, more) => {
      const text = JSON.stringify({ metadata, spec: { more, list: [{ more }] } });
      const { managedFields: _, ...kept } = JSON.parse(text).metadata;
      const read = parseLean(text) as { metadata: Record<string, unknown>; spec: unknown };
      const { managedFields: __, ...left } = read.metadata;
      expect(left).toEqual(kept);
      expect(read.spec).toEqual({ more, list: [{ more }] });
    }),
    { numRuns: 3_000 },
  );
});
