import { expect, test } from "bun:test";
import fc from "fast-check";
import type { KubeObject } from "../kube/types.ts";
import { podUnavailableBudgetConversion as conversion, protectedOperations } from "./podunavailablebudget-conversion.ts";

const budget = (version: string, spec: object, annotations?: Record<string, string>): KubeObject =>
  ({
    apiVersion: `policy.kruise.io/${version}`,
    kind: "PodUnavailableBudget",
    metadata: {
      name: "web",
      uid: "1",
      resourceVersion: "7",
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...(annotations ? { annotations } : {}),
    },
    spec,
  }) as KubeObject;
const operations = "kruise.io/pub-protect-operations";
const total = "pub.kruise.io/protect-total-replicas";

test.each([
  [{ [operations]: " DELETE,, EVICT ,DELETE" }, { protectOperations: ["DELETE", "EVICT", "DELETE"] }, undefined],
  [{ [operations]: " , " }, {}, { [operations]: " , " }],
  [{ [operations]: "" }, {}, { [operations]: "" }],
  [{ [total]: "15", mine: "1" }, { protectTotalReplicas: 15 }, { mine: "1" }],
  [{ [total]: "0" }, { protectTotalReplicas: 0 }, undefined],
  [{ [total]: "" }, {}, { [total]: "" }],
])("annotations %j become fields %j and leave %j", (annotations, fields, left) => {
  const stored = conversion.toStorage(budget("v1alpha1", { maxUnavailable: 1 }, annotations as never));
  expect(stored).toEqual(budget("v1beta1", { maxUnavailable: 1, ...fields }, left as never));
});

test.each([
  [{ [operations]: "delete" }, `metadata.annotations[${operations}]: "delete" is not one of DELETE, UPDATE, EVICT, RESIZE`],
  [{ [total]: "many" }, `metadata.annotations[${total}]: "many" is not a whole number`],
  [{ [total]: "99999999999" }, `metadata.annotations[${total}]: "99999999999" is not a whole number`],
])("annotations %j are refused", (annotations, message) => {
  expect(() => conversion.toStorage(budget("v1alpha1", {}, annotations as never))).toThrow(message);
});

test("fields become annotations, and an annotation without its field goes", () => {
  const spec = { minAvailable: "50%", protectTotalReplicas: 3, ignoredPodSelector: { matchLabels: { a: "b" } } };
  expect(conversion.fromStorage(budget("v1beta1", spec, { [operations]: "DELETE", mine: "1" }))).toEqual(
    budget(
      "v1alpha1",
      { minAvailable: "50%" },
      { mine: "1", [total]: "3", "pub.kruise.io/ignored-pod-selector": '{"matchLabels":{"a":"b"}}' },
    ),
  );
});

test("nothing is lost on the way through v1alpha1", () => {
  const specs = fc.record(
    {
      maxUnavailable: fc.oneof(fc.nat(), fc.constant("30%")),
      protectOperations: fc.array(fc.constantFrom(...protectedOperations), { minLength: 1 }),
      protectTotalReplicas: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      ignoredPodSelector: fc.record({ matchLabels: fc.dictionary(fc.string(), fc.string()) }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(specs, (spec) => {
      const stored = budget("v1beta1", spec);
      expect(conversion.toStorage(conversion.fromStorage(stored))).toEqual(stored);
    }),
  );
});
