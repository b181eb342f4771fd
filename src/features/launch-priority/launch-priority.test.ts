import { describe, expect, test } from "bun:test";
import type { AdmissionContext, AdmissionRequest } from "../../admission/webhook.ts";
import { startHouse } from "../../engine/testing/harness.ts";
import { configMaps, pods } from "../../kube/kinds.ts";
import type { Container, Pod } from "../../kube/types.ts";
import { launchPriorityController } from "./controller.ts";
import { addBarriers } from "./mutation.ts";

const priority = (value: string): Partial<Container> => ({ env: [{ name: "KRUISE_CONTAINER_PRIORITY", value }] });
const draft = (containers: Record<string, Partial<Container>>, metadata: Partial<Pod["metadata"]> = {}): Pod => ({
  metadata: { name: "web-1", namespace: "shop", uid: "", resourceVersion: "", creationTimestamp: "", ...metadata },
  spec: { containers: Object.entries(containers).map(([name, more]) => ({ name, ...more })) },
});
const mutate = (pod: Pod) =>
  addBarriers(pod, {} as AdmissionRequest<Pod>, { random: () => 0.5 } as AdmissionContext) as
    | Pod
    | { allowed: false; code: number; message: string };
const keys = (pod: ReturnType<typeof mutate>): unknown[] =>
  "spec" in pod
    ? pod.spec.containers.map(({ env }) => env?.find(({ name }) => name === "KRUISE_CONTAINER_BARRIER")?.valueFrom?.configMapKeyRef)
    : [pod.message];

describe("the webhook", () => {
  const ordered = { annotations: { "apps.kruise.io/container-launch-priority": "Ordered" } };
  const ref = (key: string) => ({ name: "web-1-barrier", key });
  test.each<[string, Pod, unknown[]]>([
    ["24: priorities", draft({ sidecar: priority("1"), main: {} }), [ref("p_1"), ref("p_0")]],
    ["25: Ordered", draft({ a: {}, b: {}, c: {} }, ordered), [ref("p_0"), ref("p_-1"), ref("p_-2")]],
    ["13 of the pitfalls: Ordered before priorities", draft({ a: priority("1"), b: priority("abc") }, ordered), [ref("p_0"), ref("p_-1")]],
    [
      "26: no number",
      draft({ a: priority("abc"), b: {} }),
      ['spec.containers[0].env: KRUISE_CONTAINER_PRIORITY of container a must be an integer, not "abc"'],
    ],
    ["26: no number, one container", draft({ a: priority("abc") }), [undefined]],
    ["27: all the same", draft({ a: priority("5"), b: priority("5") }), [undefined, undefined]],
    ["nothing said", draft({ a: {}, b: {} }), [undefined, undefined]],
    [
      "the last entry wins",
      draft({ a: { env: [...(priority("1").env ?? []), ...(priority("+7").env ?? [])] }, b: priority("-0") }),
      [ref("p_7"), ref("p_0")],
    ],
  ])("%s", (_, pod, expected) => {
    expect(keys(mutate(pod))).toEqual(expected);
  });

  test("28: a pod that has only the beginning of a name gets the rest", () => {
    const pod = mutate(draft({ a: priority("1"), b: {} }, { name: "", generateName: "x".repeat(70) })) as Pod;
    expect(pod.metadata.name).toMatch(/^x{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    expect(keys(pod)).toEqual([
      { name: `${pod.metadata.name}-barrier`, key: "p_1" },
      { name: `${pod.metadata.name}-barrier`, key: "p_0" },
    ]);
  });
  test("a user's own barrier is replaced", () => {
    const own = { env: [{ name: "KRUISE_CONTAINER_BARRIER", value: "mine" }] };
    const pod = mutate(draft({ a: own, b: priority("1") })) as Pod;
    expect(pod.spec.containers[0]?.env).toEqual([
      { name: "KRUISE_CONTAINER_BARRIER", valueFrom: { configMapKeyRef: { name: "web-1-barrier", key: "p_0" } } },
    ]);
    expect(mutate(pod)).toEqual(pod);
  });
});

const key = { namespace: "shop", name: "web-1" };
const barrierKeyOf = { namespace: "shop", name: "web-1-barrier" };

async function launch(priorities: Record<string, number | undefined>, more: Partial<Pod["spec"]> = {}) {
  const house = await startHouse([launchPriorityController]);
  const containers = Object.entries(priorities).map(([name, value]): Container => {
    const reference = { name: "web-1-barrier", key: `p_${value}` };
    return {
      name,
      ...(value === undefined ? {} : { env: [{ name: "KRUISE_CONTAINER_BARRIER", valueFrom: { configMapKeyRef: reference } }] }),
    };
  });
  house.world.add(pods, { metadata: { name: key.name, namespace: key.namespace }, spec: { containers, ...more } });
  await house.rest();
  return {
    house,
    keys: () => Object.keys(house.world.now(configMaps, barrierKeyOf)?.data ?? {}).sort(),
    completed: () => house.world.now(pods, key)?.metadata.annotations?.["apps.kruise.io/container-launch-priority-completed"] === "true",
    report: async (statuses: Record<string, object>) => {
      house.world.edit<Pod>(pods, key, (pod) => {
        const named = Object.entries(statuses).map(([name, status]) => ({
          name,
          ready: true,
          restartCount: 0,
          image: "",
          imageID: "",
          ...status,
        }));
        pod.status = { containerStatuses: [...(pod.status?.containerStatuses ?? []).filter(({ name }) => !(name in statuses)), ...named] };
      });
      await house.rest();
    },
  };
}

describe("the controller", () => {
  test("keys appear from the top, each when those above are ready", async () => {
    const { keys, completed, report, house } = await launch({ a: 3, b: 5, c: 0, d: 0, e: -1, f: 3 });
    expect(keys()).toEqual(["p_5"]);
    expect(house.world.now(configMaps, barrierKeyOf)?.metadata.ownerReferences).toEqual([
      { apiVersion: "v1", kind: "Pod", name: "web-1", uid: house.world.now(pods, key)?.metadata.uid ?? "" },
    ]);
    await report({ b: {} });
    expect(keys()).toEqual(["p_3", "p_5"]);
    await report({ a: {} });
    expect(keys()).toEqual(["p_3", "p_5"]);
    await report({ f: {} });
    expect(keys()).toEqual(["p_0", "p_3", "p_5"]);
    await report({ d: {} });
    expect(completed()).toBe(false);
    await report({ c: {} });
    expect([keys(), completed()]).toEqual([["p_-1", "p_0", "p_3", "p_5"], true]);
    const writes = house.world.writes().length;
    await report({ e: {} });
    expect(house.world.writes()).toHaveLength(writes);
    await house.stop();
  });

  test("a container that ended well is done, where it is not started again", async () => {
    const ended = { a: { ready: false, state: { terminated: { exitCode: 0 } } } };
    const once = await launch({ a: 1, b: 0 }, { restartPolicy: "OnFailure" });
    await once.report(ended);
    expect(once.keys()).toEqual(["p_0", "p_1"]);
    const always = await launch({ a: 1, b: 0 }, { restartPolicy: "Always" });
    await always.report(ended);
    expect(always.keys()).toEqual(["p_1"]);
    await Promise.all([once.house.stop(), always.house.stop()]);
  });

  test("deleted on the way or afterwards, the barrier comes back open", async () => {
    const { house, keys, report, completed } = await launch({ a: 2, b: 1, c: 0 });
    await report({ a: {} });
    house.world.drop(configMaps, barrierKeyOf);
    await report({ a: { restartCount: 1 } });
    expect(keys()).toEqual(["p_1", "p_2"]);
    await report({ b: {} });
    expect([keys(), completed()]).toEqual([["p_0", "p_1", "p_2"], true]);
    house.world.drop(configMaps, barrierKeyOf);
    await report({ a: { ready: false, state: { waiting: { reason: "CreateContainerConfigError" } } } });
    expect(keys()).toEqual(["p_0", "p_1", "p_2"]);
    await house.stop();
  });

  test("deleted while a container that may start has not started yet: nothing of the pod changes, and the barrier still comes back", async () => {
    const { house, keys, report, completed } = await launch({ a: 1, b: 0 });
    const missing = { ready: false, state: { waiting: { reason: "CreateContainerConfigError" } } };
    await report({ a: {}, b: missing });
    expect([keys(), completed()]).toEqual([["p_0", "p_1"], true]);
    house.world.drop(configMaps, barrierKeyOf);
    await house.env.advance(60_000);
    expect(keys()).toEqual(["p_0", "p_1"]);
  });

  test("the barrier of an earlier pod of that name is not taken for this one's", async () => {
    const house = await startHouse([launchPriorityController]);
    house.world.add(configMaps, {
      metadata: { ...barrierKeyOf, ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "web-1", uid: "of-before" }] },
      data: { p_1: "true", p_0: "true" },
    });
    const env = (value: number) => [
      { name: "KRUISE_CONTAINER_BARRIER", valueFrom: { configMapKeyRef: { name: "web-1-barrier", key: `p_${value}` } } },
    ];
    house.world.add(pods, {
      metadata: { ...key },
      spec: {
        containers: [
          { name: "a", env: env(1) },
          { name: "b", env: env(0) },
        ],
      },
    });
    await house.rest();
    expect(house.world.now(configMaps, barrierKeyOf)?.data).toEqual({ p_1: "true" });
    await house.stop();
  });

  test("a malformed barrier counts for nothing, pods without one are never looked at", async () => {
    const { house, keys } = await launch({ a: Number.NaN, b: undefined });
    expect([keys(), house.world.calls]).toEqual([[], []]);
    await house.stop();
  });
});
