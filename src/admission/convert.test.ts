import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cloneSetDefinition } from "../api/cloneset.ts";
import type { KindDefinition } from "../api/definition.ts";
import type { KubeObject } from "../kube/types.ts";
import { converterFor, convertReview } from "./convert.ts";

/** v1alpha1 has spec.size, v1beta1 and v1beta2 have spec.replicas; v1beta1 is stored. */
const moves = (from: string, to: string) => (object: KubeObject) => {
  const { [from]: value, ...spec } = (object as { spec?: Record<string, unknown> }).spec ?? {};
  if (value === "broken") throw new Error(`spec.${from}: want a number`);
  return {
    ...object,
    metadata: { ...object.metadata, uid: "stolen", annotations: { moved: "yes" } },
    spec: { ...spec, [to]: value },
  } as KubeObject;
};
const version = (name: string) => ({ name, served: true, storage: name === "v1beta1", schema: {}, columns: [], subresources: {} });
const things = {
  kind: { group: "apps.kruise.io", version: "v1beta1", kind: "Thing", plural: "things", namespaced: true },
  listKind: "ThingList",
  singular: "thing",
  shortNames: [],
  versions: ["v1alpha1", "v1beta1", "v1beta2"].map(version),
  conversion: { v1alpha1: { toStorage: moves("size", "replicas"), fromStorage: moves("replicas", "size") } },
} as unknown as KindDefinition;
const convert = converterFor([things, cloneSetDefinition as unknown as KindDefinition]);

const thing = (uid: string, size: unknown, apiVersion = "apps.kruise.io/v1alpha1") => ({
  apiVersion,
  kind: "Thing",
  metadata: { name: "t", uid, labels: { a: "b" } },
  spec: { size, extra: [1] },
});
const review = (objects: unknown, desiredAPIVersion: unknown = "apps.kruise.io/v1beta1", apiVersion = "apiextensions.k8s.io/v1") =>
  JSON.stringify({ kind: "ConversionReview", apiVersion, request: { uid: "r", desiredAPIVersion, objects } });
const answer = (text: string) => {
  const conversion = convertReview(text, convert);
  if (!conversion.ok) throw new Error(conversion.message);
  return JSON.parse(conversion.text);
};

describe("conversion", () => {
  test.each(["apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"])("as many objects as came, in their order, by %s", (apiVersion) => {
    const { kind, apiVersion: answered, response } = answer(review([thing("1", 1), thing("2", 2), thing("3", 3)], undefined, apiVersion));
    expect([kind, answered, response.uid, response.result]).toEqual(["ConversionReview", apiVersion, "r", { status: "Success" }]);
    expect(response.convertedObjects.map((object: ReturnType<typeof thing>) => object.metadata.uid)).toEqual(["1", "2", "3"]);
    expect(response.convertedObjects[1]).toEqual({
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "Thing",
      metadata: { name: "t", uid: "2", labels: { a: "b" }, annotations: { moved: "yes" } },
      spec: { extra: [1], replicas: 2 },
    });
  });

  test("by way of the storage version", () => {
    const [object] = answer(review([thing("1", 4)], "apps.kruise.io/v1beta2")).response.convertedObjects;
    expect(object).toMatchObject({ apiVersion: "apps.kruise.io/v1beta2", spec: { replicas: 4 } });
    const [back] = answer(review([{ ...object, apiVersion: "apps.kruise.io/v1beta2" }], "apps.kruise.io/v1alpha1")).response
      .convertedObjects;
    expect(back).toMatchObject({ apiVersion: "apps.kruise.io/v1alpha1", spec: { size: 4 } });
  });

  test("an object of the wanted version comes back as it is, of whatever kind", () => {
    const other = { apiVersion: "apps.kruise.io/v1beta1", kind: "Other", spec: "odd" };
    expect(answer(review([thing("1", 1, "apps.kruise.io/v1beta1"), other])).response.convertedObjects).toEqual([
      thing("1", 1, "apps.kruise.io/v1beta1"),
      other,
    ]);
  });

  test.each([
    [thing("1", "broken"), "request.objects[1]: Thing t from apps.kruise.io/v1alpha1 to apps.kruise.io/v1beta1: spec.size: want a number"],
    [{ ...thing("1", 1), kind: "Other" }, "not converted here"],
    [thing("1", 1, "apps.kruise.io/v2"), "apps.kruise.io/v2 is not a version"],
    [thing("1", 1, "other.io/v1alpha1"), "not converted here"],
    [{ kind: "Thing" }, "apiVersion and kind are required"],
    [{ ...thing("1", 1), metadata: [] }, "metadata: want an object"],
    [null, "want an object"],
    ["x", "want an object"],
  ])("one that fails fails all: %#", (bad, message) => {
    const { response } = answer(review([thing("0", 1), bad]));
    expect(response.convertedObjects).toEqual([]);
    expect(response.result.status).toBe("Failure");
    expect(response.result.message).toContain(message);
  });

  test("nothing to convert is a success", () => {
    expect(answer(review([])).response).toEqual({ uid: "r", convertedObjects: [], result: { status: "Success" } });
    expect(answer(review(null)).response.result.status).toBe("Success");
  });

  test.each([
    ["", "not JSON"],
    ["[]", "apiVersion"],
    ['{"apiVersion":"apiextensions.k8s.io/v1"}', "kind"],
    ['{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview"}', "request: missing"],
    [review([], ""), "desiredAPIVersion"],
    [review({}), "request.objects"],
  ])("%s is not understood", (text, message) => {
    const conversion = convertReview(text, convert);
    expect(conversion.ok).toBe(false);
    expect(conversion.ok ? "" : conversion.message).toContain(message);
  });

  test("any JSON gets an answer; what succeeds keeps identity and count", () => {
    const json = fc.jsonValue();
    const object = fc.record({
      apiVersion: fc.oneof(fc.constantFrom("apps.kruise.io/v1alpha1", "apps.kruise.io/v1beta1"), json),
      kind: fc.oneof(fc.constantFrom("CloneSet", "Thing"), json),
      metadata: fc.oneof(fc.record({ name: fc.string(), uid: fc.string(), annotations: json, labels: json }), json),
      spec: json,
      status: json,
    });
    const text = fc.oneof(
      fc
        .record({
          objects: fc.oneof(fc.array(fc.oneof(object, json), { maxLength: 4 }), json),
          desired: fc.oneof(fc.constantFrom("apps.kruise.io/v1alpha1", "apps.kruise.io/v1beta1"), json),
        })
        .map(({ objects, desired }) => review(objects, desired)),
      json.map((value) => JSON.stringify(value)),
      fc.string(),
    );
    fc.assert(
      fc.property(text, (sent) => {
        const conversion = convertReview(sent, convert);
        if (!conversion.ok) return;
        const { response } = JSON.parse(conversion.text);
        const asked = JSON.parse(sent).request.objects ?? [];
        if (response.result.status !== "Success") return expect(response.convertedObjects).toEqual([]);
        expect(response.convertedObjects).toHaveLength(asked.length);
        for (const [index, one] of response.convertedObjects.entries()) {
          expect(one.metadata?.uid).toEqual(asked[index].metadata?.uid);
          expect(one.kind).toEqual(asked[index].kind);
        }
      }),
      { numRuns: 400 },
    );
  });
});
