/** Pods that are meant to finish, with sidecars that would run for ever. */
import { type ContainerRecreateRequest, containerRecreateRequests } from "../../../src/api/containerrecreaterequest.ts";
import { environmentVariable } from "../../../src/api/names.ts";
import { containerRecreate } from "../../../src/features/containerrecreate/index.ts";
import { sidecarTerminator } from "../../../src/features/sidecarterminator/index.ts";
import { resourceName } from "../../../src/kube/kind.ts";
import type { Pod } from "../../../src/kube/types.ts";
import { recreatingAgents } from "../agents.ts";
import { namespace } from "../cluster.ts";
import type { Dice } from "../dice.ts";
import { noStorm } from "../invariants/common.ts";
import type { Act, Scene, SceneKind } from "../scene.ts";
import { healNodes, podsPath } from "../user.ts";
import type { Watcher, World } from "../world.ts";

const jobs = (world: World) => world.list<Pod>("pods", namespace).filter(({ metadata }) => metadata.labels?.["kind"] === "job");

const requests = (world: World) => world.list<ContainerRecreateRequest>(resourceName(containerRecreateRequests), namespace);

function scene(world: World, dice: Dice): Scene {
  let made = 0;
  const create = (own: Dice) => {
    made += 1;
    const [byRequest, ignored] = [environmentVariable.terminateSidecarWhenJobExit, environmentVariable.terminateSidecarIgnoreExitCode];
    const env = [{ name: byRequest, value: "true" }, ...(own.chance(0.4) ? [{ name: ignored, value: "true" }] : [])];
    const annotations = {
      "sandbox.kruise.io/exit-code": `main:${own.chance(0.7) ? 0 : 1}`,
      "sandbox.kruise.io/run-seconds": String(own.between(1, 8)),
    };
    return world.ask("POST", podsPath, {
      metadata: { name: `job-${made}`, namespace, labels: { kind: "job" }, annotations },
      spec: {
        // With OnFailure a sidecar that is killed is started again, unless it ends well when it is asked to.
        restartPolicy: "Never",
        containers: [
          { name: "main", image: "app:v1" },
          { name: "proxy", image: "proxy:v1", env },
        ],
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
      act("job", 8, create),
      act("delete job", 2, async (own) => {
        const all = jobs(world);
        if (all.length > 0) await world.ask("DELETE", `${podsPath}/${own.pick(all).metadata.name}`);
      }),
    ],
    watchers: [notTooSoon(world), noStorm(world, () => 80)],
    async setUp() {
      recreatingAgents(world, true);
      await create(dice);
    },
    settle: () => healNodes(world),
    problems: () => [
      ...jobs(world).flatMap((pod) => problemsOf(pod)),
      ...requests(world)
        .filter(({ status }) => status?.completionTime === undefined)
        .map(({ metadata }) => `${metadata.name} has not ended`),
    ],
  };
}

const codeOf = (pod: Pod, name: string): number | undefined =>
  pod.status?.containerStatuses?.find((status) => status.name === name)?.state?.terminated?.exitCode;

function notTooSoon(world: World): Watcher {
  return {
    name: "sidecars end after the work",
    wrote({ resource, before, after }, { manager, part }) {
      if (manager === undefined || part !== "sidecarterminator-controller" || before !== undefined || after === undefined) return undefined;
      if (resource.kind.plural !== containerRecreateRequests.plural) return undefined;
      const { spec } = after as unknown as ContainerRecreateRequest;
      const pod = world.get<Pod>("pods", namespace, spec.podName);
      if (spec.containers.some(({ name }) => name !== "proxy")) return `${manager.name} ends more than the sidecar of ${spec.podName}`;
      const twins = requests(world).filter((each) => each.spec.podName === spec.podName && each.status?.completionTime === undefined);
      if (twins.length > 1) return `${twins.length} requests at once for ${spec.podName}`;
      return pod === undefined || codeOf(pod, "main") !== undefined
        ? undefined
        : `${manager.name} ends the sidecar of ${spec.podName}, which works`;
    },
  };
}

function problemsOf(pod: Pod): readonly string[] {
  const { phase } = pod.status ?? {};
  const isOver = phase === "Succeeded" || phase === "Failed";
  if (pod.metadata.deletionTimestamp !== undefined || isOver) return [];
  return [`${pod.metadata.name} has done its work and is ${phase}`];
}

export const sidecarTerminatorKind: SceneKind = {
  name: "sidecarterminator",
  features: [containerRecreate, sidecarTerminator],
  gates: { SidecarTerminator: true },
  scene,
};
