/** SidecarSet: what pods get when they are created. Numbers are those of the SidecarSet acceptance list. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { annotation } from "../../src/api/names.ts";
import type { Pod } from "../../src/kube/types.ts";
import { isReady, type Loose } from "../lib/shop.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";
import { containerIn, containerNames, entryOf, env, imageIn, note, openYard, sidecar, whitelist, type Yard } from "./sidecars.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
  await whitelist(rig, [{ allowedAnnotationKeyExprs: ["^patched"] }]);
}, startTimeoutMs);
afterAll(() => whitelist(rig, undefined));

const open = () => openYard(rig);
const notUpdate = { updateStrategy: { type: "NotUpdate" } };
const after = { podInjectPolicy: "AfterAppContainer" };
const main = (more: Loose = {}): Loose => ({ name: "main", image: "app:v1", ...more });
const listed = (pod: Pod): string => note(pod, annotation.sidecarSetInjectedList);
const literal = (container: Parameters<typeof env>[0]) => {
  const { IS_INJECTED, ...own } = env(container);
  return [IS_INJECTED, own];
};

describe("containers", () => {
  test.concurrent("11, 12: before and after the pod's own, init containers by name, and on record", async () => {
    const yard = await open();
    const set = await yard.set({
      containers: [
        { name: "dns-f", image: "dns:v1" },
        { name: "log-agent", image: "log:v1", ...after },
      ],
      initContainers: [
        { name: "init-2", image: "init:v1" },
        { name: "init-1", image: "init:v1" },
      ],
    });
    const pod = await yard.pod("p", {
      containers: [{ name: "nginx", image: "app:v1", env: [{ name: "OWN", value: "1" }] }],
      spec: { initContainers: [{ name: "init-0", image: "init:v0" }] },
    });
    expect(containerNames(pod)).toEqual(["dns-f", "nginx", "log-agent"]);
    expect(pod.spec.initContainers?.map(({ name }) => name)).toEqual(["init-0", "init-1", "init-2"]);
    for (const name of ["dns-f", "log-agent", "init-1", "init-2"]) expect(env(containerIn(pod, name)).IS_INJECTED).toBe("true");
    expect(env(containerIn(pod, "nginx"))).toEqual({ OWN: "1" });
    expect(env(containerIn(pod, "init-0"))).toEqual({});
    expect(listed(pod)).toBe(yard.name());
    expect(entryOf(pod, yard.name())).toMatchObject({
      hash: set.metadata.annotations?.[annotation.sidecarSetHash],
      sidecarSetName: yard.name(),
      sidecarList: ["dns-f", "log-agent"],
      controllerRevision: set.status?.latestRevision,
    });
    const withoutImage = JSON.parse(note(pod, annotation.sidecarSetHashWithoutImage))[yard.name()];
    expect(withoutImage.hash).toBe(set.metadata.annotations?.[annotation.sidecarSetHashWithoutImage]);
    expect(withoutImage).not.toHaveProperty("controllerRevision");
    // The server takes all of it, and the pod runs.
    await yard.until("the pod to be ready", () => yard.pods.some(isReady));
    await yard.untilCounts([1, 1, 1, 1]);
  });

  test.concurrent("a pod made from another, with its sidecars and its record, is the same pod", async () => {
    const yard = await open();
    await yard.set({
      containers: [sidecar(), { name: "last", image: "last:v1", ...after }],
      initContainers: [{ name: "first", image: "init:v1" }],
    });
    const first = await yard.pod("p");
    const { nodeName: _, ...spec } = first.spec;
    const second = await rig.admin.create<Pod>(yard.podsPath, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "q", labels: first.metadata.labels, annotations: first.metadata.annotations },
      spec,
    });
    expect(second.spec.containers).toEqual(first.spec.containers);
    expect(second.spec.initContainers).toEqual(first.spec.initContainers!);
    expect(listed(second)).toBe(listed(first));
    expect(Object.keys(JSON.parse(note(second, annotation.sidecarSetHash)))).toEqual([yard.name()]);
  });

  test.concurrent("a container of the sidecar's name is replaced, a volume of its name is used", async () => {
    const yard = await open();
    await yard.set({
      containers: [
        sidecar("side:v1", {
          volumeMounts: [
            { name: "data", mountPath: "/side" },
            { name: "own", mountPath: "/own" },
          ],
        }),
      ],
      volumes: [
        { name: "data", emptyDir: {} },
        { name: "own", emptyDir: {} },
        { name: "unused", emptyDir: {} },
      ],
    });
    const pod = await yard.pod("p", {
      containers: [main(), sidecar("mine:v0")],
      spec: { volumes: [{ name: "data", configMap: { name: "c" } }] },
    });
    expect(containerNames(pod)).toEqual(["main", "side"]);
    expect(imageIn(pod)).toBe("side:v1");
    const volumes = (pod.spec.volumes ?? []).filter(({ name }) => !name.startsWith("kube-api-access"));
    expect(volumes.map(({ name }) => name).sort()).toEqual(["data", "own"]);
    expect(volumes.find(({ name }) => name === "data")).toHaveProperty("configMap");
  });

  test.concurrent("an init container that keeps running, and twins", async () => {
    const yard = await open();
    const hot = { upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "empty:v1" } };
    await yard.set({
      initContainers: [{ name: "net", image: "net:v1", restartPolicy: "Always" }],
      containers: [{ name: "mesh", image: "mesh:v1", ...hot }],
      ...notUpdate,
    });
    const pod = await yard.pod("p");
    expect(pod.spec.initContainers).toMatchObject([{ name: "net", restartPolicy: "Always" }]);
    expect(containerNames(pod)).toEqual(["mesh-1", "mesh-2", "main"]);
    expect([imageIn(pod, "mesh-1"), imageIn(pod, "mesh-2")]).toEqual(["mesh:v1", "empty:v1"]);
    expect(env(containerIn(pod, "mesh-2")).SIDECARSET_VERSION).toEqual({
      fieldRef: { apiVersion: "v1", fieldPath: "metadata.annotations['version.sidecarset.kruise.io/mesh-2']" },
    });
    expect(entryOf(pod, yard.name()).sidecarList).toEqual(["mesh", "net"]);
    expect(note(pod, annotation.sidecarSetWorkingHotUpgradeContainer)).toBe('{"mesh":"mesh-1"}');
    await yard.untilCounts([1, 1, 1, 1]);
  });
});

describe("who is injected", () => {
  test.concurrent("13, 29: nobody while injection is paused, and nobody who was there before", async () => {
    const yard = await open();
    await yard.pod("before");
    await yard.set({ containers: [sidecar()], injectionStrategy: { paused: true } });
    const plain = await yard.pod("p");
    expect([containerNames(plain), plain.metadata.annotations]).toEqual([["main"], undefined]);
    await yard.update({ injectionStrategy: { paused: false } });
    expect(containerNames(await yard.pod("q"))).toEqual(["side", "main"]);
    await yard.untilCounts([1, 1, 1, 1]);
    expect(yard.now("before").spec.containers).toHaveLength(1);
    expect(yard.now("before").metadata.annotations).toBeUndefined();
  });

  test.concurrent("namespaces by their labels as they are now; v1alpha1's namespace", async () => {
    const yard = await open();
    await yard.set({ containers: [sidecar()], namespaceSelector: { matchLabels: { mesh: yard.namespace } } });
    await yard.set({ containers: [{ name: "old", image: "old:v1" }], namespace: yard.namespace }, { suffix: "old", version: "v1alpha1" });
    await yard.set({ containers: [{ name: "far", image: "far:v1" }], namespace: "elsewhere" }, { suffix: "far", version: "v1alpha1" });
    expect(containerNames(await yard.pod("p"))).toEqual(["old", "main"]);
    const label = (value: string | null) =>
      rig.admin.patch(`/api/v1/namespaces/${yard.namespace}`, { metadata: { labels: { mesh: value } } }, "merge");
    await label(yard.namespace);
    await yard.round();
    const pod = await yard.pod("q");
    expect(containerNames(pod)).toEqual(["side", "old", "main"]);
    expect(listed(pod)).toBe([yard.name(), yard.name("old")].sort().join());
    await yard.untilCounts([1, 1, 1, 1]);
    // Pods of a namespace that leaves drop out of the count, and keep their sidecars.
    await label(null);
    await yard.untilCounts([0, 0, 0, 0]);
    expect(containerNames(yard.now("q"))).toEqual(["side", "old", "main"]);
  });

  test.concurrent("19: a canary stands in for its base where both match, unless it is paused", async () => {
    const yard = await open();
    await yard.set();
    await yard.set(
      { selector: { matchLabels: { app: yard.app, stage: "canary" } }, containers: [sidecar("side:v2")], ...notUpdate },
      { suffix: "canary", annotations: { "apps.kruise.io/sidecarset-canary": "true", "apps.kruise.io/sidecarset-base": yard.name() } },
    );
    const labels = { stage: "canary" };
    const both = await yard.pod("both", { labels });
    expect([listed(both), imageIn(both), containerNames(both)]).toEqual([yard.name("canary"), "side:v2", ["side", "main"]]);
    const plain = await yard.pod("plain");
    expect([listed(plain), imageIn(plain)]).toEqual([yard.name(), "side:v1"]);
    await yard.update({ injectionStrategy: { paused: true } }, "canary");
    expect(imageIn(await yard.pod("third", { labels }))).toBe("side:v1");
  });

  test.concurrent("a pod made with generateName by a ReplicaSet is injected too", async () => {
    const yard = await open();
    await yard.set();
    const labels = { app: yard.app };
    await rig.apply({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web", namespace: yard.namespace },
      spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [main()] } } },
    });
    await yard.untilCounts([2, 2, 2, 2]);
    for (const pod of yard.pods) expect(containerNames(pod)).toEqual(["side", "main"]);
  });
});

describe("what is copied from the pod", () => {
  test.concurrent("14: variables, those of the sidecar win", async () => {
    const yard = await open();
    const transferEnv = [{ sourceContainerName: "nginx", envName: "A", envNames: ["B", "C"] }];
    await yard.set({
      containers: [sidecar("side:v1", { transferEnv, env: [{ name: "A", value: "own" }] }), { name: "two", image: "two:v1", transferEnv }],
    });
    const field = { valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } } };
    const pod = await yard.pod("p", {
      containers: [
        {
          name: "nginx",
          image: "app:v1",
          env: [
            { name: "A", value: "theirs" },
            { name: "B", ...field },
            { name: "X", value: "x" },
          ],
        },
      ],
    });
    expect(literal(containerIn(pod, "side"))).toEqual(["true", { A: "own", B: { ...field.valueFrom } }]);
    expect(literal(containerIn(pod, "two"))).toEqual(["true", { A: "theirs", B: { ...field.valueFrom } }]);
  });

  test.concurrent("15: from the container that a label names; from none without it", async () => {
    const yard = await open();
    const fieldRef = { fieldPath: "metadata.labels['c']" };
    await yard.set({ containers: [sidecar("side:v1", { transferEnv: [{ sourceContainerNameFrom: { fieldRef }, envName: "A" }] })] });
    const containers = [
      main({ env: [{ name: "A", value: "of main" }] }),
      { name: "x", image: "x:v1", env: [{ name: "A", value: "of x" }] },
    ];
    expect(literal(containerIn(await yard.pod("p", { containers, labels: { c: "main" } }), "side"))).toEqual(["true", { A: "of main" }]);
    expect(literal(containerIn(await yard.pod("q", { containers }), "side"))).toEqual(["true", {}]);
  });

  test.concurrent("16: volume mounts and devices, each path once, with the variables of their sub-paths", async () => {
    const yard = await open();
    const share = { shareVolumePolicy: { type: "enabled" }, shareVolumeDevicePolicy: { type: "enabled" } };
    await yard.set({
      containers: [sidecar("side:v1", { ...share, volumeMounts: [{ name: "own", mountPath: "/own" }] })],
      volumes: [{ name: "own", emptyDir: {} }],
    });
    const podName = { name: "POD_NAME", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } } };
    const mount = (name: string, more: Loose = {}): Loose => ({ name: "data", mountPath: `/${name}`, ...more });
    const pod = await yard.pod("p", {
      containers: [
        main({
          env: [podName],
          volumeMounts: [mount("a"), mount("b", { subPathExpr: "$(POD_NAME)" }), mount("own")],
          volumeDevices: [{ name: "disk", devicePath: "/dev/x" }],
        }),
        { name: "second", image: "app:v1", volumeMounts: [mount("a")] },
      ],
      spec: {
        volumes: [
          { name: "data", emptyDir: {} },
          { name: "disk", persistentVolumeClaim: { claimName: "disk" } },
        ],
        automountServiceAccountToken: false,
      },
    });
    const side = containerIn(pod, "side");
    expect(side?.volumeMounts?.map(({ name, mountPath }) => `${name}:${mountPath}`)).toEqual(["own:/own", "data:/a", "data:/b"]);
    expect(side?.volumeDevices).toEqual([{ name: "disk", devicePath: "/dev/x" }]);
    expect(literal(side)).toEqual(["true", { POD_NAME: podName.valueFrom }]);
  });

  test.concurrent("17: pull secrets, each once", async () => {
    const yard = await open();
    const secrets = (...numbers: number[]) => numbers.map((number) => ({ name: `s${number}` }));
    await yard.set({ containers: [sidecar()], imagePullSecrets: secrets(0, 1, 2) });
    const pod = await yard.pod("p", { spec: { imagePullSecrets: secrets(2, 3, 3) } });
    expect(pod.spec.imagePullSecrets).toEqual(secrets(2, 3, 0, 1));
  });

  test.concurrent("18: resources computed from the pod's containers, or the pod is refused", async () => {
    const yard = await open();
    const computed = (name: string, more: Loose) => ({ name, image: "side:v1", resourcesPolicy: { targetContainersMode: "sum", ...more } });
    await yard.set({
      containers: [
        computed("half", { resourcesExpr: { limits: { cpu: "cpu*50%" }, requests: { memory: "max(memory*20%+100Mi, 200Mi)" } } }),
        computed("most", { targetContainersMode: "max", targetContainersNameRegex: "^app", resourcesExpr: { limits: { cpu: "cpu" } } }),
      ],
    });
    const app = (name: string, limits: Loose): Loose => ({ name, image: "app:v1", resources: { limits, requests: { memory: "400Mi" } } });
    const pod = await yard.pod("p", {
      containers: [app("app1", { cpu: "200m", memory: "1Gi" }), app("app2", { cpu: "400m", memory: "1Gi" })],
    });
    expect(containerIn(pod, "half")?.resources).toEqual({ limits: { cpu: "300m" }, requests: { cpu: "300m", memory: "260Mi" } });
    expect(containerIn(pod, "most")?.resources?.limits).toEqual({ cpu: "400m" });
    const unlimited = await yard.pod("q", { containers: [app("app1", { cpu: "200m" }), app("app2", { memory: "1Gi" })] });
    expect(containerIn(unlimited, "half")?.resources).toEqual({ requests: { memory: "260Mi" } });
    const words = await yard.tryPod("r", { containers: [main()] });
    expect(words).toContain(yard.name());
    expect(words).toMatch(/^500 .*\^app/);
  });

  test.concurrent("annotations: kept, overwritten, merged over several sets", async () => {
    const yard = await open();
    const merging = (value: string) => ({ patchPolicy: "MergePatchJson", annotations: { "patched.json": value } });
    await yard.set({
      containers: [sidecar()],
      patchPodMetadata: [
        { annotations: { "patched.keep": "mine" } },
        { patchPolicy: "Overwrite", annotations: { "patched.over": "mine" } },
        merging('{"log-agent":1}'),
      ],
    });
    await yard.set({ containers: [{ name: "z", image: "z:v1" }], patchPodMetadata: [merging('{"envoy":2}')] }, { suffix: "z" });
    const given = { "patched.keep": "theirs", "patched.over": "theirs" };
    const pod = await yard.pod("p", { annotations: given });
    expect(pod.metadata.annotations).toMatchObject({
      "patched.keep": "theirs",
      "patched.over": "mine",
      "patched.json": '{"envoy":2,"log-agent":1}',
    });
    expect((await yard.pod("q")).metadata.annotations).toMatchObject({ "patched.keep": "mine", "patched.over": "mine" });
    expect(await yard.tryPod("r", { annotations: { "patched.json": "not json" } })).toMatch(/^500 .*patched\.json/);
  });
});

describe("which revision is injected", () => {
  const versioned = async (): Promise<Yard> => {
    const yard = await open();
    await yard.set({ containers: [sidecar()], customVersion: "1" });
    await yard.update({ customVersion: "2", containers: [{ ...yard.get().spec.containers![0], image: "side:v2" }] });
    return yard;
  };
  const inject = (yard: Yard, revision: Loose, updateStrategy: Loose = {}) =>
    yard.update({ injectionStrategy: { revision }, updateStrategy: { type: "NotUpdate", paused: null, partition: 0, ...updateStrategy } });

  test.concurrent("20: the one with a custom version, or with a name, or a share of the pods", async () => {
    const yard = await versioned();
    const [first, second] = await yard.revisions();
    expect(imageIn(await yard.pod("latest"))).toBe("side:v2");
    await inject(yard, { customVersion: "1" });
    const pod = await yard.pod("p");
    expect(imageIn(pod)).toBe("side:v1");
    expect(entryOf(pod, yard.name())).toMatchObject({
      hash: first!.metadata.annotations?.[annotation.sidecarSetHash],
      controllerRevision: first!.metadata.name,
    });
    await inject(yard, { customVersion: null, revisionName: second!.metadata.name });
    expect(imageIn(await yard.pod("q"))).toBe("side:v2");
    const partial = { revisionName: null, customVersion: "1", policy: "Partial" };
    await inject(yard, partial, { partition: "0%" });
    expect(imageIn(await yard.pod("none"))).toBe("side:v2");
    await inject(yard, partial, { partition: "100%" });
    expect(imageIn(await yard.pod("all"))).toBe("side:v1");
    await inject(yard, partial, { paused: true });
    expect(imageIn(await yard.pod("paused"))).toBe("side:v1");
    await inject(yard, partial, { selector: { matchLabels: { canary: "true" } } });
    expect(imageIn(await yard.pod("canary", { labels: { canary: "true" } }))).toBe("side:v2");
    expect(imageIn(await yard.pod("others"))).toBe("side:v1");
    // The controller takes those that have the old one for outdated.
    await yard.untilCounts([8, 4, 8, 4]);
  });

  test.concurrent("a revision that is gone refuses the pods", async () => {
    const yard = await versioned();
    await inject(yard, { customVersion: "1" });
    const [first] = await yard.revisions();
    await rig.admin.delete(`/apis/apps/v1/namespaces/kruise-system/controllerrevisions/${first!.metadata.name}`);
    const words = await waitFor("pods to be refused", async () => {
      const answer = await yard.tryPod("p");
      return answer !== "accepted" && answer;
    });
    expect(words).toMatch(/^500 .*custom version 1/);
    expect(words).toContain(yard.name());
  });
});
