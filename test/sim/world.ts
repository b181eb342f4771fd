/** One run: a cluster in virtual time, managers that come and go, a user, and watchers who see every write. */
import type { Settings } from "../../src/api/settings.ts";
import { FakeEnv } from "../../src/env/fake.ts";
import type { Fetch, HttpResponse } from "../../src/env/network.ts";
import type { Feature } from "../../src/features/feature.ts";
import { type Fields, fieldsOf } from "../../src/kube/json.ts";
import type { KubeObject } from "../../src/kube/types.ts";
import type { Sandbox, Write } from "../../src/sandbox/index.ts";
import { cluster, webhookUrl } from "./cluster.ts";
import { Dice } from "./dice.ts";
import { Network, type Shares } from "./faults.ts";
import { Manager } from "./manager.ts";
import type { Mutant } from "./mutants.ts";
import { Records } from "./records.ts";
import { Trace } from "./trace.ts";

export interface WorldOptions {
  readonly seed: string;
  readonly features: readonly Feature[];
  readonly settings: Settings;
  readonly shares: Shares;
  readonly mutant?: Mutant;
  /** Managers keep a record. */
  readonly records?: true;
}

export interface Violation {
  readonly invariant: string;
  readonly message: string;
  /** Of the trace, when it was seen. */
  readonly at: number;
}

/** Looks at every write from outside. */
export interface Watcher {
  readonly name: string;
  /** @returns what is wrong, or nothing */
  wrote(write: Write, by: Author): string | undefined;
}

/** Who wrote: the manager process and its part, or somebody else. */
export interface Author {
  readonly manager: Manager | undefined;
  /** "cloneset-controller", "webhook", "" */
  readonly part: string;
}

const patchTypes = { merge: "application/merge-patch+json", json: "application/json-patch+json" } as const;

export interface Answer {
  readonly status: number;
  readonly body: Fields;
}

export class World {
  readonly env: FakeEnv;
  readonly trace: Trace;
  readonly violations: Violation[] = [];
  readonly watchers: Watcher[] = [];
  readonly managers: Manager[] = [];
  /** Writes of managers, and of everybody. */
  managerWrites = 0;
  writes = 0;
  /** Instance ids whose claims two processes have spoiled between them. */
  readonly excused = new Set<string>();
  /** How far the clocks of managers are off. */
  skewMs = 0;
  /** Requests of the user that are under way. */
  asking = 0;
  /** Called after each write of a manager, with how many there were. */
  onManagerWrite: (count: number) => void = () => {};
  sandbox!: Sandbox;
  network!: Network;
  #started = 0;
  readonly #records: Records;

  private constructor(readonly options: WorldOptions) {
    this.env = new FakeEnv({ seed: options.seed, startMs: Date.UTC(2025, 0, 1) });
    this.trace = new Trace(this.env);
    this.#records = new Records(this.dice("records"));
  }

  static async create(options: WorldOptions): Promise<World> {
    const world = new World(options);
    const sandbox = await cluster(world.env, options.features, options.settings, world.#webhooks);
    world.sandbox = sandbox;
    world.network = new Network(world.env, sandbox, world.trace, options.seed, options.shares);
    sandbox.onWrite((write) => world.#wrote(write));
    await sandbox.start();
    await world.env.advance(10);
    return world;
  }

  dice(name: string): Dice {
    return new Dice(this.options.seed, name);
  }

  /** Those alive, oldest first. */
  get alive(): readonly Manager[] {
    return this.managers.filter(({ env }) => env.alive);
  }
  get leader(): Manager | undefined {
    return this.alive.at(-1);
  }

  /** A manager process, at work as soon as its caches are filled. */
  startManager(): Manager {
    this.#started += 1;
    const { seed, features, settings, mutant, records } = this.options;
    const recordPath = records ? this.#records.next() : undefined;
    const manager = new Manager(`m${this.#started}`, {
      world: this.env,
      skewMs: () => this.skewMs,
      sandbox: this.sandbox,
      network: this.network,
      seed,
      features: mutant?.features?.(features) ?? features,
      settings,
      ...(mutant === undefined ? {} : { mutant }),
      ...(recordPath === undefined ? {} : { recordPath }),
      complain: (of, message, fields) => {
        if (of.env.alive) this.violate("no errors", `${of.name}: ${message}: ${describe(fields)}`);
      },
    });
    this.managers.push(manager);
    this.trace.note(manager.name, "start", "", "");
    manager.start().catch((error) => this.violate("no errors", `${manager.name} could not start: ${String(error)}`));
    return manager;
  }

  kill(manager: Manager): void {
    if (!manager.env.alive) return;
    this.trace.note(manager.name, "killed", "", "");
    manager.kill();
  }

  violate(invariant: string, message: string): void {
    this.violations.push({ invariant, message, at: this.trace.length });
    this.trace.note("WATCHER", "BROKEN", invariant, message);
  }

  /** What a user does with kubectl. The answer may take virtual time, since webhooks have their say. */
  async ask(method: string, path: string, body?: unknown, type: keyof typeof patchTypes = "merge", userAgent = "user"): Promise<Answer> {
    this.asking += 1;
    const contentType = method === "PATCH" ? patchTypes[type] : "application/json";
    const headers = { "content-type": contentType, accept: "application/json", "user-agent": userAgent };
    try {
      const answer = await this.sandbox.handle({ method, path, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
      const text = typeof answer.body === "string" ? answer.body : "";
      const fields = text.startsWith("{") ? fieldsOf(JSON.parse(text)) : {};
      if (answer.status >= 400) this.trace.note(userAgent, `${method} ${answer.status}`, path, String(fields["message"] ?? ""));
      return { status: answer.status, body: fields };
    } finally {
      this.asking -= 1;
    }
  }

  list<T extends KubeObject>(resource: string, namespace?: string): readonly T[] {
    return this.sandbox.store.list(resource, namespace) as unknown as readonly T[];
  }
  get<T extends KubeObject>(resource: string, namespace: string, name: string): T | undefined {
    return this.sandbox.store.get(resource, { namespace, name }) as T | undefined;
  }

  /** Lets time pass; ends early when something is broken. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.env.monotonicMs() + ms;
    await this.env.runUntil(() => this.violations.length > 0, ms);
    if (this.violations.length === 0 && this.env.monotonicMs() < untilMs) await this.env.advance(untilMs - this.env.monotonicMs());
  }

  /** Lets time pass until the user's requests are answered. */
  async asked(work: Promise<unknown>): Promise<void> {
    let done = false;
    void work.finally(() => {
      done = true;
    });
    await this.until(() => done, 600_000);
    if (!done && this.violations.length === 0) throw new Error("a request of the user was never answered");
    if (done) await work;
  }

  /** Nothing of it goes on. */
  end(): void {
    for (const manager of this.managers) manager.kill();
    for (const manager of this.managers) manager.closeRecord();
    this.#records.remove();
    this.env.stop();
  }

  /** Lets time pass until `holds`. @returns false when that was not in time, or something is broken */
  async until(holds: () => boolean, withinMs: number): Promise<boolean> {
    await this.env.runUntil(() => this.violations.length > 0 || holds(), withinMs);
    return this.violations.length === 0 && holds();
  }

  #wrote(write: Write): void {
    const [agent = "", process] = write.actor.userAgent.split("#");
    const manager = process === undefined ? undefined : this.managers.find(({ name }) => name === process);
    const author: Author = { manager, part: agent.split("/")[1] ?? "" };
    this.writes += 1;
    this.trace.wrote(write);
    for (const watcher of this.watchers) {
      const wrong = watcher.wrote(write, author);
      if (wrong !== undefined) this.violate(watcher.name, wrong);
    }
    if (manager === undefined) return;
    this.managerWrites += 1;
    this.onManagerWrite(this.managerWrites);
  }

  /** The Service of the webhooks: whoever is alive answers. */
  readonly #webhooks: Fetch = async (url, request) => {
    const { alive } = this;
    const manager = alive[this.#nextReplica++ % Math.max(1, alive.length)];
    if (manager === undefined) throw Object.assign(new Error("connect: connection refused"), { code: "ECONNREFUSED" });
    const text = await untilAborted(request.signal, manager.review(url.slice(webhookUrl.length).replace(/\?.*/, ""), request.body ?? ""));
    const answer: HttpResponse = { status: 200, headers: { get: () => "application/json" }, body: null, text: async () => text };
    return answer;
  };
  #nextReplica = 0;
}

/** The API server gives a webhook only so long: one whose process died never answers. */
function untilAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(new Error("context deadline exceeded")), { once: true });
    work.then(resolve, reject);
  });
}

function describe(fields: object): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value instanceof Error ? (value.stack ?? value.message) : JSON.stringify(value)}`)
    .join(" ");
}
