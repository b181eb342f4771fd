/** `kruise explain` as a user runs it: with a kubeconfig that may read one namespace and change nothing. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Explanation } from "../../src/features/feature.ts";
import { lifecycleOf, names, openShop, type Shop } from "../lib/shop.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await cluster());
}, startTimeoutMs);

const rolling = { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 1 };
const command = process.env.KRUISE_COMMAND?.split(" ") ?? ["bun", "src/main.ts"];

/** A user who may look at workloads in one namespace, and at nothing that belongs to the whole cluster. */
async function reader(
  namespace: string,
  resources = ["pods", "persistentvolumeclaims", "controllerrevisions", "clonesets"],
): Promise<string> {
  const rules = [{ apiGroups: ["", "apps", "apps.kruise.io"], resources, verbs: ["get", "list", "watch"] }];
  const name = `reader-${resources.length}`;
  await rig.apply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: { name, namespace }, rules },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name, namespace },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
  );
  return rig.plane.kubeconfigOf(namespace, name);
}

async function kruise(kubeconfig: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([...command, ...args, `--kubeconfig=${kubeconfig}`], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = [await new Response(child.stdout).text(), await new Response(child.stderr).text(), await child.exited];
  return { code, stdout, stderr };
}
async function explained(shop: Shop, kubeconfig: string): Promise<Explanation & { code: number }> {
  const { code, stdout, stderr } = await kruise(kubeconfig, "explain", `cloneset/${shop.name}`, "-n", shop.namespace, "-o", "json");
  if (stdout === "") throw new Error(stderr);
  return { ...(JSON.parse(stdout) as Explanation), code };
}

describe("a CloneSet", () => {
  test.concurrent("at rest: 0; held by its partition: 1, pod by pod and since when", async () => {
    const shop = await openShop(rig, { replicas: 3, rolling: { ...rolling, partition: 2 } });
    const kubeconfig = await reader(shop.namespace);
    const rest = await kruise(kubeconfig, "explain", "clone", "web", "-n", shop.namespace);
    expect(rest).toMatchObject({ code: 0, stdout: expect.stringMatching(/^web: 3 of 3 pods on revision web-\w+, 3 available\n$/) });
    // Nodes are not for everybody to see: said, and no obstacle.
    expect(rest.stderr).toContain("nodes");
    await shop.setImage("app:v2");
    await shop.until(
      "one updated pod",
      () => shop.observed && shop.status.updatedAvailableReplicas === 1 && shop.status.availableReplicas === 3,
    );
    await shop.settled();
    const held = await kruise(kubeconfig, "explain", "cloneset/web", "-n", shop.namespace);
    expect(held.code).toBe(1);
    expect(held.stdout).toMatch(/^web: 1 of 3 pods on revision web-\w+, 3 available, 2 held\n\nHeld:\n/);
    const behind = shop.pods.filter((pod) => pod.metadata.labels?.["controller-revision-hash"] !== shop.status.updateRevision);
    for (const name of names(behind)) expect(held.stdout).toContain(`  ${name}: held by partition: 2 pods keep their revision (for `);
    const json = await explained(shop, kubeconfig);
    expect([json.code, json.state, json.next]).toEqual([1, "held", []]);
    expect(json.held.map(({ on, code, figures }) => [on, code, figures]).sort()).toEqual(
      names(behind).map((name) => [name, "HeldByPartition", { kept: 2 }]),
    );
    for (const { sinceMs } of json.held) expect(Math.abs(Date.now() - sinceMs!)).toBeLessThan(60_000);
  });

  test.concurrent("paused, held by a hook, by maxUnavailable, by an image that does not come", async () => {
    const shop = await openShop(rig, {
      replicas: 2,
      rolling: { ...rolling, paused: true },
      labels: { block: "true" },
      spec: { lifecycle: { inPlaceUpdate: { labelsHandler: { block: "true" } } } },
    });
    const kubeconfig = await reader(shop.namespace);
    await shop.setImage("app:bad-1");
    await shop.until("the new revision", () => shop.observed && shop.status.updateRevision !== shop.status.currentRevision);
    const codes = async () => {
      const { code, state, held } = await explained(shop, kubeconfig);
      return [code, state, ...held.map((entry) => entry.code).sort()];
    };
    expect(await codes()).toEqual([1, "held", "Paused", "Paused"]);
    await shop.updateRolling({ paused: false });
    const prepared = await shop.until("PreparingUpdate", () => shop.pods.find((pod) => lifecycleOf(pod) === "PreparingUpdate"));
    expect(await codes()).toEqual([1, "held", "HeldByMaxUnavailable", "HeldByUpdateHook"]);
    const { stdout } = await kruise(kubeconfig, "explain", "cloneset/web", "-n", shop.namespace);
    expect(stdout).toContain(`${prepared.metadata.name}: held by lifecycle hook inPlaceUpdate: label block=true (for `);
    await shop.labelPod(prepared.metadata.name, { block: "no" });
    await shop.until("Updating", () => lifecycleOf(shop.pod(prepared.metadata.name)) === "Updating");
    await waitFor("the answer", async () => (await codes()).join() === "1,held,HeldByMaxUnavailable,WaitingForContainer");
  });
});

describe("no answer: 2", () => {
  test.concurrent.each<[string, string[], string]>([
    ["an object that is not there", ["explain", "cloneset/none"], 'clonesets "none" not found in namespace'],
    ["a kind that nobody knows", ["explain", "widget/web"], 'nothing is known about "widget"'],
    ["no object", ["explain", "cloneset"], "expected KIND/NAME"],
    ["another output", ["explain", "cloneset/web", "-o", "yaml"], "expected json"],
    ["a flag that nobody knows", ["explain", "cloneset/web", "--loud"], "--loud"],
  ])("%s", async (_, args, words) => {
    const namespace = await rig.namespace();
    const { code, stdout, stderr } = await kruise(await reader(namespace), ...args, "-n", namespace);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(words);
  });

  test.concurrent("no right to see pods: said, not waited for", async () => {
    const namespace = await rig.namespace();
    const { code, stderr } = await kruise(await reader(namespace, ["clonesets"]), "explain", "cloneset/web", "-n", namespace);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/list and watch pods, persistentvolumeclaims, controllerrevisions in namespace/),
    ]);
  });

  test.concurrent("no such server", async () => {
    const namespace = await rig.namespace();
    const kubeconfig = (await Bun.file(await reader(namespace)).text()).replace(/127\.0\.0\.1:\d+/, "127.0.0.1:1");
    const path = `${rig.stateDir}/nowhere-${namespace}.json`;
    await Bun.write(path, kubeconfig);
    const { code, stderr } = await kruise(path, "explain", "cloneset/web", "-n", namespace);
    expect([code, stderr]).toEqual([2, expect.stringContaining("cannot reach https://127.0.0.1:1")]);
  });
});
