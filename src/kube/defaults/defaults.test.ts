import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeAs } from "../canonical/encode.ts";
import { deepEqual } from "../json.ts";
import type { PodTemplateSpec } from "../types.ts";
import { defaultContainer } from "./container.ts";
import { claimTemplateCases, podCases, podTemplateCases } from "./defaults.cases.ts";
import { defaultPod, defaultPodTemplate, mirrorServiceAccount, workloadDefaults } from "./pod.ts";
import { defaultClaimTemplate, defaultVolume } from "./volume.ts";

const template = (value: unknown): string => encodeAs("PodTemplateSpec", value, { sorted: true });

test.each(podTemplateCases.map((row) => [row.what, row] as const))("template: %s", (_, { given, stored }) => {
  const before = structuredClone(given);
  const defaulted = defaultPodTemplate(given as object);
  expect(template(defaulted)).toBe(template(stored));
  expect(given).toEqual(before);
  expect(defaultPodTemplate(defaulted)).toBe(defaulted);
});

test.each(podCases.map((row) => [row.what, row] as const))("pod: %s", (_, { given, stored }) => {
  const defaulted = defaultPod(given as object);
  expect(template(defaulted)).toBe(template(stored));
  expect(defaultPod(defaulted)).toBe(defaulted);
});

test.each(claimTemplateCases.map((row) => [row.what, row] as const))("claim template: %s", (_, { given, stored }) => {
  const defaulted = defaultClaimTemplate(given as object);
  expect(defaulted).toEqual(stored as object);
  expect(defaultClaimTemplate(defaulted)).toBe(defaulted);
});

describe("OpenKruise's ways", () => {
  const given = {
    spec: {
      hostNetwork: true,
      containers: [{ name: "c", image: "nginx:1.25", ports: [{ containerPort: 80 }] }],
      initContainers: [{ name: "i", image: "nginx:1.25" }],
    },
  };

  test("containers always pull, init containers by tag", () => {
    const { spec } = defaultPodTemplate<PodTemplateSpec>(given, workloadDefaults);
    expect(spec.containers[0]?.imagePullPolicy).toBe("Always");
    expect(spec.initContainers?.[0]?.imagePullPolicy).toBe("IfNotPresent");
  });

  test("host ports already in the template, by gate", () => {
    const { spec } = defaultPodTemplate(given, { hostPorts: true });
    expect(spec.containers[0]?.ports[0]).toEqual({ containerPort: 80, protocol: "TCP", hostPort: 80 } as never);
  });

  test("a sidecar's startup probe gets only what validation insists on", () => {
    const probes = { startupProbe: { httpGet: { port: 80 } }, livenessProbe: { grpc: { port: 1 } } };
    const sidecar = defaultContainer({ name: "s", image: "i:1", ...probes }, { startupProbe: "required", grpcService: false });
    expect(sidecar["startupProbe"]).toEqual({ successThreshold: 1, httpGet: { port: 80, path: "/", scheme: "HTTP" } });
    expect(sidecar["livenessProbe"]).toEqual({
      grpc: { port: 1 },
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    });
  });

  test("a sidecar's volumes", () => {
    expect(defaultVolume({ name: "v", rbd: { image: "i" } }, "common")).toEqual({ name: "v", rbd: { image: "i" } });
    expect(defaultVolume({ name: "v" }, "common")).toEqual({ name: "v", emptyDir: {} });
    expect(defaultVolume({ name: "v", sourceOfTomorrow: {} })).toEqual({ name: "v", sourceOfTomorrow: {} });
  });

  test("a service account has two names", () => {
    expect(mirrorServiceAccount({ serviceAccountName: "a" })).toEqual({ serviceAccountName: "a", serviceAccount: "a" });
    expect(mirrorServiceAccount({ serviceAccount: "a" })).toEqual({ serviceAccountName: "a", serviceAccount: "a" });
    expect(mirrorServiceAccount({ serviceAccountName: "a", serviceAccount: "b" })).toEqual({
      serviceAccountName: "a",
      serviceAccount: "a",
    });
  });
});

test("no JSON makes it throw, and twice is once", () => {
  const key = fc.constantFrom(
    "spec",
    "containers",
    "volumes",
    "ports",
    "env",
    "valueFrom",
    "fieldRef",
    "resources",
    "limits",
    "livenessProbe",
    "httpGet",
    "ephemeral",
    "volumeClaimTemplate",
    "name",
  );
  fc.assert(
    fc.property(fc.object({ key, maxDepth: 6, values: [fc.string(), fc.integer(), fc.constant(null), fc.boolean()] }), (given) => {
      for (const change of [defaultPodTemplate, defaultPod, defaultClaimTemplate]) {
        const once = change(given);
        expect(change(once)).toBe(once);
        expect(deepEqual(once, change(given))).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});
