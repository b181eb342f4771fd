import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  availableInMs,
  compareForDisruption,
  hasReadinessGate,
  isActive,
  isAvailable,
  isReady,
  isRunningAndReady,
  labelOf,
  readySinceMs,
  restartCounts,
} from "./pod.ts";
import { qosClass } from "./qos.ts";
import { formatTime } from "./time.ts";
import type { Pod } from "./types.ts";

const t0Ms = Date.UTC(2024, 4, 1, 10);

interface Draft {
  readonly name?: string;
  readonly node?: string;
  readonly phase?: string;
  readonly ready?: "True" | "False";
  readonly readyAtS?: number | null;
  readonly restarts?: number;
  readonly sidecarRestarts?: number;
  readonly createdAtS?: number | null;
  readonly deleted?: boolean;
}

function pod({
  name = "p",
  node = "n",
  phase = "Running",
  ready = "True",
  readyAtS = 0,
  restarts = 0,
  sidecarRestarts = 0,
  createdAtS = 0,
  deleted = false,
}: Draft = {}): Pod {
  const at = (seconds: number | null): string => (seconds === null ? "" : formatTime(t0Ms + seconds * 1000));
  const status = (container: string, restartCount: number) => ({ name: container, ready: true, restartCount, image: "i", imageID: "i" });
  return {
    metadata: {
      name,
      uid: name,
      resourceVersion: "1",
      creationTimestamp: at(createdAtS),
      ...(deleted ? { deletionTimestamp: at(0) } : {}),
    },
    spec: { nodeName: node, containers: [{ name: "c" }], initContainers: [{ name: "once" }, { name: "side", restartPolicy: "Always" }] },
    status: {
      phase,
      conditions: [{ type: "Ready", status: ready, lastTransitionTime: readyAtS === null ? null : at(readyAtS) }],
      containerStatuses: [status("c", restarts)],
      initContainerStatuses: [status("once", 99), status("side", sidecarRestarts)],
    },
  };
}

describe("state", () => {
  test.each<[Draft, { ready: boolean; active: boolean; running: boolean }]>([
    [{}, { ready: true, active: true, running: true }],
    [{ ready: "False" }, { ready: false, active: true, running: false }],
    [{ deleted: true }, { ready: true, active: false, running: false }],
    [{ phase: "Failed" }, { ready: true, active: false, running: false }],
    [
      { phase: "Succeeded", ready: "False" },
      { ready: false, active: false, running: false },
    ],
    [{ phase: "Pending" }, { ready: true, active: true, running: false }],
  ])("%j is %j", (draft, { ready, active, running }) => {
    expect(isReady(pod(draft))).toBe(ready);
    expect(isActive(pod(draft))).toBe(active);
    expect(isRunningAndReady(pod(draft))).toBe(running);
  });

  test.each<[Draft, number, number, boolean, number | undefined]>([
    [{}, 0, 0, true, 0],
    [{}, 10, 10, false, 1],
    [{}, 10, 10.001, true, 0],
    [{}, 10, 4, false, 6001],
    [{ readyAtS: null }, 0, 0, true, 0],
    [{ readyAtS: null }, 1, 100, false, undefined],
    [{ ready: "False" }, 0, 0, false, undefined],
  ])("%j with minReadySeconds %i after %f s is available: %p, or in %p ms", (draft, minReadySeconds, nowS, available, inMs) => {
    expect(isAvailable(pod(draft), minReadySeconds, t0Ms + nowS * 1000)).toBe(available);
    expect(availableInMs(pod(draft), minReadySeconds, t0Ms + nowS * 1000)).toBe(inMs as number);
  });

  test("restarts of init containers that end do not count", () =>
    expect(restartCounts(pod({ restarts: 2, sidecarRestarts: 3 }))).toEqual({ containers: 2, sidecars: 3 }));

  test("a pod that is not ready is ready since never", () => expect(readySinceMs(pod({ ready: "False" }))).toBeUndefined());

  test("only own labels are labels", () => {
    expect(labelOf({ metadata: { labels: { a: "" } } }, "a")).toBe("");
    expect(labelOf({ metadata: { labels: {} } }, "toString")).toBeUndefined();
    expect(hasReadinessGate({ spec: { containers: [], readinessGates: [{ conditionType: "X" }] } }, "X")).toBe(true);
  });
});

describe("order", () => {
  test.each<[string, Draft, Draft]>([
    ["not on a node", { node: "", readyAtS: 0 }, { phase: "Pending" }],
    ["pending before unknown", { phase: "Pending" }, { phase: "Unknown" }],
    ["unknown before running", { phase: "Unknown" }, { phase: "Running", ready: "False" }],
    ["not ready before ready", { ready: "False" }, {}],
    ["ready since nobody knows when", { readyAtS: null }, { readyAtS: 5 }],
    ["ready for a shorter time", { readyAtS: 5 }, { readyAtS: 0 }],
    ["more restarts", { restarts: 2 }, { restarts: 1, sidecarRestarts: 9 }],
    ["more restarts of sidecars", { sidecarRestarts: 2 }, { sidecarRestarts: 1 }],
    ["created nobody knows when", { createdAtS: null }, { createdAtS: 9 }],
    ["newer", { createdAtS: 9 }, { createdAtS: 0 }],
    ["the name decides", { name: "a" }, { name: "b" }],
  ])("%s goes first", (_, first, second) => {
    expect(compareForDisruption(pod(first), pod(second))).toBeLessThan(0);
    expect(compareForDisruption(pod(second), pod(first))).toBeGreaterThan(0);
  });

  const anyDraft = fc.record({
    name: fc.constantFrom("a", "b", "c"),
    node: fc.constantFrom("", "n"),
    phase: fc.constantFrom("Pending", "Running", "Unknown", "Odd"),
    ready: fc.constantFrom<"True" | "False">("True", "False"),
    readyAtS: fc.option(fc.nat(2)),
    restarts: fc.nat(2),
    createdAtS: fc.option(fc.nat(2)),
  });

  test("is an order: any shuffle sorts the same", () =>
    fc.assert(
      fc.property(fc.array(anyDraft, { maxLength: 8 }), fc.nat(), (drafts, turn) => {
        const pods = drafts.map((draft, index) => pod({ ...draft, name: `${draft.name}${index}` }));
        const turned = [...pods.slice(turn % (pods.length + 1)), ...pods.slice(0, turn % (pods.length + 1))];
        const names = (list: Pod[]): string[] => list.sort(compareForDisruption).map(({ metadata }) => metadata.name);
        expect(names(turned)).toEqual(names(pods));
      }),
    ));
});

describe("quality of service", () => {
  const container = (requests?: object, limits?: object) => ({ name: "c", resources: { requests, limits } });
  const full = { cpu: "1", memory: "1Gi" };
  test.each([
    [{ containers: [container()] }, "BestEffort"],
    [{ containers: [container({ cpu: "0" })] }, "BestEffort"],
    [{ containers: [container({ "example.com/gpu": "1" })] }, "BestEffort"],
    [{ containers: [container(full, full)] }, "Guaranteed"],
    [{ containers: [container({ cpu: "1000m", memory: "1024Mi" }, full)] }, "Guaranteed"],
    [{ containers: [container(undefined, full)] }, "Burstable"],
    [{ containers: [container({ cpu: "500m", memory: "1Gi" }, full)] }, "Burstable"],
    [{ containers: [container(full, full), container()] }, "Burstable"],
    [{ containers: [container(full, full)], initContainers: [container({ cpu: "1" })] }, "Burstable"],
    [{ containers: [container()], resources: { requests: full, limits: full } }, "Guaranteed"],
    [{ containers: [container()], resources: { limits: { cpu: "1" } } }, "Burstable"],
    [{ containers: "nonsense" }, "BestEffort"],
    [undefined, "BestEffort"],
  ])("%j is %s", (spec, name) => expect(qosClass(spec)).toBe(name as "Burstable"));
});
