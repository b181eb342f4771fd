import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { annotation } from "../../api/names.ts";
import type { SidecarContainer, SidecarSetSpec } from "../../api/sidecarset.ts";
import { controllerRevisions, namespaces } from "../../kube/kinds.ts";
import type { ControllerRevision, Pod } from "../../kube/types.ts";
import { readHashes } from "./annotations.ts";
import { hashesOf } from "./hash.ts";
import { candidateSets, matchesLabels, matchesNamespace } from "./select.ts";
import { container, envOf, gated, names, pod, sidecarSet, stage } from "./testing/objects.ts";

const sidecar = (name: string, more: Partial<SidecarContainer> = {}): SidecarContainer => ({ name, image: `${name}:1`, ...more });

async function injected(spec: SidecarSetSpec, given: Pod): Promise<Pod> {
  const { add, inject } = stage();
  add(sidecarSet("mesh", spec));
  return inject(given);
}

describe("acceptance", () => {
  test("11, 12: before, after and init containers, and what is recorded", async () => {
    const { add, inject } = stage();
    const set = sidecarSet("mesh", {
      containers: [sidecar("dns-f"), sidecar("log-agent", { podInjectPolicy: "AfterAppContainer" })],
      initContainers: [sidecar("init-2"), sidecar("init-1")],
    });
    add(set);
    const result = await inject(
      pod("web-1", { initContainers: [{ name: "init-0", image: "i" }], containers: [{ name: "nginx", image: "n" }] }),
    );
    expect(names(result.spec.containers)).toEqual(["dns-f", "nginx", "log-agent"]);
    expect(names(result.spec.initContainers)).toEqual(["init-0", "init-1", "init-2"]);
    for (const name of ["dns-f", "log-agent", "init-1", "init-2"]) expect(envOf(result, name)["IS_INJECTED"]).toBe("true");
    expect(result.metadata.annotations?.[annotation.sidecarSetInjectedList]).toBe("mesh");
    const entry = readHashes(result.metadata.annotations?.[annotation.sidecarSetHash])?.get("mesh");
    expect(entry).toEqual({
      updateTimestamp: "2025-01-01T00:00:00Z",
      hash: set.metadata.annotations![annotation.sidecarSetHash]!,
      sidecarSetName: "mesh",
      sidecarList: ["dns-f", "log-agent"],
    });
    const without = result.metadata.annotations?.[annotation.sidecarSetHashWithoutImage];
    expect(readHashes(without)?.get("mesh")?.hash).toBe(set.metadata.annotations![annotation.sidecarSetHashWithoutImage]!);
  });

  test("13: paused injection leaves the pod as it is", async () => {
    const given = pod("web-1");
    expect(await injected({ containers: [sidecar("log")], injectionStrategy: { paused: true } }, given)).toBe(given);
  });

  test("14: its own variable wins over a transferred one", async () => {
    const transferEnv = [{ sourceContainerName: "main", envName: "A" }];
    const given = pod("web-1", { containers: [{ name: "main", image: "n", env: [{ name: "A", value: "app" }] }] });
    expect(
      envOf(await injected({ containers: [sidecar("log", { transferEnv, env: [{ name: "A", value: "own" }] })] }, given), "log")["A"],
    ).toBe("own");
    expect(envOf(await injected({ containers: [sidecar("log", { transferEnv })] }, given), "log")["A"]).toBe("app");
  });

  test("15: the source may be named by a label of the pod", async () => {
    const transferEnv = [{ sourceContainerNameFrom: { fieldRef: { fieldPath: "metadata.labels['c']" } }, envNames: ["B", "A", "missing"] }];
    const spec = {
      containers: [
        {
          name: "main",
          image: "n",
          env: [
            { name: "A", value: "1" },
            { name: "B", value: "2" },
          ],
        },
      ],
    };
    const result = await injected(
      { containers: [sidecar("log", { transferEnv })] },
      pod("web-1", spec, { labels: { app: "web", c: "main" } }),
    );
    expect(container(result, "log").env?.map(({ name }) => name)).toEqual(["IS_INJECTED", "A", "B"]);
    expect(envOf(await injected({ containers: [sidecar("log", { transferEnv })] }, pod("web-1", spec)), "log")["A"]).toBeUndefined();
  });

  test("16: shared mounts, and the variables of their paths", async () => {
    const given = pod("web-1", {
      containers: [
        {
          name: "main",
          image: "n",
          env: [{ name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
          volumeMounts: [
            { name: "a", mountPath: "/a" },
            { name: "b", mountPath: "/b", subPathExpr: "$(POD_NAME)" },
          ],
          volumeDevices: [{ name: "d", devicePath: "/dev/x" }],
        },
      ],
    });
    const shares = { shareVolumePolicy: { type: "enabled" }, shareVolumeDevicePolicy: { type: "enabled" } };
    const result = await injected({ containers: [sidecar("log", { ...shares, volumeMounts: [{ name: "own", mountPath: "/a" }] })] }, given);
    expect(container(result, "log").volumeMounts?.map(({ name, mountPath }) => `${name}:${mountPath}`)).toEqual(["own:/a", "b:/b"]);
    expect(container(result, "log").env).toContainEqual({ name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } });
    expect(container(result, "log").volumeDevices).toEqual([{ name: "d", devicePath: "/dev/x" }]);
  });

  test("17: pull secrets, each once", async () => {
    const given = pod("web-1", { imagePullSecrets: [{ name: "s2" }, { name: "s3" }, { name: "s3" }] });
    const result = await injected(
      { containers: [sidecar("log")], imagePullSecrets: [{ name: "s0" }, { name: "s1" }, { name: "s2" }] },
      given,
    );
    expect(result.spec.imagePullSecrets?.map(({ name }) => name)).toEqual(["s2", "s3", "s0", "s1"]);
  });

  test("18: resources from those of the pod", async () => {
    const policy = {
      targetContainersMode: "sum" as const,
      targetContainersNameRegex: "^app",
      resourcesExpr: { limits: { cpu: "cpu*50%" }, requests: { memory: "10Mi" } },
    };
    const app = (name: string, cpu?: string) => ({ name, image: "n", resources: cpu ? { limits: { cpu } } : {} });
    const set: SidecarSetSpec = { containers: [sidecar("log", { resourcesPolicy: policy })] };
    const both = await injected(set, pod("web-1", { containers: [app("app1", "200m"), app("app2", "400m")] }));
    expect(container(both, "log").resources).toEqual({ limits: { cpu: "300m" }, requests: { memory: "10Mi" } });
    const one = await injected(set, pod("web-1", { containers: [app("app1", "200m"), app("app2")] }));
    expect(container(one, "log").resources).toEqual({ requests: { memory: "10Mi" } });
    const { add, refusal } = stage();
    add(sidecarSet("mesh", set));
    expect(await refusal(pod("web-1"))).toBe(
      'SidecarSet mesh cannot be injected: container log: resourcesPolicy: no container of the pod matches targetContainersNameRegex "^app"',
    );
  });

  test("19: a canary stands in for its base, where both match", async () => {
    const { add, inject } = stage();
    add(sidecarSet("mesh", { containers: [sidecar("proxy")] }));
    const canaryOf = { [annotation.sidecarSetCanary]: "true", [annotation.sidecarSetBase]: "mesh" };
    const canary = { selector: { matchLabels: { app: "web", canary: "yes" } }, containers: [sidecar("proxy", { image: "proxy:2" })] };
    add(sidecarSet("mesh-canary", { ...canary, updateStrategy: { type: "NotUpdate" } }, { annotations: canaryOf }));
    const chosen = await inject(pod("web-1", {}, { labels: { app: "web", canary: "yes" } }));
    expect(container(chosen, "proxy").image).toBe("proxy:2");
    expect(chosen.metadata.annotations?.[annotation.sidecarSetInjectedList]).toBe("mesh-canary");
    expect(container(await inject(pod("web-2")), "proxy").image).toBe("proxy:1");
  });

  test("20: a version of the past", async () => {
    const { add, inject, refusal, world } = stage();
    const old = { containers: [sidecar("proxy", { image: "proxy:1" })] };
    const hashes = hashesOf(old);
    const revision = {
      metadata: {
        namespace: "kruise-system",
        name: "mesh-old",
        labels: { "kruise.io/sidecarset-name": "mesh", "apps.kruise.io/sidecarset-custom-version": "v1" },
        annotations: { [annotation.sidecarSetHash]: hashes.hash, [annotation.sidecarSetHashWithoutImage]: hashes.withoutImage },
      },
      data: { spec: { $patch: "replace", ...old, initContainers: null, volumes: null, imagePullSecrets: null, patchPodMetadata: null } },
      revision: 1,
    } as unknown as ControllerRevision;
    const set = (policy: "Always" | "Partial", more: SidecarSetSpec = {}, customVersion = "v1") =>
      sidecarSet("mesh", {
        containers: [sidecar("proxy", { image: "proxy:2" })],
        injectionStrategy: { revision: { customVersion, policy } },
        ...more,
      });
    const imageWith = async (given: ReturnType<typeof set>) => {
      const other = stage();
      other.world.add(controllerRevisions, revision);
      other.add(given);
      return container(await other.inject(pod("web-1")), "proxy").image;
    };
    world.add(controllerRevisions, revision);
    add(set("Always"));
    const result = await inject(pod("web-1"));
    expect(container(result, "proxy").image).toBe("proxy:1");
    expect(readHashes(result.metadata.annotations?.[annotation.sidecarSetHash])?.get("mesh")).toMatchObject({
      hash: hashes.hash,
      controllerRevision: "mesh-old",
    });
    expect(await imageWith(set("Partial", { updateStrategy: { partition: "0%" } }))).toBe("proxy:2");
    expect(await imageWith(set("Partial", { updateStrategy: { partition: "100%" } }))).toBe("proxy:1");
    expect(await imageWith(set("Partial", { updateStrategy: { partition: 5 } }))).toBe("proxy:2");
    expect(await imageWith(set("Partial", { updateStrategy: { partition: "0%", paused: true } }))).toBe("proxy:1");
    expect(await imageWith(set("Partial", { updateStrategy: { selector: { matchLabels: { other: "x" } } } }))).toBe("proxy:1");
    world.edit(controllerRevisions, { namespace: "kruise-system", name: "mesh-old" }, (object) => {
      delete object.metadata.labels!["apps.kruise.io/sidecarset-custom-version"];
    });
    expect(await refusal(pod("web-2"))).toContain("no revision of SidecarSet mesh with custom version v1 in namespace kruise-system");
  });
});

describe("choosing", () => {
  const spec: SidecarSetSpec = { containers: [sidecar("log")] };
  test.each<[string, SidecarSetSpec, Partial<Pod["metadata"]>, boolean]>([
    ["no selector", { selector: undefined }, {}, false],
    ["an empty selector", { selector: {} }, {}, false],
    ["other labels", { selector: { matchLabels: { app: "db" } } }, {}, false],
    ["an expression", { selector: { matchExpressions: [{ key: "app", operator: "In", values: ["db", "web"] }] } }, {}, true],
    ["a key that exists", { selector: { matchExpressions: [{ key: "app", operator: "Exists" }] } }, {}, true],
    ["a key that does not", { selector: { matchExpressions: [{ key: "db", operator: "DoesNotExist" }] } }, {}, true],
    ["no such label", { selector: { matchExpressions: [{ key: "app", operator: "NotIn", values: ["web"] }] } }, {}, false],
    ["its namespace by name", { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "shop" } } }, {}, true],
    ["another namespace by name", { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "other" } } }, {}, false],
    ["its namespace by label", { namespaceSelector: { matchLabels: { team: "shop" } } }, {}, true],
    [
      "several namespaces",
      { namespaceSelector: { matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "In", values: ["other", "shop"] }] } },
      {},
      true,
    ],
    [
      "a namespace nobody knows",
      { namespaceSelector: { matchExpressions: [{ key: "x", operator: "DoesNotExist" }] } },
      { namespace: "ghost" },
      false,
    ],
    ["a pod that is being deleted", {}, { deletionTimestamp: "2025-01-01T00:00:00Z" }, false],
  ])("%s", async (_, more, metadata, expected) => {
    const result = await injected({ ...spec, ...more }, pod("web-1", {}, metadata));
    expect(names(result.spec.containers).includes("log")).toBe(expected);
  });

  test("hundreds of sets that do not match are not even looked at", () => {
    const { add, world } = stage();
    const of = (app: string, index: number, more: SidecarSetSpec = {}) =>
      sidecarSet(`set-${index}`, { ...spec, selector: { matchLabels: { env: "prod", app } }, ...more });
    for (let index = 0; index < 500; index += 1) add(of(index < 5 ? "storefront" : `storefront-${index}`, index));
    add(of("storefront", 500, { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "other" } } }));
    expect(candidateSets(world, "shop", { env: "prod", app: "storefront", tier: "x" })).toHaveLength(5);
    expect(candidateSets(world, "other", { env: "prod", app: "storefront" })).toHaveLength(6);
  });

  test("no set that matches is missing among the candidates, and each is there once", () => {
    const word = fc.constantFrom("a", "b", "");
    const expression = fc.record({
      key: fc.constantFrom("k", "l"),
      operator: fc.constantFrom("In", "NotIn"),
      values: fc.array(word, { minLength: 1 }),
    });
    const exists = fc.record({ key: fc.constantFrom("k", "l"), operator: fc.constantFrom("Exists", "DoesNotExist") });
    const anySelector = fc.record({ matchExpressions: fc.array(fc.oneof(expression, exists), { minLength: 1, maxLength: 3 }) });
    const named = fc.array(fc.constantFrom("shop", "other", "default"), { minLength: 1, maxLength: 3 });
    const within = named.map((values) => ({ matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "In", values }] }));
    const anySpec = fc.record({ selector: anySelector, namespaceSelector: fc.option(within, { nil: undefined }) });
    const anyLabels = fc.option(fc.record({ k: word, l: word }, { requiredKeys: [] }), { nil: undefined });
    fc.assert(
      fc.property(fc.array(anySpec, { maxLength: 5 }), anyLabels, fc.constantFrom("shop", "other", ""), (specs, labels, namespace) => {
        const { add, world } = stage();
        const sets = specs.map((more, index) => sidecarSet(`set-${index}`, { ...spec, ...(more as SidecarSetSpec) }));
        add(...sets);
        const found = candidateSets(world, namespace, labels as Record<string, string> | undefined).map(({ metadata }) => metadata.name);
        expect(new Set(found).size).toBe(found.length);
        const isWanting = (set: (typeof sets)[number]) =>
          matchesLabels(set, labels as Record<string, string> | undefined) &&
          matchesNamespace(set, { "kubernetes.io/metadata.name": namespace });
        const wanting = sets.filter(isWanting).map(({ metadata }) => metadata.name);
        expect(wanting.filter((name) => !found.includes(name))).toEqual([]);
      }),
    );
  });

  test("a namespace that cannot be read refuses the pod", async () => {
    const { add, refusal, world } = stage();
    add(sidecarSet("mesh", { ...spec, namespaceSelector: { matchLabels: { team: "x" } } }));
    world.fault = () => ({ ok: false, why: "unavailable", mayHaveHappened: false, message: "etcd is down" });
    expect(await refusal(pod("web-1", {}, { namespace: "new" }))).toContain("could not read namespace new");
  });

  test("a namespace that the cache does not show yet is read live", async () => {
    const { add, inject, world } = stage();
    add(sidecarSet("mesh", { ...spec, namespaceSelector: { matchLabels: { team: "new" } } }));
    const created = world.add(namespaces, { metadata: { name: "new", labels: { team: "new" } } });
    world.remove(namespaces, { namespace: "", name: "new" });
    expect(created.metadata.name).toBe("new");
    expect(names((await inject(pod("web-1", {}, { namespace: "new" }))).spec.containers)).toContain("log");
  });
});

describe("merging", () => {
  test("1: a container of the same name is replaced in place", async () => {
    const given = pod("web-1", {
      containers: [
        { name: "main", image: "n" },
        { name: "log", image: "mine" },
        { name: "last", image: "l" },
      ],
    });
    const result = await injected({ containers: [sidecar("log")] }, given);
    expect(names(result.spec.containers)).toEqual(["main", "log", "last"]);
    expect(container(result, "log").image).toBe("log:1");
  });

  test("2: the pod's own volume wins, unused ones stay away", async () => {
    const volumes = [
      { name: "a", emptyDir: {} },
      { name: "b", emptyDir: {} },
      { name: "unused", emptyDir: {} },
    ];
    const mounts = [
      { name: "a", mountPath: "/a" },
      { name: "b", mountPath: "/b" },
    ];
    const result = await injected(
      { containers: [sidecar("log", { volumeMounts: mounts })], volumes },
      pod("web-1", { volumes: [{ name: "a", hostPath: { path: "/x" } }] }),
    );
    expect(result.spec.volumes).toEqual([
      { name: "a", hostPath: { path: "/x" } },
      { name: "b", emptyDir: {} },
    ]);
  });

  test("several sets go by name; with the gate, containers do", async () => {
    const specOf = (...list: string[]): SidecarSetSpec => ({ containers: list.map((name) => sidecar(name)) });
    for (const [settings, order] of [
      [gated({}), ["z", "y", "a", "main"]],
      [gated({ EnableSortSidecarContainerByName: true }), ["a", "y", "z", "main"]],
    ] as const) {
      const { add, inject } = stage(settings);
      add(sidecarSet("b", specOf("a")), sidecarSet("a", specOf("z", "y")));
      expect(names((await inject(pod("web-1"))).spec.containers)).toEqual(order);
    }
  });

  test("28: twins of a hot sidecar", async () => {
    const result = await injected(
      { containers: [sidecar("mesh", { upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "empty:1" } })] },
      pod("web-1"),
    );
    expect(names(result.spec.containers)).toEqual(["mesh-1", "mesh-2", "main"]);
    expect(container(result, "mesh-1").image).toBe("mesh:1");
    expect(container(result, "mesh-2").image).toBe("empty:1");
    expect(container(result, "mesh-2").env?.at(-1)).toEqual({
      name: "SIDECARSET_VERSION_ALT",
      valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.annotations['versionalt.sidecarset.kruise.io/mesh-2']" } },
    });
    expect(result.metadata.annotations).toMatchObject({
      "version.sidecarset.kruise.io/mesh-1": "1",
      "versionalt.sidecarset.kruise.io/mesh-1": "0",
      "version.sidecarset.kruise.io/mesh-2": "0",
      "versionalt.sidecarset.kruise.io/mesh-2": "1",
      [annotation.sidecarSetWorkingHotUpgradeContainer]: '{"mesh":"mesh-1"}',
    });
  });

  test("patches of metadata, also where nothing is injected", async () => {
    const patchPodMetadata: NonNullable<SidecarSetSpec["patchPodMetadata"]> = [
      { patchPolicy: "Retain", annotations: { kept: "new", added: "1" } },
      { patchPolicy: "Overwrite", annotations: { over: "new" } },
      { patchPolicy: "MergePatchJson", annotations: { json: '{"log-agent":1}' } },
    ];
    const { add, inject, refusal } = stage();
    add(
      sidecarSet("a", { patchPodMetadata }),
      sidecarSet("b", { patchPodMetadata: [{ patchPolicy: "MergePatchJson", annotations: { json: '{"envoy":2}' } }] }),
    );
    const result = await inject(pod("web-1", {}, { annotations: { kept: "", over: "old" } }));
    expect(result.metadata.annotations).toEqual({ kept: "", added: "1", over: "new", json: '{"envoy":2,"log-agent":1}' });
    expect(await refusal(pod("web-1", {}, { annotations: { json: "not JSON" } }))).toContain(
      "annotation json: the pod's value is not JSON",
    );
  });

  test.each([
    ["", '{"b": 1, "a": 2}', '{"b": 1, "a": 2}'],
    ['{"b": 1, "a": 2}', '{"a": 2}', '{"a":2,"b":1}'],
    [
      '{"z": {"y": 1, "x": 2}, "k": {"q": 1, "p": 2}}',
      '{"z": {"w": null, "a": {"d": 1, "c": 2}}}',
      '{"k":{"q":1,"p":2},"z":{"a":{"c":2,"d":1},"x":2,"y":1}}',
    ],
    ['{"a": {"b": 1}}', '{"a": null, "c": null}', "{}"],
    ['{"a": 1}', "[1, 2]", "[1,2]"],
    ["1", '{"a": {"b": null}}', '{"a":{}}'],
  ])("merged into %j, the patch %j makes %j", async (json, patch, expected) => {
    const { add, inject } = stage();
    add(sidecarSet("a", { patchPodMetadata: [{ patchPolicy: "MergePatchJson", annotations: { json: patch } }] }));
    expect((await inject(pod("web-1", {}, { annotations: { json } }))).metadata.annotations?.["json"]).toBe(expected);
  });

  test("entries of other sets are kept, old shapes are read, garbage refuses the pod", async () => {
    const { add, inject, refusal } = stage();
    add(sidecarSet("mesh", { containers: [sidecar("log")] }));
    const result = await inject(
      pod("web-1", {}, { annotations: { [annotation.sidecarSetHash]: '{"old":"abc"}', [annotation.sidecarSetInjectedList]: "old" } }),
    );
    expect(result.metadata.annotations?.[annotation.sidecarSetInjectedList]).toBe("mesh,old");
    expect(result.metadata.annotations?.[annotation.sidecarSetHash]).toContain(
      '"old":{"updateTimestamp":null,"hash":"abc","sidecarSetName":"old","sidecarList":null}',
    );
    expect(await refusal(pod("web-1", {}, { annotations: { [annotation.sidecarSetHash]: "[]" } }))).toContain(
      `annotation ${annotation.sidecarSetHash}`,
    );
  });

  test("fields that nobody here knows stay", async () => {
    const odd = { name: "log", image: "l", aNewField: { x: 1 } } as SidecarContainer;
    const given = {
      ...pod("web-1", { newSpec: [1], containers: [{ name: "main", image: "n", alsoNew: true } as never] }),
      extra: 1,
    } as Pod;
    const result = await injected({ containers: [odd] }, given);
    expect(result).toMatchObject({
      extra: 1,
      spec: {
        newSpec: [1],
        containers: [
          { name: "log", aNewField: { x: 1 } },
          { name: "main", alsoNew: true },
        ],
      },
    });
  });
});
