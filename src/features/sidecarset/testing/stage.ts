/** The real controller and injection over a small API server, with nodes that catch up when the test says so. */
import type { AdmissionContext } from "../../../admission/webhook.ts";
import { type SidecarContainer, type SidecarSet, type SidecarSetSpec, sidecarSets } from "../../../api/sidecarset.ts";
import { type House, startHouse, testSettings } from "../../../engine/testing/harness.ts";
import { FakeEnv } from "../../../env/fake.ts";
import { keyOf } from "../../../kube/kind.ts";
import { namespaces, pods } from "../../../kube/kinds.ts";
import type { Pod } from "../../../kube/types.ts";
import { sidecarSetController } from "../controller.ts";
import { defaultSidecarSet } from "../defaults.ts";
import { injection } from "../inject.ts";
import { run, runAll } from "./node.ts";
import { pod, request, sidecarSet } from "./objects.ts";

export interface Stage extends House {
  readonly set: () => SidecarSet;
  readonly pods: () => readonly Pod[];
  readonly images: (container: string) => string;
  readonly counters: () => readonly number[];
  create(given: Pod): Promise<Pod>;
  edit(change: (spec: SidecarSetSpec) => void): Promise<void>;
}

export const mesh = (more: Partial<SidecarContainer> = {}): SidecarContainer => ({ name: "mesh", image: "mesh:1", ...more });

export async function start(spec: SidecarSetSpec, podCount = 0, seed = 1): Promise<Stage> {
  const house = await startHouse([sidecarSetController], { env: new FakeEnv({ seed, startMs: Date.UTC(2025, 0, 1, 1) }) });
  const { world, env } = house;
  for (const name of ["shop", "kruise-system"])
    world.add(namespaces, { metadata: { name, labels: { "kubernetes.io/metadata.name": name } } });
  world.add(sidecarSets, sidecarSet("mesh", { containers: [mesh()], ...spec }));
  await house.rest();
  const set = () => world.now<SidecarSet>(sidecarSets, { namespace: "", name: "mesh" }) as SidecarSet;
  const context = {
    read: world,
    settings: testSettings(),
    nowMs: () => env.nowMs(),
    random: () => env.random(),
  };
  const create = async (given: Pod): Promise<Pod> => {
    const result = await injection.mutate(given, request(given, "CREATE"), context as unknown as AdmissionContext);
    if ("allowed" in result) throw new Error(JSON.stringify(result));
    const added = world.add<Pod>(pods, result);
    run(world, added, { nowMs: env.nowMs() });
    return world.now<Pod>(pods, keyOf(added)) as Pod;
  };
  const stage: Stage = {
    ...house,
    set,
    pods: () => world.all<Pod>(pods),
    images: (container) =>
      world
        .all<Pod>(pods)
        .map(({ spec: podSpec }) => podSpec.containers.find(({ name }) => name === container)?.image?.split(":")[1] ?? "-")
        .join(""),
    counters: () => {
      const { matchedPods = -1, updatedPods = -1, readyPods = -1, updatedReadyPods = 0 } = set().status ?? {};
      return [matchedPods, updatedPods, readyPods, updatedReadyPods];
    },
    create,
    edit: async (change) => {
      await env.advance(2_000);
      world.edit<SidecarSet>(sidecarSets, { namespace: "", name: "mesh" }, (object) => {
        change(object.spec);
        object.metadata = defaultSidecarSet(object).metadata;
      });
      await house.rest();
    },
  };
  for (let index = 0; index < podCount; index += 1) await create(pod(`web-${index}`));
  await house.rest();
  return stage;
}

export const image = (tag: string) => (spec: SidecarSetSpec) => {
  (spec.containers?.[0] as SidecarContainer).image = `mesh:${tag}`;
};

export async function settle(stage: Stage, rounds = 20): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await stage.env.advance(1_000);
    if (runAll(stage.world, { nowMs: stage.env.nowMs() }) === 0) return;
    await stage.rest();
  }
}
