/** SidecarSets over the pods of a ReplicaSet, and a user who changes both. */
import type { SidecarSet } from "../../../src/api/sidecarset.ts";
import { sidecarSet } from "../../../src/features/sidecarset/index.ts";
import type { Pod } from "../../../src/kube/types.ts";
import { namespace } from "../cluster.ts";
import type { Dice } from "../dice.ts";
import { noStorm } from "../invariants/common.ts";
import { countOf, isActive, isServing } from "../invariants/pods.ts";
import { hasImages, injected, selects, sidecarSetWatchers } from "../invariants/sidecarset.ts";
import type { Act, Scene, SceneKind } from "../scene.ts";
import { healNodes, podsPath, somePod } from "../user.ts";
import type { World } from "../world.ts";

const base = "/apis/apps.kruise.io/v1beta1/sidecarsets";
const resource = "sidecarsets.apps.kruise.io";
const setsPath = `/apis/apps/v1/namespaces/${namespace}/replicasets`;
const labels = { app: "web" };
const replicasMax = 8;

function scene(world: World, dice: Dice): Scene {
  const names = dice.chance(0.4) ? ["mesh", "logs"] : ["mesh"];
  const ends = dice.chance(0.6);
  const create = (name: string) => world.ask("POST", base, newSet(name, dice));
  return {
    acts: acts(names, create),
    watchers: [...sidecarSetWatchers(world), noStorm(world, () => 60 + 8 * replicasMax)],
    async setUp() {
      for (const name of names) if (dice.chance(0.8)) await create(name);
      await world.ask("POST", setsPath, {
        metadata: { name: "web", namespace },
        spec: {
          replicas: dice.between(1, replicasMax),
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "app:v1" }] } },
        },
      });
    },
    async settle() {
      await healNodes(world);
      if (!ends) return;
      for (const set of world.list<SidecarSet>(resource)) {
        const containers = (set.spec.containers ?? []).map(({ name, image }) => ({
          name,
          image: image?.includes("bad") ? `${name}:good` : image,
        }));
        await world.ask("PATCH", `${base}/${set.metadata.name}`, {
          spec: { containers, updateStrategy: { type: "RollingUpdate", paused: false, partition: 0 } },
        });
      }
    },
    problems: () => world.list<SidecarSet>(resource).flatMap((set) => problemsOf(world, set)),
  };
}

function newSet(name: string, dice: Dice): object {
  return {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "SidecarSet",
    metadata: { name },
    spec: {
      selector: { matchLabels: labels },
      containers: [{ name, image: `${name}:v1` }],
      ...(dice.chance(0.3) ? { revisionHistoryLimit: dice.between(1, 2) } : {}),
      updateStrategy: {
        type: dice.chance(0.05) ? "NotUpdate" : "RollingUpdate",
        maxUnavailable: dice.pick([1, 1, 2, "40%"]),
        ...(dice.chance(0.3) ? { partition: dice.pick([1, 2, "50%"]) } : {}),
      },
    },
  };
}

function acts(names: readonly string[], create: (name: string) => Promise<unknown>): readonly Act[] {
  const act = (name: string, weight: number, run: (world: World, dice: Dice) => Promise<unknown>): Act => ({
    name,
    weight,
    run: async (world, dice) => void (await run(world, dice)),
  });
  const onSet = (world: World, dice: Dice, spec: (name: string) => object) => {
    const name = dice.pick(names);
    return world.ask("PATCH", `${base}/${name}`, { spec: spec(name) });
  };
  let version = 1;
  const image = (tag: string) => (world: World, dice: Dice) => {
    version += 1;
    return onSet(world, dice, (name) => ({ containers: [{ name, image: `${name}:${tag}${version}` }] }));
  };
  const strategy = (updateStrategy: object) => () => ({ updateStrategy });
  return [
    act("image", 8, image("v")),
    act("bad image", 1, image("bad")),
    act("roll back", 2, (world, dice) => onSet(world, dice, (name) => ({ containers: [{ name, image: `${name}:v1` }] }))),
    act("other environment", 1, (world, dice) => {
      version += 1;
      return onSet(world, dice, (name) => ({
        containers: [{ name, image: `${name}:v${version}`, env: [{ name: "V", value: String(version) }] }],
      }));
    }),
    act("partition", 2, (world, dice) => onSet(world, dice, strategy({ partition: dice.pick([0, 1, 3, "50%"]) }))),
    act("pause", 2, (world, dice) => onSet(world, dice, strategy({ paused: true }))),
    act("resume", 2, (world, dice) => onSet(world, dice, strategy({ paused: false }))),
    act("maxUnavailable", 2, (world, dice) => onSet(world, dice, strategy({ maxUnavailable: dice.between(1, 3) }))),
    act("pause injection", 1, (world, dice) => onSet(world, dice, () => ({ injectionStrategy: { paused: true } }))),
    act("resume injection", 1, (world, dice) => onSet(world, dice, () => ({ injectionStrategy: { paused: false } }))),
    act("create set", 2, (_world, dice) => create(dice.pick(names))),
    act("delete set", 0.5, (world, dice) => world.ask("DELETE", `${base}/${dice.pick(names)}`)),
    act("scale", 4, (world, dice) => world.ask("PATCH", `${setsPath}/web`, { spec: { replicas: dice.between(0, replicasMax) } })),
    act("delete pod", 4, async (world, dice) => {
      const pod = somePod(world, dice);
      if (pod !== undefined) await world.ask("DELETE", `${podsPath}/${pod.metadata.name}`);
    }),
  ];
}

const isBad = (pod: Pod): boolean => pod.spec.containers.some(({ image }) => image?.includes(":bad"));

/** What has to hold at rest. Pods that were injected belong to the set, whatever has become of its selector since. */
function problemsOf(world: World, set: SidecarSet): readonly string[] {
  const { name } = set.metadata;
  const members = world.list<Pod>("pods").filter((pod) => isActive(pod) && selects(set, pod) && injected(pod).includes(name));
  const { status, spec } = set;
  const held = new Set((world.leader?.runner.heldBy("sidecarset-controller", { namespace: "", name }) ?? []).map(({ on }) => on));
  const old = members.filter((pod) => !hasImages(pod, set));
  const problems = old
    .filter((pod) => !held.has(`${namespace}/${pod.metadata.name}`) && !held.has(pod.metadata.name))
    .map((pod) => `${pod.metadata.name} has an old ${name}, and no reason why`);
  const kept = countOf(spec.updateStrategy?.partition, members.length, "up", 0);
  const isFree =
    !spec.updateStrategy?.paused &&
    spec.updateStrategy?.type !== "NotUpdate" &&
    !(spec.containers ?? []).some(({ image, env }) => image?.includes("bad") || env);
  const isPlain = members.every((pod) =>
    pod.spec.containers.every((container) => container.env?.some(({ name: each }) => each === "V") !== true),
  );
  if (isFree && isPlain && old.length > kept && !old.some(isBad))
    problems.push(`${old.length - kept} pods could have the new ${name} and have not`);
  const told = {
    observedGeneration: set.metadata.generation,
    matchedPods: members.length,
    readyPods: members.filter(isServing).length,
  };
  for (const [field, value] of Object.entries(told)) {
    const shown = (status as Readonly<Record<string, unknown>> | undefined)?.[field];
    if (shown !== value) problems.push(`${name}: status.${field} is ${String(shown)}, and ${String(value)} is true`);
  }
  return problems;
}

export const sidecarSetKind: SceneKind = { name: "sidecarset", features: [sidecarSet], scene };
