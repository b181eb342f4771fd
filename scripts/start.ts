/**
 * Kruiser's main job on this machine: a real control plane with simulated nodes, the manager, and a CloneSet whose pods get a new image in
 * place. Shows it live, then says what to try next and stays up. --once: ends when the rollout is done, with code 0.
 */

import { startRig, waitFor } from "../test/rig/index.ts";
import { missingFor } from "./lib/requirements.ts";
import { describePods, type PodRow, progressBar } from "./lib/rollout-view.ts";

const once = process.argv.includes("--once");
const unknown = process.argv.slice(2).filter((arg) => arg !== "--once");
if (unknown.length > 0) {
  console.error(`unknown argument "${unknown[0]}": expected --once or nothing`);
  process.exit(2);
}
const missing = missingFor("cluster");
if (missing !== undefined) {
  console.error(`cannot start here: ${missing}`);
  process.exit(1);
}

const path = "/apis/apps.kruise.io/v1beta1/namespaces/default/clonesets/web";
const replicas = 5;
const rolloutTimeoutMs = 120_000;

interface Status {
  readonly observedGeneration?: number;
  readonly replicas: number;
  readonly updatedReplicas: number;
  readonly updatedAvailableReplicas?: number;
  readonly updateRevision: string;
}

console.log("Starting a control plane with three simulated nodes (its programs are fetched or built once, which may take minutes) …");
const rig = await startRig({ kwokNodes: 3 });
let code = 0;
try {
  await rig.install();
  await rig.startManager();
  console.log(`\nA CloneSet with ${replicas} pods of nginx:1.27`);
  await rig.apply(sample("nginx:1.27"));
  await follow();
  console.log("\nA new image, nginx:1.28: in place, one pod after the other");
  await rig.apply(sample("nginx:1.28"));
  await follow();
  console.log("\nDone: the same pods, restarted with the new image.");
  if (!once) await stay();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  code = 1;
} finally {
  await rig.stop();
}
process.exit(code);

function sample(image: string) {
  return {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 1 } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } },
    },
  };
}

/** Prints the pods whenever something about them changed, until the whole CloneSet is at its newest revision. */
async function follow(): Promise<void> {
  let shown = "";
  await waitFor(
    "the rollout to end",
    async () => {
      const cloneSet = await rig.admin.get<{ metadata: { name: string; generation: number }; status?: Status }>(path);
      const pods = await rig.admin.list<PodRow>("/api/v1/namespaces/default/pods?labelSelector=app%3Dweb");
      const status = cloneSet?.status;
      const settled = status !== undefined && status.observedGeneration === cloneSet?.metadata.generation;
      const done = settled ? Math.min(status.updatedAvailableReplicas ?? 0, status.updatedReplicas) : 0;
      const text = describePods(pods);
      if (text !== shown) console.log(`\n${text}\n${progressBar(done, replicas)}`);
      shown = text;
      return settled && done === replicas && status.replicas === replicas;
    },
    { timeoutMs: rolloutTimeoutMs, intervalMs: 200 },
  );
}

async function stay(): Promise<void> {
  console.log(`
Try next (Ctrl-C ends everything):

  export KUBECONFIG=${rig.kubeconfigPath}
  kubectl get clonesets,pods
  kubectl patch cloneset web --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":3}}}}'
  ${process.execPath} src/main.ts explain cloneset/web
`);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}
