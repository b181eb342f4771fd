/** A workload under a PodUnavailableBudget, and people who delete, evict and update its pods, several at a time. */
import type { CloneSet } from "../../../src/api/cloneset.ts";
import { cloneSet } from "../../../src/features/cloneset/index.ts";
import { podUnavailableBudget } from "../../../src/features/podunavailablebudget/index.ts";
import { sidecarSet } from "../../../src/features/sidecarset/index.ts";
import type { Pod, WorkloadObject } from "../../../src/kube/types.ts";
import { namespace } from "../cluster.ts";
import type { Dice } from "../dice.ts";
import { cloneSetWatchers } from "../invariants/cloneset.ts";
import { noStorm } from "../invariants/common.ts";
import { controllerUid } from "../invariants/pods.ts";
import { budgetProblems, budgetWatchers } from "../invariants/podunavailablebudget.ts";
import type { Act, Scene, SceneKind } from "../scene.ts";
import { healNodes, podsPath } from "../user.ts";
import type { World } from "../world.ts";

const budgets = `/apis/policy.kruise.io/v1beta1/namespaces/${namespace}/podunavailablebudgets`;
const labels = { app: "web" };
const replicasMax = 8;

interface Owner {
  readonly base: string;
  readonly resource: string;
  readonly object: (replicas: number) => object;
}

const template = (image: string) => ({ metadata: { labels }, spec: { containers: [{ name: "main", image }] } });
const replicaSet: Owner = {
  base: `/apis/apps/v1/namespaces/${namespace}/replicasets`,
  resource: "replicasets.apps",
  object: (replicas) => ({
    metadata: { name: "web", namespace },
    spec: { replicas, selector: { matchLabels: labels }, template: template("app:v1") },
  }),
};
const ofCloneSet: Owner = {
  base: `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/clonesets`,
  resource: "clonesets.apps.kruise.io",
  object: (replicas) => ({
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { name: "web", namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: template("app:v1"),
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 3 } },
    },
  }),
};

function scene(world: World, dice: Dice): Scene {
  const owner = dice.chance(0.4) ? ofCloneSet : replicaSet;
  const replicas = dice.between(2, replicasMax);
  const spec = {
    selector: { matchLabels: labels },
    ...(dice.chance(0.5) ? { minAvailable: dice.pick([1, 2, "50%", "70%"]) } : { maxUnavailable: dice.pick([1, 1, 2, "30%"]) }),
  };
  const create = () =>
    world.ask("POST", budgets, {
      apiVersion: "policy.kruise.io/v1beta1",
      kind: "PodUnavailableBudget",
      metadata: { name: "web", namespace },
      spec,
    });
  const replicasOf = () => world.get<WorkloadObject | CloneSet>(owner.resource, namespace, "web")?.spec?.replicas ?? 0;
  return {
    acts: acts(owner, create),
    watchers: [
      ...budgetWatchers(world, "web", namespace, replicasOf),
      ...(owner === ofCloneSet ? cloneSetWatchers(world) : []),
      noStorm(world, () => 60 + 10 * replicasMax),
    ],
    async setUp() {
      if (dice.chance(0.7)) await create();
      await world.ask("POST", owner.base, owner.object(replicas));
      world.env.after(2_000, () => void create());
    },
    settle: () => healNodes(world),
    problems: () => budgetProblems(world, "web", namespace, replicasOf()),
  };
}

function acts(owner: Owner, create: () => Promise<unknown>): readonly Act[] {
  const act = (name: string, weight: number, run: (world: World, dice: Dice) => Promise<unknown>): Act => ({
    name,
    weight,
    run: async (world, dice) => void (await run(world, dice)),
  });
  const some = (world: World, dice: Dice): readonly Pod[] => {
    const pods = [...world.list<Pod>("pods", namespace).filter((pod) => controllerUid(pod) !== undefined)];
    const count = dice.between(1, 4);
    return pods.sort(() => dice.next() - 0.5).slice(0, count);
  };
  /** All at once, or one soon after the other. */
  const onSome = (world: World, dice: Dice, ask: (pod: Pod) => Promise<unknown>): Promise<unknown> =>
    Promise.all(
      some(world, dice).map(
        (pod) =>
          new Promise<void>((resolve) => {
            world.env.after(dice.upTo(dice.chance(0.5) ? 5 : 3_000), () => void ask(pod).then(() => resolve()));
          }),
      ),
    );
  const evict = (world: World, { metadata }: Pod) =>
    world.ask("POST", `${podsPath}/${metadata.name}/eviction`, {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name: metadata.name, namespace },
    });
  const update = (world: World, pod: Pod) => {
    version += 1;
    const containers = [{ op: "replace", path: "/spec/containers/0/image", value: `app:u${version}` }];
    return world.ask("PATCH", `${podsPath}/${pod.metadata.name}`, containers, "json");
  };
  let version = 1;
  const onBudget = (world: World, change: object) => world.ask("PATCH", `${budgets}/web`, { spec: change });
  return [
    act("delete pods", 8, (world, dice) => onSome(world, dice, ({ metadata }) => world.ask("DELETE", `${podsPath}/${metadata.name}`))),
    act("evict pods", 8, (world, dice) => onSome(world, dice, (pod) => evict(world, pod))),
    act("update pods", 6, (world, dice) => onSome(world, dice, (pod) => update(world, pod))),
    act("drain", 3, async (world, dice) => {
      const node = `node-${dice.upTo(3)}`;
      await Promise.all(
        world
          .list<Pod>("pods", namespace)
          .filter((pod) => pod.spec.nodeName === node)
          .map((pod) => evict(world, pod)),
      );
    }),
    act("image", 4, (world) => {
      version += 1;
      return world.ask("PATCH", `${owner.base}/web`, { spec: { template: template(`app:v${version}`) } });
    }),
    act("scale", 3, (world, dice) => world.ask("PATCH", `${owner.base}/web`, { spec: { replicas: dice.between(1, replicasMax) } })),
    act("other budget", 2, (world, dice) =>
      onBudget(
        world,
        dice.chance(0.5)
          ? { minAvailable: dice.between(1, 4), maxUnavailable: null }
          : { maxUnavailable: dice.between(0, 2), minAvailable: null },
      ),
    ),
    act("delete budget", 0.5, async (world) => {
      await world.ask("DELETE", `${budgets}/web`);
      world.env.after(3_000, () => void create());
    }),
  ];
}

export const podUnavailableBudgetKind: SceneKind = {
  name: "podunavailablebudget",
  features: [cloneSet, podUnavailableBudget, sidecarSet],
  gates: { PodUnavailableBudgetUpdateGate: true },
  scene,
};
