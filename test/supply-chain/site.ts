/** Run by airgap.test.ts inside a network namespace: a site with a registry and a control plane, where the bundle is installed. Prints what came of it as JSON. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDockerRegistry } from "../lib/docker-registry.ts";
import { type ObjectLike, startRig } from "../rig/index.ts";
import { must, run } from "../rig/process.ts";

interface Workload extends ObjectLike {
  spec: { template: { spec: { containers: { image: string }[] } } };
}

const bundle = process.argv[2] ?? "";
const dir = mkdtempSync(join(tmpdir(), "kruiser-site-"));
const registry = await startDockerRegistry(join(dir, "registry"));
const rig = await startRig({ kwokNodes: 1 });
try {
  const env = { KUBECONFIG: rig.kubeconfigPath };
  const installed = await run([join(bundle, "install"), "--registry", `${registry.address}/mirror`, "--plain-http"], {
    env,
    timeoutMs: 200_000,
  });
  if (installed.code !== 0) throw new Error(`install: ${installed.stdout}${installed.stderr}`);
  const workloads = await Promise.all(
    ["deployments/kruise-controller-manager", "daemonsets/kruise-daemon"].map((path) =>
      rig.admin.must<Workload>("GET", `/apis/apps/v1/namespaces/kruise-system/${path}`),
    ),
  );
  const outside = await fetch("http://192.0.2.1/", { signal: AbortSignal.timeout(2_000) }).then(
    () => "reached",
    (error) => String(error),
  );
  const pinned = workloads[0]?.spec.template.spec.containers[0]?.image.replace(/:v[^@]+@/, "@") ?? "";
  const copied = join(dir, "pulled");
  await must(["skopeo", "copy", "--src-tls-verify=false", `docker://${pinned}`, `oci:${copied}:x`], { timeoutMs: 100_000 });
  const { manifests } = (await Bun.file(join(copied, "index.json")).json()) as { manifests: { digest: string }[] };
  const status = JSON.parse(await must(["helm", "status", "kruise", "--output=json"], { env })) as { info: { status: string } };
  console.log(
    JSON.stringify({
      registry: registry.address,
      images: workloads.map(({ spec }) => spec.template.spec.containers[0]?.image),
      release: status.info.status,
      outside,
      pulled: manifests[0]?.digest,
    }),
  );
} finally {
  await rig.stop();
  await registry.stop();
  rmSync(dir, { recursive: true, force: true });
}
