/** What Prometheus' client libraries say of a process, read when it is asked for, and how long the event loop is held up. */
import { readdirSync } from "node:fs";
import { metrics } from "../engine/metrics-names.ts";
import type { Env } from "../env/env.ts";
import type { Registry } from "./prometheus.ts";

/** Often enough to see what holds up a request, seldom enough to cost nothing when nothing happens. */
const lagSampleMs = 100;

export function collectProcessMetrics(registry: Registry, startedMs: number): void {
  const cpu = registry.counter({ name: "process_cpu_seconds_total", help: "Total user and system CPU time spent in seconds." }).of({});
  const gauge = (name: string, help: string) => registry.gauge({ name, help }).of({});
  const resident = gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  const heap = gauge("process_heap_bytes", "Size of the JavaScript heap in use, in bytes.");
  const descriptors = gauge("process_open_fds", "Number of open file descriptors.");
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.").value = startedMs / 1000;
  registry.onCollect(() => {
    const { user, system } = process.cpuUsage();
    cpu.value = (user + system) / 1e6;
    resident.value = process.memoryUsage.rss();
    heap.value = process.memoryUsage().heapUsed;
    descriptors.value = openFileDescriptors() ?? descriptors.value;
  });
}

/** kruiser_event_loop_lag_seconds: how late a timer of 100 ms comes. Ends when the process stops. */
export function observeLag(registry: Registry, env: Env): void {
  const lag = registry.histogram({ ...metrics.eventLoopLagSeconds, buckets: metrics.eventLoopLagSeconds.buckets ?? [] }).of({});
  const sample = () => {
    if (env.stopped.aborted) return;
    const startedMs = env.monotonicMs();
    env.after(lagSampleMs, () => {
      lag.observe(Math.max(0, env.monotonicMs() - startedMs - lagSampleMs) / 1000);
      sample();
    });
  };
  sample();
}

function openFileDescriptors(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}
