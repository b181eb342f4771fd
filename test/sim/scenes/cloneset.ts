/** A CloneSet, its pods and claims, a stranger with the same labels, and a user with ideas. */
import type { CloneSet } from "../../../src/api/cloneset.ts";
import { label } from "../../../src/api/names.ts";
import { cloneSet } from "../../../src/features/cloneset/index.ts";
import type { Pod } from "../../../src/kube/types.ts";
import { namespace } from "../cluster.ts";
import type { Dice } from "../dice.ts";
import { heldTemplate, keeper, lifecycleFrom } from "../hooks.ts";
import { cloneSetWatchers } from "../invariants/cloneset.ts";
import { cloneSetProblems } from "../invariants/cloneset-goal.ts";
import { noStorm } from "../invariants/common.ts";
import type { Act, Scene, SceneKind } from "../scene.ts";
import { healNodes, podsPath, somePod } from "../user.ts";
import type { World } from "../world.ts";

const resource = "clonesets.apps.kruise.io";
const base = `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/clonesets`;
const path = `${base}/web`;
const labels = { app: "web" };
export const replicasMax = 10;

type Spec = CloneSet["spec"];
type RollingUpdate = NonNullable<NonNullable<Spec["updateStrategy"]>["rollingUpdate"]>;

export interface CloneSetOptions {
  /** In place of what the dice say. */
  readonly whole?: Spec;
}

export function cloneSetScene(world: World, dice: Dice, options: CloneSetOptions = {}): Scene {
  const spec = options.whole ?? withExtras(specFrom(dice), world.dice("extras"));
  const template = templateOf(spec);
  const ends = dice.chance(0.6);
  const create = () =>
    world.ask("POST", base, { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", metadata: { name: "web", namespace }, spec });
  return {
    acts: acts(create, template),
    watchers: [...cloneSetWatchers(world), keeper(world, world.dice("keeper")), noStorm(world, () => 60 + 8 * replicasMax)],
    async setUp() {
      // Nobody's pod, with the labels of ours.
      await world.ask("POST", podsPath, {
        metadata: { name: "stranger", namespace, labels },
        spec: { containers: [{ name: "main", image: "app:v1" }] },
      });
      await create();
    },
    async settle() {
      await healNodes(world);
      if (world.get(resource, namespace, "web") === undefined) await create();
      if (!ends) return;
      const set = world.get<CloneSet>(resource, namespace, "web");
      const image = set?.spec.template.spec.containers[0]?.image ?? "";
      await world.ask("PATCH", path, {
        spec: {
          updateStrategy: { type: "RollingUpdate", rollingUpdate: { paused: false, partition: 0 } },
          ...(image.includes("bad") ? { template: template("app:good") } : {}),
        },
      });
    },
    problems: () => cloneSetProblems(world, namespace, "web"),
  };
}

/** Hooks, and orders of updates. */
function withExtras(spec: Spec, dice: Dice): Spec {
  const lifecycle = dice.chance(0.3) ? lifecycleFrom(dice) : undefined;
  const order = dice.pick<Partial<RollingUpdate>>([
    {},
    {},
    {},
    { priorityStrategy: { weightPriority: [{ weight: 60, matchSelector: { matchLabels: { tier: "a" } } }] } },
    { priorityStrategy: { orderPriority: [{ orderedKey: "tier" }] } },
    { scatterStrategy: [{ key: "tier", value: "a" }] },
  ]);
  const rollingUpdate = { ...spec.updateStrategy?.rollingUpdate, ...order };
  return {
    ...spec,
    updateStrategy: { ...spec.updateStrategy, rollingUpdate },
    ...(lifecycle === undefined ? {} : { lifecycle, template: heldTemplate(spec.template) }),
  } as Spec;
}

/** As in the beginning, with other containers. */
function templateOf(spec: Spec) {
  return (image: string, more: object = {}) => ({
    ...spec.template,
    spec: { ...spec.template.spec, containers: [{ name: "main", image, ...more }] },
  });
}

function specFrom(dice: Dice): Spec {
  const replicas = dice.between(1, replicasMax);
  const policy = dice.pick(["ReCreate", "InPlaceIfPossible", "InPlaceIfPossible", "InPlaceOnly"] as const);
  const surges = dice.chance(0.3) && policy !== "InPlaceOnly";
  const claims = dice.chance(0.25);
  const scale = {
    ...(dice.chance(0.15) ? { maxUnavailable: dice.between(1, 4) } : {}),
    ...(dice.chance(0.5) ? { enablePVCReuse: true } : {}),
  };
  return {
    replicas,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "app:v1" }] } },
    ...(dice.chance(0.2) ? { minReadySeconds: dice.between(1, 4) } : {}),
    ...(dice.chance(0.3) ? { revisionHistoryLimit: dice.between(0, 2) } : {}),
    ...(claims ? { volumeClaimTemplates: [claimTemplate] } : {}),
    ...(Object.keys(scale).length > 0 ? { scaleStrategy: scale } : {}),
    updateStrategy: {
      type: dice.chance(0.05) ? "OnDelete" : "RollingUpdate",
      rollingUpdate: {
        podUpdatePolicy: policy,
        maxUnavailable: surges && dice.chance(0.4) ? 0 : dice.pick([1, 1, 2, 3, "20%", "50%"]),
        ...(surges ? { maxSurge: dice.pick([1, 2, "30%"]) } : {}),
        ...(dice.chance(0.3) ? { partition: dice.pick([1, 2, "50%"]) } : {}),
        ...(dice.chance(0.15) ? { inPlaceUpdateStrategy: { gracePeriodSeconds: dice.between(1, 3) } } : {}),
      },
    },
  } as Spec;
}

const claimTemplate = {
  metadata: { name: "data" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
};

function acts(create: () => Promise<unknown>, template: ReturnType<typeof templateOf>): readonly Act[] {
  const patch = (world: World, body: object) => world.ask("PATCH", path, body);
  const rolling = (world: World, rollingUpdate: object) => patch(world, { spec: { updateStrategy: { rollingUpdate } } });
  const onPod = async (world: World, dice: Dice, act: (pod: Pod) => Promise<unknown>) => {
    const pod = somePod(world, dice);
    if (pod !== undefined) await act(pod);
  };
  const act = (name: string, weight: number, run: (world: World, dice: Dice) => Promise<unknown>): Act => ({
    name,
    weight,
    run: async (world, dice) => void (await run(world, dice)),
  });
  let version = 1;
  return [
    act("image", 8, (world) => {
      version += 1;
      return patch(world, { spec: { template: template(`app:v${version}`) } });
    }),
    act("bad image", 1, (world) => {
      version += 1;
      return patch(world, { spec: { template: template(`app:bad${version}`) } });
    }),
    act("slow image", 1, (world) => {
      version += 1;
      return patch(world, { spec: { template: template(`app:slow${version}`) } });
    }),
    act("roll back", 3, (world) => patch(world, { spec: { template: template("app:v1") } })),
    act("other command", 2, (world) => {
      version += 1;
      return patch(world, { spec: { template: template(`app:v${version}`, { command: ["run", `--v=${version}`] }) } });
    }),
    act("scale", 6, (world, dice) => patch(world, { spec: { replicas: dice.between(0, replicasMax) } })),
    act("partition", 3, (world, dice) => rolling(world, { partition: dice.pick([0, 0, 1, 3, "50%"]) })),
    act("partition and back", 2, async (world, dice) => {
      await rolling(world, { partition: 0 });
      world.env.after(dice.between(500, 8_000), () => void rolling(world, { partition: dice.pick([1, 2, "50%", "100%"]) }));
    }),
    act("pause", 2, (world) => rolling(world, { paused: true })),
    act("resume", 2, (world) => rolling(world, { paused: false })),
    act("maxUnavailable", 2, (world, dice) => rolling(world, { maxUnavailable: dice.between(1, 3) })),
    act("delete pod", 3, (world, dice) => onPod(world, dice, ({ metadata }) => world.ask("DELETE", `${podsPath}/${metadata.name}`))),
    act("mark pod", 2, (world, dice) =>
      onPod(world, dice, ({ metadata }) =>
        world.ask("PATCH", `${podsPath}/${metadata.name}`, { metadata: { labels: { [label.specifiedDelete]: "true" } } }),
      ),
    ),
    act("mark pod and think again", 2, (world, dice) =>
      onPod(world, dice, async ({ metadata }) => {
        const mark = (value: string | null) =>
          world.ask("PATCH", `${podsPath}/${metadata.name}`, { metadata: { labels: { [label.specifiedDelete]: value } } });
        await mark("true");
        world.env.after(dice.upTo(1_500), () => void mark(null));
      }),
    ),
    act("podsToDelete", 2, (world, dice) =>
      onPod(world, dice, async ({ metadata }) => {
        const replicas = world.get<CloneSet>(resource, namespace, "web")?.spec.replicas ?? 1;
        return patch(world, { spec: { replicas: Math.max(0, replicas - 1), scaleStrategy: { podsToDelete: [metadata.name] } } });
      }),
    ),
    act("hooks", 1, (world, dice) => patch(world, { spec: { lifecycle: dice.chance(0.5) ? null : lifecycleFrom(dice) } })),
    act("tier of a pod", 2, (world, dice) =>
      onPod(world, dice, ({ metadata }) =>
        world.ask("PATCH", `${podsPath}/${metadata.name}`, { metadata: { labels: { tier: dice.pick(["a", "b", "rank-1", "rank-2"]) } } }),
      ),
    ),
    act("relabel pod", 1, (world, dice) =>
      onPod(world, dice, ({ metadata }) =>
        world.ask("PATCH", `${podsPath}/${metadata.name}`, { metadata: { labels: { app: "elsewhere" } } }),
      ),
    ),
    act("delete set", 0.3, async (world) => {
      await world.ask("DELETE", path);
      world.env.after(5_000, () => void create());
    }),
  ];
}

export const cloneSetKind: SceneKind = {
  name: "cloneset",
  features: [cloneSet],
  chanceGates: (dice) => ({ CloneSetPartitionRollback: dice.chance(0.3), PreparingUpdateAsUpdate: dice.chance(0.2) }),
  scene: cloneSetScene,
};
