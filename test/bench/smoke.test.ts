/** The harness itself: that it runs, and that what it reports adds up. Nothing here looks at a clock. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { missingFor } from "../../scripts/lib/requirements.ts";
import { Bench } from "./bench.ts";
import { lagBetween } from "./lag.ts";
import { markdown } from "./report.ts";
import { type Sizes, suites } from "./scenarios.ts";

const pods = 20;
const sizes: Sizes = {
  one: pods,
  recreate: pods,
  many: 4,
  podsEach: 5,
  idleSeconds: 1,
  churnRounds: 2,
  churnPods: 5,
  growth: [10, pods],
  admissionSeconds: 0.1,
  crowd: [10],
  agentPods: 1,
  agentPulls: 1,
  agentKills: 1,
};
const startTimeoutMs = 60 * 60_000;

// A real node needs root and more: the node tests say what is missing where it must not be.
const runnable = suites.filter(({ needs }) => needs?.realNodes === undefined || missingFor("node") === undefined);

describe.each([...runnable])("suite $name", ({ scenarios, needs }) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.start({ nodes: 2, ...needs, command: ["bun", "src/main.ts"] });
  }, startTimeoutMs);
  afterAll(async () => {
    await bench?.stop();
  }, 60_000);

  test.each(scenarios)("$name", async ({ run }) => {
    const already = bench.measured.length;
    await run(bench, sizes);
    const measured = bench.measured.slice(already);
    expect(measured.length).toBeGreaterThan(0);
    for (const one of measured) {
      expect(one.managerCpuSeconds).toBeGreaterThanOrEqual(0);
      expect(one.peakMiB).toBeGreaterThan(10);
      expect(Object.values(one.requests).reduce((sum, count) => sum + count, 0)).toBe(one.writes + one.reads);
    }
    const report = { machine: "", command: "", commit: "", date: "", measured };
    expect(
      markdown(report)
        .split("\n")
        .filter((line) => line.startsWith("| ")),
    ).toHaveLength(measured.length + 1);
  });
});

test("lag between two readings", () => {
  const before = new Map([
    [1, 10],
    [50, 10],
    [Number.POSITIVE_INFINITY, 10],
  ]);
  const after = new Map([
    [1, 109],
    [50, 110],
    [Number.POSITIVE_INFINITY, 110],
  ]);
  expect(lagBetween(before, after)).toEqual({ p99Ms: 1, maxMs: 50 });
  expect(lagBetween(after, after)).toEqual({ p99Ms: 0, maxMs: 0 });
});
