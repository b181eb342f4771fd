/** Numbers are those of the acceptance scenarios: "m" of what workloads share, "c" of CloneSet. */
import { describe, expect, test } from "bun:test";
import { type CloneSet, type CloneSetRollingUpdate, cloneSets } from "../../api/cloneset.ts";
import { gatesWith } from "../../api/gates.ts";
import { type ImagePullJob, imagePullJobs } from "../../api/imagepulljob.ts";
import { type House, startHouse, testSettings } from "../../engine/testing/harness.ts";
import { controllerRevisions } from "../../kube/kinds.ts";
import type { ControllerRevision, PodTemplateSpec } from "../../kube/types.ts";
import { chooseRevisions } from "../../workload/revision/index.ts";
import { cloneSetPreDownloader } from "./predownload.ts";

const template = (image: string, sidecar = "proxy:1"): PodTemplateSpec => ({
  metadata: { labels: { app: "web" }, annotations: { note: "x" } },
  spec: {
    initContainers: [{ name: "init", image: "init:1" }],
    containers: [
      { name: "main", image },
      { name: "proxy", image: sidecar },
    ],
    imagePullSecrets: [{ name: "registry" }],
  },
});

interface Given {
  readonly replicas?: number;
  readonly rolling?: Partial<CloneSetRollingUpdate>;
  readonly after?: PodTemplateSpec;
  readonly updatedReady?: number;
}

async function scene({ replicas = 10, rolling, after = template("app:2"), updatedReady = 0 }: Given = {}) {
  const house = await startHouse([cloneSetPreDownloader], {
    settings: testSettings({ gates: gatesWith({ PreDownloadImageForInPlaceUpdate: true }) }),
  });
  const { world } = house;
  const cloneSet = world.add<CloneSet>(cloneSets, {
    metadata: { namespace: "default", name: "web" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: after,
      updateStrategy: {
        type: "RollingUpdate",
        rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "20%", partition: 0, ...rolling },
      },
    },
  });
  const revision = (of: PodTemplateSpec) => {
    const { object } = chooseRevisions({ owner: { of: cloneSets, metadata: cloneSet.metadata }, template: of, existing: [] }).update;
    return world.add<ControllerRevision>(controllerRevisions, object as ControllerRevision).metadata.name;
  };
  const names = { current: revision(template("app:1")), update: revision(after) };
  const report = (currentRevision: string, ready: number) =>
    world.edit<CloneSet>(cloneSets, key, (object) => {
      object.status = {
        observedGeneration: object.metadata.generation,
        currentRevision,
        updateRevision: names.update,
        updatedReadyReplicas: ready,
      } as CloneSet["status"];
    });
  report(names.current, updatedReady);
  await house.rest();
  return { house, names, report };
}
const key = { namespace: "default", name: "web" };
const jobs = (house: House) => house.world.all<ImagePullJob>(imagePullJobs);
const marks = (house: House, name: string) =>
  Object.keys(house.world.now<ControllerRevision>(controllerRevisions, { namespace: "default", name })?.metadata.labels ?? {}).filter(
    (each) => each.includes("predownload"),
  );

describe("the jobs", () => {
  test("m30, c36: one for each image that changes, and the mark", async () => {
    const { house, names } = await scene();
    const [job] = jobs(house);
    const hash = names.update.slice("web-".length);
    expect(jobs(house)).toHaveLength(1);
    expect(job?.metadata).toMatchObject({
      name: `${names.update}-main`,
      labels: { app: "web", "controller.kubernetes.io/hash": hash },
      ownerReferences: [
        { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", name: "web", controller: true, blockOwnerDeletion: true },
      ],
    });
    expect(job?.spec).toEqual({
      image: "app:2",
      podSelector: {
        matchLabels: { app: "web" },
        matchExpressions: [{ key: "controller-revision-hash", operator: "NotIn", values: [names.update, hash] }],
      },
      parallelism: 1,
      pullPolicy: { backoffLimit: 1, timeoutSeconds: 300 },
      completionPolicy: { type: "Always", ttlSecondsAfterFinished: 600 },
      pullSecrets: ["registry"],
      sandboxConfig: { labels: { app: "web", "controller.kubernetes.io/hash": hash }, annotations: { note: "x" } },
    });
    expect(marks(house, names.update)).toEqual(["apps.kruise.io/pre-predownload-created"]);
    expect(house.world.events).toMatchObject([
      { type: "Normal", reason: "CreatedImagePullJob", on: { name: "web" }, component: "cloneset-controller" },
    ]);
  });
  test("m33: gone when the update is over; another owner's stay", async () => {
    const { house, names, report } = await scene({ after: template("app:2", "proxy:2") });
    expect(jobs(house)).toHaveLength(2);
    house.world.add<ImagePullJob>(imagePullJobs, {
      metadata: { namespace: "default", name: "own" },
      spec: { image: "x", completionPolicy: {} },
    });
    report(names.update, 10);
    await house.rest();
    expect(jobs(house).map(({ metadata }) => metadata.name)).toEqual(["own"]);
  });
  test("made once: a job that somebody deletes does not come back", async () => {
    const { house, names, report } = await scene();
    house.world.drop(imagePullJobs, { namespace: "default", name: `${names.update}-main` });
    report(names.current, 1);
    await house.rest();
    expect(jobs(house)).toEqual([]);
  });
  test("what users say", async () => {
    const inPlaceUpdateStrategy = { imagePreDownloadParallelism: "25%", imagePreDownloadTimeoutSeconds: 7 };
    const { house } = await scene({ rolling: { inPlaceUpdateStrategy } });
    expect(jobs(house)[0]?.spec).toMatchObject({ parallelism: 3, pullPolicy: { timeoutSeconds: 7 } });
  });
  test("a number of nodes may be a text", async () => {
    const { house } = await scene({ rolling: { inPlaceUpdateStrategy: { imagePreDownloadParallelism: "5" } } });
    expect(jobs(house)[0]?.spec.parallelism).toBe(5);
  });
  test("only once enough pods are updated and ready", async () => {
    const { house, names, report } = await scene({
      rolling: { inPlaceUpdateStrategy: { imagePreDownloadMinUpdatedReadyPods: 2 } },
      updatedReady: 1,
    });
    expect([jobs(house), marks(house, names.update)]).toEqual([[], []]);
    report(names.current, 2);
    await house.rest();
    expect(jobs(house)).toHaveLength(1);
  });
  test("one that the server refuses is told, and not tried for ever", async () => {
    const house = await startHouse([cloneSetPreDownloader], {
      settings: testSettings({ gates: gatesWith({ PreDownloadImageForInPlaceUpdate: true }) }),
    });
    house.world.fault = ({ verb }) =>
      verb === "create" ? { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "quota" } : undefined;
    const cloneSet = house.world.add<CloneSet>(cloneSets, {
      metadata: { namespace: "default", name: "web" },
      spec: {
        replicas: 10,
        selector: {},
        template: template("app:2"),
        updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible" } },
      },
    });
    const add = (of: PodTemplateSpec) =>
      house.world.add<ControllerRevision>(
        controllerRevisions,
        chooseRevisions({ owner: { of: cloneSets, metadata: cloneSet.metadata }, template: of, existing: [] }).update
          .object as ControllerRevision,
      ).metadata.name;
    const [currentRevision, updateRevision] = [add(template("app:1")), add(template("app:2"))];
    house.world.edit<CloneSet>(cloneSets, key, (object) => {
      object.status = { observedGeneration: object.metadata.generation, currentRevision, updateRevision } as CloneSet["status"];
    });
    await house.rest();
    expect(house.world.events).toMatchObject([{ type: "Normal", reason: "FailedCreateImagePullJob" }]);
    expect(house.world.calls.filter(({ verb }) => verb === "create")).toHaveLength(1);
  });
});

test.each<[string, Given]>([
  ["pods are recreated", { rolling: { podUpdatePolicy: "ReCreate" } }],
  ["c36: three replicas", { replicas: 3 }],
  ["all at once", { rolling: { maxUnavailable: "100%" } }],
  ["not in place", { after: { ...template("app:2"), spec: { ...template("app:2").spec, hostNetwork: true } } }],
])("not worth it: %s", async (_, given) => {
  const { house, names } = await scene(given);
  expect([jobs(house).length, marks(house, names.update)]).toEqual([0, ["apps.kruise.io/image-predownload-ignored"]]);
});

test("all but the partition at once is worth it", async () => {
  const { house } = await scene({ rolling: { maxUnavailable: "100%", partition: 5 } });
  expect(jobs(house)).toHaveLength(1);
});

test("without the gate nothing runs", () => {
  expect(cloneSetPreDownloader.enabled?.(testSettings())).toBe(false);
  expect(
    cloneSetPreDownloader.enabled?.(testSettings({ gates: gatesWith({ PreDownloadImageForInPlaceUpdate: true, KruiseDaemon: false }) })),
  ).toBe(false);
});
