/** What it costs to answer the API server's questions, asked straight at the manager's webhook port. */
import type { Bench } from "./bench.ts";
import { cloneSetReview, podReview } from "./reviews.ts";
import type { Scenario, Sizes } from "./scenarios.ts";
import { askAtRate, askInTurn, type Endpoint, type Load, wireOf } from "./webhook-load.ts";

export const ratePerSecond = 200;
export const connections = 16;
/** Requests of the closed loops, per second of the open one: as many as take about as long. */
export const closedPerSecond = 3_000;
const cloneSetsPerSecond = 200;
const warmUpShare = 0.1;

export const admissionScenarios: readonly Scenario[] = [
  { name: "admit-pods-open", run: admitPodsOpen },
  { name: "admit-pods-closed", run: admitPodsClosed },
  { name: "admit-clonesets", run: admitCloneSets },
];

interface Configuration {
  readonly webhooks?: readonly {
    readonly clientConfig: { readonly url?: string; readonly service?: { readonly path?: string }; readonly caBundle?: string };
    readonly rules?: readonly { readonly resources: readonly string[]; readonly operations: readonly string[] }[];
  }[];
}

export interface Hook {
  readonly endpoint: Endpoint;
  readonly path: string;
}

/** The webhook of a resource's creation, as the API server would find it. */
export async function hookOf(bench: Bench, kind: "mutating" | "validating", resource: string): Promise<Hook> {
  const path = `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations`;
  const hooks = (await bench.rig.admin.list<Configuration>(path)).flatMap(({ webhooks }) => webhooks ?? []);
  const hook = hooks.find(({ rules }) => rules?.some((rule) => rule.resources.includes(resource) && rule.operations.includes("CREATE")));
  if (hook === undefined) throw new Error(`no ${kind} webhook for ${resource}`);
  const { url, service, caBundle } = hook.clientConfig;
  const hostname = "127.0.0.1";
  return {
    endpoint: { hostname, port: bench.manager.webhookPort, caPem: Buffer.from(caBundle ?? "", "base64").toString() },
    path: url === undefined ? (service?.path ?? "/") : new URL(url).pathname,
  };
}

/** @param figures further ones of this scenario */
export async function measureLoad(
  bench: Bench,
  name: string,
  count: number,
  ask: (count: number) => Promise<Load>,
  figures: Readonly<Record<string, number>> = {},
): Promise<void> {
  await bench.startManager();
  await ask(Math.max(1, Math.round(count * warmUpShare)));
  let answered: Load | undefined;
  const more = () => ({ ...answered, ...figures });
  await bench.measure(name, { pods: count, more }, async () => {
    answered = await ask(count);
  });
}

async function admitPodsOpen(bench: Bench, { admissionSeconds }: Sizes): Promise<void> {
  await bench.startManager();
  const { endpoint, path } = await hookOf(bench, "mutating", "pods");
  const wire = wireOf(endpoint, path, podReview);
  const ask = (count: number) => askAtRate(endpoint, wire, ratePerSecond, count / ratePerSecond);
  await measureLoad(bench, "admit-pods-open", ratePerSecond * admissionSeconds, ask);
}

async function admitPodsClosed(bench: Bench, { admissionSeconds }: Sizes): Promise<void> {
  await bench.startManager();
  const { endpoint, path } = await hookOf(bench, "mutating", "pods");
  const wire = wireOf(endpoint, path, podReview);
  const ask = (count: number) => askInTurn(endpoint, [wire], connections, count);
  await measureLoad(bench, "admit-pods-closed", closedPerSecond * admissionSeconds, ask);
}

async function admitCloneSets(bench: Bench, { admissionSeconds }: Sizes): Promise<void> {
  await bench.startManager();
  const [mutating, validating] = [await hookOf(bench, "mutating", "clonesets"), await hookOf(bench, "validating", "clonesets")];
  const wires = [mutating, validating].map(({ endpoint, path }) => wireOf(endpoint, path, cloneSetReview()));
  const ask = (count: number) => askInTurn(mutating.endpoint, wires, 1, count);
  await measureLoad(bench, "admit-clonesets", cloneSetsPerSecond * admissionSeconds, ask);
}
