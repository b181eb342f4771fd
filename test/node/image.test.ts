/**
 * What a user installs, as a user installs it: the image built from Dockerfile.distroless, pulled from a registry by a real node, run as Deployment and
 * DaemonSet with the probes, limits and rights of the chart; installed, upgraded, rolled back and uninstalled by Helm.
 *
 * Pods of the rig's node reach the API server, which listens on loopback, only from the node's own network: hence hostNetwork and KUBERNETES_SERVICE_HOST.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { image as imageName } from "../../scripts/generate/workloads.ts";
import { blobPath, imageFacts, layerFiles } from "../../scripts/image/layout.ts";
import { chartDir, helm, render, type Values } from "../lib/helm.ts";
import { architecture, type ProductImage, productImage } from "../lib/product-image.ts";
import { writeKubeconfig } from "../rig/client.ts";
import { ensurePackages } from "../rig/debian.ts";
import { type ObjectLike, type Rig, startRig, waitFor } from "../rig/index.ts";
import { freePort, must, run } from "../rig/process.ts";
import { startTimeoutMs } from "./house.ts";

interface Pod extends ObjectLike {
  spec: { nodeName?: string; containers: { image: string }[] };
  status: {
    phase?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { name: string; imageID: string; containerID: string; restartCount: number; ready: boolean }[];
  };
}
interface CloneSet extends ObjectLike {
  status?: { updatedReadyReplicas?: number; observedGeneration?: number; updateRevision?: string };
}

const root = join(import.meta.dir, "../..");
const timeoutMs = 300_000;
let product: ProductImage;
let rig: Rig;
let values: Values;
let ports: { metrics: number; daemon: number };

beforeAll(async () => {
  product = await productImage();
  // With routing to endpoints the API server needs no cluster addresses, which nobody routes here.
  rig = await startRig({ kwokNodes: 0, realNodes: 1, apiserverFlags: ["--enable-aggregator-routing=true"] });
  const [, repository = "", tag = ""] = /^[^/]+\/(.*):([^:]+)$/.exec(imageName) ?? [];
  rig.registry.push(repository, tag, product.image);
  const { hostname, port } = new URL(rig.url);
  const extraEnvs = [
    { name: "KUBERNETES_SERVICE_HOST", value: hostname },
    { name: "KUBERNETES_SERVICE_PORT", value: port },
  ];
  ports = { metrics: await freePort(), daemon: await freePort() };
  values = {
    manager: {
      hostNetwork: true,
      replicas: 1,
      extraEnvs,
      webhook: { port: await freePort() },
      metrics: { port: ports.metrics },
      healthProbe: { port: await freePort() },
      readinessProbe: { periodSeconds: 1, timeoutSeconds: 5 },
    },
    daemon: { port: ports.daemon, socketLocation: rig.nodes[0]!.dir, extraEnvs, readinessProbe: { periodSeconds: 1, timeoutSeconds: 5 } },
    helmHooks: { hostNetwork: true, extraEnvs },
  };
}, startTimeoutMs);
afterAll(async () => {
  await rig?.stop();
}, 120_000);

const release = (verb: readonly string[], given: Values = values) =>
  helm([...verb, "--kubeconfig", rig.kubeconfigPath, "--namespace", "default"], given, { timeoutMs });
const podsOf = (labels: string, namespace = "kruise-system") =>
  rig.admin.list<Pod>(`/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(labels)}`);

describe("the image", () => {
  test("one file of ours on a base without a shell, run by nobody in particular", () => {
    const { config, manifest, compressedBytes, contentBytes } = product.platform;
    expect(config.config.User).toBe("65532:65532");
    expect(config.config.Entrypoint).toEqual(["/kruise"]);
    const files = manifest.layers.flatMap((layer) => [...layerFiles(product.layout, layer).keys()]);
    expect(files.filter((name) => /(^|\/)(sh|bash|dash|busybox|apt-get|dpkg-deb|perl|python3?)$/.test(name))).toEqual([]);
    for (const wanted of [
      "kruise",
      "manager",
      "kruise-daemon",
      "licenses/THIRD-PARTY.txt",
      "etc/ssl/certs/ca-certificates.crt",
      "usr/share/zoneinfo/Europe/Berlin",
    ])
      expect(files).toContain(wanted);
    console.log(
      `image for ${architecture}: ${(compressedBytes / 1e6).toFixed(1)} MB to pull, ${(contentBytes / 1e6).toFixed(1)} MB unpacked`,
    );
    // OpenKruise's two Go binaries alone are 83 MB to pull.
    expect(compressedBytes).toBeLessThan(70e6);
  });

  test(
    "built twice from one commit, in different places, it is the same to the byte",
    async () => {
      const digests = await Promise.all(["one", "two"].map(buildElsewhere));
      expect(digests[0]).toMatch(/^sha256:/);
      expect(digests[1]).toBe(digests[0] as string);
    },
    startTimeoutMs,
  );

  /** Exports the commit into a directory of its own and builds there. @returns the image's digest */
  async function buildElsewhere(name: string): Promise<string> {
    const dir = mkdtempSync(join(tmpdir(), `kruiser-build-${name}-`));
    try {
      await must(["sh", "-c", `git archive HEAD | tar -x -C "${dir}"`], { cwd: root });
      mkdirSync(join(dir, ".kruiser"));
      for (const shared of ["node_modules", ".kruiser/runtimes"]) symlinkSync(join(root, shared), join(dir, shared));
      const [commit = "", date = ""] = (await must(["git", "show", "-s", "--format=%H %cI", "HEAD"], { cwd: root })).trim().split(" ");
      const options = { cwd: dir, env: { KRUISE_COMMIT: commit, KRUISE_DATE: date }, timeoutMs: 15 * 60_000 };
      await must([process.execPath, "scripts/build.ts", `--target=linux-${architecture}`], options);
      await must([process.execPath, "scripts/licences.ts"], options);
      await must([process.execPath, "scripts/image.ts", "--base=debian", `--arch=${architecture}`], options);
      return imageFacts(join(dir, "dist/image")).digest;
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }
});

describe("in a cluster, by its chart", () => {
  let namespace: string;

  test(
    "manager and node agent run within the chart's limits, rights and probes",
    async () => {
      const installed = await release(["install", "kruise", chartDir, "--wait", "--timeout=4m"]);
      if (installed.code !== 0) console.error(await diagnosis());
      expect(installed).toMatchObject({ code: 0 });
      expect(installed.stdout).toContain("CRDs and custom resources stay");
      await settled();
      const [manager] = await podsOf("control-plane=controller-manager");
      const [daemon] = await podsOf("control-plane=daemon");
      for (const pod of [manager, daemon]) {
        expect(pod?.status.containerStatuses?.[0]).toMatchObject({ ready: true, restartCount: 0 });
        expect(pod?.status.containerStatuses?.[0]?.imageID).toEndWith(product.platform.digest);
      }
      const shell = await rig.kubectl(["exec", "-n", "kruise-system", manager?.metadata.name ?? "", "--", "sh", "-c", "true"]);
      expect(shell.code).not.toBe(0);
    },
    timeoutMs,
  );

  test(
    "it rolls a CloneSet in place",
    async () => {
      namespace = await rig.namespace();
      const before = await rollOut("v1", () => true);
      const after = await rollOut("v2", (pod) => pod.status.containerStatuses?.[0]?.restartCount === 1);
      expect(after.map(({ metadata }) => metadata.uid).sort()).toEqual(before.map(({ metadata }) => metadata.uid).sort());
      const imageIds = (pods: Pod[]) => new Set(pods.map(({ status }) => status.containerStatuses?.[0]?.imageID));
      expect(imageIds(after)).not.toEqual(imageIds(before));
    },
    timeoutMs,
  );

  test(
    "the node agent reports its containers, and both stay small",
    async () => {
      const [pod] = await podsOf("app=web", namespace);
      await waitFor("the report of the node agent", async () => {
        const now = await rig.admin.get(`/api/v1/namespaces/${namespace}/pods/${pod?.metadata.name}`);
        return now?.metadata.annotations?.["apps.kruise.io/runtime-containers-meta"];
      });
      const resident = async (port: number) => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        return Number(/^process_resident_memory_bytes ([\d.e+]+)$/m.exec(text)?.[1]) / 1024 / 1024;
      };
      const [manager, daemon] = [await resident(ports.metrics), await resident(ports.daemon)];
      console.log(`resident in the cluster: manager ${manager.toFixed(1)} MiB of 512, node agent ${daemon.toFixed(1)} MiB of 64`);
      expect(manager).toBeLessThan(256);
      expect(daemon).toBeLessThan(64);
    },
    timeoutMs,
  );

  test(
    "a second look finds nothing to change (GitOps)",
    async () => {
      const template = await release(["template", "kruise", chartDir, "--no-hooks", "--validate"]);
      expect(template.stderr).toBe("");
      for (const mode of [[], ["--server-side", "--force-conflicts", "--field-manager=helm"]]) {
        const diff = await rig.kubectl(["diff", ...mode, "-f", "-"], template.stdout);
        expect(diff).toEqual({ code: 0, stdout: "", stderr: "" });
      }
    },
    timeoutMs,
  );

  test(
    "the manager passes the Pod Security Standard `restricted`",
    async () => {
      const strict = await rig.namespace("strict");
      await rig.admin.patch(`/api/v1/namespaces/${strict}`, {
        metadata: { labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
      });
      const deployment = (await render()).find(({ kind }) => kind === "Deployment") as ObjectLike & {
        spec: { template: { spec: object } };
      };
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "manager" },
        spec: { ...deployment.spec.template.spec, serviceAccountName: "default" },
      };
      expect((await rig.admin.request("POST", `/api/v1/namespaces/${strict}/pods?dryRun=All`, pod)).status).toBe(201);
    },
    timeoutMs,
  );

  test(
    "upgrade and rollback leave workloads and definitions alone",
    async () => {
      const uids = async () =>
        (await rig.admin.list("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")).map(({ metadata }) => metadata.uid).sort();
      const [crds, pods] = [await uids(), await podsOf("app=web", namespace)];
      const changed = { ...values, featureGates: "ImagePullJobGate=true,ResourcesDeletionProtection=true" };
      expect(await release(["upgrade", "kruise", chartDir, "--wait", "--timeout=4m"], changed)).toMatchObject({ code: 0 });
      await settled();
      const configuration = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/kruise-validating-webhook-configuration";
      const [running] = await podsOf("control-plane=controller-manager");
      expect(JSON.stringify(running?.spec)).toContain("ResourcesDeletionProtection=true");
      const back = await helm(
        ["rollback", "kruise", "1", "--wait", "--timeout=4m", "--kubeconfig", rig.kubeconfigPath, "--namespace", "default"],
        undefined,
        {
          timeoutMs,
        },
      );
      expect(back).toMatchObject({ code: 0 });
      await settled();
      expect(await uids()).toEqual(crds);
      expect(
        (await rig.admin.get<ObjectLike & { webhooks: { clientConfig: { caBundle?: string } }[] }>(configuration))?.webhooks.every(
          ({ clientConfig }) => clientConfig.caBundle,
        ),
      ).toBe(true);
      const now = await podsOf("app=web", namespace);
      const state = (list: Pod[]) => list.map(({ metadata, status }) => [metadata.uid, status.containerStatuses?.[0]?.restartCount]).sort();
      expect(state(now)).toEqual(state(pods));
    },
    timeoutMs,
  );

  test(
    "uninstalling is refused while something is left, and leaves the definitions (acceptance 22)",
    async () => {
      const refused = await helm(
        ["uninstall", "kruise", "--timeout=2m", "--kubeconfig", rig.kubeconfigPath, "--namespace", "default"],
        undefined,
        { timeoutMs },
      );
      expect(refused.code).not.toBe(0);
      const [hook] = await podsOf("kruise=helm-finalizer");
      const said = (hook?.status.containerStatuses?.[0] as unknown as { state: { terminated: { message: string } } } | undefined)?.state
        .terminated.message;
      expect(said).toContain(`1 clonesets.apps.kruise.io: ${namespace}/web`);
      expect((await podsOf("control-plane=controller-manager"))[0]?.status.containerStatuses?.[0]?.ready).toBe(true);

      await rig.admin.delete(`/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/clonesets/web`);
      await waitFor("the CloneSet's pods to be gone", async () => (await podsOf("app=web", namespace)).length === 0, { timeoutMs: 60_000 });
      const done = await helm(
        ["uninstall", "kruise", "--timeout=2m", "--kubeconfig", rig.kubeconfigPath, "--namespace", "default"],
        undefined,
        { timeoutMs },
      );
      expect(done).toMatchObject({ code: 0 });
      const kept = (await rig.admin.list("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")).filter(({ metadata }) =>
        metadata.name.endsWith(".kruise.io"),
      );
      expect(kept.length).toBeGreaterThan(0);
      expect(
        await rig.admin.get("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/kruise-mutating-webhook-configuration"),
      ).toBeUndefined();
    },
    timeoutMs,
  );

  async function rollOut(tag: string, updated: (pod: Pod) => boolean): Promise<Pod[]> {
    await rig.apply({
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "CloneSet",
      metadata: { name: "web", namespace },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: "web" } },
        updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 2 } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: { terminationGracePeriodSeconds: 5, containers: [{ name: "main", image: rig.registry.image("app", tag) }] },
        },
      },
    });
    await waitFor(
      `two ready pods of ${tag}`,
      async () => {
        const set = await rig.admin.get<CloneSet>(`/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/clonesets/web`);
        return (
          set?.status?.updatedReadyReplicas === 2 &&
          set.status.observedGeneration === set.metadata.generation &&
          (await podsOf("app=web", namespace)).every(updated)
        );
      },
      { timeoutMs: 120_000 },
    );
    return podsOf("app=web", namespace);
  }

  /** Helm's own --wait is content with as many as may be missing in an update: here, with none. */
  async function settled(): Promise<void> {
    for (const workload of ["deployment/kruise-controller-manager", "daemonset/kruise-daemon"]) {
      const ran = await rig.kubectl(["rollout", "status", "-n", "kruise-system", workload, "--timeout=3m"], undefined, { timeoutMs });
      if (ran.code !== 0) throw new Error(`${ran.stdout}${ran.stderr}\n${await diagnosis()}`);
    }
  }

  async function diagnosis(): Promise<string> {
    const pods = (await rig.kubectl(["describe", "pods", "-n", "kruise-system"])).stdout;
    const logs = await Promise.all(
      ["deployment/kruise-controller-manager", "daemonset/kruise-daemon"].map((owner) =>
        rig.kubectl(["logs", "-n", "kruise-system", owner, "--tail=40"]),
      ),
    );
    return [pods, ...logs.map(({ stdout, stderr }) => stdout + stderr)].join("\n");
  }
});

/** The cross-compiled image starts as far as it can without a cluster; the processor is emulated. */
test.skipIf(architecture !== "amd64")(
  "for arm64: it says its version, and the manager asks for its cluster",
  async () => {
    await ensurePackages(["qemu-user-static"]);
    const files = join(root, ".kruiser/test-image-arm64");
    await must(["rm", "-rf", files]);
    await must(["mkdir", "-p", files]);
    const other = imageFacts(product.layout).platforms.find((platform) => platform.architecture === "arm64");
    for (const layer of other?.manifest.layers ?? []) await must(["tar", "-xzf", blobPath(product.layout, layer.digest), "-C", files]);
    const emulated = ["qemu-aarch64-static", "-L", files, join(files, "kruise")];
    expect(JSON.parse(await must([...emulated, "version", "-o", "json"], { timeoutMs }))).toMatchObject({ platform: "linux/arm64" });
    const server = `https://127.0.0.1:${await freePort()}`;
    const kubeconfig = writeKubeconfig(join(files, "kubeconfig"), { url: server, caPem: rig.plane.caPem }, { token: "none" });
    const manager = await run([...emulated, "--mode=manager", "--record-path=memory", `--protection-log-path=${files}/log`], {
      timeoutMs,
      env: { KUBECONFIG: kubeconfig, HOME: files },
    });
    expect(manager.code).toBe(1);
    expect(manager.stdout + manager.stderr).toContain(`the API server at ${server} cannot be asked what it serves`);
    rmSync(files, { recursive: true });
  },
  startTimeoutMs,
);
