import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { objectType } from "../canonical/schema.ts";
import { validateClaim } from "./claims.ts";
import { errorText } from "./field-error.ts";
import { base, c0, podTemplateCases, withContainer, withSpec, withVolume } from "./pod.cases.ts";
import { strictRules, validatePodSpec, validatePodTemplate, workloadRules } from "./pod.ts";

const path = "spec.template";
const check = (template: unknown, rules = strictRules): string[] => validatePodTemplate(template, path, rules).map(errorText);
test("a template as people write it", () => {
  expect(
    check({
      metadata: { labels: { app: "web" }, annotations: { note: "x" } },
      spec: {
        serviceAccountName: "sa",
        nodeSelector: { "kubernetes.io/os": "linux" },
        initContainers: [
          { name: "init", image: "busybox" },
          { name: "side", image: "busybox", restartPolicy: "Always", readinessProbe: { tcpSocket: { port: 1 } } },
        ],
        containers: [
          {
            name: "main",
            image: "nginx",
            ports: [{ name: "http", containerPort: 80 }],
            env: [
              { name: "A", value: "" },
              { name: "B", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
              { name: "C", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
            ],
            envFrom: [{ configMapRef: { name: "m" } }],
            resources: { limits: { cpu: 1, memory: "1Gi" }, requests: { cpu: "500m" } },
            volumeMounts: [
              { name: "data", mountPath: "/data" },
              { name: "cfg", mountPath: "/cfg", readOnly: true, subPath: "a/b" },
            ],
            livenessProbe: { httpGet: { port: "http" } },
            lifecycle: { preStop: { exec: { command: ["sleep", "5"] } } },
            securityContext: { runAsUser: 1000, capabilities: { drop: ["ALL"] } },
          },
        ],
        volumes: [{ name: "data" }, { name: "cfg", configMap: { name: "m", items: [{ key: "k", path: "a/b" }] } }],
        tolerations: [{ operator: "Exists" }],
        affinity: {
          podAntiAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              { weight: 1, podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "web" } } } },
            ],
          },
        },
        topologySpreadConstraints: [
          { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", labelSelector: { matchLabels: { app: "web" } } },
        ],
        readinessGates: [{ conditionType: "InPlaceUpdateReady" }],
        hostAliases: [{ ip: "10.0.0.1", hostnames: ["a.b"] }],
      },
    }),
  ).toEqual([]);
});

describe("rules", () => {
  test.each(podTemplateCases.map((row) => [...row] as [string, unknown, readonly string[]]))("%s", (_, template, expected) => {
    const texts = check(template);
    expect(texts).toHaveLength(expected.length);
    for (const [index, text] of expected.entries()) expect(texts[index]).toContain(text);
  });
});

describe("OpenKruise's ways", () => {
  test("what was accepted once stays accepted", () => {
    const template = {
      metadata: { annotations: { "controller.kubernetes.io/pod-deletion-cost": "x" } },
      spec: {
        containers: [{ ...base, resources: { limits: { "hugepages-2Mi": "3Mi", cpu: "1" } } }],
        affinity: {
          podAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              { topologyKey: "z", labelSelector: { matchExpressions: [{ key: "a", operator: "In", values: ["b c"] }] } },
            ],
          },
        },
        topologySpreadConstraints: [
          { maxSkew: 1, topologyKey: "z", whenUnsatisfiable: "ScheduleAnyway", labelSelector: { matchLabels: { a: "b c" } } },
        ],
      },
    };
    expect(check(template, workloadRules)).toEqual([]);
    expect(check(template, strictRules)).toHaveLength(4);
  });

  test("claims of the workload can be mounted, and not be named again", () => {
    const template = withContainer({ volumeMounts: [{ name: "data", mountPath: "/d" }] });
    expect(check(template, { ...workloadRules, claimNames: ["data"] })).toEqual([]);
    expect(check(withSpec({ volumes: [{ name: "data" }] }), { ...workloadRules, claimNames: ["data"] })).toEqual([
      'spec.template.spec.volumes[1].name: Duplicate value: "data"',
    ]);
  });

  test("a source of tomorrow is the server's to judge", () => {
    expect(check(withVolume({ sourceOfTomorrow: {} }))).toEqual([]);
    expect(check(withContainer({ env: [{ name: "A", valueFrom: { sourceOfTomorrow: {} } }] }))).toEqual([]);
  });

  test("a pod's own spec is final", () => {
    const spec = { hostNetwork: true, containers: [{ ...base, image: " i ", ports: [{ containerPort: 1 }] }] };
    expect(validatePodSpec(spec, "spec", { ...strictRules, isPod: true }).map(errorText)).toEqual([
      "spec.containers[0].ports[0].hostPort: Invalid value: 0: must match `containerPort` when `hostNetwork` is true",
      'spec.containers[0].image: Invalid value: " i ": must not have leading or trailing whitespace',
    ]);
    expect(validatePodSpec(spec, "spec")).toEqual([]);
  });
});

test.each<[unknown, readonly string[]]>([
  [{ metadata: { name: "d" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } }, []],
  [
    { spec: {} },
    ["claim.spec.accessModes: Required value: at least 1 access mode is required", "claim.spec.resources[storage]: Required value"],
  ],
  [
    { spec: { accessModes: ["X"], resources: { requests: { storage: "0" } } } },
    ['claim.spec.accessModes: Unsupported value: "X"', 'claim.spec.resources[storage]: Invalid value: "0": must be greater than zero'],
  ],
  [{ spec: 1 }, ['claim.spec: Invalid value: "number": must be an object']],
])("claim %j", (claim, expected) => {
  const texts = validateClaim(claim, "claim").map(errorText);
  expect(texts).toHaveLength(expected.length);
  for (const [index, text] of expected.entries()) expect(texts[index]).toStartWith(text);
});

describe("whatever the JSON", () => {
  const names = ["PodTemplateSpec", "PodSpec", "Container", "Volume", "EnvVar", "EnvVarSource", "Probe", "Affinity", "ObjectMeta"].flatMap(
    (type) => objectType(type).fields.map((field) => field.name),
  );
  const anything = fc.object({
    key: fc.constantFrom(...new Set(names)),
    maxDepth: 6,
    values: [fc.string(), fc.integer(), fc.constant(null), fc.boolean(), fc.double(), fc.constant([])],
  });

  test("it answers with errors, and never throws", () =>
    fc.assert(
      fc.property(fc.oneof(anything, fc.jsonValue()), (template) => Array.isArray(validatePodTemplate(template, path))),
      { numRuns: 500 },
    ));

  test("a value of the wrong type in any field is an error", () => {
    for (const field of objectType("Container").fields) {
      for (const value of [[[]], { a: { b: 1 } }, "text", 1.5, true, -1]) {
        const found = validatePodTemplate({ spec: { containers: [{ ...base, [field.name]: value }] } }, path, strictRules);
        for (const error of found) expect(error.path).toStartWith(c0);
      }
    }
  });
});
