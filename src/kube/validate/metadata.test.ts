import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { errorText } from "./field-error.ts";
import { validateLabelSelector } from "./label-selector.ts";
import { limits, validateMetadata, validateMetadataUpdate } from "./metadata.ts";
import { ipProblems, maskTrailingDash } from "./names.ts";

const name = { name: "web", namespace: "default" };

describe("new metadata", () => {
  test.each<[unknown, readonly string[]]>([
    [name, []],
    [{ ...name, labels: { "example.com/a": "b", c: "" }, annotations: { "Example.com/A": "anything <>" }, finalizers: ["a.io/b"] }, []],
    [{ generateName: "web-", namespace: "default" }, []],
    [{ namespace: "default" }, ["metadata.name: Required value: name or generateName is required"]],
    [{ name: "web" }, ["metadata.namespace: Required value"]],
    [{ ...name, name: "Web" }, ['metadata.name: Invalid value: "Web": a lowercase RFC 1123 subdomain must consist of']],
    [{ ...name, name: "a".repeat(254) }, ["must be no more than 253 characters"]],
    [{ ...name, namespace: "a.b" }, ['metadata.namespace: Invalid value: "a.b": must not contain dots']],
    [{ ...name, labels: { "a/b/c": "x" } }, ['metadata.labels: Invalid value: "a/b/c": a qualified name must consist of']],
    [{ ...name, labels: { "/b": "x" } }, ['metadata.labels: Invalid value: "/b": prefix part must be non-empty']],
    [{ ...name, labels: { "": "x" } }, ["name part must be non-empty", "name part must consist of"]],
    [{ ...name, labels: { [`a.io/${"b".repeat(64)}`]: "x" } }, ["name part must be no more than 63 characters"]],
    [{ ...name, labels: { a: "-b" } }, ['metadata.labels: Invalid value: "-b": a valid label must be an empty string or consist of']],
    [{ ...name, labels: { a: "b".repeat(64) } }, ["must be no more than 63 characters"]],
    [{ ...name, annotations: { "A B": "" } }, ['metadata.annotations: Invalid value: "A B": name part must consist of']],
    [
      { ...name, annotations: { a: "x".repeat(limits.annotationBytesMax) } },
      ["metadata.annotations: Too long: may not be more than 262144 bytes"],
    ],
    [{ ...name, finalizers: ["-"] }, ['metadata.finalizers: Invalid value: "-": name part must consist of']],
    [{ ...name, finalizers: ["orphan", "foregroundDeletion"] }, ["finalizer orphan and foregroundDeletion cannot be both set"]],
    [
      { ...name, ownerReferences: [{ apiVersion: "v1", kind: "X", name: "x", uid: "" }] },
      ['metadata.ownerReferences.uid: Invalid value: "": must not be empty'],
    ],
    [
      {
        ...name,
        ownerReferences: [1, 2].map((uid) => ({ apiVersion: "v1", kind: "X", name: `x${uid}`, uid: `${uid}`, controller: true })),
      },
      ['Only one reference can have Controller set to true. Found "true" in references for X/x1 and X/x2'],
    ],
    [{ ...name, ownerReferences: [{ apiVersion: "v1", kind: "Event", name: "x", uid: "1" }] }, ["is disallowed from being an owner"]],
    [{ ...name, labels: { a: 1 } }, ['metadata.labels[a]: Invalid value: "number": must be a string']],
    [{ ...name, labels: [] }, ['metadata.labels: Invalid value: "array": must be a map']],
    [{ ...name, finalizers: "x" }, ['metadata.finalizers: Invalid value: "string": must be a list']],
    [{ ...name, creationTimestamp: "yesterday" }, ["must be an RFC 3339 time"]],
    ["web", ['metadata: Invalid value: "string": must be an object']],
  ])("%j", (meta, expected) => {
    const texts = validateMetadata(meta, { namespaced: true }).map(errorText);
    expect(texts).toHaveLength(expected.length);
    for (const [index, text] of expected.entries()) expect(texts[index]).toContain(text);
  });

  test("kinds without a namespace, and other names", () => {
    expect(validateMetadata(name, { namespaced: false }).map(errorText)).toEqual([
      "metadata.namespace: Forbidden: not allowed on this type",
    ]);
    expect(validateMetadata({ name: "A" }, { namespaced: false, nameProblems: () => [] })).toEqual([]);
  });
});

describe("metadata of an update", () => {
  const stored = { ...name, uid: "1", resourceVersion: "5", generation: 2, creationTimestamp: "2024-05-01T10:00:00Z" };
  test.each<[object, object, readonly string[]]>([
    [stored, stored, []],
    [{ ...stored, labels: { a: "b" } }, stored, []],
    [{ ...stored, resourceVersion: "" }, stored, ['metadata.resourceVersion: Invalid value: "": must be specified for an update']],
    [{ ...stored, name: "other" }, stored, ['metadata.name: Invalid value: "other": field is immutable']],
    [{ ...stored, uid: "2" }, stored, ['metadata.uid: Invalid value: "2": field is immutable']],
    [{ ...stored, creationTimestamp: null }, stored, ['metadata.creationTimestamp: Invalid value: "": field is immutable']],
    [{ ...stored, generation: 1 }, stored, ["metadata.generation: Invalid value: 1: must not be decremented"]],
    [
      { ...stored, deletionTimestamp: "2024-05-01T10:00:00Z", finalizers: ["b.io/x", "a.io/x"] },
      { ...stored, deletionTimestamp: "2024-05-01T10:00:00Z", finalizers: ["a.io/x"] },
      [
        'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"b.io/x"}',
      ],
    ],
  ])("%j after %j", (meta, old, expected) => expect(validateMetadataUpdate(meta, old).map(errorText)).toEqual([...expected]));
});

describe("label selectors", () => {
  test.each<[unknown, readonly string[]]>([
    [undefined, []],
    [{ matchLabels: { a: "b" }, matchExpressions: [{ key: "c", operator: "Exists" }] }, []],
    [
      { matchExpressions: [{ key: "c", operator: "In" }] },
      ["spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"],
    ],
    [
      { matchExpressions: [{ key: "c", operator: "Exists", values: ["a"] }] },
      ["spec.selector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"],
    ],
    [
      { matchExpressions: [{ key: "c", operator: "Is" }] },
      ['spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator'],
    ],
    [
      { matchExpressions: [{ key: "c", operator: "In", values: ["a b"] }] },
      ['spec.selector.matchExpressions[0].values[0]: Invalid value: "a b": a valid label must be'],
    ],
    [{ matchExpressions: "x" }, ['spec.selector.matchExpressions: Invalid value: "string": must be a list']],
  ])("%j", (selector, expected) => {
    const texts = validateLabelSelector(selector, "spec.selector").map(errorText);
    expect(texts).toHaveLength(expected.length);
    for (const [index, text] of expected.entries()) expect(texts[index]).toStartWith(text);
  });

  test("values that were accepted once", () => {
    expect(
      validateLabelSelector({ matchExpressions: [{ key: "c", operator: "In", values: ["a b"] }] }, "s", { allowInvalidValues: true }),
    ).toEqual([]);
  });
});

test.each([
  ["10.0.0.1", true],
  ["010.0.0.1", true],
  ["10.0.0", false],
  ["256.0.0.1", false],
  ["::1", true],
  ["2001:db8::ffff", true],
  ["1:2:3:4:5:6:7:8", true],
  ["1:2:3:4:5:6:7", false],
  ["1::2::3", false],
  ["::ffff:10.0.0.1", true],
  ["g::1", false],
  ["", false],
])("%p is an address: %p", (value, valid) => expect(ipProblems(value).length === 0).toBe(valid));

test("a generated name's prefix", () => {
  expect(maskTrailingDash("web-")).toBe("wea");
  expect(maskTrailingDash("web")).toBe("web");
});

test("no JSON makes it throw", () =>
  fc.assert(
    fc.property(
      fc.object({
        key: fc.constantFrom("name", "labels", "annotations", "finalizers", "ownerReferences", "matchLabels", "matchExpressions", "values"),
      }),
      (value) => {
        validateMetadata(value, { namespaced: true });
        validateMetadataUpdate(value, value);
        validateLabelSelector(value, "spec.selector");
      },
    ),
  ));
