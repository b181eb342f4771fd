/**
 * How long a SidecarSet holds the event loop: `bun src/features/sidecarset/testing/measure.ts [pods]`. Preparing is the longest piece of it,
 * cold is when nothing is known yet of the pods or of the version. On a machine with other work the least is what it takes.
 */
import { type SidecarSet, type SidecarSetSpec, sidecarSets } from "../../../api/sidecarset.ts";
import { contextOf } from "../../../engine/testing/harness.ts";
import { FakeEnv } from "../../../env/fake.ts";
import { pods } from "../../../kube/kinds.ts";
import type { Pod } from "../../../kube/types.ts";
import { sidecarSetController } from "../controller.ts";
import { defaultSidecarSet } from "../defaults.ts";
import { updateWrite } from "../update.ts";
import { lookAt, type Observed } from "../world.ts";
import { ran } from "./node.ts";
import { pod, sidecarSet, stage } from "./objects.ts";

const podCount = Number(process.argv[2] ?? 1_000);
const rounds = 12;
const say = (line: string) => process.stdout.write(`${line}\n`);
const key = { namespace: "", name: "mesh" };

type Spec = Partial<SidecarSetSpec>;
const hot = { upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "empty:1" } };
const worlds: readonly [string, Spec][] = [
  ["one sidecar", { containers: [{ name: "mesh", image: "mesh:1" }] }],
  ["hot upgrade", { containers: [{ name: "mesh", image: "mesh:1", ...hot }] }],
  [
    "five sidecars, scatter and priority",
    {
      containers: Array.from({ length: 5 }, (_, index) => ({ name: index === 0 ? "mesh" : `s${index}`, image: "mesh:1" })),
      updateStrategy: {
        maxUnavailable: "10%",
        scatterStrategy: [{ key: "zone", value: "*" }],
        priorityStrategy: { weightPriority: [{ weight: 50, matchSelector: { matchLabels: { zone: "z1" } } }] },
      },
    },
  ],
];

for (const [name, spec] of worlds) {
  say(`${name}, ${podCount} pods`);
  const times = new Map<string, number[]>();
  for (let round = 0; round < rounds; round += 1) await measure(spec, times);
  for (const [phase, all] of times) {
    const sorted = all.toSorted((a, b) => a - b);
    const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(2).padStart(7);
    say(`  ${phase.padEnd(24)} least ${at(0)}  p50 ${at(0.5)}  most ${at(1)} ms`);
  }
}

async function measure(spec: Spec, times: Map<string, number[]>): Promise<void> {
  const { env, world, settings, inject } = stage(undefined, new FakeEnv({ startMs: Date.UTC(2025, 0, 1, 1) }));
  world.add(sidecarSets, sidecarSet("mesh", { updateStrategy: { maxUnavailable: "100%" }, ...spec }));
  for (let index = 0; index < podCount; index += 1) {
    const injected = await inject(pod(`web-${index}`, {}, { labels: { app: "web", zone: `z${index % 3}` } }));
    world.add<Pod>(pods, { ...injected, status: ran(injected, { nowMs: env.nowMs() }) as NonNullable<Pod["status"]> });
  }
  const timed = async (phase: string) => {
    let startMs = performance.now();
    let longestMs = 0;
    const turn = async (piece: () => void) => {
      startMs = performance.now();
      piece();
      longestMs = Math.max(longestMs, performance.now() - startMs);
      await new Promise<void>((resolve) => setImmediate(resolve));
      startMs = performance.now();
    };
    const context = { ...contextOf(env, world, settings), turn };
    const observed = await sidecarSetController.observe(context, key);
    const lookedMs = performance.now();
    if (observed === undefined) throw new Error("no SidecarSet");
    const planned = sidecarSetController.plan(observed as Observed, env.nowMs());
    const endMs = performance.now();
    const note = (what: string, ms: number) => times.set(what, [...(times.get(what) ?? []), ms]);
    if (longestMs > 0) note(`${phase}: preparing`, longestMs);
    note(`${phase}: look`, lookedMs - startMs);
    note(`${phase}: plan`, endMs - lookedMs);
    return { observed, actions: planned.actions.length };
  };
  await settle();
  await timed("cold");
  await timed("at rest");
  world.edit<SidecarSet>(sidecarSets, key, (set) => {
    for (const container of set.spec.containers ?? []) container.image = "mesh:2";
    set.metadata = defaultSidecarSet(set).metadata;
  });
  const { observed, actions } = await timed("new image, cold");
  if (actions === 0) throw new Error("nothing is updated");
  await timed("new image, again");
  const [first] = world.all<Pod>(pods);
  const startMs = performance.now();
  updateWrite(first as Pod, lookAt(observed as Observed, env.nowMs()), "mesh-x");
  times.set("one write, with a look", [...(times.get("one write, with a look") ?? []), performance.now() - startMs]);
}

/** A collection of garbage in the middle would be measured. */
function settle(): Promise<void> {
  Bun.gc(true);
  return new Promise((resolve) => setImmediate(resolve));
}
