/**
 * One manager process: the real client, watch cache, engine, controllers and reviews, over the simulated network. What a process does
 * around these (flags, ports, certificates, leases) is left out: when it starts, leads and dies is the scenario's business.
 */
import { converterFor, convertReview } from "../../src/admission/convert.ts";
import { decodeReview, encodeVerdict } from "../../src/admission/review.ts";
import { type AdmissionContext, deny, type Verdict, type Webhook } from "../../src/admission/webhook.ts";
import type { Settings } from "../../src/api/settings.ts";
import type { Controller } from "../../src/engine/controller.ts";
import { cachePort } from "../../src/engine/kube-ports.ts";
import type { CachePort } from "../../src/engine/ports.ts";
import { Runner, type RunnerPorts } from "../../src/engine/runner.ts";
import type { FakeEnv } from "../../src/env/fake.ts";
import type { Feature } from "../../src/features/feature.ts";
import { KubeClient } from "../../src/kube/client.ts";
import { resourceName } from "../../src/kube/kind.ts";
import { anonymousCredentials, createKube, type Kube } from "../../src/kube/kube.ts";
import { Caches } from "../../src/manager/caches.ts";
import { type Record as LocalRecord, openRecord } from "../../src/record/index.ts";
import type { Sandbox } from "../../src/sandbox/index.ts";
import { webhooksOf } from "./cluster.ts";
import type { Network, Peer } from "./faults.ts";
import type { Mutant } from "./mutants.ts";
import { ProcessEnv } from "./process-env.ts";

export interface ManagerParts {
  readonly world: FakeEnv;
  readonly skewMs: () => number;
  readonly sandbox: Sandbox;
  readonly network: Network;
  readonly seed: string;
  readonly features: readonly Feature[];
  readonly settings: Settings;
  readonly mutant?: Mutant;
  /** Of the record; absent: it remembers nothing. */
  readonly recordPath?: string;
  /** Whatever it logs as an error. */
  readonly complain: (manager: Manager, message: string, fields: object) => void;
}

/** What a round of a controller saw, while what it decided is carried out. */
interface Round {
  readonly controller: string;
  /** "namespace/name" */
  readonly key: string;
  readonly observed: unknown;
}

const minutesMs = 60_000;

export class Manager implements Peer {
  readonly env: ProcessEnv;
  readonly startedMs: number;
  readonly #rounds = new Set<Round>();
  readonly runner: Runner;
  readonly #kube: Kube;
  readonly #webhooks: ReadonlyMap<string, Webhook>;
  readonly #context: AdmissionContext;
  readonly #convert: ReturnType<typeof converterFor>;
  readonly #seen = new Map<string, unknown>();
  #record: LocalRecord | undefined;
  #filling: Promise<unknown> | undefined;

  constructor(
    readonly name: string,
    private readonly parts: ManagerParts,
  ) {
    const { world, network, features, settings, mutant } = parts;
    this.env = new ProcessEnv(world, parts.skewMs, parts.seed, name, (message, fields) => parts.complain(this, message, fields));
    this.startedMs = world.monotonicMs();
    const { env } = this;
    this.#kube = createKube(env, anonymousCredentials(), { userAgent: "kruise-manager", fetch: network.fetchOf(this) });
    const { read } = this.#kube;
    const client = mutant?.forgetsWrites ? new KubeClient(this.#kube.transport) : this.#kube.client;
    const caches = mutant?.forgetsWrites ? { ...cachePort(this.#kube.cache), put: () => {} } : this.#caches();
    const reads = features.flatMap((feature) => feature.reads ?? []).filter((kind) => this.#serves(resourceName(kind)));
    for (const kind of reads) caches.ensure(kind);
    this.#filling = Promise.all(reads.map((kind) => caches.synced(kind))).then(() => {
      this.#filling = undefined;
    });
    this.#webhooks = new Map(webhooksOf(features).map((webhook) => [webhook.path, webhook]));
    this.#convert = converterFor(features.flatMap((feature) => feature.kinds ?? []));
    this.#context = {
      read,
      write: client.as("kruise-manager/webhook"),
      settings,
      log: env.log,
      nowMs: () => env.nowMs(),
      random: () => env.random(),
      after: (delayMs, run) => env.after(delayMs, run),
      emit: () => {},
      refused: () => {},
    };
    const plain: RunnerPorts = {
      read,
      write: client,
      writerOf: (controller) => client.as(`kruise-manager/${controller.name}`),
      cache: caches,
      events: { emit: () => {} },
      ...(this.#record === undefined ? {} : { history: this.#record.history }),
      served: { serves: (kind) => this.#serves(resourceName(kind)), changed: () => () => {} },
    };
    const ports = mutant?.ports?.(plain) ?? plain;
    this.runner = new Runner(env, ports, {
      settings,
      cacheSyncTimeoutMs: 30 * minutesMs,
      executorOf: (controller, kube) => {
        const executor = mutant?.executor?.(kube) ?? kube;
        return {
          run: async (actions, context) => {
            const key = context.lane.slice(controller.name.length + 1);
            const round: Round = { controller: controller.name, key, observed: this.#seen.get(context.lane) };
            this.#rounds.add(round);
            const outcomes = await executor.run(actions, context);
            this.#rounds.delete(round);
            return outcomes;
          },
        };
      },
    });
  }

  /** Controllers begin once their caches are filled. */
  async start(): Promise<void> {
    const controllers = this.parts.features.flatMap((feature) => feature.controllers ?? []);
    const { mutant } = this.parts;
    await this.runner.start(controllers.map((controller) => this.#followed(mutant?.controller?.(controller) ?? controller)));
  }

  kill(): void {
    this.env.kill();
    this.parts.network.cut(this);
  }

  /** Only when the run is over: nothing has been asked of its file since it died. */
  closeRecord(): void {
    void this.#record?.close();
  }

  /** What the round of a key saw whose actions are under way; else what was seen last. */
  view(controller: string, key: string): unknown {
    for (const round of this.#rounds) if (round.controller === controller && round.key === key) return round.observed;
    return this.#seen.get(`${controller}|${key}`);
  }

  /** An answer of the webhook port. Never, when the process dies meanwhile. */
  async review(path: string, body: string): Promise<string> {
    if (path === "/convert") {
      const answer = convertReview(body, this.#convert);
      if (!answer.ok) throw new Error(answer.message);
      return answer.text;
    }
    const decoded = decodeReview(body);
    if (!decoded.ok) throw new Error(decoded.message);
    if (!this.parts.mutant?.answersEarly) await this.#filling;
    const webhook = this.#webhooks.get(path);
    if (webhook === undefined) throw new Error(`nobody reviews ${path}`);
    let verdict: Verdict;
    try {
      verdict = await webhook.review(decoded.request, this.#context);
    } catch (error) {
      this.parts.complain(this, "a review threw", { path, error });
      verdict = deny(500, String(error));
    }
    return encodeVerdict(decoded.apiVersion, decoded.request.uid, verdict, decoded.request.object);
  }

  /** Notes what each round observed. */
  #followed(controller: Controller): Controller {
    return {
      ...controller,
      observe: (context, key) => {
        const lane = `${controller.name}|${key.namespace === "" ? key.name : `${key.namespace}/${key.name}`}`;
        const note = <T>(observed: T): T => {
          this.#seen.set(lane, observed);
          return observed;
        };
        const observed = controller.observe(context, key);
        return observed instanceof Promise ? observed.then(note) : note(observed);
      },
    };
  }

  #caches(): CachePort {
    const { cache, client } = this.#kube;
    const { recordPath } = this.parts;
    if (recordPath === undefined) return cachePort(cache);
    this.#record = openRecord(this.env, recordPath);
    return new Caches(this.env, cache, this.#record, client, "sim");
  }

  #serves(resource: string): boolean {
    return this.parts.sandbox.api.registry.get(resource) !== undefined;
  }
}
