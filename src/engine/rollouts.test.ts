import { describe, expect, test } from "bun:test";
import { FakeEnv } from "../env/fake.ts";
import { pods } from "../kube/kinds.ts";
import type { KubeObject } from "../kube/types.ts";
import { MemoryMetrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import type { CacheHandler, CachePort } from "./ports.ts";
import { RolloutMeter, type RolloutStage } from "./rollouts.ts";

type Staged = KubeObject & { readonly stage?: RolloutStage };
const web = (stage: RolloutStage | undefined, uid = "u1"): Staged => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { namespace: "shop", name: "web", uid, resourceVersion: "1", creationTimestamp: "2025-01-01T00:00:00Z" },
  ...(stage && { stage }),
});
const at = (revision: string, where: RolloutStage["at"]): RolloutStage => ({ revision, at: where });

function start(known: readonly Staged[] = []) {
  const env = new FakeEnv();
  const metrics = new MemoryMetrics();
  let handler: CacheHandler = () => {};
  const cache = {
    subscribe: (_: unknown, given: CacheHandler) => {
      handler = given;
      return () => {};
    },
  } as unknown as CachePort;
  new RolloutMeter(env, metrics).follow(pods, cache, known, (object) => (object as Staged).stage);
  const show = async (stage: RolloutStage | undefined, afterMs = 0, uid?: string) => {
    await env.advance(afterMs);
    handler(undefined, web(stage, uid));
  };
  const ended = (result: string) => metrics.value(names.rolloutOutcomeTotal, { result });
  const took = (result: string, phase = "progressing") => metrics.observed(names.rolloutSeconds, { result, phase });
  return { show, ended, took, drop: () => handler(web(undefined), undefined) };
}

describe("rollouts", () => {
  test("from the change of the revision to the last pod; the first pods of an object are none", async () => {
    const { show, ended, took } = start();
    await show(at("a", "moving"));
    await show(at("a", "there"), 5_000);
    expect(took("completed")).toEqual([]);
    await show(at("b", "moving"), 60_000);
    await show(at("b", "moving"), 10_000);
    await show(at("b", "there"), 20_000);
    await show(at("b", "moving"), 1_000);
    await show(at("b", "there"), 1_000);
    expect(took("completed")).toEqual([30]);
    expect(took("completed", "paused")).toEqual([]);
    expect(ended("completed")).toBe(2);
  });

  test("what a pause or a partition holds is counted apart", async () => {
    const { show, took } = start([web(at("a", "there"))]);
    await show(at("b", "moving"));
    await show(at("b", "resting"), 10_000);
    await show(at("b", "resting"), 50_000);
    await show(at("b", "moving"), 50_000);
    await show(at("b", "there"), 5_000);
    expect(took("completed")).toEqual([15]);
    expect(took("completed", "paused")).toEqual([100]);
  });

  test("another revision takes its place; a deadline that passes is told once, and the end all the same", async () => {
    const { show, ended, took } = start([web(at("a", "there"))]);
    await show(at("b", "moving"));
    await show(at("c", "moving"), 7_000);
    expect(took("superseded")).toEqual([7]);
    await show(at("c", "overdue"), 600_000);
    await show(at("c", "overdue"), 600_000);
    await show(at("c", "there"), 600_000);
    expect([ended("superseded"), ended("failed"), ended("completed")]).toEqual([1, 1, 1]);
    expect(took("completed")).toEqual([1_800]);
  });

  test("one that was under way before it was looked at counts at its end, without a time", async () => {
    const { show, ended, took } = start([web(at("b", "moving"))]);
    await show(undefined, 1_000);
    await show(at("b", "there"), 1_000);
    expect([ended("completed"), took("completed").length]).toEqual([1, 0]);
  });

  test("an object that goes, and another of its name, have nothing to do with each other", async () => {
    const { show, ended, drop } = start([web(at("a", "there"))]);
    await show(at("b", "moving"));
    drop();
    await show(at("c", "there"), 1_000, "u2");
    await show(at("d", "there"), 1_000, "u3");
    expect([ended("superseded"), ended("completed")]).toEqual([0, 0]);
  });
});
