/** Objects under deletion protection, and people who delete what they should not. */
import type { CloneSet } from "../../../src/api/cloneset.ts";
import { label } from "../../../src/api/names.ts";
import { cloneSet } from "../../../src/features/cloneset/index.ts";
import { deletionProtection } from "../../../src/features/deletion-protection/index.ts";
import type { Pod } from "../../../src/kube/types.ts";
import { namespace } from "../cluster.ts";
import type { Dice } from "../dice.ts";
import { noStorm } from "../invariants/common.ts";
import { controllerUid, isActive } from "../invariants/pods.ts";
import type { Act, Scene, SceneKind } from "../scene.ts";
import { healNodes } from "../user.ts";
import type { Watcher, World } from "../world.ts";

const resource = "clonesets.apps.kruise.io";
const sets = `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/clonesets`;
const services = `/api/v1/namespaces/${namespace}/services`;
const names = ["a", "b"] as const;

function scene(world: World, dice: Dice): Scene {
  const protection = (own: Dice) => ({ [label.deletionProtection]: own.pick(["Always", "Cascading", "Cascading", null]) });
  const create = (name: string, own: Dice) => {
    const labels = Object.fromEntries(Object.entries(protection(own)).filter(([, value]) => value !== null));
    const template = { metadata: { labels: { app: name } }, spec: { containers: [{ name: "main", image: "app:v1" }] } };
    const spec = { replicas: own.between(0, 3), selector: { matchLabels: { app: name } }, template };
    return world.ask("POST", sets, { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", metadata: { name, namespace, labels }, spec });
  };
  const act = (name: string, weight: number, run: (own: Dice) => Promise<unknown>): Act => ({
    name,
    weight,
    run: async (_world, own) => void (await run(own)),
  });
  return {
    acts: [
      act("delete set", 10, (own) => world.ask("DELETE", `${sets}/${own.pick(names)}`)),
      act("delete service", 4, () => world.ask("DELETE", `${services}/web`)),
      act("delete namespace", 2, () => world.ask("DELETE", `/api/v1/namespaces/${namespace}`)),
      act("delete kind", 2, () => world.ask("DELETE", `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${resource}`)),
      act("scale", 6, (own) => world.ask("PATCH", `${sets}/${own.pick(names)}`, { spec: { replicas: own.between(0, 3) } })),
      act("protect", 6, (own) => world.ask("PATCH", `${sets}/${own.pick(names)}`, { metadata: { labels: protection(own) } })),
      act("create set", 4, (own) => create(own.pick(names), own)),
    ],
    watchers: [protectedObjects(), noStorm(world, () => 120)],
    async setUp() {
      const metadata = { name: "web", namespace, labels: { [label.deletionProtection]: "Always" } };
      await world.ask("POST", services, { metadata, spec: { ports: [{ port: 80 }], selector: { app: "a" } } });
      const guard = { metadata: { labels: { [label.deletionProtection]: "Always" } } };
      await world.ask("PATCH", `/api/v1/namespaces/${namespace}`, guard);
      await world.ask("PATCH", `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${resource}`, guard);
      for (const name of names) await create(name, dice);
    },
    settle: () => healNodes(world),
    problems: () => problemsOf(world),
  };
}

function protectedObjects(): Watcher {
  return {
    name: "protected objects stay",
    wrote({ before, after, resource: { kind }, actor }) {
      if (before === undefined || before.metadata.deletionTimestamp !== undefined) return undefined;
      if (after !== undefined && after.metadata.deletionTimestamp === undefined) return undefined;
      const protection = before.metadata.labels?.[label.deletionProtection];
      const what = `${actor.userAgent} deleted ${kind.kind} ${before.metadata.name}`;
      if (protection === "Always") return what;
      if (protection !== "Cascading" || kind.plural !== "clonesets") return undefined;
      const { replicas = 1 } = (before as unknown as CloneSet).spec;
      return replicas === 0 ? undefined : `${what}, which wants ${replicas} pods`;
    },
  };
}

function problemsOf(world: World): readonly string[] {
  return world.list<CloneSet>(resource, namespace).flatMap(({ metadata, spec }) => {
    const pods = world.list<Pod>("pods", namespace).filter((pod) => isActive(pod) && controllerUid(pod) === metadata.uid).length;
    return pods === (spec.replicas ?? 1) ? [] : [`${metadata.name} has ${pods} pods and wants ${spec.replicas}`];
  });
}

export const deletionProtectionKind: SceneKind = {
  name: "deletion-protection",
  features: [cloneSet, deletionProtection],
  gates: { ResourcesDeletionProtection: true },
  scene,
};
