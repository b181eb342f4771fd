import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeRaw } from "../canonical/encode.ts";
import { deepEqual, type Fields } from "../json.ts";
import { applyStrategicPatch, strategicPatchOf } from "./strategic.ts";
import type { PatchTypeName } from "./strategic-schema.ts";

const pod = (spec: object): object => ({ spec });

describe("making a patch", () => {
  test.each<[string, object, object, string]>([
    ["nothing to do", { metadata: { labels: { a: "1" } } }, { metadata: { labels: { a: "1" } } }, "{}"],
    [
      "a label more",
      { metadata: { labels: { a: "1" } } },
      { metadata: { labels: { a: "1", k1: "v1" } } },
      '{"metadata":{"labels":{"k1":"v1"}}}',
    ],
    [
      "a label less",
      { metadata: { labels: { a: "1", b: "2" } } },
      { metadata: { labels: { a: "1" } } },
      '{"metadata":{"labels":{"b":null}}}',
    ],
    ["no labels any more", { metadata: { labels: { a: "1" } } }, { metadata: {} }, '{"metadata":{"labels":null}}'],
    [
      "a finalizer less",
      { metadata: { finalizers: ["fz1", "fz2"] } },
      { metadata: { finalizers: ["fz2"] } },
      '{"metadata":{"$deleteFromPrimitiveList/finalizers":["fz1"],"$setElementOrder/finalizers":["fz2"]}}',
    ],
    ["a first finalizer", { metadata: {} }, { metadata: { finalizers: ["fz1"] } }, '{"metadata":{"finalizers":["fz1"]}}'],
    [
      "an image",
      pod({
        containers: [
          { name: "a", image: "i:1" },
          { name: "b", image: "i:1" },
        ],
      }),
      pod({
        containers: [
          { name: "a", image: "i:2" },
          { name: "b", image: "i:1" },
        ],
      }),
      '{"spec":{"$setElementOrder/containers":[{"name":"a"},{"name":"b"}],"containers":[{"image":"i:2","name":"a"}]}}',
    ],
    [
      "a container less",
      pod({ containers: [{ name: "a" }, { name: "b" }] }),
      pod({ containers: [{ name: "b" }] }),
      '{"spec":{"$setElementOrder/containers":[{"name":"b"}],"containers":[{"$patch":"delete","name":"a"}]}}',
    ],
    [
      "another order",
      pod({ containers: [{ name: "a" }, { name: "b" }] }),
      pod({ containers: [{ name: "b" }, { name: "a" }] }),
      '{"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}}',
    ],
    [
      "a volume's source",
      pod({ volumes: [{ name: "v", emptyDir: {} }] }),
      pod({ volumes: [{ name: "v", hostPath: { path: "/x" } }] }),
      '{"spec":{"$setElementOrder/volumes":[{"name":"v"}],"volumes":[{"$retainKeys":["hostPath","name"],"emptyDir":null,"hostPath":{"path":"/x"},"name":"v"}]}}',
    ],
    [
      "tolerations, replaced as a whole",
      pod({ tolerations: [{ key: "a" }] }),
      pod({ tolerations: [{ key: "a" }, { key: "b" }] }),
      '{"spec":{"tolerations":[{"key":"a"},{"key":"b"}]}}',
    ],
    [
      "ports that share a number",
      pod({
        containers: [
          {
            name: "a",
            ports: [
              { containerPort: 53, protocol: "TCP" },
              { containerPort: 53, protocol: "UDP" },
            ],
          },
        ],
      }),
      pod({ containers: [{ name: "a", ports: [{ containerPort: 53, protocol: "UDP" }] }] }),
      '{"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"a","ports":[{"$patch":"replace"},{"containerPort":53,"protocol":"UDP"}]}]}}',
    ],
    ["a list that was something else", { spec: { x: 1 } }, { spec: { x: [1] } }, '{"spec":{"x":[1]}}'],
  ])("%s", (_, from, to, patch) => {
    const made = strategicPatchOf("Pod", from, to);
    expect(encodeRaw(made)).toBe(patch);
    expect(applyStrategicPatch("Pod", from, made)).toEqual({ ok: true, value: to });
  });
});

describe("applying a patch", () => {
  test.each<[string, PatchTypeName, object, object, object]>([
    [
      "lists of containers merge by name",
      "Pod",
      pod({ containers: [{ name: "a", image: "1" }] }),
      pod({ containers: [{ name: "b" }, { name: "a", image: "2" }] }),
      pod({ containers: [{ name: "b" }, { name: "a", image: "2" }] }),
    ],
    [
      "what the patch does not know keeps its place",
      "Pod",
      pod({ containers: [{ name: "x" }, { name: "a" }, { name: "y" }] }),
      pod({ containers: [{ name: "a", image: "2" }] }),
      pod({ containers: [{ name: "x" }, { name: "a", image: "2" }, { name: "y" }] }),
    ],
    [
      "env merges by name",
      "PodTemplateSpec",
      pod({ containers: [{ name: "a", env: [{ name: "A", value: "1" }] }] }),
      pod({ containers: [{ name: "a", env: [{ name: "B", value: "2" }] }] }),
      pod({
        containers: [
          {
            name: "a",
            env: [
              { name: "B", value: "2" },
              { name: "A", value: "1" },
            ],
          },
        ],
      }),
    ],
    [
      "$patch delete removes an item",
      "Pod",
      pod({ containers: [{ name: "a" }, { name: "b" }] }),
      pod({ containers: [{ name: "a", $patch: "delete" }] }),
      pod({ containers: [{ name: "b" }] }),
    ],
    [
      "$patch replace on an object",
      "Workload",
      { spec: { replicas: 3, template: { spec: { containers: [{ name: "a" }] } } } },
      { spec: { template: { $patch: "replace", spec: { containers: [{ name: "b" }] } } } },
      { spec: { replicas: 3, template: { spec: { containers: [{ name: "b" }] } } } },
    ],
    [
      "$patch replace where nothing was",
      "Workload",
      { spec: {} },
      { spec: { template: { $patch: "replace", spec: {} } } },
      { spec: { template: { spec: {} } } },
    ],
    [
      "$patch replace on a list",
      "Pod",
      pod({ containers: [{ name: "a" }] }),
      pod({ containers: [{ $patch: "replace" }, { name: "b" }] }),
      pod({ containers: [{ name: "b" }] }),
    ],
    [
      "$patch replace on a list that is not there",
      "Pod",
      pod({}),
      pod({ containers: [{ $patch: "replace" }, { name: "b" }] }),
      pod({ containers: [{ name: "b" }] }),
    ],
    [
      "$patch delete on an object",
      "Pod",
      pod({ securityContext: { runAsUser: 1 } }),
      pod({ securityContext: { $patch: "delete" } }),
      pod({ securityContext: {} }),
    ],
    [
      "$patch merge is what happens anyway",
      "Pod",
      pod({ nodeSelector: { a: "1" } }),
      pod({ nodeSelector: { $patch: "merge", b: "2" } }),
      pod({ nodeSelector: { a: "1", b: "2" } }),
    ],
    [
      "null removes",
      "Pod",
      pod({ nodeSelector: { a: "1" }, nodeName: "n" }),
      pod({ nodeSelector: null, priority: null }),
      pod({ nodeName: "n" }),
    ],
    ["null inside what is new says nothing", "Pod", pod({}), pod({ nodeSelector: { a: null, b: "1" } }), pod({ nodeSelector: { b: "1" } })],
    ["finalizers are a set", "ObjectMeta", { finalizers: ["a", "b"] }, { finalizers: ["b", "c"] }, { finalizers: ["a", "b", "c"] }],
    [
      "finalizers are deleted by value",
      "ObjectMeta",
      { finalizers: ["a", "b"] },
      { "$deleteFromPrimitiveList/finalizers": ["a", "z"] },
      { finalizers: ["b"] },
    ],
    [
      "owners merge by uid",
      "Object",
      { metadata: { ownerReferences: [{ uid: "1", name: "x" }] } },
      { metadata: { ownerReferences: [{ uid: "2", name: "y" }] } },
      {
        metadata: {
          ownerReferences: [
            { uid: "2", name: "y" },
            { uid: "1", name: "x" },
          ],
        },
      },
    ],
    [
      "conditions merge by type",
      "Pod",
      { status: { conditions: [{ type: "A", status: "True" }] } },
      { status: { conditions: [{ type: "A", status: "False" }] } },
      { status: { conditions: [{ type: "A", status: "False" }] } },
    ],
    [
      "$retainKeys drops the rest",
      "Pod",
      pod({ volumes: [{ name: "v", emptyDir: {} }] }),
      pod({ volumes: [{ name: "v", $retainKeys: ["name", "hostPath"], hostPath: { path: "/" } }] }),
      pod({ volumes: [{ name: "v", hostPath: { path: "/" } }] }),
    ],
    [
      "tolerations are replaced",
      "Pod",
      pod({ tolerations: [{ key: "a" }] }),
      pod({ tolerations: [{ key: "b" }] }),
      pod({ tolerations: [{ key: "b" }] }),
    ],
    [
      "the order is set",
      "Pod",
      pod({ containers: [{ name: "a" }, { name: "b" }] }),
      pod({ "$setElementOrder/containers": [{ name: "b" }, { name: "a" }] }),
      pod({ containers: [{ name: "b" }, { name: "a" }] }),
    ],
  ])("%s", (_, type, original, patch, result) => {
    const before = structuredClone(original);
    expect(applyStrategicPatch(type, original, patch)).toEqual({ ok: true, value: result });
    expect(original).toEqual(before);
  });

  test.each<[object | null, string]>([
    [pod({ containers: [{ image: "x" }] }), "lacks its name"],
    [pod({ containers: [{ $patch: "delete" }] }), "lacks its name"],
    [pod({ containers: ["x"] }), "not an object"],
    [pod({ containers: [{ name: "a", $patch: "explode" }] }), "unknown patch directive"],
    [{ $patch: "explode" }, "unknown patch directive"],
    [pod({ volumes: [{ name: "v", $retainKeys: "name" }] }), "$retainKeys"],
    [pod({ volumes: [{ name: "v", $retainKeys: ["name"], emptyDir: {} }] }), "$retainKeys"],
    [pod({ "$setElementOrder/containers": [{ name: "b" }], containers: [{ name: "a" }] }), "$setElementOrder/containers"],
    [pod({ "$setElementOrder/containers": 1 }), "must be a list"],
    [{ metadata: { "$deleteFromPrimitiveList/finalizers": 1 } }, "must be a list"],
    [null, "must be an object"],
  ])("%j is refused", (patch, why) => {
    const patched = applyStrategicPatch(
      "Pod",
      { metadata: {}, spec: { containers: [{ name: "a" }], volumes: [{ name: "v", emptyDir: {} }] } },
      patch,
    );
    expect(patched.ok).toBe(false);
    expect(patched.ok ? "" : patched.problem).toContain(why);
  });

  test("what a patch leaves alone is shared", () => {
    const original = { metadata: { labels: { a: "1" } }, spec: { containers: [{ name: "a" }] } };
    const patched = applyStrategicPatch("Pod", original, { metadata: { labels: { b: "2" } } });
    expect(patched.ok && patched.value.spec).toBe(original.spec);
  });
});

const name = fc.constantFrom("a", "b", "c", "d");
const unique = <T extends object>(item: fc.Arbitrary<T>, key: keyof T) =>
  fc.uniqueArray(item, { selector: (value) => value[key], maxLength: 4 });
const scalar = fc.constantFrom("1", "2", "3");
const env = unique(fc.record({ name, value: scalar }, { requiredKeys: ["name"] }), "name");
const container = fc.record(
  {
    name,
    image: scalar,
    env,
    command: fc.array(scalar, { maxLength: 3 }),
    ports: fc.array(fc.record({ containerPort: fc.constantFrom(1, 2), protocol: fc.constantFrom("TCP", "UDP") }), { maxLength: 3 }),
    resources: fc.record({ limits: fc.dictionary(name, scalar) }, { requiredKeys: [] }),
  },
  { requiredKeys: ["name"] },
);
const volume = fc.oneof(fc.record({ name, emptyDir: fc.constant({}) }), fc.record({ name, hostPath: fc.record({ path: scalar }) }));
const anyPod = fc.record(
  {
    metadata: fc.record(
      {
        labels: fc.dictionary(fc.oneof(name, fc.constant("__proto__")), scalar),
        finalizers: fc.uniqueArray(name),
        unknown: fc.jsonValue().filter((value) => !JSON.stringify(value).includes("null")),
      },
      { requiredKeys: [] },
    ),
    spec: fc.record(
      {
        containers: unique(container, "name"),
        volumes: unique(volume, "name"),
        tolerations: fc.array(fc.record({ key: name })),
        nodeName: scalar,
      },
      { requiredKeys: [] },
    ),
    status: fc.record({ conditions: unique(fc.record({ type: name, status: scalar }), "type") }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);

test("a patch made of two pods turns one into the other", () =>
  fc.assert(
    fc.property(anyPod, anyPod, (from, to) => {
      const patched = applyStrategicPatch("Pod", from, strategicPatchOf("Pod", from, to));
      expect(patched.ok && deepEqual(patched.value, to)).toBe(true);
    }),
    { numRuns: 500 },
  ));

test("no patch makes it throw", () =>
  fc.assert(
    fc.property(
      anyPod,
      fc.object({
        key: fc.constantFrom(
          "spec",
          "containers",
          "$patch",
          "name",
          "$setElementOrder/containers",
          "$retainKeys",
          "metadata",
          "finalizers",
          "$deleteFromPrimitiveList/finalizers",
        ),
        maxDepth: 4,
      }),
      (from, patch) => {
        applyStrategicPatch("Pod", from, patch as Fields);
      },
    ),
  ));
