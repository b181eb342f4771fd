/** Pods whose containers start one after the other, on nodes and under managers that come and go. */
import { annotation } from "../../../src/api/names.ts";
import { launchPriority } from "../../../src/features/launch-priority/index.ts";
import { sidecarSet } from "../../../src/features/sidecarset/index.ts";
import type { Pod } from "../../../src/kube/types.ts";
import { namespace } from "../cluster.ts";
import type { Dice } from "../dice.ts";
import { noStorm } from "../invariants/common.ts";
import { controllerUid, isActive, isServing } from "../invariants/pods.ts";
import type { Act, Scene, SceneKind } from "../scene.ts";
import { healNodes, podsPath, somePod } from "../user.ts";
import type { Watcher, World } from "../world.ts";

const base = `/apis/apps/v1/namespaces/${namespace}/replicasets`;
const labels = { app: "web" };
const containerNames = ["first", "second", "third"];

function scene(world: World, dice: Dice): Scene {
  const count = dice.between(2, 3);
  const containers = containerNames.slice(0, count).map((name) => ({ name, image: "app:v1" }));
  const metadata = { labels, annotations: { [annotation.containerLaunchPriority]: "Ordered" } };
  const act = (name: string, weight: number, run: (own: Dice) => Promise<unknown>): Act => ({
    name,
    weight,
    run: async (_world, own) => void (await run(own)),
  });
  return {
    acts: [
      act("scale", 6, (own) => world.ask("PATCH", `${base}/web`, { spec: { replicas: own.between(0, 4) } })),
      act("delete pod", 6, async (own) => {
        const pod = somePod(world, own);
        if (pod !== undefined) await world.ask("DELETE", `${podsPath}/${pod.metadata.name}`);
      }),
      act("delete barrier", 2, async (own) => {
        const pod = somePod(world, own);
        if (pod !== undefined) await world.ask("DELETE", `/api/v1/namespaces/${namespace}/configmaps/${pod.metadata.name}-barrier`);
      }),
    ],
    watchers: [inOrder(), noStorm(world, () => 100)],
    async setUp() {
      await world.ask("POST", base, {
        metadata: { name: "web", namespace },
        spec: { replicas: dice.between(1, 3), selector: { matchLabels: labels }, template: { metadata, spec: { containers } } },
      });
    },
    settle: () => healNodes(world),
    problems: () =>
      world
        .list<Pod>("pods", namespace)
        .filter((pod) => isActive(pod) && controllerUid(pod) !== undefined && !isServing(pod))
        .map(({ metadata }) => `${metadata.name} does not serve`),
  };
}

/** A container begins once all before it have been ready. */
function inOrder(): Watcher {
  /** By uid of the pod: containers that have been ready. */
  const ready = new Map<string, Set<string>>();
  return {
    name: "containers start in order",
    wrote({ resource, after }) {
      if (resource.kind.plural !== "pods" || after === undefined) return undefined;
      const pod = after as unknown as Pod;
      if (pod.metadata.annotations?.[annotation.containerLaunchPriority] !== "Ordered") return undefined;
      const known = ready.get(pod.metadata.uid) ?? new Set();
      ready.set(pod.metadata.uid, known);
      const statuses = new Map((pod.status?.containerStatuses ?? []).map((status) => [status.name, status]));
      const order = pod.spec.containers.map(({ name }) => name);
      for (const [index, name] of order.entries()) {
        const missing = order.slice(0, index).filter((each) => !known.has(each));
        if (statuses.get(name)?.state?.running !== undefined && missing.length > 0)
          return `${name} of ${pod.metadata.name} runs, and ${missing.join(", ")} has never been ready`;
      }
      for (const [name, status] of statuses) if (status.ready) known.add(name);
      return undefined;
    },
  };
}

export const launchPriorityKind: SceneKind = { name: "launch-priority", features: [launchPriority, sidecarSet], scene };
