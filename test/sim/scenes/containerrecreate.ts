/** Requests to recreate containers, node agents that carry them out, and pods that come and go meanwhile. */
import { type ContainerRecreateRequest, containerRecreateRequests } from "../../../src/api/containerrecreaterequest.ts";
import { conditionType, label } from "../../../src/api/names.ts";
import { containerRecreate } from "../../../src/features/containerrecreate/index.ts";
import { podReadiness } from "../../../src/features/pod-readiness/index.ts";
import { sidecarSet } from "../../../src/features/sidecarset/index.ts";
import { resourceName } from "../../../src/kube/kind.ts";
import type { Pod } from "../../../src/kube/types.ts";
import { recreatingAgents } from "../agents.ts";
import { namespace } from "../cluster.ts";
import type { Dice } from "../dice.ts";
import { noStorm } from "../invariants/common.ts";
import { conditionOf, controllerUid, isActive } from "../invariants/pods.ts";
import type { Act, Scene, SceneKind } from "../scene.ts";
import { healNodes, podsPath, somePod } from "../user.ts";
import type { Watcher, World } from "../world.ts";

const base = `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/containerrecreaterequests`;
const labels = { app: "web" };
const requestsOf = (world: World) => world.list<ContainerRecreateRequest>(resourceName(containerRecreateRequests), namespace);

function scene(world: World, dice: Dice): Scene {
  let made = 0;
  const request = (own: Dice) => {
    const pod = somePod(world, own);
    if (pod === undefined) return Promise.resolve();
    made += 1;
    return world.ask("POST", base, {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "ContainerRecreateRequest",
      metadata: { name: `crr-${made}`, namespace },
      spec: {
        podName: pod.metadata.name,
        containers: [{ name: "main" }],
        strategy: own.chance(0.6) ? { unreadyGracePeriodSeconds: own.between(1, 4) } : {},
        ...(own.chance(0.5) ? { activeDeadlineSeconds: own.between(2, 60) } : {}),
        ...(own.chance(0.5) ? { ttlSecondsAfterFinished: own.between(1, 30) } : {}),
      },
    });
  };
  const act = (name: string, weight: number, run: (own: Dice) => Promise<unknown>): Act => ({
    name,
    weight,
    run: async (_world, own) => void (await run(own)),
  });
  return {
    acts: [
      act("request", 8, request),
      act("delete pod", 2, async (own) => {
        const pod = somePod(world, own);
        if (pod !== undefined) await world.ask("DELETE", `${podsPath}/${pod.metadata.name}`);
      }),
      act("delete request", 2, async (own) => {
        const all = requestsOf(world);
        if (all.length > 0) await world.ask("DELETE", `${base}/${own.pick(all).metadata.name}`);
      }),
    ],
    watchers: [heldPods(world), noStorm(world, () => 100)],
    async setUp() {
      recreatingAgents(world);
      await world.ask("POST", `/apis/apps/v1/namespaces/${namespace}/replicasets`, {
        metadata: { name: "web", namespace },
        spec: {
          replicas: dice.between(1, 4),
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "app:v1" }] } },
        },
      });
      await request(dice);
    },
    settle: () => healNodes(world),
    problems: () => problemsOf(world),
  };
}

const isOut = (pod: Pod): boolean => conditionOf(pod, conditionType.kruisePodReady)?.status === "False";

/** Out of service only for a request that runs. */
function heldPods(world: World): Watcher {
  return {
    name: "pods are held for requests only",
    wrote({ resource, before, after }, { manager }) {
      if (manager === undefined || resource.kind.plural !== "pods" || before === undefined || after === undefined) return undefined;
      const [was, is] = [before as unknown as Pod, after as unknown as Pod];
      if (!isOut(is) || isOut(was)) return undefined;
      const own = requestsOf(world).filter(({ spec }) => spec.podName === is.metadata.name);
      return own.length > 0 ? undefined : `${manager.name} took ${is.metadata.name} out of service, and nobody asked for it`;
    },
  };
}

function problemsOf(world: World): readonly string[] {
  const problems: string[] = [];
  for (const { metadata, spec, status } of requestsOf(world)) {
    if (status?.completionTime === undefined) problems.push(`${metadata.name} has not ended`);
    else if (metadata.labels?.[label.crrActive] !== undefined) problems.push(`${metadata.name} has ended and is still active`);
    if (status?.completionTime !== undefined && spec.ttlSecondsAfterFinished !== undefined)
      problems.push(`${metadata.name} outlived its time`);
    if ((metadata.finalizers ?? []).length > 0) problems.push(`${metadata.name} still has finalizers`);
  }
  for (const pod of world.list<Pod>("pods", namespace))
    if (isActive(pod) && controllerUid(pod) !== undefined && isOut(pod)) problems.push(`${pod.metadata.name} was left out of service`);
  return problems;
}

export const containerRecreateKind: SceneKind = {
  name: "containerrecreate",
  features: [containerRecreate, podReadiness, sidecarSet],
  gates: { KruisePodReadinessGate: true },
  scene,
};
