/** CloneSet: creating and deleting pods and their claims. Numbers are those of the CloneSet acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { label } from "../../src/api/names.ts";
import { conditionOf, idOf, isAvailable, isReady, lifecycleOf, names, openShop, revisionOf, type Shop, watchBudget } from "../lib/shop.ts";
import { collectedMs, podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

const inPlace = { podUpdatePolicy: "InPlaceIfPossible" };
const dataClaim = {
  metadata: { name: "data" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
};
const mounted = { containers: [{ name: "main", image: "app:v1", volumeMounts: [{ name: "data", mountPath: "/data" }] }] };

/** Nodes that only this shop's pods are meant for, chosen by a label of its own. */
async function pool(shopName: string, nodes: readonly string[], member: boolean): Promise<void> {
  for (const node of nodes)
    await rig.admin.patch(
      `/api/v1/nodes/${node}`,
      { metadata: { labels: { [`pool.test/${shopName}`]: member ? "true" : null } } },
      "merge",
    );
}
const inPool = (shopName: string) => ({ nodeSelector: { [`pool.test/${shopName}`]: "true" } });

describe("creating", () => {
  test.concurrent("8: five pods with all their labels, PreparingNormal, then Normal, and in service", async () => {
    const shop = await openShop(rig, { replicas: 5, wait: false });
    await shop.settled();
    const [revision] = await shop.revisions();
    const hash = revision!.metadata.labels![label.controllerHash]!;
    for (const pod of shop.pods) {
      expect(pod.metadata.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
      expect(pod.metadata.generateName).toBe("web-");
      expect(pod.metadata.labels).toEqual({
        app: "web",
        [label.cloneSetInstanceId]: pod.metadata.name.slice("web-".length),
        [label.controllerRevisionHash]: `web-${hash}`,
        [label.podTemplateHash]: hash,
        [label.lifecycleState]: "Normal",
      });
      expect(pod.metadata.annotations?.["lifecycle.apps.kruise.io/timestamp"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(pod.metadata.ownerReferences).toEqual([
        {
          apiVersion: "apps.kruise.io/v1beta1",
          kind: "CloneSet",
          name: "web",
          uid: shop.cloneSet.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ]);
      expect(pod.spec.readinessGates).toContainEqual({ conditionType: "InPlaceUpdateReady" });
      expect(conditionOf(pod, "InPlaceUpdateReady")?.status).toBe("True");
      const states = shop.historyOf(pod.metadata.name).map(lifecycleOf);
      expect([states[0], states.at(-1)]).toEqual(["PreparingNormal", "Normal"]);
      // Not before the scheduler has placed it.
      for (const version of shop.historyOf(pod.metadata.name))
        expect(lifecycleOf(version) === "Normal" && !version.spec.nodeName).toBe(false);
    }
    expect((await shop.eventually("SuccessfulCreate")).source?.component).toBe("cloneset-controller");
  });

  test.concurrent("15: scaleStrategy.maxUnavailable holds the scale-up, and says so", async () => {
    const shop = await openShop(rig, {
      replicas: 0,
      spec: { scaleStrategy: { maxUnavailable: 2 } },
      annotations: { [podAnnotations.readyDelaySeconds]: "1" },
    });
    let unavailableMax = 0;
    shop.podMirror.listen(() => {
      unavailableMax = Math.max(unavailableMax, shop.pods.filter((pod) => !isAvailable(pod)).length);
    });
    await shop.update({ replicas: 5 });
    await shop.settled();
    expect(unavailableMax).toBe(2);
    expect((await shop.eventually("ScaleUpLimited")).type).toBe("Warning");
  });

  test.concurrent("15: with minReadySeconds the pace follows availability", async () => {
    const shop = await openShop(rig, { replicas: 0, spec: { minReadySeconds: 3, scaleStrategy: { maxUnavailable: 2 } } });
    await shop.update({ replicas: 3 });
    await shop.until("two ready pods", () => shop.status.readyReplicas === 2);
    await shop.round();
    expect([shop.pods.length, shop.status.availableReplicas]).toEqual([2, 0]);
    await shop.until("three available pods", () => shop.status.availableReplicas === 3);
    const readySince = shop.pods.map((pod) => Date.parse(conditionOf(pod, "Ready")!.lastTransitionTime!)).sort((a, b) => a - b);
    const third = shop.pods.map((pod) => Date.parse(pod.metadata.creationTimestamp)).sort((a, b) => a - b)[2]!;
    expect(third - readySince[0]!).toBeGreaterThanOrEqual(3_000);
  });

  test.concurrent("a refused creation is told, and does not stop; then the condition goes", async () => {
    const namespace = await rig.namespace();
    await rig.apply({ apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "pods", namespace }, spec: { hard: { pods: "2" } } });
    const shop = await openShop(rig, { namespace, replicas: 4, wait: false });
    await shop.until("condition FailedScale", () => shop.condition("FailedScale")?.status === "True");
    expect(shop.condition("FailedScale")?.message).toContain("exceeded quota");
    expect((await shop.eventually("FailedCreate")).message).toContain("exceeded quota");
    await rig.admin.patch(`/api/v1/namespaces/${namespace}/resourcequotas/pods`, { spec: { hard: { pods: "10" } } });
    // Nobody tells the controller of the quota: it tries again by itself.
    await shop.settled(60_000);
    await shop.until("the condition to go", () => shop.condition("FailedScale") === undefined);
  });
});

describe("claims", () => {
  test.concurrent("9: a claim for each pod, with its id; scaled in, the pod and exactly its claim go", async () => {
    const shop = await openShop(rig, { replicas: 2, spec: { volumeClaimTemplates: [dataClaim] }, pod: mounted });
    const claims = await shop.claims();
    expect(names(claims)).toEqual(shop.pods.map((pod) => `data-web-${idOf(pod)}`).sort());
    for (const claim of claims) {
      expect(claim.metadata.labels).toEqual({ app: "web", [label.cloneSetInstanceId]: idOf(claim) });
      expect(claim.metadata.ownerReferences?.map(({ kind, controller }) => [kind, controller])).toEqual([["CloneSet", true]]);
    }
    for (const pod of shop.pods)
      expect(pod.spec.volumes?.find(({ name }) => name === "data")).toMatchObject({
        persistentVolumeClaim: { claimName: `data-web-${idOf(pod)}` },
      });
    await shop.update({ replicas: 1 });
    await shop.settled();
    await waitFor("one claim", async () => (await shop.claims()).length === 1);
    expect(names(await shop.claims())).toEqual([`data-web-${idOf(shop.pods[0]!)}`]);
  });

  test.concurrent("10: with reuse a pod of the same name comes back for the claim", async () => {
    const shop = await openShop(rig, {
      version: "v1alpha1", // reuse is its default
      replicas: 2,
      spec: { volumeClaimTemplates: [dataClaim] },
      pod: mounted,
      annotations: { [podAnnotations.deleteDelaySeconds]: "1" },
    });
    const before = shop.pods[0]!;
    const claims = (await shop.claims()).map(({ metadata }) => metadata.uid).sort();
    await shop.deletePod(before.metadata.name);
    await shop.until("its successor", () => {
      const successor = shop.pods.find(({ metadata }) => metadata.name === before.metadata.name);
      return successor !== undefined && successor.metadata.uid !== before.metadata.uid && isReady(successor);
    });
    await shop.settled();
    expect((await shop.claims()).map(({ metadata }) => metadata.uid).sort()).toEqual(claims);
    // It waited quietly for the name.
    expect(await shop.events("FailedCreate")).toEqual([]);
  });

  test.concurrent("10: without reuse the claim goes with its pod, and the successor has its own", async () => {
    const shop = await openShop(rig, {
      replicas: 2,
      spec: { volumeClaimTemplates: [dataClaim] },
      pod: mounted,
      annotations: { [podAnnotations.deleteDelaySeconds]: "2" },
    });
    const gone = shop.pods[0]!;
    const claimPath = `/api/v1/namespaces/${shop.namespace}/persistentvolumeclaims/data-web-${idOf(gone)}`;
    await shop.deletePod(gone.metadata.name);
    // While the pod terminates the claim is its own; a new pod with a new claim is there at once.
    await waitFor("the claim to belong to its pod", async () => {
      const claim = await rig.admin.get(claimPath);
      return claim?.metadata.ownerReferences?.some(({ kind, uid }) => kind === "Pod" && uid === gone.metadata.uid);
    });
    await shop.until("the successor", () => shop.pods.length === 2 && !shop.pods.some((pod) => idOf(pod) === idOf(gone)));
    await shop.settled();
    await waitFor("the claim to be gone", async () => (await rig.admin.get(claimPath)) === undefined, { timeoutMs: collectedMs });
    expect(names(await shop.claims())).toEqual(shop.pods.map((pod) => `data-web-${idOf(pod)}`).sort());
  });
});

describe("deleting", () => {
  const slow = { annotations: { [podAnnotations.readyDelaySeconds]: "1" } };

  test.concurrent("11: two marked pods go one after another", async () => {
    const shop = await openShop(rig, { replicas: 5, rolling: { maxUnavailable: 1 }, ...slow });
    const [first, second] = names(shop.pods);
    const { broken } = watchBudget(shop, { replicas: 5, unavailableMax: 1, surgeMax: 0 });
    await Promise.all([shop.markForDeletion(first!), shop.markForDeletion(second!)]);
    await shop.until("both to be gone", () => !shop.allPods.some(({ metadata }) => metadata.name === first || metadata.name === second));
    await shop.settled();
    expect(broken).toEqual([]);
  });

  test.concurrent("12: fewer replicas and podsToDelete in one update take exactly that pod", async () => {
    const shop = await openShop(rig, { replicas: 5 });
    const chosen = names(shop.pods)[3]!;
    const others = names(shop.pods).filter((name) => name !== chosen);
    await shop.update({ replicas: 4, scaleStrategy: { podsToDelete: [chosen] } });
    await shop.settled();
    expect(names(shop.pods)).toEqual(others);
    await shop.until("the list to be empty", () => (shop.spec.scaleStrategy?.podsToDelete ?? []).length === 0);
    expect((await shop.eventually("SuccessfulDelete")).message).toContain(chosen);
  });

  test.concurrent("13: podsToDelete with the same replicas replaces the pod", async () => {
    const shop = await openShop(rig, { replicas: 5 });
    const chosen = names(shop.pods)[1]!;
    await shop.update({ scaleStrategy: { podsToDelete: [chosen] } });
    await shop.until("it to be gone", () => !names(shop.allPods).includes(chosen));
    await shop.settled();
    expect(shop.podMirror.changes.filter(({ type }) => type === "DELETED").map(({ object }) => object.metadata.name)).toEqual([chosen]);
  });

  test.concurrent("14: with surge, a marked ready pod waits for the one more; a pod that is down goes directly", async () => {
    const shop = await openShop(rig, { replicas: 5, rolling: { maxUnavailable: 1, maxSurge: 1 }, ...slow });
    const [down, ready] = names(shop.pods);
    await shop.setReady(down!, false);
    await shop.markForDeletion(ready!);
    await shop.until("a sixth pod", () => shop.pods.length === 6);
    const sixth = shop.pods.at(-1)!;
    expect(shop.pod(ready!).metadata.deletionTimestamp).toBeUndefined();
    await shop.until(
      "the marked pod to go",
      () => shop.pod(ready!).metadata.deletionTimestamp !== undefined || !names(shop.pods).includes(ready!),
    );
    const added = shop.pods.filter(
      ({ metadata }) => Date.parse(metadata.creationTimestamp) >= Date.parse(sixth.metadata.creationTimestamp),
    );
    expect(added.some(isAvailable)).toBe(true);
    await shop.until("it to be replaced", () => !names(shop.allPods).includes(ready!) && shop.pods.length === 5);
    await shop.markForDeletion(down!);
    await shop.until("the other to be gone", () => !names(shop.allPods).includes(down!));
    await shop.settled();
  });

  test.concurrent("16: who goes first: not scheduled, cheap, sharing a node", async () => {
    const namespace = await rig.namespace();
    const nodes = ["kwok-0", "kwok-1", "kwok-2", "kwok-3"];
    await pool(namespace, nodes, true);
    // Without this the scheduler is free to leave nodes empty.
    const apart = { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "web" } } };
    const podAntiAffinity = { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: apart }] };
    const shop = await openShop(rig, { namespace, replicas: 5, pod: { ...inPool(namespace), affinity: { podAntiAffinity } } });
    const nodeOf = (pod: Shop["pods"][number]) => pod.spec.nodeName!;
    const shared = shop.pods.map(nodeOf).find((node, index, all) => all.indexOf(node) !== index)!;
    await shop.update({ replicas: 4 });
    await shop.settled();
    expect(new Set(shop.pods.map(nodeOf)).size).toBe(4);
    expect(shop.pods.map(nodeOf)).toContain(shared);
    const cheap = names(shop.pods)[2]!;
    await shop.annotatePod(cheap, { "controller.kubernetes.io/pod-deletion-cost": "-1" });
    // The new pod finds no node.
    await pool(namespace, nodes, false);
    await shop.update({ replicas: 5 });
    const unscheduled = await shop.until("a pod without a node", () => shop.pods.find(({ spec }) => !spec.nodeName));
    await shop.update({ replicas: 4 });
    await shop.settled();
    expect(names(shop.pods)).not.toContain(unscheduled.metadata.name);
    await shop.update({ replicas: 3 });
    await shop.settled();
    expect(names(shop.pods)).not.toContain(cheap);
  });

  test.concurrent("17: with topologySpreadConstraints the crowded zone is thinned out", async () => {
    const namespace = await rig.namespace();
    const [zoneA, zoneB] = [["kwok-0", "kwok-3"], ["kwok-1"]];
    await pool(namespace, zoneA, true);
    const shop = await openShop(rig, {
      namespace,
      replicas: 4,
      pod: {
        ...inPool(namespace),
        topologySpreadConstraints: [
          {
            maxSkew: 5,
            topologyKey: "topology.kubernetes.io/zone",
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: { matchLabels: { app: "web" } },
          },
        ],
      },
    });
    await pool(namespace, zoneA, false);
    await pool(namespace, zoneB, true);
    await shop.update({ replicas: 6 });
    await shop.settled();
    const inZoneA = () => shop.pods.filter(({ spec }) => zoneA.includes(spec.nodeName!)).length;
    expect(inZoneA()).toBe(4);
    await shop.update({ replicas: 4 });
    await shop.settled();
    expect(inZoneA()).toBe(2);
  });

  test.concurrent("a finished pod is replaced and left", async () => {
    const shop = await openShop(rig, { replicas: 3, rolling: inPlace });
    const finished = shop.pods[0]!;
    await shop.failPod(finished.metadata.name);
    await shop.until("three active pods", () => shop.pods.length === 3 && shop.pods.every(isAvailable));
    await shop.round();
    expect(names(shop.allPods)).toContain(finished.metadata.name);
    expect(shop.status.replicas).toBe(3);
    expect(new Set(shop.pods.map(revisionOf)).size).toBe(1);
  });
});
