/**
 * Not by chance: one thing at a time, at every step. A scenario is run once to see what it writes; then again for each of these writes, with
 * a crash right after it, with a view that stands still from there on, or with a watch that misses what follows.
 */
import { Dice } from "./dice.ts";
import type { Mutant } from "./mutants.ts";
import type { Scene, SceneKind } from "./scene.ts";
import { settingsOf } from "./simulate.ts";
import { World } from "./world.ts";

export interface Scenario {
  readonly name: string;
  scene(world: World): Scene;
  /** What the user does; it has to come to rest again. */
  act(world: World): Promise<unknown>;
}

/** What is done to the manager at a step. */
export type Blow =
  | { readonly kind: "crash" }
  /** Another one takes over while this one still works for a moment. */
  | { readonly kind: "takeover" }
  /** The caches of these resources show nothing new for a while. */
  | { readonly kind: "stale"; readonly resources: readonly string[] }
  /** Watches end, and when they come back the server has forgotten what happened in between. */
  | { readonly kind: "gap" };

export interface Course {
  readonly problems: readonly string[];
  readonly managerWrites: number;
  /** Of these, before the user acted. */
  readonly writesBefore: number;
  readonly trace: readonly string[];
}

const staleMs = 12_000;
const gapMs = 4_000;
const restWithinMs = 900_000;
const quietMs = 20_000;

export async function course(kind: SceneKind, scenario: Scenario, blow?: Blow, atWrite = 0, mutant?: Mutant): Promise<Course> {
  const world = await World.create({
    seed: scenario.name,
    features: kind.features,
    settings: settingsOf(kind),
    shares: {},
    ...(mutant === undefined ? {} : { mutant }),
  });
  const scene = scenario.scene(world);
  world.watchers.push(...scene.watchers);
  world.startManager();
  await world.pass(500);
  await world.asked(scene.setUp());
  await rest(world, scene);
  const writesBefore = world.managerWrites;
  world.onManagerWrite = (count) => {
    if (blow !== undefined && count === atWrite) strike(world, blow);
  };
  await world.asked(scenario.act(world));
  await rest(world, scene);
  const problems = world.violations.map(({ invariant, message }) => `${invariant}: ${message}`);
  const result = { problems, managerWrites: world.managerWrites, writesBefore, trace: problems.length > 0 ? world.trace.lines() : [] };
  world.end();
  return result;
}

function strike(world: World, blow: Blow): void {
  const { leader, network, env } = world;
  if (leader === undefined) return;
  world.trace.note("world", blow.kind, leader.name);
  switch (blow.kind) {
    case "crash":
      world.kill(leader);
      env.after(300, () => void world.startManager());
      return;
    case "takeover":
      world.startManager();
      env.after(700, () => world.kill(leader));
      return;
    case "stale":
      network.holds = (_peer, resource) => blow.resources.includes(resource);
      env.after(staleMs, () => {
        network.holds = () => false;
        network.thaw();
      });
      return;
    case "gap":
      network.cut();
      network.holds = () => true;
      env.after(gapMs, () => {
        world.sandbox.store.compact();
        network.holds = () => false;
        network.cut();
      });
  }
}

async function rest(world: World, scene: Scene): Promise<void> {
  const endMs = world.env.monotonicMs() + restWithinMs;
  let problems: readonly string[] = [];
  while (world.env.monotonicMs() < endMs && world.violations.length === 0) {
    const before = world.managerWrites;
    await world.pass(quietMs);
    if (world.managerWrites !== before || world.asking > 0) continue;
    problems = scene.problems();
    if (problems.length === 0) return;
  }
  if (world.violations.length === 0) world.violate("comes to rest", problems.join("; "));
}

/** The dice of a scene whose course nothing is left to. */
export const fixedDice = (name: string): Dice => new Dice("systematic", name);
