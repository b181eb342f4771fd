import { describe, expect, test } from "bun:test";
import type { WorkloadCondition } from "../../api/schema/common.ts";
import { type ProgressFigures, type ProgressInput, type ProgressReason, progressing } from "./progress.ts";

const atMs = Date.parse("2024-05-01T10:00:00Z");
const secondsAgo = (seconds: number) => new Date(atMs - seconds * 1000).toISOString().replace(".000", "");
const condition = (reason: ProgressReason, seconds: number): WorkloadCondition => ({
  type: "Progressing",
  status: reason === "ProgressDeadlineExceeded" ? "False" : "True",
  lastUpdateTime: secondsAgo(seconds),
  lastTransitionTime: secondsAgo(seconds + 100),
  reason,
  message: "before",
});
const figures = (given: Partial<ProgressFigures>): ProgressFigures => ({
  replicas: 5,
  readyReplicas: 5,
  availableReplicas: 5,
  updatedReplicas: 2,
  updatedAvailableReplicas: 1,
  expectedUpdatedReplicas: 5,
  currentRevision: "web-old",
  updateRevision: "web-new",
  ...given,
});
const input = (given: Partial<ProgressInput>): ProgressInput => ({
  before: { ...figures({}) },
  now: figures({}),
  wantedReplicas: 5,
  paused: false,
  deadlineMs: 30_000,
  nowMs: atMs,
  ...given,
});
const before = (reason: ProgressReason, seconds: number, given: Partial<ProgressFigures> = {}) => ({
  ...figures(given),
  condition: condition(reason, seconds),
});
const done = figures({ currentRevision: "web-new", updatedReplicas: 5, updatedAvailableReplicas: 5 });

describe("Progressing", () => {
  test.each<[string, Partial<ProgressInput>, string, ProgressReason]>([
    ["first sight", {}, "True", "CloneSetUpdated"],
    ["all there", { now: done }, "True", "CloneSetAvailable"],
    ["one pod of the last not yet available", { now: { ...done, updatedAvailableReplicas: 4 } }, "True", "CloneSetUpdated"],
    ["paused", { paused: true }, "True", "CloneSetPaused"],
    ["all there counts more than paused", { now: done, paused: true }, "True", "CloneSetAvailable"],
    ["partition reached", { now: figures({ expectedUpdatedReplicas: 1 }) }, "True", "ProgressPartitionAvailable"],
    [
      "partition of everything",
      { now: figures({ expectedUpdatedReplicas: 0, updatedAvailableReplicas: 0 }) },
      "True",
      "ProgressPartitionAvailable",
    ],
    ["within the deadline", { before: before("CloneSetUpdated", 30) }, "True", "CloneSetUpdated"],
    ["past the deadline", { before: before("CloneSetUpdated", 31) }, "False", "ProgressDeadlineExceeded"],
    ["stays exceeded", { before: before("ProgressDeadlineExceeded", 5) }, "False", "ProgressDeadlineExceeded"],
    [
      "a new revision starts anew",
      { before: before("ProgressDeadlineExceeded", 5, { updateRevision: "web-mid" }) },
      "True",
      "CloneSetUpdated",
    ],
    ["a rollout long after the last one", { before: before("CloneSetAvailable", 9999) }, "True", "CloneSetUpdated"],
    ["resumed long after the pause", { before: before("CloneSetPaused", 9999) }, "True", "CloneSetUpdated"],
    ["partition lowered", { before: before("ProgressPartitionAvailable", 9999) }, "True", "CloneSetUpdated"],
    ["one more pod is updated", { before: before("CloneSetUpdated", 40, { updatedReplicas: 1 }) }, "True", "CloneSetUpdated"],
    ["one more pod is available", { before: before("CloneSetUpdated", 40, { availableReplicas: 4 }) }, "True", "CloneSetUpdated"],
    [
      "one pod less is no progress",
      { before: before("CloneSetUpdated", 40, { availableReplicas: 6 }) },
      "False",
      "ProgressDeadlineExceeded",
    ],
  ])("%s", (_, given, status, reason) => {
    const { condition: result } = progressing(input(given));
    expect({ status: result.status, reason: result.reason }).toEqual({ status, reason } as never);
  });

  test("progress moves the last update, not the last transition; without progress nothing is touched", () => {
    const old = condition("CloneSetUpdated", 20);
    const moved = progressing(input({ before: { ...figures({ updatedReplicas: 1 }), condition: old } }));
    expect(moved.condition.lastUpdateTime).toBe("2024-05-01T10:00:00Z");
    expect(moved.condition.lastTransitionTime).toBe(old.lastTransitionTime as string);
    expect(progressing(input({ before: { ...figures({}), condition: old } })).condition).toBe(old);
  });

  test("comes back when the deadline strikes", () => {
    expect(progressing(input({ before: before("CloneSetUpdated", 20) })).requeueAfterMs).toBe(11_000);
    expect(progressing(input({})).requeueAfterMs).toBe(31_000);
    expect(progressing(input({ now: done })).requeueAfterMs).toBeUndefined();
  });

  test("names the revision that timed out", () => {
    expect(progressing(input({ before: before("CloneSetUpdated", 31) })).condition.message).toBe(
      "CloneSet revision web-new has timed out progressing",
    );
  });
});
