/**
 * Trying controllers out: `planOf` shows one plan, `house` runs the real engine over a `World` in virtual time.
 *
 * @example
 * const house = await startHouse([cloneSetController]);
 * house.world.add(cloneSets, { metadata: { namespace: "shop", name: "web" }, spec });
 * await house.rest();
 * expect(house.world.all(pods, "shop")).toHaveLength(3);
 */
import type { Settings } from "../../api/settings.ts";
import { FakeEnv } from "../../env/fake.ts";
import type { Key } from "../../kube/kind.ts";
import type { Context, Controller } from "../controller.ts";
import { MemoryMetrics } from "../metrics.ts";
import type { Plan } from "../plan.ts";
import type { HistoryPort } from "../ports.ts";
import { Runner, type RunnerOptions } from "../runner.ts";
import { testSettings } from "./settings.ts";
import { World, type WorldOptions } from "./world.ts";

export { testSettings } from "./settings.ts";
export { type Call, type Fault, World, type WorldOptions } from "./world.ts";

/** The context in which a controller observes a world. */
export function contextOf(env: FakeEnv, world: World, settings: Settings = testSettings()): Context {
  return { read: world, settings, random: () => env.random(), nowMs: () => env.nowMs() };
}

/** One plan of `key` in the world as its cache shows it; undefined when there is nothing to plan for. Nothing is carried out. */
export async function planOf<S = unknown>(
  controller: Controller,
  world: World,
  key: Key,
  { env = new FakeEnv(), settings = testSettings() }: { readonly env?: FakeEnv; readonly settings?: Settings } = {},
): Promise<Plan<S> | undefined> {
  const observed = await controller.observe(contextOf(env, world, settings), key);
  return observed === undefined ? undefined : (controller.plan(observed, env.nowMs()) as Plan<S>);
}

export interface House {
  readonly env: FakeEnv;
  readonly world: World;
  readonly runner: Runner;
  readonly metrics: MemoryMetrics;
  /**
   * Lets virtual time pass until nothing is in work and `quietMs` have passed without a write; delayed adds further away stay pending.
   * Throws when that does not happen within `withinMs`.
   */
  rest(options?: { readonly withinMs?: number; readonly quietMs?: number }): Promise<void>;
  stop(): Promise<boolean>;
}

export interface HouseOptions extends Partial<RunnerOptions>, WorldOptions {
  readonly env?: FakeEnv;
  /** A world that is there already. */
  readonly world?: World;
  readonly seed?: number | string;
  readonly history?: HistoryPort;
}

/** Starts `controllers` over a world. */
export async function startHouse(controllers: readonly Controller[], options: HouseOptions = {}): Promise<House> {
  const env = options.env ?? new FakeEnv({ seed: options.seed ?? 1 });
  const world = options.world ?? new World(env, options);
  const metrics = new MemoryMetrics();
  const ports = { read: world, write: world, cache: world, events: world, served: world, history: options.history };
  const runner = new Runner(env, ports, { metrics, ...options, settings: options.settings ?? testSettings() });
  const started = runner.start(controllers);
  let isStarted = false;
  started.then(
    () => {
      isStarted = true;
    },
    () => {
      isStarted = true;
    },
  );
  await env.runUntil(() => isStarted, 600_000);
  await started;
  return { env, world, runner, metrics, rest: (limits) => rest(env, world, runner, limits), stop: () => stop(env, runner) };
}

async function rest(
  env: FakeEnv,
  world: World,
  runner: Runner,
  { withinMs = 3_600_000, quietMs = 5_000 }: { readonly withinMs?: number; readonly quietMs?: number } = {},
): Promise<void> {
  const endMs = env.monotonicMs() + withinMs;
  let writes = -1;
  while (env.monotonicMs() < endMs) {
    await env.runUntil(() => runner.quiet, Math.max(0, endMs - env.monotonicMs()));
    const now = world.writes().length;
    if (runner.quiet && now === writes) return;
    writes = now;
    await env.advance(quietMs);
  }
  throw new Error(`no rest within ${withinMs} ms; the last writes: ${JSON.stringify(world.writes().slice(-5))}`);
}

async function stop(env: FakeEnv, runner: Runner): Promise<boolean> {
  let ended: boolean | undefined;
  void runner.stop().then((result) => {
    ended = result;
  });
  await env.runUntil(() => ended !== undefined, 60_000);
  return ended ?? false;
}
