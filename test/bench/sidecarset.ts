/** What injection costs: pods that five SidecarSets go into, alone and among hundreds that do not match. */
import { waitFor } from "../rig/index.ts";
import { atRate, closedPerSecond, type Hook, hookOf, type Loading, manyAtOnce, measureLoad, ratePerSecond } from "./admission.ts";
import type { Bench } from "./bench.ts";
import { podReview } from "./reviews.ts";
import type { Scenario, Sizes } from "./scenarios.ts";

const matching = 5;
const many = 500;
const setsPath = "/apis/apps.kruise.io/v1beta1/sidecarsets";

export const sidecarSetScenarios: readonly Scenario[] = [
  { name: "admit-sidecars-open", run: (bench, sizes) => open(bench, "admit-sidecars-open", matching, sizes) },
  { name: "admit-sidecars-closed", run: (bench, sizes) => closed(bench, "admit-sidecars-closed", matching, sizes) },
  { name: "admit-sidecars-open-500", run: (bench, sizes) => open(bench, "admit-sidecars-open-500", many, sizes) },
  { name: "admit-sidecars-closed-500", run: (bench, sizes) => closed(bench, "admit-sidecars-closed-500", many, sizes) },
];

/** The first five want the reviewed pod; of the others each wants an app or a namespace of its own. */
function sidecarSet(index: number) {
  const isMatching = index < matching;
  const elsewhere = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": `team-${index}` } } };
  return {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "SidecarSet",
    metadata: { name: `bench-${index}` },
    spec: {
      selector: { matchLabels: { app: isMatching || index % 2 === 0 ? "web" : `app-${index}` } },
      ...(isMatching || index % 2 === 1 ? {} : elsewhere),
      containers: [
        {
          name: `sidecar-${index}`,
          image: `registry.example/sidecar-${index}:1.0`,
          env: [
            { name: "LEVEL", value: "info" },
            { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          ],
          resources: { limits: { cpu: "100m", memory: "64Mi" }, requests: { cpu: "10m", memory: "32Mi" } },
          volumeMounts: [{ name: `data-${index}`, mountPath: "/data" }],
        },
      ],
      volumes: [{ name: `data-${index}`, emptyDir: {} }],
    },
  };
}

/** So many SidecarSets, all observed by the manager. */
async function stock({ rig }: Bench, count: number): Promise<void> {
  interface Observed {
    readonly metadata: { readonly name: string; readonly generation: number };
    readonly status?: { readonly observedGeneration?: number };
  }
  const there = new Set((await rig.admin.list<Observed>(setsPath)).map(({ metadata }) => metadata.name));
  const wanted = Array.from({ length: count }, (_, index) => sidecarSet(index)).filter(({ metadata }) => !there.has(metadata.name));
  for (const set of wanted) await rig.admin.create(setsPath, set);
  await waitFor(
    `${count} SidecarSets to be observed`,
    async () => {
      const sets = await rig.admin.list<Observed>(setsPath);
      return sets.length >= count && sets.every(({ metadata, status }) => status?.observedGeneration === metadata.generation);
    },
    { timeoutMs: 120_000, intervalMs: 500 },
  );
}

/** @throws Error when the pod does not get its five sidecars */
async function patchBytes({ endpoint, path }: Hook): Promise<number> {
  const url = `https://${endpoint.hostname}:${endpoint.port}${path}`;
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: podReview, tls: { ca: endpoint.caPem } });
  const { response } = (await answer.json()) as { response: { patch?: string } };
  const patch = Buffer.from(response.patch ?? "", "base64").toString();
  const injected = patch.match(/"name":"sidecar-\d+"/g)?.length ?? 0;
  if (injected !== matching) throw new Error(`${injected} sidecars injected instead of ${matching}: ${patch}`);
  return Buffer.byteLength(patch);
}

async function prepared(bench: Bench, count: number): Promise<Pick<Loading, "endpoint" | "questions" | "patchBytes">> {
  await bench.startManager();
  await stock(bench, count);
  const hook = await hookOf(bench, "mutating", "pods");
  const { endpoint, path } = hook;
  return { endpoint, questions: [{ path, review: podReview }], patchBytes: await patchBytes(hook) };
}

async function open(bench: Bench, name: string, sets: number, { admissionSeconds }: Sizes): Promise<void> {
  const count = ratePerSecond * admissionSeconds;
  await measureLoad(bench, name, { ...(await prepared(bench, sets)), asking: atRate, count });
}

async function closed(bench: Bench, name: string, sets: number, { admissionSeconds }: Sizes): Promise<void> {
  const count = closedPerSecond * admissionSeconds;
  await measureLoad(bench, name, { ...(await prepared(bench, sets)), asking: manyAtOnce, count });
}
