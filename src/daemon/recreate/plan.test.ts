import { describe, expect, test } from "bun:test";
import type { ContainerRecreateRequest, ContainerRecreateState } from "../../api/containerrecreaterequest.ts";
import type { PodContainer } from "../containers/read.ts";
import { GraceClock } from "./grace.ts";
import { pick } from "./pick.ts";
import { afterKill, nextStep, opening, runtimeNameOf } from "./plan.ts";
import { containerStates } from "./states.ts";

const nowMs = Date.UTC(2025, 0, 1, 12);
const runningForMs = ({ startedAtMs }: PodContainer) => nowMs - (startedAtMs ?? nowMs);
const at = (secondsAgo: number) => new Date(nowMs - secondsAgo * 1000).toISOString();

interface Draft {
  readonly name?: string;
  readonly phase?: string;
  readonly states?: readonly ContainerRecreateState[];
  readonly strategy?: object;
  readonly containers?: readonly string[];
  /** Of the manager, by container name: "ready" or "starting", of container id 2. */
  readonly seen?: Readonly<Record<string, "ready" | "starting">>;
  readonly createdSecondsAgo?: number;
  readonly deleted?: boolean;
  readonly completed?: boolean;
  readonly grace?: string;
  readonly runtimes?: readonly string[];
}
const requestOf = (draft: Draft = {}): ContainerRecreateRequest => {
  const names = draft.containers ?? ["app"];
  return {
    metadata: {
      name: draft.name ?? "r",
      namespace: "shop",
      uid: `uid-${draft.name ?? "r"}`,
      resourceVersion: "1",
      creationTimestamp: at(draft.createdSecondsAgo ?? 60),
      ...(draft.deleted ? { deletionTimestamp: at(0) } : {}),
    },
    spec: {
      podName: "p",
      containers: names.map((name, index) => ({
        name,
        statusContext: { containerID: `${draft.runtimes?.[index] ?? "containerd"}://${name}-1`, restartCount: 0 },
      })),
      strategy: draft.strategy ?? {},
    },
    status: {
      ...(draft.phase === undefined ? {} : { phase: draft.phase as "Pending" }),
      ...(draft.completed ? { completionTime: at(0) } : {}),
      ...(draft.states ? { containerRecreateStates: [...draft.states] } : {}),
      ...(draft.grace ? { conditions: [{ type: "PreRecreateGrace", status: "True", lastTransitionTime: draft.grace }] } : {}),
      containerStatusSnapshot: Object.entries(draft.seen ?? {}).map(([name, how]) => ({
        name,
        ready: how === "ready",
        restartCount: 1,
        containerID: `containerd://${name}-2`,
      })),
    } as ContainerRecreateRequest["status"],
  } as ContainerRecreateRequest;
};
/** "app-1" is what was there when the request was made; "app-2!" has exited; seconds ago it started. */
const containers = (text: string, startedSecondsAgo = 5) =>
  new Map(
    text
      .split(" ")
      .filter(Boolean)
      .map((word): [string, PodContainer] => {
        const [, name = "", number = "1", exited] = /^(\w+)-(\d)(!?)$/.exec(word) ?? [];
        const startedAtMs = nowMs - startedSecondsAgo * 1000;
        return [
          name,
          {
            name,
            id: `containerd://${name}-${number}`,
            runtimeId: `${name}-${number}`,
            state: exited ? "exited" : "running",
            createdAtMs: startedAtMs,
            startedAtMs,
            restartCount: Number(number) - 1,
            plainHash: 1,
            labels: {},
            annotations: {},
          },
        ];
      }),
  );
const killed = { name: "app", phase: "Recreating", isKilled: true } as const;

describe("which request is next", () => {
  const picked = (...drafts: Draft[]) => {
    const { current, waiting } = pick(drafts.map((draft) => requestOf(draft)));
    return [current?.metadata.name, waiting.map(({ metadata }) => metadata.name)];
  };
  test.each<[string, Draft[], unknown]>([
    ["none", [], [undefined, []]],
    [
      "the oldest",
      [
        { name: "b", createdSecondsAgo: 1 },
        { name: "a", createdSecondsAgo: 2 },
      ],
      ["a", ["b"]],
    ],
    ["of one second, the first by name", [{ name: "b" }, { name: "a" }], ["a", ["b"]]],
    ["what has begun, however young", [{ name: "a" }, { name: "b", phase: "Recreating", createdSecondsAgo: 0 }], ["b", ["a"]]],
    [
      "what waits already is not told again",
      [{ name: "a", phase: "Recreating" }, { name: "b", phase: "Pending" }, { name: "c" }],
      ["a", ["c"]],
    ],
    [
      "what has ended or is being deleted gives way",
      [
        { name: "a", completed: true, phase: "Completed" },
        { name: "b", deleted: true },
        { name: "c", phase: "Pending" },
      ],
      ["c", []],
    ],
  ])("%s", (_, drafts, expected) => expect(picked(...drafts)).toEqual(expected as never));
});

describe("before the runtime is asked", () => {
  const grace = { unreadyGracePeriodSeconds: 10 };
  test.each<[string, Draft, number | undefined, unknown]>([
    ["nobody was told yet that it has begun", {}, undefined, { do: "begin" }],
    ["it waited and has its turn", { phase: "Pending" }, undefined, { do: "begin" }],
    ["on", { phase: "Recreating" }, undefined, { do: "look", runtimeName: "containerd" }],
    ["the pod is not out of service yet", { phase: "Recreating", strategy: grace }, undefined, { do: "wait" }],
    ["out of service for 4 of 10 s", { phase: "Recreating", strategy: grace, grace: at(4) }, undefined, { do: "wait", afterMs: 6100 }],
    [
      "out of service long enough",
      { phase: "Recreating", strategy: grace, grace: at(10) },
      undefined,
      { do: "look", runtimeName: "containerd" },
    ],
    [
      "our clock is an hour behind: no longer than the whole",
      { phase: "Recreating", strategy: grace, grace: at(-3600) },
      undefined,
      { do: "wait", afterMs: 10_100 },
    ],
    [
      "our clock is an hour ahead, and we saw it begin",
      { phase: "Recreating", strategy: grace, grace: at(3600) },
      4000,
      { do: "wait", afterMs: 6100 },
    ],
    [
      "several runtimes in one pod",
      { phase: "Recreating", containers: ["a", "b"], runtimes: ["containerd", "docker"] },
      undefined,
      { do: "complete", message: expect.stringContaining("no runtime service") },
    ],
  ])("%s", (_, draft, graceAgeMs, expected) => expect(opening(requestOf(draft), nowMs, graceAgeMs)).toEqual(expected as never));

  test.each([
    [["containerd", "containerd"], "containerd"],
    [["containerd", "docker"], undefined],
  ])("%j is of runtime %p", (runtimes, name) => expect(runtimeNameOf(requestOf({ containers: ["a", "b"], runtimes }))).toBe(name));

  test("the grace period is counted from when it was seen to begin", () => {
    const clock = new GraceClock();
    const [waiting, begun] = [requestOf({ strategy: grace }), requestOf({ strategy: grace, grace: at(3600) })];
    expect(clock.ageMs(begun, 0)).toBeUndefined();
    const seen = new GraceClock();
    expect([seen.ageMs(waiting, 1000), seen.ageMs(begun, 2000), seen.ageMs(begun, 5000)]).toEqual([undefined, 0, 3000]);
  });
});

describe("how far a container is", () => {
  const input = (draft: Draft, text: string, startedSecondsAgo?: number, wasKilled = false) =>
    containerStates({
      request: requestOf(draft),
      containers: containers(text, startedSecondsAgo),
      wasKilled: () => wasKilled,
      runningForMs,
    });
  test.each<[string, Draft, string, ContainerRecreateState]>([
    ["it is the one that is meant", {}, "app-1", { name: "app", phase: "Pending" }],
    [
      "failed stays failed",
      { states: [{ name: "app", phase: "Failed", message: "m" }] },
      "app-1",
      { name: "app", phase: "Failed", message: "m" },
    ],
    ["the runtime does not have it", {}, "", { name: "app", phase: "Pending", message: "not found container on Node" }],
    ["it has ended", {}, "app-1!", { name: "app", phase: "Recreating" }],
    ["killed, and ended", { states: [killed] }, "app-1!", killed],
    ["another one, not seen by the manager", { states: [killed] }, "app-2", killed],
    ["another one, not ready", { states: [killed], seen: { app: "starting" } }, "app-2", killed],
    ["another one, ready", { states: [killed], seen: { app: "ready" } }, "app-2", { name: "app", phase: "Succeeded", isKilled: true }],
    ["ready, but of an older one", { states: [killed], seen: { app: "ready" } }, "app-3", killed],
    ["restarted by somebody else", { seen: { app: "ready" } }, "app-2", { name: "app", phase: "Succeeded" }],
    [
      "restarted by somebody else, and to be restarted anyway",
      { strategy: { forceRecreate: true }, seen: { app: "ready" } },
      "app-2",
      { name: "app", phase: "Pending" },
    ],
    [
      "to be restarted anyway, and killed",
      { strategy: { forceRecreate: true }, states: [killed], seen: { app: "ready" } },
      "app-2",
      { name: "app", phase: "Succeeded", isKilled: true },
    ],
  ])("%s", (_, draft, text, expected) => expect(input(draft, text).states).toEqual([expected]));

  test("a kill that the status does not tell of counts", () => {
    expect(input({ strategy: { forceRecreate: true } }, "app-2", 5, true).states).toEqual([killed]);
  });
  test.each([
    [9, "Recreating", 1001],
    [10, "Recreating", 1],
    [11, "Succeeded", undefined],
  ] as const)("12: running for %i s of more than 10: %s", (seconds, phase, nextMs) => {
    const { states, ...rest } = input({ states: [killed], strategy: { minStartedSeconds: 10 }, seen: { app: "ready" } }, "app-2", seconds);
    expect([states[0]?.phase, rest.nextMs]).toEqual([phase, nextMs]);
  });
});

describe("what is to be done", () => {
  const step = (draft: Draft, text: string) =>
    nextStep({
      request: requestOf({ containers: ["a", "b"], ...draft }),
      containers: containers(text),
      wasKilled: () => false,
      runningForMs,
    });
  const state = (name: string, phase: ContainerRecreateState["phase"], isKilled = phase !== "Pending") => ({
    name,
    phase,
    ...(isKilled ? { isKilled } : {}),
  });
  const pending = [state("a", "Pending"), state("b", "Pending")];
  const aRuns = [state("a", "Recreating"), state("b", "Pending")];
  test("say first how far they are", () => expect(step({}, "a-1 b-1")).toMatchObject({ do: "store", states: pending }));
  test("then stop the first", () => expect(step({ states: pending }, "a-1 b-1")).toMatchObject({ do: "kill", container: { name: "a" } }));
  test("then the second", () => expect(step({ states: aRuns }, "a-2 b-1")).toMatchObject({ do: "kill", container: { name: "b" } }));
  test("in order: the second waits for the first", () =>
    expect(step({ states: aRuns, strategy: { orderedRecreate: true } }, "a-2 b-1")).toEqual({ do: "wait" }));
  test("in order: its turn", () =>
    expect(
      step({ states: [state("a", "Succeeded"), state("b", "Pending")], strategy: { orderedRecreate: true } }, "a-2 b-1"),
    ).toMatchObject({ do: "kill", container: { name: "b" } }));
  test("one that ended by itself counts as stopped", () =>
    expect(
      step({ states: [state("a", "Recreating", false), state("b", "Pending")], strategy: { orderedRecreate: true } }, "a-1! b-1"),
    ).toMatchObject({
      do: "store",
      states: [state("a", "Recreating"), state("b", "Pending")],
    }));
  test("one that the runtime does not have holds those behind it, and is looked for again", () =>
    expect(step({ states: [{ ...state("a", "Pending"), message: "not found container on Node" }, state("b", "Pending")] }, "b-1")).toEqual({
      do: "wait",
      afterMs: 5000,
    }));
  test("all done", () =>
    expect(step({ states: [state("a", "Succeeded"), state("b", "Succeeded")] }, "a-2 b-2")).toMatchObject({ do: "complete", message: "" }));
  test("Fail ends it, Ignore goes on", () => {
    const states = [{ ...state("a", "Failed", false), message: "m" }, state("b", "Pending")];
    expect(step({ states }, "a-1 b-1")).toMatchObject({
      do: "complete",
      states: [{ phase: "Failed" }, { phase: "Pending", message: expect.stringContaining("container a failed") }],
    });
    expect(step({ states, strategy: { failurePolicy: "Ignore" } }, "a-1 b-1")).toMatchObject({ do: "kill", container: { name: "b" } });
  });
  test("what a kill makes of the states", () => {
    expect(afterKill(pending, "a", undefined)).toEqual([state("a", "Recreating"), state("b", "Pending")]);
    expect(afterKill(pending, "b", "no")).toEqual([
      state("a", "Pending"),
      { name: "b", phase: "Failed", message: "kill container error: no" },
    ]);
  });
});
