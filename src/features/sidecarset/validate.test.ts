import { describe, expect, test } from "bun:test";
import { annotation } from "../../api/names.ts";
import type { SidecarSetSpec } from "../../api/sidecarset.ts";
import { asked, contextOf, filled, given, type Loose, one, refusal, selector, type World, warnings } from "./testing/admission.ts";
import { pod, sidecarSet, stage } from "./testing/objects.ts";
import { validate } from "./webhooks.ts";

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

  test("a base that was made a moment ago and is not in the cache yet is asked of the server", async () => {
    const request = asked(filled(given({ updateStrategy: { type: "NotUpdate" } }, canary("base"))));
    const { read, settings } = contextOf({ others: [base] });
    const behind = { get: () => undefined, list: () => [], find: () => [], live: read.live };
    expect(await validate(request, { read: behind, settings })).toMatchObject({ allowed: true });
    read.fault = () => ({ ok: false, why: "unavailable", mayHaveHappened: false, message: "down" });
    expect(await validate(request, { read: behind, settings })).toMatchObject({ allowed: false, message: expect.stringContaining("down") });
  });

  test("4: a set that was made a moment ago clashes as well; without an answer nothing is accepted", async () => {
    const request = asked(filled(given()));
    const { read, settings } = contextOf({ others: [sidecarSet("other", { selector, containers: [one] })] });
    const behind = { get: () => undefined, list: () => [], find: () => [], live: read.live };
    expect(await validate(request, { read: behind, settings })).toMatchObject({
      allowed: false,
      message: expect.stringContaining("is in SidecarSet other as well"),
    });
    read.fault = ({ verb }) => (verb === "list" ? { ok: false, why: "unavailable", mayHaveHappened: false, message: "down" } : undefined);
    expect(await validate(request, { read: behind, settings })).toMatchObject({ allowed: false, message: expect.stringContaining("down") });
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
