/**
 * SIGKILL at every step of what a node agent and the manager do together. A scenario is run once to see its steps, which are the writes to
 * the API server and the calls to the container runtime; then again for each of them, with the process killed right before it, right after
 * it (nobody has heard the answer), or, where it lasts, in the middle; and started again.
 */

import type { GateName } from "../../src/api/gates.ts";
import { DaemonRecord } from "../../src/daemon/record.ts";
import { FakeEnv } from "../../src/env/fake.ts";
import type { Fetch, HttpResponse } from "../../src/env/network.ts";
import type { Feature } from "../../src/features/feature.ts";
import type { Peer } from "./faults.ts";
import { Manager } from "./manager.ts";
import { NodeAgent } from "./node-agent.ts";
import { NodeRuntime } from "./node-runtime.ts";
import { settingsOf } from "./simulate.ts";
import { World } from "./world.ts";

export type Who = "agent" | "manager";
export type When = "before" | "during" | "after";

export interface Blow {
  readonly who: Who;
  readonly when: When;
  /** The first is 1. */
  readonly at: number;
}

export interface KillScenario {
  readonly name: string;
  readonly features: readonly Feature[];
  readonly gates?: Readonly<Partial<Record<GateName, boolean>>>;
  /** ms from the death of a process to its next start; default 300. */
  readonly downMs?: number;
  setUp(world: World, runtime: NodeRuntime): Promise<unknown>;
  /** What the user asks for: steps count from here on. */
  act(world: World): Promise<unknown>;
  /** Whether it has come to its end, good or bad. */
  ended(world: World): boolean;
  /** What is not as it should be in the end. @param unheard steps that had begun when the process died, and whose answers it did not hear */
  problems(world: World, runtime: NodeRuntime, unheard: ReadonlySet<string>): readonly string[];
}

export interface KillCourse {
  readonly problems: readonly string[];
  /** What each process did, by name, in order. */
  readonly steps: Readonly<Record<Who, readonly string[]>>;
  /** ms from the act to the end. */
  readonly tookMs: number;
  readonly trace: readonly string[];
}

export const nodeName = "node-0";
const never = new Promise<never>(() => {});
const downMs = 300;
const middleMs = 150;
const lasting: ReadonlySet<string> = new Set(["stopContainer", "execSync", "pullImage"]);
const asking: ReadonlySet<string> = new Set(["listContainers", "containerStatus", "imageStatus"]);
const unasked: ReadonlySet<string> = new Set(["version", "imageFsInfo", "listImages", "containerInfo"]);

/** Which blows a step can be given. Right after a question that changes nothing is right before the next step. */
export function whens(step: string): readonly When[] {
  if (asking.has(step)) return ["before"];
  return lasting.has(step) ? ["before", "during", "after"] : ["before", "after"];
}

class Steps {
  readonly of: Record<Who, string[]> = { agent: [], manager: [] };
  isCounting = false;
  /** Of the process that was killed. */
  readonly unheard = new Set<string>();
  readonly #underWay: { readonly who: Who; readonly step: string }[] = [];

  constructor(
    private readonly world: World,
    private readonly blow: Blow | undefined,
    private readonly strike: (who: Who) => void,
  ) {}

  async through<T>(who: Who, step: string, isAlive: () => boolean, effect: () => Promise<T>): Promise<T> {
    if (!isAlive()) return never;
    if (!this.isCounting) return this.#answered(isAlive, effect);
    const at = this.of[who].push(step);
    const hits = (when: When) => this.blow?.who === who && this.blow.when === when && this.blow.at === at;
    if (hits("before")) return this.#kill(who);
    if (hits("during")) this.world.env.after(middleMs, () => void this.#kill(who));
    const own = { who, step };
    this.#underWay.push(own);
    const value = await this.#answered(isAlive, effect);
    if (hits("after")) return this.#kill(who);
    this.#underWay.splice(this.#underWay.indexOf(own), 1);
    return value;
  }

  #kill(of: Who): Promise<never> {
    for (const { who, step } of this.#underWay) if (who === of) this.unheard.add(step);
    this.strike(of);
    return never;
  }

  async #answered<T>(isAlive: () => boolean, effect: () => Promise<T>): Promise<T> {
    try {
      const value = await effect();
      return isAlive() ? value : never;
    } catch (error) {
      if (!isAlive()) return never;
      throw error;
    }
  }
}

/** @param forgetful the agent's record is lost with it */
export async function killCourse(scenario: KillScenario, blow?: Blow, forgetful = false): Promise<KillCourse> {
  const { features, gates } = scenario;
  const world = await World.create({
    seed: scenario.name,
    features,
    settings: settingsOf({ name: scenario.name, features, ...(gates === undefined ? {} : { gates }), scene: () => never as never }),
    shares: {},
  });
  const runtime = new NodeRuntime(world, nodeName);
  let record = new DaemonRecord(new FakeEnv());
  let agents = 0;
  let agent: NodeAgent | undefined;
  const startAgent = () => {
    agents += 1;
    if (forgetful) record = new DaemonRecord(world.env);
    agent = new NodeAgent(world, `agent-${agents}`, (self) => ({ nodeName, runtime: stepped(self), record }));
    void agent.start();
  };
  const strike = (who: Who) => {
    if (who === "agent") {
      agent?.kill();
      world.env.after(scenario.downMs ?? downMs, startAgent);
    } else {
      if (world.leader !== undefined) world.kill(world.leader);
      world.env.after(scenario.downMs ?? downMs, () => void world.startManager());
    }
  };
  const steps = new Steps(world, blow, strike);
  const stepped = (self: NodeAgent): ReturnType<NodeRuntime["client"]> => {
    const isAlive = () => self.env.alive;
    const client = runtime.client(isAlive);
    const calls = Object.entries(client).map(([call, carryOut]) => [
      call,
      (...args: readonly unknown[]) => {
        const effect = () => (carryOut as (...given: readonly unknown[]) => Promise<unknown>)(...args);
        return unasked.has(call) ? effect() : steps.through("agent", call, isAlive, effect);
      },
    ]);
    return Object.fromEntries(calls) as ReturnType<NodeRuntime["client"]>;
  };
  const fetchOf = world.network.fetchOf.bind(world.network);
  world.network.fetchOf = (peer: Peer): Fetch => {
    const fetch = fetchOf(peer);
    const who: Who = peer instanceof Manager ? "manager" : "agent";
    return (url, request): Promise<HttpResponse> =>
      request.method === "GET"
        ? fetch(url, request)
        : steps.through(
            who,
            `${request.method} ${stepName(url)}`,
            () => peer.env.alive,
            () => fetch(url, request),
          );
  };
  world.startManager();
  startAgent();
  await world.pass(1_000);
  await world.asked(scenario.setUp(world, runtime));
  await world.pass(10_000);
  const startMs = world.env.monotonicMs();
  steps.isCounting = true;
  await world.asked(scenario.act(world));
  const hasEnded = await world.until(() => scenario.ended(world), 400_000);
  const tookMs = world.env.monotonicMs() - startMs;
  // What comes after the end: secrets that are given back, readiness, events; and nothing of it begins anew.
  await world.pass(15_000);
  const problems = world.violations.map(({ invariant, message }) => `${invariant}: ${message}`);
  if (!hasEnded) problems.push("it has not come to an end");
  problems.push(...scenario.problems(world, runtime, steps.unheard));
  const course = { problems, steps: steps.of, tookMs, trace: problems.length > 0 ? world.trace.lines() : [] };
  agent?.kill();
  world.end();
  return course;
}

/** "containerrecreaterequests/status" of its URL. */
function stepName(url: string): string {
  const parts = url
    .replace(/^[a-z]+:\/\/[^/]+/, "")
    .replace(/\?.*/, "")
    .split("/");
  const plural = parts.findLastIndex((part) => /^(pods|events|secrets|nodeimages|imagepulljobs|containerrecreaterequests)$/.test(part));
  return [parts[plural], ...parts.slice(plural + 2)].join("/");
}
