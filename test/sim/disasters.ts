/** What befalls processes, nodes and clocks, at moments that the seed picks. */
import type { Dice } from "./dice.ts";
import type { World } from "./world.ts";

interface Disaster {
  readonly name: string;
  /** How likely it comes at all. */
  readonly share: number;
  strike(world: World, dice: Dice): void;
}

const list: readonly Disaster[] = [
  {
    name: "crash",
    share: 0.5,
    strike(world, dice) {
      const { leader } = world;
      if (leader === undefined) return;
      world.kill(leader);
      world.env.after(dice.upTo(4_000), () => {
        if (world.leader === undefined) world.startManager();
      });
    },
  },
  {
    // In the middle of what it does: right after one of its next writes, before it hears of it.
    name: "crashAfterWrite",
    share: 0.5,
    strike(world, dice) {
      const at = world.managerWrites + dice.between(1, 12);
      const before = world.onManagerWrite;
      world.onManagerWrite = (count) => {
        before(count);
        if (count !== at || world.leader === undefined) return;
        world.kill(world.leader);
        world.env.after(dice.upTo(2_000), () => {
          if (world.leader === undefined) world.startManager();
        });
      };
    },
  },
  {
    // A leader that lost its lease without noticing: for a moment there are two.
    name: "takeover",
    share: 0.25,
    strike(world, dice) {
      const { leader } = world;
      if (leader === undefined) return;
      world.startManager();
      world.env.after(100 + dice.upTo(3_000), () => world.kill(leader));
    },
  },
  {
    name: "apiRestart",
    share: 0.25,
    strike(world, dice) {
      world.trace.note("world", "down", "apiserver");
      world.network.down = true;
      world.network.cut();
      if (dice.chance(0.5)) world.sandbox.store.compact();
      world.env.after(200 + dice.upTo(6_000), () => {
        world.network.down = false;
        world.trace.note("world", "up", "apiserver");
      });
    },
  },
  {
    name: "compaction",
    share: 0.3,
    strike(world) {
      world.trace.note("world", "compact", "etcd");
      world.sandbox.store.compact();
      world.network.cut();
    },
  },
  {
    name: "nodeLoss",
    share: 0.2,
    strike(world, dice) {
      const name = `node-${dice.upTo(3)}`;
      const mark = (down: string | null) =>
        void world.ask("PATCH", `/api/v1/nodes/${name}`, { metadata: { annotations: { "sandbox.kruise.io/down": down } } });
      world.trace.note("world", "down", name);
      mark("true");
      world.env.after(1_000 + dice.upTo(60_000), () => {
        world.trace.note("world", "up", name);
        mark(null);
      });
    },
  },
  {
    name: "clockJump",
    share: 0.25,
    strike(world, dice) {
      const byMs = dice.between(-90_000, 90_000);
      world.trace.note("world", "jump", "clock", `${byMs} ms`);
      world.skewMs += byMs;
    },
  },
];

/** @returns which of them come, by name */
export function disasters(world: World, dice: Dice, withinMs: number, without: ReadonlySet<string>): readonly string[] {
  const coming: string[] = [];
  for (const disaster of list) {
    const count = dice.chance(disaster.share) ? dice.between(1, 2) : 0;
    for (let index = 0; index < 2; index += 1) {
      const atMs = dice.upTo(withinMs);
      const own = dice.upTo(1_000_000);
      const name = `${disaster.name}#${index}`;
      if (index >= count || without.has(name) || without.has(disaster.name)) continue;
      coming.push(name);
      world.env.after(atMs, () => {
        if (world.network.faulty) disaster.strike(world, world.dice(`disaster/${name}/${own}`));
      });
    }
  }
  return coming;
}
