/** What a simulated world is about: the features in it, what its users do, what may never happen, and what has to be true in the end. */
import type { GateName } from "../../src/api/gates.ts";
import type { Feature } from "../../src/features/feature.ts";
import type { Dice } from "./dice.ts";
import type { Watcher, World } from "./world.ts";

export interface Act {
  readonly name: string;
  readonly weight: number;
  run(world: World, dice: Dice): Promise<void> | void;
}

/** A world of one seed. */
export interface Scene {
  /** Makes what is there in the beginning. Faults have not begun; a manager runs. */
  setUp(): Promise<void>;
  readonly acts: readonly Act[];
  readonly watchers: readonly Watcher[];
  /** After the faults: what the user puts in order so that there is something to come to. */
  settle(): Promise<void>;
  /** What is not as it should be. Empty: at its goal. */
  problems(): readonly string[];
}

export interface SceneKind {
  readonly name: string;
  /** The webhook for new pods is active only where SidecarSets are served: a world that needs it lists them. */
  readonly features: readonly Feature[];
  readonly gates?: Readonly<Partial<Record<GateName, boolean>>>;
  /** Gates that are open in some worlds only. */
  readonly chanceGates?: (dice: Dice) => Readonly<Partial<Record<GateName, boolean>>>;
  /** ms; clean-ups that belong to rest may come so late. */
  readonly lateMs?: number;
  scene(world: World, dice: Dice): Scene;
}
