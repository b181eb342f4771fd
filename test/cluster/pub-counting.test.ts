/** What a PodUnavailableBudget counts, over workloads that their own controllers keep. Numbers are those of its acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { annotation, label } from "../../src/api/names.ts";
import type { Pod } from "../../src/kube/types.ts";
import { podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";
import { guarded, type Loose, Yard } from "./guards.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await guarded());
  await allowHolding();
}, startTimeoutMs);
const open = () => Yard.open(rig);

const byTarget = { targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" } };
const ofImage = (pods: readonly Pod[], image: string) => pods.filter(({ spec }) => spec.containers[0]?.image === image);
/** It goes on running, and is not ready any more. */
const takeDown = (yard: Yard, pods: readonly Pod[]) =>
  Promise.all(
    pods.map(({ metadata }) => yard.patchPod(metadata.name, { metadata: { annotations: { [podAnnotations.neverReady]: "true" } } })),
  );

/** In a namespace with this label the cluster's own controllers may delete no pod: what they are about to do stands still. */
const held = "test.example/held";
const controller = "system:serviceaccount:kube-system:replicaset-controller";

async function allowHolding(): Promise<void> {
  const policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
  const policyName = "held.test.example";
  await rig.apply(
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: policyName },
      spec: {
        matchConstraints: {
          namespaceSelector: { matchExpressions: [{ key: held, operator: "Exists" }] },
          resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["DELETE"] }],
        },
        validations: [{ expression: `request.userInfo.username != "${controller}"`, message: "held by the test" }],
      },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: policyName },
      spec: { policyName, validationActions: ["Deny"] },
    },
  );
  expect(await rig.admin.get(`${policies}/${policyName}`)).toBeDefined();
}

async function hold(yard: Yard): Promise<void> {
  await yard.admin.patch(`/api/v1/namespaces/${yard.namespace}`, { metadata: { labels: { [held]: "" } } });
  const [pod] = await yard.allPods();
  await waitFor("its controller not to delete pods", async () => {
    const { stderr } = await yard.kubectl("delete", "pod", pod?.metadata.name ?? "", "--dry-run=server", `--as=${controller}`);
    return stderr.includes("held by the test");
  });
}

describe("a Deployment", () => {
  /** New pods that are ready do not count as available for the controller: the roll-out stands still where it is. */
  const rollOut = (yard: Yard) =>
    yard.admin.patch(yard.apps("deployments", "web"), {
      spec: { minReadySeconds: 500, template: { spec: { containers: [{ name: "main", image: "nginx:v2" }] } } },
    });

  test.concurrent("2: over two ReplicaSets it counts once, and what it surges by is available", async () => {
    const yard = await open();
    await yard.budget({ maxUnavailable: "30%" });
    await yard.deployment(10, "web", { strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 0 } } });
    await rollOut(yard);
    const added = ofImage(await yard.untilReady(13), "nginx:v2");
    expect(added).toHaveLength(3);
    await takeDown(yard, added.slice(0, 1));
    await yard.untilCounts(10, 7, 12, 5);
  }, 90_000);

  test.concurrent("3: pods on their way out, and such as are not ready, do not count", async () => {
    const yard = await open();
    await yard.budget({ maxUnavailable: "30%" });
    await yard.deployment(
      10,
      "web",
      { strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 3 } } },
      { [podAnnotations.deleteDelaySeconds]: "90" },
    );
    await yard.untilCounts(10, 7, 10, 3);
    await rollOut(yard);
    const added = await waitFor("three new pods", async () => {
      const found = ofImage(await yard.untilReady(10), "nginx:v2");
      return found.length === 3 && found;
    });
    await takeDown(yard, added.slice(0, 1));
    await yard.untilCounts(10, 7, 9, 2);
    expect((await yard.allPods()).filter(({ metadata }) => metadata.deletionTimestamp !== undefined)).toHaveLength(3);
  }, 90_000);

  test.concurrent.each<[string, Loose, number]>([
    ["by selector", {}, 10],
    ["by target", byTarget, 0],
  ])(
    "4: scaled to nothing, its pods still there: %s",
    async (_, whose, counted) => {
      const yard = await open();
      await yard.deployment(10);
      await yard.budget({ maxUnavailable: "30%", ...whose });
      await yard.untilCounts(10, 7, 10, 3);
      await hold(yard);
      await yard.admin.patch(yard.apps("deployments", "web"), { spec: { replicas: 0 } });
      await yard.untilCounts(0, 0, counted, counted);
      const pods = await yard.untilReady(10);
      expect(pods[0]?.metadata.annotations?.[annotation.relatedPub]).toBe("web");
      for (const { metadata } of pods) expect((await yard.delete(metadata.name)).status).toBe(200);
    },
    90_000,
  );

  test.concurrent("5: on its way out, its pods still there", async () => {
    const yard = await open();
    await yard.deployment(10);
    await yard.budget({ maxUnavailable: "30%" });
    await yard.untilCounts(10, 7, 10, 3);
    const path = yard.apps("deployments", "web");
    await yard.admin.patch(path, { metadata: { finalizers: ["test.example/hold"] } });
    await yard.admin.delete(path);
    await yard.untilCounts(0, 0, 10, 10);
    await yard.admin.patch(path, { metadata: { finalizers: null } });
  }, 90_000);

  test.concurrent("6: protectTotalReplicas leads", async () => {
    const yard = await open();
    await yard.deployment(10);
    await yard.budget({ maxUnavailable: "30%", protectTotalReplicas: 15 });
    await yard.untilCounts(15, 10, 10, 0);
    const [pod] = await yard.allPods();
    expect((await yard.delete(pod?.metadata.name ?? "")).status).toBe(403);
  }, 90_000);

  test.concurrent("7: minAvailable, of all and with half of them down", async () => {
    const yard = await open();
    await yard.deployment(10);
    await yard.budget({ minAvailable: "80%" });
    await yard.untilCounts(10, 8, 10, 2);
    await takeDown(yard, (await yard.allPods()).slice(0, 5));
    await yard.admin.patch(yard.budgets("web"), { spec: { minAvailable: "50%" } });
    await yard.untilCounts(10, 5, 5, 0);
  }, 90_000);

  test.concurrent("8: maxUnavailable 0% refuses, 100% lets everything through", async () => {
    const yard = await open();
    await yard.deployment(10);
    await yard.budget({ maxUnavailable: "0%" });
    await yard.untilCounts(10, 10, 10, 0);
    const [first = "", second = "", third = ""] = (await yard.allPods()).map(({ metadata }) => metadata.name);
    const image = { spec: { containers: [{ name: "main", image: "nginx:v2" }] } };
    const answers = async () => [
      (await yard.patchPod(first, image)).status,
      (await yard.evict(second)).status,
      (await yard.delete(third)).status,
    ];
    expect(await answers()).toEqual([403, 403, 403]);
    await yard.admin.patch(yard.budgets("web"), { spec: { maxUnavailable: "100%" } });
    await yard.untilCounts(10, 0, 10, 10);
    // The other replica learns of it in its own time.
    await waitFor("both replicas to know", async () =>
      (await Promise.all(Array.from({ length: 8 }, () => yard.delete(third, "?dryRun=All")))).every(({ status }) => status === 200),
    );
    expect(await answers()).toEqual([200, 201, 200]);
  }, 90_000);

  test.concurrent("19: what was let through a moment ago does not count", async () => {
    const yard = await open();
    await yard.deployment(100);
    await yard.budget({ maxUnavailable: "30%" });
    await yard.untilCounts(100, 70, 100, 30);
    const pods = await yard.allPods();
    const record = () => {
      const now = new Date().toISOString().replace(/\.\d+/, "");
      const of = (from: number) => Object.fromEntries(pods.slice(from, from + 10).map(({ metadata }) => [metadata.name, now]));
      return yard.admin.patch(`${yard.budgets("web")}/status`, { status: { unavailablePods: of(0), disruptedPods: of(10) } });
    };
    await record();
    await yard.untilCounts(100, 70, 80, 10);
    await takeDown(yard, pods.slice(20, 25));
    await record();
    await yard.untilCounts(100, 70, 75, 5);
  }, 90_000);
});

test.concurrent("20: a CloneSet that shrinks has its new floor before the pods go", async () => {
  const yard = await open();
  const path = `/apis/apps.kruise.io/v1beta1/namespaces/${yard.namespace}/clonesets`;
  const hook = "test.example/hook";
  await yard.admin.create(path, {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { name: "web" },
    spec: {
      replicas: 100,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web", [hook]: "true" } }, spec: { containers: [{ name: "main", image: "nginx:v1" }] } },
      lifecycle: { preDelete: { labelsHandler: { [hook]: "true" } } },
    },
  });
  await yard.untilReady(100);
  await yard.budget({ maxUnavailable: "10%", targetRef: { apiVersion: "apps.kruise.io/v1alpha1", kind: "CloneSet", name: "web" } });
  await yard.untilCounts(100, 90, 100, 10);
  await yard.admin.patch(`${path}/web`, { spec: { replicas: 50 } });
  await yard.untilCounts(50, 45, 100, 55);
  const leaving = await waitFor("fifty to wait for their hook", async () => {
    const found = (await yard.allPods()).filter(({ metadata }) => metadata.labels?.[label.lifecycleState] === "PreparingDelete");
    return found.length === 50 && found;
  });
  await Promise.all(leaving.map(({ metadata }) => yard.patchPod(metadata.name, { metadata: { labels: { [hook]: null } } })));
  await yard.untilReady(50);
  await yard.untilCounts(50, 45, 50, 5);
}, 90_000);

describe("requests", () => {
  const image = { spec: { containers: [{ name: "main", image: "nginx:v2" }] } };

  test.concurrent("12: a pod in the middle of an in-place update goes at no charge", async () => {
    const yard = await open();
    await yard.bare(2);
    await yard.budget({ minAvailable: 2 });
    await yard.untilCounts(0, 2, 2, 0);
    expect((await yard.delete("p-0")).status).toBe(403);
    const state = JSON.stringify({ nextContainerImages: { main: "nginx:v2" } });
    await yard.patchPod("p-0", { metadata: { annotations: { [annotation.inPlaceUpdateState]: state } } });
    await yard.untilCounts(0, 2, 1, 0);
    expect((await yard.delete("p-1")).status).toBe(403);
    expect((await yard.delete("p-0")).status).toBe(200);
    expect((await yard.status())?.disruptedPods).toBeUndefined();
  }, 90_000);

  test.concurrent.each<[string, string[], [number, number, number]]>([
    ["DELETE", ["DELETE"], [200, 201, 403]],
    ["UPDATE", ["UPDATE"], [403, 201, 200]],
    ["EVICT", ["EVICT"], [200, 403, 200]],
  ])(
    "16: only what the budget names is guarded: %s",
    async (_, protectOperations, expected) => {
      const yard = await open();
      await yard.bare(3);
      await yard.budget({ minAvailable: 3, protectOperations });
      await yard.untilCounts(0, 3, 3, 0);
      const answers = await Promise.all([yard.patchPod("p-0", image), yard.evict("p-1"), yard.delete("p-2")]);
      expect(answers.map(({ status }) => status)).toEqual(expected);
    },
    90_000,
  );

  test.concurrent("28: a pod of nobody is marked by its labels; one of another CloneSet is not", async () => {
    const yard = await open();
    const path = `/apis/apps.kruise.io/v1beta1/namespaces/${yard.namespace}/clonesets`;
    const target = { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", name: "cs01" };
    await yard.budget({ selector: { matchLabels: { app: "web" } }, minAvailable: 0 });
    await yard.budget({ targetRef: target, maxUnavailable: 0 }, "target");
    const spec = { containers: [{ name: "main", image: "nginx:v1" }] };
    const marks = ({ metadata }: Pod) => [
      metadata.annotations?.[annotation.relatedPub],
      metadata.annotations?.[annotation.relatedPubLegacy],
    ];
    await waitFor("a pod to be marked as it is made, whichever replica is asked", async () => {
      const make = () =>
        yard.admin.create<Pod>(`${yard.pods()}?dryRun=All`, { metadata: { generateName: "p-", labels: { app: "web" } }, spec });
      return (await Promise.all(Array.from({ length: 8 }, make))).every((pod) => marks(pod).join() === "web,web");
    });
    for (const name of ["cs01", "cs02"]) {
      await yard.admin.create(path, {
        apiVersion: "apps.kruise.io/v1beta1",
        kind: "CloneSet",
        metadata: { name },
        spec: { replicas: 2, selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec } },
      });
    }
    const pods = await yard.untilReady(4);
    await waitFor("cs01 to be counted", async () => (await yard.status("target"))?.currentAvailable === 2);
    const of = (name: string) => pods.filter(({ metadata }) => metadata.labels?.["app"] === name).map(marks);
    expect(of("cs01")).toEqual([
      ["target", "target"],
      ["target", "target"],
    ]);
    expect(of("cs02")).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
    const [theirs] = pods.filter(({ metadata }) => metadata.labels?.["app"] === "cs02");
    expect((await yard.delete(theirs?.metadata.name ?? "")).status).toBe(200);
  }, 90_000);
});
