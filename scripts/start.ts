/**
 * Kruiser's main job on this machine, with no cluster: `kruise sandbox`, and in it a CloneSet whose pods get a new image in place. Shows it
 * live, then says what to try next and stays up. --once: ends when the rollout is done, with code 0.
 */
import { readFileSync } from "node:fs";
import { cloneSets } from "../src/api/cloneset.ts";
import { parseArgs } from "../src/cli/args.ts";
import { type Connected, connect } from "../src/cli/connect.ts";
import { askFlags } from "../src/cli/flags.ts";
import { explainer } from "../src/features/cloneset/explain.ts";
import { pods } from "../src/kube/kinds.ts";
import { Display } from "./lib/display.ts";
import { describePods, type PodRow, progressBar } from "./lib/rollout-view.ts";

const replicas = 5;
const rolloutMsMax = 60_000;
const startMsMax = 60_000;
const lookEveryMs = 100;
const key = { namespace: "default", name: "web" };

const once = process.argv.includes("--once");
const unknown = process.argv.slice(2).filter((arg) => arg !== "--once");
if (unknown.length > 0) {
  console.error(`unknown argument "${unknown[0]}": expected --once or nothing`);
  process.exit(2);
}

console.log("Starting a cluster in a process of its own: three simulated nodes, and Kruiser's manager with its webhooks");
const sandbox = Bun.spawn([process.execPath, "src/main.ts", "sandbox", "--speed=2"], { stdout: "pipe", stderr: "inherit" });
let asked = false;
const ended = new Promise<void>((resolve) => {
  const end = () => {
    asked = true;
    resolve();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
  void sandbox.exited.then(end);
});
let code = 0;
try {
  const kubeconfig = await kubeconfigOf(sandbox.stdout);
  const connected = await reach(kubeconfig);
  console.log(`\nA CloneSet with ${replicas} pods of nginx:1.27`);
  await apply(kubeconfig, sample("nginx:1.27"));
  await follow(connected, "nginx:1.27");
  console.log("\nA new image, nginx:1.28: in place, one pod after the other");
  await apply(kubeconfig, sample("nginx:1.28"));
  await follow(connected, "nginx:1.28");
  connected.close();
  console.log("\nDone: the same pods, restarted with the new image.");
  if (!once) {
    console.log(nextSteps(kubeconfig));
    await ended;
  }
} catch (error) {
  if (!asked) console.error(error instanceof Error ? error.message : String(error));
  code = asked ? 0 : 1;
} finally {
  sandbox.kill();
  await sandbox.exited;
}
process.exit(code);

function sample(image: string) {
  return {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: key,
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 1 } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } },
    },
  };
}

/** What `kruise sandbox` prints when it is ready. */
async function kubeconfigOf(output: typeof sandbox.stdout): Promise<string> {
  const late = setTimeout(() => sandbox.kill(), startMsMax);
  let text = "";
  for await (const chunk of output.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const found = /^export KUBECONFIG=(.+)$/m.exec(text)?.[1];
    if (found === undefined) continue;
    clearTimeout(late);
    return found;
  }
  throw new Error("the sandbox did not start");
}

async function reach(kubeconfig: string): Promise<Connected> {
  const flags = parseArgs(askFlags, [`--kubeconfig=${kubeconfig}`]);
  if (typeof flags === "string") throw new Error(flags);
  const result = await connect(flags.values);
  if (!result.ok) throw new Error(result.message);
  const problem = await result.connected.load([cloneSets, ...explainer.reads]);
  if (problem !== undefined) throw new Error(problem);
  return result.connected;
}

/** Server-side, as `kubectl apply --server-side` does. */
async function apply(kubeconfig: string, object: unknown): Promise<void> {
  const config = JSON.parse(readFileSync(kubeconfig, "utf8")) as {
    clusters: [{ cluster: { server: string; "certificate-authority-data": string } }];
    users: [{ user: { token: string } }];
  };
  const { server, "certificate-authority-data": authority } = config.clusters[0].cluster;
  const answer = await fetch(`${server}/apis/apps.kruise.io/v1beta1/namespaces/default/clonesets/web?fieldManager=start&force=true`, {
    method: "PATCH",
    headers: { "content-type": "application/apply-patch+yaml", authorization: `Bearer ${config.users[0].user.token}` },
    body: JSON.stringify(object),
    tls: { ca: Buffer.from(authority, "base64").toString("utf8") },
  });
  if (!answer.ok) throw new Error(((await answer.json()) as { message: string }).message);
}

/** Shows the pods as they change, until the whole CloneSet runs the image. */
async function follow(connected: Connected, image: string): Promise<void> {
  const display = new Display(process.stdout);
  const endMs = performance.now() + rolloutMsMax;
  for (;;) {
    const rows = connected.context.read.list(pods, key.namespace) as unknown as readonly PodRow[];
    const explanation = await explainer.explain(connected.context, key);
    const held = new Map((explanation?.held ?? []).map(({ on, text }) => [on, text]));
    const done = rows.filter((row) => row.spec?.containers[0]?.image === image && isAvailable(row)).length;
    display.show(`${describePods(rows, held)}\n${progressBar(done, replicas)}`);
    if (done === replicas && rows.length === replicas && explanation?.state === "rest") return display.end();
    if (performance.now() > endMs)
      throw new Error(`the rollout did not end within ${rolloutMsMax / 1000} s: ${explanation?.summary ?? ""}`);
    if (asked) throw new Error("interrupted");
    await Bun.sleep(lookEveryMs);
  }
}

function isAvailable(row: PodRow): boolean {
  return row.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

function nextSteps(kubeconfig: string): string {
  return `
Try next, in another terminal (Ctrl-C here ends everything):

  export KUBECONFIG=${kubeconfig}
  kubectl get clonesets,pods
  kubectl patch cloneset web --type=merge -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:1.29"}]}}}}'
  ${process.execPath} src/main.ts explain cloneset/web
`;
}
