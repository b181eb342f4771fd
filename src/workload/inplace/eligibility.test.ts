import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type GateName, gatesWith } from "../../api/gates.ts";
import { annotation } from "../../api/names.ts";
import type { Container, PodTemplateSpec } from "../../kube/types.ts";
import { revision, template } from "../testing/pods.ts";
import { canUpdateInPlace, updateSpecBetween, whyNotInPlace, writeSpec } from "./index.ts";

const resize = { InPlaceWorkloadVerticalScaling: true };
const noEnv = { InPlaceUpdateEnvFromMetadata: false };

function between(before: PodTemplateSpec, after: PodTemplateSpec, gates: Partial<Record<GateName, boolean>> = {}) {
  return updateSpecBetween(revision("web-1", before), revision("web-2", after), { gates: gatesWith(gates) });
}
const text = (...args: Parameters<typeof between>) => {
  const spec = between(...args);
  return spec === undefined ? undefined : (JSON.parse(writeSpec(spec)) as Record<string, unknown>);
};
const patchIn = (spec: Record<string, unknown> | undefined): unknown =>
  JSON.parse(Buffer.from(String(spec?.["metaDataPatch"]), "base64").toString());
const with1 = (container: Partial<Container>, extra: Partial<PodTemplateSpec["spec"]> = {}) =>
  template({ spec: { containers: [{ name: "c1", image: "nginx:1", ...container }], ...extra } });
const cpu = (requests: string, more: object = {}) => with1({ resources: { requests: { cpu: requests, ...more } } });
const readsKey = (path: string) => [{ name: "CONFIG", valueFrom: { fieldRef: { fieldPath: path } } }];

describe("recreate", () => {
  test.each<[string, PodTemplateSpec, PodTemplateSpec, Partial<Record<GateName, boolean>>, string]>([
    [
      "5: an env value",
      with1({ env: [{ name: "A", value: "1" }] }),
      with1({ env: [{ name: "A", value: "2" }] }),
      {},
      "spec.containers[0].env changes",
    ],
    ["an env entry that is new", with1({}), with1({ env: [{ name: "A", value: "1" }] }), {}, "spec.containers[0].env is added"],
    [
      "16: an init container's image",
      with1({}, { initContainers: [{ name: "i", image: "a" }] }),
      with1({}, { initContainers: [{ name: "i", image: "b" }] }),
      {},
      "spec.initContainers[0].image changes",
    ],
    [
      "16: containers swapped",
      template({
        spec: {
          containers: [
            { name: "a", image: "x" },
            { name: "b", image: "x" },
          ],
        },
      }),
      template({
        spec: {
          containers: [
            { name: "b", image: "x" },
            { name: "a", image: "x" },
          ],
        },
      }),
      {},
      "spec.containers[0].name changes",
    ],
    [
      "a container more",
      with1({}),
      template({
        spec: {
          containers: [
            { name: "c1", image: "nginx:1" },
            { name: "c2", image: "x" },
          ],
        },
      }),
      {},
      "spec.containers[1] is added",
    ],
    [
      "a container less",
      template({
        spec: {
          containers: [
            { name: "c1", image: "nginx:1" },
            { name: "c2", image: "x" },
          ],
        },
      }),
      with1({}),
      {},
      "spec.containers[1] is removed",
    ],
    ["a toleration", with1({}), with1({}, { tolerations: [{ key: "a" }] }), {}, "spec.tolerations is added"],
    [
      "19: requests that change the QoS class",
      with1({ resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1", memory: "1Gi" } } }),
      with1({ resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m", memory: "1Gi" } } }),
      resize,
      "the quality-of-service class changes from Guaranteed to Burstable",
    ],
    [
      "19: a GPU",
      cpu("1", { "nvidia.com/gpu": "1" }),
      cpu("1", { "nvidia.com/gpu": "2" }),
      resize,
      "spec.containers[0].resources.requests.nvidia.com/gpu changes",
    ],
    [
      "19: a memory limit that is new",
      cpu("1"),
      with1({ resources: { requests: { cpu: "1" }, limits: { memory: "1Gi" } } }),
      resize,
      "spec.containers[0].resources.limits is added",
    ],
    [
      "a cpu request that goes away",
      cpu("1", { memory: "1Gi" }),
      with1({ resources: { requests: { memory: "1Gi" } } }),
      resize,
      "spec.containers[0].resources.requests.cpu is removed",
    ],
    ["20: resources with the gate off", cpu("1"), cpu("2"), {}, "spec.containers[0].resources.requests.cpu changes"],
    ["a readiness gate", with1({}), with1({}, { readinessGates: [{ conditionType: "x" }] }), {}, "spec.readinessGates is added"],
    ["an image that was not there", with1({ image: undefined }), with1({}), {}, "spec.containers[0].image is added"],
  ])("%s", (_, before, after, gates, why) => {
    expect(whyNotInPlace(revision("web-1", before), revision("web-2", after), { gates: gatesWith(gates) })).toBe(why);
  });

  test("12.19: the old revision is not known", () => {
    expect(canUpdateInPlace(undefined, revision("web-2", template()), { gates: gatesWith() })).toBe(false);
  });
});

describe("in place", () => {
  test.each<[string, PodTemplateSpec, PodTemplateSpec, Partial<Record<GateName, boolean>>, object]>([
    ["an image", with1({}), with1({ image: "nginx:2" }), {}, { containerImages: { c1: "nginx:2" } }],
    ["17: a cpu request", cpu("1"), cpu("2"), resize, { containerResources: { c1: { requests: { cpu: "2" } } } }],
    [
      "Burstable stays Burstable",
      cpu("1", { memory: "1Gi" }),
      cpu("1", { memory: "2Gi" }),
      resize,
      { containerResources: { c1: { requests: { memory: "2Gi" } } } },
    ],
    [
      "16 of the pitfalls: image and resources",
      with1({ resources: { requests: { cpu: "1" } } }),
      with1({ image: "nginx:2", resources: { requests: { cpu: "2" } } }),
      resize,
      { containerImages: { c1: "nginx:2" }, containerResources: { c1: { requests: { cpu: "2" } } } },
    ],
    ["the same quantity in other words", cpu("1000m"), cpu("1"), {}, {}],
    [
      "a difference in writing only",
      { spec: { containers: [{ name: "c1", image: "a", env: [], resources: {} }] } },
      { metadata: {}, spec: { containers: [{ name: "c1", image: "a" }] } },
      {},
      {},
    ],
  ])("%s", (_, before, after, gates, expected) => {
    expect(text(before, after, gates)).toEqual({ revision: "web-2", ...expected });
  });

  test("6: a label that is new", () => {
    const spec = text(template(), template({ metadata: { labels: { app: "web", k1: "v1" } } }));
    expect(patchIn(spec)).toEqual({ metadata: { labels: { k1: "v1" } } });
  });

  test("7: a label and a finalizer that go away", () => {
    const before = template({ metadata: { labels: { app: "web", k1: "v1" }, finalizers: ["fz1", "fz2"] } });
    const after = template({ metadata: { labels: { app: "web" }, finalizers: ["fz2"] } });
    expect(patchIn(text(before, after))).toEqual({
      metadata: { labels: { k1: null }, "$deleteFromPrimitiveList/finalizers": ["fz1"], "$setElementOrder/finalizers": ["fz2"] },
    });
  });

  test("the last annotation of a template goes alone, not with everybody's annotations", () => {
    const before = template({ metadata: { annotations: { mine: "1" } } });
    expect(patchIn(text(before, template()))).toEqual({ metadata: { annotations: { mine: null } } });
  });

  const v = (value: string) =>
    template({
      metadata: { annotations: { "app-config": value } },
      spec: { containers: [{ name: "c1", env: readsKey("metadata.annotations['app-config']") }] },
    });
  test("8: an annotation that a container reads", () => {
    const spec = text(v("v1"), v("v2"));
    expect(spec).toEqual({
      revision: "web-2",
      containerRefMetadata: { c1: { creationTimestamp: null, annotations: { "app-config": "v2" } } },
      metaDataPatch: "e30=",
      updateEnvFromMetadata: true,
    });
  });
  test("9: with the gate off it is metadata like any other", () => {
    const spec = text(v("v1"), v("v2"), noEnv);
    expect(patchIn(spec)).toEqual({ metadata: { annotations: { "app-config": "v2" } } });
    expect(spec?.["updateEnvFromMetadata"]).toBeUndefined();
  });
  test("12.10: the first label that a container reads", () => {
    const reads = { containers: [{ name: "c1", env: readsKey("metadata.labels['zone']") }] };
    const spec = text({ spec: reads }, { metadata: { labels: { zone: "a" } }, spec: reads });
    expect(spec?.["containerRefMetadata"]).toEqual({ c1: { creationTimestamp: null, labels: { zone: "a" } } });
  });
  test("12.9: a label that goes away restarts nobody", () => {
    const reads = { containers: [{ name: "c1", env: readsKey("metadata.labels['zone']") }] };
    const spec = text({ metadata: { labels: { zone: "a" } }, spec: reads }, { spec: reads });
    expect(patchIn(spec)).toEqual({ metadata: { labels: { zone: null } } });
    expect(spec?.["updateEnvFromMetadata"]).toBeUndefined();
  });

  test("35: claim templates matter with the gate, where both are known, unless pods are never recreated", () => {
    const gates = gatesWith({ RecreatePodWhenChangeVCTInCloneSetGate: true });
    const key = annotation.cloneSetVolumeClaimTemplateHash;
    const [old, other, unmarked] = [
      revision("web-1", template(), { annotations: { [key]: "" } }),
      revision("web-2", template(), { annotations: { [key]: "123" } }),
      revision("web-3", template()),
    ];
    expect(canUpdateInPlace(old, other, { gates })).toBe(false);
    expect(canUpdateInPlace(old, unmarked, { gates })).toBe(true);
    expect(canUpdateInPlace(old, other, { gates, ignoreClaimTemplates: true })).toBe(true);
    expect(canUpdateInPlace(old, other, { gates: gatesWith() })).toBe(true);
  });
});

const anyName = fc.constantFrom("a", "b", "constructor", "1");
const anyMap = fc.dictionary(anyName, fc.constantFrom("", "x", "y<z"), { maxKeys: 3 });
const anyTemplate = fc.record({
  metadata: fc.record({ labels: anyMap, annotations: anyMap, finalizers: fc.uniqueArray(fc.constantFrom("f/1", "f/2")) }),
  spec: fc.record({
    containers: fc.uniqueArray(
      fc.record({
        name: anyName,
        image: fc.constantFrom("i:1", "i:2"),
        resources: fc.record({ requests: fc.record({ cpu: fc.constantFrom("1", "2") }) }),
      }),
      { selector: ({ name }) => name, minLength: 1, maxLength: 3 },
    ),
  }),
});

test("identical templates: in place, with nothing to do", () =>
  fc.assert(
    fc.property(anyTemplate, (one) => {
      expect(text(one as PodTemplateSpec, structuredClone(one) as PodTemplateSpec)).toEqual({ revision: "web-2" });
    }),
  ));

test("possible in one direction, possible in the other", () =>
  fc.assert(
    fc.property(anyTemplate, anyTemplate, (a, b) => {
      const [there, back] = [
        between(a as PodTemplateSpec, b as PodTemplateSpec, resize),
        between(b as PodTemplateSpec, a as PodTemplateSpec, resize),
      ];
      expect(there === undefined).toBe(back === undefined);
    }),
  ));
