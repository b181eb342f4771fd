/**
 * The controller in the real engine, over a server in memory with a lagging watch, slow answers and faults, in virtual time. Safety is
 * watched from outside: at no moment are more pods missing than maxUnavailable, or more there than surge allows. Then it has to come to rest.
 */
import { describe, expect, test } from "bun:test";
import { type CloneSet, cloneSets } from "../../api/cloneset.ts";
import { type Fault, startHouse, testSettings } from "../../engine/testing/harness.ts";
import { FakeEnv } from "../../env/fake.ts";
import { controllerRevisions, pods } from "../../kube/kinds.ts";
import type { Condition, Pod } from "../../kube/types.ts";
import { cloneSetController } from "./index.ts";
import { cloneSetWith } from "./testing/world.ts";

type House = Awaited<ReturnType<typeof startHouse>>;
const key = { namespace: "shop", name: "web" };
const kubeletMs = 400;

/** Starts, restarts and reports pods, one every few milliseconds. */
function playKubelet({ env, world }: House): void {
  const conditionOf = (pod: Pod, type: string) => pod.status?.conditions?.find((condition) => condition.type === type);
  const sync = (pod: Pod) => {
    const gates = pod.spec.readinessGates ?? [];
    const open = gates.every(({ conditionType }) => conditionOf(pod, conditionType)?.status === "True");
    const ready = open ? "True" : "False";
    const runs = pod.status?.containerStatuses?.[0]?.image === pod.spec.containers[0]!.image;
    if (pod.status?.phase === "Running" && runs && conditionOf(pod, "Ready")?.status === ready) return;
    world.edit<Pod>(pods, { namespace: "shop", name: pod.metadata.name }, (current) => {
      const { name, image = "" } = current.spec.containers[0]!;
      const others = (current.status?.conditions ?? []).filter(({ type }) => type !== "Ready" && type !== "ContainersReady");
      const told: Condition[] = [
        { type: "ContainersReady", status: "True" },
        { type: "Ready", status: ready, lastTransitionTime: new Date(env.nowMs()).toISOString().replace(/\.\d+/, "") },
      ];
      current.spec.nodeName ??= "node-1";
      current.status = {
        ...current.status,
        phase: "Running",
        conditions: [...others, ...told],
        containerStatuses: [{ name, ready: true, restartCount: 0, image, imageID: `sha256:${image}` }],
      };
    });
  };
  const round = () => {
    for (const pod of world.all(pods, "shop")) if (pod.metadata.deletionTimestamp === undefined) sync(pod);
    env.after(kubeletMs, round);
  };
  env.after(kubeletMs, round);
}

const isServing = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  pod.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True" &&
  pod.status?.conditions?.find(({ type }) => type === "InPlaceUpdateReady")?.status !== "False";

/** Looks at the server after every call. Once everything has been serving, no more may be missing than allowed. */
function watchBudgets({ world }: House, serving: number, most: number): { readonly broken: string[] } {
  const broken: string[] = [];
  const before = world.fault;
  world.fault = (call) => {
    const all = world.all(pods, "shop");
    const up = all.filter(isServing).length;
    if (up < serving) broken.push(`${call.verb} ${call.key.name}: ${up} of ${serving} serving`);
    if (all.length > most) broken.push(`${call.verb} ${call.key.name}: ${all.length} of ${most} pods`);
    return before(call);
  };
  return { broken };
}

function faultsFrom(env: FakeEnv): (share: number) => Fault {
  const kinds: Fault[] = [
    { ok: false, why: "conflict", message: "somebody was faster" },
    { ok: false, why: "throttled", retryAfterMs: 100, message: "too many requests" },
    { ok: false, why: "unavailable", mayHaveHappened: false, message: "connection refused" },
    "lost",
    "never",
  ];
  return (share) => (env.random() < share ? kinds[Math.floor(env.random() * kinds.length)] : undefined);
}

async function houseWith(spec: Partial<CloneSet["spec"]>, seed: number): Promise<House> {
  const env = new FakeEnv({ seed });
  const house = await startHouse([cloneSetController], {
    env,
    settings: testSettings({ expectationTimeoutMs: 20_000 }),
    watchLagMs: () => Math.floor(env.random() * 300),
    latencyMs: () => Math.floor(env.random() * 40),
  });
  const { metadata, ...rest } = cloneSetWith(spec);
  house.world.add<CloneSet>(cloneSets, { ...rest, metadata: { namespace: metadata.namespace, name: metadata.name } });
  playKubelet(house);
  await house.rest();
  return house;
}

const setImage = ({ world }: House, image: string) =>
  world.edit<CloneSet>(cloneSets, key, (cloneSet) => {
    cloneSet.spec.template.spec.containers[0]!.image = image;
    cloneSet.metadata.generation = (cloneSet.metadata.generation ?? 1) + 1;
  });
const images = ({ world }: House) => world.all(pods, "shop").map((pod) => pod.spec.containers[0]!.image);

const rollouts = [
  ["InPlaceIfPossible", 2, 0],
  ["ReCreate", 2, 0],
  ["ReCreate", 0, 2],
] as const;

describe("in the engine", () => {
  for (const [podUpdatePolicy, maxUnavailable, maxSurge] of rollouts) {
    for (const seed of [1, 2, 3]) {
      test(`${podUpdatePolicy}, maxUnavailable ${maxUnavailable}, maxSurge ${maxSurge}, under faults, seed ${seed}`, async () => {
        const rollingUpdate = { podUpdatePolicy, maxUnavailable, maxSurge };
        const house = await houseWith({ replicas: 8, updateStrategy: { type: "RollingUpdate", rollingUpdate } }, seed);
        const { world, env } = house;
        expect(world.all(pods, "shop").filter(isServing)).toHaveLength(8);
        const fault = faultsFrom(env);
        world.fault = (call) => (call.verb === "get" || call.verb === "list" ? undefined : fault(0.1));
        const { broken } = watchBudgets(house, 8 - maxUnavailable, 8 + maxSurge);
        setImage(house, "app:v2");
        await env.advance(20_000);
        world.fault = () => undefined;
        const after = watchBudgets(house, 8 - maxUnavailable, 8 + maxSurge);
        await house.rest();
        expect([...broken, ...after.broken]).toEqual([]);
        expect(images(house)).toEqual(Array(8).fill("app:v2"));
        expect(world.now<CloneSet>(cloneSets, key)?.status).toMatchObject({ replicas: 8, updatedAvailableReplicas: 8, readyReplicas: 8 });
        expect(world.all(controllerRevisions, "shop")).toHaveLength(2);
        await house.stop();
      });
    }
  }

  test("a plain rollout writes what it must: two writes a new pod, three a pod in place", async () => {
    const house = await houseWith(
      {
        replicas: 20,
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "25%" } },
      },
      7,
    );
    const podWrites = () => house.world.writes().filter(({ kind }) => kind === "Pod").length;
    expect(podWrites()).toBe(40);
    setImage(house, "app:v2");
    await house.rest();
    expect(podWrites()).toBe(100);
    expect(house.world.events.map(({ reason }) => reason)).toContain("SuccessfulUpdatePodInPlace");
    await house.stop();
  });

  test("scaled to none: one delete a pod", async () => {
    const house = await houseWith({ replicas: 10 }, 8);
    const before = house.world.writes().length;
    house.world.edit<CloneSet>(cloneSets, key, (cloneSet) => {
      cloneSet.spec.replicas = 0;
      cloneSet.metadata.generation = 2;
    });
    await house.rest();
    expect(house.world.all(pods, "shop")).toEqual([]);
    const writes = house.world.writes().slice(before);
    expect(writes.filter(({ verb }) => verb === "delete")).toHaveLength(10);
    expect(writes.filter(({ kind }) => kind === "Pod")).toHaveLength(10);
    await house.stop();
  });
});
