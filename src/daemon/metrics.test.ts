import { expect, test } from "bun:test";
import type { Metric } from "../engine/metrics.ts";
import { collectProcess, TextMetrics } from "./metrics.ts";

const metric = (type: Metric["type"], labels: readonly string[] = [], buckets?: readonly number[]): Metric => ({
  name: `m_${type}`,
  help: "Help.",
  type,
  labels,
  ...(buckets ? { buckets } : {}),
});

test("Prometheus' text format", async () => {
  const metrics = new TextMetrics();
  const counter = metric("counter", ["a"]);
  metrics.add(counter, { a: 'x"y\\z' });
  metrics.add(counter, { a: 'x"y\\z' }, 2);
  metrics.set(metric("gauge"), {}, 5);
  const histogram = metric("histogram", [], [1, 10]);
  for (const value of [0.5, 1, 7, 70]) metrics.observe(histogram, {}, value);
  expect(await metrics.text()).toBe(`# HELP m_counter Help.
# TYPE m_counter counter
m_counter{a="x\\"y\\\\z"} 3
# HELP m_gauge Help.
# TYPE m_gauge gauge
m_gauge 5
# HELP m_histogram Help.
# TYPE m_histogram histogram
m_histogram_bucket{le="1"} 2
m_histogram_bucket{le="10"} 3
m_histogram_bucket{le="+Inf"} 4
m_histogram_sum 78.5
m_histogram_count 4
`);
});

test("endless label values do not eat the memory", async () => {
  const metrics = new TextMetrics();
  for (let index = 0; index < 5000; index += 1) metrics.add(metric("counter", ["a"]), { a: String(index) });
  expect((await metrics.text()).split("\n").length).toBeLessThan(2010);
});

test("what every exporter tells of its process", async () => {
  const metrics = new TextMetrics();
  collectProcess(metrics, 1000);
  const text = await metrics.text();
  expect(text).toContain("process_start_time_seconds 1\n");
  expect(Number(/process_resident_memory_bytes (\d+)/.exec(text)?.[1])).toBeGreaterThan(1_000_000);
});
