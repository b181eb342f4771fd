import { expect, test } from "bun:test";
import fc from "fast-check";
import type { SidecarSetSpec } from "../../api/sidecarset.ts";
import { deepEqual } from "../../kube/json.ts";
import { applyJsonPatch, jsonPatchOf, jsonPatchText } from "../../kube/patch/json-patch.ts";
import { names, pod, sidecarSet, stage } from "./testing/objects.ts";

const word = fc.constantFrom("a", "b", "c", "d", "e");
const mounts = fc.uniqueArray(
  fc.record({
    name: word,
    mountPath: word.map((name) => `/${name}`),
    subPathExpr: fc.option(
      word.map((name) => `$(${name})`),
      { nil: undefined },
    ),
  }),
  {
    selector: ({ mountPath }) => mountPath,
    maxLength: 3,
  },
);
const env = fc.uniqueArray(fc.record({ name: word, value: word }), { selector: ({ name }) => name, maxLength: 3 });
const resources = fc.option(
  fc.record({ limits: fc.record({ cpu: fc.constantFrom("100m", "2"), memory: fc.constantFrom("1Gi", "100Mi") }, { requiredKeys: [] }) }),
  { nil: undefined },
);
const app = fc.record({ image: word, env, volumeMounts: mounts, resources }, { requiredKeys: ["image"] });
const anySidecar = fc.record(
  {
    image: word,
    env,
    volumeMounts: mounts,
    podInjectPolicy: fc.constantFrom("BeforeAppContainer", "AfterAppContainer"),
    shareVolumePolicy: fc.record({ type: fc.constantFrom("enabled", "disabled") }),
    shareVolumeDevicePolicy: fc.record({ type: fc.constantFrom("enabled", "disabled") }),
    upgradeStrategy: fc.record({ upgradeType: fc.constantFrom("ColdUpgrade", "HotUpgrade"), hotUpgradeEmptyImage: word }),
    transferEnv: fc.array(
      fc.record({
        sourceContainerName: fc.constantFrom("app-0", "app-1", "s0-0", "s1-0", "s0-0-1"),
        envNames: fc.array(word, { maxLength: 2 }),
      }),
      { maxLength: 2 },
    ),
    resourcesPolicy: fc.record({
      targetContainersMode: fc.constantFrom("sum" as const, "max" as const),
      targetContainersNameRegex: fc.constantFrom(".*", "0"),
      resourcesExpr: fc.constantFrom({ limits: { cpu: "cpu*50%" } }, { requests: { memory: "max(memory, 10Mi)" } }),
    }),
  },
  { requiredKeys: ["image"] },
);
const anySet = fc.record(
  {
    containers: fc.array(anySidecar, { maxLength: 3 }),
    initContainers: fc.array(fc.record({ image: word, env, restartPolicy: fc.constantFrom("Always", undefined) }), { maxLength: 2 }),
    volumes: fc.uniqueArray(fc.record({ name: word, emptyDir: fc.constant({}) }), { selector: ({ name }) => name, maxLength: 3 }),
    imagePullSecrets: fc.array(fc.record({ name: word }), { maxLength: 3 }),
    patchPodMetadata: fc.array(
      fc.record({
        patchPolicy: fc.constantFrom("Retain", "Overwrite", "MergePatchJson"),
        annotations: fc.dictionary(
          word.map((key) => `x-${key}`),
          fc.constantFrom('{"b":1, "a":2}', '{"c":3}'),
        ),
      }),
      {
        maxLength: 2,
      },
    ),
  },
  { requiredKeys: [] },
);
const anyWorld = fc.record({
  sets: fc.array(anySet, { minLength: 1, maxLength: 3 }),
  containers: fc.array(app, { minLength: 1, maxLength: 3 }),
  // Containers of the pod that a sidecar of their name replaces.
  namesakes: fc.uniqueArray(fc.tuple(fc.constantFrom("s0-0", "s0-1", "s1-0", "s0-0-1"), app), { selector: ([name]) => name, maxLength: 3 }),
  first: fc.boolean(),
  volumes: fc.uniqueArray(fc.record({ name: word, hostPath: fc.constant({ path: "/" }) }), { selector: ({ name }) => name, maxLength: 2 }),
  seed: fc.integer(),
});

interface AnyWorld {
  readonly sets: readonly object[];
  readonly containers: readonly object[];
  readonly namesakes: readonly (readonly [string, object])[];
  readonly first: boolean;
  readonly volumes: readonly object[];
}

function worldOf({ sets, containers, namesakes, first, volumes }: AnyWorld) {
  const { add, inject } = stage();
  const named = (list: readonly object[] | undefined, prefix: string) =>
    list?.map((item, index) => ({ ...item, name: `${prefix}-${index}` }));
  for (const [index, set] of sets.entries()) {
    const { containers: sidecars, initContainers, ...rest } = set as { containers?: object[]; initContainers?: object[] };
    add(
      sidecarSet(`set-${index}`, {
        ...rest,
        containers: named(sidecars, `s${index}`),
        initContainers: named(initContainers, `i${index}`),
      } as SidecarSetSpec),
    );
  }
  const own = named(containers, "app") ?? [];
  const replaceable = namesakes.map(([name, container]) => ({ ...container, name }));
  const all = first ? [...replaceable, ...own] : [...own, ...replaceable];
  return { inject, given: pod("web-1", { containers: all as never, volumes: volumes as never }) };
}

test(
  "twice is the same as once, and the pod's own containers are the same objects",
  () =>
    fc.assert(
      fc.asyncProperty(anyWorld, async (world) => {
        const { inject, given } = worldOf(world);
        const once = await inject(given);
        const own = given.spec.containers.filter(({ name }) => name.startsWith("app"));
        for (const each of own) expect(once.spec.containers.some((candidate) => candidate === each)).toBe(true);
        expect(given.spec.volumes?.every((volume) => once.spec.volumes?.includes(volume))).toBe(true);
        const all = names([...once.spec.containers, ...(once.spec.initContainers ?? [])]);
        expect(new Set(all).size).toBe(all.length);
        const patch = jsonPatchOf(given, once);
        expect(jsonPatchText(patch)).toBe(JSON.stringify(patch));
        const patched = applyJsonPatch(given, patch);
        expect(patched.ok && deepEqual(patched.value, once)).toBe(true);
        const twice = await inject(once);
        if (!deepEqual(twice, once)) expect(twice).toEqual(once);
      }),
      { numRuns: 300 },
    ),
  60_000,
);
