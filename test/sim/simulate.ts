/** One seed from beginning to end: faults first, during which nothing may break; then peace, in which everything has to come to rest. */
import { gatesWith } from "../../src/api/gates.ts";
import { defaultSettings, type Settings } from "../../src/api/settings.ts";
import type { Feature } from "../../src/features/feature.ts";
import { type Kind, resourceName } from "../../src/kube/kind.ts";
import { Dice } from "./dice.ts";
import { disasters } from "./disasters.ts";
import { type NetworkFault, requestFaults, type Shares, watchFaults } from "./faults.ts";
import type { Mutant } from "./mutants.ts";
import type { Act, Scene, SceneKind } from "./scene.ts";
import { type Violation, World } from "./world.ts";

export interface SimulateOptions {
  readonly seed: number | string;
  readonly kind: SceneKind;
  readonly mutant?: Mutant;
  /** Kinds of faults, disasters and acts that are left out: "lag", "crash", "act:image", "act#3". */
  readonly without?: ReadonlySet<string>;
  /** The trace is wanted even when nothing is broken. */
  readonly traced?: boolean;
}

export interface Result {
  readonly seed: string;
  readonly violation: Violation | undefined;
  /** Empty when nothing is broken and nobody asked for it. */
  readonly trace: readonly string[];
  /** Everything that was left to chance and happened, by the names that `without` takes. */
  readonly happened: readonly string[];
  readonly writes: number;
  readonly managerWrites: number;
  readonly virtualMs: number;
}

/** Of worlds in which managers keep a record. */
const recordShare = 0.12;
const faultsMsMin = 5_000;
const faultsMsMax = 45_000;
const restWithinMs = 1_800_000;
const quietMs = 40_000;

export async function simulate(options: SimulateOptions): Promise<Result> {
  const { kind, mutant, without = new Set<string>() } = options;
  const seed = String(options.seed);
  const dice = new Dice(seed, "plan");
  const world = await World.create({
    seed,
    features: kind.features,
    settings: settingsOf({ ...kind, gates: { ...kind.gates, ...kind.chanceGates?.(new Dice(seed, "gates")) } }),
    shares: sharesFrom(dice, without),
    ...(mutant === undefined ? {} : { mutant }),
    ...(dice.chance(recordShare) ? { records: true } : {}),
  });
  const scene = kind.scene(world, new Dice(seed, "scene"));
  world.watchers.push(...scene.watchers);
  world.startManager();
  await world.pass(1_000);
  await world.asked(scene.setUp());
  const happened = await storm(world, scene, dice, without);
  if (world.violations.length === 0) await peace(world, scene, kind.lateMs ?? 0);
  const [violation] = world.violations;
  const trace = violation === undefined && !options.traced ? [] : world.trace.lines();
  const result: Result = {
    seed,
    violation,
    trace,
    happened,
    writes: world.writes,
    managerWrites: world.managerWrites,
    virtualMs: world.env.monotonicMs(),
  };
  world.end();
  return result;
}

const ourGroups: ReadonlySet<string> = new Set(["apps.kruise.io", "policy.kruise.io"]);

/** As the manager has them, with shorter waits. */
export function settingsOf({ gates, features }: SceneKind): Settings {
  return defaultSettings({
    gates: gatesWith(gates),
    expectationTimeoutMs: 60_000,
    nodeImageCreationDelayMs: 200,
    alwaysPullTtlSeconds: 5,
    serves: servesOnly(features),
  });
}

function servesOnly(features: readonly Feature[]): (kind: Kind) => boolean {
  const ours = new Set(features.flatMap((feature) => feature.kinds ?? []).map(({ kind }) => resourceName(kind)));
  return (kind) => !ourGroups.has(kind.group) || ours.has(resourceName(kind));
}

/** How often each kind of network fault strikes in this world: some worlds have none of a kind, a few have many. */
function sharesFrom(dice: Dice, without: ReadonlySet<string>): Shares {
  const shares: Partial<Record<NetworkFault, number>> = {};
  const harsh = dice.next();
  for (const fault of requestFaults) {
    const share = dice.chance(0.5) ? 0 : dice.next() * 0.3 * harsh;
    if (!without.has(fault)) shares[fault] = share;
  }
  for (const fault of watchFaults) {
    const share = dice.chance(0.4) ? 0 : dice.next() * 0.6;
    if (!without.has(fault)) shares[fault] = fault === "repeat" ? share * 0.2 : share;
  }
  return shares;
}

function actsFrom(
  scene: Scene,
  dice: Dice,
  withinMs: number,
): readonly { readonly act: Act; readonly atMs: number; readonly name: string }[] {
  const count = dice.between(1, 7);
  return Array.from({ length: count }, (_, index) => ({ act: dice.weighted(scene.acts), atMs: dice.upTo(withinMs), name: `act#${index}` }));
}

/** The user and the disasters at work. @returns what happened, by name */
async function storm(world: World, scene: Scene, dice: Dice, without: ReadonlySet<string>): Promise<readonly string[]> {
  const acts = actsFrom(scene, new Dice(dice.seed, "acts"), dice.between(faultsMsMin, faultsMsMax));
  // Often peace begins in the middle of what the last act has set off: what is forgotten then stays forgotten.
  const endMs = Math.max(...acts.map(({ atMs }) => atMs)) + dice.upTo(5_000);
  const forMs = dice.chance(0.7) ? endMs : Math.max(endMs, dice.between(faultsMsMin, faultsMsMax));
  const happened: string[] = [];
  for (const { act, atMs, name } of acts) {
    if (without.has(name) || without.has(`act:${act.name}`)) continue;
    happened.push(name);
    world.env.after(atMs, () => {
      world.trace.note("user", act.name, "", "");
      void act.run(world, new Dice(dice.seed, name));
    });
  }
  if (dice.chance(0.25) && !without.has("lastOutage")) {
    happened.push("lastOutage");
    world.env.after(Math.max(0, forMs - 100 - dice.upTo(3_000)), () => {
      world.trace.note("world", "down", "apiserver", "until peace");
      world.network.down = true;
      world.network.cut();
    });
  }
  happened.push(...disasters(world, new Dice(dice.seed, "disasters"), forMs, without));
  happened.push(...[...requestFaults, ...watchFaults].filter((fault) => (world.options.shares[fault] ?? 0) > 0));
  await world.pass(forMs);
  return happened;
}

async function peace(world: World, scene: Scene, lateMs: number): Promise<void> {
  world.trace.note("world", "healed", "", "");
  world.network.heal();
  world.network.down = false;
  world.skewMs = 0;
  // What was set off before may still end a process.
  await world.pass(5_000);
  if (world.leader === undefined) world.startManager();
  await world.pass(35_000);
  await world.asked(scene.settle());
  const endMs = world.env.monotonicMs() + restWithinMs;
  let problems: readonly string[] = [];
  while (world.env.monotonicMs() < endMs && world.violations.length === 0) {
    const before = world.managerWrites;
    await world.pass(quietMs);
    if (world.managerWrites !== before || world.asking > 0) continue;
    problems = scene.problems();
    if (problems.length === 0) return await stayQuiet(world, lateMs);
    // Back-offs of nodes and of our own are minutes long: a quiet moment is not the end yet.
  }
  if (world.violations.length > 0) return;
  world.violate("comes to rest", problems.length > 0 ? problems.join("; ") : `still writing after ${restWithinMs / 1000} s of peace`);
}

/** A world at rest is left alone. */
async function stayQuiet(world: World, lateMs: number): Promise<void> {
  await world.pass(lateMs);
  const before = world.managerWrites;
  await world.pass(5 * 60_000);
  if (world.managerWrites > before && world.violations.length === 0)
    world.violate("a quiet world has no writes", `${world.managerWrites - before} writes of the manager at rest`);
}
