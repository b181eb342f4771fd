import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Fields } from "../kube/json.ts";
import type { KubeObject } from "../kube/types.ts";
import { cloneSetConversion } from "./cloneset-conversion.ts";

const base = { uid: "1", name: "web", namespace: "default", resourceVersion: "7", creationTimestamp: "2026-01-01T00:00:00Z" };
const object = (version: string, spec: unknown, metadata: object = {}): KubeObject =>
  ({ apiVersion: `apps.kruise.io/${version}`, kind: "CloneSet", metadata: { ...base, ...metadata }, spec }) as KubeObject;
const up = (spec: unknown, metadata?: object) => cloneSetConversion.toStorage(object("v1alpha1", spec, metadata)) as unknown as Fields;
const down = (spec: unknown, metadata?: object) => cloneSetConversion.fromStorage(object("v1beta1", spec, metadata)) as unknown as Fields;
const annotationsOf = (converted: Fields) => (converted["metadata"] as { annotations?: unknown }).annotations;
const labelsOf = (converted: Fields) => (converted["metadata"] as { labels?: unknown }).labels;
const reuse = { scaleStrategy: { enablePVCReuse: true } };
const noReuse = { scaleStrategy: { disablePVCReuse: true } };

describe("v1alpha1 to v1beta1", () => {
  test.each([
    [{}, { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "ReCreate" } }, "nothing said means recreate"],
    [{ updateStrategy: { type: "Sideways" } }, { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "ReCreate" } }, "unknown type"],
    [
      { updateStrategy: { type: "InPlaceIfPossible", partition: "50%", maxSurge: 0, paused: true } },
      { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", partition: "50%", maxSurge: 0, paused: true } },
      "fields move one level down",
    ],
    [{ updateStrategy: { type: "OnDelete", partition: 1, inPlaceUpdateStrategy: {} } }, { type: "OnDelete" }, "OnDelete has no figures"],
    [
      { updateStrategy: { type: "InPlaceOnly", inPlaceUpdateStrategy: { gracePeriodSeconds: 3, imagePreDownloadParallelism: 9 } } },
      { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "InPlaceOnly", inPlaceUpdateStrategy: { gracePeriodSeconds: 3 } } },
      "pre-download fields of v1alpha1 never meant anything",
    ],
    [
      { updateStrategy: { future: 1 } },
      { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "ReCreate" }, future: 1 },
      "unknown fields stay",
    ],
  ])("%j: %j: %s", (spec, updateStrategy) => {
    expect(up(spec)["spec"]).toEqual({ ...reuse, updateStrategy });
  });

  test.each([
    [{ parallelism: "3" }, { imagePreDownloadParallelism: 3 }],
    [{ parallelism: "20%" }, { imagePreDownloadParallelism: "20%" }],
    [
      { "timeout-seconds": "600", "min-updated-ready-pods": "2" },
      { imagePreDownloadTimeoutSeconds: 600, imagePreDownloadMinUpdatedReadyPods: 2 },
    ],
    [{ "min-updated-ready-pods": "20%" }, {}],
    [{ "timeout-seconds": "9999999999" }, {}],
    [{ "timeout-seconds": "" }, undefined],
  ])("annotations %j become %j", (annotations, expected) => {
    const prefixed = Object.fromEntries(
      Object.entries(annotations).map(([key, value]) => [`apps.kruise.io/image-predownload-${key}`, value]),
    );
    const converted = up({}, { annotations: prefixed });
    expect(converted).toHaveProperty("spec.updateStrategy.rollingUpdate", {
      podUpdatePolicy: "ReCreate",
      ...(expected === undefined ? {} : { inPlaceUpdateStrategy: expected }),
    });
    expect(annotationsOf(converted)).toEqual(prefixed);
  });

  test.each([
    [{}, undefined, { enablePVCReuse: true }],
    [{ disablePVCReuse: true, podsToDelete: ["a"] }, undefined, { enablePVCReuse: false, podsToDelete: ["a"] }],
    [{}, "true", { enablePVCReuse: true, excludePreparingDelete: true }],
    [{}, "yes", { enablePVCReuse: true }],
  ])("scaleStrategy %j with label %p becomes %j", (scaleStrategy, value, expected) => {
    const labels = value === undefined ? undefined : { "apps.kruise.io/cloneset-scaling-exclude-preparing-delete": value };
    const converted = up({ scaleStrategy }, { labels });
    expect(converted).toHaveProperty("spec.scaleStrategy", expected);
    expect(labelsOf(converted)).toEqual(labels);
  });
});

describe("v1beta1 to v1alpha1", () => {
  test.each([
    [{}, { type: "ReCreate" }, "nothing said means recreate"],
    [{ updateStrategy: { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "?" } } }, { type: "ReCreate" }, "unknown policy"],
    [
      { updateStrategy: { type: "OnDelete", rollingUpdate: { podUpdatePolicy: "InPlaceOnly", partition: 2 } } },
      { type: "OnDelete", partition: 2 },
      "OnDelete keeps its figures on the way down",
    ],
    [
      { updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceOnly", inPlaceUpdateStrategy: { gracePeriodSeconds: 0 } } } },
      { type: "InPlaceOnly" },
      "a strategy that says nothing goes",
    ],
    [
      { updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceOnly", inPlaceUpdateStrategy: { gracePeriodSeconds: 5 } } } },
      { type: "InPlaceOnly", inPlaceUpdateStrategy: { gracePeriodSeconds: 5 } },
      "one that says something stays",
    ],
  ])("%j: %j: %s", (spec, updateStrategy) => {
    expect(down(spec)["spec"]).toEqual({ ...noReuse, updateStrategy });
  });

  test("pre-download settings become annotations", () => {
    const inPlaceUpdateStrategy = { imagePreDownloadParallelism: "20%", imagePreDownloadTimeoutSeconds: 600 };
    const converted = down(
      { updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceOnly", inPlaceUpdateStrategy } } },
      { annotations: { mine: "1", "apps.kruise.io/image-predownload-min-updated-ready-pods": "4" } },
    );
    expect(converted).toHaveProperty("spec.updateStrategy", { type: "InPlaceOnly", inPlaceUpdateStrategy: {} });
    expect(annotationsOf(converted)).toEqual({
      mine: "1",
      "apps.kruise.io/image-predownload-parallelism": "20%",
      "apps.kruise.io/image-predownload-timeout-seconds": "600",
    });
  });

  test.each([
    [true, undefined, { [`apps.kruise.io/cloneset-scaling-exclude-preparing-delete`]: "true" }, "said by the label"],
    [false, "true", undefined, "a label that says otherwise goes"],
    [undefined, "no", { [`apps.kruise.io/cloneset-scaling-exclude-preparing-delete`]: "no" }, "a label that says the same stays"],
  ])("excludePreparingDelete %p with label %p: %j: %s", (excludePreparingDelete, value, expected) => {
    const labels = value === undefined ? undefined : { "apps.kruise.io/cloneset-scaling-exclude-preparing-delete": value };
    expect(labelsOf(down({ scaleStrategy: { excludePreparingDelete } }, { labels }))).toEqual(expected as never);
  });
});

test("nothing is lost on the way through v1alpha1", () => {
  const int = fc.integer({ min: 1, max: 2 ** 31 - 1 });
  const intOrPercent = fc.oneof(int, fc.constant("20%"));
  const inPlaceUpdateStrategy = fc.record(
    {
      gracePeriodSeconds: int,
      imagePreDownloadParallelism: intOrPercent,
      imagePreDownloadTimeoutSeconds: int,
      imagePreDownloadMinUpdatedReadyPods: int,
    },
    { requiredKeys: ["gracePeriodSeconds"] },
  );
  const rollingUpdate = fc.record(
    {
      podUpdatePolicy: fc.constantFrom("ReCreate", "InPlaceIfPossible", "InPlaceOnly"),
      partition: intOrPercent,
      paused: fc.boolean(),
      scatterStrategy: fc.constant([{ key: "a", value: "b" }]),
      inPlaceUpdateStrategy,
    },
    { requiredKeys: ["podUpdatePolicy"] },
  );
  const specs = fc.record({
    replicas: int,
    scaleStrategy: fc.record(
      { enablePVCReuse: fc.boolean(), excludePreparingDelete: fc.constant(true), podsToDelete: fc.constant(["a"]) },
      { requiredKeys: ["enablePVCReuse"] },
    ),
    updateStrategy: fc.oneof(fc.constant({ type: "OnDelete" }), fc.record({ type: fc.constant("RollingUpdate"), rollingUpdate })),
  });
  fc.assert(
    fc.property(specs, (spec) => {
      const back = cloneSetConversion.toStorage(down(spec) as unknown as KubeObject);
      expect((back as unknown as Fields)["spec"]).toEqual(spec);
    }),
  );
});
