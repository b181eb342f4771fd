/** CloneSet as people and tools send it: both versions, admission, kubectl, scale and HPA. Numbers are those of the CloneSet acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { annotation } from "../../src/api/names.ts";
import { cloneSetManifest, cloneSetPath, imageOf, type Loose, names, openShop } from "../lib/shop.ts";
import { collectedMs, type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

type Version = "v1alpha1" | "v1beta1";
const collection = (namespace: string, version: Version) => `/apis/apps.kruise.io/${version}/namespaces/${namespace}/clonesets`;
const get = <T = Loose>(namespace: string, version: Version, name = "web") => rig.admin.get<T>(cloneSetPath(namespace, name, version));
const refusal = async (method: string, path: string, body: unknown, type: "json" | "merge" = "json"): Promise<string> => {
  const answer = await rig.admin.request<{ message?: string }>(method, path, body, type);
  return answer.status < 300 ? "accepted" : `${answer.status} ${answer.body.message}`;
};
/** With `-n`; fails the test when kubectl does. */
const kubectl = async (namespace: string, args: readonly string[], stdin?: string, env: Record<string, string> = {}): Promise<string> => {
  const ran = await rig.kubectl(["-n", namespace, ...args], stdin, { env });
  if (ran.code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${ran.stderr}`);
  return ran.stdout;
};

describe("versions", () => {
  test.concurrent("1: v1alpha1 with nothing but selector and template", async () => {
    const namespace = await rig.namespace();
    const { metadata, spec, ...rest } = cloneSetManifest(namespace, { version: "v1alpha1" });
    const least = { ...rest, metadata, spec: { selector: spec.selector, template: spec.template } };
    const stored = await rig.admin.create<{ spec: Loose }>(collection(namespace, "v1alpha1"), least);
    expect(stored.spec).toMatchObject({
      replicas: 1,
      revisionHistoryLimit: 10,
      updateStrategy: { type: "ReCreate", partition: 0, maxUnavailable: "20%", maxSurge: 0 },
      template: { spec: { containers: [{ imagePullPolicy: "Always" }] } },
    });
    expect(await get(namespace, "v1beta1")).toMatchObject({
      apiVersion: "apps.kruise.io/v1beta1",
      spec: {
        scaleStrategy: { enablePVCReuse: true },
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "ReCreate", partition: 0, maxUnavailable: "20%" } },
      },
    });
  });

  test.concurrent("2: v1beta1 without scaleStrategy reuses no claims, and v1alpha1 says so", async () => {
    const namespace = await rig.namespace();
    await rig.admin.create(collection(namespace, "v1beta1"), cloneSetManifest(namespace));
    expect(await get(namespace, "v1alpha1")).toMatchObject({ spec: { scaleStrategy: { disablePVCReuse: true } } });
  });

  test.concurrent("3: pre-download settings are annotations in v1alpha1 and fields in v1beta1", async () => {
    const namespace = await rig.namespace();
    const metadata = { annotations: { [annotation.imagePreDownloadParallelism]: "2" } };
    const manifest = cloneSetManifest(namespace, { version: "v1alpha1", metadata, rolling: { type: "InPlaceIfPossible" } });
    await rig.admin.create(collection(namespace, "v1alpha1"), manifest);
    const fields = (imagePreDownloadParallelism: number) => ({
      spec: { updateStrategy: { rollingUpdate: { inPlaceUpdateStrategy: { imagePreDownloadParallelism } } } },
    });
    expect(await get(namespace, "v1beta1")).toMatchObject(fields(2));
    await rig.admin.patch(cloneSetPath(namespace), fields(4), "merge");
    expect(await get(namespace, "v1alpha1")).toMatchObject({
      metadata: { annotations: { [annotation.imagePreDownloadParallelism]: "4" } },
    });
  });

  test.concurrent("8.28: reading and writing back, in either version, is no change", async () => {
    const shop = await openShop(rig, { version: "v1alpha1", rolling: { type: "InPlaceIfPossible", inPlaceUpdateStrategy: {} } });
    const { generation } = shop.cloneSet.metadata;
    const pods = shop.podMirror.changes.length;
    for (const version of ["v1alpha1", "v1beta1", "v1alpha1"] as const) {
      const path = cloneSetPath(shop.namespace, "web", version);
      await waitFor(`${version} to be written back`, async () => {
        const answer = await rig.admin.request<{ metadata: { generation: number } }>("PUT", path, await rig.admin.get(path));
        if (answer.status === 409) return false;
        expect([answer.status, answer.body]).toMatchObject([200, { metadata: { generation } }]);
        return true;
      });
    }
    expect((await shop.revisions()).length).toBe(1);
    expect(shop.podMirror.changes.length).toBe(pods);
  });

  test.concurrent("1.6: a v1alpha1 client that scales does not lose excludePreparingDelete", async () => {
    const namespace = await rig.namespace();
    const manifest = cloneSetManifest(namespace, { replicas: 0, spec: { scaleStrategy: { excludePreparingDelete: true } } });
    await rig.admin.create(collection(namespace, "v1beta1"), manifest);
    await waitFor("both to be written", async () => {
      const old = await get<Loose & { spec: Loose }>(namespace, "v1alpha1");
      const put = await rig.admin.request("PUT", cloneSetPath(namespace, "web", "v1alpha1"), {
        ...old,
        spec: { ...old!.spec, replicas: 1 },
      });
      return put.status === 200;
    });
    await waitFor("the scale to be written", async () => {
      const path = `${cloneSetPath(namespace, "web", "v1alpha1")}/scale`;
      const scale = await rig.admin.get<Loose>(path);
      return (await rig.admin.request("PUT", path, { ...scale, spec: { replicas: 2 } })).status === 200;
    });
    expect(await get(namespace, "v1beta1")).toMatchObject({ spec: { replicas: 2, scaleStrategy: { excludePreparingDelete: true } } });
  });

  test.concurrent("columns are OpenKruise's", async () => {
    const shop = await openShop(rig, { replicas: 2 });
    for (const version of ["v1alpha1", "v1beta1"]) {
      const rows = (await kubectl(shop.namespace, ["get", `clonesets.${version}.apps.kruise.io`, "-o", "wide"])).trimEnd().split("\n");
      const [head, row] = rows.map((line) => line.split(/\s{2,}/));
      expect(head).toEqual([
        "NAME",
        ..."DESIRED UPDATED UPDATED_READY UPDATED_AVAILABLE READY TOTAL AGE CONTAINERS IMAGES SELECTOR".split(" "),
      ]);
      expect([...row!.slice(0, 7), ...row!.slice(8)]).toEqual(["web", "2", "2", "2", "2", "2", "2", "main", "app:v1", "app=web"]);
    }
    const narrow = (await kubectl(shop.namespace, ["get", "clone"])).split("\n")[0]!.trim().split(/\s+/);
    expect(narrow).toEqual("NAME DESIRED UPDATED UPDATED_READY UPDATED_AVAILABLE READY TOTAL AGE".split(" "));
  });
});

describe("refused", () => {
  const rolling = (fields: Loose) => ({ replicas: 1, updateStrategy: fields });
  test.concurrent.each<[string, Version, Loose, string]>([
    ["an empty selector", "v1beta1", { selector: {} }, "spec.selector"],
    ["a selector that does not match", "v1beta1", { selector: { matchLabels: { app: "other" } } }, "spec.template.metadata.labels"],
    ["maxSurge in quotes", "v1alpha1", rolling({ maxSurge: "5" }), "spec.updateStrategy.maxSurge"],
    ["maxSurge in quotes", "v1beta1", rolling({ rollingUpdate: { maxSurge: "5" } }), "spec.updateStrategy.rollingUpdate.maxSurge"],
    ["neither unavailable nor surge", "v1alpha1", rolling({ maxUnavailable: 0, maxSurge: 0 }), "must not both be less than 1"],
    [
      "neither unavailable nor surge",
      "v1beta1",
      rolling({ rollingUpdate: { maxUnavailable: 0, maxSurge: 0 } }),
      "must not both be less than 1",
    ],
    ["surge in place only", "v1alpha1", rolling({ type: "InPlaceOnly", maxSurge: 1 }), "maxSurge cannot be used with InPlaceOnly"],
    ["surge in place only", "v1beta1", rolling({ rollingUpdate: { podUpdatePolicy: "InPlaceOnly", maxSurge: 1 } }), "maxSurge"],
    ["a negative partition", "v1alpha1", rolling({ partition: -1 }), "spec.updateStrategy.partition"],
    ["a negative partition", "v1beta1", rolling({ rollingUpdate: { partition: -1 } }), "spec.updateStrategy.rollingUpdate.partition"],
    ["a name twice", "v1beta1", { scaleStrategy: { podsToDelete: ["a", "a"] } }, "spec.scaleStrategy.podsToDelete"],
    [
      "6: a deadline within minReadySeconds",
      "v1alpha1",
      { progressDeadlineSeconds: 10, minReadySeconds: 10 },
      "spec.progressDeadlineSeconds",
    ],
    // Ordering 15 of the shared list.
    [
      "a weight of 101",
      "v1beta1",
      rolling({ rollingUpdate: { priorityStrategy: { weightPriority: [{ weight: 101, matchSelector: { matchLabels: { a: "b" } } }] } } }),
      "weight",
    ],
    [
      "an empty matchSelector",
      "v1beta1",
      rolling({ rollingUpdate: { priorityStrategy: { weightPriority: [{ weight: 1, matchSelector: {} }] } } }),
      "matchSelector cannot be empty",
    ],
    [
      "both priorities",
      "v1beta1",
      rolling({
        rollingUpdate: {
          priorityStrategy: {
            orderPriority: [{ orderedKey: "k" }],
            weightPriority: [{ weight: 1, matchSelector: { matchLabels: { a: "b" } } }],
          },
        },
      }),
      "cannot be used together",
    ],
    [
      "a scatter term twice",
      "v1beta1",
      rolling({
        rollingUpdate: {
          scatterStrategy: [
            { key: "a", value: "b" },
            { key: "a", value: "b" },
          ],
        },
      }),
      "occurs twice",
    ],
  ])("4: %s, in %s", async (_, version, spec, words) => {
    const namespace = await rig.namespace();
    const answer = await refusal("POST", collection(namespace, version), cloneSetManifest(namespace, { version, spec }));
    expect(answer).toStartWith("422 ");
    expect(answer).toContain(words);
  });

  test.concurrent("4: restartPolicy Never, and a changed selector", async () => {
    const namespace = await rig.namespace();
    const once = cloneSetManifest(namespace, { pod: { restartPolicy: "Never" } });
    expect(await refusal("POST", collection(namespace, "v1beta1"), once)).toMatch(/^422 .*spec\.template\.spec\.restartPolicy/);
    await rig.admin.create(collection(namespace, "v1beta1"), cloneSetManifest(namespace, { labels: { tier: "a" } }));
    const selector = { matchLabels: { app: "web", tier: "a" } };
    expect(await refusal("PATCH", cloneSetPath(namespace), { spec: { selector } }, "merge")).toMatch(
      /^422 .*spec.selector cannot be changed/,
    );
  });

  test.concurrent("5: podsToDelete names pods that are there, and keeps those that are gone", async () => {
    const shop = await openShop(rig, { version: "v1alpha1", replicas: 2 });
    const path = cloneSetPath(shop.namespace, "web", "v1alpha1");
    const choose = (...podsToDelete: string[]) => refusal("PATCH", path, { spec: { scaleStrategy: { podsToDelete } } }, "merge");
    expect(await choose("web-none")).toMatch(/^422 .*podsToDelete.*web-none/);
    // A finalizer keeps it in the list: terminating, so no longer one that might be added.
    const { name } = shop.pods[0]!.metadata;
    await shop.patchPod(name, { metadata: { finalizers: ["test/stay"] } });
    expect(await choose(name)).toBe("accepted");
    await shop.until("it to terminate", () => shop.pod(name).metadata.deletionTimestamp);
    expect(await choose(name, "web-none")).toMatch(/^422 /);
    await shop.patchPod(name, { metadata: { finalizers: null } });
    await shop.until("it to be gone", () => !names(shop.allPods).includes(name));
    await shop.settled();
    await shop.until("an empty list", () => (shop.spec.scaleStrategy?.podsToDelete ?? []).length === 0);
  });

  test.concurrent("6: InPlaceOnly takes another image, and no other env; the largest deadline is none", async () => {
    const namespace = await rig.namespace();
    const spec = { progressDeadlineSeconds: 2147483647, minReadySeconds: 2147483647 };
    const manifest = cloneSetManifest(namespace, { version: "v1alpha1", replicas: 0, rolling: { type: "InPlaceOnly" }, spec });
    await rig.admin.create(collection(namespace, "v1alpha1"), manifest);
    const path = cloneSetPath(namespace, "web", "v1alpha1");
    const containers = (fields: Loose) => ({
      spec: { template: { spec: { containers: [{ name: "main", image: "app:v1", ...fields }] } } },
    });
    expect(await refusal("PATCH", path, containers({ env: [{ name: "A", value: "1" }] }), "merge")).toMatch(/^422 .*InPlaceOnly/);
    expect(await refusal("PATCH", path, containers({ image: "app:v2", imagePullPolicy: "Always" }), "merge")).toBe("accepted");
  });

  test.concurrent("conversion and admission answer a dry run, and store nothing", async () => {
    const namespace = await rig.namespace();
    const path = `${collection(namespace, "v1alpha1")}?dryRun=All`;
    const made = await rig.admin.create<{ spec: Loose }>(path, cloneSetManifest(namespace, { version: "v1alpha1" }));
    expect(made.spec["revisionHistoryLimit"]).toBe(10);
    expect(await get(namespace, "v1alpha1")).toBeUndefined();
  });
});

describe("kubectl", () => {
  const upstreamStyle = (version: Version) => `
apiVersion: apps.kruise.io/${version}
kind: CloneSet
metadata:
  labels:
    app: sample
  name: sample
spec:
  replicas: 3
  selector:
    matchLabels:
      app: sample
  template:
    metadata:
      labels:
        app: sample
    spec:
      containers:
      - name: nginx
        image: nginx:alpine
        ports:
        - containerPort: 80
  updateStrategy:
${
  version === "v1alpha1"
    ? "    type: InPlaceIfPossible\n    maxUnavailable: 2\n    partition: 1"
    : "    type: RollingUpdate\n    rollingUpdate:\n      podUpdatePolicy: InPlaceIfPossible\n      maxUnavailable: 2\n      partition: 1"
}
`;

  test.concurrent.each(["v1alpha1", "v1beta1"] as const)("apply in %s, set image, partition, undo: as the manual says", async (version) => {
    const namespace = await rig.namespace();
    const { Shop } = await import("../lib/shop.ts");
    const shop = await Shop.watch(rig, namespace, "sample");
    const resource = `clonesets.${version}.apps.kruise.io`;
    expect(await kubectl(namespace, ["apply", "-f", "-"], upstreamStyle(version))).toContain("sample created");
    await shop.until("the CloneSet", () => shop.found);
    await shop.settled();
    const before = shop.pods.map(({ metadata }) => metadata.uid);
    // kubectl's own strategic merge does not know the kind: it says so, and a merge patch is the way.
    const containers = [{ name: "nginx", image: "nginx:mainline", ports: [{ containerPort: 80 }] }];
    await kubectl(namespace, [
      "patch",
      resource,
      "sample",
      "--type=merge",
      "-p",
      JSON.stringify({ spec: { template: { spec: { containers } } } }),
    ]);
    await shop.until(
      "two updated pods",
      () => shop.observed && shop.status.updatedAvailableReplicas === 2 && shop.status.availableReplicas === 3,
    );
    expect(shop.pods.map((pod) => imageOf(pod)).sort()).toEqual(["nginx:alpine", "nginx:mainline", "nginx:mainline"]);
    const strategy = version === "v1alpha1" ? { partition: 0 } : { rollingUpdate: { partition: 0 } };
    await kubectl(namespace, ["patch", resource, "sample", "--type=merge", "-p", JSON.stringify({ spec: { updateStrategy: strategy } })]);
    await shop.settled();
    expect(shop.pods.map(({ metadata }) => metadata.uid)).toEqual(before);
    // Applying the first manifest again is the rollback, but for the partition: it keeps one pod where it is.
    expect(await kubectl(namespace, ["apply", "-f", "-"], upstreamStyle(version))).toContain("sample configured");
    await shop.until(
      "two pods back",
      () => shop.observed && shop.status.updatedAvailableReplicas === 2 && shop.status.availableReplicas === 3,
    );
    expect(shop.pods.map((pod) => imageOf(pod)).sort()).toEqual(["nginx:alpine", "nginx:alpine", "nginx:mainline"]);
    const { generation } = shop.cloneSet.metadata;
    await kubectl(namespace, ["apply", "-f", "-"], upstreamStyle(version));
    expect((await get<{ metadata: { generation: number } }>(namespace, version, "sample"))?.metadata.generation).toBe(generation!);
    expect(await kubectl(namespace, ["describe", "clone", "sample"])).toContain("SuccessfulUpdatePodInPlace");
    await kubectl(namespace, ["delete", "clone", "sample"]);
    await shop.until("the pods to be gone", () => shop.allPods.length === 0, collectedMs);
  });

  test.concurrent("edit", async () => {
    const shop = await openShop(rig, { rolling: { podUpdatePolicy: "InPlaceIfPossible" } });
    const editor = join(rig.stateDir, `editor-${shop.namespace}.sh`);
    writeFileSync(editor, '#!/bin/sh\nsed -i "s/image: app:v1/image: app:v2/" "$1"\n', { mode: 0o755 });
    expect(readFileSync(editor, "utf8")).toContain("sed");
    expect(await kubectl(shop.namespace, ["edit", "clone", "web"], undefined, { KUBE_EDITOR: editor })).toContain("web edited");
    await shop.until("the new image", () => imageOf(shop.pods[0]!) === "app:v2");
    await shop.settled();
  });

  test.concurrent("a stray $patch in the template, as an undo by merge patch sends it, is dropped", async () => {
    const shop = await openShop(rig, { rolling: { podUpdatePolicy: "InPlaceIfPossible" } });
    await shop.setImage("app:v2");
    await shop.settled();
    const first = (await shop.revisions()).find(({ revision }) => revision === 1)!;
    const back = await shop.patch(first.data as Loose);
    expect(back.spec.template).not.toHaveProperty("$patch");
    await shop.settled();
    expect([imageOf(shop.pods[0]!), shop.status.updateRevision]).toEqual(["app:v1", first.metadata.name]);
  });

  test.concurrent("7: scale, by hand and by an autoscaler", async () => {
    const shop = await openShop(rig);
    await kubectl(shop.namespace, ["scale", "clone/web", "--replicas=3"]);
    await shop.until("three pods", () => shop.status.availableReplicas === 3 && shop.spec.replicas === 3);
    for (const version of ["v1alpha1", "v1beta1"])
      expect(await rig.admin.get<Loose>(`${cloneSetPath(shop.namespace, "web", version)}/scale`)).toMatchObject({
        spec: { replicas: 3 },
        status: { replicas: 3, selector: "app=web" },
      });
    await kubectl(shop.namespace, ["autoscale", "clone/web", "--min=4", "--max=6", "--cpu-percent=80"]);
    await shop.until("the autoscaler's minimum", () => shop.spec.replicas === 4 && shop.status.availableReplicas === 4);
    const scaler = await rig.admin.get<{ status: { conditions: { type: string; status: string }[] } }>(
      `/apis/autoscaling/v2/namespaces/${shop.namespace}/horizontalpodautoscalers/web`,
    );
    expect(scaler?.status.conditions).toContainEqual(expect.objectContaining({ type: "AbleToScale", status: "True" }));
  });
});
