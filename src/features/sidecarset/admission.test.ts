import { describe, expect, test } from "bun:test";
import fc from "fast-check";

import { mutatePod } from "../../admission/pod.ts";
import type { AdmissionRequest, Operation } from "../../admission/webhook.ts";
import type { GateName } from "../../api/gates.ts";
import { annotation } from "../../api/names.ts";
import { type SidecarSet, type SidecarSetSpec, sidecarSets } from "../../api/sidecarset.ts";
import { configMaps, controllerRevisions, pods } from "../../kube/kinds.ts";
import { applyJsonPatch, jsonPatchOf } from "../../kube/patch/json-patch.ts";
import type { KubeObject, Pod } from "../../kube/types.ts";
import { injection } from "./inject.ts";
import { gated, pod, sidecarSet, stage } from "./testing/objects.ts";
import { mutate, validate } from "./webhooks.ts";

type Loose = Record<string, unknown>;
const selector = { matchLabels: { app: "web" } };
const one = { name: "log", image: "log:1" };
const given = (spec: Loose = {}, metadata: Loose = {}): Loose => ({
  metadata: { name: "mesh", ...metadata },
  spec: { selector, containers: [one], ...spec },
});

const request = (object: unknown, operation: Operation = "CREATE", oldObject?: unknown, version = "v1beta1"): AdmissionRequest => ({
  uid: "1",
  kind: { group: "apps.kruise.io", version, kind: "SidecarSet" },
  resource: { group: "apps.kruise.io", version, resource: "sidecarsets" },
  name: "mesh",
  namespace: "",
  operation,
  object: object as KubeObject,
  oldObject: oldObject as KubeObject,
  dryRun: false,
  userInfo: {},
});

function filled(object: Loose, version = "v1beta1"): SidecarSet {
  const verdict = mutate(request(object, "CREATE", undefined, version));
  if (!verdict.allowed) throw new Error(verdict.message);
  return verdict.object as SidecarSet;
}

interface World {
  readonly others?: readonly SidecarSet[];
  readonly gates?: Partial<Record<GateName, boolean>>;
  readonly whiteList?: string;
  readonly pods?: readonly Pod[];
}

function contextOf({ others = [], gates = {}, whiteList, pods: there = [] }: World = {}) {
  const { world, settings, add } = stage(gated(gates));
  add(...others);
  for (const each of there) world.add(pods, each);
  world.add(configMaps, {
    metadata: { namespace: "kruise-system", name: "kruise-configuration" },
    data: whiteList === undefined ? {} : { SidecarSet_PatchPodMetadata_WhiteList: whiteList },
  });
  world.add(controllerRevisions, {
    metadata: {
      namespace: "kruise-system",
      name: "mesh-old",
      labels: { "kruise.io/sidecarset-name": "mesh", "apps.kruise.io/sidecarset-custom-version": "v1" },
    },
    revision: 1,
  });
  return { read: world, settings };
}

/** Filled in, then validated; "" when accepted. */
async function refusal(object: Loose, old?: Loose, world: World = {}): Promise<string> {
  const operation = old === undefined ? "CREATE" : "UPDATE";
  const verdict = await validate(request(filled(object), operation, old === undefined ? undefined : filled(old)), contextOf(world));
  if (verdict.allowed) return "";
  expect(verdict.code).toBe(500);
  return verdict.message;
}

async function warnings(object: Loose, old?: Loose, world: World = {}): Promise<readonly string[]> {
  const verdict = await validate(
    request(filled(object), old === undefined ? "CREATE" : "UPDATE", old === undefined ? undefined : filled(old)),
    contextOf(world),
  );
  if (!verdict.allowed) throw new Error(verdict.message);
  return verdict.warnings ?? [];
}

describe("filling in", () => {
  test("2: a minimal SidecarSet", () => {
    for (const version of ["v1alpha1", "v1beta1"]) {
      const set = filled(given(), version);
      expect(set.spec).toMatchObject({
        updateStrategy: { type: "RollingUpdate", maxUnavailable: 1, partition: 0 },
        revisionHistoryLimit: 10,
        containers: [
          {
            podInjectPolicy: "BeforeAppContainer",
            upgradeStrategy: { upgradeType: "ColdUpgrade" },
            shareVolumePolicy: { type: "disabled" },
            imagePullPolicy: "IfNotPresent",
          },
        ],
      });
      for (const key of [annotation.sidecarSetHash, annotation.sidecarSetHashWithoutImage])
        expect(set.metadata.annotations?.[key]).toHaveLength(64);
    }
  });

  test("everything else that is filled in", () => {
    const set = filled(
      given({
        initContainers: [{ name: "init", image: "i" }],
        containers: [
          {
            ...one,
            image: "log",
            ports: [{ containerPort: 80 }],
            livenessProbe: { httpGet: { port: 80 } },
            startupProbe: { httpGet: { port: 80 } },
            transferEnv: [{ sourceContainerNameFrom: { fieldRef: { fieldPath: "metadata.labels['x']" } } }],
            resources: { limits: { cpu: "0.0001" } },
          },
        ],
        volumes: [{ name: "a" }, { name: "b", configMap: { name: "c" } }, { name: "h", hostPath: { path: "/" } }],
        patchPodMetadata: [{ annotations: { a: "b" } }],
        injectionStrategy: { revision: { customVersion: "v1" } },
      }),
    );
    expect(set.spec).toMatchObject({
      initContainers: [{ podInjectPolicy: "AfterAppContainer" }],
      volumes: [{ emptyDir: {} }, { configMap: { defaultMode: 420 } }, { hostPath: { type: "" } }],
      patchPodMetadata: [{ patchPolicy: "Retain" }],
      injectionStrategy: { revision: { policy: "Always" } },
    });
    const [container] = set.spec.containers!;
    expect(container).toMatchObject({
      imagePullPolicy: "Always",
      ports: [{ protocol: "TCP" }],
      livenessProbe: {
        timeoutSeconds: 1,
        periodSeconds: 10,
        successThreshold: 1,
        failureThreshold: 3,
        httpGet: { path: "/", scheme: "HTTP" },
      },
      transferEnv: [{ sourceContainerNameFrom: { fieldRef: { apiVersion: "v1" } } }],
      resources: { limits: { cpu: "1m" } },
    });
    expect(container!.startupProbe).toEqual({ successThreshold: 1, httpGet: { port: 80, path: "/", scheme: "HTTP" } });
    expect(container).not.toHaveProperty("shareVolumeDevicePolicy");
    expect(set.spec.injectionStrategy).not.toHaveProperty("paused");
  });

  test("hashes of the user's are replaced, and filling in twice changes nothing", () => {
    const set = filled(given({}, { annotations: { [annotation.sidecarSetHash]: "mine", other: "kept" } }));
    expect(set.metadata.annotations).toMatchObject({ [annotation.sidecarSetHash]: expect.stringMatching(/^.{64}$/), other: "kept" });
    expect(filled(set as unknown as Loose)).toEqual(set);
  });

  test("the patch leads there", () => {
    const object = given();
    expect(applyJsonPatch(object, jsonPatchOf(object, filled(object)))).toEqual({ ok: true, value: filled(object) });
  });
});

describe("refusing", () => {
  const policy = (more: Loose) => ({
    containers: [
      {
        ...one,
        resourcesPolicy: {
          targetContainersMode: "sum",
          targetContainersNameRegex: ".*",
          resourcesExpr: { limits: { cpu: "cpu*50%" } },
          ...more,
        },
      },
    ],
  });
  const limit = (cpu: string) => policy({ resourcesExpr: { limits: { cpu } } });
  const rolling = (more: Loose) => ({ updateStrategy: { type: "RollingUpdate", ...more } });
  const native = { initContainers: [{ name: "native", image: "n", restartPolicy: "Always" }] };
  const from = (fieldRef: Loose) => ({ containers: [{ ...one, transferEnv: [{ sourceContainerNameFrom: { fieldRef }, envName: "A" }] }] });

  test.each<[string, Loose, string]>([
    ["nothing wrong", {}, ""],
    [
      "5: a native sidecar that would be updated",
      native,
      "spec.updateStrategy: Required value: init containers with restartPolicy Always cannot be updated in place: set type NotUpdate",
    ],
    ["5: a native sidecar with NotUpdate", { ...native, updateStrategy: { type: "NotUpdate" } }, ""],
    ["no selector", { selector: undefined }, "spec.selector: Required value"],
    ["7: an empty selector", { selector: {} }, "spec.selector: Invalid value: {}: an empty selector is not allowed"],
    ["a selector of bad syntax", { selector: { matchLabels: { "a b": "c" } } }, "spec.selector.matchLabels: Invalid value"],
    ["7: an empty namespace selector", { namespaceSelector: {} }, "spec.namespaceSelector: Invalid value"],
    ["6: partition with selector", rolling({ partition: "50%", selector }), "spec.updateStrategy: Invalid value"],
    ["6: partition 0 with selector", rolling({ partition: 0, selector }), ""],
    ["an empty update selector", rolling({ selector: {} }), "spec.updateStrategy.selector: Invalid value"],
    [
      "a negative partition",
      rolling({ partition: -1 }),
      "spec.updateStrategy.partition: Invalid value: -1: must be greater than or equal to 0",
    ],
    ["a number as text", rolling({ maxUnavailable: "5" }), 'spec.updateStrategy.maxUnavailable: Invalid value: "5"'],
    ["maxUnavailable 0", rolling({ maxUnavailable: 0 }), ""],
    ["bad figures that do not matter", { updateStrategy: { type: "NotUpdate", partition: -1, maxUnavailable: "5" } }, ""],
    [
      "both priorities",
      rolling({ priorityStrategy: { orderPriority: [{ orderedKey: "a" }], weightPriority: [{ weight: 1, matchSelector: selector }] } }),
      "spec.updateStrategy.priorityStrategy: Required value",
    ],
    [
      "a weight of 101",
      rolling({ priorityStrategy: { weightPriority: [{ weight: 101, matchSelector: selector }] } }),
      "spec.updateStrategy.priorityStrategy: Required value: weight",
    ],
    [
      "an empty match selector",
      rolling({ priorityStrategy: { weightPriority: [{ weight: 1, matchSelector: {} }] } }),
      "matchSelector cannot be empty",
    ],
    ["an empty key", rolling({ priorityStrategy: { orderPriority: [{ orderedKey: "" }] } }), "orderedKey cannot be empty"],
    [
      "a scatter term twice",
      rolling({
        scatterStrategy: [
          { key: "a", value: "b" },
          { key: "a", value: "b" },
        ],
      }),
      "spec.updateStrategy.scatterStrategy: Required value: key a with value b occurs twice",
    ],
    ["no container at all", { containers: [] }, "spec: Required value: at least one of containers and initContainers is needed"],
    ["only an init container", { containers: undefined, initContainers: [{ name: "init", image: "i" }] }, ""],
    ["no image", { containers: [{ name: "log" }] }, "spec.containers[0].image: Required value"],
    ["a name twice", { initContainers: [one] }, 'spec.initContainers[0].name: Duplicate value: "log"'],
    [
      "a volume nobody knows",
      { containers: [{ ...one, volumeMounts: [{ name: "v", mountPath: "/v" }] }] },
      'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ],
    ["a restartPolicy", { containers: [{ ...one, restartPolicy: "Always" }] }, "spec.containers[0].restartPolicy: "],
    ["volumes that are none", { volumes: ["x"] }, "spec.volumes[0]: Invalid value"],
    ["a place nobody knows", { containers: [{ ...one, podInjectPolicy: "Middle" }] }, "spec.containers[0].podInjectPolicy: Invalid value"],
    [
      "a share nobody knows",
      { containers: [{ ...one, shareVolumePolicy: { type: "some" } }] },
      "spec.containers[0].shareVolumePolicy.type: Invalid value",
    ],
    [
      "9: a policy and limits",
      { containers: [{ ...policy({}).containers[0], resources: { limits: { cpu: "1" } } }] },
      "spec.containers[0].resourcesPolicy: Invalid value",
    ],
    ["9: max of one", limit("max(cpu*50%)"), "spec.containers[0].resourcesPolicy.resourcesExpr.limits.cpu: Invalid value"],
    ["9: negative for 1", limit("cpu-4"), "the result is negative with cpu = 1: bound it, as in max(0, cpu-4)"],
    ["9: bounded", limit("max(0, cpu-4)"), ""],
    ["the wrong variable", limit("memory"), "unknown variable memory"],
    ["a unit nobody knows", limit("100MB"), "100MB is neither a number nor an amount"],
    ["no expressions", policy({ resourcesExpr: {} }), "resourcesExpr: Invalid value: {}: limits or requests are needed"],
    ["an empty regex", policy({ targetContainersNameRegex: "" }), "targetContainersNameRegex: Required value"],
    ["no RE2", policy({ targetContainersNameRegex: "(?=a)" }), "targetContainersNameRegex: Invalid value"],
    [
      "a policy on a plain init container",
      { initContainers: [{ name: "init", image: "i", resourcesPolicy: policy({}).containers[0]!.resourcesPolicy }] },
      "spec.initContainers[0].resourcesPolicy: Invalid value",
    ],
    ["a label as source", from({ fieldPath: "metadata.labels['app']" }), ""],
    ["an annotation as source", from({ fieldPath: "metadata.annotations['Example.COM/x']" }), ""],
    ["the name as source", from({ fieldPath: "metadata.name" }), "sourceContainerNameFrom.fieldRef.fieldPath: Invalid value"],
    ["a key that is none", from({ fieldPath: "metadata.labels['a b']" }), "sourceContainerNameFrom.fieldRef.fieldPath: Invalid value"],
    ["another version", from({ apiVersion: "v2", fieldPath: "metadata.labels['app']" }), "fieldRef.apiVersion: Invalid value"],
    [
      "hot without an idle image",
      { containers: [{ ...one, upgradeStrategy: { upgradeType: "HotUpgrade" } }] },
      "hotUpgradeEmptyImage: Required value",
    ],
    [
      "hot with a long name",
      { containers: [{ name: "a".repeat(62), image: "i", upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "e" } }] },
      "must be no more than 61 characters with HotUpgrade",
    ],
    [
      "a revision without a name",
      { injectionStrategy: { revision: {} } },
      'spec.injectionStrategy.revision: Invalid value: {"policy":"Always"}: name a revision',
    ],
    ["a revision that is there", { injectionStrategy: { revision: { customVersion: "v1" } } }, ""],
    ["a revision by name", { injectionStrategy: { revision: { revisionName: "mesh-old" } } }, ""],
    [
      "a revision that is not",
      { injectionStrategy: { revision: { customVersion: "v2" } } },
      "no revision of SidecarSet mesh with custom version v2",
    ],
  ])("%s", async (_, spec, expected) => {
    const message = await refusal(given(spec));
    if (expected === "") expect(message).toBe("");
    else expect(message).toContain(expected);
  });

  test.each<[string, Loose, string]>([
    ["a dot", { name: "a.b" }, 'metadata.name: Invalid value: "a.b"'],
    ["64 characters", { name: "a".repeat(64) }, "must be no more than 63 characters"],
    ["a namespace", { namespace: "shop" }, "metadata.namespace: Forbidden"],
    ["bad labels", { labels: { "a b": "c" } }, "metadata.labels: Invalid value"],
  ])("metadata: %s", async (_, metadata, expected) => expect(await refusal(given({}, metadata))).toContain(expected));

  const canary = (base: string) => ({ annotations: { [annotation.sidecarSetCanary]: "true", [annotation.sidecarSetBase]: base } });
  const base = sidecarSet("base", { selector, containers: [one] });
  test.each<[string, string, Loose, string]>([
    ["10: of nobody", "gone", { type: "NotUpdate" }, "there is no SidecarSet gone"],
    ["10: of itself", "mesh", { type: "NotUpdate" }, "a canary cannot be its own base"],
    ["10: with RollingUpdate", "base", { type: "RollingUpdate" }, "a canary needs spec.updateStrategy.type NotUpdate"],
    ["10: of a base, with the same containers", "base", { type: "NotUpdate" }, ""],
    ["of a canary", "other-canary", { type: "NotUpdate" }, "SidecarSet other-canary is a canary itself"],
  ])("a canary %s", async (_, name, updateStrategy, expected) => {
    const otherCanary = sidecarSet(
      "other-canary",
      { selector: { matchLabels: { app: "x" } }, containers: [{ name: "x", image: "x" }], updateStrategy: { type: "NotUpdate" } },
      canary("base"),
    );
    const message = await refusal(given({ updateStrategy }, canary(name)), undefined, { others: [base, otherCanary] });
    expect(message === "" ? "" : message).toContain(expected);
    if (expected === "") expect(message).toBe("");
  });

  test("a canary keeps its base, and a base does not clash with its canary", async () => {
    const before = given({ updateStrategy: { type: "NotUpdate" } }, canary("base"));
    const after = given({ updateStrategy: { type: "NotUpdate" } }, canary("base-2"));
    const others = [base, sidecarSet("base-2", { selector: { matchLabels: { app: "z" } }, containers: [{ name: "z", image: "z" }] })];
    expect(await refusal(after, before, { others })).toContain("cannot be changed");
    const canaryOfMesh = sidecarSet("mesh-canary", { selector, containers: [one], updateStrategy: { type: "NotUpdate" } }, canary("mesh"));
    expect(await refusal(given(), given(), { others: [canaryOfMesh] })).toBe("");
  });

  const two = { containers: [one, { name: "second", image: "s" }] };
  const hot = { containers: [{ ...one, upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "e" } }] };
  test.each<[string, Loose, Loose, string]>([
    ["3: a second container", {}, two, 'spec.containers.name: Invalid value: "second"'],
    ["3: another name", {}, { containers: [{ name: "log-2", image: "l" }] }, 'spec.containers.name: Invalid value: "log-2"'],
    ["3: cold to hot", {}, hot, 'upgradeType: Invalid value: "HotUpgrade": cannot be changed from ColdUpgrade'],
    ["3: one of two less", two, {}, ""],
    ["an image", {}, { containers: [{ name: "log", image: "log:2" }] }, ""],
  ])("an update with %s", async (_, before, after, expected) => {
    const message = await refusal(given(after), given(before));
    if (expected === "") expect(message).toBe("");
    else expect(message).toContain(expected);
  });

  const other = (spec: SidecarSetSpec) => sidecarSet("other", { selector, containers: [{ name: "other", image: "o" }], ...spec });
  const named = (name: string) => ({ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } } });
  test.each<[string, Loose, SidecarSetSpec, string]>([
    ["4: the same container", {}, { containers: [one] }, "container log is in SidecarSet other as well"],
    ["4: other pods", { selector: { matchLabels: { app: "y" } } }, { containers: [one] }, ""],
    ["4: other namespaces", named("a"), { containers: [one], ...named("b") }, ""],
    ["one of them everywhere", named("a"), { containers: [one] }, "container log is in SidecarSet other as well"],
    [
      "the same init container",
      { initContainers: [{ name: "init", image: "i" }] },
      { initContainers: [{ name: "init", image: "i" }] },
      "container init is in SidecarSet other",
    ],
    [
      "an init container against a container",
      { initContainers: [{ name: "init", image: "i" }] },
      { containers: [{ name: "init", image: "i" }] },
      "",
    ],
    [
      "another volume",
      { volumes: [{ name: "v", hostPath: { path: "/" } }] },
      { volumes: [{ name: "v", emptyDir: {} }] },
      "volume v is another one in SidecarSet other",
    ],
    ["the same volume", { volumes: [{ name: "v" }] }, { volumes: [{ name: "v", emptyDir: {} }] }, ""],
  ])("a clash over %s", async (_, spec, theirs, expected) => {
    const message = await refusal(given(spec), undefined, { others: [other(theirs)] });
    if (expected === "") expect(message).toBe("");
    else expect(message).toContain(expected);
  });

  test.each<[string, string, boolean]>([
    ["Overwrite", "Overwrite", true],
    ["Overwrite", "MergePatchJson", true],
    ["MergePatchJson", "MergePatchJson", false],
    ["Retain", "Overwrite", false],
  ])("%s against %s of one annotation", async (mine, theirs, clashes) => {
    const gates = { SidecarSetPatchPodMetadataDefaultsAllowed: true };
    const patch = (patchPolicy: string) => ({ patchPodMetadata: [{ patchPolicy, annotations: { a: "{}" } }] });
    const message = await refusal(given(patch(mine)), undefined, { gates, others: [other(patch(theirs) as SidecarSetSpec)] });
    expect(message.includes("annotation a is patched by SidecarSet other as well")).toBe(clashes);
  });

  const patches = (...keys: string[]) => ({
    patchPodMetadata: keys.map((key) => ({ patchPolicy: "Overwrite", annotations: { [key]: "v" } })),
  });
  const list = (rules: unknown) => JSON.stringify({ rules });
  test.each<[string, Loose, World, string]>([
    ["8: without a list", patches("key1"), {}, "annotations of pods may be patched only where"],
    ["without a list, with the gate", patches("key1"), { gates: { SidecarSetPatchPodMetadataDefaultsAllowed: true } }, ""],
    ["8: allowed", patches("key1"), { whiteList: list([{ allowedAnnotationKeyExprs: ["^key.*$"] }]) }, ""],
    [
      "8: not allowed",
      patches("other"),
      { whiteList: list([{ allowedAnnotationKeyExprs: ["^key.*$"] }]) },
      "annotation other is not allowed",
    ],
    [
      "not allowed, though the gate is on",
      patches("other"),
      { gates: { SidecarSetPatchPodMetadataDefaultsAllowed: true }, whiteList: list([{ allowedAnnotationKeyExprs: ["^key.*$"] }]) },
      "annotation other is not allowed",
    ],
    [
      "allowed for others",
      patches("key1"),
      { whiteList: list([{ selector: { matchLabels: { team: "x" } }, allowedAnnotationKeyExprs: [".*"] }]) },
      "may be patched only where",
    ],
    ["a list that is none", patches("key1"), { whiteList: "x" }, "not JSON"],
    ["a list with a bad expression", patches("key1"), { whiteList: list([{ allowedAnnotationKeyExprs: ["("] }]) }, "error parsing regexp"],
    ["a key twice", patches("key1", "key1"), { whiteList: list([{ allowedAnnotationKeyExprs: [".*"] }]) }, "annotation key1 occurs twice"],
    [
      "no annotations",
      { patchPodMetadata: [{ patchPolicy: "Retain" }] },
      { whiteList: list([{ allowedAnnotationKeyExprs: [".*"] }]) },
      "has no annotations",
    ],
    [
      "a key that is none",
      patches("a b"),
      { whiteList: list([{ allowedAnnotationKeyExprs: [".*"] }]) },
      "spec.patchPodMetadata[0].annotations: Invalid value",
    ],
  ])("patches %s", async (_, spec, world, expected) => {
    const message = await refusal(given(spec), undefined, world);
    if (expected === "") expect(message).toBe("");
    else expect(message).toContain(expected);
  });
});

describe("warnings", () => {
  test("words that mean nothing", async () => {
    expect(
      await warnings(given({ updateStrategy: { type: "Sometimes" }, containers: [{ ...one, upgradeStrategy: { upgradeType: "Warm" } }] })),
    ).toEqual([
      "spec.updateStrategy.type: Sometimes is not known and acts as RollingUpdate",
      "spec.containers[0].upgradeStrategy.upgradeType: Warm is not known and acts as ColdUpgrade",
    ]);
  });

  test("pods that need recreate", async () => {
    const before = filled(given());
    const { inject, add } = stage();
    add(before);
    const injected = await Promise.all([inject(pod("web-1")), inject(pod("web-2"))]);
    const changed = given({ containers: [{ ...one, env: [{ name: "A", value: "1" }] }] });
    expect(await warnings(changed, given(), { pods: injected })).toEqual([
      "this change is more than images, and cannot be made in place: needs recreate: 2 pods",
    ]);
    expect(await warnings(given({ containers: [{ ...one, image: "log:2" }] }), given(), { pods: injected })).toEqual([]);
  });
});

describe("versions and any JSON", () => {
  test("v1alpha1 is validated as what it is stored as", async () => {
    const object = given({ namespace: "shop" });
    const context = contextOf({
      others: [
        sidecarSet("other", { selector, containers: [one], namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "else" } } }),
      ],
    });
    const set = filled(object, "v1alpha1");
    expect((await validate(request(set, "CREATE", undefined, "v1alpha1"), context)).allowed).toBe(true);
    expect((await validate(request(filled(given({}), "v1alpha1"), "CREATE", undefined, "v1alpha1"), context)).allowed).toBe(false);
  });

  test.each<[unknown, string, string]>([
    [given({ containers: "x" }), "v1beta1", "spec.containers: Invalid type"],
    [given({ revisionHistoryLimit: "x" }), "v1beta1", "spec.revisionHistoryLimit: Invalid type"],
    [given(), "v2", "unsupported version v2"],
    [undefined, "v1beta1", "the request carries no SidecarSet"],
  ])("%j as %s is not readable", async (object, version, expected) => {
    const refused = mutate(request(object, "CREATE", undefined, version));
    expect(refused).toMatchObject({ allowed: false, code: 400, message: expect.stringContaining(expected) });
    expect(await validate(request(object, "CREATE", undefined, version), contextOf())).toMatchObject({ allowed: false, code: 400 });
  });

  test("a status that a client sends along does no harm", () => expect(mutate(request({ ...given(), status: {} })).allowed).toBe(true));

  const fieldNames = fc.constantFrom(
    "selector",
    "containers",
    "initContainers",
    "volumes",
    "updateStrategy",
    "injectionStrategy",
    "patchPodMetadata",
    "imagePullSecrets",
    "namespaceSelector",
    "x",
  );
  const innerNames = fc.constantFrom(
    "name",
    "image",
    "env",
    "resourcesPolicy",
    "upgradeStrategy",
    "type",
    "partition",
    "selector",
    "revision",
    "annotations",
    "matchLabels",
    "transferEnv",
    "volumeMounts",
    "resources",
    "__proto__",
  );
  const shallow = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.dictionary(innerNames, fc.jsonValue({ maxDepth: 2 })),
    fc.array(fc.dictionary(innerNames, fc.jsonValue({ maxDepth: 1 })), { maxLength: 2 }),
  );
  const anySpec = fc.dictionary(fieldNames, shallow);

  test("an answer to everything", () =>
    fc.assert(
      fc.asyncProperty(
        fc.oneof(anySpec, fc.jsonValue()),
        fc.oneof(fc.constant({ name: "mesh" }), fc.jsonValue()),
        anySpec,
        fc.boolean(),
        async (spec, metadata, old, alpha) => {
          const version = alpha ? "v1alpha1" : "v1beta1";
          const meta = typeof metadata === "object" && metadata !== null && !Array.isArray(metadata) ? metadata : {};
          const asked = request({ metadata: meta, spec }, "UPDATE", { metadata: { name: "mesh" }, spec: old }, version);
          const verdict = mutate(asked);
          const answer = await validate(verdict.allowed ? { ...asked, object: verdict.object as KubeObject } : asked, contextOf());
          expect(typeof answer.allowed).toBe("boolean");
        },
      ),
      { numRuns: 400 },
    ));
});

test("whatever the spec of a stored SidecarSet, creating a pod gets an answer", () =>
  fc.assert(
    fc.asyncProperty(
      fc.dictionary(
        fc.constantFrom(
          "containers",
          "initContainers",
          "volumes",
          "imagePullSecrets",
          "patchPodMetadata",
          "injectionStrategy",
          "updateStrategy",
          "namespaceSelector",
        ),
        fc.oneof(
          fc.jsonValue(),
          fc.array(
            fc.dictionary(
              fc.constantFrom("name", "image", "env", "transferEnv", "shareVolumePolicy", "resourcesPolicy", "annotations"),
              fc.jsonValue(),
            ),
          ),
        ),
      ),
      async (spec) => {
        const { world, context } = stage();
        world.add(sidecarSets, { metadata: { name: "odd" }, spec: { selector, ...spec } as SidecarSetSpec });
        const asked = { ...request(pod("web-1")), resource: { group: "", version: "v1", resource: "pods" } };
        expect(typeof (await mutatePod([injection])(asked, context)).allowed).toBe("boolean");
      },
    ),
    { numRuns: 300 },
  ));
