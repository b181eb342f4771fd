import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { AdmissionContext, AdmissionRequest, Operation, Refusal } from "../../admission/webhook.ts";
import { cloneSetConversion } from "../../api/cloneset-conversion.ts";
import { type GateName, gatesWith } from "../../api/gates.ts";
import { testSettings } from "../../engine/testing/settings.ts";
import { deepEqual, type Fields } from "../../kube/json.ts";
import type { KubeObject, Pod } from "../../kube/types.ts";
import { mutate, validate } from "./webhooks.ts";

type Version = "v1alpha1" | "v1beta1";
type Loose = Record<string, unknown>;

const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx:1.25" }] } };
const metadata = {
  name: "web",
  namespace: "shop",
  uid: "uid-web",
  resourceVersion: "7",
  creationTimestamp: "2024-05-01T10:00:00Z",
  generation: 1,
};
const given = (spec: Loose = {}, more: Loose = {}): Loose => ({
  kind: "CloneSet",
  metadata: { ...metadata, ...more },
  spec: { selector: { matchLabels: { app: "web" } }, template, ...spec },
});

const request = (version: string, operation: Operation, object?: unknown, oldObject?: unknown): AdmissionRequest => ({
  uid: "1",
  kind: { group: "apps.kruise.io", version, kind: "CloneSet" },
  resource: { group: "apps.kruise.io", version, resource: "clonesets" },
  name: "web",
  namespace: "shop",
  operation,
  object: object as KubeObject,
  oldObject: oldObject as KubeObject,
  dryRun: false,
  userInfo: { username: "jane" },
});

const pod = (name: string, owner: string, more: Loose = {}) => ({
  metadata: { name, namespace: "shop", ownerReferences: [{ apiVersion: "", kind: "", name: "", uid: owner, controller: true }], ...more },
});
const podsThere = [
  pod("web-a", "uid-web"),
  pod("web-going", "uid-web", { deletionTimestamp: "2024-05-01T10:00:00Z" }),
  pod("other-a", "uid-other"),
];

function contextWith(gates: Partial<Record<GateName, boolean>> = {}, allowPrivileged = true) {
  const refusals: Refusal[] = [];
  const context = {
    settings: testSettings({ gates: gatesWith(gates), allowPrivileged }),
    read: {
      get: (_: unknown, { name }: { name: string }) => podsThere.find((candidate) => candidate.metadata.name === name) as Pod | undefined,
    },
    refused: (refusal: Refusal) => refusals.push(refusal),
  } as unknown as AdmissionContext;
  return { context, refusals };
}
const { context } = contextWith();

const defaulted = (version: Version, object: Loose, operation: Operation = "CREATE", old?: Loose, gates = {}): Loose => {
  const verdict = mutate(request(version, operation, object, old), contextWith(gates).context);
  if (!verdict.allowed) throw new Error(verdict.message);
  return verdict.object as Loose;
};
const specOf = (object: Loose) => object["spec"] as Loose & { template: Fields; updateStrategy: Loose };

/** Filled in, then validated; undefined when accepted. */
function refusal(version: Version, object: Loose, old?: Loose, gates = {}): string | undefined {
  const operation = old === undefined ? "CREATE" : "UPDATE";
  const stored = old === undefined ? undefined : defaulted(version, old);
  const verdict = validate(
    request(version, operation, defaulted(version, object, operation, stored, gates), stored),
    contextWith(gates).context,
  );
  if (verdict.allowed) return undefined;
  expect(verdict.code).toBe(422);
  return verdict.message;
}

describe("filling in", () => {
  test("1: v1alpha1 with nothing but selector and template", () => {
    const spec = specOf(defaulted("v1alpha1", given()));
    expect(spec).toMatchObject({
      replicas: 1,
      revisionHistoryLimit: 10,
      updateStrategy: { type: "ReCreate", partition: 0, maxUnavailable: "20%", maxSurge: 0 },
      template: { spec: { containers: [{ imagePullPolicy: "Always" }], restartPolicy: "Always", terminationGracePeriodSeconds: 30 } },
    });
  });

  test.each<[Version, Loose, Loose]>([
    [
      "v1alpha1",
      { type: "InPlaceIfPossible" },
      { type: "InPlaceIfPossible", inPlaceUpdateStrategy: {}, partition: 0, maxUnavailable: "20%", maxSurge: 0 },
    ],
    ["v1alpha1", { type: "OnDelete", partition: null }, { type: "OnDelete", partition: 0, maxUnavailable: "20%", maxSurge: 0 }],
    [
      "v1beta1",
      {},
      { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "ReCreate", partition: 0, maxUnavailable: "20%", maxSurge: 0 } },
    ],
    ["v1beta1", { type: "OnDelete" }, { type: "OnDelete" }],
    ["v1beta1", { type: "OnDelete", rollingUpdate: { partition: 2 } }, { type: "OnDelete", rollingUpdate: { partition: 2 } }],
    [
      "v1beta1",
      { rollingUpdate: { podUpdatePolicy: "InPlaceOnly", maxUnavailable: 3, partition: null } },
      {
        type: "RollingUpdate",
        rollingUpdate: { podUpdatePolicy: "InPlaceOnly", inPlaceUpdateStrategy: {}, partition: 0, maxUnavailable: 3, maxSurge: 0 },
      },
    ],
  ])("%s %j", (version, updateStrategy, expected) => {
    expect(specOf(defaulted(version, given({ updateStrategy }))).updateStrategy).toEqual(expected);
  });

  test("a stray $patch leaves the template, even where nothing is filled in", () => {
    const object = given({ template: { ...template, $patch: "replace" } });
    expect(specOf(defaulted("v1beta1", object)).template).not.toHaveProperty("$patch");
    expect(specOf(defaulted("v1beta1", object, "CREATE", undefined, { TemplateNoDefaults: true })).template).toEqual(template);
  });

  test("the template is filled in only when it changes", () => {
    const old = given();
    expect(specOf(defaulted("v1beta1", given({ replicas: 3 }), "UPDATE", old)).template).toEqual(template);
    const changed = given({ template: { ...template, metadata: { labels: { app: "web", tier: "x" } } } });
    expect(specOf(defaulted("v1beta1", changed, "UPDATE", old)).template).toMatchObject({ spec: { dnsPolicy: "ClusterFirst" } });
  });

  test("claim templates get their phase, and host ports with their gate", () => {
    const object = given({
      template: { ...template, spec: { hostNetwork: true, containers: [{ name: "main", image: "a", ports: [{ containerPort: 80 }] }] } },
      volumeClaimTemplates: [{ metadata: { name: "data" }, spec: {} }],
    });
    expect(specOf(defaulted("v1beta1", object))["volumeClaimTemplates"]).toMatchObject([{ status: { phase: "Pending" } }]);
    const ports = (gates: object) =>
      (specOf(defaulted("v1beta1", object, "CREATE", undefined, gates)).template as { spec: { containers: { ports: Loose[] }[] } }).spec
        .containers[0]!.ports[0];
    expect(ports({})).not.toHaveProperty("hostPort");
    expect(ports({ DefaultHostNetworkHostPortsInPodTemplates: true })).toMatchObject({ hostPort: 80 });
  });

  test("filling in twice changes nothing more", () => {
    for (const version of ["v1alpha1", "v1beta1"] as const) {
      const once = defaulted(version, given({ updateStrategy: { type: "OnDelete" } }));
      expect(defaulted(version, once)).toEqual(once);
    }
  });

  test.each(["InPlaceIfPossible", "InPlaceOnly", "OnDelete", "ReCreate"])(
    "8.28: a v1alpha1 %s read and written back is no change",
    (type) => {
      const asStored = (object: Loose) =>
        cloneSetConversion.toStorage({ ...object, apiVersion: "apps.kruise.io/v1alpha1" } as unknown as KubeObject) as KubeObject & Loose;
      const created = asStored(defaulted("v1alpha1", given({ updateStrategy: { type } })));
      const read = cloneSetConversion.fromStorage(created) as KubeObject & Loose;
      const written = defaulted("v1alpha1", read, "UPDATE", read);
      expect(written).toEqual(read);
      // … and what that stores is no change for the other version.
      const stored = asStored(written);
      expect(defaulted("v1beta1", stored, "UPDATE", stored)).toEqual(stored);
    },
  );
});

const rolling = (version: Version, fields: Loose): Loose =>
  version === "v1alpha1" ? { updateStrategy: fields } : { updateStrategy: { rollingUpdate: fields } };
const at = { v1alpha1: "spec.updateStrategy", v1beta1: "spec.updateStrategy.rollingUpdate" } as const;
const percent = `a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+(\\.[0-9]+)?%')`;

describe.each(["v1alpha1", "v1beta1"] as const)("refusing in %s", (version) => {
  test.each<[string, Loose, string | undefined]>([
    ["nothing to refuse", {}, undefined],
    ["negative replicas", { replicas: -1 }, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
    ["negative minReadySeconds", { minReadySeconds: -1 }, "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"],
    ["negative history", { revisionHistoryLimit: -1 }, "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"],
    ["no selector", { selector: null }, "spec.selector: Required value"],
    [
      "empty selector",
      { selector: {} },
      "spec.selector: Invalid value: {}: empty selector is invalid for cloneset: it would select every pod of the namespace",
    ],
    [
      "selector with an unknown operator",
      { selector: { matchExpressions: [{ key: "app", operator: "Near" }] } },
      'spec.selector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator',
    ],
    [
      "selector that misses the template",
      { selector: { matchLabels: { app: "api" } } },
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ],
    ["no template", { template: null }, "spec.template: Required value"],
    [
      "restartPolicy",
      { template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } } },
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ],
    [
      "activeDeadlineSeconds",
      { template: { ...template, spec: { ...template.spec, activeDeadlineSeconds: 5 } } },
      "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in CloneSet is not supported: its pods run until they are deleted",
    ],
    [
      "a container without image",
      { template: { ...template, spec: { containers: [{ name: "main" }] } } },
      "spec.template.spec.containers[0].image: Required value",
    ],
    [
      "a mount of a claim template",
      {
        template: {
          ...template,
          spec: { containers: [{ name: "main", image: "a", volumeMounts: [{ name: "data", mountPath: "/data" }] }] },
        },
        volumeClaimTemplates: [{ metadata: { name: "data" }, spec: {} }],
      },
      undefined,
    ],
    [
      "podsToDelete twice",
      { scaleStrategy: { podsToDelete: ["web-a", "web-a"] } },
      'spec.scaleStrategy.podsToDelete: Invalid value: ["web-a","web-a"]: duplicated pod name web-a',
    ],
    [
      "scaleStrategy.maxUnavailable",
      { scaleStrategy: { maxUnavailable: "2" } },
      `spec.scaleStrategy.maxUnavailable: Invalid value: "2": ${percent}`,
    ],
    ["partition as text", rolling(version, { partition: "5" }), `${at[version]}.partition: Invalid value: "5": ${percent}`],
    [
      "partition below 0",
      rolling(version, { partition: -1 }),
      `${at[version]}.partition: Invalid value: -1: must be greater than or equal to 0`,
    ],
    ["partition with decimals", rolling(version, { partition: "12.5%" }), undefined],
    ["maxSurge as text", rolling(version, { maxSurge: "5" }), `${at[version]}.maxSurge: Invalid value: "5": ${percent}`],
    ["maxUnavailable as text", rolling(version, { maxUnavailable: "x" }), `${at[version]}.maxUnavailable: Invalid value: "x": ${percent}`],
    ["maxUnavailable beyond everything", rolling(version, { maxUnavailable: "120%" }), undefined],
    [
      "neither may be missing nor be added",
      rolling(version, { maxUnavailable: 0, maxSurge: 0 }),
      `${at[version]}.maxUnavailable: Invalid value: 0: maxUnavailable and maxSurge must not both be less than 1: no pod could ever be updated`,
    ],
    ["the same without replicas", { replicas: 0, ...rolling(version, { maxUnavailable: 0, maxSurge: 0 }) }, undefined],
    ["surge alone", rolling(version, { maxUnavailable: 0, maxSurge: 1 }), undefined],
    [
      "both priorities",
      rolling(version, {
        priorityStrategy: {
          weightPriority: [{ weight: 1, matchSelector: { matchLabels: { a: "b" } } }],
          orderPriority: [{ orderedKey: "k" }],
        },
      }),
      `${at[version]}.priorityStrategy: Required value: weightPriority and orderPriority cannot be used together`,
    ],
    [
      "weight beyond its range",
      rolling(version, { priorityStrategy: { weightPriority: [{ weight: 101, matchSelector: { matchLabels: { a: "b" } } }] } }),
      `${at[version]}.priorityStrategy: Required value: weight must be a number in the range 0-100`,
    ],
    [
      "weight for everybody",
      rolling(version, { priorityStrategy: { weightPriority: [{ weight: 1, matchSelector: {} }] } }),
      `${at[version]}.priorityStrategy: Required value: matchSelector cannot be empty`,
    ],
    [
      "weight with a bad selector",
      rolling(version, {
        priorityStrategy: { weightPriority: [{ weight: 1, matchSelector: { matchExpressions: [{ key: "a", operator: "Near" }] } }] },
      }),
      `${at[version]}.priorityStrategy: Required value: matchSelector is not a valid selector`,
    ],
    [
      "order without a key",
      rolling(version, { priorityStrategy: { orderPriority: [{ orderedKey: "" }] } }),
      `${at[version]}.priorityStrategy: Required value: orderedKey cannot be empty`,
    ],
    [
      "scatter without a key",
      rolling(version, { scatterStrategy: [{ key: "", value: "x" }] }),
      `${at[version]}.scatterStrategy: Required value: key cannot be empty`,
    ],
    [
      "scatter twice the same",
      rolling(version, {
        scatterStrategy: [
          { key: "a", value: "x" },
          { key: "a", value: "x" },
        ],
      }),
      `${at[version]}.scatterStrategy: Required value: key a with value x occurs twice`,
    ],
    [
      "deadline within minReadySeconds",
      { progressDeadlineSeconds: 10, minReadySeconds: 10 },
      "spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds (10)",
    ],
    [
      "deadline below 0",
      { progressDeadlineSeconds: -1 },
      "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
    ],
    ["no deadline", { progressDeadlineSeconds: 2147483647, minReadySeconds: 2147483647 }, undefined],
  ])("%s", (_, spec, message) => {
    // Names in podsToDelete are looked up in v1alpha1.
    const object = given(spec);
    expect(refusal(version, object)).toBe(message);
  });

  test("several rules at once are told together", () => {
    expect(refusal(version, given({ replicas: -1, selector: null }))).toBe(
      "[spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.selector: Required value]",
    );
  });

  test("without a name", () => {
    expect(refusal(version, given({}, { name: "" }))).toContain("metadata.name: Required value");
  });

  test("a privileged container, where the cluster has none", () => {
    const privileged = { ...template, spec: { containers: [{ name: "main", image: "a", securityContext: { privileged: true } }] } };
    const object = defaulted(version, given({ template: privileged }));
    const verdict = validate(request(version, "CREATE", object), contextWith({}, false).context);
    expect(verdict).toMatchObject({
      allowed: false,
      message: expect.stringContaining("containers[0].securityContext.privileged: Forbidden"),
    });
  });

  test("the selector may not change", () => {
    const other = given({
      selector: { matchLabels: { app: "api" } },
      template: { ...template, metadata: { labels: { app: "api" } } },
    });
    expect(refusal(version, other, given())).toContain("spec: Forbidden: spec.selector cannot be changed");
    expect(refusal(version, given({ replicas: 9 }), given())).toBeUndefined();
  });

  test("4, 6: InPlaceOnly takes images and metadata, no surge, and nothing else", () => {
    const policy = version === "v1alpha1" ? { type: "InPlaceOnly" } : { rollingUpdate: { podUpdatePolicy: "InPlaceOnly" } };
    const updateStrategy = policy;
    const withTemplate = (change: Loose) =>
      given({
        updateStrategy,
        template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx:1.25", ...change }] } },
      });
    const old = given({ updateStrategy });
    expect(refusal(version, withTemplate({ image: "nginx:1.26" }), old)).toBeUndefined();
    expect(refusal(version, withTemplate({ env: [{ name: "A", value: "b" }] }), old)).toBe(
      "spec: Forbidden: with InPlaceOnly only container images may change in spec.template.spec",
    );
    const cpu = (amount: string) => withTemplate({ resources: { requests: { cpu: amount } } });
    expect(refusal(version, cpu("2"), cpu("1"))).toContain("Forbidden");
    expect(refusal(version, cpu("2"), cpu("1"), { InPlaceWorkloadVerticalScaling: true })).toBeUndefined();
    const surging =
      version === "v1alpha1" ? { ...policy, maxSurge: 1 } : { rollingUpdate: { podUpdatePolicy: "InPlaceOnly", maxSurge: 1 } };
    expect(refusal(version, given({ updateStrategy: surging }))).toBe(
      `${at[version]}.maxSurge: Invalid value: 1: maxSurge cannot be used with InPlaceOnly: an in-place update makes no further pods`,
    );
  });
});

describe("one version only", () => {
  test("types and policies", () => {
    expect(refusal("v1alpha1", given({ updateStrategy: { type: "OnDelete" } }))).toBeUndefined();
    expect(refusal("v1alpha1", given({ updateStrategy: { type: "RollingUpdate" } }))).toBe(
      'spec.updateStrategy.type: Unsupported value: "RollingUpdate": supported values: "ReCreate", "InPlaceIfPossible", "InPlaceOnly", "OnDelete"',
    );
    expect(refusal("v1beta1", given({ updateStrategy: { type: "ReCreate" } }))).toBe(
      'spec.updateStrategy.type: Unsupported value: "ReCreate": supported values: "RollingUpdate", "OnDelete"',
    );
    expect(refusal("v1beta1", given({ updateStrategy: { rollingUpdate: { podUpdatePolicy: "Never" } } }))).toBe(
      'spec.updateStrategy.rollingUpdate.podUpdatePolicy: Unsupported value: "Never": supported values: "ReCreate", "InPlaceIfPossible", "InPlaceOnly"',
    );
  });

  test("v1beta1 OnDelete with a partition alone, as a UnitedDeployment sends it", () => {
    expect(refusal("v1beta1", given({ updateStrategy: { type: "OnDelete", rollingUpdate: { partition: 1 } } }))).toBeUndefined();
  });

  test.each([
    ["50%", "must be an integer, percentages are not supported"],
    ["many", "must be an integer, percentages are not supported"],
    [-1, "must be greater than or equal to 0"],
    ["50", undefined],
    ["0", undefined],
  ])("v1beta1 imagePreDownloadParallelism %p", (imagePreDownloadParallelism, problem) => {
    const message = refusal(
      "v1beta1",
      given({ updateStrategy: { rollingUpdate: { inPlaceUpdateStrategy: { imagePreDownloadParallelism } } } }),
    );
    if (problem === undefined) expect(message).toBeUndefined();
    else expect(message).toContain(problem);
  });

  test.each(["imagePreDownloadTimeoutSeconds", "imagePreDownloadMinUpdatedReadyPods"])("v1beta1 %s", (field) => {
    expect(refusal("v1beta1", given({ updateStrategy: { rollingUpdate: { inPlaceUpdateStrategy: { [field]: -1 } } } }))).toBe(
      `spec.updateStrategy.rollingUpdate.inPlaceUpdateStrategy.${field}: Invalid value: -1: must be greater than or equal to 0`,
    );
  });

  test.each([
    ["web-a", undefined],
    ["web-gone", "there is no pod of that name"],
    ["web-going", "the pod is being deleted already"],
    ["other-a", "the pod does not belong to this CloneSet"],
  ])("5: v1alpha1 looks %s up", (name, problem) => {
    const object = given({ scaleStrategy: { podsToDelete: [name] } });
    const message = refusal("v1alpha1", object, given());
    if (problem === undefined) expect(message).toBeUndefined();
    else expect(message).toBe(`spec.scaleStrategy.podsToDelete: Invalid value: "${name}": ${problem}`);
    expect(refusal("v1alpha1", object, object)).toBeUndefined();
    expect(refusal("v1beta1", object, given())).toBeUndefined();
  });

  test.each<[Loose, number]>([
    [{ command: "not a list" }, 400],
    [{ env: [{ name: "A", value: 5 }] }, 400],
    [{ imagePullPolicy: "Sometimes" }, 422],
  ])("a template that is not of the shape of one is not understood: %j", (more, code) => {
    const object = given({
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "x", ...more }] } },
    });
    expect(validate(request("v1beta1", "CREATE", object), context)).toMatchObject({ allowed: false, code });
  });

  test("any other version is not understood", () => {
    expect(mutate(request("v2", "CREATE", given()), context)).toMatchObject({ allowed: false, code: 400 });
    expect(validate(request("v2", "CREATE", given()), context)).toMatchObject({ allowed: false, code: 400 });
  });
});

describe("deleting", () => {
  const labelled = (value: string, replicas: number, more: Loose = {}) =>
    given({ replicas }, { labels: { "policy.kruise.io/delete-protection": value }, ...more });
  const gates = { ResourcesDeletionProtection: true };
  test.each<[string, Loose, object, string | undefined]>([
    ["no label", given(), gates, undefined],
    ["Always", labelled("Always", 0), gates, "forbidden by ResourcesProtectionDeletion for policy.kruise.io/delete-protection=Always"],
    [
      "Cascading with replicas",
      labelled("Cascading", 2),
      gates,
      "forbidden by ResourcesProtectionDeletion for policy.kruise.io/delete-protection=Cascading and replicas 2>0",
    ],
    ["Cascading without", labelled("Cascading", 0), gates, undefined],
    ["an unknown word", labelled("always", 2), gates, undefined],
    ["the gate is off", labelled("Always", 2), {}, undefined],
    ["on its way out already", labelled("Always", 2, { deletionTimestamp: "2024-05-01T10:00:00Z" }), gates, undefined],
  ])("37: %s", (_, object, on, message) => {
    const { context: own, refusals } = contextWith(on);
    const verdict = validate(request("v1beta1", "DELETE", undefined, object), own);
    expect(verdict.allowed).toBe(message === undefined);
    if (verdict.allowed) return;
    expect(verdict).toMatchObject({ code: 403, message });
    expect(refusals).toEqual([{ event: "DeletionProtection", kind: "CloneSet", namespace: "shop", name: "web", userAgent: "jane" }]);
  });
});

describe("any JSON", () => {
  const words = [
    "spec",
    "template",
    "metadata",
    "labels",
    "selector",
    "matchLabels",
    "containers",
    "updateStrategy",
    "rollingUpdate",
    "type",
    "name",
  ];
  const anyValue = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(null, true, 0, -1, 1.5, "", "5", "20%", "OnDelete", "InPlaceOnly"),
      fc.string(),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.oneof(fc.constantFrom(...words), fc.string()), tie("value"), { maxKeys: 4 }),
    ),
  })).value;
  const anySpec = fc.record(
    {
      replicas: anyValue,
      selector: anyValue,
      template: anyValue,
      updateStrategy: anyValue,
      scaleStrategy: fc.oneof(anyValue, fc.record({ podsToDelete: anyValue, maxUnavailable: anyValue })),
      volumeClaimTemplates: anyValue,
      lifecycle: anyValue,
      progressDeadlineSeconds: anyValue,
    },
    { requiredKeys: [] },
  );
  const anyObject = fc.oneof(fc.record({ metadata: anyValue, spec: fc.oneof(anySpec, anyValue) }, { requiredKeys: [] }), anyValue);

  test("gets an answer, and filling in changes nothing that was there", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("v1alpha1", "v1beta1"),
        fc.constantFrom("CREATE", "UPDATE", "DELETE") as fc.Arbitrary<Operation>,
        anyObject,
        anyObject,
        (version, operation, object, old) => {
          const before = structuredClone(object);
          const filled = mutate(request(version, operation, object, old), context);
          expect(typeof filled.allowed).toBe("boolean");
          expect(typeof validate(request(version, operation, object, old), context).allowed).toBe("boolean");
          if (filled.allowed) expect(typeof validate(request(version, operation, filled.object, old), context).allowed).toBe("boolean");
          expect(deepEqual(object, before)).toBe(true);
        },
      ),
      { numRuns: 1500 },
    );
  });
});
