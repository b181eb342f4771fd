/** What it costs to answer the API server's questions, asked straight at the manager's webhook port. */
import { join } from "node:path";
import type { Bench } from "./bench.ts";
import { askBeside, type BesideFigures, type Side, startBare } from "./beside.ts";
import { cloneSetReview, podReview } from "./reviews.ts";
import type { Scenario, Sizes } from "./scenarios.ts";
import { type Asked, askAtRate, askInTurn, type Endpoint, wireOf } from "./webhook-load.ts";

export const ratePerSecond = 200;
const connections = 16;
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

export interface Question {
  readonly path: string;
  readonly review: string;
}

/** How a server is asked so many of these questions. */
export type Asking = (endpoint: Endpoint, wires: readonly string[], count: number) => Promise<Asked>;

export const atRate: Asking = (endpoint, wires, count) => askAtRate(endpoint, wires[0] ?? "", ratePerSecond, count / ratePerSecond);
export const manyAtOnce: Asking = (endpoint, wires, count) => askInTurn(endpoint, wires, connections, count);
const oneByOne: Asking = (endpoint, wires, count) => askInTurn(endpoint, wires, 1, count);

export interface Loading {
  readonly endpoint: Endpoint;
  readonly questions: readonly Question[];
  readonly asking: Asking;
  readonly count: number;
  /** Of the patch in each answer; 0: there is none. */
  readonly patchBytes?: number;
}

/** The manager's answers, beside those of a bare webhook with patches as large. */
export async function measureLoad(bench: Bench, name: string, loading: Loading): Promise<void> {
  const { endpoint, questions, asking, count, patchBytes = 0 } = loading;
  await bench.startManager();
  const bare = await startBare(patchBytes, join(bench.rig.stateDir, "logs", `bare-${name}.log`));
  const sideOf = (pid: number, at: Endpoint): Side => {
    const wires = questions.map(({ path, review }) => wireOf(at, path, review));
    return { pid, ask: (requests) => asking(at, wires, requests) };
  };
  try {
    const own = sideOf(bench.manager.process.pid, endpoint);
    const yardstick = sideOf(bare.process.pid, bare.endpoint);
    for (const side of [own, yardstick]) await side.ask(Math.max(1, Math.round(count * warmUpShare)));
    let answered: BesideFigures | undefined;
    const more = () => ({ ...answered, ...(patchBytes === 0 ? {} : { patchBytes }) });
    await bench.measure(name, { pods: count, more }, async () => {
      answered = await askBeside(own, yardstick, count);
    });
  } finally {
    await bare.process.stop();
  }
}

async function admitPodsOpen(bench: Bench, { admissionSeconds }: Sizes): Promise<void> {
  await measureLoad(bench, "admit-pods-open", { ...(await podQuestion(bench)), asking: atRate, count: ratePerSecond * admissionSeconds });
}

async function admitPodsClosed(bench: Bench, { admissionSeconds }: Sizes): Promise<void> {
  const count = closedPerSecond * admissionSeconds;
  await measureLoad(bench, "admit-pods-closed", { ...(await podQuestion(bench)), asking: manyAtOnce, count });
}

async function podQuestion(bench: Bench): Promise<Pick<Loading, "endpoint" | "questions">> {
  await bench.startManager();
  const { endpoint, path } = await hookOf(bench, "mutating", "pods");
  return { endpoint, questions: [{ path, review: podReview }] };
}

async function admitCloneSets(bench: Bench, { admissionSeconds }: Sizes): Promise<void> {
  await bench.startManager();
  const [mutating, validating] = [await hookOf(bench, "mutating", "clonesets"), await hookOf(bench, "validating", "clonesets")];
  const questions = [mutating, validating].map(({ path }) => ({ path, review: cloneSetReview() }));
  const count = cloneSetsPerSecond * admissionSeconds;
  await measureLoad(bench, "admit-clonesets", { endpoint: mutating.endpoint, questions, asking: oneByOne, count });
}
