/** A workload under a PodUnavailableBudget, and people who delete, evict and update its pods, several at a time. */
import type { CloneSet } from "../../../src/api/cloneset.ts";
import { label } from "../../../src/api/names.ts";
import type { PodUnavailableBudget } from "../../../src/api/podunavailablebudget.ts";
import { cloneSet } from "../../../src/features/cloneset/index.ts";
import { podUnavailableBudget } from "../../../src/features/podunavailablebudget/index.ts";
import { sidecarSet } from "../../../src/features/sidecarset/index.ts";
import type { Pod, PodTemplateSpec, WorkloadObject } from "../../../src/kube/types.ts";
import type { Lifecycle } from "../../../src/workload/lifecycle/index.ts";
import { namespace } from "../cluster.ts";
import type { Dice } from "../dice.ts";
import { heldTemplate, keeper, lifecycleFrom } from "../hooks.ts";
import { cloneSetWatchers } from "../invariants/cloneset.ts";
import { noStorm } from "../invariants/common.ts";
import { controllerUid, isMarked } from "../invariants/pods.ts";
import { budgetProblems, budgetResource, budgetWatchers } from "../invariants/podunavailablebudget.ts";
import type { Act, Scene, SceneKind } from "../scene.ts";
import { healNodes, podsPath } from "../user.ts";
import type { World } from "../world.ts";

const budgets = `/apis/policy.kruise.io/v1beta1/namespaces/${namespace}/podunavailablebudgets`;
const labels = { app: "web" };
const replicasMax = 8;

interface Owner {
  readonly base: string;
  readonly resource: string;
  readonly object: (replicas: number, template: PodTemplateSpec, lifecycle: Lifecycle | undefined) => object;
}
type Template = (image: string) => PodTemplateSpec;

const plain: Template = (image) => ({ metadata: { labels }, spec: { containers: [{ name: "main", image }] } });
const replicaSet: Owner = {
  base: `/apis/apps/v1/namespaces/${namespace}/replicasets`,
  resource: "replicasets.apps",
  object: (replicas, template) => ({
    metadata: { name: "web", namespace },
    spec: { replicas, selector: { matchLabels: labels }, template },
  }),
};
const ofCloneSet: Owner = {
  base: `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/clonesets`,
  resource: "clonesets.apps.kruise.io",
  object: (replicas, template, lifecycle) => ({
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { name: "web", namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template,
      ...(lifecycle === undefined ? {} : { lifecycle }),
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: 3 } },
    },
  }),
};

function scene(world: World, dice: Dice): Scene {
  const owner = dice.chance(0.6) ? ofCloneSet : replicaSet;
  const replicas = dice.between(2, replicasMax);
  const extras = world.dice("extras");
  const lifecycle = owner === ofCloneSet && extras.chance(0.5) ? lifecycleFrom(extras, 0.9) : undefined;
  const template: Template = lifecycle === undefined ? plain : (image) => heldTemplate(plain(image));
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
    acts: acts(owner, create, template, lifecycle?.preDelete !== undefined),
    watchers: [
      ...budgetWatchers(world, "web", namespace, replicasOf),
      ...(owner === ofCloneSet ? [...cloneSetWatchers(world), keeper(world, world.dice("keeper"))] : []),
      noStorm(world, () => 60 + 10 * replicasMax),
    ],
    async setUp() {
      if (dice.chance(0.7)) await create();
      await world.ask("POST", owner.base, owner.object(replicas, template("app:v1"), lifecycle));
      world.env.after(2_000, () => void create());
    },
    async settle() {
      await healNodes(world);
      await probe(world, null);
    },
    problems: () => [...budgetProblems(world, "web", namespace, replicasOf()), ...(owner === ofCloneSet ? overdueDeletions(world) : [])],
  };
}

const probes = "sandbox.kruise.io/probes";
/** No manager sees what happens to pods for so long. */
function holdPods({ network, env }: World, forMs: number): void {
  const untilMs = env.monotonicMs() + forMs;
  network.holds = (_, resource) => resource === "pods" && network.faulty && env.monotonicMs() < untilMs;
  env.after(forMs, () => network.thaw());
}

/** What the probes of all pods say from now on. */
const probe = (world: World, script: string | null) =>
  Promise.all(
    world
      .list<Pod>("pods", namespace)
      .filter(({ metadata }) => (metadata.annotations?.[probes] ?? null) !== script)
      .map(({ metadata }) => world.ask("PATCH", `${podsPath}/${metadata.name}`, { metadata: { annotations: { [probes]: script } } })),
  );

/** Deletions that were refused are tried again after minutes only: when they may happen, the world is not at rest before. */
function overdueDeletions(world: World): readonly string[] {
  const allowed = world.get<PodUnavailableBudget>(budgetResource, namespace, "web")?.status?.unavailableAllowed ?? 0;
  const marked = world.list<Pod>("pods", namespace).filter((pod) => isMarked(pod) && controllerUid(pod) !== undefined);
  return allowed > 0 ? marked.map(({ metadata }) => `${metadata.name} is to be deleted, and may be`) : [];
}

function acts(owner: Owner, create: () => Promise<unknown>, template: Template, isHeld: boolean): readonly Act[] {
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
  const image = (world: World) => {
    version += 1;
    return world.ask("PATCH", `${owner.base}/web`, { spec: { template: template(`app:v${version}`) } });
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
    act("image", 4, image),
    // Pods are down for a moment, and to move just when they have come up: managers, who do not see it yet, do not know that they count.
    act("blink and image", owner === ofCloneSet && !isHeld ? 12 : 2, async (world, dice) => {
      await probe(world, "unready@0");
      world.env.after(dice.between(500, 8_000), async () => {
        holdPods(world, dice.between(500, 4_000));
        await probe(world, null);
        world.env.after(dice.upTo(400), () => void image(world));
      });
    }),
    act("image after image", 3, async (world, dice) => {
      await image(world);
      for (let count = dice.between(1, 3), atMs = 0; count > 0; count -= 1) {
        atMs += dice.between(300, 5_000);
        world.env.after(atMs, () => void image(world));
      }
    }),
    // Those that are held may wait for their hook out of service.
    act("mark pods", isHeld ? 20 : 2, (world, dice) =>
      onSome(world, dice, ({ metadata }) =>
        world.ask("PATCH", `${podsPath}/${metadata.name}`, { metadata: { labels: { [label.specifiedDelete]: "true" } } }),
      ),
    ),
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
