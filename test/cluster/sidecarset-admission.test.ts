/** SidecarSet: what is filled in, refused, warned of and converted. Numbers are those of the SidecarSet acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { annotation } from "../../src/api/names.ts";
import type { SidecarSet, SidecarSetV1Alpha1 } from "../../src/api/sidecarset.ts";
import type { Loose } from "../lib/shop.ts";
import type { Rig } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";
import { openYard, setPath, sidecar, whitelist } from "./sidecars.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

const open = () => openYard(rig);
const notUpdate = { updateStrategy: { type: "NotUpdate" } };
const native = { name: "net", image: "net:v1", restartPolicy: "Always" };
const customVersion = "apps.kruise.io/sidecarset-custom-version";
const canaryOf = (base: string) => ({ "apps.kruise.io/sidecarset-canary": "true", "apps.kruise.io/sidecarset-base": base });

describe("versions", () => {
  test.concurrent("1: namespace and the label of the custom version are a selector and a field in v1beta1", async () => {
    const yard = await open();
    const manifest = yard.manifest(
      { namespace: yard.namespace, containers: [sidecar()] },
      { version: "v1alpha1", labels: { [customVersion]: "v1", mine: "1" } },
    );
    await rig.apply(manifest);
    const read = (version: string) => rig.admin.must<SidecarSet & SidecarSetV1Alpha1>("GET", setPath(yard.name(), version));
    const stored = await read("v1beta1");
    expect(stored.spec.namespaceSelector).toEqual({ matchLabels: { "kubernetes.io/metadata.name": yard.namespace } });
    expect(stored.spec.customVersion).toBe("v1");
    expect(stored.metadata.labels).toEqual({ mine: "1" });
    const old = await read("v1alpha1");
    expect(old.metadata.labels).toEqual({ mine: "1", [customVersion]: "v1" });
    expect(old.spec.namespace).toBeUndefined();
    expect(old.spec.namespaceSelector).toEqual(stored.spec.namespaceSelector);
    expect(old.spec).not.toHaveProperty("customVersion");
    // The same manifest again changes nothing, and what was read can be written back in either version.
    await yard.observed();
    const { generation } = yard.get().metadata;
    await rig.apply(manifest);
    for (const version of ["v1alpha1", "v1beta1"]) await rig.admin.must("PUT", setPath(yard.name(), version), await read(version));
    expect((await read("v1beta1")).metadata.generation).toBe(generation!);
    expect((await read("v1beta1")).spec).toEqual(stored.spec);
  });

  test.concurrent.each(["v1alpha1", "v1beta1"] as const)("2: %s: a minimal set gets its defaults and both hashes", async (version) => {
    const yard = await open();
    const set = await yard.set({ containers: [{ ...sidecar(), unheardOf: { of: 1 } }] }, { version });
    expect(set.spec).toMatchObject({
      updateStrategy: { type: "RollingUpdate", maxUnavailable: 1, partition: 0 },
      revisionHistoryLimit: 10,
      containers: [
        {
          name: "side",
          podInjectPolicy: "BeforeAppContainer",
          upgradeStrategy: { upgradeType: "ColdUpgrade" },
          shareVolumePolicy: { type: "disabled" },
          imagePullPolicy: "IfNotPresent",
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
    });
    const [container] = set.spec.containers as unknown as Loose[];
    expect(container).toHaveProperty("unheardOf", { of: 1 });
    expect(container).not.toHaveProperty("shareVolumeDevicePolicy");
    for (const key of [annotation.sidecarSetHash, annotation.sidecarSetHashWithoutImage])
      expect(set.metadata.annotations?.[key]).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{64}$/);
    // Its own hashes win over those of a user.
    const patched = await yard.patchSet({ metadata: { annotations: { [annotation.sidecarSetHash]: "mine" } } });
    expect(patched.metadata.annotations).toEqual(set.metadata.annotations);
    const { stdout } = await rig.kubectl(["get", `sidecarsets.${version}.apps.kruise.io`, yard.name()]);
    expect(stdout.split("\n")[0]?.split(/\s+/)).toEqual(["NAME", "MATCHED", "UPDATED", "READY", "AGE"]);
  });
});

describe("refusals", () => {
  test.concurrent("3: containers cannot be added or renamed, nor change their way of upgrading; one can go", async () => {
    const yard = await open();
    await yard.set({ containers: [sidecar(), { name: "other", image: "other:v1" }] });
    const [first, second] = yard.get().spec.containers as unknown as Loose[];
    const update = (...containers: unknown[]) => yard.tryUpdate({ spec: { containers } });
    expect(await update(first, second, { name: "third", image: "third:v1" })).toMatch(/spec\.containers\.name/);
    expect(await update(first, { ...second, name: "renamed" })).toMatch(/spec\.containers\.name/);
    const hot = { upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "empty:v1" } };
    expect(await update(first, { ...second, ...hot })).toMatch(/upgradeType/);
    expect(await update(first)).toBe("accepted");
  });

  test.concurrent("4: two sets with one container name only where no pod can get both", async () => {
    const yard = await open();
    await yard.set({ containers: [sidecar()], namespaceSelector: { matchLabels: { team: "a" } } });
    const second = (spec: Loose) => yard.tryCreate({ containers: [sidecar()], ...spec }, { suffix: "b" });
    const words = await second({});
    expect(words).toContain("spec.containers");
    expect(words).toContain(yard.name());
    expect(await second({ selector: { matchLabels: { app: "y" } } })).toBe("accepted");
    expect(await second({ namespaceSelector: { matchLabels: { team: "b" } } })).toBe("accepted");
    expect(await second({ namespaceSelector: { matchLabels: { team: "a" } } })).toContain("spec.containers");
    expect(await second({ containers: [{ name: "c", image: "c:v1" }] })).toBe("accepted");
  });

  test.concurrent("5: an init container that keeps running needs NotUpdate", async () => {
    const yard = await open();
    expect(await yard.tryCreate({ initContainers: [native] })).toContain("spec.updateStrategy");
    expect(await yard.tryCreate({ initContainers: [native], ...notUpdate })).toBe("accepted");
  });

  test.concurrent("6: a partition and a selector for updates exclude each other", async () => {
    const yard = await open();
    const selector = { matchLabels: { canary: "true" } };
    const rolling = (updateStrategy: Loose) => yard.tryCreate({ containers: [sidecar()], updateStrategy });
    expect(await rolling({ partition: "50%", selector })).toContain("spec.updateStrategy");
    expect(await rolling({ partition: 0, selector })).toBe("accepted");
    expect(await rolling({ type: "NotUpdate", partition: "50%", selector })).toBe("accepted");
  });

  test.concurrent("7: empty selectors select nothing on purpose", async () => {
    const yard = await open();
    expect(await yard.tryCreate({ containers: [sidecar()], selector: {} })).toContain("spec.selector");
    expect(await yard.tryCreate({ containers: [sidecar()], selector: undefined })).toContain("spec.selector");
    expect(await yard.tryCreate({ containers: [sidecar()], namespaceSelector: {} })).toContain("spec.namespaceSelector");
  });

  test.concurrent("9: computed resources", async () => {
    const yard = await open();
    const policy = (cpu: string, more: Loose = {}) =>
      yard.tryCreate({
        containers: [sidecar("side:v1", { resourcesPolicy: { targetContainersMode: "sum", resourcesExpr: { limits: { cpu } } }, ...more })],
      });
    expect(await policy("cpu*50%", { resources: { limits: { cpu: "1" } } })).toContain("resourcesPolicy");
    expect(await policy("max(cpu*50%)")).toContain("resourcesPolicy");
    expect(await policy("cpu-4")).toContain("resourcesPolicy");
    expect(await policy("100MB")).toContain("resourcesPolicy");
    expect(await policy("max(0, cpu-4)")).toBe("accepted");
  });

  test.concurrent("10: a canary needs a base that is none, and NotUpdate; its names may be those of the base", async () => {
    const yard = await open();
    await yard.set();
    const canary = (base: string, spec: Loose = notUpdate, suffix = "canary") =>
      yard.tryCreate({ containers: [sidecar("side:v2")], ...spec }, { suffix, annotations: canaryOf(base) });
    expect(await canary("nowhere")).toContain("nowhere");
    expect(await canary(yard.name("canary"))).toContain("metadata");
    expect(await canary(yard.name(), {})).toContain("NotUpdate");
    expect(await canary(yard.name())).toBe("accepted");
    await yard.set({ containers: [sidecar("side:v2")], ...notUpdate }, { suffix: "canary", annotations: canaryOf(yard.name()) });
    expect(await canary(yard.name("canary"), notUpdate, "of-a-canary")).toContain("canary");
    expect(await yard.tryUpdate({ metadata: { annotations: canaryOf("other") } }, "canary")).toContain("metadata");
    // The base can still be changed.
    expect(await yard.tryUpdate({ spec: { containers: [{ ...yard.get().spec.containers![0], image: "side:v3" }] } })).toBe("accepted");
  });

  test.concurrent("names, volumes, and twins that could never be made", async () => {
    const yard = await open();
    const containers = [sidecar()];
    const dotted = { ...yard.manifest({ containers }), metadata: { name: "a.b" } };
    expect((await rig.admin.request("POST", "/apis/apps.kruise.io/v1beta1/sidecarsets?dryRun=All", dotted)).status).not.toBe(201);
    expect(await yard.tryCreate({})).toContain("spec");
    expect(await yard.tryCreate({ containers: [sidecar("side:v1", { volumeMounts: [{ name: "nowhere", mountPath: "/n" }] })] })).toContain(
      "volumeMounts",
    );
    expect(await yard.tryCreate({ containers: [sidecar("side:v1", { upgradeStrategy: { upgradeType: "HotUpgrade" } })] })).toContain(
      "hotUpgradeEmptyImage",
    );
    expect(await yard.tryCreate({ containers, injectionStrategy: { revision: { customVersion: "v0" } } })).toContain("revision");
    expect(await yard.tryCreate({ containers, updateStrategy: { maxUnavailable: "5" } })).toContain("maxUnavailable");
  });
});

describe("patches of pods' metadata", () => {
  test("8: need a rule in ConfigMap kruise-configuration", async () => {
    const yard = await open();
    const patch = (key: string) => yard.tryCreate({ containers: [sidecar()], patchPodMetadata: [{ annotations: { [key]: "1" } }] });
    expect(await patch("key1")).toContain("spec.patchPodMetadata");
    await whitelist(rig, [{ allowedAnnotationKeyExprs: ["^key.*$"] }]);
    try {
      expect(await patch("key1")).toBe("accepted");
      expect(await patch("other")).toContain("spec.patchPodMetadata");
    } finally {
      await whitelist(rig, undefined);
    }
  });
});

describe("warnings", () => {
  const apply = (manifest: unknown, ...more: string[]) => rig.kubectl(["apply", "-f", "-", ...more], JSON.stringify(manifest));

  test.concurrent("words that are not known are told, not refused", async () => {
    const yard = await open();
    const { code, stderr } = await apply(
      yard.manifest({
        containers: [sidecar("side:v1", { upgradeStrategy: { upgradeType: "Lukewarm" } })],
        updateStrategy: { type: "Sometimes" },
      }),
    );
    expect(code).toBe(0);
    expect(stderr).toContain("Warning: spec.updateStrategy.type: Sometimes is not known and acts as RollingUpdate");
    expect(stderr).toContain("upgradeType: Lukewarm is not known and acts as ColdUpgrade");
  });

  test.concurrent("a change that pods cannot get in place is told with their number, also in a dry run", async () => {
    const yard = await open();
    const spec = { containers: [sidecar()] };
    await apply(yard.manifest(spec));
    await yard.observed();
    await yard.crowd(2);
    expect((await apply(yard.manifest({ containers: [sidecar("side:v2")] }), "--dry-run=server")).stderr).not.toContain("recreate");
    const changed = yard.manifest({ containers: [sidecar("side:v1", { env: [{ name: "A", value: "1" }] })] });
    expect((await apply(changed, "--dry-run=server")).stderr).toContain("needs recreate: 2 pods");
    expect((await apply(changed)).stderr).toContain("needs recreate: 2 pods");
  });
});
